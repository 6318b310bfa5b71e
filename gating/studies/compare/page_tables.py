"""Tables of the study `compare`: phases and crossings, and results at the last step."""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterator, Mapping, Sequence
from typing import Any

import pandas as pd

from gating.page.names import system_of
from gating.page.text_table import Block, TextTable, number, whole
from gating.results.columns import measure as measure_of
from gating.results.query import at_last_step, few_sizes, seeds_phrase, select, sizes, steps_phrase
from gating.results.table import summarise
from gating.studies.compare.answers import CROSSINGS, LOSSES
from gating.studies.compare.config import CompareConfig
from gating.studies.vocabulary import CONDITIONS, GROUPS, SYSTEMS, THEORY, condition_name
from theory.phases import ICL, IWL, UNDECIDED

__all__ = [
    "condition_table",
    "crossing_tables",
    "error_text",
    "last_step_blocks",
    "markdown_tables",
    "phase_table",
    "summary_table",
]

KINDS = {"measured": "", "exact": "exact", "upper": "upper bound", "lower": "lower bound"}
PAIR = ("high", "low")
LAST_STEP_TABLES = (
    ("Error (0-1)", ("error",)),
    ("Log loss (nats)", ("log_loss",)),
    ("Effective gate (0 = context, 1 = weights) and its residual", (
        "effective_gate", "effective_gate_residual", "mean_gate",
        "effective_gate_reference", "effective_gate_reference_residual",
    )),
)  # fmt: skip
MEASURES = tuple(measure for _, measures in LAST_STEP_TABLES for measure in measures)
ORDER = {word: place for place, word in enumerate(dict.fromkeys((*GROUPS, *KINDS, *SYSTEMS, *THEORY, *MEASURES)))}
PHASES = {ICL: "context", IWL: "weights", UNDECIDED: "undecided"}
PHASES_TITLE = (
    "Which the bounds prove better, contexts as trained: copying than every in-weight predictor (context), or label"
    " counts than copying (weights)"
)
CROSSING_TITLES = {
    "crossover_error": "N from which answering from weights errs no more than h, as trained",
    "crossover_log_loss": "N from which answering from weights loses no more nats than h, as trained",
    "crossover_gate": "N from which the effective gate stays above 1/2 (OOBD, relevant); theory predicts none",
    "crossover_error_level": "N from which the error stays below 1/2 (IBD, irrelevant)",
}


def phase_table(table: pd.DataFrame) -> tuple[str, TextTable]:
    """Certified phases, with their title: a row for each loss and group, a column for each N."""
    found = select(table, {"measure": tuple(f"phase_{loss}" for loss in LOSSES), "group": PAIR})
    rows = tuple(
        (f"{measure_of(str(measure).removeprefix('phase_')).meaning}, {GROUPS[str(group)]}",
         *(PHASES[int(phase)] for phase in phases["value"]))
        for (measure, group), phases in found.sort_values("n").groupby(["measure", "group"])
    )  # fmt: skip
    return PHASES_TITLE, TextTable(("loss and group", *(f"N = {n:,}" for n in sorted(found["n"].unique()))), rows)


def crossing_tables(config: CompareConfig, table: pd.DataFrame) -> tuple[tuple[str, TextTable], ...]:
    """Predicted and measured crossings, each with its title: a row for each system, a column for each group."""
    least = min(config.n_sequences)
    found = table[table["answer"]]
    tables = []
    for measure in dict.fromkeys(sought.measure for sought in CROSSINGS):
        cells: dict[str, dict[str, str]] = {}
        rows_of = select(found, {"measure": measure}).to_dict("records")
        for row in sorted(rows_of, key=lambda row: (row["kind"] == "measured", ORDER.get(row["system"], 0))):
            cells.setdefault(_crossing_name(row), {})[row["group"]] = _crossing_cell(row, least)
        groups = [group for group in PAIR if any(group in held for held in cells.values())]
        rows = tuple((name, *(held.get(group, "") for group in groups)) for name, held in cells.items())
        header = ("system", *(GROUPS[group] for group in groups))
        tables.append((CROSSING_TITLES[measure], TextTable(header, rows)))
    return tuple(tables)


