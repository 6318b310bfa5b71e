"""What the comparison came to, in sentences."""

import math
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd

from gating.page.said import few_seeds, interval, listed, sized
from gating.page.text_table import whole
from gating.results.query import last_step, select, sizes
from gating.results.table import summarise
from gating.settings.text import as_plain
from gating.studies.compare.config import CompareConfig
from gating.studies.vocabulary import GROUPS, chance_error

__all__ = ["compare_verdict"]

OUT = {"distribution": "oobd", "context": "relevant"}
"""Out-of-base sequences: only the context tells the answer."""
LARGE_RESIDUAL = 0.1  # nats, of a mixture that describes little
PAIR = ("low", "high")
Row = Mapping[Any, Any]


def compare_verdict(config: CompareConfig, table: pd.DataFrame) -> tuple[str, ...]:
    """Where the Transformer hands over from context to weights, beside theory and the stylized model, with caveats.

    Args:
        config: settings of the run.
        table: rows of the study, answers included.
    """
    answers = table[table["answer"]]
    summary = last_step(summarise(table[~table["answer"]]))
    handover = _by_group(answers, {"system": "transformer", "measure": "crossover_gate", "kind": "measured"})
    return (
        *_handover(handover, sizes(table)),
        *_theory(answers, handover, sizes(table)),
        *_stylized(summary),
        *_caveats(config, summary),
        *few_seeds(table),
    )


def _by_group(rows: pd.DataFrame, where: Row) -> dict[str, Row]:
    """The row of each group of classes, in order."""
    found = {str(row["group"]): row for row in select(rows, where).to_dict("records")}
    return {group: found[group] for group in PAIR if group in found}


def _handover(found: dict[str, Row], measured: list[int]) -> Iterator[str]:
    """Where the Transformer's effective gate stays above 1/2, for each group of classes."""
    alike: dict[str, list[str]] = {}
    for group, row in found.items():
        alike.setdefault(_crossed(row, measured), []).append(group)
    parts = [f"{_classes(groups)}, {crossed}" for crossed, groups in alike.items()]
    if parts:
        yield (
            "Shown labels that its weights never saw, the Transformer answers more from weights than context "
            f"(gate above 1/2): {'; '.join(parts)}."
        )
    else:
        yield "The table has no handover of the Transformer: it needs its effective gate at two or more sizes N."


def _classes(groups: list[str]) -> str:
    return f"{listed([GROUPS[group].removesuffix(' classes') for group in groups])} classes"


def _crossed(row: Row, measured: list[int]) -> str:
    reached, already, seeds = (int(np.nan_to_num(float(row[name]))) for name in ("reached", "already", "seeds"))
    if math.isnan(row["value"]):
        if not seeds:
            return "at an N that no seed tells"
        return (
            f"in {already} of {seeds} seeds at or before N = {measured[0]:,}, in the others not up to N = "
            f"{measured[-1]:,}: the sizes measured"
        )
    if math.isinf(row["value"]):
        return f"not up to N = {measured[-1]:,}, the largest measured"
    if row["value"] == 0:
        return f"at or before N = {measured[0]:,}, the smallest measured"
    before = f", {already} before the smallest N" if already else ""
    some = f" ({reached} of {seeds} seeds{before})" if reached < seeds else ""
    return f"from N = {sized(row)} on{some}"


def _theory(answers: pd.DataFrame, handover: dict[str, Row], measured: list[int]) -> Iterator[str]:
    """Where theory lets counted labels err no more than copying, beside the Transformer's handover."""
    exact = _by_group(answers, {"system": "theory", "measure": "crossover_error", "kind": "exact"})
    found = {group: float(row["value"]) for group, row in exact.items()}
    if found:
        earlier = all(
            group in handover and size < _at_least(handover[group], measured) for group, size in found.items()
        )
        how = "earlier than the Transformer's handover" if earlier else "which is no prediction of the handover"
        alike: dict[str, list[str]] = {}
        for group, size in found.items():
            alike.setdefault(_predicted(size), []).append(group)
        said = listed([f"on {_classes(groups)} {size}" for size, groups in alike.items()])
        yield f"By theory, counted labels err no more than copying {said}; {how}."


def _at_least(row: Row, measured: list[int]) -> float:
    """What an N* is not below, as far as sizes were measured."""
    known = row["value"] if math.isnan(row["low"]) else row["low"]
    return min(known, measured[-1]) if measured else math.nan


def _predicted(size: float) -> str:
    return "at no N" if math.isinf(size) else "at every N" if size == 0 else f"from N = {whole(size)}"


def _stylized(summary: pd.DataFrame) -> Iterator[str]:
    """Whether the stylized model errs out of base as the Transformer does, at the largest N."""
    errors = select(summary, {**OUT, "measure": "error", "kind": "measured", "group": "low"})
    models = {key: select(errors, {"system": key}).set_index("n") for key in ("transformer", "stylized")}
    common = [n for n in models["transformer"].index if n in models["stylized"].index]
    if not common:
        yield "The stylized model cannot be compared: no N has an error of both models on rare classes out of base."
        return
    n = max(common)
    mine, other = (dict(models[key].loc[[n]].iloc[0]) for key in models)
    apart = mine["low"] > other["high"] or other["low"] > mine["high"]
    more = "more" if mine["value"] > other["value"] else "less"
    how = f"it errs {more} than the stylized model" if apart else "it cannot be told apart from the stylized model"
    yield (
        f"At N = {n:,}, on rare classes out of base, {how}: error {interval(mine)} and {interval(other)}. "
        "(1 is from weights, 0 from context.)"
    )


def _caveats(config: CompareConfig, summary: pd.DataFrame) -> Iterator[str]:
    """Sizes at which the Transformer does neither, guesses, or is described by no mixture."""
    mine = select(summary, {"system": "transformer", "kind": "measured", "group": PAIR})
    errors = select(mine, {**OUT, "measure": "error"})
    first = errors[(errors["n"] == errors["n"].min()).fillna(False)]
    between = [f"{row.value:.2f} for {GROUPS[str(row.group)]}" for row in first.itertuples() if 0.25 < row.value < 0.75]
    if between:
        yield (
            f"At N = {int(first['n'].iloc[0]):,} it neither copies nor answers from weights throughout: "
            f"out of base it errs {listed(between)}."
        )
    chance = chance_error(as_plain(config))
    usual = select(mine, {"distribution": "ibd", "context": "as_trained", "measure": "error"})
    guesses = usual[usual["high"].fillna(usual["value"]) >= (math.inf if chance is None else chance)]
    if len(guesses):
        found = [f"N = {listed(_sizes(rows))} ({GROUPS[str(group)]})" for group, rows in guesses.groupby("group")]
        yield (
            f"On training-like sequences its error is not certain to be below chance, {chance:.2f}, at {listed(found)}."
        )
    residual = select(mine, {**OUT, "measure": "effective_gate_residual"})
    large = residual[residual["value"] > LARGE_RESIDUAL]
    if len(large):
        at = "any N" if large["n"].nunique() == residual["n"].nunique() else f"N = {listed(_sizes(large))}"
        yield (
            f"No mixture of g and h describes it well at {at} (up to {large['value'].max():.2g} nats are left): "
            "its gate says little there."
        )


def _sizes(rows: pd.DataFrame) -> list[str]:
    return [f"{int(n):,}" for n in sorted(rows["n"].dropna().unique())]
