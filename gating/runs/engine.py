"""Runs a study from its settings to its table, answers and page; nothing here knows which study it is."""

import json
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
import psutil

from gating.page.page import PAGE, write_page
from gating.results.parquet import read_table, write_table
from gating.results.table import json_rows, make_table
from gating.runs import processes
from gating.runs.errors import FolderError
from gating.runs.executor import Part, Resources, run_parts
from gating.runs.folder import TABLE, RunFolder
from gating.runs.identity import contents, identity_of, what_changed
from gating.runs.manifest import is_inside
from gating.runs.ranks import number, started
from gating.runs.store import Place
from gating.runs.study import Study
from gating.runs.tracking import FOLDER as TRACKERS
from gating.runs.tracking import Tracking, measured
from gating.settings.text import as_plain, print_config
from theory.settings import SpecError, build

__all__ = ["as_json", "estimate", "parts_of", "redraw", "run", "table_of"]

CONFIG, ENVIRONMENT = "config.yaml", "environment.json"
LARGEST_SHARE = 0.8
"""Share of the machine's memory that a run may be estimated to need."""


def run(
    study: Study[Any],
    config: Any,
    out: str | Path | None,
    resources: Resources | None = None,
    *,
    again: bool = False,
    reevaluate: bool = False,
    force: bool = False,
) -> pd.DataFrame:
    """Runs a study, or goes on with what its folder holds, and draws its page.

    Args:
        study: the study.
        config: its settings; they and its inputs decide the result.
        out: folder of the run; None keeps nothing. A finished run of the same settings and inputs is read.
        resources: what it may use; one worker on the CPU by default.
        again: removes the files of the run that the folder holds first.
        reevaluate: keeps what that run trained and makes the rest anew, also with other `Study.of_evaluation`.
        force: goes on although memory, or a changed version of what computes, speaks against it.

    Returns:
        The result table with the answers, of the schema of `gating.results`.

    Raises:
        SpecError: settings or inputs do not suit; nothing is written then.
        FolderError: the folder holds something else, is in use or cannot be written.
        Interrupted: on Ctrl-C; the same call goes on from what is saved.
        RunFailed: a computation has no result.

    Example:
        >>> from gating.runs.catalogue import find_study
        >>> bounds = find_study("bounds")
        >>> table = run(bounds, bounds.config(n_sequences=(64,)), None)
        >>> set(table["study"]) == {"bounds"}
        True
    """
    how, held = resources or Resources(), _Held(again, reevaluate, force)
    if started() == 1:
        return _run(study, config, out, how, held)
    if number():
        return processes.follow(study, config, how, parts_of)
    return processes.lead(study, how, lambda: _run(study, config, out, how, held))


class _Held(NamedTuple):
    """What becomes of the run that a folder holds; the arguments of `run`."""

    again: bool
    reevaluate: bool
    force: bool


def _run(study: Study[Any], config: Any, out: str | Path | None, how: Resources, held: _Held) -> pd.DataFrame:
    _require_memory(study, config, held.force)
    inputs = study.inputs(config, how.say)
    if out is None:
        study.check(config, how)
        with tempfile.TemporaryDirectory() as place:
            folder = RunFolder(Path(place) / "run")
            with folder.locked():
                folder.begin("none", {})
                return _of(config, _table(study, config, folder, how))
    folder, identity = RunFolder(out), identity_of(study.name(), config, inputs, how.device)
    _require_same(study, config, folder, identity, held)
    if held.again or held.reevaluate or not (folder.is_run and folder.finished):
        study.check(config, how)
    with folder.locked():
        changed = _require_same(study, config, folder, identity, held)
        if held.again or not folder.is_run:
            folder.begin(study.name(), identity)
        elif held.reevaluate:
            _keep_trained(folder, identity)
        elif changed and not folder.finished:
            folder.change(identity=identity)
            folder.discard([ENVIRONMENT])
        _mend(parts_of(study, config, how.device), folder, how.say)
        _describe(folder, config)
        name = f"{study.name()} {folder.path.resolve().name}"
        with Tracking(how.trackers, folder.path / TRACKERS, name, as_plain(config), how.say) as tracking:
            table = _table(study, config, folder, replace(how, log=tracking.log))
            _draw(study, config, table, folder, how.say)
            if how.trackers:
                for step, values in measured(table):
                    tracking.log("results", values, step)
                for file in (TABLE, PAGE):
                    tracking.attach(folder.path / file)
        return _of(config, table)


def _of(config: Any, table: pd.DataFrame) -> pd.DataFrame:
    """A table that says which settings it is of."""
    table.attrs["settings"] = as_plain(config)
    return table


def _require_memory(study: Study[Any], config: Any, force: bool) -> None:
    needed, there = study.memory(config), psutil.virtual_memory().total
    if needed > LARGEST_SHARE * there and not force:
        fit = f"the settings must fit into {LARGEST_SHARE:.0%} of the machine's {_size(there)} of memory"
        raise SpecError([f"{fit}; the run is estimated to need {_size(needed)}: choose smaller ones, or --force"])


