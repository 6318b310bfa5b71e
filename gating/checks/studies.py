"""The contract of studies: `check_study` runs one in several ways, stops it on the way, and compares the tables."""

import os
import random
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import fields, is_dataclass, replace
from pathlib import Path
from shutil import copy, copytree
from typing import Any

import numpy as np
from markupsafe import escape
from torch.utils._python_dispatch import TorchDispatchMode

from gating.checks.contract import Contract
from gating.checks.trial import Stopped, StoppingFolder, Trial, chance, differing, quiet
from gating.page.page import write_page
from gating.results.table import key_names, make_table
from gating.runs.catalogue import study_names
from gating.runs.errors import FolderError
from gating.runs.folder import RunFolder
from gating.runs.identity import contents
from gating.runs.options import RunOptions
from gating.runs.study import Study
from gating.settings import read_call, read_flags
from gating.settings.text import as_plain, print_config
from theory.fields import PathText, parted
from theory.settings import SpecError, build, field_types

__all__ = ["STUDY_CONTRACT", "check_study"]

STOPS = 4
"""How often a run is stopped, at most: files after which it is are spread over all that it keeps."""

ROUNDING = 1e-4
"""How far numbers may differ that are summed by other numbers of threads, as a share of their size."""


STUDY_CONTRACT = Contract[Trial]()
"""What a study promises; see :func:`check_study`."""


def check_study(study: type[Study[Any]] | Study[Any], config: Any = None) -> None:
    """Looks whether a study keeps its contract, ``STUDY_CONTRACT.sentences``; it is run about a dozen times.

    Args:
        study: the study, or its class. It need not be installed.
        config: settings of a run of a few seconds; the defaults where it is left out.

    Raises:
        ContractBroken: naming each sentence that is not kept, and what was seen.

    Example:
        >>> from gating.studies.phases.study import Phases
        >>> axes = {"x": {"field": "n_sequences", "values": [10, 99]}, "y": {"field": "dim", "values": [8, 16]}}
        >>> small = Phases.config(**axes)
        >>> check_study(Phases, small)
        >>> class Forgetful(Phases):
        ...     def rows(self, config, work):
        ...         return super().rows(config, work).assign(place="here")
        >>> check_study(Forgetful, small)
        Traceback (most recent call last):
        ...
        gating.checks.contract.ContractBroken: ...rows_are_declared: ... got ['place']
    """
    make: Any = study if isinstance(study, type) else type(study)
    if not (isinstance(make, type) and issubclass(make, Study)):
        raise ValueError(f"`study` must be a Study, or a class of them; got {study!r}")
    if config is not None and not isinstance(config, make.config):
        raise ValueError(f"`config` must be a {make.config.__name__}; got {config!r}")
    with tempfile.TemporaryDirectory() as root:
        STUDY_CONTRACT.require(Trial(make, config, Path(root)))


@STUDY_CONTRACT.says
def has_a_question(trial: Trial) -> Iterator[str]:
    """The first line of a study's docstring is a question; its settings are of its class, and hold its name."""
    study = trial.make()
    if not study.question().strip().endswith("?"):
        yield f"the question {study.question()!r}"
    if trial.config.study != study.name() or not study.name().isidentifier():
        yield f"a study {study.name()!r} with settings of {trial.config.study!r}"
    positional = [name for name in study.positionals if name not in field_types(study.config)]
    if positional:
        yield f"positionals {positional}, which are no settings"


@STUDY_CONTRACT.says
def settings_come_back(trial: Trial) -> Iterator[str]:
    """Settings come back the same from their plain values, and from the text that is printed of them."""
    config, cls = trial.config, type(trial.config)
    if build(cls, as_plain(config)) != config:
        yield f"{build(cls, as_plain(config))} from plain values of {config}"
    file = trial.fresh().with_suffix(".yaml")
    file.write_text(print_config(config), encoding="utf-8")
    read, _ = read_flags(["--config", str(file)], cls)
    if read != config:
        yield f"{read} from the text of {config}"


@STUDY_CONTRACT.says
def presets_are_settings(trial: Trial) -> Iterator[str]:
    """Every preset is a file of its settings, and help names each setting."""
    study = trial.make()
    for name in study.presets():
        try:
            read_call({"preset": name}, study.config, None, study.presets())
        except SpecError as error:
            yield f"preset `{name}`: {error}"
    shown = study.help(RunOptions)
    lacking = [name for name in field_types(study.config) if name not in shown]
    if lacking:
        yield f"help without {', '.join(lacking)}"


