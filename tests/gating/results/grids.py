"""A made-up table of one size of a sweep, as parts of a run hold it."""

from gating.results.table import make_table


def grid(n):
    rows = [
        {"n": n, "measure": measure, "system": system, "seed": seed, "kind": "measured", "value": n / (seed + 1024)}
        for seed in range(8)
        for system in ("transformer", "stylized")
        for measure in ("log_loss", "error", "expected_error")
    ]
    return make_table(rows)
