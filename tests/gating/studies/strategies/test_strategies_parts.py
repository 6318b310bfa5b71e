"""Parts of the study of strategies on cells made by hand: transitions, losses, evidence and agreement."""

import dataclasses
import itertools
import math

import numpy as np
import pytest
import torch
from scipy import stats
from scipy.special import gammaln

from gating.evaluation.agreement import blend
from gating.evaluation.relative_distance import relative_distance
from gating.gates.discrepancy import DiscrepancyCurves, output_rows
from gating.gates.posterior import PosteriorParameters
from gating.gates.posterior_cells import PosteriorCells
from gating.studies.strategies import gates
from gating.studies.strategies.agreement import agreement_rows
from gating.studies.strategies.cells import StudyCells, cells_of
from gating.studies.strategies.config import StrategiesConfig
from gating.studies.strategies.families import FAMILIES, every_draw_log_loss, squared_error
from gating.studies.strategies.gates import PlayedGate
from gating.studies.strategies.outputs import Answers, RunOutputs, median_of_means
from gating.studies.strategies.transitions import diversity_threshold, measured_transitions, transience, transition_rows
from gating.tasks.item_labels import ItemLabels
from gating.tasks.linear_regression import LinearRegression
from gating.tasks.sequences import Sequences
from gating.tasks.urns import Urns
from gating.training.schedule import TrainSettings

STEPS = (10.0, 100.0, 1000.0, 10_000.0)


def _cells(weights, described=None, relative=None) -> StudyCells:
    """Runs of four checkpoints whose Transformer is the mixture of M and G with the given weights, (runs, 4)."""
    weights = np.asarray(weights, dtype=np.float64)
    n = len(weights)
    rng = torch.Generator().manual_seed(0)
    m, g = (torch.randn(40, 5, generator=rng, dtype=torch.float64).log_softmax(-1) for _ in range(2))
    runs, tables = [], []
    for row in torch.logit(torch.from_numpy(weights), eps=1e-12):
        transformer = torch.stack([blend(value.expand(40), m, g, distance="kl") for value in row])
        nothing = torch.zeros(40, dtype=torch.float64)
        answers = Answers(transformer, m, g, nothing, nothing[:4], nothing[:4])
        runs.append(RunOutputs({"ibd": answers}, 0.1, 0.2, 100.0, 50.0))
        tables.append(output_rows(transformer, m[None], g[None], distance="kl").tabulate().table)
    cells = PosteriorCells(
        DiscrepancyCurves(np.concatenate(tables)),
        n_tasks=np.repeat(2.0 ** np.arange(1, n + 1), 4),
        steps=np.tile(STEPS, n),
        loss_gap=0.1,
        complexity_m=100.0,
        complexity_g=50.0,
    )
    where = weights if relative is None else np.asarray(relative, dtype=np.float64)
    return StudyCells(
        distance="kl",
        runs=runs,
        run=np.repeat(np.arange(n), 4),
        checkpoint=np.tile(np.arange(4), n),
        trained=cells,
        relative={"ibd": where.ravel(), "oobd": where.ravel()} if relative is not None else {"ibd": where.ravel()},
        best={"ibd": weights.ravel()},
        residual={"ibd": np.zeros(4 * n)},
        group=np.full(4 * n, "in_fit"),
        described=np.ones(4 * n, dtype=bool) if described is None else np.array(described).ravel(),
    )


def test_cells_hold_the_relative_distance_and_the_best_mixture_of_every_kind():
    """Second route: the answers are a mixture of M and G whose weight is known, on each kind another."""
    config = StrategiesConfig(n_tasks=(2, 4), described_within=1.0, training=TrainSettings(steps=56, checkpoints=4))
    parts = [_cells([[0.1, 0.2, 0.6, 0.9]]), _cells([[0.3, 0.5, 0.7, 1.0]])]
    answers = [part.runs[0].answers["ibd"] for part in parts]
    runs = [RunOutputs({"ibd": answers[k], "oobd": answers[1 - k]}, 0.1, 0.2, 100.0, 50.0) for k in (0, 1)]
    cells = cells_of(config, runs)
    one, other = [0.1, 0.2, 0.6, 0.9], [0.3, 0.5, 0.7, 1.0]
    for kind, wanted in (("ibd", one + other), ("oobd", other + one)):
        np.testing.assert_allclose(cells.best[kind], wanted, atol=1e-8)
        np.testing.assert_allclose(cells.residual[kind], 0, atol=1e-12)
        assert (np.diff(cells.relative[kind].reshape(2, 4)) > 0).all()
        ends = relative_distance(*answers[0][:3], distance="kl"), relative_distance(*answers[1][:3], distance="kl")
        np.testing.assert_array_equal(cells.relative[kind], np.concatenate(ends if kind == "ibd" else ends[::-1]))
    assert cells.trained.n_tasks.tolist() == [2] * 4 + [4] * 4
    assert cells.trained.steps.tolist() == config.training.checkpoint_steps * 2
    assert cells.described.all()


