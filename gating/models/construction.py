r"""Weights of a two-block `Transformer` that compute the mixture of an in-weight and an in-context predictor."""

import math
from dataclasses import dataclass

import torch
from numpy.typing import ArrayLike
from torch import Tensor, nn

from gating.models.blocks import Block
from gating.models.construction_parts import (
    Stream,
    add_ladder,
    add_steps,
    ladder_of_logarithm,
    ladder_of_odds,
    make_stream,
    write_head,
)
from gating.models.layers import generators
from gating.models.transformer import Transformer
from gating.tasks.sequences import Sequences
from theory.validation import (
    require_instances,
    require_integer,
    require_positive,
    require_probability,
    require_reals,
    require_scalar,
    require_within,
)

__all__ = ["Constants", "ConstructedTransformer"]

LONGEST_CONTEXT = 16
"""Pairs whose sinusoidal positions are still told apart in double precision."""

LEAST_TEMPERATURE = 0.25
"""Below it attention would have to keep less for the query than rounding leaves visible."""

LEAST_RANGE = 0.01
"""Nats that knots are spread over either way when scores hardly differ."""

LARGEST_LIKENESS = 0.999
"""Inner product of two centres up to which their steps are told apart."""

HEADS = 2


@dataclass(frozen=True)
class Constants:
    """Sizes of the constructed weights: the error falls as `norm`, `sharpness` and `knots` grow and `floor` falls.

    Args:
        norm: length M in (0, 1e8] of a constant part of every token, beside which layer normalisation sees nothing
            else change.
        sharpness: S in (0, 1e8], by how many nats attention prefers the token it should see to any other; also the
            steepness of the steps that recognise a class.
        knots: hidden units, at least 2, that interpolate one logarithm.
        floor: probability in (0, 1) below which the logarithm of a mixture is flat.

    Raises:
        ValueError: naming the argument, the allowed set and the value.

    Example:
        >>> Constants(knots=50).floor
        1e-06
    """

    norm: float = 1e4
    sharpness: float = 40.0
    knots: int = 400
    floor: float = 1e-6

    def __post_init__(self) -> None:
        for name in ("norm", "sharpness"):
            within = require_within(name, getattr(self, name), "in (0, 1e8]", lambda x: (x > 0) & (x <= 1e8))
            require_scalar(name, within)
        require_scalar("floor", require_probability("floor", self.floor, above_zero=True, below_one=True))
        require_integer("knots", self.knots, least=2, most=2**14)


