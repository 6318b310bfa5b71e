"""Measures of answers on a test set, as rows of the result table."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor

from gating.evaluation.conditions import Condition, TestSet
from gating.gates.effective import effective_gate
from gating.tasks.sequences import Sequences

__all__ = ["Predictor", "Row", "answer_measures", "answers", "gate_rows", "loss_rows", "mean_gate_rows"]

Predictor = Callable[[Sequences], Tensor]
"""Maps sequences (R, B, ...) to log-probabilities (R, B, C)."""

Row = dict[str, Any]


def answers(predictor: Predictor, test_set: TestSet) -> dict[str, Tensor]:
    """Log-probabilities on the in-base and out-of-base sequences, float64, shape (R, B, C) each."""
    with torch.no_grad():
        return {name: predictor(sequences).double() for name, sequences in test_set.sequences.items()}


def answer_measures(log_p: Tensor, target: Tensor, law: Tensor) -> dict[str, Tensor]:
    r"""Losses of each answer, shape (R, B).

    ``error``: probability that the label of largest probability, ties broken at random, is not the target;
    ``log_loss``: :math:`-\ln f_y` in nats; ``expected_error`` and ``expected_log_loss``: the same averaged over the
    label distribution of the query class in place of the drawn label.

    Args:
        log_p: log-probabilities, shape (R, B, C).
        target: labels, shape (R, B).
        law: label distribution of the query, shape (R, B, C).

    Raises:
        ValueError: when shapes do not fit, a log-probability is NaN, a target is no label or `law` is not in [0, 1].

    Example:
        >>> log_p = torch.tensor([[[0.5, 0.5, 0.0]]]).log()
        >>> law = torch.tensor([[[1.0, 0.0, 0.0]]])
        >>> answer_measures(log_p, torch.tensor([[0]]), law)["error"].item()
        0.5
    """
    _check_answers(log_p, target, law)
    best = (log_p == log_p.amax(-1, keepdim=True)).double()
    choice = best / best.sum(-1, keepdim=True)
    target = target.unsqueeze(-1)
    return {
        "error": 1 - choice.gather(-1, target).squeeze(-1),
        "log_loss": -log_p.gather(-1, target).squeeze(-1),
        "expected_error": 1 - (choice * law).sum(-1),
        "expected_log_loss": -torch.where(law > 0, law * log_p, 0.0).sum(-1),
    }


def _check_answers(log_p: Tensor, target: Tensor, law: Tensor) -> None:
    for name, value in (("log_p", log_p), ("target", target), ("law", law)):
        if not isinstance(value, Tensor) or value.is_complex():
            raise TypeError(f"`{name}` must be a tensor of real numbers; got {value!r}")
    if log_p.dim() != 3 or log_p.shape[-1] == 0 or bool(log_p.isnan().any() | log_p.isposinf().any()):
        raise ValueError(f"`log_p` must be log-probabilities of shape (R, B, C) without NaN; got {log_p!r}")
    labels = target.dtype == torch.int64 and target.shape == log_p.shape[:-1]
    if not labels or bool(((target < 0) | (target >= log_p.shape[-1])).any()):
        wanted = f"int64 labels in 0 .. {log_p.shape[-1] - 1} of shape {tuple(log_p.shape[:-1])}"
        raise ValueError(f"`target` must be {wanted}; got {target!r}")
    if law.shape != log_p.shape or not bool(((law >= 0) & (law <= 1 + 1e-9)).all()):
        raise ValueError(f"`law` must be probabilities of shape {tuple(log_p.shape)}; got {law!r}")


def loss_rows(log_p: dict[str, Tensor], test_set: TestSet, by_condition: list[Condition]) -> Iterator[Row]:
    """Mean of every measure in every condition; ``value`` is a list over replicas."""
    for distribution, sequences in test_set.sequences.items():
        law = test_set.label_distribution[distribution]
        for measure, values in answer_measures(log_p[distribution], sequences.target, law).items():
            cells = values.unflatten(1, (-1, 2, test_set.per_cell)).mean(-1)
            for condition in by_condition:
                value = (cells * condition.weights.to(cells.device)).sum((1, 2))
                yield _row(distribution, condition, measure, value)


def gate_rows(
    name: str,
    model: dict[str, Tensor],
    g: dict[str, Tensor],
    h: dict[str, Tensor],
    test_set: TestSet,
    by_condition: list[Condition],
) -> Iterator[Row]:
    """Effective gate `name` and `name`_residual in every condition, from answers of model, g and h.

    Where g and h agree on every sequence of a condition the gate is not defined, and it has no row.
    """
    for distribution in test_set.sequences:
        triple = [log_p[distribution].unflatten(1, (-1, test_set.per_cell)) for log_p in (model, g, h)]
        for condition in by_condition:
            weights = condition.weights.flatten()
            seen = weights.nonzero().squeeze(-1)
            parts = [log_p[:, seen.to(log_p.device)].flatten(1, 2) for log_p in triple]
            per_sequence = weights[seen].repeat_interleave(test_set.per_cell).to(parts[0].device)
            fit = effective_gate(parts[0], parts[1], parts[2], per_sequence)
            yield _row(distribution, condition, name, fit.alpha)
            yield _row(distribution, condition, f"{name}_residual", fit.residual)


def mean_gate_rows(alpha: dict[str, Tensor], test_set: TestSet, by_condition: list[Condition]) -> Iterator[Row]:
    """Mean of a gate's own alpha, given per sequence as (R, B), in every condition."""
    for distribution, values in alpha.items():
        if not bool(((values >= 0) & (values <= 1)).all()):  # NaN fails too
            raise ValueError(f"`alpha` must be in [0, 1]; got {values!r}")
        cells = values.double().unflatten(1, (-1, 2, test_set.per_cell)).mean(-1)
        for condition in by_condition:
            yield _row(distribution, condition, "mean_gate", (cells * condition.weights.to(cells.device)).sum((1, 2)))


def _row(distribution: str, condition: Condition, measure: str, value: Tensor) -> Row:
    return {
        "distribution": distribution,
        "context": condition.context,
        "group": condition.group,
        "measure": measure,
        "kind": "measured",
        "value": value.tolist(),
    }
