"""When a run saves, and the settings that say so."""

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
    *[("checkpoints", value, "an integer in 1 .. 2^20") for value in (0, 2**20 + 1)],
    ("matmul_precision", "low", "one of ('highest', 'high', 'medium', 'bfloat16')"),
]


@pytest.mark.parametrize(("name", "value", "allowed"), BAD_SETTINGS)
def test_a_setting_out_of_its_set_is_named(name, value, allowed):
    with pytest.raises(SpecError) as caught:
        TrainSettings(**{"steps": 10, name: value})
    assert caught.value.problems == [f"`{name}` must be {allowed}; got {value!r}"]


def test_every_bad_setting_is_reported_at_once():
    with pytest.raises(SpecError) as caught:
        TrainSettings(0, -1, 0.0, -1, "up", 0.0, {"name": "rmsprop"}, 0, 0, "least")
    assert len(caught.value.problems) == 10


def test_checkpoints_of_the_settings_are_those_of_the_schedule():
    assert TrainSettings(steps=2000, checkpoints=4).checkpoint_steps == square_root_schedule(2000, 4)
