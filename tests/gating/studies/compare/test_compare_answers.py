"""What the comparison finds: crossings and phases as rows, what pages say of them, and where lines are drawn."""

import math
import re
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from compare_table import synthetic_table

from gating.page.multiples import DOTTED, Multiples, drawn
from gating.results.query import select
from gating.results.table import make_table, summarise
from gating.studies.compare.answers import CROSSINGS, crossing_rows, phase_rows, predicted_rows, theory_rows
from gating.studies.compare.config import CompareConfig
from gating.studies.compare.page import compare_page, predicted_marks
from gating.studies.compare.page_tables import crossing_tables, phase_table
from gating.studies.vocabulary import GROUPS
from theory.crossovers import crossover
from theory.distribution import ClassMixture
from theory.phases import Comparison, risk_bounds

DATA = ClassMixture(label_noise=0.05)
SIZES = (100, 1000, 10_000)
CONFIG = CompareConfig(distribution=DATA, n_sequences=SIZES)
ROOT = math.sqrt(10)
RISK, GATE, ERROR = (
    {"context": "as_trained"},
    {"distribution": "oobd", "context": "relevant"},
    {"context": "irrelevant"},
)


def curve(
    system: str, measure: str, *seeds: tuple[float, ...], group: str = "low", **where: Any
) -> list[dict[str, Any]]:
    """Rows of one curve over N for each seed."""
    key = {"study": "compare", "system": system, "measure": measure, "group": group, "kind": "measured"}
    key |= {"distribution": "ibd", **where}
    return [
        {**key, "seed": seed, "n": n, "value": value}
        for seed, values in enumerate(seeds)
        for n, value in zip(SIZES, values, strict=True)
    ]


def answered(rows: list[dict[str, Any]]) -> pd.DataFrame:
    """Rows of the schema, and the crossings in them as answers."""
    table = make_table(rows)
    return make_table(pd.concat([table, make_table(crossing_rows(table)).assign(answer=True)], ignore_index=True))


def found(rows: list[dict[str, Any]], **where: Any) -> dict[str, Any]:
    [row] = select(answered(rows), {"answer": True, **where}).to_dict("records")
    return row


def copied(*seeds: tuple[float, ...], loss: str = "expected_error") -> list[dict[str, Any]]:
    return curve("in_context", loss, *seeds, **RISK)


def test_risks_cross_where_the_risk_of_weights_falls_to_that_of_the_context_in_the_same_seed() -> None:
    """On ln N: seed 0 crosses half-way from 1,000 to 10,000, seed 1 half-way from 100 to 1,000, against their own h."""
    rows = copied((0.1, 0.1, 0.1), (0.2, 0.2, 0.2))
    rows += curve("tabular", "expected_error", (0.3, 0.2, 0.0), (0.4, 0.0, 0.0), **RISK)
    row = found(rows, system="tabular")
    assert row["measure"] == "crossover_error"
    assert row["value"] == pytest.approx(math.sqrt(1000 * ROOT * 100 * ROOT))
    assert (row["reached"], row["already"], row["seeds"], row["against"]) == (2, 0, 2, "in_context")
    assert "level" not in row
    spread = math.exp(12.706 * math.log(10) / 2)  # Student's with one degree of freedom, of logarithms ln 10 apart
    assert row["low"] == pytest.approx(row["value"] / spread, rel=1e-3)
    assert row["high"] == pytest.approx(row["value"] * spread, rel=1e-3)


def test_losses_are_compared_with_the_same_loss_and_groups_with_the_same_group() -> None:
    rows = copied((0.1, 0.1, 0.1)) + copied((2.0, 2.0, 2.0), loss="expected_log_loss")
    rows += curve("in_weight", "expected_log_loss", (3.0, 1.0, 0.5), **RISK)
    rows += curve("in_weight", "expected_log_loss", (3.0, 1.0, 0.5), group="high", **RISK)
    assert found(rows)["group"] == "low"  # of the frequent classes no h was measured
    row = found(rows, measure="crossover_log_loss")
    assert row["value"] == pytest.approx(100 * ROOT)
    assert row["system"] == "in_weight"


