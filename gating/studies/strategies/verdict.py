"""What came out of a run of the study `strategies`, in words."""

from collections.abc import Iterator
from typing import Any

import pandas as pd

from gating.page.said import few_seeds, interval, listed
from gating.results.query import select
from gating.studies.strategies.config import PARAMETERS, StrategiesConfig
from gating.studies.strategies.page_tables import SEEN, described, steps_of, widths

__all__ = ["strategies_verdict"]

CONTROLS, BEST = ("memorizing", "generalizing", "step in time"), "free in every cell"
ALIKE, APART = "cannot be told apart", "intervals apart"


def strategies_verdict(config: StrategiesConfig, table: pd.DataFrame) -> tuple[str, ...]:
    """What the Transformers follow at first and at the end, and how well the posterior predicts it.

    Args:
        config: settings of the study.
        table: rows of the study, answers included.
    """
    cells = described(table, "ibd").sort_values("step")
    runs, last = cells.dropna(subset="value"), cells["step"].max()
    if runs.empty:
        return ("No mixture of M and G describes a Transformer at any checkpoint: nothing can be said of strategies.",)
    every = sorted({*config.n_tasks, *runs["n_tasks"]})
    first, end = runs.drop_duplicates(["mlp_factor", "n_tasks", "seed"]), runs[runs["step"] == last]
    course = (
        f"Of memorizing (M) and generalizing (G), Transformers trained on D tasks are at first {_sides(first, every)}; "
        f"after {last:,} steps, {_sides(end, every)}."
    )
    only = "only " * (2 * len(runs) < len(cells))
    counted = f"Counted are {only}the {len(runs):,} of {len(cells):,} checkpoints that mixtures of M and G describe."
    edge = [name for name in PARAMETERS if len(select(table, {"system": "posterior", "measure": f"{name}_at_edge"}))]
    stuck = f" Fitted {listed(edge)} ended at the edge of what the fit may choose." * bool(edge)
    answers = (*_thresholds(table), *_growth(table), *_agreement(table))
    return (course, *answers, counted + stuck, *few_seeds(table, "its models"))


def _sides(cells: pd.DataFrame, every: list[int]) -> str:
    """On which side of one half the cells of each D lie, in words."""
    ends = cells.groupby("n_tasks")["value"].agg(["min", "max"]).reindex(every)
    sides = {
        "nearer to M": ends["min"] >= 0.5,
        "nearer to G": ends["max"] < 0.5,
        "some nearer to M, some to G,": (ends["min"] < 0.5) & (ends["max"] >= 0.5),
        "not described": ends["min"].isna(),
    }
    return listed([f"{side} at {_these(ends.index[of].tolist(), every)}" for side, of in sides.items() if of.any()])


def _these(chosen: list[int], every: list[int]) -> str:
    """Numbers of tasks in words, neighbours by the least and the largest."""
    if len(chosen) == len(every):
        return "every D"
    if len(chosen) > 2 and chosen == every[every.index(chosen[0]) :][: len(chosen)]:
        return f"D = {chosen[0]:,} to {chosen[-1]:,}"
    return f"D = {listed([f'{n_tasks:,}' for n_tasks in chosen])}"


def _widest(rows: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame]]:
    """Rows of the largest width, and how a sentence names it; nothing where there are no rows."""
    yield from [(f" ({heading})" * bool(heading), mine) for heading, mine in widths(rows)][-1:]


def _thresholds(table: pd.DataFrame) -> Iterator[str]:
    """The largest D that is memorized at the end, measured and predicted."""
    for width, rows in _widest(select(table, {"measure": "diversity_threshold"}).dropna(subset="value")):
        of = {
            kind: list(map(_diversity, mine.sort_values("value").itertuples())) for kind, mine in rows.groupby("kind")
        }
        found = (
            [" to ".join(dict.fromkeys(of["measured"][:: len(of["measured"]) - 1 or 1]))] if "measured" in of else []
        )
        found += [f"predicted {text}" for text in of.get("predicted", [])]
        yield f"Largest D memorized at the end, interpolated{width}: {', '.join(found)}."


def _diversity(row: Any) -> str:
    """A threshold of D with its interval."""
    return steps_of(row, "above all D") if row.value else "below all D"


def _growth(table: pd.DataFrame) -> Iterator[str]:
    """How the time of the transition grows with D, measured and predicted for the same models."""
    for width, rows in _widest(select(table, {"measure": "transition_exponent", "group": "seen"})):
        of = {str(row["system"]): row for _, row in rows.dropna(subset="value").iterrows()}
        if "transformer" not in of:
            yield f"Too few D go over from G to M to say how the time of that grows with D{width}."
            continue
        measured, predicted = of["transformer"], of.get("posterior")
        beside = "" if predicted is None else f", predicted {interval(predicted)}: {_apart(measured, predicted)}"
        yield f"The time of going over from G to M grows as D^{interval(measured)}{beside}{width}."


def _apart(one: pd.Series, other: pd.Series) -> str:
    """Whether the intervals of two rows tell them apart."""
    ends = [float(row[name]) for row in (one, other) for name in ("low", "high")]
    if any(map(pd.isna, ends)):
        return "no intervals"
    return ALIKE if ends[0] <= ends[3] and ends[2] <= ends[1] else APART


def _agreement(table: pd.DataFrame) -> Iterator[str]:
    """How the posterior's weight goes with the measured distance in held-out cells, beside the best control and the
    weight that is best for each cell; in the cells of the fit where none are held out."""
    rows = select(table, {"measure": "correlation", "distribution": "ibd"}).dropna(subset="value")
    of = {group: {str(row["system"]): row for _, row in select(rows, {"group": group}).iterrows()} for group in SEEN}
    found = {SEEN[group]: mine for group, mine in of.items() if "posterior" in mine}
    texts = []
    for name in [*found][len(found) > 1 and SEEN["in_fit"] in found :]:
        mine, ours, beside = found[name], found[name]["posterior"], []
        for best in sorted((mine[name] for name in CONTROLS if name in mine), key=lambda row: row["value"])[-1:]:
            doubt = _apart(ours, best).replace(APART, "")
            beside.append(f"best control {best['value']:.3g}" + f", {doubt}" * bool(doubt))
        beside += [f"best possible {mine[BEST]['value']:.3g}"] if BEST in mine else []
        texts.append(f"{name} {interval(ours)}" + f" ({'; '.join(beside)})" * bool(beside))
    if texts:
        yield f"The posterior's weight of M correlates with the measured distance: {', '.join(texts)}."
