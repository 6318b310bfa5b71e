"""Pictures of sections 6 to 11 of docs/theory.md: strategies, mixtures fitted to models, and training."""

import math

import numpy as np
from scipy import special, stats

from docs.theory.marks import CONTEXT, EXACT, GATE, GREY, LOWER, PURPLE, UPPER, WEIGHTS, line
from gating import Axis, Figure, Panel
from theory import (
    ClassMixture,
    acquisition_time,
    class_mixture_kinetics,
    icl_error,
    idg_error,
    memory_free_error,
    noisy_input_error,
    ridge_error,
    transition_time,
)
from theory.simplex import certified


def strategies() -> Figure:
    """Section 6: the loss gap between its bounds, and the transition time that follows."""
    draws = 20
    counts = np.arange(draws + 1)
    arrangements = special.comb(draws, counts)
    general = special.beta(counts + 1, draws - counts + 1)

    def gaps(urns: np.ndarray) -> np.ndarray:
        law = (urns[..., None] ** counts * (1 - urns[..., None]) ** (draws - counts)).mean(axis=-2)
        return np.asarray((arrangements * special.rel_entr(law, general)).sum(axis=-1))

    generator, tasks = np.random.default_rng(0), 2 ** np.arange(9)
    mean = np.array([np.mean([gaps(generator.random((500, int(d)))).mean() for _ in range(8)]) for d in tasks])
    nodes, weights = special.roots_legendre(200)
    information = float(weights / 2 @ gaps((1 + nodes)[:, None] / 2))
    second = special.beta(2 * counts + 1, 2 * (draws - counts) + 1)
    chi_square = float((arrangements * second / general).sum() - 1)
    gap = (
        line("upper bounds (6.2)", CONTEXT, UPPER, tasks, np.minimum(information, np.log1p(chi_square / tasks))),
        line("mean over draws of the tasks", CONTEXT, EXACT, tasks, mean),
        line("lower bound (6.2)", CONTEXT, LOWER, tasks, np.maximum(information - np.log(tasks), 0)),
    )
    k_g, each = 1000.0, 200.0  # bits: the program, and the table of one task
    times = {alpha: transition_time(mean / draws, k_g + each * tasks, k_g, alpha=alpha, beta=0.5, gamma=1.0)
             for alpha in (0.0, 0.3)}  # fmt: skip
    time = (
        line("N*, evidence in full (alpha = 0)", GATE, EXACT, tasks, times[0.0]),
        line("N*, evidence discounted (alpha = 0.3)", PURPLE, EXACT, tasks, times[0.3]),
        line("in proportion to D", GREY, LOWER, tasks, times[0.0][0] * tasks),
    )
    panels = (
        Panel("What memorizing saves, urns of two colours", "", Axis("loss gap of 20 draws (nats)", 0), gap),
        Panel("When memorizing takes over (6.3)", "", Axis("steps N*", scale="log"), time),
    )
    axis = Axis("training tasks D", scale="log", ticks=(1, 4, 16, 64, 256))
    return Figure("strategies", "Loss gap and transition time over the number of tasks", (), axis, panels, 2)


def effective_weights() -> Figure:
    """Section 7: what a wrong weight costs, and the certificate that bounds it."""
    g, h = np.array([0.7, 0.1, 0.1, 0.1]), np.array([0.05, 0.8, 0.1, 0.05])
    w = np.linspace(0.005, 0.995, 100)
    panels = []
    for rest in (0.0, 0.2):
        model = (1 - rest) * (0.6 * g + 0.4 * h) + rest * np.array([0, 0, 0, 1.0])
        given = certified(np.tile(model, (len(w), 1)), np.tile(np.stack([g, h]), (len(w), 1, 1)),
                          np.stack([w, 1 - w], axis=1))  # fmt: skip
        divergence = special.rel_entr(model, w[:, None] * g + (1 - w[:, None]) * h).sum(axis=1)
        layers = (
            line("violation, largest e minus 1 (7.2)", PURPLE, UPPER, w, given.violation),
            line("bound, its logarithm (7.2)", GATE, UPPER, w, np.log1p(given.violation)),
            line("what better weights save", GATE, EXACT, w, divergence - divergence.min()),
            line("residual: what no mixture explains", GREY, LOWER, w, divergence.min()),
        )
        panels.append(Panel(f"{1 - rest:.0%} of the model a mixture", "", Axis("nats", 0, 1.5), layers))
    axis = Axis("weight given to the in-weight predictor", 0, 1)
    return Figure("effective-weights", "How wrong a weight can be", (), axis, tuple(panels), 2)


