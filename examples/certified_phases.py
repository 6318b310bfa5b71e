"""A map of certified phases
=========================

In which settings is it *proved* that weights win, or the context? A setting is certified where the bounds of both
predictors part; between the two phases nothing is claimed. The map has the number N of training sequences from left
to right and the label noise from bottom to top, with four tokens in the context.
"""

from gating import phases, plot

axes = {
    "x": {"field": "n_sequences", "low": 10, "high": 1e6, "count": 30, "scale": "log"},
    "y": {"field": "label_noise", "low": 0.0, "high": 0.5, "count": 16},
}
table = phases(distribution={"context_length": 4, "input_noise": 0.2}, measure="error", **axes)
chart = plot(table)

# %%
# The share of settings that each phase covers:

shares = table[table["answer"]]
print(shares[["group", "measure", "value"]].to_string(index=False))
