r"""Laws of the scores that three learners give to classes, from noisy inputs with uniform centres.

A centre :math:`\mu` is uniform on the unit sphere of R^d, inputs are :math:`\mu + \sigma z`. Given n inputs with sum S,
:math:`|S|` is independent of the query x, whether S is of the query's class or not, and the angle :math:`\phi` between
them has density proportional to

- :math:`\sin^{d-2}\phi` for another class,
- :math:`\sin^{d-2}\phi \; e^{A(|S + x|/\sigma^2)}` for its own, :math:`A(\kappa) = \ln {}_0F_1(d/2; \kappa^2/4)`.

The scores of all learners are functions of :math:`|S|`, :math:`\phi` and :math:`|x|`, so each law is an integral over
:math:`|S|` and, for the own class, over the angle. Tables hold them at nodes of :math:`|x|`, of n and of the score.
"""

from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import special

from theory.validation import Floats

__all__ = ["COUNTS", "LEARNERS", "ScoreTables", "cubic", "nearer", "numerical_error", "score_tables"]

LEARNERS = ("bayes", "nearest_mean", "lda")
COUNTS = np.unique(np.concatenate([np.arange(1.0, 11), np.geomspace(10, 300, 31).round(), np.geomspace(300, 1e7, 27)]))
"""Numbers of inputs of a class that laws are held for."""
NORMS, LENGTHS, ANGLES, SCORES = 6, 6, 32, 160
"""Nodes of the norm of the query, of the sum of inputs, of their angle, and least number of the score."""
FINER = 2  # times as many nodes of the norm and of the sum in fewer than four dimensions
REACH = 64.0  # nats beyond the scores of the own class: rivals may be more frequent, or less
NEGLIGIBLE = 1e-11
STEP = 1e-3  # of the logarithm of arguments in tables of special functions


class ScoreTables(NamedTuple):
    """Laws of scores for each node of |x| (R), of the score (S) and of the number of inputs (n).

    Attributes:
        scores: nodes of the score, growing, shape (S,).
        rival: probability that another class has a larger score, shape (R, S, n).
        norm, score: places in R and S where the query's own class has mass, shape (held,).
        own: that mass, each score shared among four nodes beside it: (held, n); a column sums to 1.
    """

    scores: Floats
    rival: Floats
    norm: NDArray[np.int64]
    score: NDArray[np.int64]
    own: Floats


class _Special(NamedTuple):
    """Tables, linear between their nodes, of functions of one dimension d.

    Attributes:
        argument: kappa.
        deficit: kappa - A(kappa).
        level: A(kappa).
        versine: 1 - cos of an angle.
        cap: probability that a uniform direction is within the angle of a given one.
    """

    argument: Floats
    deficit: Floats
    level: Floats
    versine: Floats
    cap: Floats


@lru_cache(maxsize=64)
def score_tables(d: int, noise: float, learner: str) -> ScoreTables:
    """Laws of the scores of one learner, for inputs in d dimensions with this noise.

    The score of ``bayes`` is the log density of the query given the inputs of the class, less that given none of them;
    of ``nearest_mean`` minus the distance to the mean of the inputs; of ``lda`` the log of their number less the
    squared distance over twice the variance.
    """
    table = _special(d)
    norms, norm_weights = _norms(1.0, np.array([noise]), d, _times(d) * NORMS)
    lengths, length_weights = _norms(1.0, noise / np.sqrt(COUNTS), d, _times(d) * LENGTHS)
    r, a = norms[0][:, None, None, None], lengths[:, :, None]  # (R, 1, 1, 1) and (n, a, 1)
    score, inverse = _SCORES[learner]
    own_scores, mass = _own(d, noise, r, a, score)
    mass = mass * length_weights[:, None] * norm_weights[:, None, None, None]
    # own distances spread over about noise (0.4 sqrt d + 16), those of known centres by 1 / sqrt d
    n_scores = int(np.clip(2 * noise * np.sqrt(d) * (0.4 * np.sqrt(d) + 16), SCORES, 8 * SCORES))
    n_scores *= 2 if learner == "lda" else 1  # squares of distances are spread out unevenly
    scores = _nodes(own_scores, mass, n_scores, REACH if learner == "bayes" else 0.0)
    versine = inverse(scores, noise, r, a, table)
    rival = np.einsum("rnas,a->rsn", np.interp(versine, table.versine, table.cap), length_weights)
    own = _shared(own_scores, mass, scores)
    norm, place = np.nonzero((np.abs(own) > NEGLIGIBLE).any(-1))
    return ScoreTables(scores, rival, norm, place, own[norm, place])