class ConstructedTransformer(nn.Module):
    r"""A `Transformer` with weights written down, not trained: it answers with :math:`\alpha g + (1-\alpha) h`.

    :math:`g(x)` is the row of `table` of the centre that x is near, :math:`h` the softmax of
    :math:`-\|x - x_l\|^2/\tau` over the labels of the context, and :math:`\alpha(x) = \sigma(a \cdot x + b)`,
    which tends to a threshold at :math:`a \cdot x + b = 0` as a and b grow together. Inputs are unit vectors. A query
    is near a centre when, on the way from the largest inner product of two centres (0 if that is less) to 1, its
    product with this centre lies in the last sixth and with any other centre at most in the first.

    How: block 1 copies each input to its label's token, finds the gate's rival
    :math:`\ln \sum_l e^{-\|x - x_l\|^2/\tau}` from the attention that the query keeps for itself among the inputs, and
    looks up g. In block 2 the query attends to itself with the score that gives it the weight alpha, and to the labels
    with the scores of h; the perceptron takes logarithms. Double precision; one replica.

    Args:
        centres: unit vectors, shape (K, p); inner products of two are at most 0.999.
        table: probabilities g of each centre's labels, shape (K, C).
        gate_weight: a, shape (p,).
        gate_offset: b.
        temperature: tau >= 0.25.
        context_length: number of pairs L, 1 to 16.
        constants: sizes of the weights.

    Raises:
        ValueError: naming the argument, the allowed set and the value.

    Attributes:
        transformer: the `Transformer`, whose inputs are ``x @ input_map + input_shift``.
        input_map: orthonormal rows that lead the inputs past the positions, shape (p, width).
        input_shift: the constant part of inputs, shape (width,).

    Example:
        >>> table = torch.tensor([[0.9, 0.1], [0.2, 0.8]])
        >>> model = ConstructedTransformer(torch.eye(2), table, torch.zeros(2), 0.0, 1.0, 1)
        >>> x, y = torch.eye(2)[torch.tensor([[[0, 0]]])], torch.tensor([[[1, 0]]])
        >>> [round(p, 3) for p in model(Sequences(x, y, y)).exp().flatten().tolist()]
        [0.45, 0.55]

    Source: Chan et al. (2025), section 2, for the mixture; own construction (statements 9.1 to 9.3).
    """

    input_map: Tensor
    input_shift: Tensor

    def __init__(
        self,
        centres: ArrayLike,
        table: ArrayLike,
        gate_weight: ArrayLike,
        gate_offset: float,
        temperature: float,
        context_length: int,
        *,
        constants: Constants | None = None,
    ):
        super().__init__()
        require_instances(constants=(constants, Constants | None))
        constants = constants or Constants()
        length = require_integer("context_length", context_length, least=1, most=LONGEST_CONTEXT)
        tau = require_scalar("temperature", require_positive("temperature", temperature))
        if tau < LEAST_TEMPERATURE:
            raise ValueError(f"`temperature` must be at least {LEAST_TEMPERATURE}; got {tau!r}")
        means = _unit_rows(centres)
        laws = _distributions(table, len(means))
        a = torch.from_numpy(require_reals("gate_weight", gate_weight))
        if a.shape != means[0].shape:
            raise ValueError(f"`gate_weight` must have shape {tuple(means[0].shape)}; got {tuple(a.shape)}")
        b = require_scalar("gate_offset", require_reals("gate_offset", gate_offset))
        stream = _stream(len(means[0]), laws.shape[1], length, constants.norm)
        hidden = max(constants.knots + 2 * len(means) + 2, constants.knots * laws.shape[1])
        self.transformer = Transformer(
            stream.width,
            laws.shape[1],
            length,
            heads=HEADS,
            width=stream.width,
            mlp_factor=hidden / stream.width,
            rngs=generators([0]),
        ).double()
        with torch.no_grad():
            for name, parameter in self.transformer.named_parameters():
                if not name.endswith("scale"):
                    parameter.zero_()
            _Writing(self.transformer, stream, constants, length, tau).write(means, laws, a, b)
        self.register_buffer("input_map", stream["input"].T.clone())
        self.register_buffer("input_shift", constants.norm * stream["is_input"][:, 0])

    def forward(self, sequences: Sequences) -> Tensor:
        """Log-probabilities of the labels, (1, B, ...) -> (1, B, C), double precision.

        Raises:
            ValueError: inputs are no unit vectors.
        """
        _require_unit("sequences.x", sequences.x)
        x = sequences.x.to(self.input_map) @ self.input_map + self.input_shift
        log_probabilities: Tensor = self.transformer(sequences._replace(x=x))
        return log_probabilities


def _stream(dim: int, n_labels: int, length: int, norm: float) -> Stream:
    flags = dict.fromkeys(["is_input", "is_label", "is_query", "kept", "rival"], 1)
    return make_stream(
        {"input": dim, "copy": dim, "label": n_labels, "mixture": n_labels, "logit": n_labels, **flags},
        length + 1,
        norm,
    )


