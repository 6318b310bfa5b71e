"""Random numbers as a pure function of (seed, stream, index, counter).

SplitMix64 used as a counter-based generator: number j of row i is a hash of the pair, so any row of a training set
of 2^40 sequences is computed on its own, in any order, in any process, on any device, without stored state.

Source: G. L. Steele, D. Lea, C. H. Flood. Fast splittable pseudorandom number generators. OOPSLA 2014.
"""

import math

import torch
from torch import Tensor

__all__ = ["STREAMS", "hashes", "normals", "row_keys", "seed_keys", "uniforms"]

STREAMS = ("training", "evaluation", "order", "centres", "tasks")
"""Independent uses of one seed: training rows, evaluation rows, the order of rows in batches, class centres, tasks."""


def _signed(value: int) -> int:
    value &= (1 << 64) - 1
    return value - (1 << 64) if value >> 63 else value


_GAMMA = _signed(0x9E3779B97F4A7C15)
_M1 = _signed(0xBF58476D1CE4E5B9)
_M2 = _signed(0x94D049BB133111EB)


def _mix_(z: Tensor) -> Tensor:
    """SplitMix64 finalizer, in place; int64 arithmetic wraps modulo 2^64, shifts are made logical by masks."""
    z.bitwise_xor_((z >> 30).bitwise_and_((1 << 34) - 1)).mul_(_M1)
    z.bitwise_xor_((z >> 27).bitwise_and_((1 << 37) - 1)).mul_(_M2)
    return z.bitwise_xor_((z >> 31).bitwise_and_((1 << 33) - 1))


def seed_keys(seeds: list[int], stream: str) -> Tensor:
    """One 64-bit key for each seed, shape (len(seeds),), distinct between the uses named in ``STREAMS``.

    Example:
        >>> a, b = seed_keys([7], "training"), seed_keys([7], "evaluation")
        >>> bool(a == b)
        False
    """
    keys = torch.tensor([_signed(int(seed)) for seed in seeds], dtype=torch.int64)
    _mix_(keys.add_(_GAMMA))
    return _mix_(keys.add_(_signed((STREAMS.index(stream) + 1) * 0xD1342543DE82EF95)))


def row_keys(keys: Tensor, index: Tensor) -> Tensor:
    """Key of each row: ``keys`` of shape (R,), ``index`` of shape (R, ...) -> (R, ...)."""
    lead = keys.view(-1, *[1] * (index.dim() - 1))
    return _mix_((index.long() * _GAMMA).add_(lead))


def hashes(keys: Tensor, start: int, count: int) -> Tensor:
    """64 random bits for each counter in ``start .. start + count - 1``: shape (..., count)."""
    steps = torch.arange(start + 1, start + count + 1, dtype=torch.int64, device=keys.device).mul_(_GAMMA)
    return _mix_(keys.unsqueeze(-1) + steps)


def uniforms(keys: Tensor, start: int, count: int) -> Tensor:
    """Uniforms on [0, 1) with 53 bits, float64, shape (..., count)."""
    bits = (hashes(keys, start, count) >> 11).bitwise_and_((1 << 53) - 1)
    return bits.double().mul_(2.0**-53)


def normals(keys: Tensor, start: int, count: int, dtype: torch.dtype = torch.float32) -> Tensor:
    """Standard normals by Box-Muller, two for each counter, shape (..., count); uses ceil(count / 2) counters."""
    bits = hashes(keys, start, (count + 1) // 2)
    radius = (bits >> 32).bitwise_and_((1 << 32) - 1).add_(1).to(dtype).mul_(2.0**-32)
    radius = radius.log_().mul_(-2.0).sqrt_()
    angle = bits.bitwise_and_((1 << 32) - 1).to(dtype).mul_(2.0**-32 * 2 * math.pi)
    return torch.cat([radius * angle.cos(), radius * angle.sin()], dim=-1)[..., :count]
