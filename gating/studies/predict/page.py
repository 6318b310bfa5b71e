"""Page of the study `predict`."""

from collections.abc import Iterator
from typing import Any

import pandas as pd

from gating.page.figures import Page
from gating.page.multiples import Columns, Facet, Multiples, Row, Trace, YAxis
from gating.page.names import system_of
from gating.page.said import few_seeds, in_lines, sized
from gating.page.text_table import Block, TextTable, cross_table, number, whole
from gating.page.words import page_words
from gating.results.query import few_sizes, last_step, select
from gating.studies.predict.answers import ONSETS
from gating.studies.predict.config import PredictConfig
from gating.studies.vocabulary import CONDITIONS, ERROR, GATE, GROUPS

__all__ = ["predict_page", "predict_text", "predict_verdict"]

WORDS = page_words("gating.studies.predict")


def _row(label: str, distribution: str, context: str, measure: str, axis: YAxis) -> Row:
    where = {"distribution": distribution, "context": context}
    return Row(f"{label}\n{CONDITIONS[distribution, context]}", where, (Trace(measure),), axis)


ROWS = (
    _row("in-weight error", "ibd", "irrelevant", "error", ERROR),
    _row("in-context error", "oobd", "relevant", "error", ERROR),
    _row("gate", "oobd", "relevant", "effective_gate", GATE),
)


def by_group(summary: pd.DataFrame) -> tuple[Facet, ...]:
    """One column for each group that the table holds."""
    held = set(summary["group"].dropna())
    return tuple(Facet(name, {"group": group}) for group, name in GROUPS.items() if group in held)


def _by_size_and_group(summary: pd.DataFrame) -> tuple[Facet, ...]:
    return tuple(
        Facet(f"{of_group.label}, N = {n:,}", {**of_group.where, "n": n})
        for of_group in by_group(summary)
        for n in few_sizes(summary)[-2:]
    )


def _figure(name: str, x: Any, columns: Columns) -> Multiples:
    return Multiples(**WORDS.figures[name], x=x, rows=ROWS, columns=columns, systems=("stylized",))


FIGURES = (_figure("predicted-by-n", "n", by_group), _figure("predicted-by-step", "step", _by_size_and_group))


def _answers(table: pd.DataFrame) -> pd.DataFrame:
    return table[table["answer"]]


def predicted_table(table: pd.DataFrame) -> TextTable:
    """N* of what crosses over N at the last step: a row for each onset, a column for each group."""
    found = last_step(_answers(table))
    rows = found[found["measure"].isin([f"crossover_{key}" for key in ONSETS])]
    return cross_table(rows, ("what crosses", "classes"),
                       lambda row: (WORDS.said[row.measure.removeprefix("crossover_")], GROUPS[row.group]),
                       lambda row: f"N*, after {row.step:,} steps", _where)  # fmt: skip


def step_table(table: pd.DataFrame) -> TextTable:
    """Steps of what crosses over steps: a row for each onset and group, a column for each N."""
    rows = _answers(table)
    rows = rows[rows["measure"].isin([f"crossover_step_{key}" for key in ONSETS])]
    return cross_table(rows.sort_values("n", kind="stable"), ("from which step", "classes"),
                       lambda row: (WORDS.said[row.measure.removeprefix("crossover_step_")], GROUPS[row.group]),
                       lambda row: f"N={whole(row.n)}", _where)  # fmt: skip


def _where(row: Any) -> str:
    """Where a curve crosses, or on which side of its level it is."""
    value, low, high = row.value, row.low, row.high
    if row.already == row.seeds:
        return "from the first"
    if not row.reached:
        return "never" if not row.already else f"{row.already} of {row.seeds} from the first"
    of = "" if row.reached == row.seeds else f" ({row.reached} of {row.seeds} seeds)"
    return sized({"value": value, "low": low, "high": high}) + of


def theory_table(table: pd.DataFrame) -> TextTable:
    """N* of theory alone: a row for each learner and group, a column for each level."""
    rows = select(table, {"measure": "crossover_error_level", "kind": "exact"})
    return cross_table(rows, ("learner", "classes"), lambda row: (system_of(row.system).name, GROUPS[row.group]),
                       lambda row: f"error {row.level:.3g}", lambda row: whole(row.value))  # fmt: skip


def keeping_table(table: pd.DataFrame) -> TextTable:
    """Share of relevant contexts that keeps reading: a row for each group, a column for each N."""
    rows = select(_answers(table), {"measure": "keeping_share"}).sort_values("n", kind="stable")
    return cross_table(rows, ("classes",), lambda row: (GROUPS[row.group],), lambda row: f"N={whole(row.n)}",
                       lambda row: number(row.value, row.low, row.high, 2))  # fmt: skip


