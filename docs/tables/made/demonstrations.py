"""Numbers of docs/results/demonstrations.md."""

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

from docs.tables.cells import cell, one, said, table_of, value
from docs.tables.pages import computed
from gating.page.text_table import ends_of

PAGE = "docs/results/demonstrations.md"
SHOTS = (2, 4, 8, 16, 32)
FLIPS = (0.25, 0.5, 0.75, 1.0)
WORDS = {"sentiment": "foo, bar", "topic": "foo, bar, baz, qux"}
EFFECTS = {
    "demonstration_gain": "gold less none",
    "task_recognition": "task recognition: random less none",
    "task_learning": "task learning: abstract less chance",
    "flip_effect": "gold less all flipped",
}
AFTER = {
    "accuracy": "right label",
    "accuracy_calibrated": "right label, calibrated",
    "accuracy_shown": "label shown most",
    "effective_gate": "effective gate",
    "effective_gate_residual": "gate residual, nats",
}
LABELS = {"gold": None, "flipped": 1.0, "random": None, "abstract": None}
"""Kinds of labels, and how many are flipped."""


def shown(
    task: str, context: str, shots: int, measure: str = "accuracy", flipped: float | None = None
) -> dict[str, Any]:
    """Where a number of a kind of labels stands."""
    return {"task": task, "context": context, "shots": shots, "measure": measure, "flipped": flipped}


def accuracy(task: str) -> str:
    names = {"gold": "gold", "flipped": "all flipped", "random": "random", "abstract": f"abstract ({WORDS[task]})"}
    untold = {"gold": cell("demonstrations", **shown(task, "none", 0)), "abstract": _guess(task)}

    def line(context: str) -> Iterator[str]:
        yield names[context]
        yield untold.get(context, "")
        yield from (cell("demonstrations", **shown(task, context, shots, flipped=LABELS[context])) for shots in SHOTS)

    return table_of(("accuracy", "0 shots", *map(str, SHOTS)), map(line, names))


def _guess(task: str) -> str:
    return cell("demonstrations", **shown(task, "abstract", 0))


def effects(task: str) -> str:
    def line(measure: str) -> Iterator[str]:
        yield EFFECTS[measure]
        yield from (cell("demonstrations", task=task, measure=measure, shots=shots) for shots in SHOTS)

    return table_of(("difference of accuracy", "2 shots", *map(str, SHOTS[1:])), map(line, EFFECTS))


def flips(task: str) -> str:
    def line(measure: str) -> Iterator[str]:
        yield AFTER[measure]
        yield cell("demonstrations", **shown(task, "gold", 32, measure))
        yield from (cell("demonstrations", **shown(task, "flipped", 32, measure, flip)) for flip in FLIPS)

    return table_of(("", "0%", *(f"{flip:.0%}" for flip in FLIPS)), map(line, AFTER))


def turned(row: Mapping[str, Any]) -> dict[str, float]:
    """A row with its sign turned: what is lost in place of what is gained."""
    return {"value": -row["value"], "low": -row["high"], "high": -row["low"]}


TABLES = {
    f"{make.__name__}_{task}": partial(make, task) for task in WORDS for make in (accuracy, effects, flips)
}  # fmt: skip


def sentences() -> Iterator[str]:
    def of(task: str, context: str, shots: int = 32, measure: str = "accuracy", flipped: float | None = None) -> str:
        return said("demonstrations", **shown(task, context, shots, measure, flipped))

    def effect(task: str, measure: str) -> str:
        return said("demonstrations", task=task, measure=measure, shots=32)

    first, second = WORDS
    yield f"accuracy after 32 right ones is {of(first, 'gold')} on sentiment and {of(second, 'gold')} on topics,"
    shown_first, shown_second = (of(task, "flipped", measure="accuracy_shown", flipped=1.0) for task in WORDS)
    yield f"it gives the shown one in {shown_first}, of four topics in {shown_second}, no more than a guess."
    learnt, learnt_second = (effect(task, "task_learning") for task in WORDS)
    yield f"it learns {learnt} above chance on sentiment and {learnt_second} on topics."
    lost = [computed(ends_of(turned(one("demonstrations", task=task, measure="task_recognition", shots=32))))
            for task in WORDS]  # fmt: skip
    yield f"cost {lost[0]} and {lost[1]}: there is no task to recognise"
    flipped = {shots: of(first, "flipped", shots, "effective_gate", 1.0) for shots in (2, 32)}
    yield f"With all labels flipped it is {flipped[2]} after 2 shots and {flipped[32]} after 32:"
    gold = {shots: value("demonstrations", **shown(first, "gold", shots, "effective_gate")) for shots in (4, 16)}
    yield f"from {gold[4]} after 4 shots to {gold[16]} after 16."
    residual = value("demonstrations", **shown(second, "flipped", 32, "effective_gate_residual", 1.0))
    abstract = of(second, "abstract", measure="effective_gate_residual")
    yield f"Residuals are large, {residual} nats with all labels flipped and {abstract} with"
    half, undone = (
        value("demonstrations", **shown(second, "flipped", 32, measure, 0.5))
        for measure in ("accuracy", "accuracy_calibrated")
    )
    random, undone_random = (
        value("demonstrations", **shown(second, "random", 32, measure))
        for measure in ("accuracy", "accuracy_calibrated")
    )
    yield f"({half} to {undone}, and {random} to {undone_random} with random labels)"
