"""Numbers of docs/results/strategies.md: item labels, urns and linear regression at the paper's size."""

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from docs.tables.cells import cell, one, table_of, value
from docs.tables.committed import table
from docs.tables.pages import computed
from gating.evaluation.agreement import correlation
from gating.page.names import system_of
from gating.results.columns import measure as measure_of
from gating.results.query import select
from gating.studies.strategies.page_tables import GATES, KINDS, parameter_table, steps_of

PAGE = "docs/results/strategies.md"
GROUPS = ("in_fit", "held_out_tasks", "held_out_steps")
MEASURES = {"correlation": 3, "total_variation": 3, "r_squared": 3, "rank_correlation": 3, "argmax_agreement": 3,
            "discrepancy": 4}  # fmt: skip
"""What is told of the posterior, and with how many digits."""
PUBLISHED: Mapping[str, Mapping[tuple[str, str], str]] = {
    "item-labels": {
        ("correlation", "ibd"): "0.977",
        ("correlation", "oobd"): "0.980",
        ("total_variation", "ibd"): "0.057",
        ("total_variation", "oobd"): "0.086",
    },
    "urns": {
        ("correlation", "ibd"): "0.991",
        ("correlation", "oobd"): "0.988",
        ("total_variation", "ibd"): "0.031",
        ("total_variation", "oobd"): "0.058",
    },
    "regression": {
        ("correlation", "ibd"): "0.990",
        ("correlation", "oobd"): "0.975",
        ("r_squared", "ibd"): "0.945",
        ("r_squared", "oobd"): "0.823",
    },
}
"""By run, measure and kind of sequences, cells of the fit included."""


def _agreement(name: str, system: str, measure: str, distribution: str, group: str, digits: int) -> str:
    place = {"system": system, "measure": measure, "distribution": distribution, "group": group}
    return cell(name, digits, kind="measured", answer=True, **place)


def agreement(name: str) -> str:
    """How well the fitted posterior predicts the Transformers, beside the published figures."""

    def line(measure: str, kind: str) -> Iterator[str]:
        yield measure_of(measure).meaning
        yield PUBLISHED[name].get((measure, kind), "")
        yield KINDS[kind]
        yield from (_agreement(name, "posterior", measure, kind, group, MEASURES[measure]) for group in GROUPS)

    rows = select(table(name), {"system": "posterior", "kind": "measured", "answer": True})
    there = set(zip(rows["measure"], rows["distribution"], strict=True))
    wanted = ((measure, kind) for measure in MEASURES for kind in KINDS)
    head = ["measure", "published", "test sequences", "in fit", "held-out D", "held-out steps"]
    return table_of(head, (line(*one) for one in wanted if one in there))


def gates(name: str) -> str:
    """Every gate on sequences of training tasks: what it leaves, and how it orders the cells."""

    def line(gate: str) -> Iterator[str]:
        yield system_of(gate).name
        for measure, digits in (("discrepancy", 4), ("correlation", 2)):
            for group in GROUPS:
                rows = select(table(name), {"system": gate, "measure": measure, "distribution": "ibd", "group": group})
                yield _agreement(name, gate, measure, "ibd", group, digits) if len(rows) else ""

    groups = ("in fit", "held-out D", "held-out steps")
    left = "squared error" if ("r_squared", "ibd") in PUBLISHED[name] else "KL, nats"
    head = ["gate", *(f"{what}, {group}" for what in (left, "correlation") for group in groups)]
    return table_of(head, map(line, GATES))


def parameters(name: str) -> str:
    """What the posterior and its ablations were fitted to."""
    return parameter_table(table(name)).markdown


def _steps(name: str, **where: Any) -> str:
    return steps_of(select(table(name), where).iloc[0])


def transitions(name: str) -> str:
    """Steps from which each D stays nearer to M than to G."""
    times = select(table(name), {"measure": "transition_time", "answer": True})

    def line(n_tasks: int) -> Iterator[str]:
        yield f"{n_tasks:,}"
        for kind in ("measured", "predicted"):
            yield _steps(name, measure="transition_time", answer=True, kind=kind, n_tasks=n_tasks)

    return table_of(["D", "measured", "predicted"], map(line, map(int, sorted(set(times["n_tasks"])))))


def over_steps(measure: str, system: str, distribution: str, name: str = "item-labels") -> pd.DataFrame:
    """A row for each step, a column for each D; NaN where M and G do not describe the model."""
    rows = select(table(name), {"measure": measure, "system": system, "distribution": distribution})
    return rows.pivot_table(index="step", columns="n_tasks", values="value")


