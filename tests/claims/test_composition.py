"""Statements 4.14 to 4.17 of docs/theory.md: sums over cells, composition, online to batch."""

import math

import numpy as np
import torch
from scipy import stats

from gating.checks.streams import record
from gating.gates import (
    AdaHedgeGate,
    BayesMixtureGate,
    ExponentialWeightsGate,
    GradientDescentGate,
)
from gating.gates.online import play
from tests.claims.hindsight import ROUNDING, never_above_bound
from theory.composition import cells_bound, composition_bound, online_to_batch_bound
from theory.distribution import ClassMixture
from theory.mixture_regret import (
    laplace_bound,
)
from theory.regret import (
    exponential_weights_bound,
    gradient_descent_bound,
)

N_ROUNDS = 200


def test_4_14_sum_over_cells_with_one_shared_step(generator: np.random.Generator) -> None:
    n_cells, n_rounds, n_streams = 8, 160, 1000
    shares = generator.dirichlet(np.full(n_cells, 0.3), n_streams).cumsum(axis=1)
    gate = GradientDescentGate((n_streams, n_cells), loss_range=1.0, horizon=n_rounds / n_cells)
    for _ in range(n_rounds):
        cells = torch.from_numpy((generator.random((n_streams, 1)) > shares[:, :-1]).sum(axis=1))
        alpha = gate.alpha(cells)
        gate.update(torch.where(alpha >= 0.5, 1.0, -1.0), 0.0, cells)
    bound = cells_bound(n_cells, n_rounds, 1.0)
    assert gate.bound().sum(dim=1).max().item() <= bound + ROUNDING  # below it where a cell was never met
    assert gate.regret().sum(dim=1).max().item() <= bound


def test_4_14_a_step_for_all_rounds_breaks_the_per_cell_bound() -> None:
    """With the step of T rounds, a cell met n_x << T times has more regret than B sqrt(n_x) / 2."""
    n_cells, n_rounds = 100, 10_000
    gate = GradientDescentGate((1, n_cells), loss_range=1.0, horizon=n_rounds)
    visits = n_rounds // n_cells
    for _ in range(visits):
        gate.update(0.0, 1.0)
    assert gate.regret().max().item() > math.sqrt(visits) / 2
    assert gate.regret().sum().item() > cells_bound(n_cells, n_rounds, 1.0)
    never_above_bound(gate, gate.regret())


def test_4_15_composition_of_gate_and_learners(generator: np.random.Generator) -> None:
    """Log loss of the mixed prediction, Laplace in weights, a fixed copier in context, a gate per cell."""
    spec = ClassMixture(label_noise=0.1)
    stream = record(spec, generator, N_ROUNDS, 200)
    losses = -stream.p_in_weight.log(), -stream.p_in_context.log()
    labels, shape = spec.n_classes, (200, spec.n_classes)
    loss_range = math.log(N_ROUNDS + labels) + 1
    gates = [
        GradientDescentGate(shape, loss_range=loss_range, horizon=N_ROUNDS / labels),
        ExponentialWeightsGate(shape, loss_range=loss_range),
        AdaHedgeGate(shape),
        BayesMixtureGate(shape),
    ]
    for gate in gates:
        alpha = play(gate, *losses, stream.cells)
        composed = -(alpha * stream.p_in_weight + (1 - alpha) * stream.p_in_context).log().sum(dim=0)
        g, h = (loss.reshape(shape) for loss in (gate.loss_in_weight, gate.loss_in_context))
        bound = composition_bound(g, h, gate.bound())
        assert (composed.numpy() <= bound + ROUNDING).all()
        # The minimum over sets of cells is the sum of the minima of the cells.
        some = generator.random((50, 1, labels)) < 0.5
        assert (composition_bound(g, h, 0.0) <= np.where(some, g, h).sum(axis=-1) + ROUNDING).all()


def test_4_15_learner_regret_adds_per_cell(generator: np.random.Generator) -> None:
    labels, streams = 10, 200
    stream = record(ClassMixture(label_noise=0.1), generator, N_ROUNDS, streams)
    gate = BayesMixtureGate((streams, labels))
    play(gate, -stream.p_in_weight.log(), -stream.p_in_context.log(), stream.cells)
    rounds = gate.rounds.reshape(streams, labels).numpy()
    regret = laplace_bound(rounds, labels)
    best_g = np.maximum(gate.loss_in_weight.reshape(streams, labels).numpy() - regret, 0)
    bound = composition_bound(
        best_g, gate.loss_in_context.reshape(streams, labels), gate.bound(), in_weight_regret=regret
    )
    assert (gate.loss.reshape(streams, labels).sum(dim=1).numpy() <= bound + ROUNDING).all()


def test_4_16_a_shared_learner_has_no_bound_on_a_part_of_its_rounds() -> None:
    """Two cells in turn, each with its own better expert: no regret over all rounds, linear regret in each cell."""
    n = 1000
    shared = ExponentialWeightsGate((1,), loss_range=1.0, horizon=n)
    paid = []
    for t in range(n):
        paid.append(shared.update(float(t % 2), float((t + 1) % 2)).item())
    never_above_bound(shared, shared.regret())
    first_cell = sum(paid[::2])  # rounds in which expert g loses nothing
    assert first_cell > n / 5
    assert first_cell > 10 * exponential_weights_bound(n / 2, 1.0, horizon=n)
    own = ExponentialWeightsGate((2,), loss_range=1.0, horizon=n / 2)
    for _ in range(n // 2):
        own.update(torch.tensor([0.0, 1.0]), torch.tensor([1.0, 0.0]))
    never_above_bound(own, own.regret())


def test_4_17_online_to_batch_in_expectation_and_with_probability(generator: np.random.Generator) -> None:
    n, runs, delta = 100, 20_000, 0.05
    for mean in (0.0, 0.1, -0.4):
        d = np.where(generator.random((n, runs)) < (1 + mean) / 2, 1.0, -1.0)
        gate = GradientDescentGate((runs,), loss_range=1.0, horizon=n)
        weights = play(gate, torch.from_numpy(d), torch.zeros(n, runs)).mean(dim=0).numpy()
        excess = mean * weights - min(mean, 0.0)
        bound = online_to_batch_bound(gradient_descent_bound(n, 1.0, horizon=n), n)
        assert excess.mean() <= bound + 4 * excess.std() / math.sqrt(runs)
        measured = np.maximum(gate.regret().numpy(), 0)
        failures = excess > online_to_batch_bound(measured, n, loss_range=1.0, delta=delta)
        assert stats.binomtest(int(failures.sum()), runs, delta, alternative="greater").pvalue > 1e-6


def test_4_17_no_such_bound_holds_for_a_single_run() -> None:
    """A misleading sample, of positive probability: all rounds favour g, which is worse on average."""
    n, mean = 100, 0.5
    gate = GradientDescentGate((1,), loss_range=1.0, horizon=n)
    weights = play(gate, -torch.ones(n, 1), torch.zeros(n, 1))
    excess = mean * weights.mean().item()
    assert excess > 5 * gate.regret().item() / n
    assert excess > 5 * online_to_batch_bound(gradient_descent_bound(n, 1.0, horizon=n), n)
