"""What the comparison came to, in sentences."""

import math
from collections.abc import Iterator

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
    found = select(answers, {"system": "transformer", "measure": "crossover_gate", "kind": "measured"}).set_index(
        "group"
    )
    parts = [f"{GROUPS[group]}, {_crossed(found.loc[group], measured)}" for group in PAIR if group in found.index]
    if parts:
        yield (
            "Shown labels that its weights have never seen, the Transformer goes over from its context to its weights "
            f"(effective gate above 1/2): {'; '.join(parts)}."
        )
    else:
        yield "The table has no handover of the Transformer: it needs its effective gate at two or more sizes N."


def _crossed(row: pd.Series, measured: list[int]) -> str:
    reached, already, seeds = (0 if pd.isna(row[name]) else int(row[name]) for name in ("reached", "already", "seeds"))
    if math.isnan(row["value"]):
        return f"at an N that differs much: {reached} of {seeds} seeds do so among the sizes measured"
    if math.isinf(row["value"]):
        return f"not up to N = {measured[-1]:,}, the largest measured"
    if row["value"] == 0:
        return f"at or before N = {measured[0]:,}, the smallest measured"
    before = f", {already} before the smallest N" if already else ""
    some = f" ({reached} of {seeds} seeds{before})" if reached < seeds else ""
    return f"from N = {sized(row)} on{some}"


def _theory(answers: pd.DataFrame) -> Iterator[str]:
    """Where theory lets counted labels err no more than copying, beside the Transformer's handover."""
    found = select(answers, {"system": "theory", "measure": "crossover_error", "kind": "exact"}).set_index("group")[
        "value"
    ]
    said = [f"{GROUPS[group]} {_predicted(found[group])}" for group in PAIR if group in found.index]
    if said:
        gates = select(answers, {"system": "transformer", "measure": "crossover_gate", "kind": "measured"}).set_index(
            "group"
        )
        known = [group for group in PAIR if group in found.index and group in gates.index]
        later = all(gates.loc[group, "value"] > found[group] for group in known)
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
    at = select(both, {"n": n}).set_index("system")
    mine, other = at.loc["transformer"], at.loc["stylized"]
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
        values = [f"{row.value:.2f} for {GROUPS[str(row.group)]}" for row in poor.itertuples()]
        yield (
            f"With N = {int(first['n'].iloc[0]):,} training sequences it has not learnt to copy either: out of base it errs "
            f"{listed(values)}."
        )
    chance = chance_error(as_plain(config))
    usual = select(
        summary, {"system": "transformer", "distribution": "ibd", "context": "as_trained", "measure": "error"}
    )
    guessing = sorted(int(n) for n in usual.loc[(usual["high"] >= (chance or np.inf)), "n"].dropna().unique())
    if guessing:
        yield f"At N = {listed([f'{n:,}' for n in guessing])} its error on training-like sequences is not below chance ({chance:.2f})."
    residual = select(mine, {"measure": "effective_gate_residual"})
    large = residual[residual["value"] > LARGE_RESIDUAL]
    if len(large):
        found = sorted(int(n) for n in large["n"].unique())
        at = "any N" if len(found) == residual["n"].nunique() else f"N = {listed([f'{n:,}' for n in found])}"
        yield (
            f"No mixture of g and h describes it well at {at} (up to {large['value'].max():.2g} nats are left): "
            "its gate says little there."
        )
