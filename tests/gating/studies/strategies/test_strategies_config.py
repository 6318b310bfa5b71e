"""Settings of the study of strategies: what is refused and how it is named, replicas, and what is held out."""

import itertools

import pytest

from gating.studies.strategies.cells import group_of
from gating.studies.strategies.config import HeldOut, StrategiesConfig
from theory.settings import SpecError


def test_every_problem_of_a_config_is_named_at_once():
    with pytest.raises(SpecError) as caught:
        StrategiesConfig(
            dim=1,
            n_tasks=(8, 4),
            mlp_factors=(2.0, 1.0),
            n_seeds=0,
            described_within=0.0,
            transformer={"width": 12},
            held_out={"steps_after": 0.0},
        )
    assert caught.value.problems == [
        "`dim` must be an integer in 2 .. 65536; got 1",
        "`n_tasks` must be two or more ascending integers in 2 .. 2^20; got [8, 4]",
        "`mlp_factors` must be one or more ascending finite numbers > 0; got [2.0, 1.0]",
        "`n_seeds` must be an integer >= 1; got 0",
        "`described_within` must be in (0, 1]; got 0.0",
        "`held_out.steps_after` must be in (0, 1]; got 0.0",
        "`transformer.width` must be a multiple of 8 `transformer.heads`; got 12",
    ]


def test_every_problem_of_valid_fields_together_is_named_at_once():
    with pytest.raises(SpecError) as caught:
        StrategiesConfig(
            length=1, loss_groups=9, loss_sequences=8, mlp_factors=(1e-3,), held_out=HeldOut((5,), (), 1e-5)
        )
    assert [problem.split("`")[1] for problem in caught.value.problems] == [
        "length", "loss_groups", "held_out.n_tasks", "held_out.steps_after", "mlp_factors",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"n_tasks": (4,)}, r"`n_tasks` must be two or more ascending integers in 2 \.\. 2\^20; got \[4\]"),
        ({"n_tasks": (1, 4)}, r"`n_tasks` must be two or more ascending integers in 2 \.\. 2\^20; got \[1, 4\]"),
        (
            {"n_tasks": (4, 2**21)},
            r"`n_tasks` must be two or more ascending integers in 2 \.\. 2\^20; got \[4, 2097152\]",
        ),
        ({"mlp_factors": ()}, r"`mlp_factors` must be one or more ascending finite numbers > 0; got \[\]"),
        ({"mlp_factors": (0.001,)}, r"`mlp_factors` times the width 64 must be in 1 \.\. 2\^20; got 0\.001"),
        ({"length": 1}, r"`length` must be an integer in 2 \.\. 65536; got 1"),
        ({"seed": 0.5}, r"`seed` must be an integer in 0 \.\. 2\^32 - 1; got 0\.5"),
        ({"loss_groups": 10_001}, r"`loss_groups` must be an integer in 1 \.\. 10000; got 10001"),
        ({"transformer": {"heads": 0}}, r"`transformer\.heads` must be an integer >= 1; got 0"),
        ({"held_out": HeldOut(mlp_factors=(4.0,))}, r"`held_out\.mlp_factors` must be some, not all, of"),
        ({"held_out": HeldOut(steps_after=1e-5)}, r"`held_out\.steps_after` must leave the first checkpoint, step 20;"),
        ({"n_tasks": (4, 8), "held_out": HeldOut(n_tasks=(8,))}, r"`held_out` must leave two or more models"),
        ({"described_within": float("nan")}, r"`described_within` must be in \(0, 1\]; got nan"),
        ({"loss_sequences": 100.0}, r"`loss_sequences` must be an integer in 8 \.\. 2\^32; got 100\.0"),
        ({"loss_sequences": None}, r"`loss_sequences` must be an integer in 8 \.\. 2\^32; got None"),
        ({"n_tasks": (4, 8.5)}, r"`n_tasks` must be two or more ascending integers in 2 \.\. 2\^20; got \[4, 8\.5\]"),
    ],
)
def test_a_bad_setting_is_named(fields, sentence):
    with pytest.raises(SpecError, match=f"^{sentence}"):
        StrategiesConfig(**fields)


def test_replicas_are_every_width_diversity_and_seed_and_share_initial_values():
    replicas = StrategiesConfig(n_tasks=(4, 8), mlp_factors=(1.0, 4.0), n_seeds=2, seed=7).replicas
    assert [(r.mlp_factor, r.n_tasks, r.seed) for r in replicas] == list(itertools.product((1, 4), (4, 8), (7, 8)))
    assert replicas[0].init_seed == replicas[2].init_seed != replicas[1].init_seed


def test_a_cell_held_out_twice_counts_under_the_last_that_applies():
    held = HeldOut(n_tasks=(8,), mlp_factors=(2.0,), steps_after=0.5)
    config = StrategiesConfig(n_tasks=(4, 8), mlp_factors=(1.0, 2.0), n_seeds=2, held_out=held)
    found = [[group_of(config, replica, step) for step in (50_000, 50_001)] for replica in config.replicas[::2]]
    assert found == [
        ["in_fit", "held_out_steps"],
        ["held_out_tasks", "held_out_steps"],
        ["held_out_widths", "held_out_widths"],
        ["held_out_widths", "held_out_widths"],
    ]
