"""A small model of every kind that is trained, with its data and its loss."""

from small_run import BUILDERS, source

from gating.models.decoder import ItemDecoder, RegressionDecoder, UrnDecoder
from gating.models.layers import generators
from gating.predictors.in_weight import InWeightMLP
from gating.studies.strategies.families import every_draw_log_loss, squared_error
from gating.tasks.item_labels import ItemLabels
from gating.tasks.linear_regression import LinearRegression
from gating.tasks.urns import Urns
from gating.training.gradients import Gradients
from gating.training.group import target_log_loss
from gating.training.optimizer import Descent
from gating.training.schedule import TrainSettings

SHAPE = {"depth": 1, "width": 16, "mlp_factor": 2.0}


def _urns(seeds):
    return UrnDecoder(3, 24, rngs=generators(seeds), **SHAPE), Urns([4, 9], seeds, dim=3, length=24)


def _pairs(seeds):
    return RegressionDecoder(3, 6, rngs=generators(seeds), **SHAPE), LinearRegression([4, 9], seeds, dim=3, length=6)


def _items(seeds):
    return ItemDecoder(3, 20, rngs=generators(seeds), **SHAPE), ItemLabels([4, 9], seeds, dim=3, length=20)


def _of(name):
    return lambda seeds: (BUILDERS[name](seeds), source(seeds))


def _in_weight(seeds):
    return InWeightMLP(8, 4, hidden=8, rngs=generators(seeds)), source(seeds)


SYSTEMS = {
    "in_weight": (_in_weight, target_log_loss),
    "transformer": (_of("transformer"), target_log_loss),
    "stylized": (_of("stylized"), target_log_loss),
    "urns": (_urns, every_draw_log_loss),
    "regression": (_pairs, squared_error),
    "items": (_items, target_log_loss),
}


def gradients_of(system, **settings):
    """Gradients by parameter and losses of a first batch."""
    make, loss = SYSTEMS[system]
    model, batches = make([3, 4])
    told = TrainSettings(steps=1, max_grad_norm=0.05, **settings)
    descent = Descent(dict(model.named_parameters()), told, replicas=True, flat=True)
    flat, losses = Gradients(model, descent, told, loss)(batches.batches(0, 1, 16))
    return {name: descent.piece(name, flat) for name in descent.places}, losses
