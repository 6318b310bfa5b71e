"""Which of several processes this one is, as ``torchrun`` and ``accelerate launch`` number them; what they exchange."""

import os
from typing import Any

__all__ = ["gather", "number", "share", "started"]


def started() -> int:
    """How many processes were started together.

    Example:
        >>> started()
        1
    """
    return int(os.environ.get("WORLD_SIZE") or 1) if "RANK" in os.environ else 1


def number() -> int:
    """Which of them this one is; the first one, 0, has the folder and speaks."""
    return int(os.environ.get("RANK") or 0) if started() > 1 else 0


def share(value: Any = None) -> Any:
    """What the first process gives, in every process."""
    if started() == 1:
        return value
    import torch.distributed as dist

    held = [value]
    dist.broadcast_object_list(held, src=0)
    return held[0]


def gather(value: Any) -> list[Any]:
    """What every process gives, in the order of their numbers, in every process."""
    if started() == 1:
        return [value]
    import torch.distributed as dist

    held: list[Any] = [None] * started()
    dist.all_gather_object(held, value)
    return held