def numerical_error(d: int) -> tuple[float, float]:
    """By which part of itself, and by how much more, a probability worked out from these tables may be wrong."""
    return (1 / 300, 1e-6) if d >= 4 else (1 / 50, 2e-5)


@lru_cache(maxsize=64)
def nearer(d: int, noise: float, margin: float) -> Floats:
    """Probability that an input of another class is at a squared distance of less than s + margin, shape (held,).

    s: squared distances of an input of the query's own class, at the nodes of the table of ``nearest_mean``.
    """
    tables, special_functions = score_tables(d, noise, "nearest_mean"), _special(d)
    norms, _ = _norms(1.0, np.array([noise]), d, _times(d) * NORMS)
    lengths, weights = _norms(1.0, np.array([noise]), d, _times(d) * LENGTHS)
    squared = np.maximum(tables.scores[tables.score] ** 2 + margin, 0)[:, None]
    r, a = norms[0][tables.norm][:, None], lengths[0]
    versine = (squared - (a - r) ** 2) / (2 * a * r)
    return np.asarray(np.interp(versine, special_functions.versine, special_functions.cap) @ weights)


def _times(d: int) -> int:
    return FINER if d < 4 else 1


Score = Callable[[Floats, float, Floats, Floats, _Special], Floats]


def _own(d: int, noise: float, r: Floats, a: Floats, score: Score) -> tuple[Floats, Floats]:
    """Scores of the own class at nodes of the angle, and their masses, (R, n, a, angles); they sum to 1 over angles."""
    table, n = _special(d), COUNTS[:, None, None]
    sharpness = n * a * r / (noise**2 * (n * a + r))
    far = np.minimum(np.pi, np.pi / 2 * (np.sqrt(d) + 9) / np.sqrt(sharpness))

    def log_density(angle: Floats) -> Floats:
        turn = special.xlogy(d - 2, np.sin(angle))
        return turn + _bayes_score(2 * np.sin(angle / 2) ** 2, noise, r, a, table)

    coarse = far * np.linspace(0, 1, 2 * ANGLES + 1)[1:]
    found = log_density(coarse)
    held = found > found.max(-1, keepdims=True) - 32
    step = far / (2 * ANGLES)
    first, last = held.argmax(-1), held.shape[-1] - 1 - held[..., ::-1].argmax(-1)
    low = np.maximum(np.take_along_axis(coarse, first[..., None], -1) - step, 0)
    high = np.minimum(np.take_along_axis(coarse, last[..., None], -1) + step, np.pi)
    nodes, weights = np.polynomial.legendre.leggauss(ANGLES)
    angle = low + (high - low) * (nodes + 1) / 2
    found = log_density(angle)
    mass = weights * np.exp(found - found.max(-1, keepdims=True))
    return score(2 * np.sin(angle / 2) ** 2, noise, r, a, table), mass / mass.sum(-1, keepdims=True)


def _bayes_score(versine: Floats, noise: float, r: Floats, a: Floats, table: _Special) -> Floats:
    """Log density ratio from 1 minus the cosine of the angle between the query and the sum of inputs."""
    s = COUNTS[:, None, None] * a
    length = np.sqrt(np.maximum((s + r) ** 2 - 2 * s * r * versine, 0))
    longer = (r**2 + 2 * s * r * (1 - versine)) / (length + s)
    variance = noise**2
    alone = np.interp(r / variance, table.argument, table.level)
    deficit = np.interp(np.stack(np.broadcast_arrays(length, s)) / variance, table.argument, table.deficit)
    return longer / variance - deficit[0] + deficit[1] - alone


