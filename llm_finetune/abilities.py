"""What a model can do from its weights and from its context, and how it changed, with intervals clustered by fact.

Prompts about one fact are alike, so each fact counts once: its value is the mean over its prompts, and an interval is
that of the mean over facts (`gating.results.intervals`). Two models answer the same prompts. Of answers that are right
or wrong, the change is the share gained less the share lost; the ends of the two intervals are put together as the
method of variance estimates recovery does (Zou and Donner 2008), which keeps a width where no prompt changed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from gating.results.columns import measure as measure_of
from gating.results.intervals import mean_interval
from llm_finetune.conditions import CHANGES, CONDITIONS, IN_CONTEXT, Judge
from llm_finetune.crossed import Ends
from llm_finetune.measure import Answers

__all__ = ["ABILITIES", "JUDGES", "Ability", "ability_rows", "change_rows", "detail_rows", "prompt_values"]

Row = dict[str, Any]
FACT = ["collection", "subject"]


class Ability(NamedTuple):
    """A mean over some conditions of what is measured of each prompt, by its name in `JUDGES`, or of a measure."""

    contexts: tuple[str, ...]
    measure: str


ABILITIES = {
    "recall": Ability(("no_context",), "right"),
    "recall_reworded": Ability(("paraphrased",), "right"),
    "in_context_accuracy": Ability(IN_CONTEXT, "right"),
    "reading": Ability(("unseen", "unseen_new"), "right"),
    "reading_elsewhere": Ability(("unrelated",), "right"),
    "override": Ability(("contradicting", "contradicting_new"), "memorised"),
    "copying": Ability(("someone_else",), "stated"),
    "reversal": Ability(("reversed",), "right"),
    "reading_backward": Ability(("reversed_in_context",), "right"),
    "effective_gate": Ability(("contradicting", "contradicting_new"), "effective_gate"),
}
"""Abilities by name, in the order of tables; every condition of one counts the same."""

JUDGES: dict[Judge, dict[str, str]] = {
    "said": {"right": "generated_target", "memorised": "generated_memorised", "stated": "generated_stated"},
    "score": {"right": "accuracy", "memorised": "memorised_wins", "stated": "stated_wins"},
}
"""Measures that say whether the right, the memorised or the stated answer is given."""

READ = (*IN_CONTEXT, "unrelated")


def prompt_values(answers: Mapping[str, Iterable[Answers]]) -> pd.DataFrame:
    """One row for each prompt: what was asked, by collection, and each measure of `Answers.measures`, NaN where it has
    none.

    The ``effective_gate`` of a prompt is the memorised answer's share of the probability of memorised and stated answer
    together, of which the gate of several prompts is the mean; the rest is its ``effective_gate_remainder``.
    """
    parts = []
    for collection, answer in ((key, answer) for key, held in answers.items() for answer in held):
        for context in dict.fromkeys(record.condition for record in answer.records):
            found = answer.at([k for k, record in enumerate(answer.records) if record.condition == context])
            asked = pd.DataFrame(found.records).drop(columns="prompt")
            held = {name: _in_all(values, found.said, len(asked)) for name, values in found.measures().items()}
            if found.rivals:
                memorised, stated = held["memorised_softmax"], held["stated_softmax"]
                held["effective_gate"] = memorised / (memorised + stated)
                held["effective_gate_remainder"] = np.maximum(1 - memorised - stated, 0.0)
            parts.append(asked.assign(collection=collection, **held))
    return pd.concat(parts, ignore_index=True)


def _in_all(values: NDArray[np.float64], said: Mapping[int, str], n: int) -> NDArray[np.float64]:
    """A measure of n prompts: NaN where it is of what the model says, and the model was not let."""
    if len(values) == n:
        return values
    found = np.full(n, np.nan)
    found[[*said]] = values
    return found


def ability_rows(values: pd.DataFrame, judge: Judge) -> Iterator[Row]:
    """Rows of every ability and group of facts.

    Args:
        values: as `prompt_values` gives them.
        judge: what an answer is right by, as in the settings.
    """
    for group, here in _groups(values):
        for name, ability in ABILITIES.items():
            column = JUDGES[judge].get(ability.measure, ability.measure)
            yield from _row(here, ability.contexts, column, name, group, paired=False)


def change_rows(base: pd.DataFrame, tuned: pd.DataFrame, judge: Judge) -> Iterator[Row]:
    """Rows of the change of every ability, and of what became of reading, for every group of facts.

    Args:
        base: what the model before training answers, as `prompt_values` gives it.
        tuned: what the fine-tuned model answers to the same prompts.
        judge: what an answer is right by, as in the settings.

    Raises:
        ValueError: the prompts are not the same.
    """
    asked = [*FACT, "condition", "group", "memorised", "stated", "target"]
    if not base[asked].equals(tuned[asked]):
        raise ValueError("`base` and `tuned` must be answers to the same prompts; got others")
    numbers = tuned.select_dtypes("number").columns
    moved = tuned[asked].join(tuned[numbers] - base[numbers])
    became = pd.Series(changes(base, tuned, judge), index=tuned.index)
    moved = moved.assign(**{name: (became == name).astype(float) for name in CHANGES})
    for group, here in _groups(moved):
        for name, ability in ABILITIES.items():
            column = JUDGES[judge].get(ability.measure, ability.measure)
            yield from _row(here, ability.contexts, column, f"{name}_change", group, paired=True)
        for name in CHANGES:
            yield from _row(here, READ, name, name, group, paired=False)


def changes(base: pd.DataFrame, tuned: pd.DataFrame, judge: Judge) -> list[str | None]:
    """What became of the reading of each prompt, one of `CHANGES`; None where no context tells the answer."""
    right, memorised = (JUDGES[judge][name] for name in ("right", "memorised"))
    before, after = base[right] == 1, tuned[right] == 1
    overridden = tuned[memorised] == 1 if memorised in tuned else before & ~before
    which = np.select([before & after, before & overridden, before, after], CHANGES[:4], CHANGES[4])
    read = tuned["condition"].isin(READ)
    return [str(name) if told else None for name, told in zip(which, read, strict=True)]


def detail_rows(values: pd.DataFrame) -> Iterator[Row]:
    """Rows of every measure in every condition and group of facts."""
    numbers = [str(name) for name in values.select_dtypes("number").columns]
    for group, here in _groups(values):
        for context, part in here.groupby("condition", sort=False):
            names = [name for name in numbers if part[name].notna().all()]
            entries = [measure_of(name) for name in names]
            found = _fact_means(part, names, [e.low for e in entries], [e.high for e in entries])
            for name, ends in zip(names, found, strict=True):
                where = {"context": str(context), "measure": name, "group": group, "kind": "measured"}
                yield {**where, **ends._asdict()}


def _groups(values: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame]]:
    yield "all", values
    for group in sorted({*values["group"]} - {"all"}):
        yield str(group), values[values["group"] == group]


def _row(
    values: pd.DataFrame, contexts: Sequence[str], column: str, name: str, group: str, *, paired: bool
) -> Iterator[Row]:
    """The row of a measure, if any prompt has it."""
    here = values[values["condition"].isin(contexts)]
    if column in here and {*contexts} == {*here["condition"]} and here[column].notna().all():
        entry = measure_of(name)
        found = _over_strata(here, column, entry.low, entry.high, paired=paired)
        yield {"measure": name, "group": group, "kind": "measured", **found._asdict()}


def _over_strata(rows: pd.DataFrame, column: str, low: float, high: float, *, paired: bool) -> Ends:
    """Mean over conditions; those about the same subjects share their facts, others are independent."""
    kinds = rows["condition"].map(lambda name: CONDITIONS[name].subject)
    parts, weights = [], []
    for _, part in rows.groupby(kinds, sort=False):
        parts.append(_change(part, column) if paired else _fact_means(part, [column], low, high)[0])
        weights.append(part["condition"].nunique())
    if len(parts) == 1:
        return parts[0]
    share = np.array(weights) / sum(weights)
    value, *ends = (np.array(end) for end in zip(*parts, strict=True))
    mean = float(share @ value)
    below, above = (float(np.sqrt((share**2 * (end - value) ** 2).sum())) for end in ends)
    return Ends(mean, max(mean - below, low), min(mean + above, high))


def _change(part: pd.DataFrame, column: str) -> Ends:
    """Mean change over facts: of outcomes 0 and 1 the share gained less the share lost, else Student's interval."""
    moved = part[column]
    if not moved.isin((-1.0, 0.0, 1.0)).all():
        return _fact_means(part, [column], -1.0, 1.0)[0]
    ways = part.assign(gained=(moved == 1).astype(float), lost=(moved == -1).astype(float))
    up, down = _fact_means(ways, ["gained", "lost"], 0.0, 1.0)
    facts = _facts(ways, ["gained", "lost"])
    r = (
        min(float(facts["gained"].corr(facts["lost"])), 0.0) if (facts.nunique() > 1).all() else 0.0
    )  # > 0 would shorten
    value = up.value - down.value
    return Ends(
        value,
        max(value - _together(up.value - up.low, down.high - down.value, r), -1.0),
        min(value + _together(up.high - up.value, down.value - down.low, r), 1.0),
    )


