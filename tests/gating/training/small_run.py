"""A small ensemble to train. Also a program, ``small_run.py FOLDER``, that trains it and can be killed."""

import sys

import torch

from gating.gates.learned import MLPGate
from gating.gates.stylized import StylizedModel
from gating.models.layers import generators
from gating.models.transformer import Transformer
from gating.predictors.in_context import SoftmaxSimilarity
from gating.predictors.in_weight import InWeightMLP
from gating.runs.store import opened
from gating.tasks.class_mixture import ClassMixtureSampler
from gating.training.schedule import TrainSettings
from gating.training.trainer import Trainer
from theory.distribution import ClassMixture

DIM, LENGTH = 8, 2
N_REPLICAS = 12


def _transformer(seeds):
    sizes = {"depth": 2, "width": DIM, "mlp_factor": 2.0}
    return Transformer(DIM, 4, LENGTH, **sizes, rngs=generators(seeds))


def _stylized(seeds):
    rngs = generators(seeds)
    gate = MLPGate(DIM, LENGTH, inputs="query_and_context", hidden=8, rngs=rngs)
    return StylizedModel(InWeightMLP(DIM, 4, hidden=8, rngs=rngs), SoftmaxSimilarity(4, len(seeds)), gate)


BUILDERS = {"transformer": _transformer, "stylized": _stylized}


def source(seeds, dtype=torch.float32):
    """Every replica has its own data seed, training-set size and noise."""
    specs = [
        ClassMixture(n_high=2, n_low=2, context_length=LENGTH, dim=DIM, input_noise=0.1 + 0.01 * seed) for seed in seeds
    ]
    return ClassMixtureSampler(specs, [64 + seed for seed in seeds], seeds, dtype=dtype)


def place_in(path):
    """A place in a folder that is not held any more, so that trainers of one test may follow each other."""
    with opened(path, {}) as held:
        return held


def contents(path):
    """Bytes of every file of a run's parts, by its place."""
    parts = path / "parts"
    return {str(file.relative_to(parts)): file.read_bytes() for file in parts.rglob("*") if file.is_file()}


def trainer(path, seeds=range(N_REPLICAS), *, model="transformer", dtype=torch.float32, **settings):
    """A trainer of the ensemble into `path`, whose `source` may be replaced."""
    make = settings.pop("source", lambda mine: source(mine, dtype))
    settings = TrainSettings(**{"steps": 50, "batch_size": 8, "learning_rate": 3e-3, "checkpoints": 4} | settings)
    return Trainer(place_in(path), list(seeds), BUILDERS[model], make, settings, dtype=dtype)


def long_run(path):
    """Saves every fifth step, so that a kill falls into computing as well as into writing."""
    return trainer(path, steps=200, save_every=5)


if __name__ == "__main__":
    torch.set_num_threads(1)
    long_run(sys.argv[1]).run()