def test_a_gate_crosses_one_half_upwards_for_good() -> None:
    rows = curve("transformer", "effective_gate", (0.0, 0.25, 0.75), (0.6, 0.25, 0.75), **GATE)
    row = found(rows)
    assert (row["measure"], row["level"]) == ("crossover_gate", 0.5)
    assert row["value"] == pytest.approx(1000 * ROOT)
    assert "against" not in row
    for other in ({**GATE, "distribution": "ibd"}, {**GATE, "context": "irrelevant"}):
        assert not list(crossing_rows(make_table(curve("transformer", "effective_gate", (0.0, 0.25, 0.75), **other))))


def test_in_weight_errors_fall_past_one_half_and_theory_has_that_curve() -> None:
    rows = curve("transformer", "error", (0.9, 0.25, 0.0), **ERROR)
    rows += curve("tabular", "error", (1.0, 0.75, 0.25), **ERROR, kind="exact", seed=None)
    for row in rows[3:]:
        row["seed"] = None
    measured, exact = (found(rows, kind=kind) for kind in ("measured", "exact"))
    assert measured["value"] == pytest.approx(100 * 10 ** (0.4 / 0.65))
    assert exact["value"] == pytest.approx(1000 * ROOT)
    assert (measured["measure"], exact["measure"]) == ("crossover_error_level",) * 2
    assert (measured["level"], exact["level"]) == (0.5, 0.5)
    assert pd.isna(exact["seeds"])


def test_seeds_that_do_not_cross_are_counted_and_leave_no_interval() -> None:
    """0: past the level at every size; infinite: nowhere; the mean is over those that cross."""
    up, never, always = (0.4, 0.6, 0.6), (0.1, 0.2, 0.3), (0.6, 0.7, 0.8)
    for seeds, value, counts in (
        ((up, never, always), 100 * ROOT, (1, 1, 3)),
        ((never, never), math.inf, (0, 0, 2)),
        ((always, always), 0.0, (0, 2, 2)),
        ((never, always), math.nan, (0, 1, 2)),
    ):
        row = found(curve("stylized", "effective_gate", *seeds, **GATE))
        assert row["value"] == pytest.approx(value, nan_ok=True)
        assert (row["reached"], row["already"], row["seeds"]) == counts
        assert math.isnan(row["low"])
        assert math.isnan(row["high"])


def test_a_curve_at_one_size_and_a_gate_that_is_not_defined_cross_nowhere() -> None:
    rows = curve("transformer", "effective_gate", (0.1, 0.6, 0.6), (0.1, 0.6, 0.6), **GATE)
    assert not list(crossing_rows(make_table(row for row in rows if row["n"] == 100)))
    row = found([row for row in rows if row["seed"] == 0 or row["n"] > 100])
    assert (row["reached"], row["seeds"]) == (1, 1)


def test_only_the_last_step_is_looked_at() -> None:
    first = [{**row, "step": 10} for row in curve("transformer", "effective_gate", (0.6, 0.6, 0.6), **GATE)]
    last = [{**row, "step": 20} for row in curve("transformer", "effective_gate", (0.1, 0.1, 0.6), **GATE)]
    assert found(first + last)["value"] == pytest.approx(1000 * 10**0.8)


def words(rows: list[dict[str, Any]], measure: str) -> list[tuple[str, ...]]:
    place = list(dict.fromkeys(sought.measure for sought in CROSSINGS)).index(measure)
    return list(crossing_tables(CONFIG, answered(rows))[place][1].rows)


def test_pages_say_in_words_what_lies_outside_the_sizes() -> None:
    up, never, always = (0.4, 0.6, 0.6), (0.1, 0.2, 0.3), (0.6, 0.7, 0.8)
    rows = curve("transformer", "effective_gate", up, up, **GATE)
    rows += curve("transformer", "effective_gate", up, always, group="high", **GATE)
    rows += curve("stylized", "effective_gate", never, never, **GATE)
    rows += curve("stylized", "effective_gate", always, always, group="high", **GATE)
    rows += curve("stylized_frozen", "effective_gate", never, always, **GATE)
    assert words(rows, "crossover_gate") == [
        ("Transformer", "316, 1 of 2 before 100", "316"),
        ("Stylized model, end to end", "before 100", "not reached"),
        ("Stylized model, gate over frozen g and h", "", "1 of 2 before 100, 1 of 2 not reached"),
    ]
    assert words(rows, "crossover_error") == []


