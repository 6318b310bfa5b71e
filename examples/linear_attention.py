"""Linear attention: learning tasks, or the rule
=============================================

Regression in context by one layer of linear attention, solved exactly for many dimensions d (Lu et al. 2024). Trained
on few tasks the layer knows these alone; from about d tasks on it answers new ones as well. Where sequences are as many
as the layer has weights (τ = 1), its error peaks.
"""

import numpy as np
import pandas as pd

from gating import Axis, Figure, Layer, Panel, System, plot
from theory import icl_error, idg_error, linear_attention_phases

ALPHA, RHO = 10.0, 0.1  # pairs of a context over d, variance of the noise
kappa = np.geomspace(0.05, 50, 120)  # training tasks over d
curves = {
    "new tasks": (icl_error(100.0, ALPHA, RHO, kappa), "#0072b2"),
    "training tasks": (idg_error(100.0, ALPHA, RHO, kappa), "#d55e00"),
}
layers = [
    Layer(System(name, "", colour), pd.DataFrame({"x": kappa, "value": error, "line": "0"}), "line")
    for name, (error, colour) in curves.items()
]
panel = Panel("", "", Axis("squared error", 0, 1.2), tuple(layers))
axis = Axis("training tasks over d", scale="log")
chart = plot(Figure("tasks", "Enough tasks make a rule of a memory", (), axis, (panel,), columns=1))

# %%
# The phases along both axes: rows are sequences over d², columns tasks over d.

taus, kappas = np.array([[0.1], [0.9], [3.0], [100.0]]), np.array([0.1, 0.3, 1.0, 10.0])
print(pd.DataFrame(linear_attention_phases(taus, ALPHA, RHO, kappas), index=taus[:, 0], columns=kappas))
