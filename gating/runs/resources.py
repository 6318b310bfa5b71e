"""From options to what a run may use on this machine."""

import os
from collections.abc import Callable

import psutil
import torch

from gating.runs.executor import Resources
from gating.runs.options import RunOptions
from gating.runs.tracking import require_trackers
from theory.settings import SpecError

__all__ = ["free_cores", "resources_of"]


def resources_of(options: RunOptions, say: Callable[[str], None]) -> Resources:
    """Device and workers that options ask for.

    Raises:
        SpecError: there is no such device, or the package of a tracker is not installed.
    """
    require_trackers(options.tracker or ())
    if options.device == "cuda" and not torch.cuda.is_available():
        raise SpecError(["`device` must be one of 'auto' or 'cpu' on a machine without a CUDA device; got 'cuda'"])
    device = options.device if options.device != "auto" else "cuda" if torch.cuda.is_available() else "cpu"
    workers = options.workers or max(1, free_cores() // int(os.environ.get("LOCAL_WORLD_SIZE") or 1))
    return Resources(device, workers, options.keep, say, options.executor, options.address, options.tracker or ())


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
