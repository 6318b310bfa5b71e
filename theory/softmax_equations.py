r"""Equations that softmax regression comes to when inputs are many: laws of the logits, from a few K x K matrices.

Logits of a new input of class c are :math:`N(m_c + b, \Sigma)`, with an intercept b. For
:math:`\omega \sim N(m_c + b, \Sigma)`, u the minimiser of
:math:`-\ln p_c(u) + \frac12 (u - \omega)^\top V^{-1} (u - \omega)` and :math:`g = e_c - p(u)`, where p is the softmax,

.. math:: B = \rho I - \sigma^2 E \frac{\partial g}{\partial\omega}, \quad V = \frac{\sigma^2}\alpha B^{-1}, \quad
    m = G F B^{-1}, \quad
    \Sigma = \sigma^2 B^{-1}\Big(F^\top G F + \frac{\sigma^2}\alpha E g g^\top\Big) B^{-1}, \quad E g = 0,

where row c of F is :math:`q_c E_c g`, G is the Gram matrix of the centres and E a mean over classes with weights q.
Means over :math:`\omega` are taken at quasi-random points of a fixed seed.
"""

from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import special
from scipy.stats import qmc

from theory.validation import Floats

__all__ = ["Fit", "LogitLaws", "fitted_logits", "log_losses", "right_answers"]

PRECISION = 1e-5  # of the fixed point, relative to the largest number of each matrix where that is below 1
MOST_STEPS, MEMORY, MIXING = 150, 10, 0.7  # of Anderson's acceleration
NEWTON_STEPS, NEWTON_PRECISION = 100, 1e-7
FURTHEST = 30.0  # times the change of a step to which it is lengthened
FORGET = 3.0  # times the last change from which on earlier steps are forgotten, and the next one is half as long


class Fit(NamedTuple):
    """One problem of softmax regression.

    Attributes:
        q: frequencies of the classes, (K,), > 0.
        gram: products of their centres, (K, K).
        alpha: inputs over dimensions.
        noise: sigma.
        ridge: rho.
    """

    q: Floats
    gram: Floats
    alpha: float
    noise: float
    ridge: float


class LogitLaws(NamedTuple):
    """Gaussian laws of the logits of new inputs: means (classes, K), their covariance (K, K), and V (K, K)."""

    means: Floats
    covariance: Floats
    response: Floats


class _State(NamedTuple):
    """H = F / B, E g g', -E dg/d omega, each (K, K), and b, (K,)."""

    weights: Floats
    squares: Floats
    curvature: Floats
    intercept: Floats


def fitted_logits(fit: Fit, n_points: int, seed: int = 0) -> LogitLaws:
    """Laws of the logits that solve the equations, by Anderson's acceleration of steps that put each into the next.

    Args:
        fit: the problem.
        n_points: quasi-random points for each class, a power of two.
        seed: of the points.

    Raises:
        RuntimeError: no fixed point within 150 steps.
    """
    k, step = len(fit.q), _Step(fit, _normals(len(fit.q), n_points, seed))
    spread = np.diag(fit.q) - np.outer(fit.q, fit.q)
    place = _flat(_State(0 * spread, spread, spread, np.log(fit.q) - np.log(fit.q).mean()))
    places: list[Floats] = []
    moves: list[Floats] = []
    last, mixing = np.inf, MIXING
    for _ in range(MOST_STEPS):
        new = step(_shaped(place, k))
        scales = [1 / np.clip(abs(part).max(), 1e-12, 1.0) for part in new]
        move, weight = _flat(new) - place, np.repeat(scales, [k * k, k * k, k * k, k])
        change = float(abs(move * weight).max())
        if change < PRECISION:
            return _laws(new, fit)
        if change > FORGET * last:
            places, moves, mixing = [], [], max(mixing / 2, 0.05)
        last = change
        places, moves = [*places[-MEMORY:], place], [*moves[-MEMORY:], move]
        ahead = mixing * move
        if len(places) > 1:
            steps, changes = np.diff(places, axis=0).T, np.diff(moves, axis=0).T
            shares = np.linalg.lstsq(changes * weight[:, None], move * weight, rcond=1e-8)[0]
            further = ahead - (steps + mixing * changes) @ shares
            ahead = further if abs(further * weight).max() < FURTHEST * change else ahead
        place = place + ahead
    raise RuntimeError(f"no fixed point of softmax regression in {MOST_STEPS} steps; the last changed {last:.1g}")


