"""The data of the stylized problem, as one validated specification.

A sequence is ``(x_1, y_1, ..., x_L, y_L, x)`` and the model predicts the label of the query ``x``. Bounds are
computed from this specification, the sampler draws from it, and reports print it.
"""

import math
from collections.abc import Iterator
from functools import cached_property
from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from scipy import special

from theory.fields import Count, NonNegative, Positive, Probability, Whole, one_of
from theory.settings import settings
from theory.validation import Floats

__all__ = ["GROUPS", "LABEL_NOISE_KINDS", "RELEVANCE", "ClassMixture"]

LABEL_NOISE_KINDS = ("uniform", "shift")
GROUPS = ("high", "low", "all")
RELEVANCE = ("context", "token")


MAX_CLASSES = 2**20
SMALLEST_FREQUENCY = 1e-300


@settings
class ClassMixture:
    r"""Frequent classes (group ``high``) and rare ones (group ``low``), shown with a relevant context or without.

    The query class is :math:`c` with probability :math:`q_c`. Each token of class :math:`c` is the centre of the
    class (uniform on the unit sphere of R^d) plus :math:`N(0, \sigma^2 I)`; its label is drawn from
    :math:`P_c`: the class itself with probability :math:`1-\nu`, else a noisy label. With probability ``p_relevant``
    the context is drawn i.i.d. from :math:`q` given that it shows the query class (at least once, or exactly
    ``n_relevant`` times), otherwise given that it does not. Where ``relevance`` is that of a ``token``, each token of
    the context repeats the query class with probability ``p_relevant`` on its own; else it is drawn from :math:`q`, and
    drawn once more where it repeats the class by accident. For L = 1 the two differ by :math:`(1 - p) q_c^2` alone.

    Args:
        n_high: number of frequent classes, integer >= 0. They are classes ``0 .. n_high - 1``.
        n_low: number of rare classes, integer >= 0; ``2 <= n_high + n_low <= 2**20``.
        p_high: probability mass of the frequent classes together, in (0, 1); ignored where a group is empty, or
            ``zipf`` or ``query_frequencies`` is given.
        zipf: exponent s >= 0 of ``q_c`` proportional to ``(c + 1) ** -s``, or None.
        query_frequencies: explicit ``q``, ``n_high + n_low`` positive numbers that sum to 1, or None.
        p_relevant: probability of a relevant context, or token, in [0, 1].
        relevance: what is relevant with probability ``p_relevant``: the ``context`` or each ``token`` of it.
        context_length: L, number of (input, label) pairs before the query, integer >= 1.
        n_relevant: exact number R of relevant pairs in a relevant context, in 1 .. L; None for "at least one", and
            where ``relevance`` is that of a token.
        dim: dimension d of the inputs, integer >= 1.
        input_noise: standard deviation sigma >= 0 of the noise on each input coordinate.
        label_noise: probability nu that a label is noisy, in [0, 1).
        label_noise_kind: ``uniform`` replaces the class by one of the others uniformly, ``shift`` replaces class c by
            ``(c + 1) mod C``.

    Raises:
        SpecError: with one sentence for each field out of its set.

    Example:
        >>> spec = ClassMixture()
        >>> spec.frequencies.round(2).tolist()
        [0.18, 0.18, 0.18, 0.18, 0.18, 0.02, 0.02, 0.02, 0.02, 0.02]
        >>> ClassMixture(p_high=1.5)
        Traceback (most recent call last):
        ...
        theory.settings.SpecError: `p_high` must be in (0, 1); got 1.5

    Source: Chan et al. (2025), section 4.1 and appendix on synthetic data; the two kinds of ``relevance`` are those of
    two branches of its public code.
    """

    n_high: Whole = 5
    n_low: Whole = 5
    p_high: Probability = 0.9
    zipf: NonNegative | None = None
    query_frequencies: tuple[Positive, ...] | None = None
    p_relevant: Annotated[float, Field(ge=0, le=1)] = 0.9
    context_length: Count = 1
    n_relevant: Count | None = None
    dim: Count = 64
    input_noise: NonNegative = 0.2
    label_noise: Annotated[float, Field(ge=0, lt=1)] = 0.0
    label_noise_kind: Annotated[str, one_of(LABEL_NOISE_KINDS)] = "uniform"
    relevance: Annotated[str, one_of(RELEVANCE)] = "context"

    def problems(self) -> Iterator[str]:
        """What is wrong with the fields together, one sentence each."""
        if self.n_classes < 2:
            yield f"`n_high` + `n_low` must be >= 2; got {self.n_classes}"
        if self.n_classes > MAX_CLASSES:
            yield f"`n_high` + `n_low` must be at most 2^20; got {self.n_classes}"
        if self.n_relevant is not None and self.n_relevant > self.context_length:
            yield f"`n_relevant` must be at most `context_length` = {self.context_length}; got {self.n_relevant}"
        if self.n_relevant is not None and self.relevance == "token":
            yield f"`n_relevant` must be None where `relevance` is 'token'; got {self.n_relevant}"
        q = self.query_frequencies
        if q is not None and self.zipf is not None:
            yield "`zipf` must be None when `query_frequencies` is given; got both"
        if q is not None and (len(q) != self.n_classes or abs(math.fsum(q) - 1) >= 1e-9):
            yield (
                f"`query_frequencies` must be `n_high` + `n_low` = {self.n_classes} positive numbers"
                f" that sum to 1; got {list(q)}"
            )
        name = "p_high" if self.zipf is None else "zipf"
        least = self.p_high / max(self.n_high, 1) if self.zipf is None else max(self.n_classes, 1.0) ** -self.zipf
        if q is None and least < SMALLEST_FREQUENCY:
            yield f"`{name}` must leave every class a positive frequency; got {getattr(self, name)!r}"

    @property
    def n_classes(self) -> int:
        """K = ``n_high + n_low``, also the number C of labels."""
        return self.n_high + self.n_low

    @cached_property
    def frequencies(self) -> Floats:
        """``q``, shape (K,): probability of each class as the query class; sums to 1."""
        if self.query_frequencies is not None:
            q = np.array(self.query_frequencies, dtype=np.float64)
        elif self.zipf is not None:
            q = np.arange(1, self.n_classes + 1, dtype=np.float64) ** -self.zipf
        else:
            p_high = 1.0 if self.n_low == 0 else 0.0 if self.n_high == 0 else self.p_high
            q = np.repeat([p_high / max(self.n_high, 1), (1 - p_high) / max(self.n_low, 1)], [self.n_high, self.n_low])
        q = q / q.sum()
        q.flags.writeable = False
        return q

    @cached_property
    def label_matrix(self) -> Floats:
        """``P``, shape (K, C): row c is the label distribution of class c."""
        k, nu = self.n_classes, self.label_noise
        if self.label_noise_kind == "shift":
            p = (1 - nu) * np.eye(k) + nu * np.roll(np.eye(k), 1, axis=1)
        else:
            p = np.full((k, k), nu / (k - 1))
            np.fill_diagonal(p, 1 - nu)
        p.flags.writeable = False
        return p

    def group(self, name: str) -> NDArray[np.int64]:
        """Classes of a group: ``high`` (frequent), ``low`` (rare) or ``all``.

        Example:
            >>> ClassMixture(n_high=2, n_low=3).group("low").tolist()
            [2, 3, 4]
        """
        bounds = {"high": (0, self.n_high), "low": (self.n_high, self.n_classes), "all": (0, self.n_classes)}
        if name not in bounds:
            raise ValueError(f"`group` must be one of {GROUPS}; got {name!r}")
        return np.arange(*bounds[name])

    def group_frequency(self, name: str) -> float:
        """Probability that the query class lies in the group."""
        return float(self.frequencies[self.group(name)].sum())

    def group_mean(self, risks: Floats, name: str) -> Floats:
        """Mean risk over the classes of a group that is not empty, each weighted by its frequency.

        Args:
            risks: shape (..., K).
            name: ``high``, ``low`` or ``all``.

        Returns:
            Shape (...).

        Example:
            >>> spec = ClassMixture(n_high=1, n_low=1, p_high=0.75)
            >>> float(spec.group_mean(np.array([0.0, 1.0]), "all"))
            0.25
        """
        members = self.group(name)
        weights = self.frequencies[members] / self.group_frequency(name)
        return np.asarray(risks[..., members] @ weights)

    @cached_property
    def shifted_labels(self) -> NDArray[np.int64]:
        """Out-of-base labelling, shape (C,): label c becomes the next one inside its frequency group.

        Raises:
            ValueError: when a group has a single class, whose label the shift could not change.
        """
        for name in ("high", "low"):
            if len(self.group(name)) == 1:
                raise ValueError(
                    f"the out-of-base shift needs `n_{name}` to be 0 or at least 2; got 1: a class alone in its"
                    " frequency group would keep its label"
                )
        shifted = np.concatenate([np.roll(self.group("high"), -1), np.roll(self.group("low"), -1)])
        shifted.flags.writeable = False
        return shifted

    @cached_property
    def relevant_shares(self) -> Floats:
        """Probability that the context of a query of each class is relevant, shape (K,).

        Example:
            >>> spec = ClassMixture(n_high=1, n_low=1, p_high=0.5, context_length=2, p_relevant=0.2, relevance="token")
            >>> spec.relevant_shares.round(4).tolist()
            [0.64, 0.64]
        """
        shares = np.full(self.n_classes, float(self.p_relevant))
        if self.relevance == "token":
            with np.errstate(divide="ignore"):
                shares = -np.expm1(self.context_length * np.log1p(-self._repeated(self.group("all"))))
        shares.flags.writeable = False
        return shares

    def _repeated(self, classes: NDArray[np.int64]) -> Floats:
        """Probability that a token repeats the query class, before contexts are told apart."""
        q = self.frequencies[classes]
        return q if self.relevance == "context" else self.p_relevant + (1 - self.p_relevant) * q**2

    @cached_property
    def n_relevant_pmf(self) -> Floats:
        """Law of the number of relevant tokens in a relevant context, shape (K, L + 1).

        Row c is Bin(L, r_c) given at least one, or a point mass at ``n_relevant``. A token repeats the class with
        probability r_c = q_c, or p + (1 - p) q_c^2 where ``relevance`` is that of a token.
        """
        pmf = self.relevant_counts(self.group("all"))
        pmf.flags.writeable = False
        return pmf

    def relevant_counts(self, classes: NDArray[np.int64]) -> Floats:
        """Rows of `n_relevant_pmf` for some classes, shape (n, L + 1), without the table of all K.

        Example:
            >>> ClassMixture(context_length=2).relevant_counts(np.array([9])).round(3).tolist()
            [[0.0, 0.99, 0.01]]
        """
        length = self.context_length
        pmf = np.zeros((len(classes), length + 1))
        if self.n_relevant is not None:
            pmf[:, self.n_relevant] = 1.0
        else:
            r = np.arange(1, length + 1)
            repeated = self._repeated(classes)[:, None]
            log_choose = special.gammaln(length + 1) - special.gammaln(r + 1) - special.gammaln(length - r + 1)
            log_pmf = log_choose + r * np.log(repeated) + special.xlog1py(length - r, -repeated)
            pmf[:, 1:] = np.exp(log_pmf - special.logsumexp(log_pmf, axis=1, keepdims=True))
        return pmf
