"""Emergence and transience, in theory
===================================

`gating kinetics` follows a small model over training steps: copying from the context emerges first, weights take over
rare classes later, and whether reading the context is lost again depends on how many sequences there are to learn.
"""

from gating import kinetics, plot, select

table = kinetics(distribution={"p_relevant": 0.8}, n_sequences=[20, 1000], steps=1_000_000)
chart = plot(table)

# %%
# Steps at which something happens to the rare classes (infinite: it never does).

found = select(table, {"answer": True, "group": "low"})
print(found.pivot_table(index="measure", columns="n", values="value").to_string(float_format="{:,.3g}".format))
