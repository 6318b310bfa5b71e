"""Floating types of the arithmetic: weights stay in float32, products may be taken in bfloat16."""

import torch

from llm_finetune.settings import Precision

__all__ = ["autocast", "has_bf16"]


def has_bf16(device: torch.device) -> bool:
    """Whether a device multiplies bfloat16 numbers in hardware: a CPU with AVX-512 BF16 or AMX, or a recent GPU."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    found = torch.cpu.get_capabilities()
    return bool(found.get("avx512_bf16") or found.get("amx_bf16"))


def autocast(precision: Precision, device: torch.device) -> torch.autocast:
    """Context in which a model's matrix products are taken in a precision.

    Args:
        precision: ``bf16``, ``float32``, or ``auto``: bfloat16 where the device has it in hardware.
        device: where the model is.

    Example:
        >>> with autocast("bf16", torch.device("cpu")):
        ...     (torch.ones(2, 2) @ torch.ones(2, 2)).dtype
        torch.bfloat16
    """
    enabled = precision == "bf16" or (precision == "auto" and has_bf16(device))
    return torch.autocast(device.type, torch.bfloat16, enabled=enabled)
