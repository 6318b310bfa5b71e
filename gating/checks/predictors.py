"""The contracts of predictors and of learned gates: `check_predictor` changes sequences and compares the answers."""

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from gating.checks.contract import Contract
from gating.gates.learned import LearnedGate
from gating.predictors.predictor import Predictor
from gating.tasks.sequences import Sequences
from theory.validation import require_choice, require_instances

__all__ = ["ANSWERS", "PREDICTOR_CONTRACT", "check_learned_gate", "check_predictor"]

ANSWERS = ("label", "every label", "every mean")
"""Kinds of answers: log-probabilities of the query's label, or of every label, or the mean of every y."""


class Reader(NamedTuple):
    """A predictor or a learned gate that is checked.

    Attributes:
        answer: answers sequences.
        sequences: what it is asked, (R, B, T, ...).
        kind: one of `ANSWERS`, or ``weight``, the weight of the in-weight predictor, (R, B).
    """

    answer: Predictor
    sequences: Sequences
    kind: str

    @torch.no_grad()
    def __call__(self, sequences: Sequences) -> Tensor:
        return self.answer(Sequences(*map(Tensor.clone, sequences))).detach().clone()

    @property
    def every(self) -> bool:
        """Whether there is an answer for every y."""
        return self.kind.startswith("every")

    def alike(self, one: Tensor, other: Tensor) -> bool:
        """Whether answers agree but for rounding."""
        small = 1e-4 if torch.finfo(one.dtype).eps > 1e-10 else 1e-9
        return one.shape == other.shape and torch.allclose(one, other, rtol=small, atol=small, equal_nan=True)


PREDICTOR_CONTRACT = Contract[Reader]()
"""What a predictor promises, and a learned gate, whose answers are weights; see :func:`check_predictor`."""


def check_predictor(predictor: Predictor, sequences: Sequences, *, answers: str = "label") -> None:
    """Looks whether a predictor keeps its contract, ``PREDICTOR_CONTRACT.sentences``.

    Args:
        predictor: the predictor, of as many replicas as the sequences have.
        sequences: what it is asked, of leading shape (R, B), B >= 3, such as a batch of a task.
        answers: what it answers, one of `ANSWERS`.

    Raises:
        ContractBroken: naming each sentence that is not kept, and what was seen.

    Example:
        >>> from gating.predictors.urns import UrnGeneralizer
        >>> from gating.tasks.urns import Urns
        >>> asked = Urns([4], [0], dim=3, length=8).batches(0, 1, 16)
        >>> check_predictor(UrnGeneralizer(3), asked, answers="every label")
        >>> check_predictor(lambda asked: asked.y.double(), asked, answers="every mean")
        Traceback (most recent call last):
        ...
        gating.checks.contract.ContractBroken: what_is_predicted_is_hidden: ... Seen: an answer that changes with y ...
    """
    require_choice("answers", answers, ANSWERS)
    PREDICTOR_CONTRACT.require(Reader(predictor, _asked(sequences), answers))


def check_learned_gate(gate: LearnedGate, sequences: Sequences) -> None:
    """Looks whether a learned gate keeps the contract of predictors, its answers being weights, (R, B) in [0, 1].

    Args:
        gate: the gate, of as many replicas as the sequences have.
        sequences: as for :func:`check_predictor`.

    Raises:
        ContractBroken: naming each sentence that is not kept, and what was seen.
    """
    require_instances(gate=(gate, LearnedGate))
    PREDICTOR_CONTRACT.require(Reader(gate.alpha, _asked(sequences), "weight"))


def _asked(sequences: Sequences) -> Sequences:
    require_instances(sequences=(sequences, Sequences))
    if sequences.y.dim() != 3 or sequences.y.shape[1] < 3 or sequences.y.shape[2] < 2:
        got = tuple(sequences.y.shape)
        raise ValueError(f"`sequences` must have y of shape (R, B, T), B >= 3 and T >= 2; got {got}")
    return sequences


def _others(y: Tensor) -> Tensor:
    """Other labels, all of which occur, or other numbers."""
    if y.is_floating_point():
        return y + 1
    present = y.unique()
    return present[(torch.searchsorted(present, y.contiguous()) + 1) % len(present)]


@PREDICTOR_CONTRACT.says
def answers_have_their_shape(reader: Reader) -> Iterator[str]:
    """Answers are floating, on the device of the inputs, one for each sequence or for each y, over C labels if any."""
    asked, given = reader.sequences, reader(reader.sequences)
    wanted = tuple(asked.y.shape if reader.every else asked.y.shape[:-1])
    labels = reader.kind.endswith("label")
    if tuple(given.shape[: given.dim() - labels]) != wanted or (labels and not given.shape[-1] >= 1):
        yield f"shape {tuple(given.shape)}, which is not {wanted}{' and C' if labels else ''}"
    if not given.is_floating_point() or given.device != asked.x.device:
        yield f"{given.dtype} on {given.device}, the inputs being on {asked.x.device}"


