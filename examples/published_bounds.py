"""Bounds as published, and exact risks
====================================

Bounds of Chan et al. (2025) over N_x, printed and the project's own, with the exact risks: published_bounds.svg.

Eight labels in the context, k of them of other classes; ten labels, floor 0.001, similarities within 1 (B = 1), and
0.1% of wrong labels in training, as in the figure of the paper. The exact copying risk is that of unit vectors whose
similarity is 1 to their own class and 0 to others. N_x counts the labels that one input has had in training.
"""

import math

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from gating import Axis, Figure, Layer, Panel, System, save_plot
from theory import ClassMixture, class_label_law, corollary_1, in_context_risk, proposition_1
from theory.in_weight import exact_log_loss
from theory.in_weight_lower_bounds import log_loss_lower_bound

PAIRS, LABELS, FLOOR, NOISE = 8, 10, 0.001, 0.001
SIZES = [2**k for k in range(1, 15)]
WEIGHTS, CONTEXT = "#0072b2", "#d55e00"
PRINTED, OWN = (6, 4), (1.5, 3)  # dashes

law = class_label_law(ClassMixture(label_noise=NOISE), 0, "ibd")
least = log_loss_lower_bound([*SIZES, 10**9], 1.0, LABELS, label_noise=NOISE, label_noise_kind="uniform")
in_weight = {
    ("In-weight, Proposition 1 as printed", PRINTED): proposition_1(SIZES, LABELS, entropy=least[-1]),
    ("In-weight, exact (label counts)", ()): exact_log_loss(SIZES, 1.0, law),
    ("In-weight, lower bound of every learner", OWN): least[:-1],
}


def line(name: str, colour: str, dash: tuple[float, ...], *curves: list[float]) -> Layer:
    """One entry of the legend, over N_x."""
    rows = [(x, y, str(i)) for i, curve in enumerate(curves) for x, y in zip(SIZES, curve, strict=True)]
    return Layer(System(name, "", colour, dash=dash), pd.DataFrame(rows, columns=["x", "value", "line"]), "line")


def level(value: ArrayLike) -> list[float]:
    """The same number at every N_x."""
    return [float(np.asarray(value))] * len(SIZES)


def panel(k: int) -> Panel:
    """Both predictors where k labels of the context are of other classes."""
    how = {"similarity": 1.0, "floor": FLOOR}
    low, high = corollary_1(PAIRS, k, LABELS, **how)
    tight, _ = corollary_1(PAIRS, k, LABELS, **how, tightened=True)
    spec = ClassMixture(context_length=PAIRS, n_relevant=PAIRS - k, n_high=5, n_low=5)
    # e^(-D / temperature) = e^-1: what an unlike token weighs beside a like one
    share = float(1 - in_context_risk(spec, "linear_loss", temperature=2.0)[0])
    copies = -math.log((1 - FLOOR * LABELS) * share + FLOOR)
    layers = [
        line("Copying, Corollary 1 as printed", CONTEXT, PRINTED, level(low), level(high)),
        line("Copying, lower bound raised (2.13)", CONTEXT, OWN, level(tight)),
        line("Copying, exact", CONTEXT, (), level(copies)),
        *(line(name, WEIGHTS, dash, list(curve)) for (name, dash), curve in in_weight.items()),
    ]
    return Panel(f"k = {k}", "", Axis("log loss (nats)", 0.003, 4, scale="log"), tuple(layers))


axis = Axis("labels seen of the input, N_x", scale="log", ticks=(2, 16, 128, 1024, 8192))
caption = ("Where blue lies below orange, answers from weights are better.",)
panels = tuple(panel(k) for k in range(PAIRS))
figure = Figure("published-bounds", "Bounds as printed, raised, and the exact risks", caption, axis, panels, columns=4)
save_plot(figure, "", "published_bounds.svg")
