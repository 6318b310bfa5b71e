"""What the study `phases` says came out: of made-up maps, claims that must be made and that must not."""

from collections.abc import Sequence
from typing import Any

import pytest

from gating.results.table import make_table
from gating.studies.phases.config import Axis, PhasesConfig
from gating.studies.phases.page import phases_verdict
from theory.phases import ICL, IWL, UNDECIDED

CONFIG = PhasesConfig()
WORDS = PhasesConfig(x=Axis("label_noise_kind", values=("uniform", "shift")), y=Axis("label_noise", values=(0.1, 0.2)))
C, W, U = ICL, IWL, UNDECIDED
SIZES, MASSES = (10, 100, 1000, 10_000), (0.5, 0.9)


def points(*lines: Sequence[int], group: str = "low", x: Any = ("n", SIZES), y: Any = ("p_high", MASSES)) -> list[dict]:
    """A map: a line for each value of the vertical axis, a phase for each of the horizontal one."""
    return [
        {"study": "phases", "system": "theory", "distribution": "ibd", "context": "as_trained", "group": group,
         "measure": "phase", "kind": "exact", y[0]: at, x[0]: place, "value": phase}
        for at, line in zip(y[1], lines, strict=False)
        for place, phase in zip(x[1], line, strict=False)
    ]  # fmt: skip


CASES: dict[str, tuple[list[dict], tuple[str, ...], tuple[str, ...]]] = {
    "as hoped": (
        [*points((C, U, W, W), (C, C, U, W)), *points((U, W, W, W), (C, U, W, W), group="high")],
        ("Rare classes: answers must come from the context in 38% of the settings on the map, from the weights in 38%; "
         "in 25% the bounds do not decide.", "at p_high = 0.5: from context up to 10 and from weights from 1,000",
         "at p_high = 0.9: from context up to 100 and from weights from 10,000", "Frequent classes: answers must come",
         "by error (0-1), as trained contexts"),
        ("throughout", "nothing is certain", "All classes"),
    ),
    "nothing is certain": (
        points((U, U, U, U), (U, U, U, U)),
        ("context in 0% of the settings on the map, from the weights in 0%; in 100%", "nothing is certain"),
        ("from context", "from weights up"),
    ),
    "everything is certain": (
        points((W, W, W, W), (W, W, W, W)), ("from the weights in 100%; in 0%", "from weights throughout"),
        ("from context", "nothing is certain"),
    ),
    "order reversed": (
        points((W, W, U, C), (W, U, C, C)), ("from context from 10,000 and from weights up to 100",),
        ("from context up to", "from weights from"),
    ),
    "in several pieces": (
        points((W, U, W, W), (W, U, C, W)), ("from weights in several pieces",), ("from weights up to",),
    ),
    "a point alone": (points((U, C, U, U), (U, U, U, U)), ("from context from 100 to 100",), ("throughout",)),
    "a line is missing": (points((C, U, W, W)), ("at p_high = 0.5",), ("p_high = 0.9", "nan")),
    "a point is missing": (
        points((C, U, W, W), (C, C, U)), ("context in 43% of", "at p_high = 0.9: from context up to 100."), ("nan",),
    ),
    "few of many": (
        points(*([[C] * 99 + [W]] * 3), x=("n", range(10, 110)), y=("p_high", (0.5, 0.6, 0.7))),
        ("from the context in 99%", "from the weights in 1%"), ("100%",),
    ),
    "almost all": (
        points([C] * 299 + [W], x=("n", range(10, 310)), y=("p_high", (0.5,))),
        ("in more than 99% of the settings on the map, from the weights in less than 1%; in 0%",), ("100%",),
    ),
    "all classes beside groups": (
        [*points((C, C, C, C)), *points((W, W, W, W), group="all")], ("Rare classes",), ("All classes",),
    ),
    "nothing": ([], ("nothing can be said",), ("%", "answers must")),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_what_is_said_and_what_is_not(name):
    rows, there, absent = CASES[name]
    text = " ".join(phases_verdict(CONFIG, make_table(rows)))
    assert [claim for claim in there if claim not in text] == [], text
    assert [claim for claim in absent if claim in text] == [], text
    assert len(text.split()) <= 150


def test_words_on_an_axis_are_listed_and_have_no_first_and_last():
    held = {"x": ("label_noise_kind", ("uniform", "shift")), "y": ("label_noise", (0.1, 0.2))}
    text = " ".join(phases_verdict(WORDS, make_table(points((C, W), (C, C), **held))))
    assert "at label noise = 0.1: from context for uniform and from weights for shift" in text
    assert "at label noise = 0.2: from context throughout" in text
    assert "up to" not in text
