"""A sweep over two settings
=========================

How do label noise and the number of rare classes move the crossover N*? One sweep, its table read in three lines."""

# sphinx_gallery_thumbnail_path = "theory/phases.svg"
from gating import BoundsConfig, sweep

base = BoundsConfig(n_sequences=(100,), measures="error", contexts="relevant", groups="low")
over = {"distribution.label_noise": [0.0, 0.1, 0.2], "distribution.n_low": [5, 10, 20]}
table = sweep(base, over, say=lambda line: None)

found = table[table["answer"] & (table["kind"] == "exact")]
wide = found.pivot_table(index="distribution.label_noise", columns="distribution.n_low", values="value")
print(wide)
