"""Five gates that learn as they go
================================

An online gate weighs the two predictors before each round and learns from their losses afterwards. Its *regret* is what
it lost beyond the better predictor of each class, and each of these gates has a bound on it, whatever happens.
"""

from gating import plot, regret, select

table = regret(preset="quick", n_rounds=500, n_seeds=2, n_records=16, losses=("log_loss",))
chart = plot(table)

# %%
# Regret at the last round beside its bound, in nats; a negative one beat both predictors.

last = table[(table["step"] == table["step"].max()) & ~table["answer"]]
rows = select(last, {"measure": "regret_log_loss", "group": "all"})
print(rows.pivot_table(index="system", columns="kind", values="value").round(1).to_string())
