"""The smallest comparison that has two sizes, two seeds and two checkpoints."""

from gating.studies.compare.config import CompareConfig
from gating.studies.replicas import TransformerShape
from gating.training.schedule import TrainSettings
from theory.distribution import ClassMixture


def tiny(**fields) -> CompareConfig:
    training = TrainSettings(steps=60, batch_size=8, learning_rate=0.01, checkpoints=2, save_every=10)
    given = {
        "distribution": ClassMixture(dim=16, n_high=2, n_low=2),
        "n_sequences": (16, 64),
        "n_seeds": 2,
        "transformer": TransformerShape(width=16, depth=1, mlp_factor=1.0),
        "evaluation_per_cell": 4,
        "hidden": 8,
        "transformer_training": training,
        "stylized_training": training,
    }
    return CompareConfig(**(given | fields))
