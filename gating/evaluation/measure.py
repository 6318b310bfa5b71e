"""Measures anybody's own model of the class mixture as the studies measure theirs: losses and effective gates."""

from collections.abc import Sequence
from itertools import chain

import pandas as pd
import torch
from torch import Tensor

from gating.evaluation.conditions import conditions, draw_test_set
from gating.evaluation.measures import answers, by_replica, gate_rows, loss_rows
from gating.predictors.in_context import SoftmaxSimilarity
from gating.predictors.in_weight import TabularInWeight
from gating.predictors.predictor import Predictor
from gating.results.table import make_table, summarise
from gating.tasks.class_mixture import ClassMixtureSampler
from theory.distribution import ClassMixture
from theory.validation import require_instances, require_integer

__all__ = ["COPYING_TEMPERATURE", "MOST_COUNTED", "measure"]

MOST_COUNTED = 2**22
"""Largest training set whose labels are counted for the default in-weight predictor."""
COPYING_TEMPERATURE = 0.1
"""Temperature of the default in-context predictor, which copies the labels of context inputs near to the query."""


def measure(
    model: Predictor,
    spec: ClassMixture,
    *,
    n: int,
    seeds: Sequence[int] = (0,),
    system: str = "model",
    g: Predictor | None = None,
    h: Predictor | None = None,
    cover_classes: bool = False,
    evaluation_seed: int = 0,
    evaluation_per_cell: int = 200,
    device: torch.device | str = "cpu",
) -> pd.DataFrame:
    """Errors, log losses and effective gates of a model in every condition, as rows of the result table.

    Args:
        model: log-probabilities of the query's label, sequences (R, B, ...) -> (R, B, C), replica r being of data seed
            ``seeds[r]``; a module in the mode in which it is to be measured. One model is the case of one seed.
        spec: the data.
        n: number N of training sequences; decides g, and the column ``n``.
        seeds: data seeds, which set class centres and training sets; those that the model was trained on.
        system: name of the model in the table.
        g: in-weight predictor; the label counts of the N training sequences of each seed
            (:class:`gating.predictors.in_weight.TabularInWeight`) by default.
        h: in-context predictor; softmax copying at `COPYING_TEMPERATURE`
            (:class:`gating.predictors.in_context.SoftmaxSimilarity`) by default.
        cover_classes: whether every class had a training query, see
            :class:`gating.tasks.class_mixture.ClassMixtureSampler`.
        evaluation_seed: seed of the test sequences.
        evaluation_per_cell: test sequences for each (query class, context kind), >= 1.
        device: where sequences are drawn and predictors are asked, which is where the model is.

    Returns:
        Rows of each seed: ``error``, ``log_loss``, both as expected over the label distribution, ``effective_gate`` and
        ``effective_gate_residual``, in-base and out-of-base, by context and group; then their means over the seeds with
        intervals (of one seed: over its test sequences), as rows whose ``answer`` is true.

    Raises:
        ValueError: naming the argument, the allowed set and the value.

    Example:
        >>> from gating.predictors.in_context import SoftmaxSimilarity
        >>> spec = ClassMixture(dim=8)
        >>> table = measure(SoftmaxSimilarity(10, 1, temperature=0.1), spec, n=64, evaluation_per_cell=10)
        >>> gate = table[table["answer"] & (table["measure"] == "effective_gate") & (table["group"] == "all")]
        >>> gate[gate["distribution"] == "oobd"].set_index("context")["value"].round(3).to_dict()
        {'relevant': 0.0, 'irrelevant': 0.0, 'as_trained': 0.0}
    """
    require_instances(spec=(spec, ClassMixture), system=(system, str))
    require_integer("n", n, least=1, **({} if g else {"most": MOST_COUNTED}))
    alike = [spec] * len(seeds), [n] * len(seeds)
    sampler = ClassMixtureSampler(*alike, seeds, cover_classes=cover_classes, device=device)
    test_set = draw_test_set(sampler, seed=evaluation_seed, evaluation_per_cell=evaluation_per_cell)
    by_condition = list(conditions(spec))
    log_p = answers(model, test_set)
    wanted = (*test_set.sequences["ibd"].target.shape, spec.n_classes)
    if log_p["ibd"].shape != wanted:
        raise ValueError(f"`model` must answer with shape {wanted}; got {tuple(log_p['ibd'].shape)}")
    in_weight = answers(g or TabularInWeight.fit(sampler), test_set)
    copying = SoftmaxSimilarity(spec.n_classes, 1, temperature=COPYING_TEMPERATURE)
    in_context = answers(h or copying.to(sampler.device), test_set)
    three = [_normalised(given) for given in (log_p, in_weight, in_context)]
    gates = gate_rows("effective_gate", three[0], three[1], three[2], test_set, by_condition)
    rows = chain(loss_rows(log_p, test_set, by_condition), gates)
    table = make_table(by_replica(rows, [{"system": system, "n": n, "seed": seed} for seed in seeds]))
    found = summarise(table).drop(columns=["seeds", "over"]).assign(answer=True)
    return pd.concat([table, make_table(found)], ignore_index=True)


def _normalised(log_p: dict[str, Tensor]) -> dict[str, Tensor]:
    """Log-probabilities whose sum is 1 in float64: those of float32 may be off by what makes a divergence negative."""
    return {name: given - given.logsumexp(-1, keepdim=True) for name, given in log_p.items()}
