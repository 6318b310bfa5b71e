"""Pictures of sections 1 to 5 of docs/theory.md: both predictors, gates, and certified phases."""

import math
from collections.abc import Callable, Iterator

import numpy as np
import torch

from benchmarks.certified_noisy import copying_wrong
from docs.theory.marks import CONTEXT, EXACT, GATE, GREY, LOWER, PURPLE, RARE, UPPER, WEIGHTS, line, measured, upright
from gating import Axis, Figure, Panel
from gating.gates import BayesMixtureGate, GradientDescentGate, OnlineGate, UniversalPortfolioGate
from theory import (
    ClassMixture,
    Comparison,
    GateCells,
    bayes_mixture_bound,
    class_label_law,
    corollary_1,
    crossover,
    gradient_descent_bound,
    in_context_risk,
    in_weight_risk,
    noisy_input_error,
    oracle_gate,
    risk_bounds,
    two_expert_lower_bound,
    universal_portfolio_bound,
)
from theory.in_context_noise import risk_bounds as copying_bounds
from theory.in_weight import exact_log_loss
from theory.in_weight_bounds import log_loss_upper_bound
from theory.in_weight_lower_bounds import log_loss_lower_bound
from theory.label_learning import noise_entropy


def in_weight() -> Figure:
    """Section 1: exact risks over N, and bounds of every learner."""
    told, noisy = ClassMixture(label_noise=0.1), ClassMixture(input_noise=0.2, dim=64)
    sizes = np.unique(np.geomspace(1, 10_000, 40).round())
    q, labels = float(told.frequencies[-1]), told.n_classes
    law = class_label_law(told, labels - 1, "ibd")
    entropy = float(noise_entropy(labels, told.label_noise, told.label_noise_kind))
    logs = (
        line("upper bound, any label law (1.6)", WEIGHTS, UPPER, sizes,
             log_loss_upper_bound(sizes, q, labels, entropy=entropy)),
        line("exact, label counts (1.2, 1.4)", WEIGHTS, EXACT, sizes, exact_log_loss(sizes, q, law)),
        line("lower bound, every learner told the class (1.9, 1.10)", WEIGHTS, LOWER, sizes,
             log_loss_lower_bound(sizes, q, labels, label_noise=told.label_noise,
                                  label_noise_kind=told.label_noise_kind)),
        line("entropy H of a label", GREY, LOWER, sizes, entropy),
    )  # fmt: skip
    clean = in_weight_risk(ClassMixture(), sizes, "error", "ibd", cover_classes=False)
    errors = (
        line("nearest mean, noisy inputs (1.13)", PURPLE, UPPER, sizes,
             noisy.group_mean(noisy_input_error(sizes, noisy, "nearest_mean"), RARE)),
        line("Bayes rule, noisy inputs (1.14)", PURPLE, EXACT, sizes,
             noisy.group_mean(noisy_input_error(sizes, noisy), RARE)),
        line("exact, label counts (1.2, 1.4)", WEIGHTS, EXACT, sizes, noisy.group_mean(clean, RARE)),
    )  # fmt: skip
    axis = Axis("training sequences N", scale="log")
    panels = (
        Panel("Class told, 10% noisy labels", "", Axis("log loss (nats)", 0, 2.5), logs),
        Panel("Class told, or to be seen in noisy inputs", "", Axis("probability of an error", 0, 1), errors),
    )
    return Figure("in-weight", "What a rare class costs a predictor that sees the query alone", (), axis, panels, 2)


def in_context() -> Figure:
    """Section 2: copying over the number of relevant pairs."""
    length, noise = 8, 0.1
    r = np.arange(1, length + 1)
    clean = [ClassMixture(context_length=length, n_relevant=int(n)) for n in r]
    noisy = [ClassMixture(context_length=length, n_relevant=int(n), label_noise=noise) for n in r]
    labels, floor, warmth = clean[0].n_classes, 0.001, 2.0
    ends = np.array([corollary_1(length, length - int(n), labels, similarity=1.0, floor=floor) for n in r])
    raised = [corollary_1(length, length - int(n), labels, similarity=1.0, floor=floor, tightened=True)[0] for n in r]
    shares = np.array([1 - in_context_risk(spec, "linear_loss", temperature=warmth)[0] for spec in clean])
    logs = (
        line("upper bound (Corollary 1, 2.13)", CONTEXT, UPPER, r, ends[:, 1]),
        line("exact (2.1 to 2.3)", CONTEXT, EXACT, r, -np.log((1 - floor * labels) * shares + floor)),
        line("lower bound, raised (2.13)", CONTEXT, LOWER, r, raised),
        line("lower bound as printed (Corollary 1)", PURPLE, LOWER, r, ends[:, 0]),
    )
    floor_of_copying = in_context_risk(ClassMixture(label_noise=noise), "linear_loss")[0]  # of one relevant pair
    linear = (
        line("exact (2.1 to 2.3)", CONTEXT, EXACT, r,
             [in_context_risk(spec, "linear_loss", temperature=0.5)[0] for spec in noisy]),
        line("0-1 loss of a vote, exact (2.3)", PURPLE, EXACT, r,
             [in_context_risk(spec, "error", temperature=0.5)[0] for spec in noisy]),
        line("floor of copying, 1 - S (2.5)", GREY, LOWER, r, floor_of_copying),
        line("Bayes error, which weights reach (1.4)", WEIGHTS, LOWER, r, noise),
    )  # fmt: skip
    panels = (
        Panel("Clean labels, blunt attention", "", Axis("log loss (nats)", 0), logs),
        Panel("10% noisy labels, sharper attention", "", Axis("linear loss, 0-1 loss", 0, 0.3), linear),
    )
    axis = Axis("relevant pairs among eight", 1, length)
    return Figure("in-context", "What a context costs a predictor that copies its labels", (), axis, panels, 2)


