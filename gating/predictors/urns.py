"""Memorizing and generalizing predictor of draws from an urn, at every position of a sequence."""

import torch
from torch import Tensor

from gating.predictors.tables import finite_table, require_labels, row_blocks
from gating.tasks.sequences import Sequences
from theory.validation import require_integer, require_positive, require_scalar

__all__ = ["UrnGeneralizer", "UrnMemorizer"]

LEAST_TOTAL = 1e-100  # weights of urns are set anew from logarithms before their sum falls below
LEAST_MEAN = 1e-280  # a smaller product of weight and urn may have lost digits to underflow


class UrnMemorizer:
    r"""Posterior mean of D known urns, each equally likely before the first draw.

    .. math:: M(y \mid y_{<t}) = \sum_d \pi_d(t)\, u_{dy}, \qquad \pi_d(t) \propto \prod_{s<t} u_{d y_s}

    The products are kept as plain float64 weights, multiplied by one factor for each draw, and are taken anew from sums
    of logarithms when they become small; answers that underflow would touch are summed in logarithms. Relative error is
    therefore of the order of T roundings, also for urns with probabilities of 0 or 1e-300.

    Args:
        urns: colour probabilities u of each urn, shape (D, m); rows sum to 1 within 1e-6 and are normalised in float64.
        chunk: numbers held at once for a block of sequences, >= 1; changes speed and memory alone.

    Raises:
        ValueError: naming the argument, the allowed set and the value.

    Example:
        >>> y = torch.tensor([0, 0])
        >>> M = UrnMemorizer(torch.tensor([[0.75, 0.25], [0.25, 0.75]]))
        >>> M(Sequences(torch.empty(2, 0), y, y)).exp().tolist()
        [[0.5, 0.5], [0.625, 0.375]]

    Source: Wurgaft et al. (2025), balls and urns, memorizing predictor.
    """

    def __init__(self, urns: Tensor, *, chunk: int = 2**18):
        urns = finite_table("urns", urns)
        total = urns.sum(-1, keepdim=True)
        if bool((urns < 0).any()) or bool(((total - 1).abs() > 1e-6).any()):
            low, high = total.min().item(), total.max().item()
            got = f"a least value of {urns.min().item():g} and sums from {low:g} to {high:g}"
            raise ValueError(f"`urns` must be probabilities >= 0 that sum to 1 in each row; got {got}")
        self.urns = urns / total
        self.chunk = require_integer("chunk", chunk, least=1)

    @torch.no_grad()
    def __call__(self, sequences: Sequences) -> Tensor:
        """Log-probabilities of every draw given those before it, float64, (..., T) -> (..., T, m).

        Raises:
            ValueError: a draw is no colour, or a sequence is impossible under every urn.
        """
        y, (n_urns, n_colours) = _draws(sequences, self.urns.shape[1]), self.urns.shape
        rows = y.reshape(-1, y.shape[-1])
        answers = torch.empty(*rows.shape, n_colours, dtype=torch.float64, device=y.device)
        for block in row_blocks(len(rows), max(n_urns, rows.shape[1] * n_colours), self.chunk):
            self._answer(rows[block], answers[block])
        return answers.reshape(*y.shape, n_colours)

    def _answer(self, y: Tensor, answers: Tensor) -> None:
        """Writes the answers (rows, T, m) to the draws (rows, T), position after position."""
        by_colour = self.urns.T.contiguous().to(y.device)
        weights = torch.ones(len(y), by_colour.shape[1], dtype=torch.float64, device=y.device)
        factors = torch.empty_like(weights)
        for t in range(y.shape[1]):
            if t:
                weights.mul_(torch.index_select(by_colour, 0, y[:, t - 1], out=factors))
            mean = (by_colour @ weights.T).T
            if bool((mean.sum(-1) < LEAST_TOTAL).any()):
                weights = _log_weights(by_colour, y[:, :t]).exp()
                mean = (by_colour @ weights.T).T
            answers[:, t] = (mean / mean.sum(-1, keepdim=True)).log()
            small = mean < LEAST_MEAN
            if bool(small.any()):
                _refine(answers[:, t], small, by_colour, y[:, :t])


