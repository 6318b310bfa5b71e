"""Does a memorizing predictor that trusts its evidence less describe trained Transformers better than the exact one?

    python -m benchmarks.tempered_memorizer RUN [--sequences 512]

RUN is the folder of a `gating strategies` run of urns or linear regression. For every model's last checkpoint, on
training tasks and on unseen ones, the posterior of M is taken with its log-likelihood times tau (for regression that is
noise variance / tau), and T is compared with its best mixture with the exact G: printed are the weight of M and what
is left: KL in nats (urns), or R^2 (regression). Markdown.
"""

import argparse
from pathlib import Path

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from gating.gates.effective import effective_gate, effective_gate_squared
from gating.predictors.linear_regression import RegressionMemorizer
from gating.runs.folder import RunFolder
from gating.runs.store import Place
from gating.studies.strategies.config import StrategiesConfig
from gating.studies.strategies.ensemble import checkpoints, sampler_of
from gating.studies.strategies.families import FAMILIES, Family
from gating.tasks.sequences import Sequences
from theory.settings import build

TEMPERATURES = (1.0, 0.5, 0.3, 0.1, 0.03, 0.01, 1 / 300, 0.001)
SEED = 12


def urns(table: Tensor, sequences: Sequences, tau: float) -> Tensor:
    """Posterior mean of the urns with evidence times tau, log-probabilities (B, T, m)."""
    drawn = one_hot(sequences.y, table.shape[1]).double()
    evidence = (drawn.cumsum(1) - drawn) @ table.log().T
    return ((tau * evidence).softmax(-1) @ table).log()


def regression(table: Tensor, sequences: Sequences, tau: float, noise_variance: float) -> Tensor:
    """Posterior mean over the weights with evidence times tau, (B, T)."""
    return RegressionMemorizer(table, noise_variance=noise_variance / tau)(sequences)


def left_over(family: Family, sampler, model, sequences: Sequences, tau: float) -> str:
    """Weight of M and what the best mixture leaves, as text."""
    alone = Sequences(*(part[0] for part in sequences))
    with torch.no_grad():
        t = model(sequences)[0].double()
    g = family.generalizer(sampler)(alone)
    if family.distance == "kl":
        m = urns(sampler.table(0).double(), alone, tau)
        found = effective_gate(*(part.flatten(0, 1) for part in (t, m, g)))
        return f"{found.alpha.item():.2f}, {found.residual.item():.4f}"
    m = regression(sampler.table(0), alone, tau, sampler.noise_variance)
    found = effective_gate_squared(*(part.reshape(-1, 1) for part in (t, m, g)))
    return f"{found.alpha.item():.2f}, {1 - (found.residual / t.var()).item():.2f}"


def main() -> None:
    """Prints one table for each kind of sequences."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("--sequences", type=int, default=512)
    options = parser.parse_args()
    folder = RunFolder(options.run)
    config = build(StrategiesConfig, folder.manifest["identity"]["config"])
    if config.task == "item_labels":
        parser.error("`run` must be of urns or linear regression; the evidence of an item is a single showing")
    family, place = FAMILIES[config.task], Place(folder, "")
    for kind in ("ibd", "oobd"):
        print(f"\n{kind}: weight of M, {'KL' if config.task == 'urns' else 'R^2'} by tau\n")
        print("| D | seed | " + " | ".join(f"{tau:.3g}" for tau in TEMPERATURES) + " |")
        print("| ---: | ---: | " + " | ".join(["---"] * len(TEMPERATURES)) + " |")
        for replica in config.replicas:
            sampler = sampler_of(config, [replica])
            model = checkpoints(config, place, replica)[-1]
            sequences = sampler.fresh(SEED, options.sequences, unseen=kind == "oobd")
            cells = (left_over(family, sampler, model, sequences, tau) for tau in TEMPERATURES)
            print(f"| {replica.n_tasks} | {replica.seed} | " + " | ".join(cells) + " |")


if __name__ == "__main__":
    main()