def _together(one: float, other: float, r: float) -> float:
    """Distance of an end of a difference from its value, from those of its two terms with the correlation r."""
    return float(np.sqrt(max(one**2 + other**2 - 2 * r * one * other, 0.0)))


def _facts(part: pd.DataFrame, columns: list[str]) -> pd.DataFrame:
    """Values of each fact: means over its conditions of the means over prompts."""
    return part.groupby([*FACT, "condition"])[columns].mean().groupby(FACT).mean()


def _fact_means(part: pd.DataFrame, columns: list[str], low: ArrayLike, high: ArrayLike) -> list[Ends]:
    """Means over facts of each column; outcomes 0 and 1 say by their number how far a fact's mean may be off.

    Where facts do not vary, each is one outcome: how alike its prompts are is then not seen.
    """
    facts = _facts(part, columns).to_numpy(np.float64).T
    counts = np.tile(part.groupby(FACT).size().to_numpy(np.float64), (len(columns), 1))
    counts[np.ptp(facts, axis=1) == 0] = 1
    counts[[not part[column].isin((0.0, 1.0)).all() for column in columns]] = np.nan
    found = mean_interval(facts, tests=counts, low=low, high=high)
    return [Ends(*map(float, ends)) for ends in zip(found.value, found.low, found.high, strict=True)]
