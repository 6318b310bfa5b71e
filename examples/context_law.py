"""How burstiness helps the context
================================

*Burstiness* is how often a context repeats the query's class. Copying errs less with every relevant token that is
added, if what decides is a vote; but the probability that a label drawn from the copier is wrong keeps a floor, since
every token may carry a wrong label (statement 2.5 of the theory).
"""

import pandas as pd

from gating import Axis, Figure, Layer, Panel, System, plot
from theory import ClassMixture, in_context_risk

LENGTH = 8
rows = []
for relevant in range(1, LENGTH + 1):
    spec = ClassMixture(context_length=LENGTH, n_relevant=relevant, label_noise=0.2)
    for measure in ("error", "linear_loss"):
        risk = spec.group_mean(in_context_risk(spec, measure, context="relevant"), "low")
        rows.append({"x": relevant, "value": float(risk), "measure": measure})
table = pd.DataFrame(rows)
print(table.pivot(index="x", columns="measure", values="value").round(3))

# %%
# The same as a picture. A `Figure` is data: panels of layers, drawn like every other figure of the project.

looks = {"error": System("the vote", "", "#0072b2"), "linear_loss": System("a label drawn", "", "#d55e00")}
layers = [Layer(look, table[table["measure"] == name].assign(line="0"), "line") for name, look in looks.items()]
panel = Panel("", "Rare classes", Axis("probability of an error", 0, 0.5), tuple(layers))
axis = Axis("relevant tokens among 8")
chart = plot(Figure("context-law", "Copying, by how bursty contexts are", (), axis, (panel,), columns=1))
