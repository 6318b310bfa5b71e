"""What weights of a Transformer are written with: directions of its stream, heads, and steps of its perceptrons."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from gating.models.attention import Attention
from gating.models.blocks import Block
from gating.models.transformer import sinusoidal_positions

__all__ = [
    "Ladder",
    "Stream",
    "add_ladder",
    "add_steps",
    "ladder_of_logarithm",
    "ladder_of_odds",
    "make_stream",
    "write_head",
]

EDGE = 6
"""Knots beyond the ends of an interval, so that kinks are rounded alike everywhere inside."""


@dataclass(frozen=True)
class Stream:
    """Orthonormal directions of the stream, none of which positions or the mean of a token enter.

    Attributes:
        width: of the stream.
        scale: what layer normalisation is taken to divide by.
        places: columns, of which number t has the inner product 1 with position t and 0 with every other position.
        directions: of each name, as columns.
    """

    width: int
    scale: float
    places: Tensor
    directions: dict[str, Tensor]

    def __getitem__(self, name: str) -> Tensor:
        """Directions of a name as columns, (width, n): what a map writes along."""
        return self.directions[name]

    def read(self, name: str) -> Tensor:
        """Weights that read the coordinates along a name from a normalised token, (width, n)."""
        return self.scale * (self.places if name == "places" else self[name])


def make_stream(sizes: dict[str, int], n_positions: int, norm: float) -> Stream:
    """The narrowest stream with room for everything, and for positions and a flag in each of two heads.

    Args:
        sizes: number of directions of each name.
        n_positions: positions in use.
        norm: length of the part of every token that never changes.

    Example:
        >>> stream = make_stream({"input": 2, "label": 3}, n_positions=2, norm=100.0)
        >>> stream.width, tuple(stream["label"].shape)
        (8, (8, 3))
    """
    room = max(sum(sizes.values()) + n_positions + 1, 2 * (n_positions + 1))
    width = room + room % 2
    positions = sinusoidal_positions(n_positions, width).double()
    left, lengths, right = torch.linalg.svd(positions - positions.mean(-1, keepdim=True), full_matrices=False)
    taken = torch.cat([torch.ones_like(right[:1]), right]).T
    free = torch.linalg.qr(taken, mode="complete").Q[:, n_positions + 1 :]
    named = dict(zip(sizes, free[:, : sum(sizes.values())].split(list(sizes.values()), dim=1), strict=True))
    return Stream(width, norm / math.sqrt(width), right.T / lengths @ left.T, named)


def write_head(
    attention: Attention,
    head: int,
    scores: list[tuple[Tensor | None, Tensor | None, Tensor]],
    read: Tensor,
    write: Tensor,
) -> None:
    """Writes one head: scores are a sum of products of query and key, in nats, and the value read is what is written.

    Args:
        attention: the layer, of one replica.
        head: which.
        scores: of each term the weights of the query (width, n), or None, its bias (n,), or None, and the weights of
            the key (width, n).
        read: weights of the value, (width, n).
        write: directions that the value is written along, (width, n).
    """
    width = read.shape[0]
    size = width // attention.heads
    parameters = dict(attention.named_parameters())
    maps, first = attention.query_key_value.weight[0], head * size
    for weights, bias, keys in scores:
        part = slice(first, first + keys.shape[1])
        if weights is not None:
            maps[:, part] = math.sqrt(size) * weights
        if bias is not None:
            parameters["query_bias"][0, 0, part] = math.sqrt(size) * bias
        maps[:, width + part.start : width + part.stop] = keys
        first = part.stop
    if max(first - head * size, read.shape[1]) > size:
        raise ValueError(f"a head of {size} features has no room for {first - head * size} and {read.shape[1]}")
    start = head * size
    maps[:, 2 * width + start : 2 * width + start + read.shape[1]] = read
    attention.out.weight[0, start : start + read.shape[1]] = write.T


def _add_units(block: Block, first: int, read: Tensor, thresholds: Tensor, steepness: Tensor, write: Tensor) -> int:
    """Writes hidden units that add ``write gelu(k (z - t)) / k`` to the stream, near ``write max(z - t, 0)``.

    Args:
        block: the block, of one replica.
        first: the first free hidden unit.
        read: weights that read z, (width, J) or (width, 1).
        thresholds: t, shape (J,).
        steepness: k, shape (J,).
        write: directions times slopes, (J, width).

    Returns:
        The next free hidden unit.
    """
    units = slice(first, first + len(thresholds))
    block.up.weight[0, :, units] = read * steepness
    dict(block.named_parameters())["up.bias"][0, 0, units] = -steepness * thresholds
    block.down.weight[0, units] = write / steepness.unsqueeze(-1)
    return units.stop


class Ladder(NamedTuple):
    """A function of one number as ``base + sum_j slopes_j max(z - thresholds_j, 0)``, each kink rounded by GELU.

    With knots h apart, chords lie beside a curve by h^2 / 8 of its second derivative, and GELUs as wide as a step move
    it by h^2 / 2: in all by at most half the square of the steps of the two functions here, in nats.
    """

    thresholds: Tensor
    steepness: Tensor
    slopes: Tensor
    base: float


def add_ladder(block: Block, first: int, read: Tensor, ladder: Ladder, write: Tensor) -> int:
    """Writes a function of one coordinate, (width, 1), to one direction, (width, 1); gives the next free unit."""
    dict(block.named_parameters())["down.bias"][0, 0] += ladder.base * write[:, 0]
    steps = ladder.slopes.unsqueeze(-1) * write.T
    return _add_units(block, first, read, ladder.thresholds, ladder.steepness, steps)


def add_steps(block: Block, first: int, read: Tensor, low: float, sharpness: float, write: Tensor) -> int:
    """Writes steps of n coordinates, 0 until a third of the way from `low` to 1, then 1 from two thirds on."""
    third = (1 - low) / 3
    steepness = torch.full((len(write),), sharpness / (3 * third), dtype=torch.float64)
    for threshold, sign in ((low + third, 1.0), (low + 2 * third, -1.0)):
        first = _add_units(block, first, read, torch.full_like(steepness, threshold), steepness, sign * write / third)
    return first


def _ladder(knots: Tensor, values: Tensor) -> Ladder:
    rises = values.diff() / knots.diff()
    return Ladder(knots[:-1], 1 / knots.diff(), torch.cat([rises[:1], rises.diff()]), float(values[0]))


def ladder_of_logarithm(floor: float, knots: int) -> Ladder:
    """ln z on [floor, 1], flat below.

    Example:
        >>> len(ladder_of_logarithm(0.01, 10).slopes)
        10
    """
    beyond = -EDGE * math.log(floor) / knots
    at = torch.linspace(math.log(floor), beyond, knots + 1, dtype=torch.float64)
    return _ladder(at.exp(), at)


def ladder_of_odds(largest: float, knots: int) -> Ladder:
    """ln(1 / z - 1) where it lies between -largest and largest."""
    beyond = largest * (1 + 2 * EDGE / knots)
    at = torch.linspace(beyond, -beyond, knots + 1, dtype=torch.float64)
    return _ladder(torch.sigmoid(-at), at)
