"""Exact risks between their bounds
================================

What do weights and context cost, and how far off are the bounds that know less? `gating bounds` computes the exact
error of label counts (from the weights) and of copying (from the context) over the number N of training sequences, and
bounds around them. The picture is the one of the study's page: full lines are exact, dashes are upper bounds, dots
lower ones.
"""

from gating import bounds, plot, select

table = bounds(distribution={"label_noise": 0.05}, n_sequences=[2**k for k in range(3, 17)], measures="error")
chart = plot(table, "error-by-n")

# %%
# What the study found stands in the same table, as rows whose ``answer`` is true: here, the N from which on label
# counts err no more than copying does.

found = select(table, {"answer": True, "measure": "crossover_error", "context": "relevant"})
print(found[["group", "kind", "value"]].to_string(index=False))
