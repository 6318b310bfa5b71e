"""Memorizing and generalizing: balls and urns
===========================================

A sequence is drawn from one of D urns. M, the *memorizing* predictor, knows the D urns and finds out which one it is;
G, the *generalizing* one, knows how urns are made and learns each anew. On a new urn M is stuck with the wrong ones: by
how much depends on D. (Wurgaft et al. 2025, where Transformers go from G to M.)
"""

import pandas as pd

from gating import Axis, Figure, Layer, Panel, System, Urns, plot
from gating.predictors.urns import UrnGeneralizer, UrnMemorizer

TASKS = [4, 16, 64, 256, 1024]
rows = []
for n_tasks in TASKS:
    task = Urns([n_tasks], [0], dim=8, length=64)
    predictors = {"memorizing": UrnMemorizer(task.urns[0]), "generalizing": UrnGeneralizer(8)}
    for unseen in (False, True):
        draws = task.fresh(0, 256, unseen=unseen)
        mine = draws._replace(x=draws.x[0], y=draws.y[0], classes=draws.classes[0])
        for name, predictor in predictors.items():
            said = predictor(mine).gather(-1, mine.y[..., None])
            rows.append({"x": n_tasks, "value": -float(said.mean()), "who": name, "unseen": unseen, "line": "0"})
table = pd.DataFrame(rows)
print(table.pivot_table(index="x", columns=["unseen", "who"], values="value").round(3))

# %%
# Log loss of a draw, on urns of the training set and on new ones:

colours = {"memorizing": "#d55e00", "generalizing": "#0072b2"}
panels = tuple(
    Panel("", "new urns" if unseen else "training urns", Axis("log loss, nats"), tuple(
        Layer(System(who, "", colours[who]), rows, "line") for who, rows in part.groupby("who")
    ))
    for unseen, part in table.groupby("unseen")
)  # fmt: skip
axis = Axis("urns in training, D", scale="log")
chart = plot(Figure("urns", "What memory is worth, and what it costs", (), axis, panels, columns=2))
