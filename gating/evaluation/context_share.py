"""Which share of training prompts with a context that has to be read keeps a model's in-context accuracy."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from gating.evaluation.table import read_setting
from theory.validation import require_probability, require_scalar

__all__ = ["IN_CONTEXT", "ShareAdvice", "advise_share"]

IN_CONTEXT = ("contradicting", "contradicting_new", "unseen", "unseen_new")
"""Conditions whose mean accuracy is the in-context accuracy: the context states the answer, about the subject."""

_RESAMPLES = 10_000


class ShareAdvice(NamedTuple):
    """In-context accuracy against the share of context prompts, and the smallest share that keeps it.

    Attributes:
        shares: share of training prompts whose context has to be read, ascending, shape (shares,).
        accuracy: mean in-context accuracy over seeds, shape (shares,).
        low: lower end of its 95% interval over seeds, shape (shares,); NaN for one seed.
        high: upper end of the same.
        base: mean in-context accuracy before training.
        best: the largest mean accuracy, before training or at any share: what is to be kept.
        advised: smallest share from which on every measured share has a mean within the margin of `best`; NaN where
            none has.
        earliest: lower end of the 95% bootstrap interval of `advised` over seeds; NaN for one seed.
        latest: upper end of the same; infinite where more than 2.5% of the resamples have no such share.
        seeds: number of seeds.
    """

    shares: NDArray[np.float64]
    accuracy: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]
    base: float
    best: float
    advised: float
    earliest: float
    latest: float
    seeds: int


def advise_share(table: pd.DataFrame, margin: float) -> ShareAdvice | None:
    """The smallest share of context prompts that keeps in-context accuracy, from the rows of a `finetune` study.

    Args:
        table: rows of the schema of `gating.evaluation.table`.
        margin: loss of accuracy that is allowed, in (0, 1).

    Returns:
        The advice; None where the table has fewer than two shares.

    Raises:
        ValueError: when `margin` is not in (0, 1).
    """
    checked = require_probability("margin", margin, above_zero=True, below_one=True)
    margin = require_scalar("margin", checked)
    rows = table[
        (table["measure"] == "accuracy") & (table["group"] == "all") & table["context"].isin(IN_CONTEXT)
    ]  # fmt: skip
    rows = rows.assign(share=[_share(setting) for setting in rows["setting"]]).dropna(subset="share")
    if rows["share"].nunique() < 2:
        return None
    last = rows[rows["step"] == rows["step"].max()].pivot_table(index="seed", columns="share", values="value")
    first = rows[rows["step"] == rows["step"].min()].pivot_table(index="seed", columns="share", values="value")
    shares, found = last.columns.to_numpy(np.float64), last.to_numpy(np.float64)
    base = first.mean(axis=1).to_numpy(np.float64)
    n = len(found)
    half = stats.t.ppf(0.975, n - 1) * found.std(axis=0, ddof=1) / n**0.5 if n > 1 else np.full(len(shares), np.nan)
    mean = found.mean(axis=0)
    advised = float(_smallest(shares, mean, base.mean(), margin))
    drawn = np.random.default_rng(0).integers(n, size=(_RESAMPLES, n))
    ends = (np.nan, np.nan)
    if n > 1:
        again = _smallest(shares, found[drawn].mean(axis=1), base[drawn].mean(axis=1), margin)
        ends = tuple(np.quantile(np.nan_to_num(again, nan=np.inf), (0.025, 0.975), method="inverted_cdf"))
    best = float(max(mean.max(), base.mean()))
    return ShareAdvice(
        shares, mean, mean - half, mean + half, float(base.mean()), best, advised, float(ends[0]), float(ends[1]), n
    )


def _share(setting: object) -> float:
    """Share of prompts whose context has to be read; NaN where facts are not asked for as often as given."""
    values = read_setting(setting if isinstance(setting, str) else None)
    shares = dict(word.split("=") for word in str(values.get("mixture", "")).split())
    return float(shares.get("reading", 0.0)) if values.get("exposure") == "given" else np.nan


def _smallest(
    shares: NDArray[np.float64], mean: NDArray[np.float64], base: NDArray[np.float64], margin: float
) -> NDArray[np.float64]:
    """Smallest share from which on all keep a mean within the margin of the largest one; NaN where none does.

    Args:
        shares: ascending, shape (S,).
        mean: mean accuracy at each share, shape (..., S).
        base: mean accuracy before training, shape (...).
        margin: allowed loss.
    """
    best = np.maximum(mean.max(axis=-1), base)
    kept = mean >= best[..., None] - margin
    first = len(shares) - np.cumprod(kept[..., ::-1], axis=-1).sum(axis=-1)
    return np.append(shares, np.nan)[first]
