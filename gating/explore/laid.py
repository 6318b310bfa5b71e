"""Measured runs laid over theory: errors and gates with their intervals beside the curves of the setting."""

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from gating.explore.parts import refused, titled, words
from gating.explore.setting import SIZES, Setting, bounds_of, texts_of
from gating.page.figures import Figure
from gating.page.multiples import DOTTED, Facet, Multiples, Row, Trace, drawn
from gating.page.names import OTHER_COLOURS, SHAPES, System, system_of
from gating.results.table import summarise
from gating.runs.calls import read_results
from gating.runs.errors import FolderError
from gating.settings.text import as_plain, settings_differences
from gating.studies.bounds.page import LOSSES
from gating.studies.bounds.study import risks_of
from gating.studies.vocabulary import CONDITIONS, GATE, GROUPS
from theory.distribution import ClassMixture
from theory.settings import SpecError, build

__all__ = ["Laid", "laid_over", "read_run", "read_runs", "texts_of_run"]

GATES = ("effective_gate", "mean_gate")
CONFLICT, SILENT = "the context says otherwise", "the context does not tell"
CASES = {("oobd", "relevant"): CONFLICT, ("ibd", "irrelevant"): SILENT, ("", "contradicting"): CONFLICT,
         ("", "someone_else"): SILENT}  # fmt: skip
"""What a gate is measured on; language models name their contexts otherwise, and any distribution is theirs."""

NAMES = {"llm": "Language model"}
TELLING = ("mixture", "exposure", "model", "answered", "p_high")
"""Columns that tell lines of one system of a run apart."""

MAIN = dict([*CONDITIONS.items()][:4])
"""Test conditions that tell the most."""

MOST_LINES = 16


class Laid(NamedTuple):
    """A run that is laid over theory.

    Attributes:
        name: its folder.
        study: its study.
        distribution: its data; none of a language model.
        rows: its measured gates and errors, seeds averaged, and those that the study `kinetics` computes.
    """

    name: str
    study: str
    distribution: ClassMixture | None
    rows: pd.DataFrame


@lru_cache(maxsize=32)
def read_run(path: str) -> Laid:
    """A finished run, from its result table.

    Raises:
        FolderError: the folder holds no finished run, or one without gates and errors.
    """
    table = read_results(path)
    plain: Mapping[str, Any] = table.attrs.get("settings", {})
    kept = table[~table["answer"] & table["measure"].isin([*GATES, *LOSSES])]
    kept = kept[(kept["kind"] == "measured") | (kept["system"] == "kinetics")]
    kept = kept[~kept["system"].str.startswith("reference", na=False)]  # they stand in place of g and h
    if kept.empty:
        raise FolderError(f"`{path}` has no measured gates or errors that could be laid over theory")
    try:
        data = build(ClassMixture, plain["distribution"]) if "distribution" in plain else None
    except SpecError:
        data = None
    return Laid(Path(path).resolve().name, str(plain.get("study", "")), data, summarise(kept))


def read_runs(paths: Sequence[str]) -> list[Laid]:
    """Finished runs, each once; of folders of one name, with as much of the path before it as tells them apart.

    Raises:
        FolderError: as `read_run`.
    """
    places = dict[Sequence[str], str]()
    for path in paths:
        places.setdefault(Path(path).resolve().parts, path)
    return [read_run(path)._replace(name=_short(parts, places)) for parts, path in places.items()]


def _short(parts: Sequence[str], others: Iterable[Sequence[str]]) -> str:
    """The end of a path that no other one has.

    Example:
        >>> _short(("/", "old", "compare"), [("/", "old", "compare"), ("/", "new", "compare")])
        'old/compare'
    """
    ends = (parts[-length:] for length in range(1, len(parts)))
    return "/".join(next((end for end in ends if sum(o[-len(end) :] == end for o in others) == 1), parts))


def texts_of_run(run: Laid) -> dict[str, str]:
    """The data of a run as values of the explorer; none of a language model."""
    if run.distribution is None:
        return {}
    texts = texts_of(Setting(distribution=run.distribution))
    return {key: text for key, text in texts.items() if key.startswith("distribution.")}


