"""What the comparison says came out: of made-up tables, claims that must be made and that must not."""

import math
from typing import Any

import pandas as pd
import pytest
from compare_table import CONFIG, synthetic_table

from gating.results.table import make_table
from gating.studies.compare.config import CompareConfig
from gating.studies.compare.verdict import compare_verdict

NAN, INF = math.nan, math.inf
OUT = {"distribution": "oobd", "context": "relevant"}
USUAL = {"distribution": "ibd", "context": "as_trained"}
Rows = list[dict[str, Any]]


def gate(group: str, value: float, low: float = NAN, high: float = NAN, reached=3, already=0, seeds=3) -> dict:
    """The handover of a group."""
    return {"study": "compare", "system": "transformer", "measure": "crossover_gate", "kind": "measured", **OUT,
            "group": group, "value": value, "low": low, "high": high, "reached": reached, "already": already,
            "seeds": seeds, "answer": True}  # fmt: skip


def theory(group: str, value: float) -> dict[str, Any]:
    """From which N on counted labels err no more than copying."""
    return {"study": "compare", "system": "theory", "measure": "crossover_error", "kind": "exact", **USUAL,
            "group": group, "value": value, "answer": True}  # fmt: skip


def curves(system: str, *errors: float, measure: str = "error", where=OUT, group="low", spread=0.02, seeds=3) -> Rows:
    """Values of a curve over the three sizes, which differ between seeds by a spread."""
    return [
        {"study": "compare", "system": system, "kind": "measured", **where, "group": group, "measure": measure,
         "n": n, "step": 100, "seed": seed, "value": min(max(value + spread * (seed - (seeds - 1) / 2), 0), 1)}
        for n, value in zip((64, 512, 4096), errors, strict=False)
        for seed in range(seeds)
    ]  # fmt: skip


HANDOVER = [gate("low", 900, 700, 1100), gate("high", 200, 150, 260)]
THEORY = [theory("low", 102), theory("high", 11)]
LEARNT = [*curves("transformer", 0.1, 0.3, 0.9), *curves("transformer", 0.2, 0.8, 1.0, group="high"),
          *curves("transformer", 0.6, 0.3, 0.1, where=USUAL), *curves("stylized", 0.1, 0.3, 0.6)]  # fmt: skip

