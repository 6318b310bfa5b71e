"""The work of a crossover run in parts: counting labels, training, measuring."""

from collections.abc import Sequence
from functools import partial

from torch import nn

from gating.models.layers import generators
from gating.models.transformer import Transformer
from gating.results.table import make_table
from gating.runs.ensemble import Ensemble
from gating.runs.executor import Resources
from gating.runs.store import Place
from gating.settings.text import as_plain
from gating.studies.crossover.config import CrossoverConfig
from gating.studies.crossover.measure import count_rows
from gating.studies.replicas import Replica, input_shape
from gating.studies.stylized import models_at, stylized_model, trained_rows, trainer_of
from gating.training.trained import Trained
from theory.distribution import ClassMixture

__all__ = ["ROWS", "SYSTEMS", "ensemble", "keep_counts", "keep_measures"]

ROWS = "rows"
SYSTEMS = ("transformer", "stylized")
"""Systems that are trained on the same sequences, in the same way."""


def ensemble(config: CrossoverConfig, system: str) -> Ensemble[Replica]:
    """All models of a system."""
    shared = {"transformer": as_plain(config.transformer), "training": as_plain(config.transformer_training)}
    return Ensemble(
        system,
        config.replicas,
        partial(trainer_of, partial(build, config, system), config.transformer_training),
        shared,
        shape=input_shape,
    )


def keep_counts(config: CrossoverConfig, spec: ClassMixture, place: Place, resources: Resources) -> None:
    """Keeps the risks of label counts and of copying."""
    place.save_table(ROWS, make_table(count_rows(config, spec)))


def build(config: CrossoverConfig, system: str, replicas: Sequence[Replica]) -> nn.Module:
    """Models with their initial values; a stylized model's perceptrons are as wide as the Transformer's."""
    spec, shape = replicas[0].distribution, config.transformer
    if system == "stylized":
        return stylized_model(replicas, shape.hidden)
    rngs = generators([r.init_seed for r in replicas])
    return Transformer(spec.dim, spec.n_classes, spec.context_length, rngs=rngs, **vars(shape))


def keep_measures(config: CrossoverConfig, system: str, first: int, place: Place, resources: Resources) -> None:
    """Keeps errors and gates of a system's replicas of one `p_high` and one N at every checkpoint."""
    mine, trained = config.replicas[first : first + config.n_seeds], Trained(place, ensemble(config, system))
    found = models_at(config.transformer_training.checkpoint_steps, partial(build, config, system), trained, mine)
    where = {"study": "crossover", "system": system, "p_high": mine[0].distribution.p_high}
    same = ("beta", "temperature", "evaluation_seed", "evaluation_per_cell")
    rows = trained_rows(mine, found, where, groups=["low"], **{name: getattr(config, name) for name in same})
    place.save_table(ROWS, make_table(rows))