LATE = 10_000
"""From this step on, how far the prediction is off hardly changes."""


def misfits() -> str:
    """By D, what is measured late in training, and by how much the posterior's weight of M is less."""
    weight = over_steps("weight", "posterior", "ibd")
    found = {kind: over_steps("relative_distance", "transformer", kind) for kind in ("ibd", "oobd")}

    def late(rows: pd.DataFrame) -> pd.Series:
        return rows[rows.index >= LATE].mean()

    def line(n_tasks: int) -> Iterator[str]:
        yield f"{n_tasks:,}"
        for rows in found.values():
            yield f"{late(rows)[n_tasks]:.2f}"
        yield f"{late(weight)[n_tasks]:.2f}"

    head = ("D", "relative distance, training tasks", "unseen tasks", "predicted")
    return table_of(head, map(line, map(int, weight.columns)))


def correlated(rows: pd.DataFrame, weight: pd.DataFrame) -> str:
    """Pearson's correlation, over the cells that both have."""
    pair = (of.to_numpy(float, copy=True).ravel() for of in (weight.reindex_like(rows), rows))
    return computed(f"{correlation(*pair):.3f}")


ENTROPY = sum(1 / k for k in range(2, 9))
"""Mean entropy of the draws from an urn of eight colours whose shares are uniform on the simplex, nats."""
ENDS: Mapping[str, Mapping[int, str]] = {
    "relative": {16: "at least 0.95", 64: "0.79", 256: "0.40", 1024: "0.14"},
    "divergence": {16: "0.255", 64: "0.133", 256: "0.092", 1024: "0.077"},
    "time": {16: "230", 64: "4,500", 256: "none"},
}
"""Of the paper's urns after 100,000 steps, and the steps at which a model comes nearer to M than to G; of pictures."""


def beside() -> str:
    """By D, what a model has come to at the end, and when it went over to M, beside what public pictures show."""
    where = {"system": "transformer", "distribution": "oobd", "measure": "log_loss"}
    lost = select(table("urns"), where).sort_values("step").groupby("n_tasks").last()
    ends = {kind: over_steps("relative_distance", "transformer", kind, "urns").iloc[-1] for kind in ("ibd", "oobd")}

    def line(n_tasks: int) -> Iterator[str]:
        row = lost.loc[n_tasks]
        low, high = (row["value"] - ENTROPY + sign * 1.96 * row["standard_error"] for sign in (-1, 1))
        yield f"{n_tasks:,}"
        yield from (f"{ends['ibd'][n_tasks]:.2f}", ENDS["relative"].get(n_tasks, ""), f"{ends['oobd'][n_tasks]:.2f}")
        yield f"{row['value'] - ENTROPY:.3f} [{low:.3f}, {high:.3f}]"
        yield ENDS["divergence"].get(n_tasks, "")
        yield _steps("urns", measure="transition_time", answer=True, kind="measured", n_tasks=n_tasks)
        yield ENDS["time"].get(n_tasks, "")

    head = ("D", "relative distance, training tasks", "published", "relative distance, unseen tasks",
            "KL on unseen tasks, nats", "published", "nearer to M from step", "published")  # fmt: skip
    return table_of(head, map(line, map(int, lost.index)))


MADE = {"agreement": agreement, "gates": gates, "parameters": parameters, "transitions": transitions}
TABLES: dict[str, Callable[[], str]] = {
    f"{name}-{part}": partial(made, name) for name in PUBLISHED for part, made in MADE.items()
}
TABLES |= {"item-labels-misfits": misfits, "urns-beside": beside}


def _exponent(kind: str, group: str, name: str = "item-labels") -> str:
    row = one(name, measure="transition_exponent", kind=kind, group=group, answer=True)
    ends = "" if np.isnan(row["low"]) else f" [{row['low']:.2f}, {row['high']:.2f}]"
    return computed(f"{row['value']:.2f}{ends}")


def _over(n_tasks: int, name: str) -> str:
    """Step from which a model stays nearer to M."""
    return computed(_steps(name, measure="transition_time", answer=True, kind="measured", n_tasks=n_tasks))


def _pair(measure: str, name: str = "item-labels") -> list[str]:
    """A figure of the posterior in the fit, on training and on unseen tasks, without its interval."""
    place = {"system": "posterior", "measure": measure, "group": "in_fit", "kind": "measured", "answer": True}
    return [value(name, 3, distribution=kind, **place) for kind in ("ibd", "oobd")]


