"""The work of a crossover run in parts: counting labels, training, measuring."""

from collections.abc import Iterator, Sequence
from functools import partial

import torch
from torch import nn

from gating.models.layers import generators
from gating.models.transformer import Transformer
from gating.results.table import make_table
from gating.runs.ensemble import Ensemble
from gating.runs.executor import Resources
from gating.runs.store import Place
from gating.settings.text import as_plain
from gating.studies.crossover.config import CrossoverConfig
from gating.studies.crossover.measure import count_rows, transformer_rows
from gating.studies.replicas import Replica, input_shape, sampler_of
from gating.training.trained import Trained
from gating.training.trainer import Trainer
from theory.distribution import ClassMixture

__all__ = ["ROWS", "TRAINED", "ensemble", "keep_counts", "keep_measures"]

TRAINED, ROWS = "train/transformer", "rows"


def ensemble(config: CrossoverConfig) -> Ensemble[Replica]:
    """All Transformers of the study."""
    shared = {"transformer": as_plain(config.transformer), "training": as_plain(config.transformer_training)}
    return Ensemble("transformer", config.replicas, partial(_trainer, config), shared, shape=input_shape)


def keep_counts(config: CrossoverConfig, spec: ClassMixture, place: Place, resources: Resources) -> None:
    """Keeps the risks of label counts and of copying."""
    place.save_table(ROWS, make_table(count_rows(config, spec)))


def build(config: CrossoverConfig, replicas: Sequence[Replica]) -> nn.Module:
    """Transformers with their initial values."""
    spec, rngs = replicas[0].distribution, generators([r.init_seed for r in replicas])
    return Transformer(spec.dim, spec.n_classes, spec.context_length, rngs=rngs, **vars(config.transformer))


def _trainer(
    config: CrossoverConfig, place: Place, resources: Resources, replicas: Sequence[Replica]
) -> Trainer[Replica]:
    """What trains some replicas."""
    device, settings = torch.device(resources.device), config.transformer_training
    source = partial(sampler_of, cover_classes=False, device=device)
    return Trainer(place, replicas, partial(build, config), source, settings, device=device)


def keep_measures(config: CrossoverConfig, first: int, place: Place, resources: Resources) -> None:
    """Keeps errors and gates of the replicas of one `p_high` and one N at every checkpoint."""
    mine, trained = config.replicas[first : first + config.n_seeds], Trained(place, ensemble(config))

    def checkpoints() -> Iterator[tuple[int, nn.Module]]:
        for step in config.transformer_training.checkpoint_steps:
            model = build(config, mine).requires_grad_(False)
            model.load_state_dict(trained.load(step, mine))
            yield step, model

    place.save_table(ROWS, make_table(transformer_rows(config, mine, checkpoints())))
