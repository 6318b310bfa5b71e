"""How many worker threads to train with: the cores that are free now."""

from __future__ import annotations

import psutil

__all__ = ["free_cores"]


def free_cores(sample_seconds: float = 0.3) -> int:
    """Number of cores of this process's share that stand idle, at least one.

    Workers beyond the idle cores slow training down, because they wait for each other.

    Example:
        >>> free_cores(0.05) >= 1
        True
    """
    busy = psutil.cpu_percent(interval=sample_seconds, percpu=True)
    process = psutil.Process()
    allowed = process.cpu_affinity() if hasattr(process, "cpu_affinity") else range(len(busy))
    return max(1, sum(busy[core] < 50 for core in allowed if core < len(busy)))
