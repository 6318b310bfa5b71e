"""The fit finds the parameters that made the outputs; its slopes, invariances, intervals and nested ablations."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from scipy import optimize
from scipy.special import expit, log_softmax

from gating.gates.discrepancy import DiscrepancyCurves, output_rows
from gating.gates.posterior import PosteriorParameters
from gating.gates.posterior_cells import PosteriorCells, best_steps, describable
from gating.gates.posterior_fit import ABLATIONS, PosteriorFit, _Problem, bootstrap_posterior, fit_posterior
from gating.results.bootstrap import percentile_interval

TRUTH = PosteriorParameters(alpha=0.4, beta=0.4, gamma=6.0)
TASKS = np.array([4.0, 16.0, 64.0, 256.0])
STEPS = np.rint(np.linspace(5, 300, 15) ** 2)


def synthetic(
    truth: PosteriorParameters = TRUTH,
    *,
    loss: str = "kl",
    noise: float = 0.0,
    seeds: Sequence[int] = (0,),
    context: bool = False,
) -> PosteriorCells:
    """Outputs of a model that is the posterior mixture, its log odds off by normal noise."""
    generator = np.random.default_rng(11)
    d, n, s = (part.ravel() for part in np.meshgrid(TASKS, STEPS, np.array(seeds), indexing="ij"))
    known: dict[str, Any] = {
        "steps": n,
        "loss_gap": 0.18 / np.sqrt(d),
        "complexity_m": 200 * d + 4000,
        "complexity_g": 3000.0,
    }
    shape = (len(d), 24, 4 if loss == "kl" else 1)
    evidence = generator.normal(size=shape[:2]) * 3 if context else np.zeros(shape[:2])
    odds = truth.log_odds(**known)[:, None] + truth.kappa * evidence + noise * generator.normal(size=(len(d), 1))
    w = expit(np.clip(odds, -30, 30))[..., None]
    m, g = generator.normal(size=(2, *shape)) * 2
    if loss == "kl":
        m, g = log_softmax(m, axis=-1), log_softmax(g, axis=-1)
        model = np.logaddexp(np.log(w) + m, np.log1p(-w) + g)
    else:
        model = w * m + (1 - w) * g
    rows = output_rows(model, m, g, distance=loss, evidence=evidence)
    return PosteriorCells(rows if context else rows.tabulate(), n_tasks=d, seed=s, width=64, **known)


def values(parameters: PosteriorParameters) -> list[float]:
    return [parameters.alpha, parameters.beta, np.log(parameters.gamma)]


def best_of_many(cells: PosteriorCells) -> tuple[Any, Any]:
    """Log odds of least discrepancy of each cell, of 7,201 that are tried, and that discrepancy."""
    tried = np.linspace(-36, 36, 7201)
    found = np.stack([cells.curves().at(np.full(len(cells), odds)).value for odds in tried])
    return tried[found.argmin(0)], found.min(0)


@pytest.fixture(scope="module")
def noisy() -> PosteriorCells:
    return synthetic(noise=0.5)


@pytest.fixture(scope="module")
def noisy_fit(noisy: PosteriorCells) -> PosteriorFit:
    return fit_posterior(noisy)


@pytest.mark.parametrize("loss", ["kl", "squared"])
@pytest.mark.parametrize("truth", [TRUTH, PosteriorParameters(alpha=0.7, beta=0.2, gamma=40.0)])
def test_known_parameters_are_recovered(loss: str, truth: PosteriorParameters) -> None:
    fit = fit_posterior(synthetic(truth, loss=loss), n_starts=20)
    assert values(fit.parameters) == pytest.approx(values(truth), abs=2e-3)
    assert fit.converged
    assert fit.n_agreeing >= 2
    assert fit.at_bound == ()
    assert fit.loss < 1e-7


def test_evidence_of_the_context_is_recovered_and_kappa_zero_ignores_it() -> None:
    truth = PosteriorParameters(alpha=0.4, beta=0.4, gamma=6.0, kappa=0.5)
    cells = synthetic(truth, context=True)
    fit = fit_posterior(cells, n_starts=4)
    assert [*values(fit.parameters), fit.parameters.kappa] == pytest.approx([*values(truth), 0.5], abs=2e-3)
    still = fit_posterior(cells, fixed={"kappa": 0.0}, n_starts=4)
    assert still.loss > fit.loss + 1e-3
    tabulated = PosteriorCells(
        cells.curves(), n_tasks=cells.n_tasks, steps=cells.steps, loss_gap=cells.loss_gap,
        complexity_m=cells.complexity_m, complexity_g=cells.complexity_g,
    )  # fmt: skip
    assert fit_posterior(tabulated, n_starts=4).loss == pytest.approx(still.loss, abs=1e-6)


@pytest.mark.parametrize("equal", [0.0, 1e-15])
def test_cells_in_which_m_and_g_lose_the_same_do_not_lead_the_search_astray(equal: float) -> None:
    """Two thirds of the cells hold no evidence, so the search cannot begin where evidence and prior balance there."""
    truth = PosteriorParameters(alpha=0.5, beta=0.5, gamma=0.3)
    steps = np.tile(np.array([10.0, 100, 1000, 10_000]), 3)
    known: dict[str, Any] = {
        "loss_gap": np.repeat([equal, equal, 0.2], 4),
        "complexity_m": np.repeat([15.0, 20, 60], 4),
    }
    w = expit(truth.log_odds(steps, complexity_g=10.0, **known))[:, None, None]
    rows = output_rows(w, np.ones((12, 1, 1)), np.zeros((12, 1, 1)), distance="squared")
    cells = PosteriorCells(rows.tabulate(), n_tasks=np.repeat([2, 4, 8], 4), steps=steps, complexity_g=10.0, **known)
    fit = fit_posterior(cells, n_starts=10)
    assert fit.loss < 1e-7
    np.testing.assert_allclose(values(fit.parameters), values(truth), rtol=0.02)


def test_gradient_against_differences(noisy: PosteriorCells) -> None:
    context = synthetic(PosteriorParameters(0.4, 0.4, 6.0, 0.5), context=True)
    for cells, point in ((noisy, [-0.3, -0.8, 1.6]), (context, [-0.3, -0.8, 1.6, 0.3])):
        held = {} if cells is context else {"kappa": 0.0}
        problem = _Problem(cells, held, np.full(len(cells), 1 / len(cells)))
        measured = optimize.approx_fprime(np.array(point), lambda x, p=problem: p(x)[0], 1e-7)
        np.testing.assert_allclose(problem(np.array(point))[1], measured, rtol=1e-4, atol=1e-6)


def test_ablations_are_nested_and_bounded_by_the_free_gate(noisy: PosteriorCells, noisy_fit: PosteriorFit) -> None:
    curves, thresholds = noisy.curves(), best_steps(noisy)
    m, g = (curves.at(np.full(len(noisy), odds)).value for odds in (36.0, -36.0))
    wanted = [thresholds[key] for key in zip(noisy.n_tasks.tolist(), noisy.width.tolist(), strict=True)]
    floor, step = best_of_many(noisy)[1], np.where(noisy.steps < wanted, g, m)
    for fixed in ABLATIONS.values():
        ablated = fit_posterior(noisy, fixed=fixed)
        assert ablated.loss > 1.05 * noisy_fit.loss
        assert {name: getattr(ablated.parameters, name) for name in fixed} == fixed
    assert (noisy_fit.losses(noisy) >= floor - 1e-5).all()
    assert floor.mean() < noisy_fit.loss < step.mean()
    assert step.mean() <= min(m.mean(), g.mean())
    assert noisy_fit.losses(noisy).mean() == pytest.approx(noisy_fit.loss, rel=1e-12)


def test_all_held_is_an_evaluation(noisy: PosteriorCells, noisy_fit: PosteriorFit) -> None:
    p = noisy_fit.parameters
    same = fit_posterior(noisy, fixed={"alpha": p.alpha, "beta": p.beta, "gamma": p.gamma}, n_starts=1)
    assert same.loss == pytest.approx(noisy_fit.loss, rel=1e-12)


def test_units_of_steps_move_gamma_alone(noisy: PosteriorCells, noisy_fit: PosteriorFit) -> None:
    scaled = PosteriorCells(
        noisy.discrepancy, n_tasks=noisy.n_tasks, steps=128 * noisy.steps, loss_gap=noisy.loss_gap,
        complexity_m=noisy.complexity_m, complexity_g=noisy.complexity_g,
    )  # fmt: skip
    fit = fit_posterior(scaled)
    alpha = noisy_fit.parameters.alpha
    expected = [alpha, noisy_fit.parameters.beta, np.log(noisy_fit.parameters.gamma * 128 ** (alpha - 1))]
    assert fit.loss == pytest.approx(noisy_fit.loss, rel=1e-6)
    assert values(fit.parameters) == pytest.approx(expected, abs=1e-3)


def test_weights_are_counts_and_order_does_not_matter(noisy: PosteriorCells) -> None:
    counts = np.random.default_rng(1).integers(0, 3, len(noisy))
    repeated = noisy.select(np.random.default_rng(2).permutation(np.repeat(np.arange(len(noisy)), counts)))
    weighted, plain = fit_posterior(noisy, weights=counts), fit_posterior(repeated)
    assert weighted.loss == pytest.approx(plain.loss, rel=1e-8)
    assert values(weighted.parameters) == pytest.approx(values(plain.parameters), abs=1e-3)


def test_held_out_tasks_are_predicted(noisy: PosteriorCells) -> None:
    held_out = noisy.n_tasks == 64
    fit = fit_posterior(noisy.select(~held_out))
    rest = noisy.select(held_out)
    free = expit(best_of_many(rest)[0])
    assert np.corrcoef(fit.weights(rest), free)[0, 1] > 0.98
    np.testing.assert_array_equal(fit.weights(rest), expit(rest.log_odds(fit.parameters)))


def test_the_same_seed_gives_the_same_fit(noisy: PosteriorCells, noisy_fit: PosteriorFit) -> None:
    assert fit_posterior(noisy) == noisy_fit
    draws = [bootstrap_posterior(noisy, noisy_fit, n_resamples=3, seed=4) for _ in range(2)]
    assert draws[0] == draws[1]


def test_refits_are_those_to_the_runs_that_the_one_bootstrap_draws(noisy: PosteriorCells) -> None:
    """Second route: each cell as often as its run was drawn, fitted to by weights; what was held stays held."""
    by, held = ("n_tasks",), {"beta": 0.5}
    fit = fit_posterior(noisy, fixed=held, n_starts=4)
    drawn = bootstrap_posterior(noisy, fit, by=by, n_resamples=4, seed=3)
    chosen = np.random.default_rng(3).integers(4, size=(4, 4))
    for parameters, runs in zip(drawn, chosen, strict=True):
        counts = np.bincount(runs, minlength=4)[noisy.groups(by)]
        again = fit_posterior(noisy, fixed=held, weights=counts, n_starts=3, seed=3, start=fit.parameters)
        assert again.parameters == parameters
        assert parameters.beta == 0.5


@pytest.mark.long
def test_bootstrap_intervals_cover_the_truth() -> None:
    """Of 12 fits to 60 cells with independent noise, 95% intervals for each parameter miss the truth rarely."""
    misses = np.zeros(3)
    base = synthetic()
    for seed in range(12):
        generator = np.random.default_rng(seed)
        odds = base.log_odds(TRUTH) + 0.5 * generator.normal(size=len(base))
        w = expit(np.clip(odds, -30, 30))[:, None, None]
        rows = output_rows(w, np.ones((1, 1, 1)), np.zeros((1, 1, 1)), distance="squared")
        cells = PosteriorCells(
            rows.tabulate(), n_tasks=base.n_tasks, steps=base.steps, loss_gap=base.loss_gap,
            complexity_m=base.complexity_m, complexity_g=base.complexity_g,
        )  # fmt: skip
        fit = fit_posterior(cells, n_starts=4)
        draws = [values(p) for p in bootstrap_posterior(cells, fit, n_resamples=40, n_starts=1, seed=seed)]
        low, high = percentile_interval(draws)
        misses += (values(TRUTH) < low) | (values(TRUTH) > high)
    assert (misses <= 4).all(), misses  # binomial(12, 0.1) exceeds 4 once in 230


def test_groups_are_drawn_whole(noisy_fit: PosteriorFit) -> None:
    cells = synthetic(noise=0.5, seeds=(0, 1))
    assert len(np.unique(cells.groups(("n_tasks",)))) == 4
    assert len(np.unique(cells.groups(("n_tasks", "seed", "width")))) == 8
    twins = cells.select(np.repeat(np.flatnonzero(cells.seed == 0), 2))  # every cell twice: runs tell nothing new
    fit = fit_posterior(twins, n_starts=10)
    wide, short = (
        np.std([p.alpha for p in bootstrap_posterior(twins, fit, by=by, n_resamples=25)])
        for by in (("n_tasks", "steps"), ())
    )
    assert short < 0.9 * wide


def test_the_best_step_is_the_best_of_all(noisy: PosteriorCells) -> None:
    found = best_steps(noisy)
    m, g = (noisy.curves().at(np.full(len(noisy), odds)).value for odds in (36.0, -36.0))
    for d in TASKS:
        inside = noisy.n_tasks == d
        losses = {n: np.where(n > STEPS, g[inside], m[inside]).sum() for n in (*STEPS, np.inf)}
        assert found[d, 64.0] == min(losses, key=lambda n, losses=losses: losses[n])
    never = noisy.select(noisy.log_odds(TRUTH) < -5)
    assert set(best_steps(never).values()) == {np.inf}
    assert list(np.diff(list(found.values())) > 0) == [True] * 3  # more tasks are memorized later


def test_cells_enter_from_where_m_and_g_describe_the_model() -> None:
    residual = np.array([1.0, 0.4, 0.05, 0.2, 0.5, 0.3, 0.2, 0.25])
    cells = PosteriorCells(
        DiscrepancyCurves(np.zeros((8, 289, 3))), n_tasks=[2] * 4 + [4] * 4, steps=[30, 20, 50, 90] * 2, loss_gap=0.1,
        complexity_m=9.0, complexity_g=5.0,
    )  # fmt: skip
    assert describable(cells, residual).tolist() == [False, False, True, True, False, False, False, False]
    assert describable(cells, residual, fraction=0.41).tolist() == [True] * 4 + [False, False, True, True]
    assert describable(cells, residual, fraction=1.0).all()


def test_bad_input_is_named(noisy: PosteriorCells, noisy_fit: PosteriorFit) -> None:
    known: dict[str, Any] = {
        "n_tasks": 2, "steps": 9, "loss_gap": 0.1, "complexity_m": 9.0, "complexity_g": 5.0, "seed": 0, "width": 1,
    }  # fmt: skip
    for name, bad in (
        ("n_tasks", 0), ("steps", -1), ("steps", [1, 2]), ("loss_gap", np.nan), ("complexity_m", 0.0),
        ("complexity_g", -1.0), ("seed", 0.5), ("width", 0),
    ):  # fmt: skip
        with pytest.raises(ValueError, match=f"`{name}` must be"):
            PosteriorCells(noisy.discrepancy, **{**known, name: bad})
    for options, sentence in (
        ({"fixed": {"delta": 1.0}}, "`fixed` must be one of"),
        ({"fixed": {"alpha": 1.0}}, r"`alpha` must be in \[0, 1\); got 1"),
        ({"fixed": {"kappa": 0.1}}, "`kappa` must be 0 for tabulated"),
        ({"weights": np.zeros(len(noisy))}, "`weights` must be 60 numbers, not all 0"),
        ({"weights": [1.0, 2.0]}, "`weights` must be 60 numbers"),
        ({"n_starts": 0}, "`n_starts` must be an integer >= 1; got 0"),
        ({"seed": -1}, "`seed` must be an integer >= 0; got -1"),
    ):
        arguments: dict[str, Any] = options
        with pytest.raises(ValueError, match=sentence):
            fit_posterior(noisy, **arguments)
    with pytest.raises(ValueError, match="`by` must leave at least two groups"):
        bootstrap_posterior(noisy, noisy_fit, by=("seed",))
    with pytest.raises(ValueError, match="`by` must be one of"):
        bootstrap_posterior(noisy, noisy_fit, by=("colour",))
    with pytest.raises(ValueError, match=r"`fraction` must be in \[0, 1\]"):
        describable(noisy, np.zeros(len(noisy)), fraction=1.1)
    for bad in ([1.0, 2.0], 0.5):
        with pytest.raises(ValueError, match="`residual` must be 60 numbers, one for each cell"):
            describable(noisy, bad)
    with pytest.raises(ValueError, match="`residual` must be finite real numbers"):
        describable(noisy, np.full(len(noisy), np.nan))
    with pytest.raises(ValueError, match="`n_resamples` must be an integer >= 1; got 0"):
        bootstrap_posterior(noisy, noisy_fit, n_resamples=0)
    with pytest.raises(ValueError, match="`which` must select at least one cell"):
        noisy.select(noisy.steps < 0)
