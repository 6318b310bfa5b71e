"""Tables of the study `compare`: phases and crossings, and results at the last step."""

import math
from collections.abc import Sequence
from typing import Any

import pandas as pd

from gating.page.names import system_of
from gating.page.said import listed
from gating.page.text_table import Block, TextTable, cross_table, number, whole
from gating.page.words import page_words
from gating.results.columns import measure as measure_of
from gating.results.query import few_sizes, last_step, ordered, seeds_phrase, select, sizes, steps_phrase
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
    "phase_table",
    "summary_table",
]

WORDS = page_words("gating.studies.compare")
KINDS = {"measured": "", "exact": "exact", "upper": "upper bound", "lower": "lower bound"}
CROSSING_KINDS = {"lower": "not before", "exact": "exact", "upper": "not after"}
PAIR = ("high", "low")
GATES = ("effective_gate", "effective_gate_residual", "mean_gate", "effective_gate_reference",
         "effective_gate_reference_residual")  # fmt: skip
ORDER = tuple(dict.fromkeys((*GROUPS, *KINDS, *SYSTEMS, *THEORY, *LOSSES, *GATES)))
PHASES = {ICL: "context", IWL: "weights", UNDECIDED: "undecided"}


def phase_table(table: pd.DataFrame) -> tuple[str, TextTable]:
    """Certified phases, with their title: a row for each loss and group, a column for each N."""
    found = select(table, {"measure": tuple(f"phase_{loss}" for loss in LOSSES), "group": PAIR})

    def line(row: Any) -> tuple[str]:
        return (f"{measure_of(row.measure.removeprefix('phase_')).meaning}, {GROUPS[row.group]}",)

    rows = found.sort_values(["measure", "group", "n"])
    return WORDS.said["phases"], cross_table(
        rows, ("loss and group",), line, lambda row: f"N = {row.n:,}", lambda row: PHASES[int(row.value)]
    )


def crossing_tables(config: CompareConfig, table: pd.DataFrame) -> tuple[tuple[str, TextTable], ...]:
    """Predicted and measured crossings, each with its title: a row for each system, a column for each group."""
    found, least, tables = ordered(table[table["answer"]], ["system"], ["theory", *ORDER]), min(config.n_sequences), []
    found = pd.concat([found[found["kind"] != "measured"], found[found["kind"] == "measured"]])
    for sought in CROSSINGS:
        rows = select(found, {"measure": sought.measure, "group": PAIR})
        groups = [GROUPS[group] for group in PAIR if group in set(rows["group"])]
        shown = cross_table(rows, ("system",), lambda row: (_crossing_name(row),), lambda row: GROUPS[row.group],
                            lambda row: _crossing_cell(row, least), groups)  # fmt: skip
        tables.append((WORDS.said[sought.measure], shown))
    return tuple(tables)


def _crossing_name(row: Any) -> str:
    if row.kind == "measured":
        return system_of(row.system).name
    return f"Theory, {THEORY.get(row.system, 'tabular against copying')} ({CROSSING_KINDS[row.kind]})"


def _crossing_cell(row: Any, least: int) -> str:
    """A crossing with its interval; in words where no seed has one, and how many have one where not all do."""
    if row.kind != "measured":
        past = row.value == 0 and row.system != "theory"
        return f"before {whole(least)}" if past else whole(row.value)
    reached, already, seeds = int(row.reached), int(row.already), int(row.seeds)
    outside = [f"{already} of {seeds} before {whole(least)}"] if already else []
    outside += [f"{seeds - already - reached} of {seeds} not reached"] if already + reached < seeds else []
    if not reached:
        return ", ".join(outside).replace(f"{seeds} of {seeds} ", "")
    ends = "" if math.isnan(row.low) else f" [{whole(row.low)}, {whole(row.high)}]"
    return ", ".join([whole(row.value) + ends, *outside])


def _number(row: Any) -> str:
    """A value and its interval, a small one in nats, which may be worth citing, with more digits."""
    small = measure_of(row.measure).high > 1 and 0 < abs(row.value) < 0.01
    return number(row.value, row.low, row.high, 5 if small else 3)


def condition_table(summary: pd.DataFrame, measures: Sequence[str], n: int) -> TextTable:
    """Measures at the last step for one N: a row for each system and kind, a column for each condition and group.

    Args:
        summary: rows as `gating.results.table.summarise` returns them.
        measures: measures to show; with several, each has rows of its own.
        n: number of training sequences.
    """
    rows = select(last_step(summary), {"n": n, "measure": tuple(measures), "group": PAIR})
    groups = {group: GROUPS[group].removesuffix(" classes") for group in PAIR}
    return cross_table(
        ordered(rows, ["kind", "system", "measure"], ORDER),
        ("system",),
        lambda row: (_line_name(row, many=len(measures) > 1),),
        lambda row: f"{condition_name(row.distribution, row.context)}, {groups[row.group]}",
        _number,
        [f"{where}, {group}" for where in _conditions(rows) for group in groups.values()],
    )


def _conditions(rows: pd.DataFrame) -> list[str]:
    """Names of the known test conditions of rows, in order."""
    held = set(zip(rows["distribution"], rows["context"], strict=True))
    return [name for where, name in CONDITIONS.items() if where in held]


def _line_name(row: Any, *, many: bool) -> str:
    name = system_of(row.system).name
    if row.kind != "measured":
        name = f"Theory, {THEORY.get(row.system, name)} ({KINDS[row.kind]})"
    return f"{name}: {measure_of(row.measure).meaning}" if many else name


def summary_table(summary: pd.DataFrame) -> TextTable:
    """Every row of the last step, one line for each system, N, kind, condition and group, one column per measure."""
    line = ("system", "kind", "n", "distribution", "context", "group")
    return cross_table(last_step(summary), line, lambda row: tuple(str(getattr(row, name)) for name in line),
                       lambda row: measure_of(row.measure).meaning, _number)  # fmt: skip


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
        N = 64               in base, relevant
        low, transformer  0.200 [0.057, 0.510]
    """
    summary = summarise(table[table["measure"] == "error"])
    last = select(last_step(summary), {"group": PAIR, "kind": ("measured", "exact")})
    blocks = [f"Error (0-1) {steps_phrase(last)}. {seeds_phrase(last)}"]
    for n in few_sizes(summary):
        rows = ordered(select(last, {"n": n}), ["group", "kind", "system"], ORDER)
        shown = cross_table(
            rows,
            (f"N = {n:,}",),
            lambda row: (f"{row.group}, {row.system}{'' if row.kind == 'measured' else ' (exact)'}",),
            lambda row: condition_name(row.distribution, row.context),
            _number,
            _conditions(rows)[:3],
        )
        blocks.append(str(shown))
    left = [f"{n:,}" for n in sizes(summary) if n not in few_sizes(summary)]
    blocks += [f"Left out here, and on the page: N = {listed(left)}."] if left else []
    return "\n\n".join(blocks)
