"""Rows of the study `conflict`, and which way each prompt went, from the table of all answers."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd

from llm_finetune.conflict.config import ConflictConfig
from llm_finetune.conflict.gates import (
    context_aware_decoding,
    contextual_calibration,
    cross_fitted,
    log_odds_of,
    percentile_gate,
    posterior_gate,
    probability_gate,
)
from llm_finetune.conflict.scored import Scored
from llm_finetune.conflict.shares import CASES, WAYS, Drawn, JudgedBy, balanced, kept_slope, outcomes, shares
from theory.validation import Floats

__all__ = ["GATES", "JUDGES", "example_lines", "gated", "report_rows"]

Row = dict[str, Any]

GATES = ("plain", "probability", "percentile", "context_aware", "calibration", "posterior")
"""Ways to make an answer, in the order of tables; `plain` is the model with the context."""

JUDGES: tuple[JudgedBy, ...] = ("score", "said")

FEWEST = 2  # prompts of a kind, below which a row says nothing


def report_rows(config: ConflictConfig, samples: pd.DataFrame) -> Iterator[Row]:
    """Rows of every model.

    Args:
        config: settings of the run.
        samples: rows of `llm_finetune.conflict.bench.answer_suite` of all models, with their names.
    """
    for model in config.sources:
        scored = Scored(samples[samples["model"] == model])
        shared = {"study": "conflict", "system": "llm", "model": model, "suite": config.questions.name,
                  "group": "all", "kind": "measured"}  # fmt: skip
        for row in _rows(config, scored):
            yield {**shared, **row}


def _rows(config: ConflictConfig, scored: Scored) -> Iterator[Row]:
    for judge in JUDGES:
        found = outcomes(scored, judge)
        for context in dict.fromkeys(found["condition"]):
            here = found[found["condition"] == context]
            for group in ("all", *sorted({*here["group"]} - {"all"})):
                part = here if group == "all" else here[here["group"] == group]
                for row in _way_rows(config, part):
                    yield {"judge": judge, "context": context, **row, "group": group}
        yield from ({"judge": judge, "context": "no_context", **row} for row in _prior_rows(config, found))
        against = found[(found["condition"] == "contradicting") & (found["case"] != "")]
        yield from ({"judge": judge, "context": "contradicting", **row} for row in _size_rows(config, against))
        if judge == "score" and len(against) >= FEWEST:
            yield from ({"judge": judge, "context": "contradicting", **row} for row in _curve_rows(config, against))
    yield from _gate_rows(config, scored)


def _ends(found: Drawn, place: int = 0) -> Row:
    return {name: float(getattr(found, name)[place]) for name in ("value", "low", "high")}


def _shares(
    config: ConflictConfig, part: pd.DataFrame, values: Any, counted: Any = None, *, paired: bool = False
) -> Drawn:
    v = np.asarray(values, dtype=np.float64).reshape(len(part), -1)
    c = np.ones_like(v) if counted is None else np.asarray(counted, dtype=np.float64).reshape(len(part), -1)
    every = list(dict.fromkeys(asked.item for asked in config.asked))
    return shares(v, c, part["item"].to_numpy(str), among=np.array(every), n_resamples=config.n_resamples,
                  seed=config.seed, paired=paired)  # fmt: skip


def _way_rows(config: ConflictConfig, part: pd.DataFrame) -> Iterator[Row]:
    """Three ways in each case, and how often the answer is right."""
    if len(part) < FEWEST:
        return
    yield {"measure": "context_accuracy", **_ends(_shares(config, part, part["right"]))}
    for case in (*CASES, ""):
        here = part[part["case"] == case] if case else part
        if len(here) < FEWEST or not (case or (part["case"] == "").all()):
            continue
        found = _shares(config, here, here[list(WAYS)])
        for place, way in enumerate(WAYS):
            yield {"measure": way, "case": case or None, "answer": case in CASES[:2], **_ends(found, place)}
        less = _shares(config, here, here["context_followed"] - here["prior_kept"], paired=True)
        yield {"measure": "context_preference", "case": case or None, "answer": case in CASES[:2], **_ends(less)}


def _prior_rows(config: ConflictConfig, found: pd.DataFrame) -> Iterator[Row]:
    """How often the answer without context is right, over all items and by group."""
    items = found.drop_duplicates("item")
    for group in ("all", *sorted({*items["group"]} - {"all"})):
        part = items if group == "all" else items[items["group"] == group]
        if len(part) >= FEWEST:
            right = _shares(config, part, part["prior_was_right"])
            yield {"measure": "prior_accuracy", "group": group, "answer": group == "all", **_ends(right)}


def _size_rows(config: ConflictConfig, against: pd.DataFrame) -> Iterator[Row]:
    for size in config.questions.sizes:
        here = against[against["size"] == size]
        if len(here) >= FEWEST:
            found = _shares(config, here, here[list(WAYS)])
            yield from ({"measure": way, "size": size, **_ends(found, k)} for k, way in enumerate(WAYS))


def _curve_rows(config: ConflictConfig, against: pd.DataFrame) -> Iterator[Row]:
    """Three ways by quantile bins of the confidence in the own answer, and the slope over all."""
    cuts = np.quantile(against["confidence"], np.arange(1, config.bins) / config.bins)
    bins = np.searchsorted(cuts, against["confidence"], side="left")
    for number in range(config.bins):
        here = against[bins == number]
        if len(here) >= FEWEST:
            mean = _shares(config, here, here["confidence"])
            yield {"measure": "prior_confidence", "bin": number, **_ends(mean)}
            found = _shares(config, here, here[list(WAYS)])
            yield from ({"measure": way, "bin": number, **_ends(found, k)} for k, way in enumerate(WAYS))
    confidence, kept = (against[name].to_numpy(np.float64) for name in ("confidence", "prior_kept"))
    slope = kept_slope(confidence, kept, against["item"].to_numpy(), n_resamples=min(config.n_resamples, 500),
                       seed=config.seed)  # fmt: skip
    if not np.isnan(slope.value[0]):
        yield {"measure": "kept_slope", "answer": True, **_ends(slope)}


def gated(config: ConflictConfig, scored: Scored) -> dict[str, Floats]:
    """Log-probabilities of the candidates by every gate, for the prompts of conditions ``agreeing`` and
    ``contradicting``.

    Args:
        config: settings of the run.
        scored: a model's answers; those of other conditions are left as they are.

    Returns:
        By name of the gate, arrays of shape (P, K) as `Scored.context`.
    """
    here = scored.at("agreeing") | scored.at("contradicting")
    without, context, free = scored.without[here], scored.context[here], scored.content_free[here]
    found = {
        "plain": context,
        "probability": probability_gate(without, context),
        "percentile": percentile_gate(without, context),
        "context_aware": context_aware_decoding(without, context, strength=config.strength),
        "calibration": contextual_calibration(context, free),
    }
    case = outcomes(scored)["case"].to_numpy()[here]
    counts = {name: max((case == name).sum(), 1) for name in CASES}
    weights = np.select([case == CASES[0], case == CASES[1]], [1 / counts[CASES[0]], 1 / counts[CASES[1]]], 0.0)
    answer = context.argmax(axis=1)
    items = scored.asked["item"].to_numpy()[here]
    largest = -(-len({*items}) // config.folds)  # items of a fold: each case has some in the others
    if all(len({*items[case == name]}) > largest for name in CASES[:2]):
        weight = cross_fitted(log_odds_of(without, answer), (answer == 0).astype(float), weights, items.tolist(),
                              folds=config.folds, seed=config.seed)  # fmt: skip
        found["posterior"] = posterior_gate(without, context, weight)
    return {name: _put(scored.context, here, rows) for name, rows in found.items()}


def _put(base: Floats, where: Any, rows: Floats) -> Floats:
    found = np.array(base)
    found[where] = rows
    return found


def _gate_rows(config: ConflictConfig, scored: Scored) -> Iterator[Row]:
    """Accuracy in conflicts, the mean of both cases, and biases, of every gate; and their differences to the model."""
    conflicts = (scored.at("agreeing") | scored.at("contradicting")) & outcomes(scored)["case"].isin(
        CASES[:2]
    ).to_numpy()
    answers = {name: outcomes(scored, answers=rows)[conflicts] for name, rows in gated(config, scored).items()}
    plain = answers["plain"]
    cases = np.stack([plain["case"] == case for case in CASES[:2]], axis=1)
    if (cases.sum(0) < FEWEST).any():
        return
    for gate, found in answers.items():
        for end, base in (("", None), ("_gain", plain)):
            if end and gate == "plain":
                continue
            of = {name: found[name] - (0 if base is None else base[name]) for name in (*WAYS[:2], "right")}
            values = np.stack([of["right"], of["right"], of["context_followed"], of["prior_kept"]], axis=1)
            counted = cases[:, [0, 1, 0, 1]]
            drawn = _shares(config, plain, values, counted, paired=bool(end))
            shared = {"judge": "score", "gate": gate, "answer": True}
            yield {**shared, "measure": f"conflict_accuracy{end}", **_ends(balanced(drawn, 0, 1))}
            yield {**shared, "measure": f"context_bias{end}", **_ends(drawn, 2)}
            yield {**shared, "measure": f"prior_bias{end}", **_ends(drawn, 3)}


def example_lines(config: ConflictConfig, samples: pd.DataFrame) -> Iterator[Row]:
    """Which way each prompt went whose context states another answer than the model's own, by score, for every model.

    Args:
        config: settings of the run.
        samples: as in `report_rows`.
    """
    for model in config.sources:
        scored = Scored(samples[samples["model"] == model])
        found, bare = outcomes(scored), scored.bare_answers()
        own, chosen = scored.name_of(scored.prior), scored.name_of(scored.context.argmax(axis=1))
        for k, row in enumerate(found.itertuples(index=False)):
            if row.case:
                yield {
                    "model": model,
                    "way": next(way for way in WAYS if getattr(row, way) == 1),
                    "case": row.case,
                    **{name: scored.asked[name].iloc[k] for name in ("condition", "item", "target", "stated", "size")},
                    "own": own[k], "confidence": round(float(scored.confidence[k]), 4), "chosen": chosen[k],
                    "said_without": bare["said"].iloc[k], "said": scored.asked["said"].iloc[k],
                    "prompt": scored.asked["prompt"].iloc[k],
                }  # fmt: skip
