"""The work of the study `regret`: play g and h once, then every gate learner on their losses."""

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor

from gating.gates import OnlineGate, Tuning, find_gate
from gating.gates.online import play
from gating.results.table import make_table
from gating.runs.executor import Resources
from gating.runs.store import Place
from gating.studies.regret.config import RegretConfig
from gating.studies.regret.predictors import Rounds, loss_of, play_predictors
from theory.composition import composition_bound
from theory.distribution import ClassMixture
from theory.mixture_regret import exact_add_beta_regret, exact_worst_add_beta_regret
from theory.regret import exponential_weights_bound
from theory.validation import Floats

__all__ = ["PREDICTORS", "ROWS", "GatePlay", "cell_place", "keep_gate", "keep_predictors", "make_gate", "play_gate"]

PREDICTORS, ROWS, ROUNDS = "predictors", "rows", "rounds"
"""Names of the part that plays g and h, and of what parts keep."""

Row = dict[str, Any]


class GatePlay(NamedTuple):
    """A gate learner's rounds; R records, T rounds, S seeds, X cells.

    Attributes:
        path: gate of each cell after the rounds of each record, shape (R, S, X), in [0, 1].
        regret: loss of the gate minus that of the better predictor of each cell so far, shape (R, S, X).
        bound: upper bound on it, shape (R, S, X).
        alpha: gate played in each round, shape (T, S).
    """

    path: Floats
    regret: Floats
    bound: Floats
    alpha: Tensor


def make_gate(name: str, config: RegretConfig, loss: str) -> OnlineGate:
    """A gate learner for every seed and cell, tuned for the study's rounds."""
    shape = (config.n_seeds, config.n_cells)
    horizon = config.n_rounds / config.n_cells if config.known_horizon else None
    return find_gate(name).tuned(shape, Tuning(config.loss_range(loss), horizon, config.n_rounds))


def play_gate(gate: OnlineGate, rounds: Rounds, loss: str, records: NDArray[np.int64]) -> GatePlay:
    """Plays a gate through all rounds, looking at it after each record."""
    in_weight, in_context = loss_of(loss, rounds.in_weight), loss_of(loss, rounds.in_context[loss])
    alpha, looks = [], []
    for start, stop in zip([0, *records[:-1]], records, strict=True):
        alpha.append(play(gate, in_weight[start:stop], in_context[start:stop], rounds.cell[start:stop]))
        looks.append(torch.stack([gate.alpha(), gate.regret(), gate.bound()]))
    path, regret, bound = torch.stack(looks, dim=1).numpy()
    return GatePlay(path, regret, bound, torch.cat(alpha))


def keep_predictors(config: RegretConfig, place: Place, resources: Resources) -> None:
    """Plays g and h; keeps their rounds and the rows about them."""
    rounds = play_predictors(config)
    rows = [row for loss in config.losses for row in _predictor_rows(config, rounds, loss)]
    place.save_table(ROWS, _table(config, rows))
    held = rounds._asdict()
    in_context = {f"in_context.{loss}": p for loss, p in held.pop("in_context").items()}
    place.save_tensors(ROUNDS, held | in_context)


def kept_rounds(config: RegretConfig, place: Place) -> Rounds:
    """The rounds that `keep_predictors` kept."""
    held = place.tensors(ROUNDS)
    in_context = {loss: held.pop(f"in_context.{loss}") for loss in config.losses}
    return Rounds(in_context=in_context, **held)


def keep_gate(config: RegretConfig, loss: str, name: str, place: Place, resources: Resources) -> None:
    """Plays a gate learner on the rounds of g and h; keeps the rows about it.

    ``n`` is T, ``step`` the round, ``distribution`` in-base. A gate learner has ``regret_<loss>`` against the better
    predictor of each cell and its upper bound, summed over the cells of a group; ``gate_<loss>`` of every cell, whose
    class is in ``query_class``; and at the end ``regret_ratio_<loss>``, measured over bound, and ``total_<loss>`` of
    the mixed predictions with the upper bound of the composition.
    """
    rounds = kept_rounds(config, place.of(PREDICTORS))
    with torch.no_grad():
        played = play_gate(make_gate(name, config, loss), rounds, loss, config.records)
        rows = [*_gate_rows(config, name, loss, played), *_composition_rows(config, rounds, name, loss, played)]
    place.save_table(ROWS, _table(config, rows))


def _table(config: RegretConfig, rows: Iterable[Row]) -> pd.DataFrame:
    return make_table({"study": "regret", "n": config.n_rounds, "distribution": "ibd", **row} for row in rows)