def test_a_transition_is_where_the_model_stays_nearer_to_m():
    """Interpolated in ln N; 0, infinity and NaN where there is none to see."""
    relative = np.array(
        [
            [0.0, 0.25, 0.75, 1.0],  # half way from 100 to 1000
            [0.4, 0.9, 0.2, 0.6],  # over, back, and over for good: 3/4 of the way from 1000 to 10,000
            [0.5, 0.6, 0.7, 0.8],  # there already
            [0.9, 0.9, 0.6, 0.4],  # never for good
            [0.1, 0.1, 0.1, 0.9],  # described once
            [0.9, 0.1, 0.7, np.nan],  # the first is not described, and the last knows no difference
        ]
    )
    described = np.ones((6, 4), dtype=bool)
    described[4, :3] = described[5, 0] = False
    found = measured_transitions(_cells(np.full((6, 4), 0.5), described, relative))
    wanted = [10**2.5, 10**3.75, 0.0, np.inf, np.nan, 10 ** (2 + 2 / 3)]
    np.testing.assert_allclose(found, wanted, rtol=1e-12)


@pytest.mark.parametrize(
    ("weight", "wanted"),
    [
        ([1.0, 0.75, 0.25, 0.0], 8 * 2**0.5),  # between 8 and 16
        ([0.9, 0.5, 0.1, 0.1], 8.0),
        ([0.9, 0.1, 0.8, 0.2], 16 * 2**0.5),  # the last
        ([0.4, 0.3, 0.2, 0.1], 0.0),
        ([0.4, 0.3, 0.2, 0.6], np.inf),
    ],
)
def test_the_diversity_threshold_is_the_last_at_which_m_has_half(weight, wanted):
    assert diversity_threshold(np.array([4.0, 8.0, 16.0, 32.0]), np.array(weight)) == pytest.approx(wanted)


def test_transience_counts_from_the_nearest_to_g_that_m_and_g_describe():
    """An untrained model near G has nothing to lose; where M and G agree there is nothing to see."""
    relative = np.array([[0.0, 0.25, 0.75, 1.0], [0.5, 0.2, 0.6, np.nan], [0.1, 0.1, 0.1, 0.1]])
    described = np.ones((3, 4), dtype=bool)
    described[0, 0] = described[2] = False
    cells = _cells(np.full((3, 4), 0.5), described, relative)
    np.testing.assert_allclose([transience(cells, run) for run in range(3)], [0.75, 0.4, np.nan])


def test_exponents_and_thresholds_of_known_transitions():
    """Runs that go over at 10 D^1.5: the slope of all resamples is the same; predictions hold the drawn parameters."""
    config = StrategiesConfig(n_tasks=(2, 4, 8, 16), mlp_factors=(1.0,), n_seeds=1)
    when = 10 * np.array(config.n_tasks) ** 1.5
    relative = [np.clip(0.5 + np.log(np.array(STEPS) / time) / 10, 0, 1) for time in when]
    cells = _cells(np.full((4, 4), 0.5), relative=relative)
    played = [PosteriorParameters(0.4, 0.5, gamma) for gamma in (1.0, 2.0, 3.0)]
    rows = list(transition_rows(config, cells, played))
    times = [row for row in rows if row["measure"] == "transition_time"]
    np.testing.assert_allclose([row["value"] for row in times if row["kind"] == "measured"], when)
    [predicted] = {(row["value"], row["low"], row["high"]) for row in times if row["kind"] == "predicted"}
    steps = [float(p.transition_time(0.1, 100.0, 50.0)) for p in played]
    assert predicted == pytest.approx(
        (steps[0], steps[2], steps[1])
    )  # of the drawn ones: more evidence goes over earlier
    [exponent] = [row for row in rows if row["measure"] == "transition_exponent" and row["kind"] == "measured"]
    np.testing.assert_allclose([exponent["value"], exponent["low"], exponent["high"]], 1.5)
    assert exponent["mlp_factor"] == 1.0
    ends = {row["kind"]: row["value"] for row in rows if row["measure"] == "diversity_threshold"}
    assert ends == {"measured": np.inf, "predicted": np.inf}  # 10 * 16^1.5 = 640 steps are over


