"""Page of the study `handover`: a panel for each kind of model, and how far predictions are off."""

import math
from collections.abc import Iterator

import pandas as pd

from gating.page.figures import Axis, Block, Figure, Layer, Page, Panel
from gating.page.multiples import DASHED, DOTTED, points
from gating.page.names import System, system_of
from gating.page.said import in_lines
from gating.page.text_table import TextTable, ends_of, whole
from gating.results.columns import measure as measure_of
from gating.results.query import select
from gating.results.table import summarise
from gating.studies.vocabulary import GATE
from llm_finetune.handover.answers import SETTING, systems_of
from llm_finetune.handover.config import READ, TEACHING, HandoverConfig
from llm_finetune.handover.verdict import COUNTED, PREDICTORS, WORDS, cell_of, handover_verdict

__all__ = ["error_table", "handover_figure", "handover_page", "handover_table", "handover_text"]

GROUPS = {"high": "frequent", "low": "rare", "all": "all"}
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#9f19ff", "#e69f00", "#e5004c")
SHAPES = ("circle", "diamond", "square", "triangle-up", "triangle-down", "star")
DASHES = dict(zip(TEACHING, (DASHED, DOTTED), strict=True))


def handover_figure(table: pd.DataFrame) -> Figure:
    """Measured gates with their intervals, and predicted ones as lines; a panel for each system."""
    words = WORDS.figures["handover"]
    shares = sorted(float(share) for share in table["answered"].dropna().unique())
    looks = {
        share: System(f"p = {share:g}", "", COLOURS[k % len(COLOURS)], SHAPES[k % len(SHAPES)])
        for k, share in enumerate(shares)
    }
    measured = summarise(table[~table["answer"] & (table["measure"] == "effective_gate")])
    predicted = select(table[table["answer"]], {"measure": "effective_gate"})
    panels = []
    for system in systems_of(table):
        gates = select(measured, {"system": system, "context": READ[system][1]})
        lines = select(predicted, {"system": system})
        layers = [*_predicted(lines, looks), *_measured(gates, looks)]
        panels.append(Panel("", system_of(system).name, GATE.axis, tuple(layers)))
    x = Axis(words["x"], scale="log")
    order = [layer.look.name for panel in panels for layer in panel.layers if layer.mark == "points"]
    sentences = (words["look"], "Bars are 95% intervals over seeds.")
    return Figure("handover", words["title"], sentences, x, tuple(panels), 3, order=tuple(sorted(set(order))))


def _measured(gates: pd.DataFrame, looks: dict[float, System]) -> Iterator[Layer]:
    for (share, group), rows in gates.groupby(["answered", "group"]):
        look = looks[float(str(share))]
        name = look.name + ("" if group == "all" else f", {GROUPS[str(group)]}")
        mine = look._replace(name=name, filled=group != "low")
        yield Layer(mine, points(rows.drop(columns="step"), "asked"), "points")


def _predicted(lines: pd.DataFrame, looks: dict[float, System]) -> Iterator[Layer]:
    for (share, teaching), rows in lines.groupby(["answered", "teaching"]):
        look = looks[float(str(share))]
        name = f"predicted, {look.name}: {COUNTED[str(teaching)]}"
        keys = [key for key in ("mixture", "exposure", "group") if key in rows]
        shown = rows.assign(line=rows[keys].astype("string").fillna("").agg(" ".join, axis=1))
        drawn = points(shown[["asked", "value", "line"]], "asked", line="line")
        yield Layer(look._replace(name=name, shape="", dash=DASHES[str(teaching)]), drawn, "line")


