"""The project's own tasks, predictors and learned gates keep the contracts; its online gates: `tests/gating/gates`."""

import pytest
import torch

from gating.checks import check_learned_gate, check_predictor, check_task
from gating.gates.learned import GATE_INPUTS, MLPGate
from gating.gates.stylized import StylizedModel
from gating.models.decoder import ItemDecoder, RegressionDecoder, UrnDecoder
from gating.models.layers import generators
from gating.models.transformer import Transformer
from gating.predictors.in_context import SoftmaxSimilarity
from gating.predictors.in_weight import InWeightMLP, TabularInWeight
from gating.predictors.item_labels import ItemGeneralizer, ItemMemorizer
from gating.predictors.linear_regression import LinearAttention, RegressionGeneralizer, RegressionMemorizer
from gating.predictors.urns import UrnGeneralizer, UrnMemorizer
from gating.tasks.class_mixture import ClassMixtureSampler
from gating.tasks.item_labels import ItemLabels
from gating.tasks.linear_regression import LinearRegression
from gating.tasks.urns import Urns
from theory.distribution import ClassMixture

SPEC = ClassMixture(dim=8, context_length=3, label_noise=0.2)
K, DIM, LENGTH, R = SPEC.n_classes, 8, 6, 2
SHAPE = {"depth": 2, "heads": 1, "width": 8, "mlp_factor": 2.0, "rngs": generators(range(R))}


def mixture(seeds, **how):
    return ClassMixtureSampler([SPEC] * len(seeds), [1000] * len(seeds), seeds, **how)


def family(kind, **how):
    return lambda seeds: kind([5] * len(seeds), seeds, dim=DIM, length=LENGTH, **how)


def cells(task, seed, count):
    """Test sequences of every class, with relevant and irrelevant contexts."""
    place = torch.arange(count)
    return task.fresh(seed, place % K, place % 2 == 0)


def unseen(task, seed, count):
    return task.fresh(seed, count, unseen=True)


def absent(task, seed, count):
    return task.fresh(seed, count, absent=True)


TASKS = {
    "class mixture": (mixture, {"n_labels": K, "fresh": cells}),
    "class mixture, any rows": (lambda seeds: mixture(seeds, cover_classes=False, dtype=torch.float64),
                                {"n_labels": K, "fresh": cells}),
    "urns": (family(Urns), {"n_labels": DIM}),
    "urns, unseen": (family(Urns), {"n_labels": DIM, "fresh": unseen}),
    "item labels": (family(ItemLabels), {"n_labels": 2}),
    "item labels, unseen": (family(ItemLabels), {"n_labels": 2, "fresh": unseen}),
    "item labels, absent": (family(ItemLabels, within_variance=0.1), {"n_labels": 2, "fresh": absent}),
    "linear regression": (family(LinearRegression), {}),
    "linear regression, unseen": (family(LinearRegression), {"fresh": unseen}),
}  # fmt: skip


@pytest.mark.parametrize(("make", "how"), TASKS.values(), ids=TASKS)
def test_every_task_keeps_the_contract(make, how):
    check_task(make, **how)


MIXTURE, URNS = mixture(list(range(R))), family(Urns)(list(range(R)))
ITEMS, LINES = family(ItemLabels)(list(range(R))), family(LinearRegression)(list(range(R)))
RNGS = generators(range(R))
PREDICTORS = {
    "in-weight perceptron": (InWeightMLP(DIM, K, rngs=RNGS), MIXTURE, "label"),
    "label counts": (TabularInWeight.fit(MIXTURE), MIXTURE, "label"),
    "similarity": (SoftmaxSimilarity(K, R, temperature=0.5), MIXTURE, "label"),
    "stylized": (StylizedModel(InWeightMLP(DIM, K, rngs=RNGS), SoftmaxSimilarity(K, R),
                               MLPGate(DIM, 3, inputs="query", rngs=RNGS)), MIXTURE, "label"),
    "Transformer": (Transformer(DIM, K, 3, **SHAPE), MIXTURE, "label"),
    "items, memorizer": (ItemMemorizer(*ITEMS.table(0)), ITEMS, "label"),
    "items, generalizer": (ItemGeneralizer(DIM), ITEMS, "label"),
    "items, Transformer": (ItemDecoder(DIM, LENGTH, **SHAPE), ITEMS, "label"),
    "lines, memorizer": (RegressionMemorizer(LINES.table(0)), LINES, "every mean"),
    "lines, generalizer": (RegressionGeneralizer(DIM), LINES, "every mean"),
    "lines, linear attention": (LinearAttention.fitted(LINES.batches(1, 1, 50)), LINES, "every mean"),
    "lines, Transformer": (RegressionDecoder(DIM, LENGTH, **SHAPE), LINES, "every mean"),
    "urns, memorizer": (UrnMemorizer(URNS.table(0)), URNS, "every label"),
    "urns, generalizer": (UrnGeneralizer(DIM), URNS, "every label"),
    "urns, Transformer": (UrnDecoder(DIM, LENGTH, **SHAPE), URNS, "every label"),
}  # fmt: skip


@pytest.mark.parametrize(("predictor", "task", "answers"), PREDICTORS.values(), ids=PREDICTORS)
def test_every_predictor_keeps_the_contract(predictor, task, answers):
    check_predictor(predictor, task.batches(0, 1, 20), answers=answers)


@pytest.mark.parametrize("inputs", GATE_INPUTS)
def test_every_learned_gate_keeps_the_contract(inputs):
    check_learned_gate(MLPGate(DIM, 3, inputs=inputs, rngs=RNGS), MIXTURE.batches(0, 1, 20))