def test_runs_that_never_go_over_have_no_exponent():
    config = StrategiesConfig(n_tasks=(2, 4), mlp_factors=(1.0,), n_seeds=1)
    cells = _cells(np.full((2, 4), 0.5), relative=np.zeros((2, 4)))
    rows = list(transition_rows(config, cells, [PosteriorParameters(0.4, 0.5, 1.0)] * 2))
    [row] = [row for row in rows if row["measure"] == "transition_exponent" and row["kind"] == "measured"]
    assert np.isnan(row["value"])


def test_rows_of_the_gate_that_reads_the_context_are_of_many_positions():
    """Also where all positions of all sequences were kept, in order."""
    cells = _cells(np.full((1, 4), 0.5))
    answers = cells.runs[0].answers["ibd"]
    positions = torch.arange(4096.0, dtype=torch.float64) % 16
    m, g = (part[:1].expand(4096, -1) for part in answers[1:3])
    long = answers._replace(transformer=answers.transformer[:, :1].expand(-1, 4096, -1), m=m, g=g, evidence=positions)
    cells = dataclasses.replace(cells, runs=[cells.runs[0]._replace(answers={"ibd": long})])
    rows = gates._some_rows(cells, 0)
    assert rows.evidence.shape == (1, gates.CONTEXT_ROWS)
    assert np.unique(rows.evidence).tolist() == list(range(16))


