"""Error bars that stay where errors can be
========================================

Student's interval over few seeds leaves [0, 1] near its ends, and has no width where no seed has erred. The interval of
every mean here does neither: it stays in the range of what is measured, and is at least as wide as the test sequences
make it.
"""

import pandas as pd
from scipy import stats

from gating import Axis, Figure, Layer, Panel, System, make_table, plot, summarise

SEEDS = {"no error": [0.0, 0.0, 0.0], "rare errors": [0.005, 0.0, 0.03], "half": [0.4, 0.55, 0.5]}
rows = [
    {"system": "transformer", "n": n, "seed": seed, "measure": "error", "value": error, "tests": 200}
    for n, errors in enumerate(SEEDS.values(), 1)
    for seed, error in enumerate(errors)
]
means = summarise(make_table(rows)).sort_values("n")
means["what"] = list(SEEDS)
for place, errors in enumerate(SEEDS.values()):
    mean, half = pd.Series(errors).mean(), stats.t.ppf(0.975, 2) * pd.Series(errors).sem()
    means.loc[means.index[place], ["student low", "student high"]] = mean - half, mean + half
print(means[["what", "value", "low", "high", "over", "student low", "student high"]].round(3).to_string(index=False))

# %%
# As a picture, with whiskers from end to end:

looks = {
    "this interval": ("low", "high", "#0072b2", -0.06),
    "Student's": ("student low", "student high", "#d55e00", 0.06),
}
layers = []
for name, (low, high, colour, aside) in looks.items():
    whiskers = [
        {"x": row["n"] + aside, "value": row[end], "line": str(row["n"])}
        for _, row in means.iterrows()
        for end in (low, high)
    ]
    layers.append(Layer(System(name, "", colour), pd.DataFrame(whiskers), "line"))
panel = Panel("", "", Axis("error", -0.1, 1), tuple(layers))
axis = Axis("1: no error, 2: rare errors, 3: half", 0.5, 3.5, ticks=(1, 2, 3))
chart = plot(Figure("intervals", "Three seeds of 200 test sequences", (), axis, (panel,), columns=1))
