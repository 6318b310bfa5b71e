"""Messages give their data back bit for bit, are near the entropy, and grow with the table."""

from typing import Any

import numpy as np
import pytest

from gating.evaluation.description_length import CODECS, decode, describe, messages, strategy_complexity


def tables() -> dict[str, Any]:
    generator = np.random.default_rng(0)
    return {
        "urns": generator.dirichlet(np.ones(8), 300),
        "signs": np.array([[0.0, -0.0], [1e-40, -3.4e38]], dtype=np.float32),
        "vector": generator.normal(size=17),
        "labels": generator.integers(0, 2, 500),
        "booleans": np.array([True, False, True]),
        "smooth": np.add.outer(np.arange(400), np.arange(3)).astype(np.float32),
        "ramp": np.arange(250),
        "one row": generator.normal(size=(1, 5)),
        "one number": np.array([0.1]),
        "text": "when from its weights,\nwhen from its context? äöü" * 20,
        "short text": "x",
    }


@pytest.mark.parametrize("name", tables())
def test_every_message_gives_its_data_back(name: str) -> None:
    data = tables()[name]
    found = list(messages(data))
    assert [(d.codec, d.delta) for d in found] == [(codec, delta) for delta in (False, True) for codec in CODECS]
    for description in found:
        back: Any = decode(description.message)
        assert description.bits == 8 * len(description.message)
        if isinstance(data, str):
            assert bytes(back).decode() == data
        else:
            expected = data.astype("<f4" if data.dtype.kind == "f" else "u1")
            assert (back.dtype, back.shape) == (expected.dtype, expected.shape)
            assert back.tobytes() == expected.tobytes()
    assert describe(data).bits == min(d.bits for d in found) <= 8 * (back.nbytes + 9)


def test_differences_help_where_rows_go_on_and_only_there() -> None:
    assert describe(tables()["smooth"]).delta
    assert describe(tables()["ramp"]).delta
    assert not describe(tables()["text"]).delta


def test_a_random_table_is_not_compressed_below_its_entropy_and_a_constant_one_nearly_vanishes() -> None:
    bits = np.random.default_rng(1).integers(0, 2**23, 4000, dtype=np.uint32) | np.uint32(0x3F800000)
    random = describe(bits.view(np.float32).reshape(500, 8)).bits  # 23 random bits, 9 known ones
    assert 23 * 4000 < random < 1.08 * 24 * 4000
    assert describe(np.full((500, 8), 1.5)).bits < 400
    coins = describe(np.random.default_rng(2).integers(0, 2, 8000)).bits
    assert 8000 < coins < 1.35 * 8000


def test_precision_of_the_caller_does_not_matter() -> None:
    table = np.random.default_rng(3).normal(size=(50, 4)).astype(np.float32)
    assert describe(table).message == describe(table.astype(np.float64)).message


def test_complexity_is_that_of_the_program_and_linear_in_the_number_of_tasks() -> None:
    urns = np.random.default_rng(4).dirichlet(np.ones(8), 1024)
    d = np.array([64, 128, 256, 512, 1024])
    program = tables()["text"]
    bits = np.array([strategy_complexity(program, [urns[:n]]) for n in d])
    per_task = np.diff(bits) / np.diff(d)
    assert (per_task > 0.8 * 32 * 8).all()
    assert (per_task <= 32 * 8).all()
    assert strategy_complexity(program) == describe(program).bits == bits[0] - describe(urns[:64]).bits


def test_bad_input_is_named() -> None:
    for bad, sentence in (
        (np.zeros((2, 2, 2)), "`data` must be text or numbers with 1 or 2 axes, not empty; got float64"),
        (np.zeros(0), "`data` must be text or numbers"),
        ("", "`data` must be text or numbers"),
        (np.array(["a"]), "`data` must be text or numbers"),
        (np.array([np.nan]), "`data` must be finite in float32"),
        (np.array([1e39]), "`data` must be finite in float32"),
        (np.array([256]), r"`data` must be integers in 0 .. 255; got values from 256 to 256"),
        (np.array([-1, 4]), "`data` must be integers in 0 .. 255"),
    ):
        with pytest.raises(ValueError, match=sentence):
            describe(bad)
    for message in (b"", b"\xff" * 9):
        with pytest.raises(ValueError, match="`message` must begin with a header that names a codec"):
            decode(message)