@STUDY_CONTRACT.says
def parts_are_named(trial: Trial) -> Iterator[str]:
    """Parts have folders of their own, and wait for each other in no circle; listed again they are the same."""
    first, again = trial.parts(), trial.parts()
    names = [[(part.name, part.after, part.wide, part.kept) for part in parts] for parts in (first, again)]
    if names[0] != names[1]:
        yield f"{[part for part in names[1] if part not in names[0]]} when listed again"
    if not first:
        yield "no part"
    idle = [replace(part, work=lambda place, resources: None) for part in first]
    with trial.worked(RunFolder(trial.fresh()), idle):
        return


class _Counted(TorchDispatchMode):
    """Counts operations on tensors."""

    seen = 0

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.seen += 1
        return function(*args, **(kwargs or {}))


@STUDY_CONTRACT.says
def listing_computes_nothing(trial: Trial) -> Iterator[str]:
    """Listing parts does none of their work: it makes no tensor and draws no chance."""
    study = trial.make()
    with chance(0), _Counted() as counted:
        before = _drawn()
        for listed in (study.ensembles(trial.config), study.parts(trial.config)):
            list(listed)
        drawn = before != _drawn()
    if counted.seen or drawn:
        yield f"{counted.seen} operations on tensors while parts were listed{', and chance drawn' * drawn}"


def _drawn() -> tuple[Any, ...]:
    """Where numpy's and Python's global sources of chance are; drawing from torch's is an operation on tensors."""
    name, keys, place, *rest = np.random.get_state()  # noqa: NPY002
    return (name, np.asarray(keys).tobytes(), place, *rest, random.getstate())


@STUDY_CONTRACT.says
def rows_are_declared(trial: Trial) -> Iterator[str]:
    """Rows and answers have declared columns, values in the range of their measures, the study's name, and keys of
    their own."""
    table, study = trial.whole[0], trial.make()
    if table.empty:
        yield "no row"
    named = table["study"].dropna().unique().tolist()
    if len(named) != 1 or not {*named} <= {study.name(), *study_names()} or table["study"].isna().any():
        yield f"rows of studies {named}, of {study.name()!r}"
    lacking = [name for name in ("system", "measure", "kind") if table[name].isna().any()]
    if lacking:
        yield f"rows without {', '.join(lacking)}"
    twice = table[table.duplicated(key_names(table))]
    if len(twice):
        yield f"{len(twice)} rows whose keys another row has, such as {twice.iloc[0].dropna().to_dict()}"


@STUDY_CONTRACT.says
def rows_are_kept_work(trial: Trial) -> Iterator[str]:
    """Rows are made of what the parts keep, by any object of the class and at any time; reading keeps nothing."""
    path, found, kept = trial.fresh(), [], []
    for _ in range(2):
        folder = RunFolder(path)
        with trial.worked(folder, trial.parts()) as work:
            before = {**folder.manifest["files"]}
            found.append(make_table(trial.make().rows(trial.config, work)))
            kept += [name for name, known in folder.manifest["files"].items() if before.get(name) != known]
    if differs := differing(found[0], found[1]):
        yield f"read again, {differs}"
    if kept:
        yield f"kept while rows were read: {', '.join(kept)}"


@STUDY_CONTRACT.says
def settings_decide(trial: Trial) -> Iterator[str]:
    """The same settings give the same table, bit for bit: global sources of chance are not drawn from."""
    before = trial.whole[0]
    with chance(1):
        if found := differing(before, trial.table()):
            yield f"in another run, {found}"


@STUDY_CONTRACT.says
def workers_change_nothing(trial: Trial) -> Iterator[str]:
    """Neither the number of workers nor the order in which parts end changes the table; but where a wide part spreads
    over the workers, they may round its numbers otherwise, by 1e-4 of their size."""
    rounding = ROUNDING if any(part.wide for part in trial.parts()) else 0.0
    if found := differing(trial.whole[0], trial.table(workers=3), rounding):
        yield f"with three workers, {found}"
    if found := differing(trial.whole[0], trial.table(parts=trial.parts()[::-1])):
        yield f"with parts in reversed order, {found}"


