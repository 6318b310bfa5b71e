r"""Who wins a conflict: shares of prompts and differences of shares, with a bootstrap over items.

Prompts of one item are alike, so whole items are drawn with replacement (`gating.results.bootstrap`). A share is that
of all prompts of a kind, as in ClashEval. Where every prompt has one outcome, resamples have no spread; the interval is
then Wilson's for as many outcomes as there are items, :math:`z^2 / (n + z^2)` long, to both sides of a difference.

Source: Wu, Wu and Zou (2024), ClashEval, for cases, three ways and biases; Efron and Tibshirani (1993) for the
bootstrap.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from gating.results.bootstrap import cluster_bootstrap, percentile_interval
from gating.results.intervals import unvaried_margin
from llm_finetune.conflict.gates import fit_logistic
from llm_finetune.conflict.scored import Scored
from theory.validation import Floats

__all__ = ["CASES", "WAYS", "Drawn", "JudgedBy", "balanced", "kept_slope", "outcomes", "shares"]

JudgedBy = Literal["score", "said"]

WAYS = ("prior_kept", "context_followed", "neither_chosen")
"""The three ways, of which each answer goes one."""

CASES = ("prior_right", "context_right", "both_wrong")
"""Which of the two is right where the model's own answer and the context's differ."""


class Drawn(NamedTuple):
    """Shares, or differences of shares, with their intervals and what these come from.

    Attributes:
        value: shape (m,), NaN where no prompt counts.
        low: lower end, NaN where fewer than two items have a prompt that counts.
        high: upper end likewise.
        draws: of the resamples, shape (n_resamples, m).
        items: how many items have a prompt that counts, shape (m,).
    """

    value: Floats
    low: Floats
    high: Floats
    draws: Floats
    items: NDArray[np.int64]


def outcomes(scored: Scored, judge: JudgedBy = "score", answers: Floats | None = None) -> pd.DataFrame:
    """Which way each prompt goes.

    Args:
        scored: a model's answers.
        judge: by the likeliest candidate, or by the candidate that the free answer names. Freely, an own answer that
            names no candidate is kept where the same is said word for word.
        answers: log-probabilities of a gate in place of the model's own, shape (P, K); by ``score``.

    Returns:
        A row for each prompt with ``item``, ``group``, ``condition``, ``size``; the three `WAYS`, ``right``, 0 or 1;
        and
        ``case``, one of `CASES`, or empty where nothing is stated, or what the model answers anyway. Prompts without a
        free answer are left out where these are asked for.
    """
    stated = scored.stated
    if judge == "score":
        prior, now = scored.prior, (scored.context if answers is None else answers).argmax(axis=1)
        kept = now == prior
    else:
        prior, now = scored.said_prior, scored.said
        kept = np.where(prior >= 0, now == prior, scored.same_words)
    followed = (now == stated) & (stated >= 0) & (stated != prior)
    kept = kept & ~followed
    conflict = (stated >= 0) & (stated != prior)
    case = np.select([conflict & (prior == 0), conflict & (stated == 0), conflict], CASES, "")
    found = scored.asked[["item", "group", "condition", "size"]].assign(
        prior_kept=kept.astype(float), context_followed=followed.astype(float),
        neither_chosen=(~kept & ~followed).astype(float), right=(now == 0).astype(float),
        prior_was_right=(prior == 0).astype(float), case=case, confidence=scored.confidence,
    )  # fmt: skip
    return found[now > -3] if judge == "said" else found


def shares(
    values: ArrayLike,
    counted: ArrayLike,
    items: ArrayLike,
    *,
    n_resamples: int,
    seed: int,
    among: ArrayLike | None = None,
    paired: bool = False,
) -> Drawn:
    r"""Means of values over the prompts that count: :math:`\sum_i v_{ij} c_{ij} / \sum_i c_{ij}`.

    Args:
        values: outcomes 0 and 1, or differences of two, shape (P, m).
        counted: which prompts count, shape (P, m).
        items: item of each prompt, shape (P,).
        n_resamples: resamples, >= 1.
        seed: seed of the resamples, >= 0.
        among: all items that resamples draw from, those of the prompts and perhaps others; those of the prompts when
            None. Shares with the same ones and the same seed are drawn together.
        paired: whether values are differences, in [-1, 1].

    Example:
        >>> found = shares([[1.0], [0.0], [1.0], [1.0]], np.ones((4, 1)), [0, 0, 1, 2], n_resamples=999, seed=0)
        >>> found.value.tolist(), found.low.round(2).tolist(), found.high.round(2).tolist()
        ([0.75], [0.5], [1.0])
    """
    v, c = np.asarray(values, dtype=np.float64), np.asarray(counted, dtype=np.float64)
    labels = np.unique(np.asarray(items if among is None else among))
    of = np.searchsorted(labels, np.asarray(items))
    over, under = (np.zeros((len(labels), v.shape[1])) for _ in range(2))
    np.add.at(over, of, v * c)
    np.add.at(under, of, c)

    def ratio(w: Floats) -> Floats:
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.asarray((w @ over) / (w @ under))

    found = cluster_bootstrap(ratio, labels, n_resamples=n_resamples, seed=seed, form="weights")
    n = (under > 0).sum(0)
    low, high = (np.where(n >= 2, end, np.nan) for end in (found.low, found.high))
    alike = np.array([len(np.unique(v[c[:, j] > 0, j])) == 1 for j in range(v.shape[1])])
    reach = np.where(alike & (n >= 2), unvaried_margin(n), 0.0)
    low = np.maximum(low - reach, -1.0 if paired else 0.0)
    return Drawn(found.value, low, np.minimum(high + reach, 1.0), found.draws, n)


def balanced(found: Drawn, one: int, other: int) -> Drawn:
    """The mean of two shares that were drawn together, such as accuracy where the prior, and where the context is
    right.

    Args:
        found: shares.
        one: place of the first.
        other: place of the second.
    """
    draws = found.draws[:, [one, other]].mean(1, keepdims=True)
    value = found.value[[one, other]].mean(keepdims=True)
    low, high = percentile_interval(draws) if len(draws) else (np.full(1, np.nan), np.full(1, np.nan))
    ends = [found.low[[one, other]], found.high[[one, other]]]
    if not np.ptp(draws) > 0:  # both have one outcome only, and intervals of their own
        low, high = (end.mean(keepdims=True) for end in ends)
    return Drawn(value, low, high, draws, found.items[[one, other]].min(keepdims=True))


def kept_slope(confidence: Floats, kept: Floats, items: ArrayLike, *, n_resamples: int, seed: int) -> Drawn:
    """Slope of the log odds of keeping the prior on the log odds of its probability, by `fit_logistic`.

    Args:
        confidence: probability of the prior's answer, in (0, 1], shape (P,); clipped to 1e-6 from both ends.
        kept: whether it is kept, 0 or 1, shape (P,).
        items: item of each prompt, shape (P,).
        n_resamples: resamples, >= 1.
        seed: seed of the resamples.

    Returns:
        One slope; NaN where all is kept or nothing, or all confidences are one.
    """
    p = np.clip(confidence, 1e-6, 1 - 1e-6)
    x = np.log(p / (1 - p))
    x -= x.mean()  # so that equal confidences say nothing of a slope
    labels, of = np.unique(np.asarray(items), return_inverse=True)

    def slopes(w: Floats) -> list[list[float]]:
        return [[fit_logistic(x, kept, row[of])[1]] for row in w]

    found = cluster_bootstrap(slopes, labels, n_resamples=n_resamples, seed=seed, form="weights")
    varied = len(np.unique(kept)) > 1 and np.ptp(x) > 1e-9
    value, low, high = (end if varied else np.full(1, np.nan) for end in (found.value, found.low, found.high))
    return Drawn(value, low, high, found.draws, np.array([len(labels)]))