def _crossing_name(row: Mapping[Hashable, Any]) -> str:
    if row["kind"] == "measured":
        return system_of(str(row["system"])).name
    ends = {"lower": "not before", "exact": "exact", "upper": "not after"}
    return f"Theory, {THEORY.get(str(row['system']), 'tabular against copying')} ({ends[str(row['kind'])]})"


def _crossing_cell(row: Mapping[Hashable, Any], least: int) -> str:
    """A crossing with its interval; in words where no seed has one, and how many have one where not all do."""
    if row["kind"] != "measured":
        past = row["value"] == 0 and row["system"] != "theory"
        return f"before {whole(least)}" if past else whole(row["value"])
    reached, already, seeds = (int(row[name]) for name in ("reached", "already", "seeds"))
    outside = [f"{already} of {seeds} before {whole(least)}"] if already else []
    outside += [f"{seeds - already - reached} of {seeds} not reached"] if already + reached < seeds else []
    if not reached:
        return ", ".join(outside).replace(f"{seeds} of {seeds} ", "")
    ends = "" if math.isnan(row["low"]) else f" [{whole(row['low'])}, {whole(row['high'])}]"
    return ", ".join([whole(row["value"]) + ends, *outside])


def _cells(rows: pd.DataFrame) -> list[str]:
    """The number of each row; a small one in nats, which may be worth citing, with more digits."""
    return [
        number(value, low, high, 5 if measure_of(measure).high > 1 and 0 < abs(value) < 0.01 else 3)
        for measure, value, low, high in rows[["measure", "value", "low", "high"]].itertuples(index=False, name=None)
    ]


def _lines(
    rows: pd.DataFrame, line: Sequence[str], column: Sequence[str], columns: Sequence[tuple[str, ...]]
) -> Iterator[tuple[tuple[str, ...], list[str]]]:
    """Key of each line of a table, in order, and its cells; lines without any are left out."""
    rows = rows.sort_values([*line], key=lambda words: words.map(lambda word: ORDER.get(word, len(ORDER))))
    keys = rows[[*line, *column]].astype(str).itertuples(index=False, name=None)
    cells = dict(zip(keys, _cells(rows), strict=True))
    for key in dict.fromkeys(key[: len(line)] for key in cells):
        found = [cells.get((*key, *place), "") for place in columns]
        if any(found):
            yield key, found


def condition_table(summary: pd.DataFrame, measures: Sequence[str], n: int) -> TextTable:
    """Measures at the last step for one N: a row for each system and kind, a column for each condition and group.

    Args:
        summary: rows as `gating.results.table.summarise` returns them.
        measures: measures to show; with several, each has rows of its own.
        n: number of training sequences.
    """
    rows = select(at_last_step(summary), {"n": n, "measure": tuple(measures), "group": PAIR})
    held = set(zip(rows["distribution"], rows["context"], strict=True))
    columns = [(*key, group) for key in CONDITIONS if key in held for group in PAIR]
    names = (f"{condition_name(*key)}, {GROUPS[group].removesuffix(' classes')}" for *key, group in columns)
    lines = _lines(rows, ["kind", "system", "measure"], ["distribution", "context", "group"], columns)
    body = ((_line_name(*key, many=len(measures) > 1), *cells) for key, cells in lines)
    return TextTable(("system", *names), tuple(body))


def _line_name(kind: str, system: str, measure: str, *, many: bool) -> str:
    name = system_of(system).name
    if kind != "measured":
        name = f"Theory, {THEORY.get(system, name)} ({KINDS[kind]})"
    return f"{name}: {measure_of(measure).meaning}" if many else name


