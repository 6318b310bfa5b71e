"""The best gate in hindsight, and what memory is worth
====================================================

Which weight of the in-weight predictor would have been best in each class, all losses being known? That is a convex
problem, solved with a certificate of how far from the best the answer can be. Here ten classes are learnt from 200
sequences, one label in ten is wrong, and the gate may keep at most m classes in its weights.
"""

import pandas as pd

from gating import Axis, Figure, Layer, Panel, System, plot
from theory import ClassMixture, GateCells, in_context_risk, in_weight_risk, oracle_gate

spec = ClassMixture(label_noise=0.1)
g = 1 - in_weight_risk(spec, 200, "error", "ibd", cover_classes=False)  # probability of a right answer, each class
h = 1 - in_context_risk(spec, "error", context="relevant")
cells = GateCells(spec.frequencies[:, None], g[:, None], h[:, None])

# %%
# The budget is the constraint ``memory``; its price is what one more class would save.

rows = []
for budget in range(11):
    gate = oracle_gate(cells, loss="linear_loss", memory=budget)
    rows.append({"x": budget, "value": gate.value, "line": "0", "price": gate.memory_price, "gap": gate.optimality_gap})
table = pd.DataFrame(rows)
print(table[["x", "value", "price", "gap"]].round(4).to_string(index=False))

look = System("best gate with a budget", "", "#0072b2")
panel = Panel("", "", Axis("probability of an error"), (Layer(look, table, "line"),))
axis = Axis("classes that the gate may take from weights")
chart = plot(Figure("memory", "What one more class in the weights saves", (), axis, (panel,), columns=1))