def predict_verdict(config: PredictConfig, table: pd.DataFrame) -> tuple[str, ...]:
    """When weights take over, whether reading is lost and when, and what would keep it; of each group."""
    found = last_step(_answers(table))
    said = []
    for group in config.groups:
        weights, lost = (
            select(found, {"group": group, "measure": f"crossover_{key}"}) for key in ("error_level", "reading_lost")
        )
        if len(weights) and len(lost):
            said.append(f"{GROUPS[group].capitalize()}: {_weights(weights.iloc[0])}; {_lost(lost.iloc[0], config)}.")
    said += _over_steps(config, table)
    said += _keeping(config, table)
    said.append(
        f"Predicted by stylized models for {config.training.steps:,} steps of a Transformer whose perceptrons are"
        f" {config.hidden} wide; none was trained. Stylized models copy from the first step on: a Transformer has to"
        " learn to, and may never read the context."
    )
    return (*said, *few_seeds(table))


def _weights(row: pd.Series) -> str:
    if row["already"] == row["seeds"]:
        return "weights answer at every N looked at"
    if not row["reached"]:
        return f"weights take over at no N up to the largest looked at ({_crossed(row)})"
    return f"weights take over at N* = {sized(row)}{_some(row)}"


def _lost(row: pd.Series, config: PredictConfig) -> str:
    if row["already"] == row["seeds"]:
        return "the context is read at no N looked at"
    if row["already"]:
        return f"{row['already']} of {row['seeds']} models read the context at no N looked at"
    if not row["reached"]:
        return f"reading the context is kept up to N = {whole(config.sizes[-1])}"
    return f"reading the context is lost from N = {sized(row)} on{_some(row)}"


def _some(row: pd.Series) -> str:
    return "" if row["reached"] == row["seeds"] else f" ({_crossed(row)})"


def _crossed(row: pd.Series) -> str:
    return f"{row['reached']} of {row['seeds']} models cross"


def _over_steps(config: PredictConfig, table: pd.DataFrame) -> Iterator[str]:
    """At which N reading emerges and is lost again during training."""
    rows = select(_answers(table), {"measure": "crossover_step_reading_lost"})
    for group in config.groups:
        transient = rows[(rows["group"] == group) & (rows["reached"] > 0)].sort_values("n")
        if len(transient):
            first, last = transient["n"].iloc[0], transient["n"].iloc[-1]
            span = whole(first) if first == last else f"{whole(first)} to {whole(last)}"
            first, last = (whole(end) for end in transient["value"].agg(["min", "max"]))
            at = f"at step {first}" if first == last else f"between step {first} and {last}"
            some = "" if (transient["reached"] == transient["seeds"]).all() else ", in some models"
            yield f"{GROUPS[group].capitalize()}, N of {span}: reading emerges and is lost during training, {at}{some}."
    if not (rows["reached"] > 0).any() and len(rows):
        yield "Reading, once there, is lost during training at no N looked at."


def _keeping(config: PredictConfig, table: pd.DataFrame) -> Iterator[str]:
    rows = select(_answers(table), {"measure": "keeping_share", "n": config.sizes[-1]})
    shares = [
        f"{number(value, low, high, 2)} for {GROUPS[group]}"
        for group, value, low, high in rows[["group", "value", "low", "high"]].to_numpy().tolist()
    ]
    if shares:
        yield (
            f"At N = {whole(config.sizes[-1])} reading would be kept by a share of relevant contexts of"
            f" {' and '.join(shares)}; it is {config.distribution.p_relevant:g} here."
        )


def _tables(table: pd.DataFrame) -> list[tuple[str, TextTable]]:
    found = [
        ("Predicted N*", predicted_table(table)),
        ("Predicted steps, at each N", step_table(table)),
        (WORDS.said["keeping"], keeping_table(table)),
        (WORDS.said["theory"], theory_table(table)),
    ]
    return [(title, made) for title, made in found if made.rows]


def predict_text(config: PredictConfig, table: pd.DataFrame) -> str:
    """What is predicted, and the tables, for a terminal."""
    shown = (f"{title}\n\n{made}" for title, made in _tables(table))
    return "\n\n".join([in_lines(predict_verdict(config, table)), *shown, in_lines([WORDS.said["intervals"]])])


def predict_page(question: str, config: PredictConfig, table: pd.DataFrame) -> Page:
    """The page of the study `predict`."""
    return Page(
        title=WORDS.title,
        question=question,
        systems=("stylized",),
        figures=FIGURES,
        terms=WORDS.terms,
        blocks=(Block("What is predicted", tuple(_tables(table))),),
        verdict=predict_verdict(config, table),
        intervals=WORDS.said["intervals"],
        results_title="Predictions",
    )