class _Step:
    """One step of the fixed-point equations; starts from the minimisers u of the step before."""

    def __init__(self, fit: Fit, normal: Floats):
        self.fit, k = fit, len(fit.q)
        alike = fit.q if np.array_equal(fit.gram, np.eye(k)) else np.arange(k)
        _, self.first, kind = np.unique(alike, return_index=True, return_inverse=True)
        self.mass = np.bincount(kind, fit.q)
        pairs = 2 * (k * kind[:, None] + kind) + np.eye(k, dtype=np.int64)
        self.orbits = np.unique(pairs, return_inverse=True)[1].reshape(k, k)
        self.normal, self.targets = normal, np.eye(k)[self.first][:, None]
        self.minimisers: Floats | None = None

    def __call__(self, state: _State) -> _State:
        fit, (means, covariance, response) = self.fit, _laws(state, self.fit)
        omega = means[self.first][:, None] + self.normal @ _root(covariance)
        start = omega if self.minimisers is None else self.minimisers
        self.minimisers, p, jacobian = _minimisers(omega, self.targets, response, start)
        g = self.targets - p
        hessian = p[..., None] * (np.eye(len(fit.q)) - p[..., None, :])
        slopes = np.linalg.solve(np.swapaxes(jacobian, -1, -2), hessian).mean(1)
        slopes = (slopes + slopes.swapaxes(1, 2)) / 2
        pulls = fit.q[:, None] * self._even(g.mean(1), self.orbits[self.first])
        squares = np.einsum("j,jnk,jnl->kl", self.mass, g, g, optimize=True) / g.shape[1]
        curvature = self._even(np.einsum("j,jkl->kl", self.mass, slopes), self.orbits)
        steep = fit.ridge * np.eye(len(fit.q)) + fit.noise**2 * curvature
        rest = (pulls - state.weights @ steep)[self.first, None]
        turn = np.linalg.solve(steep + fit.q[self.first, None, None] * slopes, rest.swapaxes(1, 2))[..., 0]
        weights = state.weights + self._even(_damped(turn), self.orbits[self.first])
        move = np.linalg.pinv(curvature, rcond=1e-9, hermitian=True) @ pulls.sum(0)
        return _State(weights, self._even(squares, self.orbits), curvature, state.intercept + _damped(move))

    def _even(self, matrix: Floats, orbits: NDArray[np.int64]) -> Floats:
        """(K, K): each entry the mean of all those of the same orbit, that is of pairs of classes that are alike."""
        totals = np.bincount(orbits.ravel(), matrix.ravel()) / np.bincount(orbits.ravel())
        return np.asarray(totals[self.orbits])


def right_answers(laws: LogitLaws, n_points: int) -> Floats:
    """Probability that the logit of a class is the largest on its own inputs, (K,).

    By Genz's sequence of conditional probabilities, at quasi-random points of a fixed seed.

    Example:
        >>> right_answers(LogitLaws(np.zeros((4, 4)), np.eye(4), np.eye(4)), 256).round(3).tolist()
        [0.25, 0.25, 0.25, 0.25]
    """
    k = len(laws.means)
    uniform, right = _uniforms(max(k - 1, 1), n_points, 0), np.ones(k)
    for c in range(k if k > 1 else 0):
        rivals = np.delete(np.arange(k), c)
        change = np.eye(k)[c] - np.eye(k)[rivals]
        covariance = change @ laws.covariance @ change.T
        lower = np.linalg.cholesky(covariance + 1e-12 * np.trace(covariance) * np.eye(k - 1))
        held, normal = np.ones(n_points), np.zeros((n_points, k - 1))
        for i, gap in enumerate(change @ laws.means[c]):
            below = special.ndtr((gap + normal[:, :i] @ lower[i, :i]) / lower[i, i])
            held *= below
            normal[:, i] = -special.ndtri(np.clip(uniform[:, i] * below, 1e-300, 1 - 1e-16))
        right[c] = held.mean()
    return right


