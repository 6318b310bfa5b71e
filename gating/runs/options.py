"""Where and how a study runs; nothing here changes its result."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field

from gating.runs.tracking import TrackerName
from theory.fields import PathText, Several, shown
from theory.settings import SpecError, settings

if TYPE_CHECKING:
    from gating.runs.study import Study

__all__ = ["RunOptions"]


@settings
class RunOptions:
    """Where and how a study runs; nothing here changes its result.

    Args:
        out: folder of the run, from which the same command goes on; ``auto`` is ``runs/`` and the name of the study,
            or no folder for a study that takes seconds; ``none`` is no folder.
        executor: ``threads`` of this process, or tasks of ``ray`` (extra ``ray``), on this machine or on several.
        address: cluster of Ray: ``auto`` is the one that runs on this machine, ``local`` a new one for this run.
        device: where models train; ``auto`` takes a GPU when there is one.
        workers: worker threads on the CPU; 0 takes the cores that are free.
        json: print settings, rows of the last step and answers as JSON in place of a text table.
        tracker: ``tensorboard``, ``mlflow`` or ``wandb``, one or more, that are told settings, losses and measured
            results, and given the page and the table; null for none.
        again: remove what a former run left in the folder, and run anew.
        reevaluate: keep the models that the run in the folder trained, and measure them anew, also with other settings
            of the measuring than before.
        keep: keep what a study drops at its end, such as fine-tuned models.
        dry_run: check everything, print how long the run will take and how much memory and disk, and write nothing.
        force: go on although the estimated memory, or a changed version of what computes the result, speaks against it.
    """

    out: PathText = "auto"
    executor: Literal["threads", "ray"] = "threads"
    address: str = "local"
    device: Literal["auto", "cpu", "cuda"] = "auto"
    workers: Annotated[int, Field(ge=0, le=4096)] = 0
    json: bool = False
    tracker: Several[TrackerName] | None = None
    again: bool = False
    reevaluate: bool = False
    keep: bool = False
    dry_run: bool = False
    force: bool = False

    def problems(self) -> Iterator[str]:
        """What is wrong with the options together."""
        if self.address != "local" and self.executor != "ray":
            yield f"`address` must be left out where `executor` is 'threads'; got {shown(self.address)}"
        for name in ("again", "reevaluate"):
            if getattr(self, name) and self.out == "none":
                yield f"`{name}` must be left out where `out` is none; got both"
        if self.again and self.reevaluate:
            yield "`reevaluate` must be left out with `again`, which trains anew; got both"

    def folder(self, study: Study[Any]) -> str | None:
        """Folder of a study's run that `out` asks for, or None.

        Raises:
            SpecError: there is none, and an option is about one.
        """
        usual = f"runs/{study.name()}" if study.in_folder else None
        found = {"auto": usual, "none": None}.get(self.out, self.out)
        about = [name for name in ("tracker", "again", "reevaluate") if getattr(self, name)]
        if about and found is None:
            what = f"`{about[0]}` must be left out where the run has no folder"
            raise SpecError([f"{what}: choose one with `out`"])
        return found
