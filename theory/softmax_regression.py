r"""In-weight learning from noisy inputs by softmax regression, when dimensions and inputs are many.

N inputs :math:`x = \mu_c + \sigma z` in d dimensions, with their labels, are fitted by the logits
:math:`W^\top x + b` that minimise :math:`\frac1N \sum_i -\ln p_i + \frac\rho2 \|W\|^2`. As d grows with
:math:`\alpha = N/d` held, logits of new inputs are Gaussian, with laws that solve the equations of
`theory.softmax_equations`.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from theory.distribution import ClassMixture
from theory.noisy_inputs import require_noisy_inputs
from theory.softmax_equations import Fit, fitted_logits, log_losses, right_answers
from theory.validation import Floats, require_integer, require_positive, require_scalar

__all__ = ["SoftmaxRisk", "softmax_regression_risk"]

POINTS, POINTS_OF_DRAWS = 1024, 128
"""Quasi-random points for each class: of the limit, and of each draw of centres and numbers of inputs."""
MOST_CLASSES = 32


class SoftmaxRisk(NamedTuple):
    """Risks of softmax regression on new inputs of each class, each in the shape (..., K).

    Attributes:
        error: 0-1 risk.
        log_loss: mean of minus the log probability of the label, in nats.
        standard_error: of ``error``, from the draws it is a mean over; 0 in the limit.
    """

    error: Floats
    log_loss: Floats
    standard_error: Floats


def softmax_regression_risk(n_inputs: ArrayLike, spec: ClassMixture, ridge: float, n_draws: int = 0) -> SoftmaxRisk:
    r"""Risks of softmax regression, fitted with a ridge to N noisy inputs with their labels.

    The limit of many dimensions d, at :math:`\alpha = N/d`: centres are orthogonal, and every class has its share
    :math:`N q_c` of the inputs. In d dimensions neither is so, and errors are larger: of rare classes, at d = 64
    and five expected inputs each, by four fifths. With ``n_draws`` the equations are solved for as many draws of
    centres, uniform on the sphere in d dimensions, and of numbers of inputs, and risks are means over them: a
    Monte Carlo estimate, seed fixed. A class without inputs in a draw is never answered: error 1, infinite log loss.

    Takes about half a second for each N with two frequencies, and as much for each draw; with a small ridge and classes
    that overlap ten seconds and more. Errors of the quasi-random points are below 2% of a risk where this was tried,
    and larger for risks below 0.002.

    Args:
        n_inputs: N, labelled inputs in all, whole numbers >= 1, of any shape.
        spec: the data: at most 32 classes, their frequencies, d >= 2 and sigma > 0; other fields do not matter. Labels
            are without noise.
        ridge: rho > 0, of the mean log loss; C of scikit-learn is 1 / (N rho).
        n_draws: draws of centres and of numbers of inputs, 0 for the limit, or an integer >= 2.

    Raises:
        ValueError: an argument outside its set.
        RuntimeError: no solution found in 150 steps, as can be where classes overlap and the ridge is small (at d = 64,
            noise 1, N = 256 and a ridge of 1e-4).

    Example:
        >>> risk = softmax_regression_risk([250, 1000], ClassMixture(input_noise=0.2, dim=64), ridge=1e-3)
        >>> risk.error[:, -1].round(2).tolist(), risk.log_loss[:, -1].round(1).tolist()
        ([0.19, 0.05], [0.8, 0.5])

    Source: Loureiro et al. (2021), arXiv 2106.03791; docs/theory.md, statements 1.21 and 1.22.
    """
    n = require_noisy_inputs(n_inputs, spec, least=1)
    if spec.n_classes > MOST_CLASSES:
        raise ValueError(f"`spec.n_classes` must be at most {MOST_CLASSES}; got {spec.n_classes}")
    rho = require_scalar("ridge", require_positive("ridge", ridge))
    draws = require_integer("n_draws", n_draws)
    if draws == 1:
        raise ValueError("`n_draws` must be 0 or >= 2; got 1")
    found = [_drawn(size, spec, rho, draws) if draws else _limit(size, spec, rho) for size in n.ravel()]
    return SoftmaxRisk(*(np.reshape(part, (*n.shape, spec.n_classes)) for part in zip(*found, strict=True)))


def _limit(size: float, spec: ClassMixture, ridge: float) -> SoftmaxRisk:
    fit = Fit(spec.frequencies, np.eye(spec.n_classes), size / spec.dim, spec.input_noise, ridge)
    error, log_loss = _risks(fit, POINTS, 0)
    return SoftmaxRisk(error, log_loss, np.zeros_like(error))


def _drawn(size: float, spec: ClassMixture, ridge: float, n_draws: int) -> SoftmaxRisk:
    generator, (k, d) = np.random.default_rng(1), (spec.n_classes, spec.dim)
    _, kind, alike = np.unique(spec.frequencies, return_inverse=True, return_counts=True)
    risks = np.zeros((n_draws, 2, k))
    for seed, draw in enumerate(risks):
        centres = generator.normal(size=(k, d))
        centres /= np.linalg.norm(centres, axis=1, keepdims=True)
        counts = generator.multinomial(int(size), spec.frequencies)
        draw[:] = [[1.0], [np.inf]]
        seen = counts > 0
        fit = Fit(counts[seen] / size, centres[seen] @ centres[seen].T, size / d, spec.input_noise, ridge)
        draw[:, seen] = _risks(fit, POINTS_OF_DRAWS, seed)
        draw[:] = [(np.bincount(kind, row) / alike)[kind] for row in draw]
    (error, log_loss), spread = risks.mean(0), risks[:, 0].std(0, ddof=1)
    return SoftmaxRisk(error, log_loss, spread / np.sqrt(n_draws))


def _risks(fit: Fit, n_points: int, seed: int) -> tuple[Floats, Floats]:
    laws = fitted_logits(fit, n_points, seed)
    return 1 - right_answers(laws, POINTS), log_losses(laws, POINTS)
