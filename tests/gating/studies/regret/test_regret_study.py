"""The bi-level update: what its theorems promise holds on every seed, and predictions are those of the predictors."""

import numpy as np
import pytest
import torch

from gating.predictors.in_context import SoftmaxSimilarity
from gating.predictors.in_weight import TabularInWeight
from gating.results.table import key_names, summarise
from gating.runs.engine import run as run_study
from gating.studies.regret.config import GATES, LOSSES, RegretConfig
from gating.studies.regret.predictors import earlier_equal, grid_mixture, loss_of, play_predictors
from gating.studies.regret.study import Regret
from gating.tasks.class_mixture import ClassMixtureSampler
from theory.distribution import ClassMixture
from theory.settings import SpecError

SLACK = 1e-9
NOISY = ClassMixture(n_high=2, n_low=3, p_high=0.8, context_length=3, dim=16, label_noise=0.2)
SETTINGS = {
    "base": RegretConfig(n_rounds=400, n_seeds=3, n_records=12),
    "noisy, cells with context": RegretConfig(
        distribution=NOISY, n_rounds=400, n_seeds=3, n_records=8, cells="query_and_context", known_horizon=False
    ),
    "perceptron, temperatures": RegretConfig(
        distribution=NOISY,
        n_rounds=200,
        n_seeds=2,
        n_records=5,
        in_weight="mlp",
        temperatures=(0.03, 0.3, 3.0),
        hidden=8,
    ),
}


def regret_table(config):
    table = run_study(Regret(), config, None)
    return table[~table["answer"]]


@pytest.fixture(scope="module", params=SETTINGS)
def run(request):
    config = SETTINGS[request.param]
    return config, regret_table(config)


def test_measured_regret_is_within_its_bound_on_every_seed_and_group(run):
    config, table = run
    kept = table[table["measure"].isin([f"regret_{loss}" for loss in LOSSES])]
    keys = ["system", "measure", "group", "step", "seed"]
    wide = kept.pivot_table(index=keys, columns="kind", values="value")
    assert wide.notna().all().all()
    assert (wide["measured"] <= wide["upper"] + SLACK).all()
    assert set(kept["system"]) >= set(GATES)
    assert set(kept["seed"]) == set(range(config.n_seeds))


def test_ratio_is_measured_over_bound_at_the_end(run):
    config, table = run
    last = table[(table["step"] == config.n_rounds) & (table["group"] == "all")]
    for loss in LOSSES:
        ratio = last[last["measure"] == f"regret_ratio_{loss}"].set_index(["system", "seed"])["value"]
        parts = last[last["measure"] == f"regret_{loss}"]
        wide = parts.pivot_table(index=["system", "seed"], columns="kind", values="value").loc[ratio.index]
        np.testing.assert_allclose(ratio, wide["measured"] / wide["upper"])
        assert set(ratio.index.get_level_values("system")) == set(config.gates_of(loss))


def test_composed_model_is_within_the_best_partition_plus_regrets(run):
    config, table = run
    for loss in LOSSES:
        wide = table[table["measure"] == f"total_{loss}"].pivot_table(
            index=["system", "seed"], columns="kind", values="value"
        )
        gates = wide.loc[config.gates_of(loss)]
        assert (gates["measured"] <= gates["upper"] + SLACK).all()
        best = wide["measured"]["best_partition"]
        assert (
            best
            <= np.minimum(
                wide["measured"]["in_weight" if config.in_weight == "mlp" else "tabular"],
                wide["measured"]["copying"],
            )
            + SLACK
        ).all()
        bound = table[(table["measure"] == f"regret_{loss}") & (table["kind"] == "upper") & (table["group"] == "all")]
        bound = bound[bound["step"] == config.n_rounds].set_index(["system", "seed"])["value"]
        for name in config.gates_of(loss):
            np.testing.assert_allclose(gates["upper"][name], best + bound[name])


def test_gate_paths_stay_in_the_unit_interval_for_every_cell_and_record(run):
    config, table = run
    for loss in LOSSES:
        path = table[table["measure"] == f"gate_{loss}"]
        assert path["value"].between(0, 1).all()
        evaluation_per_cell = path.groupby(["system", "context", "query_class"])["step"].nunique()
        groups = path.groupby("group")["query_class"].agg(["min", "max"])
        assert groups["max"]["high"] < config.distribution.n_high <= groups["min"]["low"]
        assert (evaluation_per_cell == len(config.records)).all()
        assert len(evaluation_per_cell) == config.n_cells * len(config.gates_of(loss))


def test_table_is_in_the_schema_and_its_keys_are_unique(run):
    _, table = run
    assert not table[key_names(table)].duplicated().any()
    assert table["value"].notna().all()
    summary = summarise(table)
    assert (summary["seeds"] == table["seed"].nunique()).all()


