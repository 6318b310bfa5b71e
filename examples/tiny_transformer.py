"""A tiny Transformer: right, but from where?
==========================================

A Transformer reads x₁, y₁, x and names the label of x. In base, on sequences like those of training, a right answer may
come from the weights or from the context. On sequences whose labels have *moved* only the context tells the answer, so
that a model that answers from its weights errs. Here one is trained for some hundred steps.
"""

import pandas as pd
import torch
from torch.nn.functional import nll_loss

from gating import Axis, ClassMixture, ClassMixtureSampler, Figure, Layer, Panel, System, Transformer, plot
from gating.models.layers import generators

spec = ClassMixture(dim=16, input_noise=0.05)
task = ClassMixtureSampler([spec], [4096], data_seeds=[0])
model = Transformer(spec.dim, spec.n_classes, spec.context_length, width=spec.dim, rngs=generators([0]))
optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
classes = torch.arange(spec.n_classes).repeat_interleave(40)
in_base = task.fresh(0, classes, torch.ones_like(classes, dtype=torch.bool))  # the contexts show the query's class
tests = {"in base": in_base, "labels moved": task.out_of_base(in_base)}

# %%
# Train, and every 25 steps look at the errors on both.

rows = []
for step in range(401):
    for name, test in tests.items() if step % 25 == 0 else ():
        with torch.no_grad():
            wrong = (model(test).argmax(-1) != test.target)[0].float()
        rows.append({"x": step, "test": name, "group": "frequent", "value": float(wrong[classes < spec.n_high].mean())})
        rows.append({"x": step, "test": name, "group": "rare", "value": float(wrong[classes >= spec.n_high].mean())})
    batch = task.batches(step, 1, 32)
    optimizer.zero_grad()
    nll_loss(model(batch)[0], batch.target[0]).backward()
    optimizer.step()
table = pd.DataFrame(rows).assign(line="0")
print(table.pivot(index="x", columns=["test", "group"], values="value").iloc[::4].round(2))

# %%
# An error near 1 where labels have moved: what it got right, it took from its weights.

colours = {"frequent": "#0072b2", "rare": "#d55e00"}
panels = tuple(
    Panel("", name, Axis("error", 0, 1), tuple(
        Layer(System(group, "", colours[group]), rows, "line")
        for group, rows in table[table["test"] == name].groupby("group")
    ))
    for name in tests
)  # fmt: skip
chart = plot(Figure("moved", "The same model, and labels that move", (), Axis("steps"), panels, columns=2))
