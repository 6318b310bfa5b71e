"""Studies as functions: ``gating.compare(preset="quick", out="x")`` is ``gating compare --preset quick --out x``.

A function is made from what a study declares; nothing here knows which study it is.
"""

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import MISSING, Field, fields
from functools import cache
from pathlib import Path
from textwrap import fill
from typing import Any, Protocol

import pandas as pd

from gating.results.parquet import read_table
from gating.runs.catalogue import find_study, study_names
from gating.runs.errors import FolderError
from gating.runs.folder import TABLE, RunFolder
from gating.runs.options import RunOptions
from gating.runs.study import Study
from gating.settings import read_call
from gating.settings.text import described
from theory.settings import SpecError

__all__ = ["StudyFunction", "read_results", "study_function"]

COMMAND_ONLY = ("json", "dry_run")
ARGUMENTS = """
    Args:
        config: settings, a dictionary of them or a YAML file.
        preset: name of settings that come with the study{presets}.
        out: folder of the run, from which the same call goes on; None keeps nothing, and ``auto`` is
            the command's.
        device: ``auto``, ``cpu`` or ``cuda``.
        workers: worker threads on the CPU; 0 takes the cores that are free.
        executor: ``threads`` or ``ray``.
        address: cluster of Ray; ``local`` starts one for the run.
        tracker: ``tensorboard``, ``mlflow`` or ``wandb``, or several, that are told of the run.
        again: remove what a former run left in the folder, and run anew.
        reevaluate: keep the models that the run in the folder trained, and measure them anew, also with other settings
            of the measuring than before.
        keep: keep what the study drops at its end, such as fine-tuned models.
        force: go on although the estimated memory, or a changed version of what computes the result, speaks against it.
        say: receives a line about each piece of work.
        settings: settings by name; they win over ``config``, which wins over ``preset``. A section is a dictionary:
            ``distribution={{"dim": 8}}``. `gating {name} --help` says what each may hold.

    Returns:
        The result table, answers included; the folder, with its report, is the one that the command writes.

    Raises:
        SpecError: with a sentence for each thing that is wrong; nothing is written then.
        FolderError: the folder holds something else, is in use or cannot be written.
        Interrupted: on Ctrl-C; the same call goes on from what is saved.
        RunFailed: a computation has no result.
"""


class StudyFunction(Protocol):
    """A study as a function: runs it, or goes on with what its folder holds, draws its report, gives its table."""

    __name__: str

    def __call__(
        self,
        config: Any = None,
        *,
        preset: str | None = None,
        out: str | Path | None = None,
        say: Callable[[str], None] = print,
        **given: Any,
    ) -> pd.DataFrame:
        """Runs the study."""


def study_function(study: Study[Any]) -> StudyFunction:
    """A study as a function of its settings.

    Args:
        study: the study, such as `find_study` gives one by its name.

    Returns:
        A function with the settings as keywords; its docstring describes them.

    Example:
        >>> from gating.runs.catalogue import find_study
        >>> bounds = study_function(find_study("bounds"))
        >>> table = bounds(n_sequences=[64, 128], distribution={"label_noise": 0.1})
        >>> table["n"].dropna().unique().tolist()
        [64, 128]
        >>> bounds(n_sequence=64, beta=0)
        Traceback (most recent call last):
        ...
        theory.settings.SpecError: unknown key `n_sequence`; did you mean `n_sequences`?; \
`beta` must be a finite number > 0; got 0
    """

    def call(
        config: Any = None,
        *,
        preset: str | None = None,
        out: str | Path | None = None,
        say: Callable[[str], None] = print,
        **given: Any,
    ) -> pd.DataFrame:
        from gating.runs import engine  # what draws and trains is imported where it does, which help does without
        from gating.runs.resources import resources_of

        strange = [f"unknown key `{name}`: it is of the command alone" for name in COMMAND_ONLY if name in given]
        if strange:
            raise SpecError(strange)
        files = {name: value for name, value in {"config": config, "preset": preset}.items() if value is not None}
        place = {"out": "none" if out is None else out}
        chosen, options = read_call(files | given | place, study.config, RunOptions, study.presets())
        how = resources_of(options, say)
        flags = {name: getattr(options, name) for name in ("again", "reevaluate", "force")}
        return engine.run(study, chosen, options.folder(study), how, **flags)

    call.__name__ = call.__qualname__ = study.name()
    call.__doc__ = _described(study)
    inherited = [part for part in inspect.signature(call).parameters.values() if part.kind != part.VAR_KEYWORD]
    options = [_parameter(field) for field in fields(RunOptions) if field.name not in (*COMMAND_ONLY, "out")]
    own = [_parameter(field) for field in fields(study.config) if field.name != "study"]
    call.__signature__ = inspect.Signature([*inherited, *options, *own], return_annotation=pd.DataFrame)  # type: ignore[attr-defined]
    return call


def _parameter(field: Field[Any]) -> inspect.Parameter:
    default = field.default_factory() if field.default_factory is not MISSING else field.default
    shown = inspect.Parameter.empty if default is MISSING else default
    return inspect.Parameter(field.name, inspect.Parameter.KEYWORD_ONLY, default=shown)


def _described(study: Study[Any]) -> str:
    """The docstring of a study's function: its question, the arguments of every such function, its settings."""
    presets = ": " + ", ".join(study.presets()) if study.presets() else "; it has none"
    arguments = ARGUMENTS.format(presets=presets, name=study.name())
    lines = (f"{name}: {text}" for name, text in described(study.config).items())
    settings = [fill(line, 112, initial_indent=" " * 4, subsequent_indent=" " * 8) for line in lines]
    own = "\n".join([(study.config.__doc__ or "").split("\n")[0], "", "Args:", *settings])
    return "\n\n".join(map(inspect.cleandoc, (study.question(), arguments, own)))


@cache
def _function(name: str) -> StudyFunction:
    return study_function(find_study(name))


def __getattr__(name: str) -> StudyFunction:
    """The function of every installed study, by its name."""
    if name.startswith("_") or name not in study_names():
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return _function(name)


def read_results(
    path: str | Path, where: Mapping[str, Any] | None = None, columns: Sequence[str] | None = None
) -> pd.DataFrame:
    """The table of a finished run, or the rows of it that a query asks for.

    Args:
        path: folder of the run, its file ``results.parquet``, or a folder of parts of a table.
        where: for a column, the value that its rows must have, or several, as `gating.results.parquet.read_table`
            takes them: only what the query needs is read.
        columns: names of the columns to read; all by default.

    Raises:
        FolderError: there is none.
        Damaged: the table in the folder is not as the run wrote it, which is looked at where all of it is read.
        ValueError: the query does not suit the table, or a file has another schema version.
    """
    path = Path(path).expanduser()
    folder = RunFolder(path)
    if folder.is_run or not (path.is_file() or next(path.glob("**/*.parquet"), None)):
        if not folder.has(TABLE):
            raise FolderError(f"`{path}` must be a finished run; it has no {TABLE}")
        if where is None and columns is None:
            folder.verified(TABLE)
    table = read_table(path, where, columns)
    if folder.is_run and where is None and columns is None:
        table.attrs["settings"] = folder.manifest["identity"]["config"]
    return table
