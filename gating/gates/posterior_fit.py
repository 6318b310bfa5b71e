"""Fit of the loss-complexity posterior to checkpoints: alpha, beta, gamma, and kappa where rows carry evidence."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import astuple, dataclass, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import optimize
from scipy.special import expit, logit

from gating.gates.discrepancy import OutputRows
from gating.gates.posterior import PosteriorParameters
from gating.gates.posterior_cells import PosteriorCells
from gating.results.bootstrap import cluster_bootstrap
from theory.validation import Floats, require_choice, require_integer, require_nonnegative

__all__ = ["ABLATIONS", "PosteriorFit", "bootstrap_posterior", "fit_posterior"]

ABLATIONS: dict[str, dict[str, float]] = {
    "alpha = 0": {"alpha": 0.0},
    "beta = 1": {"beta": 1.0},
    "gamma = 1": {"gamma": 1.0},
    "no complexity": {"beta": 0.0},
}
"""Parameters held at a value; beta = 0 gives both strategies the same prior."""


class Coordinate(NamedTuple):
    """How the search moves along a parameter, between two values of it.

    Attributes:
        low: least value of the parameter.
        high: largest one.
        into: the coordinate of a value.
        back: the value at a coordinate.
        slope: derivative of the parameter in the coordinate, at a value of the parameter.
    """

    low: float
    high: float
    into: Callable[[float], float]
    back: Callable[[float], float]
    slope: Callable[[float], float]


COORDINATES = {
    "alpha": Coordinate(1e-4, 0.999, logit, expit, lambda value: value * (1 - value)),
    "beta": Coordinate(0.01, 4.0, np.log, np.exp, float),
    "gamma": Coordinate(1e-12, 1e12, np.log, np.exp, float),
    "kappa": Coordinate(0.0, 100.0, float, float, lambda value: 1.0),
}


@dataclass(frozen=True)
class PosteriorFit:
    """Parameters that bring the posterior mixture nearest to the models' outputs.

    Attributes:
        parameters: the fitted (and held) parameters.
        loss: weighted mean discrepancy over cells, nats of KL divergence or squared error.
        fixed: names of the parameters that were held.
        converged: whether the search that found the best value ended at an optimum.
        message: what the search said at its end.
        n_starts: searches begun.
        n_agreeing: searches that ended within 1e-4 relative of the best loss.
        at_bound: parameters that ended at the edge of their range, for which the data set no limit.
    """

    parameters: PosteriorParameters
    loss: float
    fixed: tuple[str, ...]
    converged: bool
    message: str
    n_starts: int
    n_agreeing: int
    at_bound: tuple[str, ...]

    def weights(self, cells: PosteriorCells) -> Floats:
        """Predicted weight of M in each cell, shape (c,), also of cells that the fit has not seen."""
        return np.asarray(expit(cells.log_odds(self.parameters)))

    def losses(self, cells: PosteriorCells) -> Floats:
        """Discrepancy of the predicted mixture in each cell, shape (c,)."""
        return cells.discrepancy.at(cells.log_odds(self.parameters), self.parameters.kappa).value


def fit_posterior(
    cells: PosteriorCells,
    *,
    fixed: Mapping[str, float] | None = None,
    weights: ArrayLike | None = None,
    n_starts: int = 50,
    seed: int = 0,
    start: PosteriorParameters | None = None,
) -> PosteriorFit:
    r"""Fit alpha, beta and gamma by the mean discrepancy between a model and ``w M + (1 - w) G``.

    .. math:: \min \sum_i v_i\, d_i\big(\sigma(\text{log odds}_i)\big) \Big/ \sum_i v_i

    L-BFGS with exact slopes in logit alpha, ln beta, ln gamma and kappa, inside alpha in [1e-4, 0.999], beta in
    [0.01, 4], gamma in [1e-12, 1e12] and kappa in [0, 100], from several starts; the best is kept. Starts are drawn
    where evidence and price of memory are of one size, since elsewhere all weights are 0 or 1 and slopes vanish.

    Args:
        cells: the checkpoints; kappa is fitted when their discrepancy is of `OutputRows`, and is 0 for tables.
        fixed: parameters to hold, by name, in the sets of `PosteriorParameters`; see :data:`ABLATIONS`.
        weights: v, >= 0 and not all 0, shape (c,); equal when None.
        n_starts: searches, >= 1.
        seed: seed of the starts, integer >= 0.
        start: further start, tried first.

    Returns:
        `PosteriorFit`.

    Raises:
        ValueError: an argument outside its set.

    Example:
        >>> from gating.gates.discrepancy import output_rows
        >>> steps = np.array([10.0, 100.0, 1000.0, 10, 100, 1000])
        >>> known = {"loss_gap": np.repeat([0.3, 0.1], 3), "complexity_m": np.repeat([40.0, 90.0], 3)}
        >>> truth = PosteriorParameters(alpha=0.5, beta=0.5, gamma=1.0)
        >>> w = expit(truth.log_odds(steps, complexity_g=10.0, **known))[:, None, None]
        >>> rows = output_rows(w, np.ones((6, 1, 1)), np.zeros((6, 1, 1)), distance="squared")  # M says 1, G says 0
        >>> cells = PosteriorCells(rows.tabulate(), n_tasks=[2] * 3 + [4] * 3, steps=steps, complexity_g=10.0, **known)
        >>> found = fit_posterior(cells).parameters
        >>> round(found.alpha, 3), round(found.beta, 3), round(found.gamma, 3)
        (0.5, 0.5, 1.0)

    Source: Wurgaft et al. (2025), section 4; docs/theory.md, statement 6.6.
    """
    held = _held(cells, fixed)
    mass = require_nonnegative("weights", np.ones(len(cells)) if weights is None else weights)
    if mass.shape != (len(cells),) or not mass.any():
        raise ValueError(f"`weights` must be {len(cells)} numbers, not all 0; got {weights!r}")
    require_integer("n_starts", n_starts, least=1)
    problem = _Problem(cells, held, mass / mass.sum())
    generator = np.random.default_rng(require_integer("seed", seed))
    begun = [] if start is None else [problem.coordinates(start)]
    begun += list(_starts(problem, generator, n_starts - len(begun)))
    found = [_search(problem, point) for point in begun]
    best = min(found, key=lambda result: result.fun)
    agreeing = best.fun + 1e-4 * abs(best.fun) + 1e-12
    edges = zip(problem.free, best.x, problem.bounds, strict=True)
    return PosteriorFit(
        parameters=problem.parameters(best.x),
        loss=float(best.fun) * problem.unit,
        fixed=tuple(held),
        converged=bool(best.success),
        message=str(best.message),
        n_starts=len(found),
        n_agreeing=sum(result.fun <= agreeing for result in found),
        at_bound=tuple(name for name, x, (low, high) in edges if min(x - low, high - x) < 1e-6),
    )


class _Problem:
    """Loss and slopes in the coordinates of the parameters that are not held."""

    def __init__(self, cells: PosteriorCells, held: dict[str, float], mass: Floats):
        self.cells, self.held, self.mass = cells, held, mass
        self.free = {name: axis for name, axis in COORDINATES.items() if name not in held}
        self.bounds = [(float(axis.into(axis.low)), float(axis.into(axis.high))) for axis in self.free.values()]
        self.log_steps = np.log(np.maximum(cells.steps, 1))  # at N = 0 there is no evidence, whatever alpha
        self.log_m, self.log_g = np.log(cells.complexity_m), np.log(cells.complexity_g)
        self.unit = float(mass @ cells.discrepancy.at(np.zeros(len(cells))).value) or 1.0

    def values(self, point: Floats) -> dict[str, float]:
        free = {name: float(axis.back(x)) for (name, axis), x in zip(self.free.items(), point, strict=True)}
        return free | self.held

    def parameters(self, point: Floats) -> PosteriorParameters:
        return PosteriorParameters(**self.values(point))

    def coordinates(self, parameters: PosteriorParameters) -> Floats:
        return np.array([axis.into(np.clip(getattr(parameters, name), axis.low, axis.high))
                         for name, axis in self.free.items()])  # fmt: skip

    def __call__(self, point: Floats) -> tuple[float, Floats]:
        """Loss in units of the loss of the even mixture, and its gradient."""
        p, cells = self.values(point), self.cells
        evidence = _evidence(cells, p["alpha"], p["gamma"])
        power_m, power_g = cells.complexity_m ** p["beta"], cells.complexity_g ** p["beta"]
        # the log odds of `cells.log_odds`, which looks at its arguments: too slow for every step of a search
        at = cells.discrepancy.at(evidence - np.log(2) * (power_m - power_g), p["kappa"])
        slopes = {
            "alpha": -at.slope * evidence * self.log_steps,
            "beta": -at.slope * np.log(2) * (power_m * self.log_m - power_g * self.log_g),
            "gamma": at.slope * evidence / p["gamma"],
            "kappa": at.slope_kappa,
        }
        gradient = [self.mass @ slopes[name] * axis.slope(p[name]) for name, axis in self.free.items()]
        return float(self.mass @ at.value) / self.unit, np.array(gradient) / self.unit


def _held(cells: PosteriorCells, fixed: Mapping[str, float] | None) -> dict[str, float]:
    held = {} if isinstance(cells.discrepancy, OutputRows) else {"kappa": 0.0}
    held |= {require_choice("fixed", name, tuple(COORDINATES)): value for name, value in (fixed or {}).items()}
    PosteriorParameters(**({"alpha": 0.0, "beta": 1.0, "gamma": 1.0} | held))  # each value is in its set
    return {name: float(value) for name, value in held.items()}


def _starts(problem: _Problem, generator: np.random.Generator, n: int) -> Iterator[Floats]:
    """Starts at which evidence and prior weigh about the same in the cells whose losses of M and G differ."""
    cells = problem.cells
    gap = np.abs(cells.loss_gap)
    differ = gap >= 1e-9 * gap.max()
    for _ in range(n):
        drawn = {
            "alpha": generator.uniform(0.02, 0.95),
            "beta": generator.uniform(0.1, 1.2),
            "gamma": 1.0,
            "kappa": generator.uniform(0, 1),
        } | problem.held
        p = PosteriorParameters(**drawn)
        evidence = _evidence(cells, p.alpha, p.gamma)
        price = np.abs(cells.log_odds(p) - evidence) + 1.0
        ratio = price[differ] / (np.abs(evidence[differ]) + 1e-300)
        balance = float(np.exp(np.median(np.log(ratio)) + generator.normal()))
        yield problem.coordinates(replace(p, gamma=problem.held.get("gamma", balance)))


def _evidence(cells: PosteriorCells, alpha: float, gamma: float) -> Floats:
    return np.asarray(cells.steps ** (1 - alpha) * cells.loss_gap * gamma)


def _search(problem: _Problem, point: Floats) -> optimize.OptimizeResult:
    if not problem.free:
        return optimize.OptimizeResult(x=point, fun=problem(point)[0], success=True, message="nothing to fit")
    options = {"maxiter": 1000, "maxfun": 5000, "ftol": 1e-13, "gtol": 1e-9, "maxcor": 20}
    return optimize.minimize(problem, point, jac=True, method="L-BFGS-B", bounds=problem.bounds, options=options)


def bootstrap_posterior(
    cells: PosteriorCells,
    fit: PosteriorFit,
    *,
    by: Sequence[str] = (),
    n_resamples: int = 200,
    n_starts: int = 3,
    seed: int = 0,
) -> list[PosteriorParameters]:
    """Parameters refitted to cells drawn with replacement; `percentile_interval` of them is the bootstrap interval.

    Checkpoints of one run are alike, so single cells (the default) give intervals that are too short where runs are
    few: draw whole runs (``by=("n_tasks", "seed", "width")``) or whole numbers of tasks (``by=("n_tasks",)``) instead.

    Args:
        cells: the cells of the fit.
        fit: the fit; what it held is held, and every refit starts from it.
        by: labels of cells that are drawn together; none for single cells.
        n_resamples: refits, >= 1.
        n_starts: searches of each refit, >= 1, the first from the fit.
        seed: seed of the draws, and of the starts of each refit, integer >= 0.

    Returns:
        One `PosteriorParameters` per resample.

    Raises:
        ValueError: an argument outside its set, or fewer than two groups to draw.

    Source: Efron and Tibshirani (1993), chapters 6 and 8.
    """
    groups = cells.groups(by) if by else np.arange(len(cells))
    if (n := len(np.unique(groups))) < 2:
        raise ValueError(f"`by` must leave at least two groups of cells to draw; got {by!r}, which leaves {n}")
    held = {name: getattr(fit.parameters, name) for name in fit.fixed}

    def refit(rows: NDArray[np.int64]) -> tuple[float, ...]:
        times = np.bincount(rows, minlength=len(cells))
        found = fit_posterior(cells, fixed=held, weights=times, n_starts=n_starts, seed=seed, start=fit.parameters)
        return astuple(found.parameters)

    draws = cluster_bootstrap(refit, groups, n_resamples=n_resamples, seed=seed).draws
    return [PosteriorParameters(*map(float, draw)) for draw in draws]