def _require_same(study: Study[Any], config: Any, folder: RunFolder, identity: Mapping[str, Any], held: _Held) -> bool:
    """That the folder holds the same run, or none; with `again`, any; with `reevaluate`, one that trained the same.

    Returns whether it passed by `force` alone.
    """
    if held.reevaluate and not study.of_evaluation:
        why = "it has no settings of measuring alone, without which nothing that was trained is measured anew"
        raise SpecError([f"`reevaluate` must be left out for `{study.name()}`: {why}"])
    if held.reevaluate and not folder.is_run:
        raise FolderError(f"`{folder.path}` must hold a run whose trained models are measured anew; it holds none")
    if held.again or not folder.is_run:
        return False
    there = folder.manifest
    if there["study"] != study.name():
        raise FolderError(f"`{folder.path}` holds a run of `{there['study']}`; choose another folder")
    old, finished = there["identity"], folder.finished and not held.reevaluate
    asked, computed = what_changed(old, identity, finished=finished)
    trained, _ = what_changed(_training(study, old), _training(study, identity), finished=finished)
    if refused := trained if held.reevaluate else asked:
        keep = "" if trained else ", measure what it trained anew with --reevaluate"
        alone = f"only {', '.join(study.of_evaluation)} may be others with --reevaluate; " if held.reevaluate else ""
        remedy = f"{alone}choose another folder{keep}, or remove that run with --again"
        raise FolderError(f"`{folder.path}` holds a run with other settings ({'; '.join(refused)}); {remedy}")
    if computed and not held.force:
        remedy = "begin anew with --again, or go on with --force; `gating report` draws a finished one as it is"
        raise FolderError(f"`{folder.path}` holds a run that something else computed ({'; '.join(computed)}); {remedy}")
    before, now = (of["environment"]["device"] for of in (old, identity))
    holds = not finished and any(part.startswith("train/") for part in folder.done)
    if holds and before != now and _training_parts(study, config, before) != _training_parts(study, config, now):
        why = f"models that were trained in other groups, as `device` {before} has them"
        raise FolderError(f"`{folder.path}` holds {why}; go on with that device, or begin anew with --again")
    return bool(computed)


def _training_parts(study: Study[Any], config: Any, device: str) -> list[str]:
    """Names of the parts that train: of one number for each shape on a GPU, of more on a CPU."""
    return [part.name for part in parts_of(study, config, device) if part.name.startswith("train/")]


def _training(study: Study[Any], identity: Mapping[str, Any]) -> dict[str, Any]:
    """An identity without the settings that training does not read."""
    read = {name: value for name, value in identity["config"].items() if name not in study.of_evaluation}
    return {**identity, "config": read}


def _keep_trained(folder: RunFolder, identity: dict[str, Any]) -> None:
    """Takes all but the trained models out of a run, the table first: a kill then leaves one that is not finished."""
    folder.discard([TABLE])
    others = [name for name in folder.manifest["files"] if not name.startswith("parts/train/")]
    folder.discard(others, [part for part in folder.done if not part.startswith("train/")])
    folder.change(identity=identity)


def parts_of(study: Study[Any], config: Any, device: str) -> list[Part]:
    """All parts of a run: groups of ensembles, then the others."""
    trained: list[Part] = []
    for ensemble in study.ensembles(config):
        first = sum(part.name.startswith(f"train/{ensemble.name}/") for part in trained)
        trained += ensemble.parts(device, first)
    return [*trained, *study.parts(config)]


def table_of(study: Study[Any], config: Any, work: Place) -> pd.DataFrame:
    """Rows and answers of a study whose parts are done."""
    rows = make_table(study.rows(config, work))
    found = study.answers(config, rows)
    answers = [] if found is None else [make_table(found).assign(answer=True)]
    return make_table(pd.concat([rows, *answers], ignore_index=True))


def _mend(parts: Sequence[Part], folder: RunFolder, say: Callable[[str], None]) -> None:
    """Takes files that are not as they were written out of the run, with the part they belong to: it is made again.

    A finished run makes no part again: its table stands without them.
    """
    finished = folder.finished
    if finished:  # a kill may have come while they were dropped
        _forget_undone(parts, folder)
    for name, problem in folder.damaged().items():
        if name not in folder.manifest["files"] or (finished and _is_beside(name)):
            continue  # its part was taken out with a file before, or drawing the page names it
        owner = next((part.name for part in parts if is_inside(name, part.name)), None)
        remedy = "is taken out of the run, whose table stays" if finished and owner else "is made again"
        say(f"{problem.split(';')[0]}; {f'part `{owner}`' if owner else 'it'} {remedy}")
        folder.discard([name])
        folder.forget([owner] if owner else [])


def _forget_undone(parts: Sequence[Part], folder: RunFolder) -> None:
    done = set(folder.done)
    folder.forget([part.name for part in parts if part.name not in done])


def _is_beside(name: str) -> bool:
    """Whether a file is of those that `Study.beside` gives for the page."""
    return name.endswith(".jsonl") and "/" not in name


