"""A Transformer whose weights are written down, against the mixture that it should compute."""

import math
from itertools import pairwise

import pytest
import torch

from gating.models.construction import Constants, ConstructedTransformer
from gating.models.layers import generators
from gating.models.transformer import Transformer
from gating.tasks.sequences import Sequences
from tests.gating.models.constructed import Mixture, unit

SIZES = [Constants(100, 12, 50, 1e-2), Constants(400, 20, 100, 1e-3), Constants(2000, 30, 200, 1e-4), Constants()]


@pytest.mark.parametrize(("temperature", "length"), [(0.25, 5), (1.0, 5), (0.5, 1), (0.5, 16)])
def test_the_largest_difference_from_the_formula_falls_as_the_constants_grow(temperature, length):
    differences = [Mixture(length, temperature).difference(constants) for constants in SIZES]
    assert all(later < 0.5 * sooner for sooner, later in pairwise(differences)), differences
    assert differences[0] < 0.2
    assert differences[-1] < 2e-4


def test_the_effective_gate_is_alpha():
    found, alpha = Mixture(steepness=4.0, seed=3).effective(20)
    assert alpha.max() - alpha.min() > 0.5
    assert (found - alpha).abs().max() < 1e-3


def test_a_steep_logistic_gate_is_a_threshold():
    mixture = Mixture(steepness=200.0)
    found, alpha = mixture.effective(20)
    assert set(alpha.round(decimals=3).tolist()) == {0.0, 1.0}
    assert (found - alpha).abs().max() < 1e-3


def test_the_weights_are_those_of_a_plain_transformer_of_two_blocks():
    mixture = Mixture()
    model, sequences = mixture.model(), mixture.sequences(10)
    width = len(model.input_shift)
    hidden = model.transformer.blocks[0].up.weight.shape[-1]
    plain = Transformer(
        width, 3, 5, depth=2, heads=2, width=width, mlp_factor=hidden / width, rngs=generators([1])
    ).double()
    plain.load_state_dict(model.transformer.state_dict())
    shown = sequences._replace(x=sequences.x @ model.input_map + model.input_shift)
    assert torch.equal(plain(shown), model(sequences))


def test_an_answer_that_no_predictor_gives_has_at_most_the_floor():
    """Both g and h give label 2 nothing: its logarithm is cut."""
    table = torch.tensor([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
    model = ConstructedTransformer(torch.eye(2), table, torch.zeros(2), 0.0, 1.0, 1, constants=Constants(floor=1e-3))
    x, y = torch.eye(2)[torch.tensor([[[0, 1], [1, 0]]])], torch.tensor([[[0, 0], [0, 0]]])
    out = model(Sequences(x, y, y)).exp()[0]
    assert out[:, 2].max() < 2e-3
    torch.testing.assert_close(out[:, :2], torch.tensor([[0.5, 0.5], [1.0, 0.0]]).double(), atol=2e-3, rtol=0)


@pytest.mark.parametrize("length", [1, 16])
def test_it_has_room_for_the_smallest_inputs(length):
    mixture = Mixture(length=length, dim=1, n_classes=1, n_labels=2)
    assert mixture.difference() < 2e-4


def test_a_query_need_not_be_a_centre():
    """At the edge of what is near, in a direction that no other centre has."""
    mixture = Mixture(n_classes=3)
    free = torch.linalg.qr(mixture.centres.T, mode="complete").Q[:, 3]
    queries = unit(5 * mixture.centres + 11**0.5 * free)
    torch.testing.assert_close(queries @ mixture.centres.T, 5 / 6 * torch.eye(3, dtype=torch.float64))
    sequences = mixture.sequences(300, queries.repeat(100, 1))
    alpha, g, h = mixture.formula(sequences)
    assert (mixture.model()(sequences).exp() - (h + alpha.unsqueeze(-1) * (g - h))).abs().max() < 2e-4


def test_centres_may_lie_opposite_each_other():
    mixture = Mixture(dim=2, n_classes=2)
    mixture.centres[1] = -mixture.centres[0]
    assert mixture.difference() < 2e-4


TABLE = torch.full((2, 3), 1 / 3)
GOOD = {
    "centres": torch.eye(2),
    "table": TABLE,
    "gate_weight": torch.zeros(2),
    "gate_offset": 0.0,
    "temperature": 1.0,
    "context_length": 2,
}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("centres", 2 * torch.eye(2)),
        ("centres", torch.ones(2)),
        ("centres", torch.tensor([[1.0, 0.0], [1.0, 0.0]])),
        ("table", 2 * TABLE),
        ("table", TABLE / 2),
        ("table", TABLE[:1]),
        ("gate_weight", torch.zeros(3)),
        ("gate_weight", torch.tensor([0.0, math.nan])),
        ("gate_offset", math.inf),
        ("temperature", 0.0),
        ("temperature", 0.1),
        ("context_length", 0),
        ("context_length", 17),
        ("constants", 3),
    ],
)
def test_bad_arguments_are_refused_by_name(name, value):
    with pytest.raises((TypeError, ValueError), match=f"`{name}` must"):
        ConstructedTransformer(**GOOD | {name: value})


@pytest.mark.parametrize(("name", "value"), [("norm", 0.0), ("sharpness", -1.0), ("knots", 1), ("floor", 1.0)])
def test_bad_constants_are_refused_by_name(name, value):
    with pytest.raises(ValueError, match=f"`{name}` must"):
        Constants(**{name: value})


def test_inputs_that_are_no_unit_vectors_are_refused():
    y = torch.zeros(1, 4, 3, dtype=torch.int64)
    with pytest.raises(ValueError, match=r"`sequences\.x` must be unit vectors"):
        ConstructedTransformer(**GOOD)(Sequences(torch.ones(1, 4, 3, 2), y, y))
