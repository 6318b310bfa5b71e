"""When weights take over: the handover gate
=========================================

A context answers in a share p of the training rows, and the weights still miss δ. A gate that cannot tell which
contexts answer loses least at α* = min(1, (1 - p)/δ), and weights win on rows that no context answers once δ is below
(1 - p)/(1 - p/2) (statement 3.12 of the theory).
"""

import numpy as np
import pandas as pd

from gating import Axis, Figure, Layer, Panel, System, plot
from theory import handover_error, optimal_handover

shares, missed = (0.5, 0.8, 0.9, 0.95), np.linspace(0.01, 1, 100)
for p in shares:
    print(f"p = {p}: weights win once they miss less than {handover_error(p).item():.3f}")

# %%
# The gate over what the weights miss; training moves from the right of the picture to the left.

colours = ("#0072b2", "#009e73", "#e69f00", "#d55e00")
layers = []
for p, colour in zip(shares, colours, strict=True):
    alpha = optimal_handover(p, missed).alpha
    layers.append(
        Layer(System(f"p = {p}", "", colour), pd.DataFrame({"x": missed, "value": alpha, "line": "0"}), "line")
    )
panel = Panel("", "", Axis("best gate α*", 0, 1), tuple(layers))
axis = Axis("what the weights miss, δ", 0, 1)
chart = plot(Figure("handover", "The more contexts answer, the later weights take over", (), axis, (panel,), columns=1))