def handover_table(table: pd.DataFrame) -> TextTable:
    """n* of each system, group and share: measured, and predicted in both ways."""
    answers = select(table[table["answer"]], {"measure": "handover_asked"})
    keys = ["system", *(key for key in SETTING if key in answers)]
    lines = []
    for _, rows in answers.groupby(keys, dropna=False, sort=False):
        first = rows.iloc[0]
        at = select(table[~table["answer"]], {"system": first["system"], "group": first["group"]})
        own, alone = at[at["answered"] == first["answered"]], at[at["measure"] == "memory_miss"]["asked"]
        parts = dict(zip(TEACHING, (1.0, float((own["taught"] / own["asked"]).mean())), strict=True))
        cells = [_size(rows[rows["kind"] == "measured"], own["asked"])]
        cells += [_size(select(rows, {"teaching": name}), alone / part) for name, part in parts.items()]
        equally = " (equally often)" if "exposure" in rows and (rows["exposure"] == "equal").any() else ""
        names = (system_of(str(first["system"])).name, f"{GROUPS[first['group']]}{equally}")
        lines.append((*names, f"{first['answered']:g}", *cells))
    predicted = (f"predicted:\n{COUNTED[teaching]}" for teaching in TEACHING)
    return TextTable(("model", "facts or\nclasses", "p", "measured", *predicted), tuple(lines))


def _size(rows: pd.DataFrame, sizes: pd.Series) -> str:
    """An n* with its interval; beyond the sizes measured only on which side it lies."""
    if rows.empty:
        return "not measured"
    row, least, most = rows.iloc[0], float(sizes.min()), float(sizes.max())
    value, *ends = (_asked(float(row[name]), least, most) for name in ("value", "low", "high"))
    return value if {*ends} <= {"", value} else f"{value} [{', '.join(ends)}]"


def _asked(value: float, least: float, most: float) -> str:
    if math.isnan(value):
        return ""
    if value == 0:
        return f"below {_few(least)}"
    return f"above {_few(most)}" if math.isinf(value) and math.isfinite(most) else _few(value)


def _few(value: float) -> str:
    return f"{value:.2g}" if value < 100 else whole(value)  # which calls infinity never


def error_table(table: pd.DataFrame) -> TextTable:
    """Mean absolute error of the gate: of the prediction and of each baseline, by system and by what teaches."""
    answers = table[table["answer"]]
    lines = []
    for system in systems_of(table):
        here = select(answers, {"system": system})
        for teaching in TEACHING:
            cells = [ends_of(cell_of(here, "gate_error", teaching, name)) for name in PREDICTORS]
            share = cell_of(here, "gates_predicted", teaching)
            shown = "" if share is None else f"{share['value']:.0%}"
            lines.append((system_of(system).name, COUNTED[teaching], shown, *cells))
    return TextTable(("model", "teaching", "gates predicted", *PREDICTORS.values()), tuple(lines))


def difference_table(table: pd.DataFrame) -> TextTable:
    """Whether a gate differs by whether the context answers."""
    found = select(table[table["answer"]], {"measure": "gate_difference"})
    lines = [
        (system_of(str(row["system"])).name, f"{row['answered']:g}", ends_of(row)) for _, row in found.iterrows()
    ]  # fmt: skip
    return TextTable(("model", "p", measure_of("gate_difference").meaning), tuple(lines))


def _tables(table: pd.DataFrame) -> tuple[tuple[str, TextTable], ...]:
    return (
        ("Mean absolute error of the gate", error_table(table)),
        (
            "n*: how often training asks until weights win where the context does not answer",
            handover_table(table),
        ),
        ("Can the gate tell whether the context answers?", difference_table(table)),
    )


def handover_text(config: HandoverConfig, table: pd.DataFrame) -> str:
    """What came out, and the tables, for a terminal."""
    shown = (f"{title}\n\n{made}" for title, made in _tables(table))
    return "\n\n".join([in_lines(handover_verdict(config, table)), *shown, in_lines([WORDS.said["interval"]])])


def handover_page(question: str, config: HandoverConfig, table: pd.DataFrame) -> Page:
    """The page of the study `handover`."""
    return Page(
        title=WORDS.title,
        question=question,
        systems=tuple(systems_of(table)),
        figures=(handover_figure(table),),
        terms=WORDS.terms,
        blocks=tuple(Block(title, (("", made),)) for title, made in _tables(table)),
        verdict=handover_verdict(config, table),
        intervals=WORDS.said["interval"],
        results_title="Predicted and measured",
    )