def log_losses(laws: LogitLaws, n_points: int) -> Floats:
    """Mean log loss on inputs of each class, (K,), at quasi-random points of a fixed seed."""
    logits = laws.means[:, None] + _normals(len(laws.means), n_points, 0) @ _root(laws.covariance)
    return np.asarray(special.logsumexp(logits, axis=-1).mean(-1) - np.diagonal(logits.mean(1)))


def _laws(state: _State, fit: Fit) -> LogitLaws:
    values, vectors = np.linalg.eigh(state.curvature)
    inverse = vectors / (fit.ridge + fit.noise**2 * np.maximum(values, 0)) @ vectors.T
    spread, means = fit.noise**2 / fit.alpha, fit.gram @ state.weights
    overlap = state.weights.T @ means + spread * inverse @ state.squares @ inverse
    return LogitLaws(means + state.intercept, fit.noise**2 * overlap, spread * inverse)


def _minimisers(omega: Floats, targets: Floats, response: Floats, start: Floats) -> tuple[Floats, Floats, Floats]:
    """u, their softmax p, and du/domega inverted, I + V (diag p - p p'), by Newton's steps.

    A step is shortened by ln(1 + s) / s, s being how far it goes, so that no start is too far.
    """
    u, eye = start, np.eye(omega.shape[-1])
    for _ in range(NEWTON_STEPS):
        p = special.softmax(u, axis=-1)
        jacobian = eye + (response - (p @ response)[..., None]) * p[..., None, :]
        step = np.linalg.solve(jacobian, (omega + (targets - p) @ response - u)[..., None])[..., 0]
        if np.ptp(step, axis=-1).max() < NEWTON_PRECISION:
            break
        u = u + _damped(step)
    return u, p, jacobian


def _damped(step: Floats) -> Floats:
    far = np.ptp(step, axis=-1, keepdims=True)
    return np.asarray(step * np.log1p(far) / np.maximum(far, 1e-300))


def _flat(state: _State) -> Floats:
    return np.concatenate([part.ravel() for part in state])


def _shaped(place: Floats, k: int) -> _State:
    weights, squares, curvature = place[: 3 * k * k].reshape(3, k, k)
    return _State(weights, (squares + squares.T) / 2, (curvature + curvature.T) / 2, place[3 * k * k :])


def _root(covariance: Floats) -> Floats:
    values, vectors = np.linalg.eigh(covariance)
    return np.asarray(vectors * np.sqrt(np.maximum(values, 0)) @ vectors.T)


@lru_cache(maxsize=8)
def _normals(dimensions: int, n_points: int, seed: int) -> Floats:
    """Quasi-random normal points, as many on one side as on the other, whose covariance is the identity."""
    half = special.ndtri(_uniforms(dimensions, n_points // 2, seed))
    points = np.concatenate([half, -half])
    values, vectors = np.linalg.eigh(points.T @ points / n_points)
    return np.asarray(points @ (vectors / np.sqrt(values)) @ vectors.T)


def _uniforms(dimensions: int, n_points: int, seed: int) -> Floats:
    """Points of a scrambled Sobol sequence, (n_points, dimensions)."""
    return np.asarray(qmc.Sobol(dimensions, rng=np.random.default_rng(seed)).random(n_points))