def linear_attention() -> Figure:
    """Section 8: errors on new and on known tasks over the number of sequences."""
    alpha, rho = 10.0, 0.1
    tau = np.unique(np.concatenate([np.geomspace(0.1, 0.97, 25), [0.99, 1.01], np.geomspace(1.03, 100, 35)]))
    panels = []
    for kappa, few in (
        (0.25, "Few tasks: a quarter of the dimensions"),
        (4.0, "Many tasks: four times the dimensions"),
    ):
        layers = (
            line("new tasks (8.1)", CONTEXT, EXACT, tau, icl_error(tau, alpha, rho, kappa)),
            line("training tasks (8.5)", WEIGHTS, EXACT, tau, idg_error(tau, alpha, rho, kappa)),
            line("answering 0", GREY, UPPER, tau, 1 + rho),
            line("any number of tasks and sequences (8.4)", CONTEXT, LOWER, tau, memory_free_error(alpha, rho)),
            line("ridge regression, best on new tasks (8.6)", GREY, LOWER, tau, ridge_error(alpha, rho)),
        )
        panels.append(Panel(few, "", Axis("mean squared error", 0.08, 6, scale="log"), layers))
    axis = Axis("training sequences over squared dimension, tau", scale="log")
    return Figure("linear-attention", "Linear attention on new tasks and on known ones", (), axis, tuple(panels), 2)


def kinetics() -> Figure:
    """Section 10: copying comes, and goes again where weights get good enough."""
    panels = []
    for n in (20, 1000):
        spec = ClassMixture()
        found = class_mixture_kinetics(spec, n)
        kept = np.flatnonzero(found.times >= 1)[::5]
        t, p = found.times[kept], spec.p_relevant
        confused = float(noisy_input_error(n, spec)[-1])
        share = min(1.0, (1 - p) / confused)
        layers = (
            line("new labels in context: copying", CONTEXT, EXACT, t, found.new_labels[kept, -1]),
            line("no answer in context: weights", WEIGHTS, EXACT, t, found.irrelevant[kept, -1]),
            line("gate, weight of the weights", GATE, EXACT, t, found.gate[kept, -1]),
            line("limit of copying (10.4)", CONTEXT, LOWER, t, 1 - share * (1 - confused / (spec.n_classes - 1))),
            line("limit of the gate (10.3)", GATE, LOWER, t, share),
        )
        panels.append(Panel(f"N = {n} training sequences", "", Axis("accuracy, weight", 0, 1), layers))
    axis = Axis("steps of rate 1", scale="log")
    return Figure("kinetics", "A rare class over training steps", (), axis, tuple(panels), 2)


def item_kinetics() -> Figure:
    """Section 11: time until attention is acquired, over where it starts."""
    beta, size = np.linspace(-2.5, 4, 14), 10**6
    early = beta < 0.1
    panels = []
    for w in (0.0, 1.0):
        clock = acquisition_time(math.inf, size, w=w, beta=beta) / (2 * size)
        layers = (
            line("time over 2N, exact flow (11.1)", GATE, EXACT, beta, clock),
            line("lower bound, Mills' ratio (11.4)", CONTEXT, LOWER, beta,
                 np.exp(-beta) * stats.norm.sf(w) / stats.norm.pdf(w)),
            line("limit of little attention (11.4)", PURPLE, LOWER, beta[early], np.exp(-2 * beta[early]) / 4),
        )  # fmt: skip
        panels.append(
            Panel(f"Output weight at the start: {w:g}", "", Axis("time over 2N", 0.005, 60, scale="log"), layers)
        )
    axis = Axis("attention logit at the start")
    return Figure("item-kinetics", "Time to acquire attention is exponential in its start", (), axis, tuple(panels), 2)
