"""Whether a training step is being recorded as a graph, which a compiler then fuses: some operations are written so."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["is_recorded", "recording"]

_mine = threading.local()


def is_recorded() -> bool:
    """Whether this thread records a step."""
    return getattr(_mine, "on", False)


@contextmanager
def recording() -> Iterator[None]:
    """Marks what this thread computes as recorded.

    Example:
        >>> with recording():
        ...     is_recorded()
        True
        >>> is_recorded()
        False
    """
    _mine.on = True
    try:
        yield
    finally:
        _mine.on = False