def _distance_score(versine: Floats, noise: float, r: Floats, a: Floats, table: _Special) -> Floats:
    return -np.sqrt((a - r) ** 2 + 2 * a * r * versine)


def _bayes_versine(scores: Floats, noise: float, r: Floats, a: Floats, table: _Special) -> Floats:
    """1 minus the cosine at which the score is this, out of [0, 2] where none has it."""
    variance, s = noise**2, COUNTS[:, None, None] * a
    gain = scores + np.interp(r / variance, table.argument, table.level)
    target = gain + np.interp(s / variance, table.argument, table.level)
    longer = variance * (
        gain + np.interp(target, table.level, table.deficit) - np.interp(s / variance, table.argument, table.deficit)
    )
    return np.where(target < 0, 2.0, (r - longer) * (2 * s + r + longer) / (2 * s * r))


def _distance_versine(scores: Floats, noise: float, r: Floats, a: Floats, table: _Special) -> Floats:
    return (np.minimum(scores, 0.0) ** 2 - (a - r) ** 2) / (2 * a * r)


def _discriminant_score(versine: Floats, noise: float, r: Floats, a: Floats, table: _Special) -> Floats:
    squared = _distance_score(versine, noise, r, a, table) ** 2
    return np.asarray(np.log(COUNTS)[:, None, None] - squared / (2 * noise**2))


def _discriminant_versine(scores: Floats, noise: float, r: Floats, a: Floats, table: _Special) -> Floats:
    squared = 2 * noise**2 * (np.log(COUNTS)[:, None, None] - scores)
    return (squared - (a - r) ** 2) / (2 * a * r)


_SCORES: dict[str, tuple[Score, Score]] = {
    "bayes": (_bayes_score, _bayes_versine),
    "nearest_mean": (_distance_score, _distance_versine),
    "lda": (_discriminant_score, _discriminant_versine),
}
"""Score of each learner from the versine, and the versine from the score."""


def _nodes(scores: Floats, mass: Floats, n_scores: int, reach: float) -> Floats:
    """Equally spaced where the own class has its scores, and farther and farther apart beyond."""
    held = scores[mass > 1e-13]
    low, high = held.min(), held.max()
    width = max(high - low, 1e-9)
    core = low + width * np.linspace(-0.01, 1.01, n_scores)
    if not reach:
        return core
    beyond = np.geomspace(core[1] - core[0], max(reach, width / 8), 33)
    return np.concatenate([core[0] - beyond[::-1], core, core[-1] + beyond])


def _shared(scores: Floats, mass: Floats, nodes: Floats) -> Floats:
    """Masses (R, n, a, angles) at any scores as masses (R, S, n) at the nodes."""
    n_norms, n_counts = mass.shape[:2]
    places, parts = cubic(nodes, scores)
    column = np.arange(n_norms * n_counts).reshape(n_norms, n_counts, 1, 1) * len(nodes) + places
    total = np.bincount(column.ravel(), (mass * parts).ravel(), n_norms * n_counts * len(nodes))
    return np.asarray(total.reshape(n_norms, n_counts, len(nodes)).transpose(0, 2, 1), dtype=np.float64)


