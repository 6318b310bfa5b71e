"""A made-up result table of the study `compare`, with the shapes that a real one has, and settings that suit it."""

import itertools
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd

from gating.results.columns import measure as measure_of
from gating.results.table import make_table
from gating.studies.compare.config import CompareConfig
from theory.distribution import ClassMixture

SYSTEMS = (
    "transformer",
    "stylized",
    "stylized_frozen",
    "in_weight",
    "in_context",
    "tabular",
    "transformer_iw",
    "transformer_ic",
)
GATED = ("transformer", "stylized", "stylized_frozen")
CONDITIONS = tuple(itertools.product(("ibd", "oobd"), ("relevant", "irrelevant", "as_trained")))
CONFIG = CompareConfig(distribution=ClassMixture(input_noise=0.2), n_sequences=(64, 512, 4096))
SETTINGS: dict[str, Any] = {
    "data": {"n_high": 5, "n_low": 5, "p_high": 0.9, "input_noise": 0.2},
    "sizes": [64, 512, 4096],
    "training": {"steps": 2000, "batch_size": 32},
}
ENVIRONMENT = {"python": "3.11.9", "torch": "2.6.0", "device": "cpu"}


def memorised(n: int, group: str) -> float:
    """A made-up probability that the weights know a class."""
    return n / (n + {"high": 200, "low": 3000, "all": 500}[group])


def error_of(alpha: float, n: int, group: str, distribution: str, context: str) -> float:
    """Error of a mixture of an in-weight predictor and copying."""
    g = 1.0 if distribution == "oobd" else 0.9 * (1 - memorised(n, group))
    h = {"relevant": 0.03, "irrelevant": 1.0, "as_trained": 0.12}[context]
    return alpha * g + (1 - alpha) * h


def gate_of(system: str, n: int, group: str, step: int | None) -> float:
    """A made-up gate: 1 answers from weights."""
    if system in ("in_weight", "tabular", "transformer_iw"):
        return 1.0
    if system in ("in_context", "transformer_ic"):
        return 0.0
    shift = {"transformer": 1.0, "stylized": 1.5, "stylized_frozen": 0.7}[system]
    return memorised(int(n * shift * ((step or 2000) / 2000)), group)


def measured_rows(
    systems: Sequence[str], sizes: Sequence[int], steps: Sequence[int], seeds: int
) -> Iterator[dict[str, Any]]:
    """Rows of every measure for every system, N, step, seed, condition and group."""
    rng = np.random.default_rng(0)
    for system, n, seed in itertools.product(systems, sizes, range(seeds)):
        for step in [None] if system == "tabular" else steps:
            for (distribution, context), group in itertools.product(CONDITIONS, ("high", "low", "all")):
                alpha = gate_of(system, n, group, step)
                error = float(np.clip(error_of(alpha, n, group, distribution, context) + rng.normal(0, 0.02), 0, 1))
                values = {"error": error, "log_loss": 4 * error + 0.003}
                if system in GATED:
                    values |= {"effective_gate": alpha, "effective_gate_residual": 0.02 * (1 - alpha) + 0.001}
                if system == "transformer":
                    values |= {"effective_gate_reference": alpha**0.8, "effective_gate_reference_residual": 0.004}
                if system.startswith("stylized"):
                    values["mean_gate"] = alpha
                key = {"study": "compare", "system": system, "n": n, "step": step, "seed": seed, "kind": "measured"}
                where = {"distribution": distribution, "context": context, "group": group, "tests": 1000}
                for measure, value in values.items():
                    found = np.clip(value + rng.normal(0, 0.005), measure_of(measure).low, measure_of(measure).high)
                    yield {**key, **where, "measure": measure, "value": found}


def theory_rows(sizes: Sequence[int]) -> Iterator[dict[str, Any]]:
    """Exact risks of both predictors and bounds of in-weight ones."""
    for n, group, (distribution, context) in itertools.product(sizes, ("high", "low", "all"), CONDITIONS):
        for system, kind, factor in (
            ("tabular", "exact", 1.0),
            ("tabular", "upper", 1.2),
            ("any_in_weight", "lower", 0.8),
            ("copying", "exact", 1.0),
        ):
            error = factor * error_of(float(system != "copying"), n, group, distribution, context)
            for measure, value in (("error", min(error, 1.0)), ("log_loss", 4 * error)):
                yield {
                    "study": "compare", "system": system, "n": n, "distribution": distribution, "context": context,
                    "group": group, "measure": measure, "kind": kind, "value": value,
                }  # fmt: skip


def synthetic_table(
    systems: Sequence[str] = SYSTEMS,
    sizes: Sequence[int] = (64, 512, 4096),
    steps: Sequence[int] = (20, 500, 2000),
    seeds: int = 3,
    theory: bool = True,
) -> pd.DataFrame:
    """The table; every argument takes something away from it."""
    rows = list(measured_rows(systems, sizes, steps, seeds)) + (list(theory_rows(sizes)) if theory else [])
    return make_table(rows)
