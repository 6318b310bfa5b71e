"""What the study `regret` says came out: of made-up tables, claims that must be made and that must not."""

import math
from typing import Any

import pytest

from gating.results.table import make_table
from gating.studies.regret.page import regret_verdict

NAN = math.nan
Rows = list[dict[str, Any]]
KEY = {"study": "regret", "n": 400, "step": 400, "context": "as_trained", "group": "all", "distribution": "ibd"}


def rows(system: str, measure: str, *values: float, **where: Any) -> Rows:
    """A value for each seed, at the last round."""
    return [
        {**KEY, "kind": "measured", "system": system, "measure": measure, "seed": seed, "value": value, **where}
        for seed, value in enumerate(values)
    ]


def totals(loss: str = "log_loss", **paid: tuple[float, ...]) -> Rows:
    """Total losses by system."""
    return [row for system, values in paid.items() for row in rows(system, f"total_{loss}", *values)]


def ratios(loss: str = "log_loss", **of: tuple[float, ...]) -> Rows:
    """Regret over bound by system."""
    return [row for system, values in of.items() for row in rows(system, f"regret_ratio_{loss}", *values)]


BEST = (500.0, 520.0, 540.0)
PAIR = totals(adahedge=(521.0, 541.0, 562.0), bayes_mixture=(510.0, 531.0, 550.0), best_partition=BEST)
WITHIN = ratios(adahedge=(0.2, 0.3, 0.1), bayes_mixture=(0.4, 0.5, 0.6))

CASES: dict[str, tuple[Rows, tuple[str, ...], tuple[str, ...]]] = {
    "as hoped": (
        [*PAIR, *WITHIN],
        ("By log loss (nats), Bayes mixture paid least of the gates, 530 [", "after 400 rounds: more than the better",
         "Every regret is within its bound, for every seed."),
        ("told apart", "Above", "Caution", "less than the better", "mixture of the two"),
    ),
    "better than the better predictor": (
        [*totals(adahedge=(400.0, 421.0, 441.0), best_partition=BEST)],
        ("AdaHedge paid, 421 [", "less than the better predictor of each cell"),
        ("least of the gates", "more than", "within its bound"),
    ),
    "as good as the better predictor": (
        totals(adahedge=(499.0, 522.0, 540.0), best_partition=BEST),
        ("no more, and no less for certain, than the better predictor",), (": more than", ": less than"),
    ),
    "overlapping gates": (
        [*PAIR, *totals(gradient_descent=(505.0, 540.0, 548.0))],
        ("Bayes mixture paid least of the gates", "(Gradient descent cannot be told apart from it)"),
        ("AdaHedge cannot", "AdaHedge and",),
    ),
    "order reversed": (
        [*totals(adahedge=(510.0, 531.0, 550.0), bayes_mixture=(521.0, 541.0, 562.0), best_partition=BEST)],
        ("AdaHedge paid least of the gates",), ("Bayes mixture",),
    ),
    "one seed": (
        [*totals(adahedge=(520.0,), bayes_mixture=(510.0,), best_partition=(500.0,)), *ratios(adahedge=(0.5,))],
        ("Bayes mixture paid least of the gates, 510 (AdaHedge cannot be told apart from it)",
         "no more, and no less for certain", "Caution: this is one seed. No interval says"),
        ("more than the better", "nan", "["),
    ),
    "two seeds": (
        totals(adahedge=(520.0, 530.0), best_partition=(500.0, 510.0)), ("Caution: two seeds",), ("one seed",),
    ),
    "some seeds only": (
        [*totals(adahedge=(520.0, NAN, 560.0), best_partition=BEST), *ratios(adahedge=(0.5, NAN, 0.5))],
        ("AdaHedge paid, 540 [", "within its bound"), ("nan", "Above"),
    ),
    "a gate without numbers": (
        [*PAIR, *totals(gradient_descent=(NAN, NAN, NAN))], ("Bayes mixture paid least",), ("nan", "Gradient descent"),
    ),
    "no ratio is known": ([*PAIR, *ratios(adahedge=(NAN, NAN, NAN))], ("paid least",), ("bound",)),
    "regrets of the mixture of losses": (
        [*PAIR, *rows("adahedge", "regret_log_loss", 150.0, 160.0, 140.0),
         *rows("bayes_mixture", "regret_log_loss", 10.0, 11.0, 10.0)],
        ("Regrets of AdaHedge are of the mixture", "one of 150 is no contradiction to a total of 541"),
        ("Regrets of AdaHedge and", "Regrets of Bayes"),
    ),
    "two losses": (
        [*PAIR, *totals("linear_loss", adahedge=(30.0, 31.0, 32.5), best_partition=(20.0, 22.0, 21.0))],
        ("By log loss (nats), Bayes mixture", "By linear loss, AdaHedge paid, 31.2 ["), ("linear loss, Bayes",),
    ),
    "a gate of somebody else": (
        [*PAIR, *totals(fixed_share=(501.0, 521.0, 542.0)), *rows("fixed_share", "gate_log_loss", 0.5, 0.5, 0.5)],
        ("Fixed share paid least of the gates",), ("Bayes mixture paid",),
    ),
    "no gate": (totals(tabular=(600.0, 610.0, 620.0), best_partition=BEST), ("nothing can be said",), ("paid",)),
    "no better predictor": (totals(adahedge=(600.0, 610.0, 620.0)), ("nothing can be said",), ("paid", "less than")),
    "theory alone": ([{**row, "kind": "upper"} for row in PAIR], ("nothing can be said",), ("paid", "Caution")),
    "nothing": ([], ("nothing can be said",), ("paid", "bound")),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_what_is_said_and_what_is_not(name):
    held, there, absent = CASES[name]
    text = " ".join(regret_verdict(make_table({"answer": False, **row} for row in held)))
    assert [claim for claim in there if claim not in text] == [], text
    assert [claim for claim in absent if claim in text] == [], text
    assert len(text.split()) <= 120


def test_earlier_rounds_and_answers_do_not_count():
    earlier = [{**row, "step": 10, "value": 1.0} for row in PAIR]
    answers = [{**row, "answer": True, "seed": None, "value": 1.0} for row in PAIR]
    text = " ".join(regret_verdict(make_table({"answer": False, **row} for row in [*earlier, *PAIR, *answers])))
    assert text == " ".join(regret_verdict(make_table({"answer": False, **row} for row in PAIR)))
