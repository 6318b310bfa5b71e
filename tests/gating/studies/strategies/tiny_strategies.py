"""The smallest study of strategies with every group of held-out cells."""

from gating.studies.strategies.config import DecoderShape, HeldOut, StrategiesConfig
from gating.training.schedule import TrainSettings


def tiny(task="urns", **fields) -> StrategiesConfig:
    """Two seeds, one D and one width held out, the last third of training held out; all checkpoints described."""
    training = TrainSettings(
        steps=56, batch_size=8, learning_rate=0.01, checkpoints=6, save_every=14, warm_up=5, max_grad_norm=1.0
    )
    given = {
        "task": task,
        "dim": 4,
        "length": 8,
        "n_tasks": (2, 4, 8),
        "mlp_factors": (1.0, 2.0),
        "n_seeds": 2,
        "evaluation_sequences": 16,
        "evaluation_rows": 32,
        "loss_sequences": 32,
        "loss_groups": 4,
        "described_within": 1.0,
        "held_out": HeldOut(n_tasks=(4,), mlp_factors=(2.0,), steps_after=0.7),
        "n_resamples": 3,
        "transformer": DecoderShape(width=8),
        "training": training,
    }
    return StrategiesConfig(**(given | fields))