@PREDICTOR_CONTRACT.says
def answers_are_in_range(reader: Reader) -> Iterator[str]:
    """Log-probabilities are normalised, means finite and weights in [0, 1]."""
    given = reader(reader.sequences).double()
    if reader.kind.endswith("label"):
        total, slack = given.exp().sum(-1), 1e-5 + 1e-6 * given.shape[-1]
        if not bool(((total - 1).abs() <= slack).all()) or bool((given > slack).any()):
            yield f"probabilities that sum to {total.min():g} .. {total.max():g}"
    elif not bool(given.isfinite().all()):
        yield f"{int((~given.isfinite()).sum())} answers that are not finite"
    elif reader.kind == "weight" and not bool(((given >= 0) & (given <= 1)).all()):
        yield f"weights from {given.min():g} to {given.max():g}"


@PREDICTOR_CONTRACT.says
def what_is_predicted_is_hidden(reader: Reader) -> Iterator[str]:
    """An answer does not look at the y that it is about, nor at anything after that."""
    asked, given = reader.sequences, reader(reader.sequences)
    length = asked.y.shape[-1]
    for t in sorted({0, length // 2, length - 1}) if reader.every else (length - 1,):
        x, y = asked.x.clone(), asked.y.clone()
        y[..., t:], x[..., t + 1 :, :] = _others(asked.y)[..., t:], x[..., t + 1 :, :] + 1
        changed = reader(asked._replace(x=x, y=y))
        seen = (given[:, :, : t + 1], changed[:, :, : t + 1]) if reader.every else (given, changed)
        if not reader.alike(*seen):
            yield f"an answer that changes with y from position {t + 1} of {length} on, which is not before it"


@PREDICTOR_CONTRACT.says
def classes_are_hidden(reader: Reader) -> Iterator[str]:
    """An answer does not look at true classes."""
    asked = reader.sequences
    if not reader.alike(reader(asked), reader(asked._replace(classes=_others(asked.classes)))):
        yield "an answer that changes with `classes`"


@PREDICTOR_CONTRACT.says
def sequences_are_independent(reader: Reader) -> Iterator[str]:
    """The answer to a sequence does not depend on the batch around it."""
    asked, given = reader.sequences, reader(reader.sequences)
    alone = reader(Sequences(*(field[:, :1] for field in asked)))
    if not reader.alike(given[:, :1], alone):
        yield "another answer to a sequence alone than among others"
    turned = reader(Sequences(*(field.flip(1) for field in asked)))
    if not reader.alike(given.flip(1), turned):
        yield "other answers to the batch in reversed order"


@PREDICTOR_CONTRACT.says
def replicas_are_independent(reader: Reader) -> Iterator[str]:
    """The answers of a replica do not depend on the sequences of the others."""
    asked, given = reader.sequences, reader(reader.sequences)
    others = Sequences(*(torch.cat([field[:1], field[1:].flip(1)]) for field in asked))
    if not reader.alike(given[:1], reader(others)[:1]):
        yield "answers of the first replica that change with the sequences of the others"


@PREDICTOR_CONTRACT.says
def same_sequences_same_answers(reader: Reader) -> Iterator[str]:
    """Asked again it gives the same bits; torch's global source of chance is not drawn from."""
    state, first = torch.get_rng_state(), reader(reader.sequences)
    reader(Sequences(*(field.flip(1) for field in reader.sequences)))
    if not torch.equal(first.nan_to_num(), reader(reader.sequences).nan_to_num()):
        yield "other answers to the same sequences"
    if not torch.equal(state, torch.get_rng_state()):
        yield "torch's global source of chance has been drawn from"


@PREDICTOR_CONTRACT.says
def sequences_are_left_alone(reader: Reader) -> Iterator[str]:
    """Sequences are not written to, and an answer that is written to does not change a later one."""
    asked = Sequences(*map(Tensor.clone, reader.sequences))
    with torch.no_grad():
        first = reader.answer(asked)
        before = first.clone()
        for name, field, kept in zip(asked._fields, asked, reader.sequences, strict=True):
            if not torch.equal(field, kept):
                yield f"`sequences.{name}` is not as it was"
        first.zero_()
        if not reader.alike(before, reader(reader.sequences)):
            yield "other answers after the first ones were written to"


@PREDICTOR_CONTRACT.says
def nan_is_not_answered(reader: Reader) -> Iterator[str]:
    """An input that is NaN, or a query that is infinite, is refused by a ValueError that names it, or answered by NaN,
    unless it is not read."""
    asked = reader.sequences
    if not asked.x.shape[-1]:
        return
    given = reader(asked)
    for value, position in ((torch.nan, -1), (torch.nan, 0), (torch.inf, -1)):
        x = asked.x.clone()
        x[:, 0, position] = value
        try:
            answered = reader(asked._replace(x=x))[:, :1]
        except ValueError as refused:
            if "`sequences" in str(refused) or "`x`" in str(refused):
                continue
            raise
        if not bool(answered.isnan().any()) and not reader.alike(answered, given[:, :1]):
            yield f"an answer without NaN to x = {value} at position {position % asked.x.shape[-2] + 1}"