@pytest.mark.parametrize("covered", [False, True])
def test_predicted_crossovers_are_those_of_theory_of_the_same_risks(covered: bool) -> None:
    rows = predicted_rows(replace(CONFIG, cover_classes=covered))
    assert {row["against"] for row in rows} == {"copying"}
    assert {(row["distribution"], row["context"]) for row in rows} == {("ibd", "as_trained")}
    for loss in ("error", "log_loss"):
        for group in ("high", "low"):
            wanted = crossover(DATA, group, Comparison(loss, "as_trained", cover_classes=covered))
            ends = {row["kind"]: row["value"] for row in rows
                    if (row["measure"], row["group"]) == (f"crossover_{loss}", group)}  # fmt: skip
            assert ends == {"lower": wanted.earliest, "exact": wanted.exact, "upper": wanted.latest}
    (title, table), *others = crossing_tables(CONFIG, make_table(rows).assign(answer=True))
    exact = crossover(DATA, "low", Comparison("error", "as_trained", cover_classes=covered)).exact
    assert {row[0]: row[-1] for row in table.rows}["Theory, tabular against copying (exact)"] == f"{exact:,.0f}"
    assert "as trained" in title
    assert [len(table.rows) for _, table in others] == [3, 0, 0]  # no prediction of gates, nor of a level


def test_a_group_without_classes_has_no_prediction() -> None:
    config = replace(CONFIG, distribution=ClassMixture(n_low=0, label_noise=0.05))
    assert {row["group"] for row in predicted_rows(config)} == {"high"}


@pytest.mark.parametrize(
    ("covered", "length", "held_words"),
    [
        (False, 1, {"context", "weights"}),
        (False, 4, {"undecided", "weights"}),
        (True, 1, {"weights"}),
        (True, 4, {"weights"}),
    ],
)
def test_phases_are_those_of_theory(covered: bool, length: int, held_words: set[str]) -> None:
    spec = replace(DATA, context_length=length)
    config = replace(CONFIG, distribution=spec, cover_classes=covered)
    rows = make_table({"study": "compare", **row} for row in theory_rows(config))
    table = make_table(phase_rows(rows)).assign(answer=True)
    words = {1: "context", -1: "weights", 0: "undecided"}
    expected = []
    for measure, loss in (("error", "error (0-1)"), ("log_loss", "log loss (nats)")):
        bounds = risk_bounds([spec], SIZES, Comparison(measure, "as_trained", cover_classes=covered))
        for group, name in (("high", "frequent"), ("low", "rare")):
            phases = np.where(bounds[group].in_context_upper < bounds[group].in_weight_lower, 1, 0)
            phases -= np.where(bounds[group].in_weight_upper < bounds[group].in_context_lower, 1, 0)
            held = select(table, {"measure": f"phase_{measure}", "group": group}).sort_values("n")
            assert held["value"].tolist() == phases[0].tolist()
            assert held["n"].tolist() == list(SIZES)
            expected.append((f"{loss}, {name} classes", *(words[int(phase)] for phase in phases[0])))
    _, found = phase_table(table)
    assert found.header[1:] == ("N = 100", "N = 1,000", "N = 10,000")
    assert list(found.rows) == expected
    assert {word for row in expected for word in row[1:]} == held_words


def test_a_phase_is_certified_where_bounds_do_not_overlap() -> None:
    """Copying is below every in-weight predictor; label counts are below copying; neither, though counts are above."""
    ends = {("any_in_weight", "lower"): (0.5, 0.1, 0.35), ("tabular", "upper"): (0.6, 0.2, 0.9),
            ("copying", "lower"): (0.3, 0.3, 0.3), ("copying", "upper"): (0.4, 0.4, 0.4)}  # fmt: skip
    rows = []
    for (system, kind), values in ends.items():
        rows += [{**row, "kind": kind, "seed": None} for row in curve(system, "error", values, **RISK)]
        rows += [
            {**row, "kind": kind, "seed": None, "measure": "log_loss"} for row in curve(system, "", values, **RISK)
        ]
    for measure in ("phase_error", "phase_log_loss"):
        found = [row["value"] for row in phase_rows(make_table(rows)) if row["measure"] == measure]
        assert found == [1, -1, 0]