class UrnGeneralizer:
    r"""Posterior mean under a symmetric Dirichlet prior on the urn.

    .. math:: G(y \mid y_{<t}) = \frac{n_y(t) + c}{t + c\,m}, \qquad n_y(t) = \#\{s < t : y_s = y\}

    Args:
        n_colours: number of colours m >= 1.
        concentration: parameter c > 0 of the prior Dirichlet(c, ..., c).

    Raises:
        ValueError: naming the argument, the allowed set and the value.

    Example:
        >>> y = torch.tensor([0, 0])
        >>> G = UrnGeneralizer(2)
        >>> G(Sequences(torch.empty(2, 0), y, y)).exp()[:, 0].tolist()
        [0.5, 0.6666666666666666]

    Source: Wurgaft et al. (2025), balls and urns, generalizing predictor (Laplace's rule of succession).
    """

    def __init__(self, n_colours: int, *, concentration: float = 1.0):
        self.n_colours = require_integer("n_colours", n_colours, least=1)
        self.concentration = require_scalar("concentration", require_positive("concentration", concentration))

    @torch.no_grad()
    def __call__(self, sequences: Sequences) -> Tensor:
        """Log-probabilities of every draw given those before it, float64, (..., T) -> (..., T, m).

        Raises:
            ValueError: a draw is no colour.
        """
        y = _draws(sequences, self.n_colours)
        drawn = torch.zeros(*y.shape, self.n_colours, dtype=torch.float64, device=y.device)
        drawn[..., 1:, :].scatter_(-1, y[..., :-1, None], 1.0)
        c = self.concentration
        before = torch.arange(y.shape[-1], dtype=torch.float64, device=y.device).unsqueeze(-1)
        return drawn.cumsum(-2).add_(c).log_().sub_((before + c * self.n_colours).log_())


def _draws(sequences: Sequences, n_colours: int) -> Tensor:
    y = require_labels("sequences.y", sequences.y, n_colours)
    if not y.dim() or not y.shape[-1]:
        raise ValueError(f"`sequences.y` must have shape (..., T), T >= 1; got {tuple(y.shape)}")
    return y


def _log_weights(by_colour: Tensor, y: Tensor) -> Tensor:
    """Logarithm of each urn's weight after the draws y (rows, t), 0 for the best urn, shape (rows, D)."""
    counts = torch.zeros(len(y), len(by_colour), dtype=torch.float64, device=y.device)
    counts.scatter_add_(1, y, torch.ones((), dtype=torch.float64, device=y.device).expand(y.shape))
    score = torch.zeros(len(y), by_colour.shape[1], dtype=torch.float64, device=y.device)
    for n, urn in zip(counts.T, by_colour, strict=True):
        score += torch.xlogy(n[:, None], urn)  # 0 ln 0 = 0: a colour not drawn excludes no urn
    best = score.amax(-1, keepdim=True)
    if bool(best.isneginf().any()):
        impossible = int(best.isneginf().sum())
        raise ValueError(f"`sequences` must be possible under some urn; got {impossible} that none of them can give")
    return score - best


def _refine(answers: Tensor, small: Tensor, by_colour: Tensor, y: Tensor) -> None:
    """Replaces the small answers (rows, m) by sums in logarithms; -inf stays where the true value is 0."""
    for colour in (small.any(0) & (by_colour > 0).any(-1)).nonzero().flatten().tolist():
        rows = small[:, colour].nonzero().flatten()
        log_weights = _log_weights(by_colour, y[rows])
        drawn = (log_weights + by_colour[colour].log()).logsumexp(-1)
        answers[rows, colour] = drawn - log_weights.logsumexp(-1)
