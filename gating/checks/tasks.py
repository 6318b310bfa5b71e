"""The contract of tasks: `check_task` draws training batches and test sets in several ways and compares them."""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import torch
from torch import Tensor

from gating.checks.contract import Contract
from gating.tasks.sequences import Sequences
from gating.tasks.task import Task
from theory.validation import require_integer

__all__ = ["TASK_CONTRACT", "check_task"]

SEEDS = [3, 0, 11]
COUNT = 12


class Source(NamedTuple):
    """A task that is checked.

    Attributes:
        make: makes one with a replica for each data seed.
        n_labels: number of labels C; None where y is a number.
        fresh: draws a test set of so many sequences from a task.
    """

    make: Callable[[list[int]], Task]
    n_labels: int | None
    fresh: Callable[[Any, int, int], Sequences]

    def drawn(self, task: Task) -> dict[str, Sequences]:
        """Training batches and a test set, by what they are called."""
        return {"batches": task.batches(0, 1, COUNT), "fresh": self.fresh(task, 0, COUNT)}


def _count(task: Any, seed: int, count: int) -> Sequences:
    drawn: Sequences = task.fresh(seed, count)
    return drawn


TASK_CONTRACT = Contract[Source]()
"""What a task promises; see :func:`check_task`."""


def check_task(
    make: Callable[[list[int]], Task],
    *,
    n_labels: int | None = None,
    fresh: Callable[[Any, int, int], Sequences] = _count,
) -> None:
    """Looks whether a task keeps its contract, ``TASK_CONTRACT.sentences``.

    Args:
        make: makes a task from a list of data seeds, one for each replica.
        n_labels: number of labels C, >= 1; None where y is a number.
        fresh: draws ``(task, seed, count)``, a test set; ``task.fresh(seed, count)`` by default.

    Raises:
        ContractBroken: naming each sentence that is not kept, and what was seen.

    Example:
        >>> from gating.tasks.urns import Urns
        >>> check_task(lambda seeds: Urns([4] * len(seeds), seeds, dim=3, length=8), n_labels=3)
        >>> check_task(lambda seeds: Urns([4] * len(seeds), seeds, dim=3, length=8), n_labels=2)
        Traceback (most recent call last):
        ...
        gating.checks.contract.ContractBroken: values_are_in_range: ... Seen: labels from 0 to 2 in `batches`
    """
    labels = None if n_labels is None else require_integer("n_labels", n_labels, least=1)
    TASK_CONTRACT.require(Source(make, labels, fresh))


def _differing(one: Sequences, other: Sequences, of: Any = slice(None)) -> str:
    """Names of the fields that differ; `of` takes the part of the first that the second is."""
    fields = zip(Sequences._fields, one, other, strict=True)
    return ", ".join(name for name, whole, part in fields if not torch.equal(whole[of], part))


def _joined(parts: list[Sequences]) -> Sequences:
    return Sequences(*(torch.cat(fields, dim=1) for fields in zip(*parts, strict=True)))


@TASK_CONTRACT.says
def is_a_task(source: Source) -> Iterator[str]:
    """A task has `n_replicas`, one for each data seed, and draws batches and test sets of that many replicas."""
    task = source.make(SEEDS)
    if not isinstance(task, Task) or task.n_replicas != len(SEEDS):
        yield f"{type(task).__name__} with {getattr(task, 'n_replicas', None)} replicas for {len(SEEDS)} data seeds"
    for what, drawn in (*source.drawn(task).items(), ("batches", task.batches(2, 3, 4))):
        if not isinstance(drawn, Sequences):
            yield f"`{what}` gives a {type(drawn).__name__}"
        shapes = [tuple(field.shape) for field in drawn]
        if drawn.y.dim() != 3 or drawn.y.shape[:2] != (len(SEEDS), COUNT) or not drawn.y.shape[2]:
            yield f"`{what}` of shape {shapes[1]} in y, asked for {COUNT} sequences of {len(SEEDS)} replicas"
        if drawn.x.shape[:-1] != drawn.y.shape or drawn.classes.shape != drawn.y.shape:
            yield f"`{what}` with x, y and classes of shapes {shapes}, not (R, B, T, d), (R, B, T) and (R, B, T)"


@TASK_CONTRACT.says
def fields_have_their_types(source: Source) -> Iterator[str]:
    """Inputs are floating, classes int64, labels int64 and numbers floating: the same in training and tests."""
    drawn = source.drawn(source.make(SEEDS))
    for what, sequences in drawn.items():
        if not sequences.x.is_floating_point() or sequences.classes.dtype != torch.int64:
            yield f"x of {sequences.x.dtype} and classes of {sequences.classes.dtype} in `{what}`"
        right = sequences.y.is_floating_point() if source.n_labels is None else sequences.y.dtype == torch.int64
        if not right:
            yield f"y of {sequences.y.dtype} in `{what}`, n_labels being {source.n_labels}"
    for one, other in zip(*drawn.values(), strict=True):
        if (one.dtype, one.device, one.shape[2:]) != (other.dtype, other.device, other.shape[2:]):
            yield f"{one.dtype} {tuple(one.shape)} in training and {other.dtype} {tuple(other.shape)} in tests"


@TASK_CONTRACT.says
def values_are_in_range(source: Source) -> Iterator[str]:
    """Inputs and numbers are finite, and labels are in 0 .. C - 1."""
    for what, sequences in source.drawn(source.make(SEEDS)).items():
        for name, value in (("x", sequences.x), ("y", sequences.y)):
            if not bool(value.isfinite().all()):
                yield f"{int((~value.isfinite()).sum())} values of {name} that are not finite in `{what}`"
        low, high = sequences.y.min().item(), sequences.y.max().item()
        if source.n_labels is not None and not 0 <= low <= high < source.n_labels:
            yield f"labels from {low} to {high} in `{what}`"


