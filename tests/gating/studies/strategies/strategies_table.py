"""A made-up result table of the study `strategies`: transitions at 40 D^1.2 steps, with the rows of a real one."""

import itertools
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd

from gating.results.table import make_table
from gating.studies.strategies.config import HeldOut, StrategiesConfig
from gating.studies.strategies.page_tables import GATES
from gating.studies.strategies.study import Strategies

CONFIG = StrategiesConfig(n_tasks=(4, 16, 64, 256), n_seeds=2, held_out=HeldOut(n_tasks=(16,)))
STEPS = 20_000
DRIFT = 1.1  # predicted over measured transition time
SEEDS = 2


def transition_step(n_tasks: float, seed: int) -> float:
    """When the made-up Transformer goes over."""
    return 40 * n_tasks**1.2 * (1 + 0.1 * seed)


def weight_of(step: float, when: float) -> float:
    """Sigmoid in the logarithm of the step."""
    return float(1 / (1 + (when / step) ** 2))


def cell_rows(diversities: Sequence[int], factors: Sequence[float], checkpoints: int) -> Iterator[dict[str, Any]]:
    """Distances of every checkpoint and predictions of those after the third, which M and G describe."""
    rng = np.random.default_rng(0)
    steps = (np.linspace(20**0.5, STEPS**0.5, checkpoints) ** 2).round().astype(int).tolist()
    for factor, n_tasks, seed in itertools.product(factors, diversities, range(SEEDS)):
        when = transition_step(n_tasks, seed) * 4 / factor
        for k, step in enumerate(steps):
            group = "held_out_steps" if step > 0.8 * STEPS else "held_out_tasks" if n_tasks == 16 else "in_fit"
            place = {"n_tasks": n_tasks, "mlp_factor": factor, "seed": seed, "step": step, "group": group}
            true, predicted = weight_of(step, when), weight_of(step, DRIFT * when)
            for kind, noise in (("ibd", 0.01), ("oobd", 0.04)):
                found = {"relative_distance": float(np.clip(true + rng.normal(0, noise), 0, 1)), "log_loss": 1.6}
                for measure, value in found.items():
                    yield {**place, "system": "transformer", "distribution": kind, "kind": "measured",
                           "measure": measure, "value": value}  # fmt: skip
            if k >= 3:
                yield {**place, "system": "posterior", "distribution": "ibd", "kind": "predicted", "measure": "weight",
                       "value": predicted, "low": 0.9 * predicted, "high": 0.1 + 0.9 * predicted}  # fmt: skip


def transition_rows(diversities: Sequence[int], factors: Sequence[float]) -> Iterator[dict[str, Any]]:
    """Transition times, their exponents and thresholds; the smallest D is memorized from the start."""
    for factor in factors:
        for n_tasks, seed in itertools.product(diversities, range(SEEDS)):
            when = transition_step(n_tasks, seed) * 4 / factor
            measured = 0.0 if n_tasks == diversities[0] else when if when < STEPS else np.inf
            place = {"n_tasks": n_tasks, "mlp_factor": factor, "seed": seed, "distribution": "ibd",
                     "measure": "transition_time"}  # fmt: skip
            yield {**place, "system": "transformer", "kind": "measured", "value": measured}
            yield {**place, "system": "posterior", "kind": "predicted", "value": DRIFT * when, "low": when,
                   "high": np.inf if n_tasks == diversities[-1] else 1.2 * when}  # fmt: skip
        place = {"distribution": "ibd", "mlp_factor": factor}
        exponents = [("transformer", "seen", "measured", 1.21), ("posterior", "seen", "predicted", np.nan),
                     ("posterior", "all", "predicted", 1.15)]  # fmt: skip
        for system, group, kind, value in exponents:
            yield {**place, "measure": "transition_exponent", "system": system, "group": group, "kind": kind,
                   "value": value, "low": value - 0.1, "high": value + 0.2}  # fmt: skip
        threshold = {**place, "measure": "diversity_threshold", "step": STEPS}
        for seed in range(SEEDS):
            yield {**threshold, "system": "transformer", "kind": "measured", "seed": seed, "value": 180.0}
        yield {**threshold, "system": "posterior", "kind": "predicted", "value": 170.0, "low": 90.0, "high": np.inf}


def gate_rows() -> Iterator[dict[str, Any]]:
    """Agreement of every gate by kind and group, and fitted parameters."""
    for gate, kind, group in itertools.product(GATES, ("ibd", "oobd"), ("in_fit", "held_out_tasks")):
        place = {"system": gate, "distribution": kind, "group": group, "kind": "measured"}
        for measure, value in (("correlation", 0.97), ("total_variation", 0.031), ("discrepancy", 0.002)):
            value = np.nan if (gate, measure) == ("memorizing", "correlation") else value
            yield {**place, "measure": measure, "value": value, "low": 0.9 * value, "high": 1.02 * value}
    fits = [("posterior", {"fitted_to": "all"}, 0.1), ("posterior, beta = 1", {"fitted_to": "all"}, np.nan),
            ("posterior", {"fitted_to": "one seed", "seed": 0}, np.nan),
            ("posterior", {"fitted_to": "one width", "mlp_factor": 4.0}, np.nan)]  # fmt: skip
    for gate, to, half in fits:
        place = {"system": gate, "distribution": "ibd", "group": "in_fit", "kind": "fitted", **to}
        for measure, value in (("alpha", 0.75), ("beta", 0.5), ("gamma", 40.0)):
            yield {**place, "measure": measure, "value": value, "low": value - half, "high": value + half}


def predictor_rows(diversities: Sequence[int]) -> Iterator[dict[str, Any]]:
    """Losses and description lengths of M and G."""
    for n_tasks, seed in itertools.product(diversities, range(SEEDS)):
        place = {"n_tasks": n_tasks, "seed": seed, "distribution": "ibd", "kind": "measured"}
        for system, loss, bits in (("memorizing", 1.7 - 0.3 / n_tasks, 8000 + 256 * n_tasks),
                                   ("generalizing", 1.75 + 0.01 * seed, 5600)):  # fmt: skip
            yield {**place, "system": system, "measure": "log_loss", "value": loss}
            yield {**place, "system": system, "measure": "description_bits", "value": bits}


def strategies_table(
    diversities: Sequence[int] = (4, 16, 64, 256), factors: Sequence[float] = (4.0,), checkpoints: int = 12
) -> pd.DataFrame:
    """The table, with the answers that the study makes from it."""
    rows = [*predictor_rows(diversities), *cell_rows(diversities, factors, checkpoints), *gate_rows(),
            *transition_rows(diversities, factors)]  # fmt: skip
    table = make_table({"study": "strategies", "context": "as_trained", **row} for row in rows)
    table["answer"] = table["seed"].isna() | (table["kind"] == "fitted")
    found = Strategies().answers(CONFIG, table).assign(answer=True)
    return make_table(pd.concat([table, found], ignore_index=True))