def laid_over(paths: tuple[str, ...], setting: Setting) -> str:
    """Figures of measured errors and gates, with the theory of the setting, as JSON."""
    try:
        runs = read_runs(paths)
        rows = [nearest(run.rows, setting) for run in runs]
        figures = [titled(each) for each in _errors(_over_n(rows, runs), setting)]
        figures += _gates_over_n(paths, tuple(tuple(_chosen(run.rows, setting).items()) for run in runs))
        figures += _gates_over_steps(paths)
        found: dict[str, Any] = {"figures": figures, "said": list(_said(runs, setting))}
    except (ValueError, ArithmeticError, MemoryError) as error:
        found = {"refused": refused(error)}
    return json.dumps(found, separators=(",", ":"), allow_nan=False)


def _said(runs: Sequence[Laid], setting: Setting) -> Iterator[str]:
    """What the data of each run have otherwise than the setting."""
    said = words().said
    for run in runs:
        if run.distribution is None:
            yield said["no_mixture"].format(run=run.name)
            continue
        differ = settings_differences(as_plain(run.distribution), as_plain(setting.distribution))
        yield (
            said["differs"].format(run=run.name, differ=", ".join(differ))
            if differ
            else said["same"].format(run=run.name)
        )


def nearest(rows: pd.DataFrame, setting: Setting) -> pd.DataFrame:
    """Rows of the data that are nearest to the setting, where a run has several: field by field.

    Example:
        >>> rows = pd.DataFrame({"p_high": [0.5, 0.9], "value": [1, 2]})
        >>> nearest(rows, Setting())["value"].tolist()
        [2]
    """
    return _of(rows, _chosen(rows, setting).items())


def _of(rows: pd.DataFrame, chosen: Iterable[tuple[str, Any]]) -> pd.DataFrame:
    for name, value in chosen:
        rows = rows[rows[name].isna() | (rows[name] == value)]
    return rows


def _chosen(rows: pd.DataFrame, setting: Setting) -> dict[str, Any]:
    """Of each field of the data in which rows differ, the value that is nearest to the setting."""
    found = {}
    for name, value in as_plain(setting.distribution).items():
        held = rows[name].dropna().unique() if name in rows and isinstance(value, (int, float)) else ()
        if len(held) > 1:
            found[name] = min(held, key=lambda other: abs(other - value))
    return found


def _over_n(rows: Sequence[pd.DataFrame], runs: Sequence[Laid]) -> pd.DataFrame:
    """Measured rows over N of all runs, by the names of the legend."""
    parts = [_named(own[own["n"].notna() & (own["kind"] == "measured")], run, runs)
             for own, run in zip(rows, runs, strict=True)]  # fmt: skip
    return pd.concat(parts)


def _shared(rows: pd.DataFrame) -> dict[str, Any]:
    looks = _looks(rows["system"])
    return {"x": "n", "columns": _conditions, "look_of": lambda key: looks.get(key) or system_of(key),
            "order": tuple(looks)}  # fmt: skip


def _errors(rows: pd.DataFrame, setting: Setting) -> Iterator[Figure]:
    """Errors over N on the theory of the setting, of systems whose gate is measured where there are some."""
    gated = set(rows.loc[rows["measure"].isin(GATES), "system"])
    kept = rows[(rows["measure"] == setting.measure) & (rows["system"].isin(gated) | (not gated))]
    if kept.empty:
        return
    ends = kept["n"].min() / 2, kept["n"].max() * 2
    sizes = tuple(n for n in SIZES if ends[0] <= n <= ends[1]) or (int(kept["n"].min()),)
    axis = LOSSES[setting.measure]
    panels = tuple(
        Row(GROUPS[group], {"group": group}, (Trace(setting.measure),), axis, True) for group in ("high", "low")
    )
    figure = Multiples(**words().figures["runs-error-by-n"], **_shared(kept), theory=True, rows=panels)
    yield from filter(None, [drawn(figure, (), pd.concat([kept, _theory(setting, sizes)]), as_plain(setting))])


@lru_cache(maxsize=16)
def _gates_over_n(paths: tuple[str, ...], chosen: tuple[tuple[tuple[str, Any], ...], ...]) -> list[dict[str, Any]]:
    """Gates over N, of the chosen data of each run."""
    runs = read_runs(paths)
    rows = _over_n([_of(run.rows, values) for run, values in zip(runs, chosen, strict=True)], runs)
    gates = rows[rows["measure"].isin(GATES)]
    if gates.empty:
        return []
    figure = Multiples(**words().figures["runs-gate-by-n"], **_shared(gates), rows=_gate_rows(("high", "low")))
    return [titled(each) for each in [drawn(figure, (), gates, {})] if each]


