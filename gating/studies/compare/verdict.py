"""What the comparison came to, in sentences."""

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd

from gating.page.said import Row, few_seeds, interval, listed, sized
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


def compare_verdict(config: CompareConfig, table: pd.DataFrame) -> tuple[str, ...]:
    """Where the Transformer hands over from context to weights, beside theory and the stylized model, with caveats.

    Args:
        config: settings of the run.
        table: rows of the study, answers included.
    """
    answers = table[table["answer"]]
    summary = last_step(summarise(table[~table["answer"]]))
    return (
        *_handover(answers, sizes(table)),
        *_theory(answers),
        *_stylized(summary),
        *_caveats(config, summary),
        *few_seeds(table),
    )


def _handover(answers: pd.DataFrame, measured: list[int]) -> Iterator[str]:
    """Where the Transformer's effective gate stays above 1/2, for each group of classes."""
    found = _gates(answers)
    parts = [f"{GROUPS[group]}, {_crossed(found[group], measured)}" for group in PAIR if group in found]
    if parts:
        yield (
            "Shown classes whose labels have moved, the Transformer goes over from its context to its weights "
            f"(effective gate above 1/2): {'; '.join(parts)}."
        )
    else:
        yield "The table has no handover of the Transformer: it needs its effective gate at two or more sizes N."


def _crossed(row: Row, measured: list[int]) -> str:
    counts: list[Any] = [row[name] for name in ("reached", "already", "seeds")]
    reached, already, seeds = (0 if pd.isna(count) else int(count) for count in counts)
    if math.isnan(row["value"]):
        return f"at an N that differs much: {reached} of {seeds} seeds do so among the sizes measured"
    if math.isinf(row["value"]):
        return f"not up to N = {measured[-1]:,}, the largest measured"
    if row["value"] == 0:
        return f"at or before N = {measured[0]:,}, the smallest measured"
    before = f", {already} before the smallest N" if already else ""
    some = f" ({reached} of {seeds} seeds{before})" if reached < seeds else ""
    return f"from N = {sized(row)} on{some}"


def _gates(answers: pd.DataFrame) -> dict[Any, Row]:
    """Handovers of the Transformer, by group."""
    rows = select(answers, {"system": "transformer", "measure": "crossover_gate", "kind": "measured"})
    return {row["group"]: row for row in rows.to_dict("records")}


def _theory(answers: pd.DataFrame) -> Iterator[str]:
    """Where theory lets counted labels err no more than copying, beside the Transformer's handover."""
    rows = select(answers, {"system": "theory", "measure": "crossover_error", "kind": "exact"})
    found = dict(zip(rows["group"], rows["value"], strict=True))
    said = [f"{GROUPS[group]} {_predicted(found[group])}" for group in PAIR if group in found]
    if said:
        gates = _gates(answers)
        known = [group for group in PAIR if group in found and group in gates]
        later = all(gates[group]["value"] > found[group] for group in known)
        how = "earlier than the Transformer's handover" if known and later else "which is no prediction of the handover"
        yield f"By theory, counted labels err no more than copying, contexts as trained: {listed(said)}; {how}."


def _predicted(size: float) -> str:
    return "at no N" if math.isinf(size) else "at every N" if size == 0 else f"from N = {whole(size)}"


def _stylized(summary: pd.DataFrame) -> Iterator[str]:
    """Whether the stylized model errs out of base as the Transformer does, at the largest N."""
    errors = select(summary, {**OUT, "measure": "error", "kind": "measured", "group": "low"})
    both = errors[errors["system"].isin(["transformer", "stylized"])]
    common = both.groupby("n")["system"].nunique()
    if not (common == 2).any():
        yield "The stylized model cannot be compared: the table has no out-of-base error of both models at one N."
        return
    n = int(common[common == 2].index.max())
    at = {row["system"]: row for row in select(both, {"n": n}).to_dict("records")}
    mine, other = at["transformer"], at["stylized"]
    apart = mine["low"] > other["high"] or other["low"] > mine["high"]
    more = "more" if mine["value"] > other["value"] else "less"
    how = f"it errs {more} than the stylized model" if apart else "it cannot be told apart from the stylized model"
    yield (
        f"At N = {n:,}, on rare classes out of base, {how}: error {interval(mine)} and {interval(other)}. "
        "(An error of 1 is an answer from the weights, 0 one from the context.)"
    )


def _caveats(config: CompareConfig, summary: pd.DataFrame) -> Iterator[str]:
    """Sizes at which the Transformer has learnt neither, and those at which no mixture describes it."""
    mine = select(summary, {**OUT, "system": "transformer", "kind": "measured", "group": PAIR})
    errors = select(mine, {"measure": "error"})
    first = errors[errors["n"] == errors["n"].min()]
    poor = first[first["value"].between(0.25, 0.75)]
    if len(poor):
        values = [f"{value:.2f} for {GROUPS[str(group)]}" for group, value in poor[["group", "value"]].to_numpy()]
        yield (
            f"With N = {int(first['n'].iloc[0]):,} training sequences it has not learnt to copy either: out of base it "
            f"errs {listed(values)}."
        )
    chance = chance_error(as_plain(config))
    where = {"system": "transformer", "distribution": "ibd", "context": "as_trained", "measure": "error"}
    usual = select(summary, where)
    at = sorted(int(n) for n in usual.loc[usual["high"] >= (chance or np.inf), "n"].dropna().unique())
    if at:
        sizes_ = listed([f"{n:,}" for n in at])
        yield f"At N = {sizes_} its error on sequences like those of training is not below chance ({chance:.2f})."
    residual = select(mine, {"measure": "effective_gate_residual"})
    large = residual[residual["value"] > LARGE_RESIDUAL]
    if len(large):
        found = [f"{int(n):,}" for n in sorted(large["n"].unique())]
        where_ = "any N" if len(found) == residual["n"].nunique() else f"N = {listed(found)}"
        yield (
            f"No mixture of g and h describes it well at {where_} (up to {large['value'].max():.2g} nats are left): "
            "its gate says little there."
        )
