"""What the study `strategies` says came out: of made-up tables, claims that must be made and that must not."""

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from strategies_table import CONFIG, STEPS, strategies_table

from gating.results.table import make_table
from gating.studies.strategies.verdict import strategies_verdict

Change = Callable[[pd.DataFrame], pd.DataFrame]
LIMITS = ["value", "low", "high"]


def where(table: pd.DataFrame, **columns: object) -> pd.Series:
    """Which rows have these values."""
    return pd.concat([table[name].eq(value).fillna(False) for name, value in columns.items()], axis=1).all(axis=1)


def without(**columns: object) -> Change:
    """Leaves rows out."""
    return lambda table: table[~where(table, **columns)]


def with_numbers(value: float, low: float = np.nan, high: float = np.nan, **columns: object) -> Change:
    """Gives rows other numbers."""

    def change(table: pd.DataFrame) -> pd.DataFrame:
        changed = table.copy()
        changed.loc[where(table, **columns), LIMITS] = value, low, high
        return changed

    return change


def reversed_order(table: pd.DataFrame) -> pd.DataFrame:
    """M at first, and then G."""
    distance = table["measure"] == "relative_distance"
    return table.assign(value=table["value"].where(~distance, 1 - table["value"]))


def at_edge(table: pd.DataFrame) -> pd.DataFrame:
    row = table[where(table, measure="gamma", fitted_to="all", system="posterior")]
    return make_table(pd.concat([table, row.assign(measure="gamma_at_edge")]))


def two_gates(ours: tuple[float, ...], control: tuple[float, ...]) -> Change:
    """Held-out correlations of the posterior and of the step in time."""
    held = {"measure": "correlation", "distribution": "ibd", "group": "held_out_tasks"}
    first, second = (
        with_numbers(*ours, system="posterior", **held),
        with_numbers(*control, system="step in time", **held),
    )
    return lambda table: second(first(with_numbers(np.nan, system="generalizing", **held)(table)))


EXPONENT = {"measure": "transition_exponent", "group": "seen"}
THRESHOLD = {"measure": "diversity_threshold"}
CASES: dict[str, tuple[Change, tuple[str, ...], tuple[str, ...]]] = {
    "as made": (
        lambda table: table,
        ("at first nearer to M at D = 4 and 16 and nearer to G at D = 64 and 256; after 20,000 steps, nearer to M at "
         "D = 4 to 64 and nearer to G at D = 256.", "interpolated: 180, predicted 170 [90, above all D]", "two seeds"),
        ("not described", "edge", "every D"),
    ),
    "one seed": (without(seed=1), ("this is one seed. Intervals are over its models alone",), ("two seeds",)),
    "order reversed": (
        reversed_order,
        ("at first nearer to M at D = 64 and 256 and nearer to G at D = 4 and 16; after 20,000 steps, nearer to M at "
         "D = 256 and nearer to G at D = 4 to 64.",),
        ("nearer to M at D = 4",),
    ),
    "seeds on both sides": (
        with_numbers(0.1, measure="relative_distance", seed=1, n_tasks=64, step=STEPS, distribution="ibd"),
        ("some nearer to M, some to G, at D = 64",),
        ("nearer to M at D = 4 to 64",),
    ),
    "nothing described": (without(measure="weight"), ("nothing can be said",), ("nearer", "Largest D", "grows")),
    "no Transformer": (without(system="transformer"), ("nothing can be said",), ("nearer", "Largest D", "grows")),
    "theory alone": (lambda table: table[table["kind"] == "exact"], ("nothing can be said",), ("nearer", "correlates")),
    "last steps not described": (
        without(measure="weight", step=STEPS), ("after 20,000 steps, not described at every D",), ("steps, nearer",)
    ),
    "a D is missing": (without(n_tasks=64), ("not described at D = 64",), ("every D",)),
    "few described": (lambda table: table[(table["measure"] != "weight") | (table["step"] == STEPS)],
                      ("Counted are only the 8 of 96 checkpoints",), ("divided",)),
    "no transition seen": (
        with_numbers(np.nan, **EXPONENT), ("Too few D go over from G to M",), ("grows as D^",)
    ),
    "exponent not predicted": (with_numbers(np.nan, system="posterior", **EXPONENT), ("grows as D^1.21 [1.11, 1.41].",),
                               ("predicted 1.15", "D^1.21 [1.11, 1.41],")),
    "exponents overlap": (with_numbers(1.0, 0.8, 1.2, system="posterior", **EXPONENT),
                          ("predicted 1 [0.8, 1.2]: cannot be told apart",), ("intervals apart",)),
    "exponents apart": (with_numbers(0.5, 0.4, 0.6, system="posterior", **EXPONENT),
                        ("predicted 0.5 [0.4, 0.6]: intervals apart",), ("0.6]: cannot",)),
    "exponents without intervals": (with_numbers(1.0, system="posterior", **EXPONENT),
                                    ("predicted 1: no intervals",), ("1: cannot", "intervals apart")),
    "all memorized": (with_numbers(np.inf, **THRESHOLD), ("interpolated: above all D, predicted above all D",),
                      ("180",)),
    "none memorized": (with_numbers(0.0, kind="measured", **THRESHOLD), ("interpolated: below all D,",),
                       (": 0,", "180")),
    "no threshold measured": (without(kind="measured", **THRESHOLD), ("interpolated: predicted 170",), ("180",)),
    "better than the control": (two_gates((0.9, 0.85, 0.95), (0.2, 0.1, 0.3)),
                                ("held-out D 0.9 [0.85, 0.95] (best control 0.2; best possible",),
                                ("told apart; best",)),
    "as good as the control": (two_gates((0.9, 0.1, 0.95), (0.8, 0.6, 0.9)),
                               ("best control 0.8, cannot be told apart",), ("0.8; best",)),
    "too few models for intervals": (two_gates((0.9,), (0.8,)), ("held-out D 0.9 (best control 0.8, no intervals",),
                                     ("told apart; best",)),
    "no floor": (without(system="free in every cell"), ("held-out D 0.97",), ("best possible",)),
    "nothing held out": (without(group="held_out_tasks"), ("distance: cells of the fit 0.97",), ("held-out",)),
    "no gates": (without(measure="correlation"), ("Largest D",), ("correlates",)),
    "edge of a range": (at_edge, ("Fitted gamma ended at the edge",), ("Fitted alpha",)),
}  # fmt: skip


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    return strategies_table()


@pytest.mark.parametrize("name", CASES)
def test_what_is_said_and_what_is_not(table, name):
    change, said, unsaid = CASES[name]
    text = " ".join(strategies_verdict(CONFIG, change(table)))
    assert all(words in text for words in said), text
    assert not any(words in text for words in unsaid), text
    assert "nan" not in text


def test_the_largest_width_is_named():
    text = " ".join(strategies_verdict(CONFIG, strategies_table(factors=(2.0, 4.0, 8.0))))
    assert "(MLP factor 8)" in text
    assert "(MLP factor 2)" not in text
    assert "(MLP factor 4)" not in text


def test_a_table_without_rows_says_that_nothing_can_be_said(table):
    assert len(strategies_verdict(CONFIG, table[:0])) == 1
