"""Rows of a sweep beside those of a run alone."""

import pandas as pd


def rows_at(table, **where):
    """Rows of a setting, as its study gives them."""
    names = {name.replace("__", "."): value for name, value in where.items()}
    for name, value in names.items():
        table = table[table[name] == value]
    return table.drop(columns=list(names)).dropna(axis=1, how="all").reset_index(drop=True)


def equal(one, other, tolerance=0.0):
    other = other.dropna(axis=1, how="all").reset_index(drop=True)
    assert sorted(one.columns) == sorted(other.columns)
    exact = {"check_exact": True} if not tolerance else {"rtol": tolerance, "atol": tolerance}
    pd.testing.assert_frame_equal(one[other.columns], other, **exact)
