"""Values of every kind, most of them wrong for any argument, and what must be true of a call that is given one."""

import decimal
import fractions
import time
from collections.abc import Callable, Iterator, Sequence
from types import UnionType
from typing import Any, Union, get_args, get_origin

import numpy as np
import torch
from numpy.typing import ArrayLike

from gating.models.layers import generators
from gating.predictors.in_weight import InWeightMLP
from gating.training.schedule import TrainSettings
from llm_finetune.collection import Fact, load_collection
from theory.distribution import ClassMixture
from theory.validation import is_integer

NAN, INF = float("nan"), float("inf")
PLAIN: list[Any] = [
    *[None, True, False, -1, 0, 1, 2, 3, 8, 2**31, 2**53, 2**63, -(2**63) - 1, 10**30],
    *[0.0, -0.0, -0.5, 0.5, 1.0, 1.5, 2.5, 8.0, 5e-324, 1e-300, 1e300, NAN, INF, -INF, 1 + 2j],
    *[decimal.Decimal("0.5"), fractions.Fraction(1, 2), "", "text", "query", "uniform", "5", "\x00", "a" * 9999, b"x"],
    *[[], [1], [0], [2.5], [0.5, 0.5], [0.1, NAN], [1, 2, 3], [[0.5]], [[1, 2], [3]], [[[0.1]]], [None], ["a"], [True]],
    *[(), (2, 3), (0, 2), (2**40, 2**40), ("a", "b"), range(3), {}, {1: 2}, {1}, {"a"}, bytearray(b"1"), slice(0, 2)],
    *[object(), [object()], int, ClassMixture, len, lambda *_: None, ..., iter([1])],
    *[np.int64(3), np.int64(-1), np.int8(8), np.uint8(8), np.float32(0.5), np.float64(NAN), np.bool_(True)],
    *[np.str_("query"), np.array([]), np.array(3), np.array([[0.5]]), np.array([0.2, 0.8]), np.array([2, 3])],
    *[np.array(["a"]), np.array([None]), np.array([1j]), np.array([NAN]), np.datetime64("2026-01-01")],
    *[torch.tensor(3), torch.tensor(0.5), torch.tensor(NAN), torch.tensor([True]), torch.tensor([]), torch.ones(2, 3)],
    *[torch.ones(1, 3, 4), torch.ones(1, 3, 3, dtype=torch.int64), torch.ones(2, 3, dtype=torch.complex64)],
    *[torch.tensor([[0.5, INF]]), torch.tensor([[-1, 10**6]]), torch.tensor([2, 3])],
    *[torch.Generator(), [torch.Generator()], torch.float64, torch.int64, torch.device("meta"), "cuda:7", "meta"],
    *[ClassMixture(), [ClassMixture()], [ClassMixture(dim=2**40)], [ClassMixture(context_length=2**40)]],
    *[InWeightMLP(4, 3, rngs=generators([0])), torch.nn.ReLU(), TrainSettings(5), load_collection("people")],
    *[Fact("a", "b"), [Fact("a", "b")], (Fact("a", ""),)],
]
POOL: list[Any] = [
    *PLAIN,  # and what cannot even be printed, or be read by numpy or torch
    *[10**5000, [10**5000, 0.5], [10**400, 0.5], torch.ones(2, 2, requires_grad=True)],
    *[torch.ones(2, 3, dtype=torch.bfloat16), torch.ones(2, 3).to_sparse(), torch.ones(2, 3, device="meta")],
]


def fits(value: Any, hint: Any) -> bool:
    """Whether a value is of the type that an argument declares; no number is NaN."""
    if hint in (float, ArrayLike):
        try:
            array = np.asarray(value)
        except Exception:
            return False
        return array.dtype.kind in "iuf" and not np.isnan(array).any() and (hint is not float or array.ndim == 0)
    if hint == ArrayLike | None:
        return value is None or fits(value, ArrayLike)
    if get_origin(hint) in (Union, UnionType):
        return any(fits(value, kind) for kind in get_args(hint))
    if hint is int:
        return is_integer(value)
    kind = get_origin(hint) or hint
    return hint is Any or isinstance(value, (Sequence, np.ndarray) if kind is Sequence else kind)


def has_nan(value: Any) -> bool:
    if isinstance(value, torch.nn.Module):
        return any(map(has_nan, value.state_dict().values()))
    if isinstance(value, torch.Tensor):
        return bool(value.isnan().any())
    if isinstance(value, (dict, list, tuple)):
        return any(map(has_nan, value.values() if isinstance(value, dict) else value))
    if isinstance(value, (float, np.ndarray)):
        return np.asarray(value).dtype.kind == "f" and bool(np.isnan(value).any())
    return not isinstance(value, type) and hasattr(value, "__dict__") and has_nan(vars(value))


def outcome(function: Callable[..., Any], arguments: dict[str, Any]) -> tuple[str, Any]:
    """The message of a ValueError or TypeError, or nothing and what the call gives; before long."""
    start = time.process_time()
    try:
        made = function(**arguments)
        return "", list(made) if isinstance(made, Iterator) else made
    except (ValueError, TypeError) as error:
        return str(error), None
    finally:
        assert time.process_time() - start < 10