@STUDY_CONTRACT.says
def stopped_runs_go_on(trial: Trial) -> Iterator[str]:
    """A run that is stopped after any file that it keeps goes on to the same table."""
    table, files, _ = trial.whole
    for after in sorted({round(number) for number in np.linspace(1, files, min(STOPS, files))}):
        path = trial.fresh()
        with suppress(Stopped):
            trial.table(StoppingFolder(path, after))
        if found := differing(table, trial.table(RunFolder(path))):
            yield f"stopped after {after} of {files} files, {found}"


@STUDY_CONTRACT.says
def answers_are_of_the_table(trial: Trial) -> Iterator[str]:
    """Answers are a function of settings and rows, which are not changed: asked again, or of rows that come back from
    disk, they are the same."""
    found, rows = [], trial.rows.copy()
    for given in (rows, rows, trial.read_back(trial.rows)):
        answers = trial.make().answers(trial.config, given)
        found.append(make_table([]) if answers is None else make_table(answers).assign(answer=True))
        if changed := differing(trial.rows, given):
            yield f"rows are changed: {changed}"
    for which, again in zip(("asked again", "of rows from disk"), found[1:], strict=True):
        if differs := differing(found[0], again):
            yield f"{which}, {differs}"


@STUDY_CONTRACT.says
def page_and_text_are_of_the_table(trial: Trial) -> Iterator[str]:
    """Page and text are made of the table as it comes back from disk, which they do not change, and say the same."""
    table, _, beside = trial.whole
    held, texts = trial.read_back(table), []
    for given in (table.copy(), held):
        study = trial.make()
        texts.append(study.text(trial.config, given))
        page = study.page(trial.config, given, beside)
        if found := differing(table, given):
            yield f"the table is changed: {found}"
    if not texts[0].strip() or texts[0] != texts[1]:
        yield f"the text {texts[1]!r} in place of {texts[0]!r}"
    drawn = write_page(page, held, as_plain(trial.config), {})
    lacking = [text for text in (page.title, page.question) if not text or escape(text) not in drawn]
    if lacking:
        yield f"a page without {lacking}"


@STUDY_CONTRACT.says
def estimates_are_numbers(trial: Trial) -> Iterator[str]:
    """`memory` and `estimate` give numbers >= 0, or NaN; like `inputs` and `check` they leave no file."""
    study, place = trial.make(), trial.fresh()
    place.mkdir()
    held, tempfile.tempdir = tempfile.tempdir, str(place)
    before = sorted(os.listdir())
    try:
        study.inputs(trial.config, lambda line: None)
        study.check(trial.config, quiet())
        estimate = study.estimate(trial.config, quiet())
        numbers = {"memory": study.memory(trial.config)} | {f"estimated {k}": v for k, v in vars(estimate).items()}
    finally:
        tempfile.tempdir = held
    if wrong := {name: value for name, value in numbers.items() if not (0 <= value < float("inf") or value != value)}:
        yield f"{wrong}"
    if left := [*sorted(set(os.listdir()) - set(before)), *os.listdir(place)]:
        yield f"files that are left: {left}"


@STUDY_CONTRACT.says
def inputs_are_named(trial: Trial) -> Iterator[str]:
    """Of files and folders that settings name, `inputs` tells when their content is another."""
    study = trial.make()
    for name, value in _paths(trial.config):
        place = trial.fresh()
        (copytree if os.path.isdir(value) else copy)(value, place)
        nested = as_plain(trial.config)
        *sections, last = name.split(".")
        inside = nested
        for section in sections:
            inside = inside[section]
        inside[last] = str(place)
        config = build(type(trial.config), nested)
        before = contents(study.inputs(config, lambda line: None))
        for file in [place] if place.is_file() else [file for file in place.rglob("*") if file.is_file()]:
            with file.open("ab") as stream:
                stream.write(b"\n0\n")
        with suppress(SpecError, FolderError):  # where what is in it is no input any more, that is told too
            if contents(study.inputs(config, lambda line: None)) == before:
                yield f"`{name}` names '{value}', whose content `inputs` does not give"


def _paths(config: Any, prefix: str = "") -> Iterator[tuple[str, str]]:
    """Settings that name what is there, by dotted name."""
    hints: Mapping[str, Any] = field_types(type(config))
    for field in fields(config):
        value, base = getattr(config, field.name), parted(hints[field.name])[0]
        if is_dataclass(value):
            yield from _paths(value, f"{prefix}{field.name}.")
        elif (hints[field.name] == PathText or base is Path) and os.path.exists(value):
            yield f"{prefix}{field.name}", str(value)
