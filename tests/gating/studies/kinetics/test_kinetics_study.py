"""The study `kinetics`: its rows are theory's curves, its answers theory's steps, and it says what they say."""

import math

import numpy as np
import pytest

from gating import ClassMixture, kinetics, make_table, select
from gating.studies.kinetics.config import KineticsConfig
from gating.studies.kinetics.page import kinetics_page, kinetics_verdict
from gating.studies.kinetics.study import courses
from theory.kinetics import class_mixture_kinetics
from theory.settings import SpecError

INF = math.inf
SPEC = ClassMixture(n_high=2, n_low=3, p_high=0.8, p_relevant=0.8, dim=16)


@pytest.fixture(scope="module")
def table():
    return kinetics(distribution=SPEC, n_sequences=(10, 1000), steps=10_000, gate_rate=2.0)


def test_rows_are_the_curves_of_theory(table):
    course = class_mixture_kinetics(SPEC, 1000, steps=10_000, gate_rate=2.0)
    for group in ("high", "low"):
        rows = select(table[~table["answer"]], {"n": 1000, "group": group, "kind": "exact", "system": "kinetics"})
        assert rows["step"].iloc[[0, -1]].tolist() == [1, 10_000]
        last = rows[rows["step"] == 10_000]
        for where, curve in (
            ({"measure": "mean_gate"}, course.gate),
            ({"measure": "linear_loss", "context": "irrelevant"}, 1 - course.irrelevant),
            ({"measure": "linear_loss", "distribution": "ibd", "context": "relevant"}, 1 - course.relevant),
            ({"measure": "linear_loss", "distribution": "oobd"}, 1 - course.new_labels),
        ):
            (value,) = select(last, where)["value"]
            assert value == pytest.approx(SPEC.group_mean(curve, group)[-1], abs=1e-12)


def test_the_curves_pass_the_level_at_the_steps_of_the_answers(table):
    answers = table[table["answer"]]
    curves = select(table[~table["answer"]], {"n": 1000, "group": "low", "distribution": "oobd"})
    steps, loss = curves["step"].to_numpy(np.float64), curves["value"].to_numpy()
    (emerges,), (lost,) = (
        select(answers, {"n": 1000, "group": "low", "measure": name})["value"] for name in ("emergence_step",
                                                                                            "lost_step")
    )  # fmt: skip
    assert (loss[steps < emerges * 0.99] > 0.5).all()
    assert (loss[(steps > emerges * 1.1) & (steps < lost * 0.95)] < 0.5).all()
    assert (loss[steps > lost * 1.1] > 0.5).all()


def test_few_sequences_keep_reading_and_many_lose_it(table):
    found = select(table[table["answer"]], {"group": "low", "measure": ("lost_step", "handover_step")})
    values = found.set_index(["measure", "n"])["value"]
    assert values["lost_step", 10] == values["handover_step", 10] == INF
    assert 0 < values["lost_step", 1000] < 10_000
    assert 0 < values["handover_step", 1000] < 10_000


def steps(group, n, **values):
    key = {"study": "kinetics", "system": "kinetics", "kind": "exact", "group": group, "n": n, "answer": True}
    return [{**key, "measure": f"{name}_step", "value": value} for name, value in values.items()]


CASES = {
    "as hoped": (
        [*steps("low", 20, emergence=16.0, lost=INF, handover=INF), *steps("low", 1000, emergence=17.0, lost=3255.0,
                                                                           handover=3450.0)],
        ["Rare classes: copying emerges between step 16 and 17", "context is lost at step 3,255, but not at N = 20",
         "weights answer in its place at step 3,450, but not at N = 20", "in 100,000 steps counts as never"],
        ["Frequent", "inf", "nan", "does not emerge"],
    ),
    "never read, so never lost": (
        steps("high", 20, emergence=INF, lost=INF, handover=INF),
        ["copying does not emerge at any N", "weights do not answer in its place at any N"], ["lost", "inf"],
    ),
    "kept": (steps("low", 20, emergence=16.0, lost=INF), ["reading the context is not lost at any N"], ["inf"]),
    "from the start": (steps("low", 20, emergence=0.0), ["copying emerges at step 0"], ["reading", "in its place"]),
    "nothing": ([], ["The table has no step"], ["classes:"]),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_what_is_said(case):
    rows, there, absent = CASES[case]
    said = " ".join(kinetics_verdict(KineticsConfig(), make_table(rows)))
    assert [claim for claim in there if claim not in said] == [], said
    assert [claim for claim in absent if claim in said] == [], said


def test_the_page_marks_the_steps_that_are_reached(table):
    (figure,) = kinetics_page("?", KineticsConfig(), table).figures
    answers = table[table["answer"]]
    reached = answers[np.isfinite(answers["value"]) & (answers["measure"] != "gate_step")]
    assert sorted(mark.at for mark in figure.marks) == sorted(reached["value"])


@pytest.mark.parametrize(("given", "said"), [
    ({"steps": 0}, "`steps`"), ({"level": 1.0}, "`level`"), ({"n_sequences": ()}, "`n_sequences`"),
    ({"n_sequences": (-1,)}, "`n_sequences`"), ({"gate_rate": 0.0}, "`gate_rate`"),
])  # fmt: skip
def test_settings_that_are_none_are_refused(given, said):
    with pytest.raises(SpecError, match=said):
        KineticsConfig(**given)


@pytest.mark.parametrize(("given", "said"), [
    ({"distribution": ClassMixture(label_noise=0.1)}, "label_noise` must be 0"),
    ({"distribution": ClassMixture(dim=1)}, "dim` must be >= 2"),
    ({"weight_rate": 1e13}, "`weight_rate` must be in"),
])  # fmt: skip
def test_what_theory_refuses_is_bad_input(given, said):
    with pytest.raises(SpecError, match=said):
        courses(KineticsConfig(**given))
