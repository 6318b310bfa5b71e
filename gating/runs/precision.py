"""The precision of float32 matrix products, which torch keeps for the process: threads that share it take turns."""

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from gating.runs.files import ctrl_c_waits

__all__ = ["matmul_precision"]

_turn = threading.Condition()
_holders: dict[str, int] = {}
_before = ["highest"]
"""The precision of the process while no thread holds one."""
_mine = threading.local()


@contextmanager
def matmul_precision(precision: str) -> Iterator[None]:
    """Computes in a precision; waits while other threads compute in another.

    Inside of a block of another precision, the outer one is laid down and taken up again; the last thread to leave puts
    back the one that was there before the first.

    Args:
        precision: ``highest``, ``high`` or ``medium``, as `torch.set_float32_matmul_precision` takes it.

    Example:
        >>> import torch
        >>> with matmul_precision("highest"), matmul_precision("medium"):
        ...     torch.get_float32_matmul_precision()
        'medium'
        >>> torch.get_float32_matmul_precision()
        'highest'
    """
    outer: str | None = getattr(_mine, "precision", None)
    try:
        _hold(precision)
        yield
    finally:
        _hold(outer)


def _hold(wanted: str | None) -> None:
    """Lays down the precision that this thread holds, if any, and takes up another; Ctrl-C parts neither."""
    with _turn:
        with ctrl_c_waits():
            held, _mine.precision = getattr(_mine, "precision", None), None
            if held:
                _holders[held] -= 1
                if not _holders[held]:
                    del _holders[held]
                    _set(_before[0])
                _turn.notify_all()
        if wanted:
            _turn.wait_for(lambda: _holders.keys() <= {wanted})
            with ctrl_c_waits():
                if not _holders and "torch" in sys.modules:
                    _before[0] = sys.modules["torch"].get_float32_matmul_precision()
                _holders[wanted] = _holders.get(wanted, 0) + 1
                _mine.precision = wanted
                _set(wanted)


def _set(precision: str) -> None:
    if "torch" in sys.modules:  # what does not import it has no use for it
        torch = sys.modules["torch"]
        if torch.get_float32_matmul_precision() != precision:
            torch.set_float32_matmul_precision(precision)
