"""Which share of training prompts with a context that has to be read keeps a model's in-context accuracy."""

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd

from gating.results.bootstrap import moment_bootstrap
from gating.results.intervals import Interval, mean_interval
from gating.results.query import select
from llm_finetune.conditions import IN_CONTEXT
from theory.validation import Floats, require_probability, require_scalar

__all__ = ["advice_of", "advice_rows", "advice_sentence"]


RESAMPLES = 10_000
ENDS = ("value", "low", "high")


def advice_rows(table: pd.DataFrame, margin: float, n_candidates: int) -> Iterator[dict[str, Any]]:
    """The smallest share of context prompts that keeps in-context accuracy, and the accuracies that it follows from.

    In-context accuracy is the mean over the conditions of `IN_CONTEXT`. The advised share is the smallest one from
    which on every measured share has a mean over seeds within the margin of the largest mean, before training or at
    any share; infinite where none has. Its interval is a bootstrap over seeds, with an infinite upper end where more
    than 2.5% of the resamples have no such share. There is none where no accuracy is above chance, beyond its interval:
    such a model does not read. Of several mixtures with one share the first counts.

    Args:
        table: rows of a `finetune` study.
        margin: loss of accuracy that is allowed, in (0, 1).
        n_candidates: number of answers that compete, so that a uniform guess is right once in so many.

    Returns:
        Answer rows; none where the table has fewer than two shares with facts asked for as often as given.

    Raises:
        ValueError: when `margin` is not in (0, 1).
    """
    margin = require_scalar("margin", require_probability("margin", margin, above_zero=True, below_one=True))
    rows = select(table, {"measure": "accuracy", "group": "all", "context": IN_CONTEXT, "exposure": "given"})
    mixtures = rows.drop_duplicates("share").set_index("share")["mixture"].sort_index()
    if len(mixtures) < 2:
        return
    rows = rows[rows["mixture"] == rows["share"].map(mixtures)]
    first, last = (rows[rows["step"] == step] for step in (rows["step"].min(), rows["step"].max()))
    start = first[first["share"] == mixtures.index[0]].assign(share=-1.0)  # before every share that training has
    mean, accuracies = _accuracies(pd.concat([start, last]))
    before, *after = ({name: float(getattr(mean, name)[k]) for name in ENDS} for k in range(1 + len(mixtures)))
    shared = {"study": "finetune", "system": "llm", "group": "all", "kind": "measured", "exposure": "given"}
    for (share, mixture), ends in zip(mixtures.items(), after, strict=True):
        yield {**shared, "mixture": mixture, "share": share, "measure": "in_context_accuracy", **ends}
    yield {**shared, "measure": "in_context_accuracy_before", **before}
    yield {**shared, "measure": "largest_in_context_accuracy", "value": float(mean.value.max())}
    yield {**shared, "measure": "chance_accuracy", "kind": "exact", "value": 1 / n_candidates}
    if mean.low.max() > 1 / n_candidates:
        shares = mixtures.index.to_numpy(np.float64)
        advised = moment_bootstrap(
            lambda drawn: _smallest(shares, drawn.mean(axis=1), margin), accuracies, n_resamples=RESAMPLES, seed=0
        )
        yield {**shared, "measure": "advised_share", **{name: float(getattr(advised, name)) for name in ENDS}}


def advice_of(table: pd.DataFrame) -> pd.DataFrame:
    """The answer rows of a table that `advice_rows` made: the others say what they are judged by."""
    return table[table["answer"] & (table["judge"].isna() if "judge" in table else True)]


def _accuracies(rows: pd.DataFrame) -> tuple[Interval, Floats]:
    """Mean over conditions at each share, ascending: over seeds with its interval, and of each, shape (seeds, shares).

    Conditions weigh the same however many prompts they have, so the mean counts as one over four times the fewest.
    """
    p, n = rows["value"], rows["tests"].astype("float64")
    grouped = rows.assign(tests=n, variance=p * (1 - p) / (n - 1)).groupby(["seed", "share"])
    means = grouped["value"].mean().unstack()
    errors = grouped["variance"].sum(min_count=len(IN_CONTEXT)).unstack() ** 0.5 / len(IN_CONTEXT)
    tests = grouped["tests"].min().unstack() * len(IN_CONTEXT)
    found, counts, widths = (part.to_numpy(np.float64) for part in (means, tests, errors))
    return mean_interval(found.T, tests=counts.T, standard_errors=widths.T, low=0, high=1), found


def _smallest(shares: Floats, accuracies: Floats, margin: float) -> Floats:
    """Smallest share from which on all keep an accuracy within the margin of the largest one; infinite where none does.

    Args:
        shares: ascending, shape (S,).
        accuracies: before training and at each share, shape (..., 1 + S).
        margin: allowed loss.
    """
    kept = accuracies[..., 1:] >= accuracies.max(axis=-1, keepdims=True) - margin
    first = len(shares) - np.cumprod(kept[..., ::-1], axis=-1).sum(axis=-1)
    return np.append(shares, np.inf)[first]


def advice_sentence(answers: pd.DataFrame, margin: float, n_seeds: int) -> str:
    """The advice in words; empty where there are too few shares for one.

    Args:
        answers: rows as `advice_rows` yields them.
        margin: loss of accuracy that was allowed.
        n_seeds: number of seeds.
    """
    if answers.empty:
        return ""
    cells = answers.set_index("measure")[list(ENDS)].astype(np.float64)
    value = cells["value"].to_dict()  # of the accuracies at each share the last, which is not used
    best, before = value["largest_in_context_accuracy"], value["in_context_accuracy_before"]
    if "advised_share" not in value:
        return (
            "No share is advised, since this model does not read: its in-context accuracy is"
            f" {before:.3f} before training and {best:.3f} at most, not above that of a uniform guess,"
            f" {value['chance_accuracy']:.3f}, beyond its interval."
        )
    if math.isinf(value["advised_share"]):
        return f"No measured share keeps the in-context accuracy within {margin:g} of the largest one, {best:.3f}."
    shares = cells.loc["advised_share"].to_numpy()
    advised, earliest, latest = ("more than any measured" if np.isinf(s) else f"{100 * s:g}%" for s in shares)
    ends = f" (95% bootstrap interval over {n_seeds} seeds: {earliest} to {latest})" if n_seeds > 1 else ""
    return (
        f"From {advised} of prompts with a context to be read on{ends}, the in-context accuracy stays within {margin:g}"
        f" of the largest one, {best:.3f}."
    )
