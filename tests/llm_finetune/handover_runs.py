"""Made-up finished runs of `gating compare` and `gating finetune`, whose gates follow rules that tests choose."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pandas as pd

from gating.results.parquet import write_table
from gating.results.table import make_table
from gating.runs.folder import TABLE, RunFolder
from gating.settings.text import as_plain
from llm_finetune.config import FinetuneConfig
from llm_finetune.exposures import exposure_rows
from llm_finetune.mixtures import Mixture
from theory.distribution import ClassMixture

Rule = Callable[[float], float]
"""From how often training asked to a value."""

SIZES = (100, 1000, 10_000)
MIXTURES = ("memory=1", "agreeing=0.5 irrelevant=0.5", "agreeing=0.9 irrelevant=0.1")
STEPS = (10, 40, 160)


def miss(n: float) -> float:
    """What memory misses after n times: half at n = 20."""
    return 20 / (20 + n)


def finish(folder: Path, study: str, config: dict[str, Any], rows: pd.DataFrame, **identity: Any) -> Path:
    """A finished run with these rows."""
    run = RunFolder(folder)
    with run.locked():
        run.begin(study, {"config": {"study": study, **config}, "inputs": {}, **identity})
        run.write(TABLE, lambda draft: write_table(rows, draft))
    return folder


def compared(
    folder: Path,
    p: float,
    gate: Callable[[float, float], float] = lambda n, p: min(1.0, (1 - p) / miss(n)),
    error: Callable[[float], float] = miss,
    *,
    seeds: tuple[int, ...] = (0, 1, 2),
    spread: float = 0.01,
    sizes: tuple[int, ...] = SIZES,
    **settings: Any,
) -> Path:
    """A run whose gates and errors are functions of how often a class was asked for; `spread` is between seeds."""
    spec = ClassMixture(p_relevant=p, **settings)
    q = {"high": spec.p_high / spec.n_high, "low": (1 - spec.p_high) / spec.n_low}

    def rows() -> Iterator[dict[str, Any]]:
        for seed in seeds:
            off = spread * (seed - sum(seeds) / len(seeds))
            for n in sizes:
                for group, frequency in q.items():
                    place = {"study": "compare", "n": n, "step": 20, "seed": seed, "group": group, "kind": "measured"}
                    for system in ("transformer", "stylized"):
                        asked = n * frequency
                        values = [("oobd", "relevant", "effective_gate", gate(asked, p)),
                                  ("ibd", "irrelevant", "effective_gate", gate(asked, p)),
                                  ("ibd", "irrelevant", "error", error(asked))]  # fmt: skip
                        for distribution, context, measure, value in values:
                            yield {**place, "system": system, "distribution": distribution, "context": context,
                                   "measure": measure, "value": min(1.0, max(0.0, value + off))}  # fmt: skip

    config = {"distribution": as_plain(spec), "seed": min(seeds), "n_seeds": len(seeds), "n_sequences": list(sizes)}
    return finish(folder, "compare", config, make_table(rows()))


def finetuned(
    folder: Path,
    gate: Callable[[float, float], float] = lambda n, p: min(1.0, (1 - p) / miss(n)),
    elsewhere: Callable[[float, float], float] | None = None,
    margin: Callable[[float, float], float] = lambda n, p: miss(n) - (1 - p) / (1 - p / 2),
    *,
    mixtures: tuple[str, ...] = MIXTURES,
    seed: int = 0,
    n_seeds: int = 3,
    spread: float = 0.01,
    recalled: Rule = lambda n: 1 - miss(n),
    **training: Any,
) -> Path:
    """A run whose gates, margins and recall are functions of how often a fact was asked for."""
    training = {"steps": max(STEPS), "batch_size": 8, "evaluate_at": [0, *STEPS[:-1]], **training}
    config = FinetuneConfig(
        collection="frequency", mixtures=list(mixtures), seed=seed, n_seeds=n_seeds, training=training
    )
    times = list(exposure_rows(config))
    asked = {(row["mixture"], row["step"], row["group"]): row["value"] for row in times}

    def rows() -> Iterator[dict[str, Any]]:
        for run in config.runs:
            off = spread * (run.seed - seed - (n_seeds - 1) / 2)
            mixture = Mixture.parse(run.mixture.text)
            p = mixture.agreeing + mixture.reading
            for step in (0, *STEPS):
                for group in ("all", "high", "low"):
                    n = asked[run.mixture.text, step, group]
                    place = {"study": "finetune", "system": "llm", "step": step, "seed": run.seed, "group": group,
                             "kind": "measured", **run.columns}  # fmt: skip
                    values = [("no_context", "accuracy", recalled(n)), ("contradicting", "effective_gate", gate(n, p)),
                              ("someone_else", "effective_gate", (elsewhere or gate)(n, p)),
                              ("someone_else", "margin", margin(n, p))]  # fmt: skip
                    for context, measure, value in values:
                        held = value + off if measure == "margin" else min(1.0, max(0.0, value + off))
                        yield {**place, "context": context, "measure": measure, "value": held}

    return finish(folder, "finetune", as_plain(config), make_table([*rows(), *times]))