def noisy_context() -> Figure:
    """Section 2: copying from noisy inputs, measured between its bounds."""
    noises, draws = np.linspace(0.05, 0.6, 12), 3000
    generator = np.random.default_rng(0)
    panels = []
    for dim in (64, 8):

        def spec(noise: float, dim: int = dim) -> ClassMixture:
            return ClassMixture(context_length=4, n_relevant=1, dim=dim, input_noise=float(noise))

        low, high = np.array(
            [copying_bounds(spec(noise), "error", temperature=0.1, squared_distance=None) for noise in noises]
        )[..., -1].T
        seen = [copying_wrong(spec(noise), 9, 0.1, draws, generator) for noise in noises]
        layers = (
            line("upper bound (2.10, 2.14)", CONTEXT, UPPER, noises, high),
            measured("measured, 3,000 sequences a point (two standard errors)", GREY, noises, seen, draws),
            line("lower bound (2.10, 2.14)", CONTEXT, LOWER, noises, low),
        )
        panels.append(Panel(f"{dim} dimensions", "", Axis("probability of an error", 0, 1), layers))
    axis = Axis("input noise, standard deviation of a coordinate", 0, 0.6)
    return Figure(
        "in-context-noise", "Copying from noisy inputs, one relevant pair of four", (), axis, tuple(panels), 2
    )


def best_gate() -> Figure:
    """Section 3: the best gate, free and under constraints, beside either predictor alone.

    Both predictors have met clean labels; one answer in ten is another label. Copying gives no answer less than 1%.
    """
    spec, noise, floor = ClassMixture(context_length=4, p_relevant=0.7), 0.1, 0.01
    sizes = np.geomspace(10, 1000, 24).round()
    classes, contexts = spec.n_classes, ("relevant", "irrelevant")
    shares = np.array([spec.p_relevant, 1 - spec.p_relevant])
    h = 1 - np.concatenate([in_context_risk(spec, "linear_loss", context=kind) for kind in contexts])
    h = np.clip(h, floor, 1 - floor)
    weights = 1 - in_weight_risk(spec, sizes, "linear_loss", "ibd", cover_classes=False)
    mass = np.outer(shares, spec.frequencies).ravel()
    query, context = np.tile(np.arange(classes), 2), np.repeat([0, 1], classes)
    panels = []
    for loss, name in (("log_loss", "Log loss"), ("linear_loss", "Linear loss")):
        found: dict[str, list[float]] = {}
        for g_of_class in weights:
            said, copied = (np.stack([p, 1 - p], axis=1) for p in (np.tile(g_of_class, 2), h))
            cells = GateCells(np.outer(mass, [1 - noise, noise]), said, copied, query, context)
            values = (
                cells.losses(1.0, loss=loss).sum(),
                cells.losses(0.0, loss=loss).sum(),
                oracle_gate(cells, loss=loss, query_only=True).value,
                oracle_gate(cells, loss=loss, memory=classes / 4).value,
                oracle_gate(cells, loss=loss).value,
            )
            for key, value in zip(("g", "h", "query", "memory", "free"), values, strict=True):
                found.setdefault(key, []).append(float(value))
        layers = (
            line("weights alone", WEIGHTS, EXACT, sizes, found["g"]),
            line("context alone", CONTEXT, EXACT, sizes, found["h"]),
            line("best gate with memory for a quarter of the classes (3.7)", PURPLE, UPPER, sizes, found["memory"]),
            line("best gate that sees the query alone (3.4)", GATE, UPPER, sizes, found["query"]),
            line("best gate that sees query and context (3.1)", GATE, EXACT, sizes, found["free"]),
        )
        panels.append(
            Panel(name, "", Axis("risk of the gate (nats)" if loss == "log_loss" else "risk of the gate"), layers)
        )
    axis = Axis("training sequences N", scale="log")
    return Figure("best-gate", "The best gate is below either predictor, and constraints only cost", (), axis,
                  tuple(panels), 2)  # fmt: skip


