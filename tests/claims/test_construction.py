"""One test for each statement of docs/theory.md, section 9."""

import math
from dataclasses import replace
from itertools import pairwise

import pytest

from gating.models.construction import Constants
from tests.gating.models.constructed import Mixture

LARGE = Constants(norm=1e4, sharpness=45.0, knots=800, floor=1e-6)
"""Constants beside which one that is smaller makes all of the error."""


def test_9_1_random_mixtures_are_computed():
    for seed in range(10):
        mixture = Mixture(
            length=1 + seed,
            temperature=0.4 + 0.2 * seed,
            dim=3 + seed % 4,
            n_classes=3,
            n_labels=2 + seed % 3,
            seed=seed,
        )
        assert mixture.difference(n=200) < 1e-4, seed


@pytest.mark.parametrize(("name", "values"), [("norm", (100, 200, 400)), ("knots", (100, 200, 400))])
def test_9_2_the_error_falls_as_the_square_of_norm_and_knots(name, values):
    differences = [Mixture().difference(replace(LARGE, **{name: value})) for value in values]
    for sooner, later in pairwise(differences):
        assert 3.3 < sooner / later < 5, differences


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.0])
@pytest.mark.parametrize("knots", [50, 100, 200])
def test_9_2_the_part_of_the_knots_is_an_eighth_of_their_squared_steps(temperature, knots):
    steps = 4 / temperature / knots, -math.log(LARGE.floor) / knots
    bound = sum(step**2 for step in steps) / 8 * (1 + 24 / knots)
    assert Mixture(temperature=temperature).difference(replace(LARGE, knots=knots)) < bound


def test_9_2_the_error_falls_with_sharpness():
    differences = [Mixture().difference(replace(LARGE, sharpness=value)) for value in (6.0, 9.0, 12.0)]
    assert all(later < sooner / math.exp(3) * 2 for sooner, later in pairwise(differences))


@pytest.mark.parametrize("floor", [0.1, 0.03, 0.01])
def test_9_2_the_floor_costs_at_most_itself_for_each_label(floor):
    mixture = Mixture(steepness=30.0)
    mixture.table[:] = 0.0
    mixture.table[:, 0] = 1.0
    difference = mixture.difference(replace(LARGE, floor=floor))
    assert floor / 3 < difference < 3 * floor


@pytest.mark.parametrize("temperature", [0.25, 1.0])
def test_9_3_the_effective_gate_tends_to_alpha(temperature):
    farthest = []
    for constants in (Constants(norm=300, knots=100), Constants(norm=1500, knots=200), Constants()):
        found, alpha = Mixture(temperature=temperature).effective(20, constants)
        farthest.append(float((found - alpha).abs().max()))
    assert all(later < sooner / 2 for sooner, later in pairwise(farthest)), farthest
    assert farthest[-1] < 1e-3
