"""Tables of the study `compare`: phases and crossings, and results at the last step."""

import math
from collections.abc import Hashable, Iterator, Mapping, Sequence
from typing import Any

import pandas as pd

from gating.page.names import system_of
from gating.page.said import listed
from gating.page.text_table import Block, TextTable, number, whole
from gating.page.words import page_words
from gating.results.columns import measure as measure_of
from gating.results.query import few_sizes, last_step, seeds_phrase, select, sizes, steps_phrase
from gating.results.table import summarise
from gating.studies.compare.answers import CROSSINGS, LOSSES
from gating.studies.compare.config import CompareConfig
from gating.studies.vocabulary import CONDITIONS, GROUPS, SYSTEMS, THEORY, condition_name
from theory.phases import ICL, IWL, UNDECIDED

__all__ = [
    "WORDS",
    "condition_table",
    "crossing_tables",
    "error_text",
    "last_step_blocks",
    "markdown_tables",
    "phase_table",
    "summary_table",
]

Row = Mapping[Hashable, Any]

WORDS = page_words("gating.studies.compare")
KINDS = {"measured": "", "exact": "exact", "upper": "upper bound", "lower": "lower bound"}
CROSSING_KINDS = {"lower": "not before", "exact": "exact", "upper": "not after"}
PAIR = ("high", "low")
GATES = ("effective_gate", "effective_gate_residual", "mean_gate", "effective_gate_reference",
         "effective_gate_reference_residual")  # fmt: skip
ORDER = {word: place for place, word in enumerate(dict.fromkeys((*GROUPS, *KINDS, *SYSTEMS, *THEORY, *LOSSES, *GATES)))}
PHASES = {ICL: "context", IWL: "weights", UNDECIDED: "undecided"}


def phase_table(table: pd.DataFrame) -> tuple[str, TextTable]:
    """Certified phases, with their title: a row for each loss and group, a column for each N."""
    found = select(table, {"measure": tuple(f"phase_{loss}" for loss in LOSSES), "group": PAIR})
    phases = found.pivot(index=["measure", "group"], columns="n", values="value")
    rows = tuple(
        (f"{measure_of(measure.removeprefix('phase_')).meaning}, {GROUPS[group]}", *(PHASES[phase] for phase in line))
        for (measure, group), line in zip(phases.index, phases.to_numpy(int).tolist(), strict=True)
    )
    return WORDS.said["phases"], TextTable(("loss and group", *(f"N = {n:,}" for n in phases.columns)), rows)


def crossing_tables(config: CompareConfig, table: pd.DataFrame) -> tuple[tuple[str, TextTable], ...]:
    """Predicted and measured crossings, each with its title: a row for each system, a column for each group."""
    least = min(config.n_sequences)
    found = table[table["answer"]]
    tables = []
    for sought in CROSSINGS:
        rows = select(found, {"measure": sought.measure})
        cells: dict[str, dict[str, str]] = {}
        records = sorted(
            rows.to_dict("records"), key=lambda row: (row["kind"] == "measured", ORDER.get(row["system"], 0))
        )
        for row in records:
            cells.setdefault(_crossing_name(row), {})[row["group"]] = _crossing_cell(row, least)
        groups = [group for group in PAIR if group in set(rows["group"])]
        body = tuple((name, *(held.get(group, "") for group in groups)) for name, held in cells.items())
        tables.append((WORDS.said[sought.measure], TextTable(("system", *(GROUPS[group] for group in groups)), body)))
    return tuple(tables)


def _crossing_name(row: Row) -> str:
    if row["kind"] == "measured":
        return system_of(row["system"]).name
    return f"Theory, {THEORY.get(row['system'], 'tabular against copying')} ({CROSSING_KINDS[row['kind']]})"


def _crossing_cell(row: Row, least: int) -> str:
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


def _lines(
    rows: pd.DataFrame, line: list[str], column: list[str], columns: Sequence[tuple[str, ...]]
) -> Iterator[tuple[tuple[str, ...], list[str]]]:
    """Key of each line of a table and its numbers, a small one in nats, which may be worth citing, with more digits;
    lines without any are left out."""
    lines: dict[tuple[str, ...], dict[tuple[str, ...], str]] = {}
    for row in rows.to_dict("records"):
        key, place = (tuple(str(row[name]) for name in names) for names in (line, column))
        digits = 5 if measure_of(row["measure"]).high > 1 and 0 < abs(row["value"]) < 0.01 else 3
        lines.setdefault(key, {})[place] = number(row["value"], row["low"], row["high"], digits)
    for key, held in lines.items():
        found = [held.get(place, "") for place in columns]
        if any(found):
            yield key, found


