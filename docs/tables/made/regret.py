"""Numbers of docs/results/regret.md."""

from collections.abc import Iterator
from functools import partial

from docs.tables.cells import cell, one, said, table_of, value

PAGE = "docs/results/regret.md"
GATES = {
    "gradient_descent": ("gradient descent", "4.2"),
    "exponential_weights": ("exponential weights", "4.4, 4.5"),
    "adahedge": ("AdaHedge", "4.6"),
    "bayes_mixture": ("Bayes mixture", "4.7"),
    "universal_portfolio": ("universal portfolio", "4.12"),
}
OTHERS = {
    "best_partition": "better predictor of each cell, in hindsight",
    "tabular": "g alone",
    "copying": "h alone",
}
LINEAR = tuple(GATES)[:3]
LOSSES = {"log_loss": tuple(GATES), "linear_loss": LINEAR}


def ratio(**where: str) -> str:
    """Measured regret over its bound, with more digits where it is below 2."""
    return cell("regret", 4 if abs(one("regret", **where)["value"]) < 2 else 2, **where)


def regrets(loss: str) -> str:
    def line(gate: str) -> Iterator[str]:
        yield from GATES[gate]
        where = {"system": gate, "group": "all"}
        yield from (cell("regret", measure=f"regret_{loss}", kind=kind, **where) for kind in ("measured", "upper"))
        yield ratio(measure=f"regret_ratio_{loss}", **where)

    head = ("gate learner", "statement", "measured regret", "bound", "measured / bound")
    return table_of(head, map(line, LOSSES[loss]))


def totals(loss: str) -> str:
    def line(system: str) -> Iterator[str]:
        yield GATES[system][0] if system in GATES else OTHERS[system]
        where = {"system": system, "group": "all", "measure": f"total_{loss}"}
        yield cell("regret", **where, kind="measured")
        yield cell("regret", **where, kind="upper") if system in GATES else ""

    name = "total log loss (nats)" if loss == "log_loss" else "total linear loss"
    head = (name, "measured", "bound of the composition (4.15)")
    return table_of(head, map(line, (*LOSSES[loss], *OTHERS)))


def groups() -> str:
    def line(gate: str) -> Iterator[str]:
        yield GATES[gate][0]
        for loss, gates in LOSSES.items():
            for group in ("high", "low"):
                where = {"system": gate, "group": group, "measure": f"regret_ratio_{loss}"}
                yield ratio(**where) if gate in gates else ""

    heads = (f"{loss}, {group}" for loss in ("log loss", "linear loss") for group in ("frequent", "rare"))
    return table_of(("gate learner", *heads), map(line, GATES))


TABLES = {
    **{f"regrets_{loss}": partial(regrets, loss) for loss in LOSSES},
    **{f"totals_{loss}": partial(totals, loss) for loss in LOSSES},
    "groups": groups,
}


def sentences() -> Iterator[str]:
    own = {"system": "tabular", "group": "all", "measure": "regret_log_loss"}
    found, allowed = (said("regret", **own, kind=kind) for kind in ("measured", "upper"))
    yield f"g's own regret against the best label distribution of each class is {found} nats, against {allowed} allowed"
    total = {"group": "all", "measure": "total_log_loss", "kind": "measured"}
    one, other, best = (
        value("regret", system=s, **total) for s in ("gradient_descent", "exponential_weights", "best_partition")
    )
    yield f"predictions lose less than the better predictor, {one} and {other} against {best}.)"
