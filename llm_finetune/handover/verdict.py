"""What came out of a run of the study `handover`, in sentences: first whether the prediction holds."""

from collections.abc import Iterator

import numpy as np
import pandas as pd

from gating.page.names import system_of
from gating.page.said import few_seeds, listed
from gating.page.text_table import ends_of
from gating.page.words import page_words
from gating.results.query import select
from llm_finetune.handover.answers import SETTING, systems_of
from llm_finetune.handover.config import BASELINES, TEACHING, HandoverConfig
from llm_finetune.handover.curves import with_columns

__all__ = ["COUNTED", "PREDICTORS", "cell_of", "handover_verdict"]

page_words("llm_finetune")  # how a language model looks
WORDS = page_words("llm_finetune.handover")
COUNTED = WORDS.tables["teaching"]
"""What the two predictions count as teaching, in words."""

PREDICTORS = WORDS.tables["predictors"]
"""The prediction and its baselines, in words."""

Held = dict[str, pd.DataFrame]
"""Answers of each system, by its name in a sentence."""


def handover_verdict(config: HandoverConfig, table: pd.DataFrame) -> tuple[str, ...]:
    """Whether predicted gates hold and beat the baselines, where weights take over, and whether models can tell.

    Args:
        config: settings of the run.
        table: its rows, answers included.
    """
    answers = table[table["answer"]]
    held = {_called(system_of(system).name): select(answers, {"system": system}) for system in systems_of(table)}
    said = [_holds(config, held, teaching) + _compared(held, teaching) for teaching in TEACHING]
    said += [_taken_over(held), *_can_tell(held), *_without(held)]
    return (*said, *few_seeds(table, over=""))


def cell_of(rows: pd.DataFrame, measure: str, teaching: str, predictor: str = "") -> pd.Series | None:
    """The row of a measure, of what teaches and of a predictor; None where there is none."""
    found = select(rows, {"measure": measure, "teaching": teaching, **({"predictor": predictor} if predictor else {})})
    return None if found.empty else found.iloc[0]


def _called(name: str) -> str:
    """The name of a system within a sentence."""
    short = name.partition(",")[0]
    return f"the {short if short == 'Transformer' else short.lower()}"


def _grouped(outcomes: dict[str, str]) -> str:
    """Outcomes of each system, those of several said once."""
    groups: dict[str, list[str]] = {}
    for name, outcome in outcomes.items():
        groups.setdefault(outcome, []).append(name)
    return "; ".join(f"{outcome} for {listed(names)}" for outcome, names in groups.items())


def _holds(config: HandoverConfig, held: Held, teaching: str) -> str:
    """For which systems a prediction is off by the tolerance at most, and for which by more, beyond its interval."""
    rows = {name: cell_of(rows, "gate_error", teaching, "handover") for name, rows in held.items()}
    named = {name if row is None else f"{name} ({ends_of(row)})": row for name, row in rows.items()}
    said = _grouped({name: _outcome(row, config.tolerance) for name, row in named.items()})
    return f"Counting {COUNTED[teaching]}, the predicted gate {said}."


def _outcome(row: pd.Series | None, tolerance: float) -> str:
    within = f"to {tolerance:g} on average"
    if row is None:
        return "is nowhere known, the memory-only run having been asked more often or less,"
    if np.isnan(row["low"]):
        return f"has fewer than three seeds, so that nothing is said of whether it holds {within},"
    if row["high"] <= tolerance:
        return f"holds {within}"
    if row["low"] > tolerance:
        return f"does not hold {within}"
    return f"can neither be said to hold {within} nor not to hold"


def _compared(held: Held, teaching: str) -> str:
    """Which baselines the prediction beats, and which it does not, beyond the interval of the difference."""
    found = {name: _against(rows, teaching) for name, rows in held.items()}
    said = _grouped({name: outcome for name, outcome in found.items() if outcome})
    return f" It is {said}." if said else ""


def _against(rows: pd.DataFrame, teaching: str) -> str:
    kinds: dict[str, list[str]] = {"better than": [], "worse than": [], "not to be told apart from": []}
    for baseline in BASELINES:
        less = cell_of(rows, "gate_error_less", teaching, baseline)
        if less is not None and pd.notna(less["low"]):
            kind = "better than" if less["high"] < 0 else "worse than" if less["low"] > 0 else [*kinds][-1]
            kinds[kind].append(PREDICTORS[baseline])
    better = kinds["better than"]
    if len(better) > 1 and not any(names for kind, names in kinds.items() if kind != "better than"):
        return "better than every baseline"
    return listed([f"{kind} {listed(names)}" for kind, names in kinds.items() if names])


def _taken_over(held: Held) -> str:
    """How far predicted n* lie from measured ones."""
    parts = []
    for name, rows in held.items():
        found = with_columns(select(rows, {"measure": "handover_asked"}), SETTING)
        measured = found[found["kind"] == "measured"]
        seen = measured[np.isfinite(measured["value"]) & (measured["value"] > 0)]
        spans = [_span(seen, select(found, {"teaching": teaching}), COUNTED[teaching]) for teaching in TEACHING]
        ratios = (
            f"predicted n* are {listed([span for span in spans if span])}"
            if any(spans)
            else "predicted n* are beyond what memory alone was asked"
        )
        ratios = f", where {ratios}" if len(seen) else ""
        of = f"in {len(seen)} of {len(measured)} groups and shares" if len(measured) else "where nobody looked"
        parts.append(f"{of} for {name}{ratios}")
    return f"Weights come to win contexts that do not answer {'; '.join(parts)}."


def _span(seen: pd.DataFrame, predicted: pd.DataFrame, counted: str) -> str:
    both = seen.merge(predicted, on=SETTING, suffixes=("", "_predicted"))
    ratios = (both["value_predicted"] / both["value"]).to_numpy(float)
    ratios = np.sort(ratios[np.isfinite(ratios) & (ratios > 0)])
    if not len(ratios):
        return ""
    span = f"{ratios[0]:.2g}" if len(ratios) == 1 else f"{ratios[0]:.2g} to {ratios[-1]:.2g}"
    return f"{span} times as large counting {counted}"


def _can_tell(held: Held) -> Iterator[str]:
    """Whether a gate differs by whether the context answers, of which the theory's gate sees nothing."""
    told, untold = [], []
    for name, rows in held.items():
        found = select(rows, {"measure": "gate_difference"})
        tells = found[found["low"] > 0]
        if len(tells):
            most = tells.sort_values("value").iloc[-1]
            told.append(f"{name} (by {ends_of(most)} at p = {most['answered']:g})")
        elif found["low"].notna().any():
            untold.append(name)
    if told:
        yield (
            "Where the context does not answer, the gate is larger than where it does, for"
            f" {listed(told)}: the two are told apart, which the theory's gate cannot do."
        )
    if untold:
        yield f"For {listed(untold)} the gate is not larger, beyond its interval, where the context does not answer."


def _without(held: Held) -> Iterator[str]:
    parts = []
    for name, rows in held.items():
        shares = {teaching: cell_of(rows, "gates_predicted", teaching) for teaching in TEACHING}
        short = [f"{1 - row['value']:.0%} counting {COUNTED[teaching]}" for teaching, row in shares.items()
                 if row is not None and row["value"] < 1]  # fmt: skip
        parts += [f"{name} ({', '.join(short)})"] if short else []
    if parts:
        yield f"Not every gate has a prediction, memory alone having been asked more often or less: {listed(parts)}."