def cell_place(spec: ClassMixture, cell: int, n_cells: int) -> Row:
    """Context, group and class under which the table shows a cell.

    Example:
        >>> cell_place(ClassMixture(), 7, 20)
        {'context': 'relevant', 'group': 'high', 'query_class': 3}
    """
    label, place = divmod(cell, n_cells // spec.n_classes)
    context = "as_trained" if n_cells == spec.n_classes else ("irrelevant", "relevant")[place]
    return {"context": context, "group": "high" if label < spec.n_high else "low", "query_class": label}


def _group_cells(config: RegretConfig) -> dict[str, list[int]]:
    """Cells of each group that has any; those of frequent classes come first."""
    cells = list(range(config.n_cells))
    n_high = config.distribution.n_high * config.n_cells // config.distribution.n_classes
    groups = {"high": cells[:n_high], "low": cells[n_high:], "all": cells}
    return {group: held for group, held in groups.items() if held}


def _seed_rows(config: RegretConfig, values: Floats, **key: Any) -> Iterator[Row]:
    """One row per seed at the last round, or at every record; measured over all cells unless the key says otherwise.

    Values have the shape (S,) or (R, S).
    """
    row = {"kind": "measured", "context": "as_trained", "group": "all", **key}
    by_step = np.atleast_2d(values)
    for step, at_step in zip(config.records[-len(by_step) :], by_step, strict=True):
        for seed, value in enumerate(at_step, start=config.seed):
            yield {**row, "step": step, "seed": seed, "value": float(value)}


def _gate_rows(config: RegretConfig, name: str, loss: str, played: GatePlay) -> Iterator[Row]:
    for group, cells in _group_cells(config).items():
        regret, bound = (  # record by record: over all at once numpy may add in another order
            np.stack([record[:, cells].sum(-1) for record in part]) for part in (played.regret, played.bound)
        )
        yield from _seed_rows(config, regret, system=name, measure=f"regret_{loss}", group=group)
        yield from _seed_rows(config, bound, system=name, measure=f"regret_{loss}", group=group, kind="upper")
        yield from _seed_rows(config, regret[-1] / bound[-1], system=name, measure=f"regret_ratio_{loss}", group=group)
    for cell in range(config.n_cells):
        place = cell_place(config.distribution, cell, config.n_cells)
        yield from _seed_rows(config, played.path[..., cell], system=name, measure=f"gate_{loss}", **place)


def _cell_totals(config: RegretConfig, rounds: Rounds, loss: str) -> Floats:
    """Loss of g and of h summed over the rounds of each cell, shape (2, S, X)."""
    losses = loss_of(loss, torch.stack([rounds.in_weight.T, rounds.in_context[loss].T]))
    empty = torch.zeros(2, config.n_seeds, config.n_cells, dtype=torch.float64)
    return empty.scatter_add(2, rounds.cell.T.expand_as(losses), losses).numpy()


def _composition_rows(config: RegretConfig, rounds: Rounds, name: str, loss: str, played: GatePlay) -> Iterator[Row]:
    """Total loss of the mixed predictions, and what the best set of cells and the gates' regret bounds allow it."""
    mixed = played.alpha * rounds.in_weight + (1 - played.alpha) * rounds.in_context[loss]
    key = {"system": name, "measure": f"total_{loss}"}
    yield from _seed_rows(config, loss_of(loss, mixed).sum(0).numpy(), **key)
    g, h = _cell_totals(config, rounds, loss)
    bound = composition_bound(g, h, played.bound[-1])
    yield from _seed_rows(config, bound, **key, kind="upper")


def _predictor_rows(config: RegretConfig, rounds: Rounds, loss: str) -> Iterator[Row]:
    """Totals of g (``tabular`` or ``in_weight``), of h (``copying``) and of the better one of each cell; and, where
    there is a bound, regrets against the best label distribution of each class and the best temperature."""
    g, h = _cell_totals(config, rounds, loss)
    in_weight = "tabular" if config.in_weight == "tabular" else "in_weight"
    for system, total in ((in_weight, g), ("copying", h), ("best_partition", np.minimum(g, h))):
        yield from _seed_rows(config, total.sum(-1), system=system, measure=f"total_{loss}")
    if loss == "log_loss" and in_weight == "tabular" and config.beta >= 0.5:
        key = {"system": in_weight, "measure": "regret_log_loss"}
        counts = _label_counts(config, rounds)
        labels = config.distribution.n_classes
        yield from _seed_rows(config, exact_add_beta_regret(counts, config.beta).sum(-1), **key)
        worst = exact_worst_add_beta_regret(counts.sum(-1), labels, config.beta).sum(-1)
        yield from _seed_rows(config, worst, **key, kind="upper")
    if len(config.temperatures) > 1:
        key = {"system": "copying", "measure": f"regret_{loss}"}
        best = loss_of(loss, rounds.grid).sum(0).amin(-1).numpy()
        yield from _seed_rows(config, h.sum(-1) - best, **key)
        bound = exponential_weights_bound(
            config.n_rounds, config.loss_range(loss), n_experts=len(config.temperatures), horizon=config.n_rounds
        )
        yield from _seed_rows(config, np.full(config.n_seeds, bound), **key, kind="upper")


def _label_counts(config: RegretConfig, rounds: Rounds) -> Floats:
    """How often each recognised class met each label, shape (S, K, C)."""
    labels = config.distribution.n_classes
    recognised = rounds.cell // (config.n_cells // labels)
    counts = [np.bincount(of_seed, minlength=labels**2) for of_seed in (recognised * labels + rounds.label).T.numpy()]
    return np.array(counts, dtype=np.float64).reshape(-1, labels, labels)
