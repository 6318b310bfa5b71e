"""How much does the agreement of the posterior with trained Transformers depend on which checkpoints it is judged on?

    python -m benchmarks.cells_of_fit RUN [--instead OTHER]

RUN is the folder of a `gating strategies` run; models of OTHER, a run of the same settings with another seed, take the
place of those of the same D, where there are such. The posterior is fitted and judged again

- on the checkpoints that this project takes, and on those of the published rule: from the first step on at which the
  best mixture of M and G leaves, at every D, less than its least plus 0.2 times the range of what it leaves (0.1 in
  regression); fitted to D up to 1,024 and the first 80% of the checkpoints, judged on all of them;
- on both, with each D left out in turn;
- with descriptions of both predictors that are longer by some bits.

Before that, how many nats M loses less than G per answer, in the run and over 20 other draws of the training tasks.

Correlation is Pearson's, over checkpoints, between the weight of M and the relative distance on sequences of training
tasks and on unseen ones; the second measure is total variation (R^2 in regression), of the same sequences. Markdown.
"""

import argparse
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from gating.evaluation.agreement import correlation
from gating.gates.posterior_fit import fit_posterior
from gating.runs.folder import RunFolder
from gating.runs.store import Place
from gating.studies.replicas import combined_seed
from gating.studies.strategies.agreement import cell_measures
from gating.studies.strategies.cells import StudyCells, cells_of
from gating.studies.strategies.config import StrategiesConfig
from gating.studies.strategies.ensemble import sampler_of
from gating.studies.strategies.families import FAMILIES
from gating.studies.strategies.gates import PlayedGate
from gating.studies.strategies.outputs import RunOutputs, measure_run
from gating.tasks.sequences import Sequences
from theory.settings import build
from theory.validation import Floats

MOST_TASKS, STEPS_SHARE, WITHIN = 1024, 0.8, {"kl": 0.2, "squared": 0.1}
BITS = (1_000, 10_000, 100_000)
DRAWS, SEQUENCES, SEED, DRAWN = 20, 4096, 12, 64
"""Draws of tasks, sequences of each, their seed, and the largest D that tasks are drawn for."""
Mask = NDArray[np.bool_]


def published(cells: StudyCells) -> Mask:
    """The checkpoints from the step on at which the last of the models has come near to a mixture of M and G."""
    left, steps, first = cells.residual["ibd"], cells.trained.steps, []
    for run in np.unique(cells.run):
        inside = cells.run == run
        least, most = left[inside].min(), left[inside].max()
        near = left[inside] <= least + WITHIN[cells.distance] * (most - least)
        first.append(steps[inside][near].min())
    return np.asarray(steps >= max(first))


def judged(cells: StudyCells, seen: Mask, shown: Mask, bits: float = 0.0) -> list[str]:
    """Correlations and agreement of a posterior that is fitted to some checkpoints, over others."""
    at = cells.trained
    longer = replace(at, complexity_m=at.complexity_m + bits, complexity_g=at.complexity_g + bits)
    fit = fit_posterior(longer.select(seen))
    gate = PlayedGate("posterior", longer.log_odds(fit.parameters), fit=fit)
    correlations, agreements = [], []
    for kind in ("ibd", "oobd"):
        values = cell_measures(cells, gate, kind)
        correlations.append(f"{correlation(values['weight'][shown], cells.relative[kind][shown]):.3f}")
        agreement = values["total_variation" if cells.distance == "kl" else "r_squared"]
        agreements.append(f"{np.nanmean(agreement[shown]):.3f}")
    found = fit.parameters
    return [*correlations, *agreements, f"{found.alpha:.2f}", f"{found.beta:.3f}", f"{found.gamma:.3g}"]


def variants(cells: StudyCells, theirs: Mask) -> Iterator[tuple[str, str, list[str]]]:
    """Name of the checkpoints, what is changed, and what is found."""
    n_tasks, steps = cells.trained.n_tasks, cells.trained.steps
    early = steps <= np.quantile(np.unique(steps), STEPS_SHARE)
    rules = {"of this project": (cells.fitted, cells.described),
             "published": (theirs & early & (n_tasks <= MOST_TASKS), theirs)}  # fmt: skip
    for rule, (seen, shown) in rules.items():
        yield rule, "", judged(cells, seen, shown)
        for out in np.unique(n_tasks):
            yield rule, f"without D = {out:,.0f}", judged(cells, seen & (n_tasks != out), shown & (n_tasks != out))
        for bits in BITS:
            yield rule, f"{bits:,} bits more", judged(cells, seen, shown, bits)


def gaps(config: StrategiesConfig, n_tasks: int) -> Floats:
    """What M loses less than G on sequences of the training tasks, for 20 seeds of tasks."""
    family, found = FAMILIES[config.task], []
    for seed in range(DRAWS):
        sampler = sampler_of(config, [config.replicas[0]._replace(n_tasks=n_tasks, seed=config.seed + seed)])
        sequences = Sequences(*(part[0] for part in sampler.fresh(combined_seed(SEED, seed), SEQUENCES)))
        predictors = family.memorizer(sampler, 0)[0], family.generalizer(sampler)
        lost_m, lost_g = (family.losses(sampler, of(sequences), sequences).mean().item() for of in predictors)
        found.append(lost_g - lost_m)
    return np.array(found)


def measured(path: Path) -> tuple[StrategiesConfig, dict[int, RunOutputs]]:
    """Settings of a run of one seed, and what its models answer, by D."""
    folder = RunFolder(path)
    config = build(StrategiesConfig, folder.manifest["identity"]["config"])
    if config.n_seeds != 1 or len(config.mlp_factors) != 1:
        sys.exit(f"`run` must be of one seed and one MLP factor; got {path}")
    place = Place(folder, "")
    return config, {of.n_tasks: measure_run(config, place, index) for index, of in enumerate(config.replicas)}


def main() -> None:
    """Prints one row for each variant."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("--instead", type=Path)
    options = parser.parse_args()
    config, runs = measured(options.run)
    if options.instead:
        runs |= {n_tasks: run for n_tasks, run in measured(options.instead)[1].items() if n_tasks in runs}
    print("| D | G's loss less M's | least of 20 draws | median | largest |\n| ---: | ---: | ---: | ---: | ---: |")
    for n_tasks, run in runs.items():
        if n_tasks <= DRAWN:
            spread = np.quantile(gaps(config, n_tasks), (0, 0.5, 1))
            print(f"| {n_tasks} | " + " | ".join(f"{gap:.3f}" for gap in (run.loss_g - run.loss_m, *spread)) + " |")
    cells = cells_of(config, list(runs.values()))
    theirs = published(cells)
    print(f"\nPublished rule: checkpoints from step {cells.trained.steps[theirs].min():,.0f} on\n")
    measure = "total variation" if cells.distance == "kl" else "R^2"
    heads = ("correlation, training", "unseen", f"{measure}, training", "unseen", "alpha", "beta", "gamma")
    print("| checkpoints | change |", " | ".join(heads), "|\n|", " | ".join(["---"] * (2 + len(heads))), "|")
    for rule, change, found in variants(cells, theirs):
        print(f"| {rule} | {change} | {' | '.join(found)} |", flush=True)


if __name__ == "__main__":
    main()
