"""Memorizing, generalizing and fitted predictors of linear regression, at every position of a sequence."""

from typing import Self

import torch
from torch import Tensor

from gating.predictors.tables import finite_table, require_finite, require_pairs, row_blocks
from gating.tasks.sequences import Sequences
from theory.validation import require_integer, require_positive, require_scalar, require_sizes

__all__ = ["LinearAttention", "RegressionGeneralizer", "RegressionMemorizer"]


class RegressionMemorizer:
    r"""Posterior mean over D known weight vectors, each equally likely at first (dMMSE).

    .. math:: M(x_t) = \sum_d \pi_d(t) \langle w_d, x_t \rangle, \qquad
        \pi_d(t) \propto \exp\Bigl(-\sum_{s<t} \frac{(y_s - \langle w_d, x_s \rangle)^2}{2 \sigma^2}\Bigr)

    Args:
        weights: the weight vectors, shape (D, m).
        noise_variance: variance of the noise of y, > 0; m / 256 when None.
        chunk: numbers held at once for a block of sequences, >= 1; changes speed and memory alone.

    Raises:
        ValueError: naming the argument, the allowed set and the value.

    Example:
        >>> x, y = torch.tensor([[1.0], [1.0]]), torch.tensor([1.0, 1.0])
        >>> M = RegressionMemorizer(torch.tensor([[1.0], [-1.0]]))
        >>> M(Sequences(x, y, y)).tolist()
        [0.0, 1.0]

    Source: Wurgaft et al. (2025), linear regression, memorizing predictor; Raventos et al. (2023), dMMSE.
    """

    def __init__(self, weights: Tensor, *, noise_variance: float | None = None, chunk: int = 2**18):
        self.weights = finite_table("weights", weights)
        self.noise_variance = _variance(noise_variance, self.weights.shape[1])
        self.chunk = require_integer("chunk", chunk, least=1)

    @torch.no_grad()
    def __call__(self, sequences: Sequences) -> Tensor:
        """Mean of every y given the pairs before it and its own x, float64, (..., T, m) -> (..., T).

        Raises:
            ValueError: inputs and answers do not fit each other or the weights, or are not finite.
        """
        x, y = _pairs(sequences, self.weights.shape[1])
        means = torch.empty_like(y)
        for block in row_blocks(len(y), max(len(self.weights), x.shape[1:].numel()), self.chunk):
            self._answer(x[block].double(), y[block], means[block])
        return means.reshape(sequences.y.shape)

    def _answer(self, x: Tensor, y: Tensor, means: Tensor) -> None:
        """Writes the means (rows, T) of the pairs x (rows, T, m), y (rows, T), position after position."""
        weights = self.weights.T.to(x.device)
        score = torch.zeros(len(y), weights.shape[1], dtype=torch.float64, device=y.device)
        for t in range(y.shape[1]):
            given = x[:, t] @ weights
            means[:, t] = torch.linalg.vecdot(score.softmax(-1), given)
            score.sub_(given.sub_(y[:, t, None]).square_(), alpha=0.5 / self.noise_variance)


class RegressionGeneralizer:
    r"""Posterior mean under the prior w ~ N(0, I): ridge regression on the pairs before each position.

    .. math:: G(x_t) = x_t^\top (\sigma^2 I + X^\top X)^{-1} X^\top y, \qquad X = x_{<t}, \; y = y_{<t}

    Computed from one Cholesky factor for the whole sequence. Before any pair is seen y has covariance
    :math:`K_{st} = \langle x_s, x_t \rangle + \sigma^2 [s = t] = (L L^\top)_{st}`; with :math:`e = L^{-1} y` the
    innovations, :math:`G(x_t) = \sum_{s<t} L_{ts} e_s`. The error of rounding grows as
    :math:`10^{-16} \max_t \|x_t\|^2 / \sigma^2`.

    Args:
        dim: dimension m >= 1 of x.
        noise_variance: variance of the noise of y, > 0; m / 256 when None.
        chunk: numbers held at once for a block of sequences, >= 1; changes speed and memory alone.

    Raises:
        ValueError: naming the argument, the allowed set and the value.

    Example:
        >>> x, y = torch.tensor([[1.0], [1.0]]), torch.tensor([1.0, 1.0])
        >>> G = RegressionGeneralizer(1, noise_variance=1.0)
        >>> G(Sequences(x, y, y)).round(decimals=12).tolist()
        [0.0, 0.5]

    Source: Wurgaft et al. (2025), linear regression, generalizing predictor; the factor is that of Gaussian processes,
    Rasmussen and Williams (2006), algorithm 2.1.
    """

    def __init__(self, dim: int, *, noise_variance: float | None = None, chunk: int = 2**22):
        self.dim = require_integer("dim", dim, least=1)
        self.noise_variance = _variance(noise_variance, self.dim)
        self.chunk = require_integer("chunk", chunk, least=1)

    @torch.no_grad()
    def __call__(self, sequences: Sequences) -> Tensor:
        """Mean of every y given the pairs before it and its own x, float64, (..., T, m) -> (..., T).

        Raises:
            ValueError: inputs and answers do not fit each other or `dim`, or are not finite.
            torch.linalg.LinAlgError: the noise is too small beside the inputs for float64.
        """
        x, y = _pairs(sequences, self.dim)
        means = torch.empty_like(y)
        for block in row_blocks(len(y), y.shape[1] ** 2, self.chunk):
            inputs = x[block].double()
            covariance = inputs @ inputs.mT
            covariance.diagonal(dim1=-2, dim2=-1).add_(self.noise_variance)
            factor = torch.linalg.cholesky(covariance)
            innovations = torch.linalg.solve_triangular(factor, y[block].unsqueeze(-1), upper=False)
            means[block] = (factor.tril(-1) @ innovations).squeeze(-1)
        return means.reshape(sequences.y.shape)


