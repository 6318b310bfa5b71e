r"""What every in-weight predictor must pay while labels are unknown.

The bounds hold on average over unknown labels: the true label of a class is uniform over the C labels and independent
of those of other classes, the noise level known. A predictor that treats labels alike (every permutation of labels
permutes its answers, as for the tabular predictor) has the same risk whatever the true label, so for it they hold as
they stand. They do not bind a predictor that knows the labelling to be one-to-one: it can name the label of an unseen
class by elimination.
"""

import numpy as np
from numpy.typing import ArrayLike

from theory.in_weight import broadcast_inputs, exact_error
from theory.label_learning import bayes_log_loss_table, noise_entropy
from theory.labels import label_law
from theory.plug_in import mean_over_counts
from theory.validation import Floats

__all__ = ["error_lower_bound", "log_loss_lower_bound", "unseen_error_lower_bound", "unseen_log_loss_lower_bound"]


def unseen_log_loss_lower_bound(
    n_sequences: ArrayLike,
    frequency: ArrayLike,
    n_labels: int,
    *,
    label_noise: float,
    label_noise_kind: str,
    n_sure: int = 0,
) -> Floats:
    r"""Log loss of every in-weight predictor, from classes never seen alone.

    :math:`H + P(n = 0)(\ln C - H)`. Weaker and simpler than `log_loss_lower_bound`.

    Lower bound, on average over unknown labels (see the top of the module).

    Args:
        n_sequences: N, whole numbers >= 0, of any shape.
        frequency: q in [0, 1], broadcast against N.
        n_labels: C >= 2.
        label_noise: nu in [0, 1).
        label_noise_kind: ``uniform`` or ``shift``.
        n_sure: s, queries of the class besides the N random ones.

    Returns:
        The bound, nats, in the broadcast shape.

    Raises:
        ValueError: an argument outside its set.

    Example:
        >>> bound = unseen_log_loss_lower_bound([0, 100], 0.02, 10, label_noise=0.0, label_noise_kind="uniform")
        >>> bound.round(4).tolist()
        [2.3026, 0.3054]

    Source: entropy of an unknown uniform label.
    """
    n, q, _, _ = broadcast_inputs(n_sequences, frequency, 1.0, n_sure)
    law = label_law(n_labels, label_noise, label_noise_kind)
    unseen = np.log([law.n_labels])
    return mean_over_counts(unseen, noise_entropy(law.n_labels, law.label_noise, label_noise_kind), n, q, n_sure)


def log_loss_lower_bound(
    n_sequences: ArrayLike,
    frequency: ArrayLike,
    n_labels: int,
    *,
    label_noise: float,
    label_noise_kind: str,
    n_sure: int = 0,
) -> Floats:
    r"""Log loss of every in-weight predictor: the Bayes risk of an unknown label seen n times.

    :math:`E_n R_n` with :math:`R_n` the entropy of the next label given n noisy copies, replaced by the entropy of the
    noise beyond n = 24 (``uniform``) or 200 (``shift``).

    Lower bound, on average over unknown labels (see the top of the module); the Bayes risk itself (to 1e-12) where
    the table has converged, as it has for ``uniform`` noise up to 0.1 on 10 labels.

    Args:
        n_sequences: N, whole numbers >= 0, of any shape.
        frequency: q in [0, 1], broadcast against N.
        n_labels: C >= 2.
        label_noise: nu in [0, 1).
        label_noise_kind: ``uniform`` or ``shift``.
        n_sure: s, queries of the class besides the N random ones.

    Returns:
        The bound, nats, in the broadcast shape.

    Raises:
        ValueError: an argument outside its set.

    Example:
        >>> log_loss_lower_bound([0, 100], 0.02, 10, label_noise=0.05, label_noise_kind="uniform").round(4).tolist()
        [2.3026, 0.6551]

    Source: Bayes risk under log loss is conditional entropy, Cover and Thomas (2006), section 2.
    """
    n, q, _, _ = broadcast_inputs(n_sequences, frequency, 1.0, n_sure)
    law = label_law(n_labels, label_noise, label_noise_kind)
    table, entropy = bayes_log_loss_table(law.n_labels, law.label_noise, label_noise_kind)
    return mean_over_counts(table, entropy, n, q, n_sure)


def unseen_error_lower_bound(
    n_sequences: ArrayLike,
    frequency: ArrayLike,
    n_labels: int,
    *,
    label_noise: float,
    label_noise_kind: str,
    n_sure: int = 0,
) -> Floats:
    r"""0-1 risk, or linear loss, of every in-weight predictor, from classes never seen alone.

    :math:`B + P(n = 0)(1 - 1/C - B)` with B the error of the best fixed label. Weaker than `error_lower_bound`.

    Lower bound, on average over unknown labels (see the top of the module).

    Args:
        n_sequences: N, whole numbers >= 0, of any shape.
        frequency: q in [0, 1], broadcast against N.
        n_labels: C >= 2.
        label_noise: nu in [0, 1).
        label_noise_kind: ``uniform`` or ``shift``.
        n_sure: s, queries of the class besides the N random ones.

    Returns:
        The bound, in the broadcast shape.

    Raises:
        ValueError: an argument outside its set.

    Example:
        >>> unseen_error_lower_bound([0, 100], 0.02, 10, label_noise=0.05, label_noise_kind="uniform").round(4).tolist()
        [0.9, 0.1627]

    Source: a uniform unknown label is guessed with probability 1/C.
    """
    n, q, _, _ = broadcast_inputs(n_sequences, frequency, 1.0, n_sure)
    law = label_law(n_labels, label_noise, label_noise_kind)
    bayes = min(law.label_noise, 1 - law.asked_rival)
    return mean_over_counts(np.array([1 - 1 / law.n_labels]), bayes, n, q, n_sure)


def error_lower_bound(
    n_sequences: ArrayLike,
    frequency: ArrayLike,
    n_labels: int,
    *,
    label_noise: float,
    label_noise_kind: str,
    n_sure: int = 0,
) -> Floats:
    r"""0-1 risk, or linear loss, of every in-weight predictor.

    For ``uniform`` noise the most frequent label is the Bayes answer at every noise level, and the bound is its exact
    risk; for ``shift`` noise it is `unseen_error_lower_bound`. Linear loss is linear in the prediction, so its least
    value is reached by naming one label and is the 0-1 risk.

    Lower bound, on average over unknown labels (see the top of the module).

    Args:
        n_sequences: N, whole numbers >= 0, of any shape.
        frequency: q in [0, 1], broadcast against N.
        n_labels: C >= 2.
        label_noise: nu in [0, 1).
        label_noise_kind: ``uniform`` or ``shift``.
        n_sure: s, queries of the class besides the N random ones.

    Returns:
        The bound, in the broadcast shape.

    Raises:
        ValueError: an argument outside its set.

    Example:
        >>> error_lower_bound([0, 100], 0.02, 10, label_noise=0.05, label_noise_kind="uniform").round(4).tolist()
        [0.9, 0.1894]

    Source: with :math:`r = \nu/(C-1)` and posterior :math:`\pi_y \propto ((1-\nu)/r)^{k_y}` of the true label, the
    answer is y with probability :math:`r + (1 - \nu - r) \pi_y`, which never falls as :math:`k_y` grows.
    """
    law = label_law(n_labels, label_noise, label_noise_kind)
    if label_noise_kind == "uniform":
        return exact_error(n_sequences, frequency, law, n_sure=n_sure)
    return unseen_error_lower_bound(
        n_sequences, frequency, n_labels, label_noise=label_noise, label_noise_kind=label_noise_kind, n_sure=n_sure
    )
