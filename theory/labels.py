"""What one class teaches about labels, and what is asked about it."""

from typing import NamedTuple

from theory.distribution import LABEL_NOISE_KINDS, ClassMixture
from theory.validation import require_choice, require_count, require_probability

__all__ = ["LabelLaw", "LabelShare", "class_label_law", "label_law"]


class LabelShare(NamedTuple):
    """Labels that training showed with one probability, and how often the test asks for one of them."""

    trained: float
    not_trained: float  # 1 - trained, kept apart because rounding would lose it next to 1
    asked: float


class LabelLaw(NamedTuple):
    r"""Labels of one class in training and at the test.

    In training the true label has probability :math:`1-\nu`. At the test the answer is drawn from ``shares``.

    Args:
        n_labels: C, integer >= 2.
        label_noise: nu, in [0, 1).
        label_noise_kind: ``uniform`` or ``shift``.
        shares: the labels asked for, merged by their training probability; ``asked`` sums to 1.
        asked_true: how often the test asks for the true label.
        asked_rival: how often it asks for a rival: for ``uniform`` noise the mean over the other labels, for ``shift``
            noise the next label.
    """

    n_labels: int
    label_noise: float
    label_noise_kind: str
    shares: tuple[LabelShare, ...]
    asked_true: float
    asked_rival: float


def label_law(
    n_labels: int, label_noise: float = 0.0, label_noise_kind: str = "uniform", *, remapped: bool = False
) -> LabelLaw:
    r"""The law of a class under in-base labels, or under labels remapped without a fixed point.

    With ``remapped`` the test relabels every class :math:`c` as :math:`s(c) \ne c` (out-of-base) where, for ``shift``
    noise, :math:`s(c) = c + 1` and :math:`s(c + 1) = c + 2 \ne c`; `class_label_law` covers every class of a
    specification.

    Args:
        n_labels: C, integer >= 2 (>= 3 for remapped ``shift`` noise).
        label_noise: nu, in [0, 1).
        label_noise_kind: ``uniform`` or ``shift``.
        remapped: whether the test remaps labels.

    Returns:
        The law.

    Raises:
        ValueError: an argument outside its set.

    Example:
        >>> label_law(10, 0.1).asked_true, label_law(10, 0.1, remapped=True).asked_true
        (0.9, 0.011111111111111112)

    Source: Chan et al. (2025), section 4.1.
    """
    n = int(require_count("n_labels", n_labels, least=3 if remapped and label_noise_kind == "shift" else 2))
    nu = float(require_probability("label_noise", label_noise, below_one=True))
    require_choice("label_noise_kind", label_noise_kind, LABEL_NOISE_KINDS)
    if label_noise_kind == "uniform":
        return _uniform_law(n, nu, remapped)
    return _shift_law(n, nu, (1, 2) if remapped else (0, 1))


def _uniform_law(n: int, nu: float, remapped: bool) -> LabelLaw:
    rival = nu / (n - 1)
    asked_true = rival if remapped else 1 - nu
    asked_others = 1 - rival if remapped else nu
    shares = (LabelShare(1 - nu, nu, asked_true), LabelShare(rival, 1 - rival, asked_others))
    return LabelLaw(n, nu, "uniform", shares, asked_true, asked_others / (n - 1))


def _shift_law(n: int, nu: float, answers: tuple[int, int]) -> LabelLaw:
    """``answers``: what the test asks for when the label is clean, and noisy: 0 true label, 1 its rival, 2 neither."""
    trained = (LabelShare(1 - nu, nu, 0.0), LabelShare(nu, 1 - nu, 0.0), LabelShare(0.0, 1.0, 0.0))
    masses = (1 - nu, nu)
    shares = tuple(trained[place]._replace(asked=mass) for place, mass in zip(answers, masses, strict=True))
    asked = [sum(m for place, m in zip(answers, masses, strict=True) if place == wanted) for wanted in (0, 1)]
    return LabelLaw(n, nu, "shift", shares, float(asked[0]), float(asked[1]))


def class_label_law(spec: ClassMixture, label: int, test_distribution: str) -> LabelLaw:
    """The law of one class of a specification, ``ibd`` or ``oobd``.

    Example:
        >>> class_label_law(ClassMixture(label_noise=0.1, label_noise_kind="shift"), 3, "oobd").asked_rival
        0.9
    """
    require_choice("test_distribution", test_distribution, ("ibd", "oobd"))
    n, nu, kind = spec.n_classes, spec.label_noise, spec.label_noise_kind
    if test_distribution == "ibd" or kind == "uniform":
        if test_distribution == "oobd":
            spec.shifted_labels  # noqa: B018 - raises where the shift would leave a class as it is
        return label_law(n, nu, kind, remapped=test_distribution == "oobd")
    places = {label: 0, (label + 1) % n: 1}
    clean, noisy = (places.get(int(spec.shifted_labels[y]), 2) for y in places)
    return _shift_law(n, nu, (clean, noisy))
