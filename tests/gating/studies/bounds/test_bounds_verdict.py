"""What the study `bounds` says came out: of made-up tables, claims that must be made and that must not."""

import math
from typing import Any

import pytest

from gating.results.table import make_table
from gating.studies.bounds.config import BoundsConfig
from gating.studies.bounds.page import bounds_verdict
from theory.distribution import ClassMixture

INF = math.inf
NOISY = BoundsConfig()
CLEAN = BoundsConfig(distribution=ClassMixture(input_noise=0.0))


def crossover(group: str, context: str = "as_trained", loss: str = "error", **ends: float) -> list[dict[str, Any]]:
    """Where weights take over, by kind."""
    key = {"study": "bounds", "system": "theory", "distribution": "ibd", "context": context, "group": group}
    return [{**key, "measure": f"crossover_{loss}", "kind": kind, "value": value, "answer": True}
            for kind, value in ends.items()]  # fmt: skip


LOW, HIGH = crossover("low", exact=102), crossover("high", exact=11)
CASES: dict[str, tuple[list[dict[str, Any]], tuple[str, ...], tuple[str, ...]]] = {
    "as hoped": (
        [*HIGH, *LOW, *crossover("low", "relevant", exact=165), *crossover("high", "relevant", exact=17)],
        ("Rare classes: answers from weights are at least as good as copying from the context from N = 102 on by error",
         "for every group and loss from N = 165 on", "on noisy inputs a learner needs more"),
        ("Frequent classes: answers from weights are at least as good as copying from the context from N = 102",
            "never"),
    ),
    "two losses": (
        [*LOW, *crossover("low", loss="log_loss", exact=0)],
        ("from N = 102 on by error (0-1) and at every N by log loss (nats)",), ("N = 0",),
    ),
    "never": (
        [*crossover("low", exact=INF), *crossover("low", "relevant", exact=INF)],
        ("at no N by error", "for some group or loss at no N"), ("from N", "inf", "never", "for every"),
    ),
    "at every N": (
        [*crossover("low", exact=0), *crossover("low", "relevant", exact=0)],
        ("at every N by error", "for every group and loss at every N"), ("N = 0", "at no N"),
    ),
    "bounds alone": (
        crossover("low", lower=50, upper=400), ("from an N between 50 and 400 on",), ("from N = 400", "from N = 50"),
    ),
    "bounds that meet": (crossover("low", lower=50, upper=50), ("from N = 50 on",), ("between",)),
    "no latest": (crossover("low", lower=50, upper=INF), ("at no N before 50",), ("from N", "inf", "at no N by")),
    "no earliest": (crossover("low", lower=0, upper=400), ("at the latest from N = 400 on",), ("between",
        "from N = 0")),
    "bounds that say never": (crossover("low", lower=INF, upper=INF), ("at no N by",), ("from", "before")[1:]),
    "one bound is missing": (crossover("low", lower=50), ("at no N before 50",), ("nan",
        "from N = 50")),
    "bounds that say nothing": (crossover("low", lower=0, upper=INF), ("an N that bounds do not tell",), ("from N =",)),
    "not exact for one group": (
        [*LOW, *HIGH, *crossover("low", "relevant", lower=50, upper=400), *crossover("high", "relevant", exact=17)],
        ("Rare classes",), ("for every group", "N = 17"),
    ),
    "one kind of context": (
        crossover("low", "relevant", exact=165), ("Rare classes (relevant contexts): answers",), ("always shows",),
    ),
    "all classes beside groups": ([*LOW, *crossover("all", exact=14)], ("Rare classes",), ("All classes",)),
    "all classes alone": (crossover("all", exact=14), ("All classes",), ("Rare",)),
    "nothing": ([], ("The table has no N from which weights",), ("at every N", "at no N")),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_what_is_said_and_what_is_not(name):
    rows, there, absent = CASES[name]
    text = " ".join(bounds_verdict(NOISY, make_table(rows)))
    assert [claim for claim in there if claim not in text] == [], text
    assert [claim for claim in absent if claim in text] == [], text
    assert len(text.split()) <= 120


def test_clean_inputs_are_not_called_noisy():
    text = " ".join(bounds_verdict(CLEAN, make_table(LOW)))
    assert "noisy" not in text
    assert "a model has to learn the classes as well" in text