def _describe(folder: RunFolder, config: Any) -> None:
    """Writes, for people, what the manifest holds."""
    if not folder.has(CONFIG):
        folder.write_text(CONFIG, print_config(config))
    if not folder.has(ENVIRONMENT):
        folder.write_text(ENVIRONMENT, json.dumps(folder.manifest["identity"]["environment"], indent=2) + "\n")


def _table(study: Study[Any], config: Any, folder: RunFolder, how: Resources) -> pd.DataFrame:
    """The finished table; parts that the study does not keep are removed once it is written."""
    if folder.finished:
        how.say(f"`{folder.path}` is finished; its table is used as it is")
        dropped = [part.name for part in parts_of(study, config, how.device) if part.name not in folder.done]
        if how.keep and dropped:
            what = f"{len(dropped)} parts, such as `{dropped[0]}`, were dropped when it ended"
            how.say(f"nothing more can be kept of `{folder.path}`: {what}; --again --keep makes and keeps them")
        return folder.read(TABLE, read_table)
    parts, work = parts_of(study, config, how.device), Place(folder, "")
    run_parts(processes.announced(parts), folder, how)
    table = table_of(study, config, work)
    beside = study.beside(config, work)
    _require_same_inputs(study, config, folder)
    for name, text in beside.items():
        folder.write_text(name, text)
    folder.write(TABLE, lambda draft: write_table(table, draft))
    folder.change(done=[part.name for part in parts if part.kept or how.keep])
    _forget_undone(parts, folder)
    return folder.read(TABLE, read_table)


def _require_same_inputs(study: Study[Any], config: Any, folder: RunFolder) -> None:
    """That no input changed while the run read it; otherwise nothing says what its parts were made from."""
    identity = folder.manifest["identity"]
    now = contents(study.inputs(config, lambda line: None))
    changed = [name for name, held in identity.get("inputs", {}).items() if now.get(name) != held]
    if changed:
        folder.change(identity={**identity, "inputs": dict.fromkeys(identity["inputs"], "changed during the run")})
        raise FolderError(f"the content of {', '.join(changed)} changed during the run; begin anew with --again")


def texts_beside(folder: RunFolder) -> dict[str, str]:
    """Text of the files that `Study.beside` gave, by name."""
    remedy = "put it back, or begin anew with --again"
    return {name: folder.read(name, lambda path: path.read_text(encoding="utf-8"), remedy)
            for name in folder.manifest["files"] if _is_beside(name)}  # fmt: skip


def _draw(study: Study[Any], config: Any, table: pd.DataFrame, folder: RunFolder, say: Callable[[str], None]) -> None:
    beside = texts_beside(folder)
    held = folder.manifest["identity"]["environment"]
    page = study.page(config, table, beside)
    folder.write_text(PAGE, write_page(page, table, as_plain(config), held, study.command(config)))
    say(f"report: {folder.path / PAGE}")


def redraw(study_of: Callable[[str], Study[Any]], path: str | Path, say: Callable[[str], None]) -> None:
    """Draws the page of a finished run again, without running it.

    Args:
        study_of: finds a study by its name.
        path: folder of the run.
        say: receives a line that names the page.

    Raises:
        FolderError: the folder holds no finished run, or a file in it is damaged.
    """
    folder = RunFolder(path)
    if not folder.has(TABLE):
        raise FolderError(f"`{path}` must be a finished run; it has no {TABLE} yet")
    with folder.locked():
        study = study_of(folder.manifest["study"])
        config = build(study.config, folder.manifest["identity"]["config"])
        _describe(folder, config)
        _draw(study, config, folder.read(TABLE, read_table), folder, say)


def as_json(name: str, config: Any, table: pd.DataFrame) -> dict[str, Any]:
    """Settings, rows of the last step and answers, as JSON takes them."""
    rows, answers = json_rows(table[~table["answer"]]), json_rows(table[table["answer"]])
    return {"study": name, "settings": as_plain(config), "rows": rows, "answers": answers}


def estimate(study: Study[Any], config: Any, resources: Resources) -> str:
    """What a run will take, in a sentence; checks inputs and settings as a run does, and writes nothing.

    Raises:
        SpecError: settings or inputs do not suit.
    """
    study.inputs(config, resources.say)
    study.check(config, resources)
    start = time.perf_counter()
    found, parts = study.estimate(config, resources), parts_of(study, config, resources.device)
    spent = time.perf_counter() - start
    takes = f"about {_time(found.seconds)}, {_size(found.memory)} of memory and {_size(found.disk)} of disk"
    where = f"{len(parts)} parts, {resources.workers} worker thread(s) on {resources.device}"
    return f"`{study.name()}`, {where}: {takes} (estimated in {spent:.1f} s; nothing was written)"


def _time(seconds: float) -> str:
    if seconds != seconds:
        return "an unknown time"
    unit, name = next(unit for unit in ((3600, "h"), (60, "min"), (0, "s")) if seconds >= unit[0])
    return f"{seconds / unit:.1f} {name}" if unit else f"{seconds:.0f} s"


def _size(size: float) -> str:
    if size != size:
        return "an unknown amount"
    return f"{size / 2**30:.1f} GiB" if size >= 2**30 else f"{size / 2**20:.0f} MiB"
