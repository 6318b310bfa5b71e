"""When a run saves, and the settings that say so."""

import math
from itertools import pairwise

import pytest

from gating.training.schedule import TrainSettings, square_root_schedule
from theory.settings import SpecError


@pytest.mark.parametrize(("last", "count", "first"), [(50_000, 12, 20), (2000, 4, 20), (1000, 30, 0), (21, 9, 20)])
def test_checkpoints_are_evenly_spaced_in_the_square_root_of_the_step(last, count, first):
    """sqrt(step) is within rounding of an even grid from sqrt(first) to sqrt(last)."""
    steps = square_root_schedule(last, count, first)
    assert steps == sorted(set(steps))
    assert (steps[0], steps[-1]) == (first, last)
    assert len(steps) <= count
    if len(steps) == count:
        gap = (last**0.5 - first**0.5) / (count - 1)
        for k, step in enumerate(steps):
            assert step == pytest.approx((first**0.5 + k * gap) ** 2, abs=0.5 + 1e-9)


@pytest.mark.parametrize(("last", "count"), [(1, 5), (20, 5), (5, 1), (1000, 1)])
def test_a_short_run_or_a_single_checkpoint_is_the_last_step(last, count):
    assert square_root_schedule(last, count) == [last]


@pytest.mark.parametrize(("arguments", "name"), [((0, 1), "last"), ((5, 0), "count"), ((5, 3, -1), "first")])
def test_an_impossible_schedule_is_refused(arguments, name):
    with pytest.raises(ValueError, match=f"^`{name}` must be an integer .*; got "):
        square_root_schedule(*arguments)


BAD_SETTINGS = [
    *[(name, 0, "an integer >= 1") for name in ("steps", "batch_size", "save_every")],
    *[("checkpoints", value, "an integer in 1 .. 2^20") for value in (0, 2**20 + 1)],
    *[("steps", value, "an integer >= 1") for value in (1.5, 10.0, True, None)],
    *[("learning_rate", value, "a finite number > 0") for value in (0.0, -1e-3, float("inf"), float("nan"))],
    *[("warm_up", value, "an integer >= 0") for value in (-1, 0.5, None)],
    ("warm_up", 11, "an integer in 0 .. `steps`"),
    *[("max_grad_norm", value, "a finite number > 0, or null") for value in (0.0, -1.0, float("inf"), float("nan"))],
    ("annealing", "step", "one of ('none', 'linear', 'cosine')"),
    ("matmul_precision", "low", "one of ('highest', 'high', 'medium')"),
]


@pytest.mark.parametrize(("name", "value", "allowed"), BAD_SETTINGS)
def test_a_setting_out_of_its_set_is_named(name, value, allowed):
    with pytest.raises(SpecError) as caught:
        TrainSettings(**{"steps": 10, name: value})
    assert caught.value.problems == [f"`{name}` must be {allowed}; got {value!r}"]


def test_every_bad_setting_is_reported_at_once():
    with pytest.raises(SpecError) as caught:
        TrainSettings(0, -1, 0.0, 0, 0, warm_up=-1, annealing="up", max_grad_norm=0.0, matmul_precision="least")
    assert len(caught.value.problems) == 9


def test_checkpoints_of_the_settings_are_those_of_the_schedule():
    assert TrainSettings(steps=2000, checkpoints=4).checkpoint_steps == square_root_schedule(2000, 4)


def _rates(**settings):
    settings = TrainSettings(learning_rate=2.0, **settings)
    return [settings.rate(step) for step in range(settings.steps)]


def test_without_warm_up_or_annealing_the_step_size_is_constant():
    assert _rates(steps=7) == [2.0] * 7


def test_warm_up_grows_linearly_to_the_whole_step_size():
    assert _rates(steps=8, warm_up=5) == pytest.approx([0.4, 0.8, 1.2, 1.6, 2.0, 2.0, 2.0, 2.0])
    assert _rates(steps=4, warm_up=4) == pytest.approx([0.5, 1.0, 1.5, 2.0])


@pytest.mark.parametrize(
    ("annealing", "shape"),
    [("linear", lambda done: 1 - done), ("cosine", lambda done: math.cos(math.pi * done / 2) ** 2)],
)
@pytest.mark.parametrize("warm_up", [0, 30])
def test_annealing_starts_whole_after_the_warm_up_and_would_reach_zero_at_the_last_step(annealing, shape, warm_up):
    rates = _rates(steps=100, warm_up=warm_up, annealing=annealing)
    falling = rates[warm_up:]
    assert falling == pytest.approx([2 * shape(k / len(falling)) for k in range(len(falling))], abs=1e-12)
    assert falling[0] == 2.0
    assert all(a > b > 0 for a, b in pairwise(falling))
    assert TrainSettings(100, learning_rate=2.0, warm_up=warm_up, annealing=annealing).rate(100) == pytest.approx(0)


def test_a_run_of_warm_up_alone_has_nothing_left_to_anneal():
    assert _rates(steps=3, warm_up=3, annealing="linear") == pytest.approx([2 / 3, 4 / 3, 2.0])