def test_a_seed_does_not_depend_on_the_others():
    both = regret_table(RegretConfig(n_rounds=60, n_seeds=2, n_records=4))
    alone = regret_table(RegretConfig(n_rounds=60, n_seeds=1, n_records=4, seed=1))
    keys = ["system", "measure", "kind", "group", "step"]
    a, b = (t[t["seed"] == 1].sort_values(keys)["value"].to_numpy() for t in (both, alone))
    np.testing.assert_allclose(a, b, atol=1e-6)


def test_in_weight_is_the_tabular_predictor_before_each_round():
    """The counts of all rounds but the last, as `TabularInWeight` makes them, give the last round's probability."""
    config = RegretConfig(distribution=ClassMixture(label_noise=0.3, input_noise=0.0), n_rounds=300, n_seeds=2)
    rounds = play_predictors(config)
    sampler = ClassMixtureSampler([config.distribution] * 2, [300] * 2, [0, 1], cover_classes=False)
    last = sampler.training_rows(torch.tensor([[299]] * 2))
    fitted = TabularInWeight.fit(sampler)
    fitted.counts[torch.arange(2), last.query_class[:, 0], last.target[:, 0]] -= 1
    wanted = fitted(last).gather(-1, last.target.unsqueeze(-1)).exp().flatten()
    torch.testing.assert_close(rounds.in_weight[-1], wanted)
    copied = SoftmaxSimilarity(10, 2, temperature=0.1)(last).gather(-1, last.target.unsqueeze(-1)).exp().flatten()
    torch.testing.assert_close(rounds.in_context["log_loss"][-1], copied.double().detach())


def test_perceptron_learns_the_labels():
    spec = ClassMixture(n_high=2, n_low=2, dim=16, input_noise=0.0)
    rounds = play_predictors(
        RegretConfig(distribution=spec, n_rounds=800, n_seeds=2, in_weight="mlp", learning_rate=0.01)
    )
    assert rounds.in_weight[:20].mean() < 0.6 < 0.8 < rounds.in_weight[-100:].mean()


def test_earlier_equal_counts_from_the_top():
    keys = torch.from_numpy(np.random.default_rng(0).integers(0, 4, (50, 3)))
    wanted = [[int((keys[:t, s] == keys[t, s]).sum()) for s in range(3)] for t in range(50)]
    assert earlier_equal(keys).tolist() == wanted


def test_grid_of_temperatures_follows_the_better_one_within_its_bound():
    grid = torch.stack([torch.full((200, 1), 0.9), torch.full((200, 1), 0.1)], dim=-1).double()
    mixed = grid_mixture(grid, "linear_loss", 1.0)
    assert mixed[0].item() == pytest.approx(0.5)
    assert mixed[-1].item() > 0.89
    regret = (loss_of("linear_loss", mixed) - 0.1).sum()
    assert 0 < regret <= (200 * np.log(2) / 2) ** 0.5
    torch.testing.assert_close(grid_mixture(grid[..., :1], "log_loss", 20.0), grid[..., 0])


def test_every_problem_is_named_at_once():
    with pytest.raises(SpecError) as caught:
        RegretConfig(n_rounds=0, n_seeds=0, seed=-1, beta=0.0, clip=1.0, temperatures=(), gates=("hedge",), losses=())
    said = caught.value.problems
    names = ("n_rounds", "n_seeds", "seed", "gates", "losses", "beta", "temperatures", "clip")
    assert [problem.split("`")[1] for problem in said] == list(names)
    with pytest.raises(SpecError, match="`losses` must include 'log_loss'"):
        RegretConfig(gates=("bayes_mixture",), losses=("linear_loss",))


def test_linear_loss_is_for_gates_that_learn_from_any_loss():
    assert RegretConfig().gates_of("linear_loss") == ["gradient_descent", "exponential_weights", "adahedge"]


def test_answers_are_the_last_round_over_seeds():
    """What is found about a gate is the mean over seeds of what its rows say, with an interval that holds it."""
    table = run_study(Regret(), SETTINGS["base"], None)
    found = table[table["answer"]]
    assert set(found["step"]) == {400}
    ratio = found[(found["measure"] == "regret_ratio_log_loss") & (found["system"] == "adahedge")].iloc[0]
    seeds = table[~table["answer"] & (table["measure"] == "regret_ratio_log_loss") & (table["system"] == "adahedge")]
    assert ratio["value"] == pytest.approx(seeds[seeds["group"] == "all"]["value"].mean())
    assert ratio["low"] < ratio["value"] < ratio["high"] <= 1
