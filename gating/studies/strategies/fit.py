"""Fits gates to all checkpoints, judges them, and writes what needs the models' answers as rows of the result table."""

import time
from collections.abc import Iterator
from dataclasses import astuple
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import expit

from gating.gates.posterior_fit import fit_posterior
from gating.results.bootstrap import percentile_interval
from gating.results.table import make_table
from gating.runs.executor import Resources
from gating.runs.store import Place
from gating.studies.strategies.agreement import agreement_rows
from gating.studies.strategies.cells import StudyCells, cells_of
from gating.studies.strategies.config import PARAMETERS, StrategiesConfig
from gating.studies.strategies.gates import PlayedGate, fitted_gates
from gating.studies.strategies.outputs import RunOutputs, kept_outputs
from gating.studies.strategies.transitions import transition_rows
from theory.settings import SpecError

__all__ = ["FIT", "keep_fit", "measured_in"]

Row = dict[str, Any]
FIT = "fit"


def measured_in(index: int) -> str:
    """The part that measures one replica."""
    return f"measure/replica-{index}"


def keep_fit(config: StrategiesConfig, place: Place, resources: Resources) -> None:
    """Keeps the rows of the study; those that are of all models together are answers.

    Raises:
        SpecError: of fewer than two models the fit may see a checkpoint that M and G together describe.
    """
    start = time.perf_counter()
    runs = [kept_outputs(config, place.of(measured_in(index))) for index in range(len(config.replicas))]
    cells = cells_of(config, runs)
    n_seen = len(np.unique(cells.run[cells.fitted]))
    if n_seen < 2:
        allowed = "`described_within` must let the fit see checkpoints of two or more models"
        remedy = "choose a larger one with --reevaluate, which keeps what is trained, or train for longer"
        raise SpecError([f"{allowed}; it lets it see those of {n_seen}: {remedy}"])
    gates = fitted_gates(cells, config.n_resamples)
    rows = [
        *_strategy_rows(config, runs),
        *_parameter_rows(cells, gates),
        *agreement_rows(cells, gates, n_resamples=config.n_resamples, seed=config.evaluation_seed),
        *transition_rows(config, cells, gates[0].played),
    ]
    table = make_table(pd.concat([pd.DataFrame(rows), *_cell_rows(config, cells, gates[0])], ignore_index=True))
    of_all = table["seed"].isna() | (table["kind"] == "fitted")
    place.save_table(FIT, table.assign(study="strategies", context="as_trained", answer=of_all))
    resources.say(f"fitted and compared gates in {time.perf_counter() - start:.0f} s")


def _strategy_rows(config: StrategiesConfig, runs: list[RunOutputs]) -> Iterator[Row]:
    """Losses (nats per answer) and description lengths (bits) of M and G for each D and seed."""
    for replica, run in zip(config.replicas, runs, strict=True):
        if replica.mlp_factor != config.mlp_factors[0]:
            continue  # M and G know nothing of the Transformer
        place = {"seed": replica.seed, "distribution": "ibd", "kind": "measured", "n_tasks": replica.n_tasks}
        yield {**place, "system": "memorizing", "measure": "log_loss", "value": run.loss_m}
        yield {**place, "system": "memorizing", "measure": "description_bits", "value": run.complexity_m}
        yield {**place, "system": "generalizing", "measure": "log_loss", "value": run.loss_g}
        yield {**place, "system": "generalizing", "measure": "description_bits", "value": run.complexity_g}


def _cell_rows(config: StrategiesConfig, cells: StudyCells, posterior: PlayedGate) -> Iterator[pd.DataFrame]:
    """Each checkpoint: where the Transformer lies between G (0) and M (1), the weight that fits it best, what that
    leaves unexplained, its loss, and the weight that the posterior predicts. Undescribed cells have no prediction."""
    at = cells.trained
    place = pd.DataFrame({"n_tasks": at.n_tasks, "mlp_factor": at.width, "step": at.steps, "seed": at.seed,
                          "group": cells.group})  # fmt: skip
    for kind in cells.relative:
        here = place.assign(system="transformer", distribution=kind, kind="measured")
        measured = {"relative_distance": cells.relative, "effective_gate": cells.best, "residual": cells.residual}
        for name, values in measured.items():
            yield here.assign(measure=name, value=values[kind])
        losses = np.concatenate([run.answers[kind].losses for run in cells.runs])
        errors = np.concatenate([run.answers[kind].errors for run in cells.runs])
        yield here.assign(measure="log_loss", value=losses, standard_error=errors, tests=config.evaluation_sequences)
    low, high = percentile_interval([expit(at.log_odds(draw)) for draw in posterior.played[1:]])
    weights = place.assign(system="posterior", distribution="ibd", kind="predicted", measure="weight",
                           value=expit(posterior.log_odds), low=low, high=high)  # fmt: skip
    yield weights[cells.described]


def _parameter_rows(cells: StudyCells, gates: list[PlayedGate]) -> Iterator[Row]:
    """Fitted parameters, of the posterior and its ablations with bootstrap intervals over runs; which of them ended at
    the edge of their range; the loss of each fit, and the share of its searches that found it; and the parameters of
    each seed and each width alone."""
    shared = {"distribution": "ibd", "group": "in_fit", "kind": "fitted"}
    for gate in gates:
        if gate.fit is None:
            continue
        place = {**shared, "system": gate.name, "fitted_to": "all"}
        for name, value in zip(PARAMETERS, astuple(gate.fit.parameters), strict=True):
            drawn = [] if name in gate.fit.fixed else [getattr(draw, name) for draw in gate.played[1:]]
            low, high = percentile_interval(drawn)
            yield {**place, "measure": name, "value": value, "low": float(low), "high": float(high)}
            if name in gate.fit.at_bound:
                yield {**place, "measure": f"{name}_at_edge", "value": value}
        yield {**place, "measure": "fit_loss", "value": gate.fit.loss}
        yield {**place, "measure": "searches_agreeing", "value": gate.fit.n_agreeing / gate.fit.n_starts}
    alone = {"one seed": ("seed", cells.trained.seed), "one width": ("mlp_factor", cells.trained.width)}
    for name, (column, values) in alone.items():
        found = np.unique(values[cells.fitted])
        for value in found if len(found) > 1 else []:
            fit = fit_posterior(cells.trained.select(cells.fitted & (values == value)))
            place = {**shared, "system": "posterior", "fitted_to": name, column: value}
            for parameter, number in zip(PARAMETERS[:3], astuple(fit.parameters), strict=False):
                yield {**place, "measure": parameter, "value": number}
