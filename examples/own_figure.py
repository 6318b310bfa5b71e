"""A figure of one's own from a result table: the exact risks of the rare classes over N, as own_figure.svg."""

import matplotlib.pyplot as plt

from gating import bounds, last_step, select

table = bounds(n_sequences=[2**k for k in range(4, 15)], distribution={"label_noise": 0.1}, measures="error")
rows = select(last_step(table), {"group": "low", "kind": "exact", "measure": "error", "context": "relevant"})
figure, axes = plt.subplots(figsize=(4, 3), layout="constrained")
for system, name in (("tabular", "from weights"), ("copying", "from the context")):
    curve = select(rows, {"system": system}).sort_values("n")
    axes.plot(curve["n"].astype(float), curve["value"], marker="o", label=name)
axes.set(xscale="log", xlabel="training sequences N", ylabel="error", ylim=(0, 1), title="Rare classes")
axes.legend()
figure.savefig("own_figure.svg")
