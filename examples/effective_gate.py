"""The effective gate of any model
===============================

Of which mixture of g (what the weights say) and h (what the context says) is a model's answer? The *effective gate*
is the weight of g whose mixture is nearest to the model; the *residual* is the KL divergence that is left, and says
whether the model is a mixture of the two at all. All it takes is log-probabilities, of numpy or torch.
"""

import numpy as np
import pandas as pd

from gating import Axis, Figure, Layer, Panel, System, effective_gate, plot

generator = np.random.default_rng(0)
g, h, other = generator.dirichlet(np.ones(10), size=(3, 200))  # answers to 200 questions with ten labels

# %%
# A model that is 30% of g, with more and more of something that is neither g nor h.

rows = []
for foreign in np.linspace(0, 1, 21):
    model = (1 - foreign) * (0.3 * g + 0.7 * h) + foreign * other
    found = effective_gate(np.log(model), np.log(g), np.log(h))
    rows.append({"x": foreign, "alpha": float(found.alpha), "residual": float(found.residual)})
table = pd.DataFrame(rows)
print(table[::5].round(3).to_string(index=False))

# %%
# Read the residual first: on the right the gate is near one half, and means nothing.

layers = [
    Layer(System(name, "", colour), table[["x", column]].set_axis(["x", "value"], axis=1).assign(line="0"), "line")
    for name, column, colour in (("effective gate", "alpha", "#0072b2"), ("residual, nats", "residual", "#d55e00"))
]
panel = Panel("", "", Axis("gate, and nats", 0), tuple(layers))
axis = Axis("share of the answer that is neither g nor h", 0, 1)
chart = plot(Figure("gate", "A gate is as good as its residual", (), axis, (panel,), columns=1))