def _theory(setting: Setting, sizes: tuple[int, ...]) -> pd.DataFrame:
    """Exact risks and bounds of the setting, as rows beside the measured ones."""
    try:
        config = replace(bounds_of(setting), n_sequences=sizes, contexts=("relevant", "irrelevant", "as_trained"),
                         test_distributions=("ibd", "oobd"))  # fmt: skip
        return summarise(risks_of(config, sizes))
    except SpecError:  # said beside the curves of the setting already
        return pd.DataFrame()


@lru_cache(maxsize=16)
def _gates_over_steps(paths: tuple[str, ...]) -> list[dict[str, Any]]:
    """Gates over training steps: small models at the smallest and the largest N, and language models."""
    runs = read_runs(paths)
    parts = []
    for run in runs:
        rows = run.rows[run.rows["measure"].isin(GATES)]
        keys = zip(rows["distribution"].fillna(""), rows["context"].fillna(""), strict=True)
        cases = [
            CASES.get((str(d), str(c))) or CASES.get(("", str(c))) or (CONFLICT if not c else None) for d, c in keys
        ]
        rows = rows.assign(context=pd.array(cases, "string"))[[case is not None for case in cases]]
        sizes = sorted(rows["n"].dropna().unique())
        rows = rows[rows["n"].isna() | rows["n"].isin({*sizes[:1], *sizes[-1:]})]
        parts.append(_named(rows, run, runs, each=True))
    rows = pd.concat(parts).assign(kind="measured") if parts else pd.DataFrame()
    rows = rows[rows["step"].notna() | rows["n"].isna()] if len(rows) else rows
    if rows.empty:
        return []
    looks = _looks(rows["system"])
    kept = rows[rows["system"].isin([*looks][:MOST_LINES])]
    columns = tuple(Facet(case, {"context": case}) for case in (CONFLICT, SILENT) if (kept["context"] == case).any())
    figure = Multiples(**words().figures["runs-gate-by-step"], x="step", rows=_gate_rows(), columns=lambda _: columns,
                       look_of=looks.__getitem__, order=tuple(looks))  # fmt: skip
    return [titled(each) for each in [drawn(figure, (), kept, {})] if each]


def _gate_rows(groups: Sequence[str] = ("all", "high", "low")) -> tuple[Row, ...]:
    traces = Trace("effective_gate"), Trace("mean_gate", DOTTED, words().said["own_gate"])
    return tuple(Row(GROUPS[group], {"group": group}, traces, GATE, optional=True) for group in groups)


def _conditions(summary: pd.DataFrame) -> tuple[Facet, ...]:
    measured = summary[summary["kind"] == "measured"]
    held = set(zip(measured["distribution"], measured["context"], strict=True))
    return tuple(
        Facet(name, {"distribution": key[0], "context": key[1]}) for key, name in CONDITIONS.items() if key in held
    )


def _named(rows: pd.DataFrame, run: Laid, runs: Sequence[Laid], *, each: bool = False) -> pd.DataFrame:
    """Rows whose system is the name that the legend gives it: with N, mixture and model where `each` line is named, and
    with the run where several have the system."""
    often = Counter(key for other in runs for key in other.rows["system"].unique())
    told = [name for name in TELLING if name in rows and rows[name].nunique() > 1] if each else []
    names: list[str] = []
    row: Any
    for row in rows[["system", "n", *told]].itertuples(index=False):
        name = NAMES.get(row.system) or system_of(row.system).name
        parts = [_text(getattr(row, column)) for column in told]
        parts += [f"N = {int(row.n):,}"] if each and not pd.isna(row.n) else []
        end = f" ({run.name})" if often[row.system] > 1 else ""
        names.append(", ".join([name, *parts]) + end)
    return rows.assign(system=pd.array(names, "string"))


def _text(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _looks(names: pd.Series) -> dict[str, System]:
    """A look for each name: that of its system where it has one, else the next colour and shape."""
    colours = ("#1b1b1f", "#0072b2", "#d55e00", "#009e73", "#cc79a7", "#8158d0", *OTHER_COLOURS)
    shapes = tuple(SHAPES)
    found = list(dict.fromkeys(map(str, names)))
    return {
        name: System(name, "", colours[place % len(colours)], shapes[place % len(shapes)], place < len(colours))
        for place, name in enumerate(found)
    }
