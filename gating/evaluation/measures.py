"""Measures of answers on a test set, as rows of the result table."""

import math
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor

from gating.evaluation.conditions import Condition, TestSet
from gating.gates.effective import nearest_mixture
from gating.predictors.predictor import Predictor
from gating.results.moments import ROUNDING
from gating.validation import holds_numbers
from theory.fields import shown
from theory.label_votes import TIE

__all__ = ["Row", "answer_measures", "answers", "by_replica", "gate_rows", "loss_rows", "mean_gate_rows", "mean_rows"]

Row = dict[str, Any]
ABOVE_ONE = 1e-5
"""Log-probabilities that float32 rounds to above 0, where an answer is all but certain; they count as 0."""


def answers(predictor: Predictor, test_set: TestSet) -> dict[str, Tensor]:
    """Log-probabilities on the in-base and out-of-base sequences, float64, shape (R, B, C) each."""
    with torch.no_grad():
        return {name: predictor(sequences).double() for name, sequences in test_set.sequences.items()}


def answer_measures(log_p: Tensor, target: Tensor, law: Tensor) -> dict[str, Tensor]:
    r"""Losses of each answer, shape (R, B).

    ``error``: probability that the label of largest probability, ties broken at random, is not the target, where
    probabilities at most one millionth (relative) below the largest tie with it, as in `theory.label_votes`;
    ``log_loss``: :math:`-\ln f_y` in nats, 0 where rounding leaves :math:`f_y` above 1; ``expected_error`` and
    ``expected_log_loss``: the same averaged over the label distribution of the query class in place of the drawn label.

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
    log_p = log_p.where((log_p <= 0) | (log_p > ABOVE_ONE), 0.0)
    best = (log_p >= log_p.amax(-1, keepdim=True) - TIE).double()
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
        if not holds_numbers(value):
            raise ValueError(f"`{name}` must be a tensor of real numbers; got {shown(value)}")
    if log_p.dim() != 3 or log_p.shape[-1] == 0 or bool(log_p.isnan().any() | log_p.isposinf().any()):
        raise ValueError(f"`log_p` must be log-probabilities of shape (R, B, C) without NaN; got {log_p!r}")
    labels = target.dtype == torch.int64 and target.shape == log_p.shape[:-1]
    if not labels or bool(((target < 0) | (target >= log_p.shape[-1])).any()):
        wanted = f"int64 labels of `log_p`, in 0 .. {log_p.shape[-1] - 1}, of shape {tuple(log_p.shape[:-1])}"
        raise ValueError(f"`target` must be {wanted}; got {target!r}")
    if law.shape != log_p.shape or not bool(((law >= 0) & (law <= 1 + 1e-9)).all()):
        raise ValueError(f"`law` must be probabilities of the shape of `log_p`, {tuple(log_p.shape)}; got {law!r}")


def loss_rows(log_p: dict[str, Tensor], test_set: TestSet, by_condition: list[Condition]) -> Iterator[Row]:
    r"""Mean of every measure in every condition, and its standard error over the test sequences of the replica.

    A condition is the mean :math:`v = \sum_c w_c \bar v_c` over cells of S sequences each, with standard error
    :math:`\sqrt{\sum_c w_c^2 s_c^2 / S}`. Its ``tests`` are :math:`S / \max_c w_c`: as many values of one range, of
    equal weight and with mean v, have the largest variance that those of the cells can have.

    Returns:
        Rows whose ``value``, ``standard_error`` (NaN where S = 1) and ``tests`` are lists over replicas.
    """
    for distribution, sequences in test_set.sequences.items():
        law = test_set.label_distribution[distribution]
        for measure, values in answer_measures(log_p[distribution], sequences.target, law).items():
            yield from mean_rows(distribution, measure, values, test_set.evaluation_per_cell, by_condition)


def gate_rows(
    name: str,
    model: dict[str, Tensor],
    g: dict[str, Tensor],
    h: dict[str, Tensor],
    test_set: TestSet,
    by_condition: list[Condition],
) -> Iterator[Row]:
    r"""Effective gate `name` and `name`_residual in every condition, from answers of model, g and h.

    Inside of (0, 1) the gate is where the mean of :math:`\psi_i = \partial_\alpha \mathrm{KL}_i` is 0, so that its
    standard error is that mean's over the mean of :math:`\partial_\alpha \psi_i` (the sandwich of an M-estimator). At 0
    and 1 neither this nor a number of tests says how far it may be off, and both are missing. The residual is a mean of
    :math:`\mathrm{KL}_i` that a small change of the gate leaves alone.

    Rows are those of `loss_rows`. Where g and h agree on every sequence of a condition the gate is NaN.

    Source: P. J. Huber. The behavior of maximum likelihood estimates under nonstandard conditions. 1967.
    """
    for distribution in test_set.sequences:
        triple = [log_p[distribution].unflatten(1, (-1, test_set.evaluation_per_cell)) for log_p in (model, g, h)]
        for condition in by_condition:
            weights = condition.weights.flatten()
            seen = weights.nonzero().squeeze(-1)
            cells = [log_p[:, seen.to(log_p.device)] for log_p in triple]
            weights = weights[seen].to(cells[0].device)
            parts = [cell.flatten(1, 2) for cell in cells]
            fit = nearest_mixture(parts[0], parts[1], parts[2], weights.repeat_interleave(test_set.evaluation_per_cell))
            slope, curvature, divergence = _at_gate(cells, fit.alpha.nan_to_num()[:, None, None, None])
            of_slope, of_divergence = (
                (weights.square() * _variance(part)).sum(-1).sqrt() for part in (slope, divergence)
            )
            inside, tests = (fit.alpha > 0) & (fit.alpha < 1), _tests(condition, test_set.evaluation_per_cell)
            error = (of_slope / (curvature.mean(-1) * weights).sum(-1)).where(inside, torch.nan)
            yield _row(distribution, condition, name, fit.alpha, error, [tests if k else None for k in inside.tolist()])
            residual = fit.residual.where(~(fit.residual < -ROUNDING), 0.0)  # answers in float32 sum to 1 nearly
            yield _row(distribution, condition, f"{name}_residual", residual, of_divergence, [tests] * len(error))


def _at_gate(triple: list[Tensor], alpha: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """First and second derivative in the gate of each sequence's KL divergence, and the divergence, (R, cells, S)."""
    t, g, h = (log_p.exp() for log_p in triple)
    mixture = (alpha * g + (1 - alpha) * h).clamp_min(1e-300)
    ratio = (g - h) / mixture
    divergence = torch.where(t > 0, t * (triple[0] - mixture.log()), 0.0)
    return -(t * ratio).sum(-1), (t * ratio.square()).sum(-1), divergence.sum(-1)


