"""A stylized model, trained for some hundred steps
================================================

The stylized model is f = αg + (1 - α)h: a perceptron g that sees the query alone, a softmax h that copies labels of the
context, and a gate α that sees the inputs, trained together. Watch the gate on rare and on frequent classes while it
learns from 4,096 sequences.
"""

import pandas as pd
import torch
from torch.nn.functional import nll_loss

from gating import (
    Axis,
    ClassMixture,
    ClassMixtureSampler,
    Figure,
    InWeightMLP,
    Layer,
    MLPGate,
    Panel,
    SoftmaxSimilarity,
    StylizedModel,
    System,
    plot,
)
from gating.models.layers import generators

spec = ClassMixture(dim=32, label_noise=0.05)
task = ClassMixtureSampler([spec], [4096], data_seeds=[0])
g = InWeightMLP(spec.dim, spec.n_classes, rngs=generators([0]))
gate = MLPGate(spec.dim, spec.context_length, inputs="query_and_context", rngs=generators([1]))
model = StylizedModel(g, SoftmaxSimilarity(spec.n_classes, 1), gate)
optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)

# %%
# Train, and every 25 steps look at the gate on test sequences: 100 of each class, with relevant contexts.

classes = torch.arange(spec.n_classes).repeat_interleave(100)
test = task.fresh(0, classes, torch.ones_like(classes, dtype=torch.bool))
rows = []
for step in range(501):
    if step % 25 == 0:
        alpha = gate.alpha(test)[0].detach()
        for group, chosen in (("frequent", classes < spec.n_high), ("rare", classes >= spec.n_high)):
            rows.append({"x": step, "value": float(alpha[chosen].mean()), "group": group, "line": "0"})
    batch = task.batches(step, 1, 32)
    optimizer.zero_grad()
    nll_loss(model(batch)[0], batch.target[0]).backward()
    optimizer.step()
table = pd.DataFrame(rows)

# %%
# The gate: the weight of what training stored.

colours = {"frequent": "#0072b2", "rare": "#d55e00"}
layers = [Layer(System(name, "", colours[name]), rows, "line") for name, rows in table.groupby("group")]
panel = Panel("", "", Axis("gate α", 0, 1), tuple(layers))
chart = plot(Figure("gate", "Weights take over frequent classes first", (), Axis("steps"), (panel,), columns=1))
