"""A tiny Transformer: from the context or from the weights?
=========================================================

A Transformer reads x₁, y₁, x and names the label of x. On test sequences whose labels have *moved*, only the context
tells the answer, so that a model that answers from its weights errs. Trained here for some hundred steps, three models
at once, each from its own number N of training sequences.
"""

import pandas as pd
import torch
from torch.nn.functional import nll_loss

from gating import Axis, ClassMixture, ClassMixtureSampler, Figure, Layer, Panel, System, Transformer, plot
from gating.models.layers import generators

SIZES = [64, 512, 65536]
spec = ClassMixture(dim=16, input_noise=0.05, p_relevant=1.0)
task = ClassMixtureSampler([spec] * 3, SIZES, data_seeds=[0, 0, 0])
model = Transformer(spec.dim, spec.n_classes, spec.context_length, width=spec.dim, rngs=generators([0, 0, 0]))
optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
classes = torch.arange(spec.n_classes).repeat_interleave(40).expand(3, -1)
test = task.out_of_base(task.fresh(0, classes, torch.ones_like(classes, dtype=torch.bool)))

# %%
# Train; the loss of a replica does not depend on the others.

rows = []
for step in range(601):
    if step % 50 == 0:
        with torch.no_grad():
            wrong = model(test).argmax(-1) != test.target
        rows += [
            {"x": step, "value": float(w.float().mean()), "n": n, "line": "0"}
            for n, w in zip(SIZES, wrong, strict=True)
        ]
    batch = task.batches(step, 1, 32)
    optimizer.zero_grad()
    nll_loss(model(batch).flatten(0, 1), batch.target.flatten(), reduction="sum").div(32).backward()
    optimizer.step()
table = pd.DataFrame(rows)
print(table.pivot(index="x", columns="n", values="value").iloc[::4].round(2))

# %%
# Errors where labels have moved: 1 says that the weights answer, 0 that the context is copied.

colours = dict(zip(SIZES, ("#0072b2", "#009e73", "#d55e00"), strict=True))
layers = [Layer(System(f"N = {n:,}", "", colours[n]), rows, "line") for n, rows in table.groupby("n")]
panel = Panel("", "", Axis("error, labels moved", 0, 1), tuple(layers))
chart = plot(Figure("moved", "Does it copy from the context?", (), Axis("steps"), (panel,), columns=1))