def _in_order(rows: pd.DataFrame, line: list[str]) -> pd.DataFrame:
    """Rows in the order of the words that tell lines of a table apart."""
    return rows.sort_values(line, key=lambda words: words.map(lambda word: ORDER.get(word, len(ORDER))))


def condition_table(summary: pd.DataFrame, measures: Sequence[str], n: int) -> TextTable:
    """Measures at the last step for one N: a row for each system and kind, a column for each condition and group.

    Args:
        summary: rows as `gating.results.table.summarise` returns them.
        measures: measures to show; with several, each has rows of its own.
        n: number of training sequences.
    """
    rows = select(last_step(summary), {"n": n, "measure": tuple(measures), "group": PAIR})
    held = set(zip(rows["distribution"], rows["context"], strict=True))
    columns = [(*key, group) for key in CONDITIONS if key in held for group in PAIR]
    names = (f"{condition_name(*key)}, {GROUPS[group].removesuffix(' classes')}" for *key, group in columns)
    line = ["kind", "system", "measure"]
    lines = _lines(_in_order(rows, line), line, ["distribution", "context", "group"], columns)
    body = ((_line_name(*key, many=len(measures) > 1), *cells) for key, cells in lines)
    return TextTable(("system", *names), tuple(body))


def _line_name(kind: str, system: str, measure: str, *, many: bool) -> str:
    name = system_of(system).name
    if kind != "measured":
        name = f"Theory, {THEORY.get(system, name)} ({KINDS[kind]})"
    return f"{name}: {measure_of(measure).meaning}" if many else name


def summary_table(summary: pd.DataFrame) -> TextTable:
    """Every row of the last step, one line for each system, N, kind, condition and group, one column per measure."""
    rows = last_step(summary)
    line = ["system", "kind", "n", "distribution", "context", "group"]
    measures = list(dict.fromkeys(rows["measure"]))
    body = tuple((*key, *cells) for key, cells in _lines(rows, line, ["measure"], [(name,) for name in measures]))
    return TextTable((*line, *(measure_of(measure).meaning for measure in measures)), body)


def last_step_blocks(summary: pd.DataFrame, *, noisy: bool) -> list[Block]:
    """Error, log loss and effective gate at the last step, a block for each N; `noisy` says that labels are."""
    noise = ", against the noisy label" if noisy else ""
    shown: dict[str, tuple[str, ...]] = {f"{measure_of(loss).meaning.capitalize()}{noise}": (loss,) for loss in LOSSES}
    shown[WORDS.said["gates"]] = GATES
    return [
        Block(
            f"N = {n:,} training sequences",
            tuple((title, condition_table(summary, measures, n)) for title, measures in shown.items()),
        )
        for n in sizes(summary)
    ]


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
    last = select(last_step(summary), {"group": PAIR, "kind": ("measured", "exact")})
    blocks = [f"Error (0-1) {steps_phrase(last)}. {seeds_phrase(last)}"]
    for n in few_sizes(summary):
        rows = select(last, {"n": n})
        columns = [key for key in CONDITIONS if key in set(zip(rows["distribution"], rows["context"], strict=True))][:3]
        line = ["group", "kind", "system"]
        lines = _lines(_in_order(rows, line), line, ["distribution", "context"], columns)
        body = ((f"{group}, {system}{'' if kind == 'measured' else ' (exact)'}", *cells)
                for (group, kind, system), cells in lines)  # fmt: skip
        blocks.append(str(TextTable((f"N = {n:,}", *(CONDITIONS[key] for key in columns)), tuple(body))))
    left = [f"{n:,}" for n in sizes(summary) if n not in few_sizes(summary)]
    blocks += [f"Left out here, and on the page: N = {listed(left)}."] if left else []
    return "\n\n".join(blocks)


def markdown_tables(table: pd.DataFrame) -> str:
    """Error, log loss and effective gate at the last step for every N, as Markdown tables.

    Args:
        table: rows of the schema of `gating.results.table`.
    """
    summary = summarise(table[~table["answer"]])
    last = last_step(summary)
    blocks = [f"Measured {steps_phrase(last)}. {seeds_phrase(last)}"]
    for measure in ("error", "log_loss", "effective_gate", "effective_gate_residual"):
        blocks.append(f"## {measure_of(measure).meaning}")
        for n in sorted(select(last, {"measure": measure})["n"].dropna().unique()):
            blocks += [f"### N = {n:,}", condition_table(summary, [measure], int(n)).markdown]
    return "\n\n".join(blocks) + "\n"
