"""Asking a result table
=====================

Every study writes one table, a row for each number. Rows that were measured or computed have their setting in typed
columns; what the study *found* are rows whose ``answer`` is true. Here a small run of `gating regret` is asked three
questions.
"""

import pandas as pd

from gating import Axis, Figure, Layer, Panel, System, plot, regret, select, summarise

table = regret(
    preset="quick", n_rounds=500, n_seeds=3, n_records=12, gates=("adahedge", "bayes_mixture"), losses=("log_loss",)
)
print(len(table), "rows;", "columns:", ", ".join(table.columns))

# %%
# Means over the seeds, each with its interval and with what the interval is over:

means = summarise(select(table, {"answer": False, "measure": "regret_log_loss", "group": "all", "kind": "measured"}))
print(means[means["step"] == 500][["system", "value", "low", "high", "seeds", "over"]].round(2).to_string(index=False))

# %%
# One system over rounds, with its bound, as a figure:

rows = select(table, {"answer": False, "measure": "regret_log_loss", "group": "all", "system": "adahedge"})
looks = {"measured": System("measured", "", "#0072b2"), "upper": System("bound", "", "#d55e00", dash=(6, 4))}
layers = []
for kind, look in looks.items():
    of_kind = select(rows, {"kind": kind}).groupby("step", as_index=False)["value"].mean()
    layers.append(Layer(look, pd.DataFrame({"x": of_kind["step"], "value": of_kind["value"], "line": "0"}), "line"))
panel = Panel("", "AdaHedge", Axis("regret, nats"), tuple(layers))
chart = plot(Figure("adahedge", "Regret beside its bound", (), Axis("rounds", scale="log"), (panel,), columns=1))
