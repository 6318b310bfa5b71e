"""Share of a grid of settings whose phase is certified, with simple and with tight bounds, as CSV.

Run: python -m benchmarks.certified_share [shares.csv]
"""

import sys
from collections.abc import Iterator
from itertools import product
from typing import Any

import numpy as np
import pandas as pd

from theory.distribution import ClassMixture
from theory.in_context_bounds import squared_distance_bounds
from theory.phases import ICL, IWL, UNDECIDED, Comparison, phase_diagram

SIZES = np.unique(np.logspace(1, 7, 60).round()).astype(int).tolist()
P_HIGH = np.linspace(0.5, 0.99, 60).tolist()
RANDOM_CENTRES = squared_distance_bounds(10, 64, 1e-6)


def shares(spec: ClassMixture, compare: Comparison) -> list[float]:
    """Shares of (point, group) pairs certified ICL, certified IWL and undecided; groups high and low."""
    diagrams = phase_diagram(spec, "n_sequences", SIZES, "p_high", P_HIGH, compare=compare)
    phases = np.stack([diagrams[group].phases for group in ("high", "low")])
    return [float((phases == code).mean()) for code in (ICL, IWL, UNDECIDED)]


def rows() -> Iterator[dict[str, Any]]:
    """A row for each law of the centres, input noise, context length and loss."""
    centres = {"equidistant": (2.0, 2.0), "random, all likely": RANDOM_CENTRES, "random, on average": None}
    for (name, ends), noise, length, measure in product(centres.items(), (0.0, 0.2), (1, 4), ("error", "log_loss")):
        spec = ClassMixture(context_length=length, label_noise=0.05, input_noise=noise)
        simple, tight, best = (
            shares(spec, Comparison(measure=measure, squared_distance=ends, bounds=bounds, beta=beta))
            for bounds, beta in (("simple", 1.0), ("tight", 1.0), ("tight", 0.02))
        )
        place = {"centres": name, "input noise": noise, "L": length, "loss": measure}
        undecided = {"undecided, simple": simple[2], "undecided, tight": tight[2], "and beta = 0.02": best[2]}
        yield {**place, **undecided, "ICL": best[0], "IWL": best[1]}


if __name__ == "__main__":
    pd.DataFrame(rows()).to_csv(sys.argv[1] if len(sys.argv) > 1 else sys.stdout, index=False, lineterminator="\n")