def mean_gate_rows(alpha: dict[str, Tensor], test_set: TestSet, by_condition: list[Condition]) -> Iterator[Row]:
    """Mean of a gate's own alpha, given per sequence as (R, B), in every condition; rows as those of `loss_rows`."""
    for distribution, values in alpha.items():
        if not bool(((values >= 0) & (values <= 1)).all()):  # NaN fails too
            raise ValueError(f"`alpha` must be in [0, 1]; got {values!r}")
        yield from mean_rows(distribution, "mean_gate", values.double(), test_set.evaluation_per_cell, by_condition)


def by_replica(rows: Iterable[Row], places: Sequence[Row]) -> Iterator[Row]:
    """A row for each replica; those without a value (NaN) are left out.

    Args:
        rows: rows whose values are lists over replicas.
        places: other columns of each replica's rows.

    Example:
        >>> rows = [{"measure": "error", "value": [0.5, 0.2], "standard_error": [0.1, 0.1], "tests": [25, 16]}]
        >>> [(row["seed"], row["value"], row["tests"]) for row in by_replica(rows, [{"seed": 0}, {"seed": 1}])]
        [(0, 0.5, 25), (1, 0.2, 16)]
    """
    for row in rows:
        for k, place in enumerate(places):
            if not math.isnan(row["value"][k]):
                yield {**place, **row, **{name: row[name][k] for name in ("value", "standard_error", "tests")}}


def mean_rows(
    distribution: str, measure: str, values: Tensor, evaluation_per_cell: int, by_condition: list[Condition]
) -> Iterator[Row]:
    """Mean of values in every condition, given per sequence as (R, K * 2 * S); rows as those of `loss_rows`."""
    cells = values.unflatten(1, (-1, 2, evaluation_per_cell))
    mean, variance = cells.mean(-1), _variance(cells)
    for condition in by_condition:
        weights = condition.weights.to(cells.device)
        error = (weights.square() * variance).sum((1, 2)).sqrt()
        tests = [_tests(condition, evaluation_per_cell)] * len(cells)
        yield _row(distribution, condition, measure, (mean * weights).sum((1, 2)), error, tests)


def _variance(cells: Tensor) -> Tensor:
    """Of the mean over the last axis; NaN where a cell has one value."""
    n = cells.shape[-1]
    return cells.var(-1) / n if n > 1 else torch.full_like(cells[..., 0], torch.nan)


def _tests(condition: Condition, evaluation_per_cell: int) -> int:
    return int(evaluation_per_cell / float(condition.weights.max()) + 1e-6)


def _row(
    distribution: str, condition: Condition, measure: str, value: Tensor, error: Tensor, tests: Sequence[int | None]
) -> Row:
    return {
        "distribution": distribution,
        "context": condition.context,
        "group": condition.group,
        "measure": measure,
        "kind": "measured",
        "value": value.tolist(),
        "standard_error": error.tolist(),
        "tests": tests,
    }