@TASK_CONTRACT.says
def a_sequence_is_of_its_place(source: Source) -> Iterator[str]:
    """A training sequence depends on its place alone, not on the batch size, the steps drawn at once or before."""
    task = source.make(SEEDS)
    whole = task.batches(0, 1, COUNT)
    parts = [task.batches(step, 1, 4) for step in (2, 0, 1)]
    for how, drawn in (
        *((f"steps of {size}", task.batches(0, COUNT // size, size)) for size in (4, 3, 1)),
        ("each step by itself, out of order", _joined([parts[1], parts[2], parts[0]])),
        ("the same again", task.batches(0, 1, COUNT)),
    ):
        if fields := _differing(whole, drawn):
            yield f"{how}: other {fields} than in one batch of {COUNT}"


@TASK_CONTRACT.says
def the_seed_decides(source: Source) -> Iterator[str]:
    """Sequences depend on seeds alone: not on torch's global source of chance, which is not drawn from."""
    state = torch.get_rng_state()
    one, other = source.make(SEEDS), source.make(SEEDS)
    first = source.drawn(one)
    if not torch.equal(state, torch.get_rng_state()):
        yield "torch's global source of chance has been drawn from"
    for what, drawn in source.drawn(other).items():
        if fields := _differing(first[what], drawn):
            yield f"other {fields} in `{what}` of a second task of the same seeds"


@TASK_CONTRACT.says
def seeds_and_steps_differ(source: Source) -> Iterator[str]:
    """Other data seeds, other steps and other test seeds give other sequences."""
    task = source.make(SEEDS)
    for what, drawn in source.drawn(task).items():
        if not _differing(Sequences(*(field[0] for field in drawn)), Sequences(*(field[1] for field in drawn))):
            yield f"the same sequences in `{what}` for data seeds {SEEDS[0]} and {SEEDS[1]}"
    if not _differing(task.batches(0, 1, COUNT), task.batches(1, 1, COUNT)):
        yield "the same sequences at steps 0 and 1"
    if not _differing(source.fresh(task, 0, COUNT), source.fresh(task, 1, COUNT)):
        yield "the same test sets for seeds 0 and 1"


@TASK_CONTRACT.says
def replicas_are_independent(source: Source) -> Iterator[str]:
    """A replica is the same alone as among others."""
    together = source.drawn(source.make(SEEDS))
    for place, seed in enumerate(SEEDS):
        for what, alone in source.drawn(source.make([seed])).items():
            if fields := _differing(together[what], alone, slice(place, place + 1)):
                yield f"other {fields} in `{what}` of data seed {seed} alone"


@TASK_CONTRACT.says
def tests_begin_alike(source: Source) -> Iterator[str]:
    """A test sequence depends on the seed and its place alone, not on how many are drawn."""
    task = source.make(SEEDS)
    many, few = source.fresh(task, 0, COUNT), source.fresh(task, 0, 4)
    if fields := _differing(many, few, (slice(None), slice(4))):
        yield f"other {fields} in a test set of 4 than at the beginning of one of {COUNT}"


@TASK_CONTRACT.says
def tests_are_no_training(source: Source) -> Iterator[str]:
    """A test set is drawn apart from training."""
    task = source.make(SEEDS)
    training = task.batches(0, 4, COUNT)
    for seed in (0, 1, SEEDS[0]):
        tests = source.fresh(task, seed, COUNT)
        for step in range(4):
            if not _differing(training, tests, (slice(None), slice(step * COUNT, (step + 1) * COUNT))):
                yield f"the test set of seed {seed} is the batch of step {step}"


@TASK_CONTRACT.says
def what_is_drawn_is_not_kept(source: Source) -> Iterator[str]:
    """What is handed out is not the task's own: writing to it changes nothing that is drawn later."""
    task = source.make(SEEDS)
    before = {what: Sequences(*map(Tensor.clone, drawn)) for what, drawn in source.drawn(task).items()}
    for drawn in source.drawn(task).values():
        for field in drawn:
            held = field.untyped_storage().nbytes() // field.element_size()  # also of a view that shows a number twice
            field.as_strided((held,), (1,), 0).zero_()
    for what, drawn in source.drawn(task).items():
        if fields := _differing(before[what], drawn):
            yield f"other {fields} in `{what}` after what was drawn was written to"


@TASK_CONTRACT.says
def bad_requests_are_refused(source: Source) -> Iterator[str]:
    """Negative steps, no step, no sequence and what is no integer are refused by a ValueError that names them."""
    task = source.make(SEEDS)
    good: dict[str, Any] = {"first_step": 0, "n_steps": 1, "batch_size": 1}
    bad = {"first_step": (-1, 0.5, "a"), "n_steps": (0, -1, 1.5), "batch_size": (0, -1, 1.5)}
    calls: list[tuple[str, Any, Callable[[], Any]]] = [
        (name, value, lambda name=name, value=value: task.batches(**{**good, name: value}))  # type: ignore[misc]
        for name, values in bad.items()
        for value in values
    ]
    calls += [("seed", value, lambda value=value: source.fresh(task, value, COUNT)) for value in (0.5, "a", None)]  # type: ignore[misc]
    for name, value, call in calls:
        try:
            call()
        except ValueError as refused:
            if f"`{name}`" in str(refused):
                continue
        yield f"{name} = {value!r} is not refused by name"