CASES: dict[str, tuple[Rows, tuple[str, ...], tuple[str, ...]]] = {
    "as hoped": (
        [*HANDOVER, *THEORY, *LEARNT],
        ("rare classes, from N = 900 [700, 1,100] on; frequent classes, from N = 200 [150, 260] on.",
         "copying on rare classes from N = 102 and on frequent classes from N = 11; earlier than",
         "At N = 4,096, on rare classes out of base, it errs more than the stylized model: error 0.9 [",
         "(1 is from weights, 0 from context.)"),
        ("Caution", "cannot be told apart", "not up to", "chance", "neither", "No mixture"),
    ),
    "nothing reached": (
        [gate("low", INF, reached=0), gate("high", INF, reached=0), theory("low", 20_000), theory("high", 11), *LEARNT],
        ("rare and frequent classes, not up to N = 4,096, the largest measured.",
         "which is no prediction of the handover"),
        ("from N = 4,096", "earlier than", "inf"),
    ),
    "not reached, and predicted before": (
        [gate("low", INF, reached=0), theory("low", 102), *LEARNT],
        ("earlier than the Transformer's handover",), ("inf",),
    ),
    "reached before the first size": (
        [gate("low", 0.0, reached=0, already=3), theory("low", 0.0), *LEARNT],
        ("rare classes, at or before N = 64, the smallest measured.", "rare classes at every N",
         "which is no prediction"),
        ("from N = 0", "earlier than"),
    ),
    "some seeds only": (
        [gate("low", 900, 700, 1100, reached=2), gate("high", 300, NAN, NAN, reached=1, already=1), *LEARNT],
        ("from N = 900 [700, 1,100] on (2 of 3 seeds)", "from N = 300 on (1 of 3 seeds, 1 before the smallest N)"),
        ("nan", "earlier than"),
    ),
    "seeds that differ much": (
        [gate("low", NAN, reached=0, already=1), *LEARNT],
        ("in 1 of 3 seeds at or before N = 64, in the others not up to N = 4,096: the sizes measured",),
        ("nan", "from N ="),
    ),
    "no seed has a whole curve": (
        [gate("low", NAN, reached=0, seeds=0), *LEARNT],
        ("rare classes, at an N that no seed tells",), ("nan", "0 of 0"),
    ),
    "theory in the middle of the interval": (
        [gate("low", 900, 50, 16_000), theory("low", 102), *LEARNT], ("which is no prediction",), ("earlier than",),
    ),
    "one group without a handover": (
        [gate("low", 900, 700, 1100), *THEORY, *LEARNT], ("which is no prediction",), ("earlier than",),
    ),
    "order reversed": (
        [*HANDOVER, theory("low", 2000), theory("high", 1000), *LEARNT, *curves("stylized", 1, 1, 1, group="high")],
        ("which is no prediction",), ("earlier than",),
    ),
    "the stylized model errs more": (
        [*HANDOVER, *curves("transformer", 0.1, 0.2, 0.3), *curves("stylized", 0.1, 0.5, 0.9)],
        ("it errs less than the stylized model: error 0.3 [",), ("errs more", "cannot be told apart"),
    ),
    "overlapping intervals": (
        [*HANDOVER, *curves("transformer", 0.1, 0.2, 0.5, spread=0.2), *curves("stylized", 0.1, 0.5, 0.6, spread=0.2)],
        ("it cannot be told apart from the stylized model",), ("errs more", "errs less"),
    ),
    "one seed": (
        [gate("low", 900, reached=1, seeds=1), *curves("transformer", 0.1, 0.3, 0.9, seeds=1),
         *curves("stylized", 0.1, 0.3, 0.6, seeds=1)],
        ("from N = 900 on.", "Caution: this is one seed.", "cannot be told apart from the stylized model"),
        ("errs more", "nan"),
    ),
    "no stylized model": (
        [*HANDOVER, *curves("transformer", 0.1, 0.3, 0.9)], ("The stylized model cannot be compared",), ("it errs",),
    ),
    "models at different sizes": (
        [*HANDOVER, *curves("transformer", 0.1), *curves("stylized", 0.1, 0.2, 0.3)[3:]],
        ("The stylized model cannot be compared",), ("it errs more",),
    ),
    "no Transformer": (
        [*THEORY, *curves("stylized", 0.1, 0.3, 0.6)],
        ("The table has no handover of the Transformer", "no prediction", "cannot be compared"),
        ("answers more", "earlier than"),
    ),
    "theory alone": (
        THEORY, ("The table has no handover", "rare classes from N = 102"), ("answers more", "Caution", "earlier than"),
    ),
    "chance": (
        [*HANDOVER, *curves("transformer", 0.9, 0.91, 0.5, where=USUAL), *curves("transformer", 0.1, 0.3, 0.9)],
        ("its error is not certain to be below chance, 0.90, at N = 64 and 512 (rare classes).",),
        ("4,096 (rare", "frequent classes)"),
    ),
    "half learnt": (
        [*HANDOVER, *curves("transformer", 0.5, 0.7, 0.9)],
        ("At N = 64 it neither copies nor answers from weights throughout",
         "it errs 0.50 for rare classes"),
        ("it errs 0.90", "chance"),
    ),
    "no mixture describes it": (
        [*LEARNT, *curves("transformer", 0.3, 0.02, 0.01, measure="effective_gate_residual", spread=0.0)],
        ("describes it well at N = 64 (up to 0.3 nats are left)",), ("at any N",),
    ),
    "no mixture describes it anywhere": (
        [*LEARNT, *curves("transformer", 0.3, 0.2, 0.4, measure="effective_gate_residual", spread=0.0)],
        ("describes it well at any N (up to 0.4 nats",), ("N = 64",),
    ),
    "nothing": ([], ("The table has no handover",), ("Caution", "By theory")),
}  # fmt: skip


def said(table: pd.DataFrame, config: CompareConfig = CONFIG) -> str:
    return " ".join(compare_verdict(config, table))


@pytest.mark.parametrize("name", CASES)
def test_what_is_said_and_what_is_not(name):
    rows, there, absent = CASES[name]
    text = said(make_table({"answer": False, **row} for row in rows))
    assert [claim for claim in there if claim not in text] == [], text
    assert [claim for claim in absent if claim in text] == [], text
    assert len(text.split()) <= 120


def test_a_whole_table_has_three_to_six_sentences_that_a_phone_shows():
    table = synthetic_table()
    rows = make_table([*HANDOVER, *THEORY])
    sentences = compare_verdict(CONFIG, make_table(pd.concat([table, rows], ignore_index=True)))
    assert 3 <= len(sentences) <= 6
    assert len(" ".join(sentences).split()) <= 120
    assert "nan" not in " ".join(sentences)