@dataclass(frozen=True)
class _Writing:
    """Writes the weights, all of which are 0 but the scales of layer normalisation."""

    transformer: Transformer
    stream: Stream
    constants: Constants
    length: int
    tau: float

    def write(self, centres: Tensor, table: Tensor, a: Tensor, b: float) -> None:
        """From centres (K, p), g (K, C) and the logit ``a x + b`` of alpha."""
        stream, norm = self.stream, self.constants.norm
        self.transformer.embed_label.weight[0] = stream["label"].T + norm * stream["is_label"].T
        self.transformer.read_out.weight[0] = stream.read("logit")
        first, second = (block for block in self.transformer.blocks if isinstance(block, Block))
        self._copy(first)
        self._weigh_rivals(first)
        self._look_up(first, centres, table)
        self._mix(second, a, b)
        self._take_logarithms(second)

    @property
    def _is_query(self) -> Tensor:
        return self.stream.read("places")[:, -1:]

    def _flag(self, name: str) -> Tensor:
        return self.stream.read(name) / self.constants.norm

    @property
    def _hidden_by(self) -> float:
        """How far below 0 a score puts a token that is not to be seen: S below scores in -2 / tau .. 2 / tau."""
        return self.constants.sharpness + 4 / self.tau

    def _copy(self, block: Block) -> None:
        """Head 0 of block 1: each label's token reads the input of its pair."""
        stream, sharp = self.stream, self.constants.sharpness
        places = stream.read("places")
        scores = [
            (sharp * places, None, places),
            (None, torch.tensor([sharp]), self._flag("is_input")),
        ]
        write_head(block.attention, 0, scores, stream.read("input"), stream["copy"])

    def _weigh_rivals(self, block: Block) -> None:
        """Head 1 of block 1: the query keeps 1 / (1 + sum_l exp(2 x x_l / tau) / L) of its attention for itself."""
        stream = self.stream
        inputs = stream.read("input")
        scores = [
            (2 / self.tau * inputs, None, inputs),
            (None, torch.tensor([-self._hidden_by]), self._flag("is_label")),
            (None, torch.tensor([math.log(self.length) - 2 / self.tau]), self._is_query),
        ]
        write_head(block.attention, 1, scores, self._is_query, stream["kept"])

    def _look_up(self, block: Block, centres: Tensor, table: Tensor) -> None:
        """Perceptron of block 1: ln(sum_l exp(2 x x_l / tau) / L) from what was kept, and g from steps."""
        stream = self.stream
        rivals = ladder_of_odds(max(2 / self.tau, LEAST_RANGE), self.constants.knots)
        after = add_ladder(block, 0, stream.read("kept"), rivals, stream["rival"])
        after = add_steps(block, after, self._is_query, 0.0, self.constants.sharpness, stream["is_query"].T)
        nearest = (centres @ centres.T).fill_diagonal_(0.0).max().item()  # 0 is what labels' tokens show
        likeness = stream.read("input") @ centres.T
        add_steps(block, after, likeness, nearest, self.constants.sharpness, table @ stream["label"].T)

    def _mix(self, block: Block, a: Tensor, b: float) -> None:
        """Head 0 of block 2: labels with their scores, the query itself with the score that gives it alpha."""
        stream = self.stream
        own = stream.read("input") @ a.unsqueeze(-1) + stream.read("rival")
        offset = b + math.log(self.length) - 2 / self.tau + self._hidden_by
        scores = [
            (2 / self.tau * stream.read("input"), None, stream.read("copy")),
            (None, torch.tensor([-self._hidden_by]), self._flag("is_input")),
            (own, torch.tensor([offset]), stream.read("is_query")),
        ]
        write_head(block.attention, 0, scores, stream.read("label"), stream["mixture"])

    def _take_logarithms(self, block: Block) -> None:
        """Perceptron of block 2: the logarithm of each label's mixture."""
        logarithm = ladder_of_logarithm(self.constants.floor, self.constants.knots)
        after = 0
        for label in range(self.stream["logit"].shape[1]):
            read, write = self.stream.read("mixture")[:, [label]], self.stream["logit"][:, [label]]
            after = add_ladder(block, after, read, logarithm, write)


def _require_unit(name: str, vectors: Tensor) -> None:
    lengths = vectors.norm(dim=-1)
    if not bool(((lengths - 1).abs() <= 1e-5).all()):
        raise ValueError(f"`{name}` must be unit vectors; got lengths {lengths.min().item()} to {lengths.max().item()}")


def _unit_rows(centres: ArrayLike) -> Tensor:
    rows = torch.from_numpy(require_reals("centres", centres))
    if rows.dim() != 2 or not rows.numel():
        raise ValueError(f"`centres` must be a table of unit vectors, at least one; got shape {tuple(rows.shape)}")
    _require_unit("centres", rows)
    rows = rows / rows.norm(dim=-1, keepdim=True)
    nearest = (rows @ rows.T).fill_diagonal_(-1.0).max().item()
    if nearest > LARGEST_LIKENESS:
        raise ValueError(f"`centres` must have inner products of at most {LARGEST_LIKENESS}; got {nearest!r}")
    return rows


def _distributions(table: ArrayLike, n_classes: int) -> Tensor:
    rows = torch.from_numpy(require_probability("table", table))
    if rows.dim() != 2 or len(rows) != n_classes:
        raise ValueError(f"`table` must have one row per centre, {n_classes}; got shape {tuple(rows.shape)}")
    if bool(((rows.sum(-1) - 1).abs() > 1e-6).any()):
        raise ValueError(f"`table` must have rows that sum to 1; got sums {rows.sum(-1).tolist()}")
    return rows