def test_median_of_means_is_that_of_seeded_random_groups():
    values = torch.randn(103, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    assert median_of_means(values, 1, seed=4) == pytest.approx(values.mean().item())
    assert median_of_means(values, 103, seed=4) == pytest.approx(values.median().item())
    groups = values[torch.from_numpy(np.random.default_rng(7).permutation(103))][:100].view(5, 20)
    assert median_of_means(values, 5, seed=7) == pytest.approx(np.median(groups.mean(1)))
    assert (
        median_of_means(values, 5, seed=7) == median_of_means(values, 5, seed=7) != median_of_means(values, 5, seed=8)
    )
    spoiled = values.clone()
    spoiled[:2] = 1e12
    assert abs(median_of_means(spoiled, 10, seed=0)) < 1


def _agreement(cells, gate, resamples=200):
    rows = agreement_rows(cells, [gate], n_resamples=resamples, seed=0)
    return {row["measure"]: row for row in rows}


def test_a_gate_that_is_the_mixture_agrees_wholly_and_its_interval_is_a_point():
    weights = np.array([[0.1, 0.4, 0.6, 0.9], [0.2, 0.3, 0.7, 0.8]] * 3)
    found = _agreement(_cells(weights), PlayedGate("itself", np.log(weights / (1 - weights)).ravel()))
    for measure, value in {
        "total_variation": 0,
        "discrepancy": 0,
        "rank_correlation": 1,
        "argmax_agreement": 1,
    }.items():
        row = found[measure]
        np.testing.assert_allclose([row["value"], row["low"], row["high"]], value, atol=1e-9)
    assert found["correlation"]["value"] > 0.98
    assert found["correlation"]["low"] <= found["correlation"]["value"] <= found["correlation"]["high"]


def test_intervals_are_over_runs_drawn_with_replacement():
    """Of five runs one is met and four are missed: a draw of five misses them in a binomial number of times."""
    weights = np.array([[0.5] * 4, *[[0.9] * 4] * 4])
    found = _agreement(_cells(weights), PlayedGate("half", np.zeros(20)), resamples=2000)
    missed = _agreement(_cells(weights[1:]), PlayedGate("half", np.zeros(16)))
    low = stats.binom.ppf(0.025, 5, 0.8) / 5
    for measure in ("total_variation", "discrepancy"):
        far = missed[measure]["value"]
        assert far > 0.01
        assert np.isnan([missed[measure]["low"], missed[measure]["high"]]).all()  # four runs are too few
        row = found[measure]
        np.testing.assert_allclose([row["value"], row["low"], row["high"]], [0.8 * far, low * far, far], atol=1e-9)
    assert np.isnan(found["correlation"]["value"])  # a gate that never moves correlates with nothing


def test_the_evidence_of_a_context_moves_a_gate_that_reads_it():
    cells = _cells([[0.5] * 4, [0.5] * 4])
    strong = cells.runs[0].answers["ibd"]._replace(evidence=torch.full((40,), 3.0, dtype=torch.float64))
    runs = [run._replace(answers={"ibd": strong}) for run in cells.runs]
    cells = dataclasses.replace(cells, runs=runs)
    assert _agreement(cells, PlayedGate("a", np.zeros(8)))["total_variation"]["value"] == pytest.approx(0, abs=1e-9)
    moved = _agreement(cells, PlayedGate("b", np.zeros(8), kappa=1.0))["total_variation"]["value"]
    same = _agreement(cells, PlayedGate("c", np.full(8, 3.0)))["total_variation"]["value"]
    assert moved == pytest.approx(same)
    assert moved > 0.05


def test_objectives_are_means_over_answers_of_each_replica():
    batch = Urns([4, 4], [0, 1], dim=3, length=5).fresh(0, 6)
    log_p = torch.randn(2, 6, 5, 3, generator=torch.Generator().manual_seed(0)).log_softmax(-1)
    loss = every_draw_log_loss(log_p, batch)
    for r in range(2):
        losses = [-log_p[r, b, t, batch.y[r, b, t]].item() for b in range(6) for t in range(5)]
        assert loss[r].item() == pytest.approx(np.mean(losses), rel=1e-5)
    pairs = LinearRegression([4, 4], [0, 1], dim=3, length=5).fresh(0, 6)
    error = squared_error(torch.zeros(2, 6, 5), pairs)
    np.testing.assert_allclose(error, pairs.y.square().flatten(1).mean(1), rtol=1e-6)


def _alone(sequences):
    return Sequences(*(part[0] for part in sequences))


def test_the_evidence_of_draws_is_the_log_ratio_of_their_marginal_probabilities():
    """ln of the mean over urns of the product of frequencies, less that of the Dirichlet-multinomial."""
    sampler, family = Urns([5], [3], dim=4, length=7), FAMILIES["urns"]
    sequences = _alone(sampler.fresh(0, 9))
    evidence = family.evidence(sampler, family.memorizer(sampler, 0)[0], family.generalizer(sampler), sequences)
    urns = sampler.table(0).numpy()
    for b, t in itertools.product(range(9), range(7)):
        seen = sequences.y[b, :t].numpy()
        counts = np.bincount(seen, minlength=4)
        of_m = np.log(np.mean(np.prod(urns[:, seen], axis=1)))
        of_g = gammaln(4) - gammaln(4 + t) + gammaln(1 + counts).sum()
        assert evidence[b, t].item() == pytest.approx(of_m - of_g, abs=1e-9)


def test_the_evidence_of_items_is_that_of_their_labels_given_their_inputs():
    """Each context label: its posterior probability over the D items, as shown, against one half."""
    sampler, family, v = ItemLabels([3], [3], dim=4, length=5), FAMILIES["item_labels"], 0.5
    sequences = _alone(sampler.fresh(0, 6))
    evidence = family.evidence(sampler, family.memorizer(sampler, 0)[0], family.generalizer(sampler), sequences)
    items, labels = sampler.table(0)
    for b in range(6):
        wanted = 0.0
        for t in range(4):
            apart = sequences.x[b, t].double() - items.double() / (1 + v) ** 0.5
            posterior = (-(apart**2).sum(-1) * 4 * (1 + v) / (2 * v)).softmax(0)
            wanted += math.log(posterior[labels == sequences.y[b, t]].sum().item() * 2)
        assert evidence.flatten()[b].item() == pytest.approx(wanted, abs=1e-4)


def test_the_loss_of_a_number_is_its_log_density_but_for_what_all_answers_share():
    sampler, family = LinearRegression([3], [3], dim=4, length=5, noise_variance=0.3), FAMILIES["linear_regression"]
    sequences = _alone(sampler.fresh(0, 6))
    means = torch.randn(6, 5, generator=torch.Generator().manual_seed(0))
    loss = family.losses(sampler, means, sequences)
    density = torch.distributions.Normal(means.double(), 0.3**0.5).log_prob(sequences.y.double())
    np.testing.assert_allclose(loss + density, -0.5 * math.log(2 * math.pi * 0.3), rtol=1e-6)
