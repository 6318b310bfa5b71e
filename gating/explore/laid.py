"""Measured runs laid over theory: errors and gates with their intervals beside the curves of the setting."""

import json
from collections.abc import Iterator, Mapping, Sequence
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

__all__ = ["Laid", "laid_over", "read_run", "texts_of_run"]

GATES = ("effective_gate", "mean_gate")
CONFLICT, SILENT = "the context says otherwise", "the context does not tell"
CASES = {("oobd", "relevant"): CONFLICT, ("ibd", "irrelevant"): SILENT, ("", "contradicting"): CONFLICT,
         ("", "someone_else"): SILENT}  # fmt: skip
"""What a gate is measured on; language models name their contexts otherwise, and any distribution is theirs."""

NAMES = {"llm": "Language model"}
TELLING = ("mixture", "exposure", "model", "answered")
"""Columns that tell language models of one run apart."""

MOST_LINES = 12


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
    if kept.empty:
        raise FolderError(f"`{path}` has no measured gates or errors that could be laid over theory")
    try:
        data = build(ClassMixture, plain["distribution"]) if "distribution" in plain else None
    except SpecError:
        data = None
    return Laid(Path(path).resolve().name, str(plain.get("study", "")), data, summarise(kept))


def texts_of_run(run: Laid) -> dict[str, str]:
    """The data of a run as values of the explorer; none of a language model."""
    if run.distribution is None:
        return {}
    texts = texts_of(Setting(distribution=run.distribution))
    return {key: text for key, text in texts.items() if key.startswith("distribution.")}


def laid_over(paths: Sequence[str], setting: Setting) -> str:
    """Figures of measured errors and gates, with the theory of the setting, as JSON."""
    try:
        runs = [read_run(path) for path in paths]
        figures = [*_by_n(runs, setting), *_by_step(runs)]
        found: dict[str, Any] = {"figures": [titled(each) for each in figures], "said": list(_said(runs, setting))}
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
    for name, value in as_plain(setting.distribution).items():
        if name not in rows or isinstance(value, (str, list)) or value is None:
            continue
        held = rows[name].dropna().unique()
        if len(held) > 1:
            rows = rows[rows[name].isna() | (rows[name] == min(held, key=lambda other: abs(other - value)))]
    return rows


def _by_n(runs: Sequence[Laid], setting: Setting) -> Iterator[Figure]:
    """Errors over N with the theory of the setting, and gates over N."""
    parts = [_named(nearest(run.rows[run.rows["n"].notna()], setting), run, runs) for run in runs]
    rows = pd.concat([part for part in parts if not part.empty] or [pd.DataFrame(columns=["measure", "n", "kind"])])
    rows = rows[rows["kind"] == "measured"]
    if rows.empty:
        return
    looks = _looks(rows["system"])
    shared: dict[str, Any] = {"x": "n", "columns": _conditions, "look_of": lambda key: looks.get(key) or system_of(key),
                              "order": tuple(looks)}  # fmt: skip
    ends = rows["n"].min() / 2, rows["n"].max() * 2
    sizes = tuple(n for n in SIZES if ends[0] <= n <= ends[1]) or (int(rows["n"].min()),)
    errors = rows[rows["measure"] == setting.measure]
    if not errors.empty:
        theory = _theory(setting, sizes)
        figure = Multiples(**words().figures["runs-error-by-n"], **shared, theory=True,
                           rows=_by_group(setting.measure, LOSSES[setting.measure]))  # fmt: skip
        yield from filter(None, [drawn(figure, (), pd.concat([errors, theory]), as_plain(setting))])
    gates = rows[rows["measure"].isin(GATES)]
    if not gates.empty:
        figure = Multiples(**words().figures["runs-gate-by-n"], **shared, rows=_gate_rows())
        yield from filter(None, [drawn(figure, (), gates, as_plain(setting))])


def _theory(setting: Setting, sizes: tuple[int, ...]) -> pd.DataFrame:
    """Exact risks and bounds of the setting, as rows beside the measured ones."""
    try:
        config = replace(bounds_of(setting), n_sequences=sizes, contexts=("relevant", "irrelevant", "as_trained"),
                         test_distributions=("ibd", "oobd"))  # fmt: skip
        return summarise(risks_of(config, sizes))
    except SpecError:  # said beside the curves of the setting already
        return pd.DataFrame()


def _by_step(runs: Sequence[Laid]) -> Iterator[Figure]:
    """Gates over training steps: small models at the smallest and the largest N, and language models."""
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
        return
    looks = _looks(rows["system"])
    kept = rows[rows["system"].isin([*looks][:MOST_LINES])]
    columns = tuple(Facet(case, {"context": case}) for case in (CONFLICT, SILENT) if (kept["context"] == case).any())
    figure = Multiples(**words().figures["runs-gate-by-step"], x="step", rows=_gate_rows(), columns=lambda _: columns,
                       look_of=looks.__getitem__, order=tuple(looks))  # fmt: skip
    yield from filter(None, [drawn(figure, (), kept, {})])


def _gate_rows() -> tuple[Row, ...]:
    traces = Trace("effective_gate"), Trace("mean_gate", DOTTED, words().said["own_gate"])
    return tuple(Row(GROUPS[group], {"group": group}, traces, GATE, optional=True) for group in ("all", "high", "low"))


def _by_group(measure: str, axis: Any) -> tuple[Row, ...]:
    return tuple(
        Row(GROUPS[group], {"group": group}, (Trace(measure),), axis, optional=True) for group in ("high", "low")
    )


def _conditions(summary: pd.DataFrame) -> tuple[Facet, ...]:
    measured = summary[summary["kind"] == "measured"]
    held = set(zip(measured["distribution"], measured["context"], strict=True))
    return tuple(
        Facet(name, {"distribution": key[0], "context": key[1]}) for key, name in CONDITIONS.items() if key in held
    )


def _named(rows: pd.DataFrame, run: Laid, runs: Sequence[Laid], *, each: bool = False) -> pd.DataFrame:
    """Rows whose system is the name that the legend gives it: with the run where there are several, and where `each`
    line is named, with N, mixture and model."""
    names = [NAMES.get(str(key)) or system_of(str(key)).name for key in rows["system"]]
    if each and len(rows):
        told = [name for name in TELLING if name in rows and rows[name].nunique() > 1]
        own = [_told(row, told) for row in rows[[*told, "n"]].itertuples(index=False)]
        names = [f"{name}{told}" for name, told in zip(names, own, strict=True)]
    if len(runs) > 1:
        names = [f"{name} ({run.name})" for name in names]
    return rows.assign(system=pd.array(names, "string"))


def _told(row: Any, told: list[str]) -> str:
    parts = [
        f"{getattr(row, name):g}" if isinstance(getattr(row, name), float) else str(getattr(row, name)) for name in told
    ]
    if not pd.isna(row.n):
        parts.append(f"N = {int(row.n):,}")
    return f", {', '.join(parts)}" if parts else ""


def _looks(names: pd.Series) -> dict[str, System]:
    """A look for each name: that of its system where it has one, else the next colour and shape."""
    colours = ("#1b1b1f", "#0072b2", "#d55e00", "#009e73", "#cc79a7", "#8158d0", *OTHER_COLOURS)
    shapes = tuple(SHAPES)
    found = list(dict.fromkeys(map(str, names)))
    return {
        name: System(name, "", colours[place % len(colours)], shapes[place % len(shapes)], place < len(colours))
        for place, name in enumerate(found)
    }
