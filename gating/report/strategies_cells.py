"""What the figures of the study `strategies` show, out of its result table: means over seeds by D, width and step."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from gating.evaluation.table import read_setting, summarise
from gating.report.query import select

__all__ = ["predictor_means", "strategy_cells", "transition_means"]

Floats = NDArray[np.float64]


def strategy_cells(table: pd.DataFrame, distribution: str) -> pd.DataFrame:
    """Relative distance and predicted weight of every checkpoint, means over the seeds that M and G describe there.

    Args:
        table: rows of the schema of `gating.evaluation.table`.
        distribution: kind of test sequences that the distance was measured on.

    Returns:
        One row for each ``mlp_factor``, ``n_tasks`` and ``step``: ``value`` with Student's interval ``low`` to ``high``
        over ``seeds``; ``weight`` with ``weight_low`` and ``weight_high``, means of the ends of its bootstrap interval;
        ``held``, whether the fit has not seen the cell. Numbers are missing where no seed is described.
    """
    place = ["setting", "seed", "step"]
    weights = select(table, {"system": "posterior", "measure": "weight"})
    distances = select(table, {"measure": "relative_distance", "distribution": distribution})
    described = distances.merge(weights[place].assign(described=True), on=place, how="left")["described"].notna()
    measured = summarise(distances.assign(value=distances["value"].where(described.to_numpy())))
    ends = weights.groupby(["setting", "step"])[["value", "low", "high"]].mean()
    ends.columns = pd.Index(["weight", "weight_low", "weight_high"])
    found = _with_sizes(measured.join(ends, on=["setting", "step"]))
    return found.assign(held=found["group"] != "in_fit").sort_values(["mlp_factor", "n_tasks", "step"])


def transition_means(table: pd.DataFrame) -> pd.DataFrame:
    """Transition times of each width and D, geometric means over seeds.

    Returns:
        One row for each ``kind``, ``mlp_factor`` and ``n_tasks``. Measured: over the ``reached`` of ``seeds`` whose
        transition was seen, with Student's interval of the mean logarithm where it was in all; ``already`` counts those
        that were nearer to M from the start. Predicted: means of the times and of the ends of their intervals.
    """
    found = []
    for (kind, setting), rows in select(table, {"measure": "transition_time"}).groupby(["kind", "setting"]):
        times = rows["value"].to_numpy(np.float64)
        seen = np.isfinite(times) & (times > 0)
        counts = {"reached": int(seen.sum()), "already": int((times == 0).sum()), "seeds": len(times)}
        with np.errstate(divide="ignore", invalid="ignore"):
            means = _measured(times, seen) if kind == "measured" else np.exp(np.log(_ends(rows)).mean(0))
        found.append({"kind": kind, "setting": setting, **dict(zip(("value", "low", "high"), means, strict=True)),
                      **counts})  # fmt: skip
    return _with_sizes(pd.DataFrame(found)).sort_values(["mlp_factor", "n_tasks"])


def predictor_means(table: pd.DataFrame, measure: str) -> pd.DataFrame:
    """A measure of M and G for each ``n_tasks``, ``log_loss`` or ``description_bits``: means over seeds, intervals."""
    rows = select(table, {"system": ("memorizing", "generalizing"), "measure": measure})
    return _with_sizes(summarise(rows)).sort_values("n_tasks")


def _with_sizes(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows with D and the MLP factor of their setting as columns."""
    read = {text: read_setting(text) for text in rows["setting"].unique()}
    return rows.assign(
        **{
            name: [float(read[text].get(name, np.nan)) for text in rows["setting"]]
            for name in ("n_tasks", "mlp_factor")
        }
    )


def _ends(rows: pd.DataFrame) -> Floats:
    return rows[["value", "low", "high"]].to_numpy(np.float64)


def _measured(times: Floats, seen: NDArray[np.bool_]) -> Floats:
    """Geometric mean of the times seen, and its interval where all were."""
    if not seen.any():
        return np.full(3, np.nan)
    logs, n = np.log(times[seen]), int(seen.sum())
    half = stats.t.ppf(0.975, n - 1) * logs.std(ddof=1) / n**0.5 if 1 < n == len(times) else np.nan
    return np.exp(logs.mean() + np.array([0.0, -half, half]))