def test_the_upper_bound_that_is_drawn_is_the_one_that_phases_are_certified_by() -> None:
    rows = make_table({"study": "compare", **row} for row in theory_rows(CONFIG))
    for group in ("high", "low"):
        bounds = risk_bounds([DATA], SIZES, Comparison("log_loss", "as_trained"))[group]
        where = {"measure": "log_loss", "distribution": "ibd", "context": "as_trained", "group": group}
        for system, kind, ends in (
            ("any_in_weight", "lower", bounds.in_weight_lower),
            ("tabular", "upper", bounds.in_weight_upper),
            ("copying", "upper", bounds.in_context_upper),
        ):
            held = select(rows, {**where, "system": system, "kind": kind}).sort_values("n")["value"]
            np.testing.assert_array_equal(held, ends[0])


def marked(config: CompareConfig, loss: str) -> tuple:
    return predicted_marks(make_table(predicted_rows(config)).assign(answer=True), loss)


def test_marks_stand_at_the_crossover_of_each_group_and_say_what_crosses() -> None:
    marks = marked(CONFIG, "log_loss")
    compare = Comparison("log_loss", "as_trained")
    assert {mark.where["group"]: mark.at for mark in marks} == {
        group: crossover(DATA, group, compare).exact for group in ("high", "low")
    }
    assert {mark.name for mark in marks} == {"predicted risk crossing N*, log loss"}
    assert {(mark.where["distribution"], mark.where["context"]) for mark in marks} == {("ibd", "as_trained")}
    assert predicted_marks(synthetic_table(seeds=1), "error") == ()


def test_a_crossover_that_is_not_exact_is_marked_by_its_bounds() -> None:
    config = replace(CONFIG, distribution=replace(DATA, context_length=4, input_noise=0.5))
    wanted = crossover(config.distribution, "low", Comparison("error", "as_trained"))
    assert math.isnan(wanted.exact)
    marks = [mark for mark in marked(config, "error") if mark.where["group"] == "low"]
    assert {mark.name for mark in marks} == {"bounds of the risk crossing N*, error"}
    assert [(mark.at, mark.dash) for mark in marks] == [(wanted.earliest, DOTTED), (wanted.latest, DOTTED)]


def test_lines_are_drawn_where_risks_are_and_none_on_gates() -> None:
    """A gate crossing has no prediction, and the caption says so."""
    table = make_table(
        pd.concat([synthetic_table(seeds=1), make_table(predicted_rows(CONFIG)).assign(answer=True)], ignore_index=True)
    )
    summary = summarise(table[~table["answer"]])
    for spec in compare_page("", CONFIG, table).figures:
        assert isinstance(spec, Multiples)
        figure = drawn(spec, (), summary, {})
        assert figure is not None
        text = " ".join(figure.sentences)
        lines = [panel for panel in figure.panels if any(layer.mark == "upright" for layer in panel.layers)]
        if spec.name in ("error-by-n", "log-loss-by-n"):
            loss = spec.name.removesuffix("-by-n").replace("-", "_")
            exact = crossover(DATA, "low", Comparison(loss, "as_trained")).exact
            name = f"predicted risk crossing N*, {loss.replace('_', ' ')}:"
            assert re.search(f"{re.escape(name)} .*rare classes {exact:,.0f}[.]", text)
            assert [panel.row for panel in lines] == [
                GROUPS[mark.where["group"]] for mark in spec.marks if 64 <= mark.at <= 4096
            ]
            assert {panel.column for panel in lines} <= {"in base, as trained"}
        else:
            assert lines == []
            assert "N*" not in text
    [gates] = [spec for spec in compare_page("", CONFIG, table).figures if spec.name == "gate-by-n"]
    assert "Theory predicts at which N the risks of both predictors cross, not" in gates.note
