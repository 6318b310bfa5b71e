"""What a tiny run of each task family measures: its table, its ranges and intervals, and its losses recounted."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from tiny_strategies import tiny

from gating.results.columns import BASE
from gating.results.intervals import geometric_mean_interval
from gating.results.query import select
from gating.results.table import summarise
from gating.runs import engine
from gating.runs.executor import Resources
from gating.runs.folder import RunFolder
from gating.runs.store import Place
from gating.studies.replicas import combined_seed
from gating.studies.strategies.cells import GROUPS, group_of
from gating.studies.strategies.config import StrategiesConfig
from gating.studies.strategies.ensemble import checkpoints, sampler_of
from gating.studies.strategies.families import FAMILIES
from gating.studies.strategies.outputs import measure_run
from gating.studies.strategies.study import Strategies

TASKS = ("urns", "linear_regression", "item_labels")
STEPS = [20, 26, 32, 39, 47, 56]


@pytest.fixture(scope="module", params=TASKS)
def family(request, tmp_path_factory) -> tuple[StrategiesConfig, Path, pd.DataFrame]:
    config, out = tiny(request.param), tmp_path_factory.mktemp(request.param) / "run"
    return config, out, engine.run(Strategies(), config, out, Resources("cpu", 1, say=lambda line: None))


def test_the_table_has_every_model_checkpoint_kind_and_group(family):
    config, out, table = family
    assert list(table.columns) == [*(column.name for column in BASE), "n_tasks", "mlp_factor", "fitted_to"]
    assert table[["seed", "step"]].dropna().drop_duplicates().shape[0] >= 2 * len(STEPS)
    kinds = {"ibd", "oobd", "absent"} if config.task == "item_labels" else {"ibd", "oobd"}
    relative = table[table["measure"] == "relative_distance"]
    assert len(relative) == 12 * len(STEPS) * len(kinds)
    assert set(relative["distribution"]) == kinds
    assert sorted(set(relative["step"])) == STEPS == config.training.checkpoint_steps
    assert relative["value"].dropna().between(0, 1).all()
    assert set(relative["group"]) == set(GROUPS)
    agreement = table[(table["system"] == "posterior") & (table["measure"] == "discrepancy")]
    assert set(zip(agreement["distribution"], agreement["group"], strict=True)) == {
        (k, g) for k in kinds for g in GROUPS
    }
    assert [part.name for part in (out / "parts").iterdir()] == ["train"]  # outputs are dropped, models are kept


def test_what_is_of_one_seed_is_a_row_and_what_is_of_all_is_an_answer(family):
    """Fits to one seed are answers too: they are found, not measured."""
    table = family[2]
    of_all = table["seed"].isna() | (table["kind"] == "fitted")
    assert (table["answer"] == of_all).all()
    found = set(table.loc[table["answer"], "measure"])
    assert {"correlation", "discrepancy", "alpha", "fit_loss", "transition_time", "transition_exponent",
            "diversity_threshold", "seeds_over"} <= found  # fmt: skip
    intervals = select(table, {"answer": True, "group": "held_out_widths", "system": "posterior"})
    assert len(intervals) > 1
    assert intervals[["low", "high"]].notna().all().all()  # six runs


def test_two_settings_are_not_averaged_as_seeds(family):
    config, _, table = family
    summary = summarise(table[~table["answer"]])
    last = summary[(summary["measure"] == "relative_distance") & (summary["step"] == 56)]
    assert set(last["seeds"]) <= {0, 2}
    per_kind = last.groupby("distribution")[["n_tasks", "mlp_factor"]].value_counts()
    assert set(per_kind) == {1}
    assert len(per_kind) == 6 * len(FAMILIES[config.task].kinds)
    alone = table[(table["fitted_to"] == "one seed") & (table["measure"] == "alpha")]
    assert sorted(alone["seed"]) == [0, 1]


def test_transition_times_over_seeds_follow_from_those_of_each(family):
    table = family[2]
    times = table[table["measure"] == "transition_time"]
    for (factor, n_tasks, kind), rows in times.groupby(["mlp_factor", "n_tasks", "kind"]):
        [answer], seeds = rows[rows["answer"]].to_dict("records"), rows.loc[~rows["answer"], "value"].to_numpy()
        assert len(seeds) == 2
        if kind == "measured":
            wanted = geometric_mean_interval(seeds)
            np.testing.assert_array_equal([answer[name] for name in ("value", "low", "high")], wanted[:3])
            counts = table[(table["mlp_factor"] == factor) & (table["n_tasks"] == n_tasks)].set_index("measure")[
                "value"
            ]
            assert counts["seeds_over"] == wanted.seeds
            assert counts["seeds_over_at_once"] == (seeds == 0).sum()
        elif np.isfinite(seeds).all():
            assert answer["value"] == pytest.approx(np.sqrt(seeds.prod()))


def test_values_are_in_their_ranges_and_inside_their_intervals(family):
    table = family[2]
    for measure in ("effective_gate", "weight", "total_variation", "argmax_agreement"):
        assert table.loc[table["measure"] == measure, "value"].dropna().between(0, 1).all(), measure
    for measure in ("description_bits", "discrepancy", "residual", "log_loss"):
        assert np.isfinite(table.loc[table["measure"] == measure, "value"]).all(), measure
    held = table.dropna(subset=["low", "high"])
    assert len(held) > 50
    assert (held["low"] <= held["high"]).all()
    losses = table[(table["measure"] == "log_loss") & (table["system"] == "transformer")]
    assert set(losses["tests"]) == {16}
    assert (losses["standard_error"] > 0).all()


def test_the_best_mixture_is_undefined_only_where_m_and_g_agree(family):
    """And there what they leave is what each of them leaves alone."""
    config, _, table = family
    cells = table[~table["answer"] & (table["system"] == "transformer") & (table["distribution"] == "ibd")]
    by_cell = cells.pivot_table(index=["mlp_factor", "n_tasks", "seed", "step"], columns="measure", values="value")
    undefined = by_cell["effective_gate"].isna()
    assert undefined.sum() < len(by_cell)
    assert by_cell.loc[undefined, "relative_distance"].isna().all()
    if config.task != "item_labels":
        assert not undefined.any()


def test_the_free_gate_is_the_floor_and_fixed_parameters_do_not_fit_better(family):
    """On training sequences, among gates that treat all rows of a cell alike; beta = 1 and gamma = 1 are inside the set
    that the whole posterior is searched in."""
    table = family[2]
    on_training = table[(table["distribution"] == "ibd") & (table["measure"] == "discrepancy")]
    by_gate = on_training.pivot_table(index="group", columns="system", values="value")
    by_gate = by_gate.drop(columns="posterior with context")
    assert (by_gate["free in every cell"].to_numpy()[:, None] <= by_gate.to_numpy() + 1e-6).all()
    fits = table[table["measure"] == "fit_loss"].set_index("system")["value"]
    assert len(fits) == 6
    assert (fits["posterior"] <= fits[["posterior, beta = 1", "posterior, gamma = 1"]] + 1e-6).all()
    found = table.loc[table["measure"] == "searches_agreeing", "value"]
    assert len(found) == 6
    assert found.between(0, 1, inclusive="right").all()


def test_parameters_that_are_fitted_have_intervals_and_held_ones_have_none(family):
    table = family[2]
    fitted = table[table["fitted_to"] == "all"].set_index(["system", "measure"])
    for system, held in {"posterior": "kappa", "posterior, beta = 1": "beta", "posterior, gamma = 1": "gamma"}.items():
        for name in ("alpha", "beta", "gamma", "kappa"):
            row = fitted.loc[(system, name)]
            assert np.isnan(row["low"]) == np.isnan(row["high"]) == (name in {held, "kappa"}), (system, name)


def test_groups_follow_from_the_settings(family):
    config, _, table = family
    rows = table[(table["measure"] == "relative_distance") & (table["distribution"] == "ibd")]
    wide, late, four = rows["mlp_factor"] == 2, rows["step"] > 0.7 * 56, rows["n_tasks"] == 4
    assert 0 < wide.sum() < len(rows) > four.sum() > 0
    wanted = np.select([wide, late, four], GROUPS[:0:-1], GROUPS[0])
    assert (rows["group"] == wanted).all()
    for replica in config.replicas:
        for step in STEPS:
            found = group_of(config, replica, step)
            assert (found == "held_out_widths") == (replica.mlp_factor == 2.0)


def test_losses_and_answers_are_those_of_the_trained_model_on_fresh_sequences(family, tmp_path):
    """The last checkpoint answers for itself; M and G are evaluated on the same rows, and lose on fresh sequences."""
    config, out, _ = family
    folder = RunFolder(out)
    index = next(k for k, replica in enumerate(config.replicas) if replica.mlp_factor == 2.0)
    held_of, again = (measure_run(config, Place(folder, ""), index).answers for _ in range(2))
    replica, family_of = config.replicas[index], FAMILIES[config.task]
    sampler, model = sampler_of(config, [replica]), checkpoints(config, Place(folder, ""), replica)[-1]
    predictors = [family_of.memorizer(sampler, 0)[0], family_of.generalizer(sampler)]
    seed = combined_seed(config.evaluation_seed, replica.seed)
    for number, (kind, arguments) in enumerate(family_of.kinds.items()):
        fresh = sampler.fresh(combined_seed(seed, number), 16, **arguments)
        alone = type(fresh)(*(part[0] for part in fresh))
        answer = model(fresh)[0]
        held = held_of[kind]
        losses = family_of.losses(sampler, answer, alone).double()
        assert held.losses[-1].item() == pytest.approx(losses.mean().item(), rel=1e-5)
        error = losses.mean(-1).numpy().std(ddof=1) / 16**0.5
        assert held.errors[-1].item() == pytest.approx(error, rel=1e-5)
        n_all = answer[..., 0].numel() if family_of.distance == "kl" else answer.numel()
        assert held.transformer.shape[:2] == (len(STEPS), min(32, n_all))
        for mine, predictor in zip((held.m, held.g), predictors, strict=True):
            every = predictor(alone).reshape(n_all, -1)
            assert ((mine.unsqueeze(1) - every).abs().amax(-1).amin(1) < 1e-9).all()
        for a, b in zip(held, again[kind], strict=True):
            assert torch.equal(a, b)
