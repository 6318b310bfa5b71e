"""Which stylized model's N* is nearest to that of Transformers? In-weight crossovers of rare classes.

Each variant is trained as the preset `quick` of `crossover` trains Transformers, whose measured N* stand over its own
(docs/results/crossover.md).

Run: python -m benchmarks.stylized_variants [SEEDS]   (three seeds: about a quarter of an hour of one core)
"""

import sys
import threading
from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import layer_norm

from gating.evaluation.conditions import conditions, draw_test_set
from gating.evaluation.crossing import crossing, power_law_exponent
from gating.evaluation.measures import answers, loss_rows
from gating.gates.stylized import StylizedModel
from gating.models.blocks import Block, through
from gating.models.layers import LayerNorm, Linear, generators
from gating.models.transformer import sinusoidal_positions
from gating.results.intervals import geometric_mean_interval, mean_interval
from gating.studies.crossover.config import CrossoverConfig
from gating.studies.replicas import Replica, sampler_of
from gating.studies.stylized import stylized_model
from gating.tasks.sequences import Sequences
from gating.training.group import ReplicaGroup
from gating.training.schedule import TrainSettings

MEASURED = {0.6: 1007, 0.8: 1533, 0.9: 2384, 0.95: 3097, 0.975: 6086}
"""N* of Transformers after 3,951 steps, geometric mean of five seeds, by p_high."""


class Blocks(nn.Module):
    """A Transformer without a context in the place of g: two residual blocks on the query alone."""

    def __init__(self, replicas: Sequence[Replica], hidden: int):
        super().__init__()
        spec, rngs = replicas[0].distribution, generators([each.init_seed for each in replicas])
        self.blocks = nn.ModuleList([Block(spec.dim, 1, hidden / spec.dim, rngs) for _ in range(2)])
        self.norm, self.read_out = LayerNorm(spec.dim, len(replicas)), Linear(spec.dim, spec.n_classes, rngs)

    def forward(self, sequences: Sequences) -> Tensor:
        """Log-probabilities of the labels."""
        x = through(self.blocks, sequences.x[..., -1:, :], last_only=True)
        return self.read_out(self.norm(x)).squeeze(-2).log_softmax(-1)


def raw(replicas: Sequence[Replica], hidden: int) -> StylizedModel:
    """g and the gate see inputs as they are."""
    model = stylized_model(replicas, hidden)
    model.normalised = False
    return model


def with_positions(replicas: Sequence[Replica], hidden: int) -> StylizedModel:
    """g and the gate see inputs with the Transformer's positions added, then normalised."""
    model, spec = stylized_model(replicas, hidden), replicas[0].distribution
    positions = sinusoidal_positions(spec.context_length + 1, spec.dim)
    model.seen = lambda s: s._replace(x=layer_norm(s.x + positions, (spec.dim,)))  # type: ignore[method-assign]
    return model


def with_blocks(replicas: Sequence[Replica], hidden: int) -> StylizedModel:
    """g is a Transformer without a context."""
    model = raw(replicas, hidden)
    model.g = Blocks(replicas, hidden)  # type: ignore[assignment]
    return model


VARIANTS: dict[str, Callable[[Sequence[Replica], int], StylizedModel]] = {
    "inputs as they are": raw,
    "inputs normalised": stylized_model,
    "positions added, normalised": with_positions,
    "g of two residual blocks": with_blocks,
}


def crossovers(config: CrossoverConfig, variant: Callable[[Sequence[Replica], int], StylizedModel]) -> np.ndarray:
    """N* of each seed and `p_high`, (S, F)."""
    found = []
    for spec in config.settings:
        replicas = [each for each in config.replicas if each.distribution == spec]
        model, sampler = (
            variant(replicas, config.transformer.hidden),
            sampler_of(replicas, cover_classes=False, device=torch.device("cpu")),
        )
        training = config.transformer_training
        ReplicaGroup(len(replicas), model, sampler, training).advance(training.steps, threading.Event())
        test_set = draw_test_set(sampler, seed=0, evaluation_per_cell=config.evaluation_per_cell)
        rare = [c for c in conditions(spec) if (c.context, c.group) == ("irrelevant", "low")]
        rows = loss_rows(answers(model, test_set), test_set, rare)
        errors = next(row for row in rows if (row["measure"], row["distribution"]) == ("error", "ibd"))["value"]
        found.append(crossing(config.sizes(spec), np.reshape(errors, (-1, config.n_seeds)).T - 0.5))
    return np.stack(found, -1)


def main() -> None:
    torch.set_num_threads(1)
    seeds = int(sys.argv[1]) if len(sys.argv) > 1 else 3
    training = TrainSettings(steps=3951, learning_rate=1e-3, checkpoints=1)
    config = CrossoverConfig(p_high=tuple(MEASURED), n_seeds=seeds, transformer_training=training)
    q = np.array([spec.frequencies[-1] for spec in config.settings])
    print("| Transformers over it, q = |", " | ".join(f"{each:.3g}" for each in q), "| slope | factor off (rms) |")
    print("| --- |" + " --- |" * (len(q) + 2))
    for name, variant in VARIANTS.items():
        sizes = crossovers(config, variant)
        ratios = np.array(list(MEASURED.values())) / geometric_mean_interval(sizes.T).value
        slope = mean_interval(power_law_exponent(q, sizes))
        off = np.exp(np.sqrt(np.nanmean(np.log(ratios) ** 2)))
        cells = [*(f"{ratio:.2f}" for ratio in ratios),
                 f"{slope.value:.2f} [{slope.low:.2f}, {slope.high:.2f}]", f"{off:.2f}"]  # fmt: skip
        print(f"| {name} |", " | ".join(cells), "|", flush=True)


if __name__ == "__main__":
    main()
