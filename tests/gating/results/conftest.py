"""A folder with the parts of a made-up sweep, and a way to read a few rows at a time."""

import pytest
from grids import grid

from gating.results import parquet, table
from gating.results.parquet import write_table


@pytest.fixture
def small(monkeypatch):
    """Row groups, batches and merges of a few rows."""
    monkeypatch.setattr(parquet, "ROW_GROUP", 4)
    monkeypatch.setattr(parquet, "BATCH", 3)
    monkeypatch.setattr(table, "MERGED", 2)


@pytest.fixture
def folder(tmp_path):
    """Three parts of one sweep, of 48 rows each in 12 row groups."""
    for n in (64, 128, 256):
        write_table(grid(n), tmp_path / f"{n}.parquet", ordered=True)
    return tmp_path
