"""Made-up tables of the study `crossover`."""

import numpy as np
import pandas as pd

from gating.results.table import make_table
from gating.studies.crossover.answers import ONSETS

Q = {0.95: 0.01, 0.9: 0.02, 0.8: 0.04}
NAN = float("nan")


def answered(*keys: str, reached=(3, 3, 3), slope=(-1.1, -1.4, -0.8), predicted: bool = True) -> pd.DataFrame:
    """A table with N* of some onsets, 1.5 times the predicted ones, and the curves' rows of a single seed."""
    base, rows = {"study": "crossover", "group": "low"}, []
    for p_high, q in Q.items():
        rows.append({**base, "p_high": p_high, "system": "theory", "kind": "exact", "measure": "query_frequency",
                     "value": q})  # fmt: skip
    for onset in (onset for onset in ONSETS if onset.key in keys):
        step = 20 if onset.system == "transformer" else None
        place = {**base, "system": onset.system, "kind": "measured", "step": step, "answer": True}
        for (p_high, q), crosses in zip(Q.items(), reached, strict=True):
            here, value = {**place, "p_high": p_high}, 3 / q if crosses else NAN
            low, high = (value * factor if crosses == 3 else NAN for factor in (0.8, 1.25))
            rows.append({**here, "measure": f"crossover_{onset.key}", "value": value, "low": low, "high": high,
                         "reached": crosses, "already": int(crosses == 0), "seeds": 3})  # fmt: skip
            if predicted and onset.key != "gate":
                rows.append({**base, "p_high": p_high, "system": "theory", "kind": "exact",
                             "measure": f"crossover_{onset.key}", "value": 2 / q})  # fmt: skip
                rows.append({**here, "measure": f"crossover_ratio_{onset.key}", "value": 1.5, "low": 1.2, "high": 1.9})
        if not np.isnan(slope[0]):
            ends = dict(zip(("value", "low", "high"), slope, strict=True))
            fitted = {**place, "measure": f"exponent_{onset.key}"}
            rows += [{**fitted, **ends}, {**fitted, "kind": "exact", "step": None, "value": -1.0}]
    return make_table(rows)