def played(gate: OnlineGate, rounds: Iterator[tuple[torch.Tensor, torch.Tensor]], at: set[int],
           best: Callable[[int], torch.Tensor] | None = None) -> list[float]:  # fmt: skip
    """Largest regret of any stream after some rounds, against the better predictor or another."""
    largest = []
    for t, (in_weight_loss, in_context_loss) in enumerate(rounds, 1):
        gate.update(in_weight_loss, in_context_loss)
        if t in at:
            regret = gate.regret() if best is None else gate.loss.reshape(gate.shape) - best(t)
            largest.append(float(regret.max()))
    return largest


def regret() -> Figure:
    """Section 4: the largest regret of many streams, and what bounds it."""
    streams, horizon = 300, 1000
    generator = torch.Generator().manual_seed(0)
    at = np.unique(np.geomspace(1, horizon, 30).round().astype(int))
    coins = torch.randint(2, (horizon, streams), generator=generator).double()
    paid = played(GradientDescentGate((streams,), loss_range=1.0),
                  ((row, 1 - row) for row in coins), {*at.tolist()})  # fmt: skip
    linear = (
        line("gradient descent: upper bound (4.3)", GATE, UPPER, at, gradient_descent_bound(at, 1.0)),
        line("gradient descent: played", GATE, EXACT, at, paid),
        line("lower bound, some stream of every learner (4.8)", GREY, LOWER, at, two_expert_lower_bound(at, 1.0)),
    )
    right = torch.linspace(0, 1, streams, dtype=torch.float64)
    hits = (torch.rand((horizon, streams), generator=generator, dtype=torch.float64) < right).double()
    good, bad = -math.log(0.999), -math.log(0.001)

    def rounds() -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        return ((good * row + bad * (1 - row), bad * row + good * (1 - row)) for row in hits)

    counts = hits.cumsum(0)

    def best_mixture(t: int) -> torch.Tensor:
        share = ((counts[t - 1] / t - 0.001) / 0.998).clamp(0, 1)
        named = 0.001 + 0.998 * share
        return -(torch.xlogy(counts[t - 1], named) + torch.xlogy(t - counts[t - 1], 1 - named))

    bayes = played(BayesMixtureGate((streams,)), rounds(), {*at.tolist()})
    portfolio = played(UniversalPortfolioGate((streams,), horizon=horizon), rounds(), {*at.tolist()}, best_mixture)
    logs = (
        line("universal portfolio, against the best mixture: upper bound (4.12)", PURPLE, UPPER, at,
             universal_portfolio_bound(at)),
        line("universal portfolio: played", PURPLE, EXACT, at, portfolio),
        line("Bayes mixture, against the better predictor: upper bound (4.7)", WEIGHTS, UPPER, at,
             bayes_mixture_bound(math.log(0.5))),
        line("Bayes mixture: played", WEIGHTS, EXACT, at, bayes),
    )  # fmt: skip
    panels = (
        Panel("Linear loss, losses within 1", "", Axis("largest regret of 300 streams", scale="log"), linear),
        Panel("Log loss (nats)", "", Axis("largest regret of 300 streams", 0, 5), logs),
    )
    return Figure("regret", "What gates lose to hindsight, and at most", (), Axis("rounds n", scale="log"), panels, 2)


def phases() -> Figure:
    """Section 5: where bounds of weights and copying part, there a phase is certified."""
    told, seen = ClassMixture(label_noise=0.1), ClassMixture(context_length=4, n_relevant=1, input_noise=0.2)
    sizes = np.unique(np.geomspace(2, 100_000, 44).round())
    asked = {
        "Rare classes, told, simple bounds": (told, "low", Comparison(bounds="simple")),
        "Rare classes, told, tight bounds": (told, "low", Comparison(bounds="tight")),
        "Rare classes, noisy inputs (2.15)": (seen, "low", Comparison(inputs="noisy", squared_distance=None)),
        "Frequent classes, noisy inputs (2.15)": (seen, "high", Comparison(inputs="noisy", squared_distance=None)),
    }
    panels = []
    for title, (spec, group, compare) in asked.items():
        ends, found = risk_bounds([spec], sizes, compare)[group], crossover(spec, group, compare)
        layers = (
            line("weights, upper bound", WEIGHTS, UPPER, sizes, ends.in_weight_upper[0]),
            line("weights, lower bound", WEIGHTS, LOWER, sizes, ends.in_weight_lower[0]),
            line("copying, upper bound", CONTEXT, UPPER, sizes, ends.in_context_upper[0]),
            line("copying, lower bound", CONTEXT, LOWER, sizes, ends.in_context_lower[0]),
            upright("crossover, earliest and latest (5.3)", GREY, [found.earliest, found.latest]),
        )
        panels.append(Panel(title, "", Axis("probability of an error", 0, 1), layers))
    axis = Axis("training sequences N", scale="log", ticks=(10, 1000, 100_000))
    return Figure("phases", "Where it is proven which predictor is better", (), axis, tuple(panels), 2)
