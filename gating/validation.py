"""Checks of tensors, and of where and in which type they are computed; plain arguments: `theory.validation`."""

from typing import Any

import torch
from torch import Tensor

from theory.fields import shown

__all__ = ["holds_numbers", "require_device", "require_dtype"]


def holds_numbers(value: Any, *, integers: bool = False) -> bool:
    """Whether a value is a tensor of real numbers, or of integers; booleans, sparse and empty-handed ones are not.

    Example:
        >>> holds_numbers(torch.ones(2)), holds_numbers(torch.ones(2), integers=True), holds_numbers([1.0, 2.0])
        (True, False, False)
    """
    if not isinstance(value, Tensor) or value.layout != torch.strided or value.is_meta or value.dtype == torch.bool:
        return False
    return not value.is_complex() and not (integers and value.is_floating_point())


def require_device(device: torch.device | str) -> torch.device:
    """The device, if torch can compute there.

    Raises:
        ValueError: "`device` must be a device that torch has here; got <value>".
    """
    try:
        found = torch.device(device)
        torch.zeros(1, device=found).item()
    except Exception as unusable:  # each kind of device has its own
        raise ValueError(f"`device` must be a device that torch has here; got {shown(device)}") from unusable
    return found


def require_dtype(dtype: torch.dtype) -> torch.dtype:
    """The type, if it is one of floating numbers.

    Raises:
        ValueError: "`dtype` must be a floating type of torch; got <value>".
    """
    if not isinstance(dtype, torch.dtype) or not dtype.is_floating_point:
        raise ValueError(f"`dtype` must be a floating type of torch; got {shown(dtype)}")
    return dtype