def summary_table(summary: pd.DataFrame) -> TextTable:
    """Every row of the last step, one line for each system, N, kind, condition and group, one column per measure."""
    rows = at_last_step(summary)
    line = ["system", "kind", "n", "distribution", "context", "group"]
    measures = list(dict.fromkeys(rows["measure"]))
    lines: dict[tuple[str, ...], dict[str, str]] = {}
    keys = rows[["measure", *line]].astype(str).itertuples(index=False, name=None)
    for (measure, *key), cell in zip(keys, _cells(rows), strict=True):
        lines.setdefault(tuple(key), {})[measure] = cell
    body = tuple((*key, *(held.get(measure, "") for measure in measures)) for key, held in lines.items())
    return TextTable((*line, *(measure_of(measure).meaning for measure in measures)), body)


def last_step_blocks(summary: pd.DataFrame, *, noisy: bool) -> list[Block]:
    """Error, log loss and effective gate at the last step, a block for each N; `noisy` says that labels are."""
    titles = [f"{title}, against the noisy label" if noisy and "gate" not in title else title
              for title, _ in LAST_STEP_TABLES]  # fmt: skip
    return [
        Block(
            f"N = {n:,} training sequences",
            tuple((title, condition_table(summary, measures, n))
                  for title, (_, measures) in zip(titles, LAST_STEP_TABLES, strict=True)),
        )
        for n in sizes(summary)
    ]  # fmt: skip


def error_text(table: pd.DataFrame) -> str:
    """Error at the last step for a few N, by group, system and condition, as text for a terminal.

    Args:
        table: rows of the schema of `gating.results.table`.

    Example:
        >>> from gating.results.table import make_table
        >>> key = {"system": "transformer", "n": 64, "distribution": "ibd", "context": "relevant", "group": "low"}
        >>> rows = [{**key, "seed": s, "measure": "error", "kind": "measured", "value": v}
        ...         for s, v in enumerate([0.1, 0.2, 0.3])]
        >>> print(error_text(make_table(rows)))
        Error (0-1) after training. Mean over 3 seeds, with its 95% interval.
        <BLANKLINE>
        N = 64                   IBD, relevant
        low, transformer  0.200 [0.057, 0.510]
    """
    summary = summarise(table[table["measure"] == "error"])
    last = select(at_last_step(summary), {"group": PAIR, "kind": ("measured", "exact")})
    blocks = [f"Error (0-1) {steps_phrase(last)}. {seeds_phrase(last)}"]
    for n in few_sizes(summary):
        rows = select(last, {"n": n})
        columns = [key for key in CONDITIONS if key in set(zip(rows["distribution"], rows["context"], strict=True))][:3]
        lines = _lines(rows, ["group", "kind", "system"], ["distribution", "context"], columns)
        body = ((f"{group}, {system}{'' if kind == 'measured' else ' (exact)'}", *cells)
                for (group, kind, system), cells in lines)  # fmt: skip
        blocks.append(str(TextTable((f"N = {n:,}", *(CONDITIONS[key] for key in columns)), tuple(body))))
    return "\n\n".join(blocks)


def markdown_tables(table: pd.DataFrame) -> str:
    """Error, log loss and effective gate at the last step for every N, as Markdown tables.

    Args:
        table: rows of the schema of `gating.results.table`.
    """
    summary = summarise(table[~table["answer"]])
    last = at_last_step(summary)
    blocks = [f"Measured {steps_phrase(last)}. {seeds_phrase(last)}"]
    for measure in ("error", "log_loss", "effective_gate", "effective_gate_residual"):
        blocks.append(f"## {measure_of(measure).meaning}")
        for n in sorted(select(last, {"measure": measure})["n"].dropna().unique()):
            blocks += [f"### N = {n:,}", condition_table(summary, [measure], int(n)).markdown]
    return "\n\n".join(blocks) + "\n"
