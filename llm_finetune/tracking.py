"""Trackers of `accelerate`, such as TensorBoard, which are told the loss and the measurements of a training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from accelerate import Accelerator
from accelerate.tracking import LOGGER_TYPE_TO_CLASS, get_available_trackers
from accelerate.utils import LoggerType

from theory.settings import SpecError

__all__ = ["FOLDER", "Tracking", "require_trackers"]

FOLDER = "trackers"
"""Where trackers that write files do so, in the folder of a run."""


def require_trackers(names: Sequence[str]) -> None:
    """That trackers are known, and their packages installed.

    Raises:
        SpecError: naming those that are not.
    """
    known = sorted(map(str, LOGGER_TYPE_TO_CLASS))
    strange = [name for name in names if name not in known]
    if strange:
        raise SpecError([f"`trackers` must be among {known}; got {strange[0]!r}"])
    there = {str(name) for name in get_available_trackers()}
    missing = [name for name in names if name in LoggerType and name not in there]
    if missing:
        raise SpecError([f"`trackers` must be installed; the package of {missing[0]!r} is not"])


class Tracking:
    """What is told to the trackers of an `Accelerator`; of several processes the first one tells.

    Args:
        accelerator: has the trackers, by name; they are begun here.
        run: name of the training.
        settings: what describes it.
    """

    def __init__(self, accelerator: Accelerator, run: str, settings: Mapping[str, Any]):
        self._accelerator = accelerator
        if accelerator.log_with:
            accelerator.init_trackers(run, config=_plain(settings))

    def log(self, values: Mapping[str, float], step: int) -> None:
        """Tells named numbers of a step."""
        if self._accelerator.log_with:
            self._accelerator.log(dict(values), step=step)

    def end(self) -> None:
        """Lets trackers write what they hold; `Accelerator.end_training` would end the group of processes as well."""
        for tracker in self._accelerator.trackers if self._accelerator.log_with else ():
            tracker.finish()


def _plain(settings: Mapping[str, Any], before: str = "") -> dict[str, Any]:
    """Settings by dotted name, as trackers take them."""
    found: dict[str, Any] = {}
    for key, value in settings.items():
        if isinstance(value, Mapping):
            found |= _plain(value, f"{before}{key}.")
        else:
            found[f"{before}{key}"] = value if isinstance(value, (int, float, str)) else str(value)
    return found
