"""The gates that are compared: the loss-complexity posterior, its ablations, and controls that know less or more."""

from dataclasses import dataclass, replace

import numpy as np
from scipy.special import logit

from gating.gates.discrepancy import REACH, OutputRows, output_rows
from gating.gates.posterior import PosteriorParameters
from gating.gates.posterior_cells import best_steps
from gating.gates.posterior_fit import ABLATIONS, PosteriorFit, bootstrap_posterior, fit_posterior
from gating.studies.strategies.cells import StudyCells
from theory.validation import Floats

__all__ = ["PlayedGate", "fitted_gates"]

CONTEXT_CELLS, CONTEXT_ROWS, CONTEXT_STARTS = 120, 128, 5
"""How much the fit of the posterior that also reads the context sees: its cost is in cells times rows."""


@dataclass(frozen=True)
class PlayedGate:
    """A gate on all cells.

    Attributes:
        name: what tables call it.
        log_odds: log odds of M before the context is read, (c,).
        kappa: weight of the context's evidence.
        fit: how its parameters were found; None for controls.
        played: its parameters, and then those that are refitted to runs drawn with replacement.
    """

    name: str
    log_odds: Floats
    kappa: float = 0.0
    fit: PosteriorFit | None = None
    played: tuple[PosteriorParameters, ...] = ()


def fitted_gates(cells: StudyCells, n_resamples: int) -> list[PlayedGate]:
    """The posterior and its ablations, fitted to the same cells, and the controls.

    Args:
        cells: all cells.
        n_resamples: number of resamples of whole runs, to which the posterior and its ablations are refitted.
    """
    seen, gates = cells.trained.select(cells.fitted), []
    for name, fixed in {"posterior": {}, **{f"posterior, {name}": fixed for name, fixed in ABLATIONS.items()}}.items():
        fit = fit_posterior(seen, fixed=fixed)
        draws = bootstrap_posterior(seen, fit, by=("n_tasks", "seed", "width"), n_resamples=n_resamples)
        found = fit.parameters
        gates.append(PlayedGate(name, cells.trained.log_odds(found), found.kappa, fit, (found, *draws)))
    n = len(cells.run)
    return [
        *gates,
        _context_gate(cells, gates[0].played[0]),
        PlayedGate("memorizing", np.full(n, REACH)),
        PlayedGate("generalizing", np.full(n, -REACH)),
        PlayedGate("step in time", _step_in_time(cells)),
        PlayedGate("free in every cell", np.nan_to_num(logit(cells.best["ibd"])).clip(-REACH, REACH)),
    ]


def _step_in_time(cells: StudyCells) -> Floats:
    """G up to a step, M after it; the best step for each D and width in the cells that the fit sees; for the D and
    widths that it does not, the geometric mean of those that are finite."""
    seen = cells.trained.select(cells.fitted)
    thresholds = best_steps(seen)
    finite = [step for step in thresholds.values() if np.isfinite(step)]
    other = float(np.exp(np.mean(np.log(finite)))) if finite else np.inf
    wanted = [thresholds.get(key, other) for key in zip(cells.trained.n_tasks, cells.trained.width, strict=True)]
    return np.where(cells.trained.steps >= wanted, REACH, -REACH)


def _context_gate(cells: StudyCells, full: PosteriorParameters) -> PlayedGate:
    """The posterior that goes on updating along the context, fitted to some of the cells and rows of the fit."""
    fitted = np.flatnonzero(cells.fitted)
    chosen = fitted[np.linspace(0, len(fitted) - 1, min(CONTEXT_CELLS, len(fitted))).round().astype(int)]
    parts = [_some_rows(cells, int(cell)) for cell in chosen]
    rows = OutputRows(cells.distance, *(np.concatenate([getattr(part, name) for part in parts])
                                  for name in ("target", "step", "base", "evidence")))  # fmt: skip
    some = replace(cells.trained.select(chosen), discrepancy=rows)
    fit = fit_posterior(some, n_starts=CONTEXT_STARTS, start=full)
    found = fit.parameters
    return PlayedGate("posterior with context", cells.trained.log_odds(found), found.kappa, fit, (found,))


def _some_rows(cells: StudyCells, cell: int) -> OutputRows:
    answers = cells.runs[cells.run[cell]].answers["ibd"]
    # drawn, since rows at even distances may all be of one position
    rows = np.random.default_rng(0).permutation(len(answers.m))[:CONTEXT_ROWS]
    t, m, g, evidence = (part[None, rows] for part in (answers.transformer[cells.checkpoint[cell]], *answers[1:4]))
    return output_rows(t, m, g, distance=cells.distance, evidence=evidence)
