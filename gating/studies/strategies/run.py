"""The strategies study from start to end; each part is skipped when its files are there."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from scipy.special import expit

from gating.evaluation.table import make_table, setting_text
from gating.gates.posterior import PosteriorParameters
from gating.gates.posterior_fit import PosteriorFit, fit_posterior
from gating.studies.folder import StudyFolder
from gating.studies.parts import in_threads
from gating.studies.strategies.agreement import agreement_rows, relative_distances
from gating.studies.strategies.cells import StudyCells, cells_of
from gating.studies.strategies.config import StrategiesConfig
from gating.studies.strategies.ensemble import Ensemble
from gating.studies.strategies.gates import PlayedGate, fitted_gates, resampled
from gating.studies.strategies.outputs import RunOutputs, kept_outputs
from gating.studies.strategies.transitions import transience_rows, transition_rows
from theory.distribution import SpecError

__all__ = ["run_strategies"]

Row = dict[str, Any]
PARAMETERS = ("alpha", "beta", "gamma", "kappa")


def run_strategies(
    config: StrategiesConfig,
    out: Path,
    *,
    device: str = "cpu",
    workers: int = 1,
    say: Callable[[str], None] = print,
) -> pd.DataFrame:
    """Trains, measures, fits and predicts into `out`, or goes on with what `out` holds.

    Args:
        config: settings; they decide the result.
        out: folder of the run. A finished run is returned as it is.
        device: ``cpu`` or ``cuda``, for training; measuring is done on the CPU.
        workers: worker threads on the CPU; they change the speed, not the result.
        say: receives a line about each part.

    Returns:
        The result table.

    Raises:
        FolderError: `out` holds something else.
        SpecError: of fewer than two models the fit may see a checkpoint that M and G together describe.
        Interrupted: on Ctrl-C; the same call goes on from the last save.
        TrainingDiverged: a loss stopped being finite.

    Example:
        >>> run_strategies(StrategiesConfig(), Path("runs/urns"))  # doctest: +SKIP
    """
    folder = StudyFolder(out)
    folder.prepare(config)
    if folder.finished:
        say(f"`{out}` is finished; its table is used as it is")
        return folder.read_table()
    ensemble = Ensemble(config, out / "ensembles" / "transformer", torch.device(device))
    _train(ensemble, workers, say)
    runs = _measure(ensemble, out / "parts", workers, say)
    start = time.perf_counter()
    table = make_table(list(_rows(ensemble, runs)))
    say(f"fitted and compared gates in {time.perf_counter() - start:.0f} s")
    folder.write_table(table)
    shutil.rmtree(out / "parts")
    return table


def _train(ensemble: Ensemble, workers: int, say: Callable[[str], None]) -> None:
    steps = ensemble.config.training.steps - ensemble.folder.step
    if steps <= 0:
        return
    start = time.perf_counter()
    ensemble.trainer(workers).run("training")
    seconds, n = time.perf_counter() - start, len(ensemble.config.replicas)
    say(f"trained {n} Transformers, {steps} steps in {seconds:.0f} s, {steps * n / seconds:.0f} replica-steps/s")


def _measure(ensemble: Ensemble, folder: Path, workers: int, say: Callable[[str], None]) -> list[RunOutputs]:
    start, n, steps = time.perf_counter(), len(ensemble.config.replicas), ensemble.config.training.checkpoint_steps

    def measured(index: int) -> RunOutputs:
        return kept_outputs(folder / f"replica-{index}.safetensors", ensemble, index, steps)

    runs = in_threads(measured, range(n), folder, workers, "measuring", unit="model")
    say(f"measured {n} Transformers at {len(steps)} checkpoints in {time.perf_counter() - start:.0f} s")
    return runs


def _rows(ensemble: Ensemble, runs: list[RunOutputs]) -> Iterator[Row]:
    config, distance = ensemble.config, ensemble.family.distance
    cells = cells_of(config, runs, config.training.checkpoint_steps, distance)
    n_seen = len(np.unique(cells.run[cells.fitted]))
    if n_seen < 2:
        allowed = "`described_within` must let the fit see checkpoints of two or more models"
        raise SpecError([f"{allowed}; it lets it see those of {n_seen}: train for longer"])
    seen = cells.trained.select(cells.fitted)
    full = fit_posterior(seen)
    draws = resampled(seen, full, config.bootstrap)
    gates = fitted_gates(cells, full, draws, distance)
    relative = relative_distances(cells, distance)
    found = [
        *_strategy_rows(config, runs),
        *_cell_rows(config, cells, relative, draws, full),
        *_parameter_rows(cells, gates),
        *agreement_rows(cells, gates, distance, resamples=config.bootstrap, seed=config.evaluation_seed),
        *transition_rows(config, cells, relative["ibd"], full.parameters, draws),
        *transience_rows(config, cells, relative["oobd"]),
    ]
    for row in found:
        yield {"study": "strategies", "context": "as_trained", **row}


def _strategy_rows(config: StrategiesConfig, runs: list[RunOutputs]) -> Iterator[Row]:
    """Losses (nats per answer) and description lengths (bits) of M and G for each D and seed."""
    for replica, run in zip(config.replicas, runs, strict=True):
        if replica.mlp_factor != config.mlp_factors[0]:
            continue  # M and G know nothing of the Transformer
        place = {"seed": replica.seed, "distribution": "ibd", "kind": "measured",
                 "setting": setting_text({"n_tasks": replica.n_tasks})}  # fmt: skip
        yield {**place, "system": "memorizing", "measure": "log_loss", "value": run.loss_m}
        yield {**place, "system": "generalizing", "measure": "log_loss", "value": run.loss_g}
        yield {**place, "system": "memorizing", "measure": "description_bits", "value": run.complexity_m}
        yield {**place, "system": "generalizing", "measure": "description_bits", "value": run.complexity_g}


def _cell_rows(
    config: StrategiesConfig,
    cells: StudyCells,
    relative: dict[str, np.ndarray],
    draws: list[PosteriorParameters],
    full: PosteriorFit,
) -> Iterator[Row]:
    """Each checkpoint: where the Transformer lies between G (0) and M (1), the weight that fits it best, what that
    leaves unexplained, its loss, and the weight that the posterior predicts. Undescribed cells have no prediction."""
    predicted = full.weights(cells.trained)
    drawn = np.stack([expit(cells.trained.log_odds(draw)) for draw in draws])
    low, high = np.quantile(drawn, [0.025, 0.975], axis=0)
    for kind, on_kind in cells.kinds.items():
        odds, residual = on_kind.curves().best()
        losses = np.concatenate([run.answers[kind].losses.numpy() for run in cells.runs])
        measured = {"relative_distance": relative[kind], "effective_gate": expit(odds),
                    "residual": residual, "log_loss": losses}  # fmt: skip
        for k, place in enumerate(_places(config, cells)):
            for name, values in measured.items():
                yield {**place, "system": "transformer", "distribution": kind, "kind": "measured", "measure": name,
                       "value": values[k]}  # fmt: skip
            if kind == "ibd" and cells.described[k]:
                yield {**place, "system": "posterior", "distribution": kind, "kind": "predicted", "measure": "weight",
                       "value": predicted[k], "low": low[k], "high": high[k]}  # fmt: skip


def _places(config: StrategiesConfig, cells: StudyCells) -> Iterator[Row]:
    for run, step, group in zip(cells.run, cells.trained.steps, cells.group, strict=True):
        replica = config.replicas[run]
        setting = setting_text({"n_tasks": replica.n_tasks, "mlp_factor": replica.mlp_factor})
        yield {"step": int(step), "seed": replica.seed, "group": str(group), "setting": setting}


def _parameter_rows(cells: StudyCells, gates: list[PlayedGate]) -> Iterator[Row]:
    """Fitted parameters, of the posterior and its ablations with bootstrap intervals over runs; which of them ended at
    the edge of their range; the loss of each fit, and the share of its searches that found it; and the parameters of
    each seed and each width alone."""
    for gate in gates:
        if gate.fit is None:
            continue
        place = {"system": gate.name, "distribution": "ibd", "group": "in_fit", "kind": "fitted"}
        for name in PARAMETERS:
            ends = {}
            if gate.draws and name not in gate.fit.fixed:
                ends["low"], ends["high"] = np.quantile([getattr(draw, name) for draw in gate.draws], [0.025, 0.975])
            value = getattr(gate.fit.parameters, name)
            yield {**place, "measure": name, "value": value, **ends}
            if name in gate.fit.at_bound:
                yield {**place, "measure": f"{name}_at_edge", "value": value}
        yield {**place, "measure": "fit_loss", "value": gate.fit.loss}
        yield {**place, "measure": "searches_agreeing", "value": gate.fit.n_agreeing / gate.fit.n_starts}
    for label, values in (("seed", cells.trained.seed), ("mlp_factor", cells.trained.width)):
        names = np.unique(values[cells.fitted])
        for value in names if len(names) > 1 else []:
            fit = fit_posterior(cells.trained.select(cells.fitted & (values == value)))
            for name in PARAMETERS[:3]:
                yield {"system": "posterior", "distribution": "ibd", "group": "in_fit", "kind": "fitted",
                       "setting": setting_text({f"{label} alone": float(value)}), "measure": name,
                       "value": getattr(fit.parameters, name)}  # fmt: skip