def _divergence(n_tasks: int) -> tuple[str, str]:
    """Least KL divergence of an urns model on unseen tasks, and that at the end."""
    found = over_steps("log_loss", "transformer", "oobd", "urns")[n_tasks] - ENTROPY
    return computed(f"{found.min():.3f}"), computed(f"{found.iloc[-1]:.3f}")


def sentences() -> Iterator[str]:
    yield f"exponent {_exponent('measured', 'seen')} measured"
    yield f"{_exponent('predicted', 'seen')} predicted at the same D"
    weight = over_steps("weight", "posterior", "ibd")
    found = over_steps("relative_distance", "transformer", "ibd")
    yield f"over all cells that are described it is {correlated(found, weight)}"
    yield f"from step 4,000 on {correlated(found[found.index >= 4000], weight)}"
    smooth = found.rolling(9, center=True, min_periods=1).mean()
    yield f"over nine checkpoints, {correlated(smooth, weight)}"
    yield "is {} and {} (after 12,000 steps".format(*_pair("correlation"))
    yield "variation {} and {} (0.079".format(*_pair("total_variation"))
    yield "agreement {} and {} (mean of twelve".format(*_pair("argmax_agreement"))
    yield "variation of {} and {} (0.057".format(*_pair("total_variation"))
    ends = over_steps("relative_distance", "transformer", "ibd", "urns").iloc[-1]
    yield "after 100,000 steps are {}, {}, {} and {}".format(*(computed(f"{end:.2f}") for end in ends))
    yield "falls to {} and ends at {} at D = 256".format(*_divergence(256))
    yield "to {} and {} at D = 16".format(*_divergence(16))
    yield "with three D in the fit: correlations of {} and {}".format(*_pair("correlation", "urns"))
    yield "total variation of {} and {}, on training and unseen".format(*_pair("total_variation", "urns"))
    yield f"D = 16 goes over at step {_over(16, 'urns')}"
    yield f"and D = 64 at {_over(64, 'urns')}"
    bare = "urns-no-warm-up"
    yield "go over at steps {}, {} and {}".format(*(_over(n_tasks, bare) for n_tasks in (16, 32, 64)))
    yield f"a slope of {_exponent('measured', 'seen', bare)}, where the gate"
    yield f"fitted to these models predicts {_exponent('predicted', 'seen', bare)}"
    place = {"system": "posterior", "measure": "r_squared", "distribution": "ibd", "kind": "measured", "answer": True}
    fits = [value("regression", 3, group=group, **place) for group in GROUPS]
    yield "R² is {} in the fit, {} at the held-out D and {} on held-out steps".format(*fits)
    yield f"(R² {fits[0]} in the fit and {fits[2]} on held-out steps, published"
    left = over_steps("residual", "transformer", "oobd", "regression").loc[[10_832, 50_000]]
    grown = {n_tasks: [computed(f"{end:.2f}") for end in left[n_tasks]] for n_tasks in left}
    yield "at D = 16 from {} at step 10,832 to {} at the end".format(*grown[16])
    yield "at 64 from {} to {}, and not at 256 ({} and {})".format(*grown[64], *grown[256])
    near = over_steps("relative_distance", "transformer", "ibd", "regression").loc[[20_713, 50_000]].to_numpy()
    yield "are {}, {} and {} at step 20,713, and {}, {} and {} when".format(
        *(computed(f"{d:.2f}") for d in near.ravel())
    )
    said, measured = (computed(f"{rows[rows.index >= LATE].mean()[4]:.2f}") for rows in (weight, found))
    yield f"it says {said} of a model at {measured}:"
    lost = select(table("item-labels"), {"measure": "log_loss", "system": ("memorizing", "generalizing")})
    by_task = lost.pivot_table(index="n_tasks", columns="system", values="value")
    gained = by_task["generalizing"] - by_task["memorizing"]
    yield f"where M loses {computed(f'{gained[4]:.3f}')} nats less than G ({computed(f'{gained[8]:.3f}')} at D = 8)"
    left = over_steps("residual", "transformer", "ibd")
    shares = (left.iloc[-5:].mean() / left.max())[[128, 256, 512, 1024, 2048, 4096]]
    least, most = (computed(f"{100 * share:.0f}%") for share in (shares.min(), shares.max()))
    yield f"falls there to {least} to {most} of its largest"
    free = _agreement("item-labels", "free in every cell", "correlation", "ibd", "in_fit", 3)
    yield f"a free weight in every cell reaches {computed(free)}"
    floor = (
        _agreement("item-labels", "free in every cell", "total_variation", of, "in_fit", 3) for of in ("ibd", "oobd")
    )
    yield "a free weight leaves {} and {} on training".format(*map(computed, floor))
