"""Description length of a strategy: the shortest of several lossless messages that hold its tables and its code.

The length is that of a message which :func:`decode` turns back into the data, bit for bit, so nothing is left out of
the count: a header of 9 bytes names compressor, differences, type and shape.
"""

import bz2
import lzma
import struct
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import brotli
import numpy as np
import zstandard
from numpy.typing import NDArray

__all__ = ["CODECS", "Description", "decode", "describe", "messages", "strategy_complexity"]

# One type for all real tables, whatever the predictor computes in: little-endian single precision. Labels and
# characters are bytes. Differences are taken of integers of that size, modulo their range, to be undone exactly.
TYPES = (np.dtype("<f4"), np.dtype("u1"))
BITS = (np.dtype("<u4"), np.dtype("u1"))

# Codec, differences and type in one byte; then rows and columns, 0 columns for a vector.
HEADER = struct.Struct("<BII")

# A raw stream: what a container adds (magic numbers, checksums) says nothing of the data.
LZMA_FILTERS = [{"id": lzma.FILTER_LZMA2, "preset": 9 | lzma.PRESET_EXTREME, "dict_size": 1 << 20}]


class Codec(NamedTuple):
    """A lossless compressor at its highest level."""

    compress: Callable[[bytes], bytes]
    decompress: Callable[[bytes], bytes]


CODECS: dict[str, Codec] = {
    "none": Codec(bytes, bytes),
    "lzma": Codec(
        lambda data: lzma.compress(data, lzma.FORMAT_RAW, filters=LZMA_FILTERS),
        lambda data: lzma.decompress(data, lzma.FORMAT_RAW, filters=LZMA_FILTERS),
    ),
    "bz2": Codec(lambda data: bz2.compress(data, 9), bz2.decompress),
    "brotli": Codec(lambda data: brotli.compress(data, quality=11, lgwin=24), brotli.decompress),
    "zstandard": Codec(
        lambda data: zstandard.ZstdCompressor(level=22).compress(data),
        lambda data: zstandard.ZstdDecompressor().decompress(data),
    ),
}
"""Compressors that are tried, ``none`` among them; the message names its own by the place in this table."""


class Description(NamedTuple):
    """A message that holds some data.

    Attributes:
        bits: its length.
        codec: compressor, a key of :data:`CODECS`.
        delta: whether it holds differences of neighbouring rows (of a text: characters).
        message: what :func:`decode` reads.
    """

    bits: int
    codec: str
    delta: bool
    message: bytes


def describe(data: NDArray[np.generic] | str) -> Description:
    """The shortest of all :func:`messages` that hold a table or a text.

    Args:
        data: text, or an array with 1 or 2 axes (tasks first); not empty.

    Returns:
        `Description`; never more than 72 bits longer than the table in float32 or in bytes.

    Raises:
        ValueError: an array of another kind or shape, with numbers that are not finite in float32, or integers
            outside 0 .. 255.

    Example:
        >>> table = np.zeros((512, 8))
        >>> describe(table).bits < 400, decode(describe(table).message).shape
        (True, (512, 8))

    Source: Grünwald (2007), chapter 3, on two-part codes; Wurgaft et al. (2025) for the compressors.
    """
    return min(messages(data), key=lambda description: description.bits)


def messages(data: NDArray[np.generic] | str) -> Iterator[Description]:
    """Message of every codec, without and with differences.

    Real numbers are rounded to float32 (little-endian) first, and differences are taken of their bit patterns from
    row to row, modulo 2^32. Integers 0 .. 255, truth values and the UTF-8 characters of a text are one byte each, with
    differences modulo 256. Arguments and errors are those of :func:`describe`.

    Example:
        >>> len(list(messages("in weights or in context"))) == 2 * len(CODECS)
        True
    """
    table = _table(data)
    kind, shape = TYPES.index(table.dtype), (len(table), table.shape[1] if table.ndim == 2 else 0)
    bits = table.view(BITS[kind])
    forms = (bits, np.diff(bits, axis=0, prepend=np.zeros_like(bits[:1])))
    for delta, form in enumerate(forms):
        for number, (name, codec) in enumerate(CODECS.items()):
            message = HEADER.pack(4 * number + 2 * delta + kind, *shape) + codec.compress(form.tobytes())
            yield Description(8 * len(message), name, bool(delta), message)


def decode(message: bytes) -> NDArray[np.generic]:
    """The data of a message: a float32 or uint8 array; a text comes back as its UTF-8 bytes.

    Raises:
        ValueError: when the message is shorter than its header or names no codec.

    Example:
        >>> decode(describe(np.array([3, 1, 2])).message).tolist()
        [3, 1, 2]
    """
    if len(message) < HEADER.size or message[0] >= 4 * len(CODECS):
        raise ValueError(f"`message` must begin with a header that names a codec; got {message[: HEADER.size]!r}")
    first, rows, columns = HEADER.unpack(message[: HEADER.size])
    number, delta, kind = first // 4, first // 2 % 2, first % 2
    plain = list(CODECS.values())[number].decompress(message[HEADER.size :])
    bits = np.frombuffer(plain, BITS[kind]).reshape((rows, columns) if columns else rows)
    return (np.cumsum(bits, axis=0, dtype=bits.dtype) if delta else bits).view(TYPES[kind])


def strategy_complexity(reference: str, tables: Sequence[NDArray[np.generic]] = ()) -> int:
    """Description length K of a strategy in bits: that of its program, and of each of its tables, one by one.

    Args:
        reference: text of a program that predicts what the strategy does: for M and G of a task family, its
            :func:`~gating.predictors.references.reference_text`. Every character counts.
        tables: what it has stored of the training tasks; none for a strategy that stores nothing.

    Raises:
        ValueError: as :func:`describe`.

    Example:
        >>> program, table = "def predict(): return 1", np.zeros((4, 2))
        >>> strategy_complexity(program, [table]) == describe(program).bits + describe(table).bits
        True
    """
    return describe(reference).bits + sum(describe(table).bits for table in tables)


def _table(data: NDArray[np.generic] | str) -> NDArray[np.generic]:
    """The data in one of the two types."""
    array: NDArray[Any] = np.frombuffer(data.encode(), "u1") if isinstance(data, str) else np.asarray(data)
    if array.ndim not in (1, 2) or array.size == 0 or array.dtype.kind not in "biuf":
        wanted = "text or numbers with 1 or 2 axes, not empty"
        raise ValueError(f"`data` must be {wanted}; got {array.dtype} of shape {array.shape}")
    if array.dtype.kind == "f":
        with np.errstate(over="ignore"):
            table, allowed = array.astype(TYPES[0], order="C"), "finite in float32"
        fits = bool(np.isfinite(table).all())
    else:
        table, allowed = array.astype(TYPES[1], order="C"), "integers in 0 .. 255"
        fits = bool((table == array).all())
    if not fits:
        raise ValueError(f"`data` must be {allowed}; got values from {array.min()} to {array.max()}")
    return table