class LinearAttention:
    r"""A layer of linear attention in its reduced form, with weights of its own for each length of context.

    .. math:: A(x_t) = x_t^\top \Gamma_t \begin{pmatrix} \frac1{t-1} \sum_{s<t} y_s x_s \\
        \frac1{m(t-1)} \sum_{s<t} y_s^2 \end{pmatrix}, \qquad A(x_1) = 0

    Args:
        weights: :math:`\Gamma_t`, shape (T, m, m + 1), those at t = 1 of no concern.
        chunk: numbers held at once for a block of sequences, >= 1; changes speed and memory alone.

    Raises:
        ValueError: naming the argument, the allowed set and the value.

    Example:
        >>> from gating.tasks.linear_regression import LinearRegression
        >>> task = LinearRegression([64], [0], dim=4, length=33)
        >>> A = LinearAttention.fitted(task.batches(0, 1, 400))
        >>> A(task.batches(1, 1, 2)).shape
        torch.Size([1, 2, 33])

    Source: Lu et al. (2024), linear attention reduced to one matrix; its error for large m: `theory.linear_attention`.
    """

    def __init__(self, weights: Tensor, *, chunk: int = 2**22):
        require_finite("weights", weights, "of shape (T, m, m + 1), T and m >= 1", dims=3)
        if weights.shape[2] != weights.shape[1] + 1:
            raise ValueError(f"`weights` must have shape (T, m, m + 1); got {tuple(weights.shape)}")
        self.weights = weights.detach().double()
        self.chunk = require_integer("chunk", chunk, least=1)

    @classmethod
    def fitted(cls, sequences: Sequences) -> Self:
        """Least squares over all sequences, of least norm, at each position, from x (..., T, m) and y (..., T).

        Memory and time are those of one least-squares problem with m (m + 1) unknowns, T - 1 times.

        Raises:
            ValueError: inputs and answers do not fit each other, or are not finite.
        """
        x, y = _pairs(sequences, sequences.x.shape[-1])
        x, held = x.double(), _held(x.double(), y)
        weights = x.new_zeros(x.shape[1], x.shape[2], x.shape[2] + 1)
        for t in range(1, len(weights)):
            features = (x[:, t, :, None] * held[:, t, None, :]).flatten(1)
            found = torch.linalg.lstsq(features, y[:, t, None], driver="gelsd").solution
            weights[t] = found.reshape(weights[t].shape)
        return cls(weights)

    @torch.no_grad()
    def __call__(self, sequences: Sequences) -> Tensor:
        """Answer to every x given the pairs before it, float64, (..., T, m) -> (..., T).

        Raises:
            ValueError: inputs and answers do not fit each other or the weights, or are not finite.
        """
        length, dim = self.weights.shape[:2]
        x, y = _pairs(sequences, dim)
        if y.shape[1] > length:
            raise ValueError(f"`sequences.y` must have at most {length} positions; got {y.shape[1]}")
        weights, answers = self.weights[: y.shape[1]].to(x.device), torch.empty_like(y)
        for block in row_blocks(len(y), x.shape[1:].numel(), self.chunk):
            inputs = x[block].double()
            held = torch.einsum("tij,btj->bti", weights, _held(inputs, y[block]))
            answers[block] = torch.linalg.vecdot(inputs, held)
        return answers.reshape(sequences.y.shape)


def _held(x: Tensor, y: Tensor) -> Tensor:
    """What linear attention holds of the pairs before each position, (rows, T, m), (rows, T) -> (rows, T, m + 1)."""
    each = torch.cat([y.unsqueeze(-1) * x, y.square().unsqueeze(-1) / x.shape[-1]], -1)
    before = torch.arange(y.shape[1], dtype=y.dtype, device=y.device).clamp_(min=1)
    return torch.cat([torch.zeros_like(each[:, :1]), each[:, :-1].cumsum(1)], 1) / before.unsqueeze(-1)


def _variance(noise_variance: float | None, dim: int) -> float:
    if noise_variance is None:
        require_sizes(dim=dim)
        return dim / 256
    return require_scalar("noise_variance", require_positive("noise_variance", noise_variance))


def _pairs(sequences: Sequences, dim: int) -> tuple[Tensor, Tensor]:
    """Inputs (rows, T, m) and answers (rows, T; float64), leading dimensions made one."""
    x, y = require_pairs(sequences, dim), sequences.y.double()
    if not bool(y.isfinite().all()):
        raise ValueError(f"`sequences.y` must be finite; got {int((~y.isfinite()).sum())} of {y.numel()} that are not")
    return x.reshape(-1, *x.shape[-2:]), y.reshape(-1, y.shape[-1])
