"""What every trainer is told: what is refused, and the one formula of the step size."""

import math
from itertools import pairwise

import pytest

from gating.training.descent import DescentSettings, OptimizerSettings
from gating.training.schedule import TrainSettings
from llm_finetune.settings import FinetuneSettings
from theory.settings import SpecError

BAD_SETTINGS = [
    *[(name, 0, "an integer >= 1") for name in ("steps", "batch_size", "save_every")],
    *[("steps", value, "an integer >= 1") for value in (1.5, 10.0, True, None)],
    *[("learning_rate", value, "a finite number > 0") for value in (0.0, -1e-3, float("inf"), float("nan"))],
    *[("warm_up", value, "an integer >= 0") for value in (-1, 0.5, None)],
    ("warm_up", 11, "an integer in 0 .. `steps`"),
    *[("max_grad_norm", value, "a finite number > 0, or null") for value in (0.0, -1.0, float("inf"), float("nan"))],
    ("annealing", "step", "one of ('none', 'linear', 'cosine', 'inverse_root')"),
]


@pytest.mark.parametrize(("name", "value", "allowed"), BAD_SETTINGS)
def test_a_setting_out_of_its_set_is_named(name, value, allowed):
    with pytest.raises(SpecError) as caught:
        DescentSettings(**{"steps": 10, name: value})
    assert caught.value.problems == [f"`{name}` must be {allowed}; got {value!r}"]


BAD_OPTIMIZERS = [
    *[({"name": value}, "`name` must be one of ('adam', 'adamw', 'sgd')", value) for value in ("rmsprop", 1, None)],
    *[({"betas": v}, "`betas` must be 2 numbers in [0, 1)", list(v)) for v in ((0.9,), (0.9, 1.0), (-0.1, 0.9))],
    *[({"eps": value}, "`eps` must be a finite number > 0", value) for value in (0, -1e-8, None)],
    *[({"name": "sgd", "momentum": value}, "`momentum` must be in [0, 1)", value) for value in (-0.1, 1.0)],
    ({"nesterov": 1}, "`nesterov` must be true or false", 1),
    ({"weight_decay": -0.1}, "`weight_decay` must be a finite number >= 0", -0.1),
    ({"decays": "biases"}, "`decays` must be one of ('all', 'matrices')", "biases"),
    *[({"no_decay": v}, "`no_decay` must be a list of texts that are not empty", list(v)) for v in (("",), (1,))],
    ({"name": "sgd", "nesterov": True}, "`momentum` must be > 0 where `nesterov` is true", 0),
    *[
        ({"name": name, field: value},
         f"`{field}` must be left at its default, {default}, where `name` is '{name}', which has none", value)
        for name, field, default, value in (
            ("adam", "momentum", 0.0, 0.9), ("adamw", "momentum", 0.0, 0.9), ("adam", "nesterov", False, True),
            ("sgd", "betas", [0.9, 0.999], [0.9, 0.95]), ("sgd", "eps", 1e-8, 1e-6),
        )
    ],
]  # fmt: skip


@pytest.mark.parametrize(("given", "sentence", "got"), BAD_OPTIMIZERS)
def test_an_optimizer_takes_what_it_has(given, sentence, got):
    with pytest.raises(SpecError) as caught:
        OptimizerSettings(**given)
    assert caught.value.problems == [f"{sentence}; got {got!r}"]


@pytest.mark.parametrize("cls", [TrainSettings, FinetuneSettings])
def test_everything_wrong_with_step_sizes_and_optimizer_is_named_at_once(cls):
    wrong = {"name": "sgd", "betas": [0.9, 0.95], "eps": 1e-3, "nesterov": True, "weight_decay": -1}
    with pytest.raises(SpecError) as caught:
        cls(steps=10, learning_rate=0, warm_up=11, optimizer=wrong)
    problems = caught.value.problems
    assert [problem.partition(" must be ")[0] for problem in problems] == [
        "`learning_rate`", "`optimizer.weight_decay`", "`optimizer.betas`", "`optimizer.eps`", "`optimizer.momentum`",
        "`warm_up`",
    ]  # fmt: skip
    assert problems[2].endswith("where `optimizer.name` is 'sgd', which has none; got [0.9, 0.95]")


def test_fine_tuning_is_by_adamw_and_replicas_are_trained_by_adam():
    assert TrainSettings(10).optimizer == OptimizerSettings("adam")
    assert FinetuneSettings(10).optimizer == OptimizerSettings("adamw")
    assert FinetuneSettings(10, optimizer={"weight_decay": 0.1}).optimizer.name == "adamw"


@pytest.mark.parametrize("cls", [TrainSettings, FinetuneSettings])
@pytest.mark.parametrize("annealing", ["none", "linear", "cosine"])
def test_every_trainer_has_the_same_step_sizes(cls, annealing):
    """eta (s + 1) / w in the warm-up; then eta f((s - w) / (S - w))."""
    shape = {"none": lambda u: 1.0, "linear": lambda u: 1 - u, "cosine": lambda u: math.cos(math.pi * u / 2) ** 2}
    told = cls(steps=20, learning_rate=0.3, warm_up=5, annealing=annealing)
    wanted = [0.3 * (s + 1) / 5 if s < 5 else 0.3 * shape[annealing]((s - 5) / 15) for s in range(20)]
    assert [told.rate(step) for step in range(20)] == pytest.approx(wanted, rel=1e-12)


def _rates(**settings):
    settings = DescentSettings(learning_rate=2.0, **settings)
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
    assert DescentSettings(100, learning_rate=2.0, warm_up=warm_up, annealing=annealing).rate(100) == pytest.approx(0)


@pytest.mark.parametrize("steps", [50, 400])
def test_the_inverse_root_is_whole_after_the_warm_up_and_knows_no_last_step(steps):
    rates = _rates(steps=steps, warm_up=16, annealing="inverse_root")
    assert rates[15] == rates[16] == 2.0
    assert [rates[step] for step in (25, 36, 49)] == pytest.approx([2 * 4 / 5, 2 * 4 / 6, 2 * 4 / 7])
    without = _rates(steps=steps, annealing="inverse_root")
    assert [without[step] for step in (0, 3, 8)] == pytest.approx([2, 1, 2 / 3])


def test_a_run_of_warm_up_alone_has_nothing_left_to_anneal():
    assert _rates(steps=3, warm_up=3, annealing="linear") == pytest.approx([2 / 3, 4 / 3, 2.0])