def cubic(nodes: Floats, at: Floats) -> tuple[NDArray[np.int64], Floats]:
    """Places of the four nodes beside each number, and their weights, in cubic interpolation: (4, *at.shape) each.

    Beyond the nodes, the value at the last one.

    Example:
        >>> nodes = np.array([0.0, 1.0, 3.0, 4.0, 7.0])
        >>> places, parts = cubic(nodes, np.array([2.0, 5.0]))
        >>> (parts * nodes[places] ** 3).sum(0).round(12).tolist()
        [8.0, 125.0]
    """
    at = np.clip(at, nodes[0], nodes[-1])
    first = np.clip(np.searchsorted(nodes, at, side="right") - 2, 0, len(nodes) - 4)
    places = first + np.arange(4).reshape(4, *[1] * at.ndim)
    x = nodes[places]
    parts = [np.prod([(at - x[j]) / (x[i] - x[j]) for j in range(4) if j != i], axis=0) for i in range(4)]
    return places, np.array(parts)


def _norms(centre: float, spread: Floats, d: int, n_nodes: int) -> tuple[Floats, Floats]:
    """Nodes (len(spread), n_nodes) of |centre e + spread z| and their weights, from those of a normal variable."""
    table = _special(d)
    normal, weights = special.roots_hermitenorm(n_nodes)
    nodes = []
    for s in spread:
        middle = np.sqrt(centre**2 + s**2 * (d - 1))
        norm = np.maximum(middle + s * np.linspace(-9, 9, 721), 1e-9 * s)
        product = np.interp(norm * centre / s**2, table.argument, table.deficit)
        log_density = (d - 1) * np.log(norm) - (norm - centre) ** 2 / (2 * s**2) - product
        density = np.exp(log_density - log_density.max())
        below = np.concatenate([[0.0], np.cumsum((density[1:] + density[:-1]) / 2)])
        nodes.append(np.interp(special.ndtr(normal), below / below[-1], norm))
    return np.array(nodes), weights / weights.sum()


@lru_cache(maxsize=16)
def _special(d: int) -> _Special:
    argument = np.exp(np.arange(np.log(1e-6), np.log(1e20), STEP))
    deficit = _deficit(argument, d)
    versine = np.exp(np.arange(np.log(1e-12), np.log(2.0), STEP))
    half = special.betainc((d - 1) / 2, 0.5, np.minimum(versine * (2 - versine), 1.0)) / 2
    cap = np.where(versine <= 1, half, 1 - half)
    return _Special(
        np.concatenate([[0.0], argument]),
        np.concatenate([[0.0], deficit]),
        np.concatenate([[0.0], argument - deficit]),
        np.concatenate([[0.0], versine, [2.0]]),
        np.concatenate([[0.0], cap, [1.0]]),
    )


def _deficit(argument: Floats, d: int) -> Floats:
    """kappa - A(kappa), kappa > 0: by Bessel functions, or by their expansions where those are out of range."""
    order = d / 2 - 1
    small, large = argument < 0.01, argument > 1e3 * max(order**2, 1.0)
    series = argument**2 / (2 * d) * (1 - argument**2 / (2 * d * (d + 2)))
    middle = np.where(small | large, 1.0, argument)
    bessel = special.ive(order, middle)
    with np.errstate(divide="ignore"):
        log_bessel = np.log(bessel)
    tiny = bessel < 1e-250
    if tiny.any():  # uniform expansion for large orders, DLMF 10.41.3
        ratio = middle[tiny] / order
        root = np.sqrt(1 + ratio**2)
        t = 1 / root
        first, second = (3 * t - 5 * t**3) / 24, (81 * t**2 - 462 * t**4 + 385 * t**6) / 1152
        eta = root + np.log(ratio / (1 + root))
        correction = np.log1p(first / order + second / order**2) - np.log(2 * np.pi * order * root) / 2
        log_bessel[tiny] = order * eta + correction - middle[tiny]
    first = (4 * order**2 - 1) / (8 * np.where(large, argument, np.inf))
    second = first * (4 * order**2 - 9) / (16 * np.where(large, argument, np.inf))
    far = np.log1p(second - first) - np.log(2 * np.pi * argument) / 2  # DLMF 10.40.1
    log_bessel = np.where(large, far, log_bessel)
    log_level = special.gammaln(order + 1) + order * np.log(2 / argument) + log_bessel
    return np.where(small, argument - series, -log_level)
