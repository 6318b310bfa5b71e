"""Predictions of `gating predict` in settings that nobody chose, and Transformers trained in them afterwards.

`draw` takes eight settings from a seed and predicts each; its file was committed before `measure` was run, which trains
three Transformers at each of six N around the predicted N*. Both go on where they were stopped.

    python benchmarks/blind_predictions.py draw docs/results/blind-predictions.json
    python benchmarks/blind_predictions.py measure docs/results/blind-predictions.json docs/results/blind-measured.json
    python benchmarks/blind_predictions.py report docs/results/blind-predictions.json docs/results/blind-measured.json
"""

import json
import sys
import threading
import time
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from gating.models.layers import generators
from gating.models.transformer import Transformer
from gating.results.intervals import geometric_mean_interval
from gating.results.query import last_step, select
from gating.results.table import make_table
from gating.runs.files import write_text
from gating.studies.predict.answers import answer_rows
from gating.studies.predict.config import PredictConfig
from gating.studies.replicas import sampler_of
from gating.studies.stylized import trained_rows
from gating.training.group import ReplicaGroup
from theory.distribution import ClassMixture

SEED, SETTINGS = 20261129, 8
REACH, SIZES = 6.0, 6
MEASURES = ("crossover_error_level", "crossover_gate", "crossover_reading_lost")
SAME = ("beta", "temperature", "evaluation_seed", "evaluation_per_cell")


def drawn() -> list[PredictConfig]:
    """Settings from the seed: classes, frequencies, share of relevant contexts, length, dimension and width, noise."""
    rng = np.random.default_rng(SEED)
    found = []
    for _ in range(SETTINGS):
        classes, dim = int(rng.choice([4, 6, 10, 20])), int(rng.choice([32, 48, 64, 96]))
        spec = ClassMixture(
            n_high=classes // 2,
            n_low=classes // 2,
            p_high=round(float(rng.uniform(0.7, 0.97)), 3),
            p_relevant=round(float(rng.uniform(0.5, 0.97)), 3),
            context_length=int(rng.choice([1, 2, 4])),
            dim=dim,
            input_noise=round(float(rng.uniform(0.0, 0.3)), 3),
        )
        found.append(PredictConfig(distribution=spec, hidden=4 * dim))
    return found


def rare(config: PredictConfig, table: Any) -> dict[str, dict[str, Any]]:
    """What crosses of rare classes at the last step."""
    rows = select(last_step(make_table(answer_rows(config, table))), {"group": "low", "measure": MEASURES})
    kept = ("value", "low", "high", "reached", "already", "seeds")
    return {
        row["measure"]: {name: None if np.isnan(row[name]) else float(row[name]) for name in kept}
        for _, row in rows.iterrows()
    }


def draw(file: Path) -> None:
    """Predicts every setting."""
    from gating import predict

    held = json.loads(file.read_text()) if file.exists() else []
    for config in drawn()[len(held) :]:
        start = time.process_time()
        table = predict(config, workers=1, device="cpu")
        theory = select(table, {"kind": "exact", "group": "low", "level": config.level})
        held.append(
            {
                "distribution": asdict(config.distribution),
                "hidden": config.hidden,
                "seconds": round(time.process_time() - start, 1),
                "theory": dict(zip(theory["system"], theory["value"], strict=True)),
                "predicted": rare(config, table[~table["answer"]]),
            }
        )
        print(json.dumps(held[-1]), flush=True)
        write_text(file, json.dumps(held, indent=1) + "\n")


def measure(predictions: Path, file: Path) -> None:
    """Trains Transformers in every setting."""
    torch.set_num_threads(1)
    held = json.loads(file.read_text()) if file.exists() else []
    for given, config in list(zip(json.loads(predictions.read_text()), drawn(), strict=True))[len(held) :]:
        centre = given["predicted"][MEASURES[0]]["value"] or 32 / config.distribution.frequencies.min()
        sizes = sorted({max(1, round(centre * REACH**k)) for k in np.linspace(-1, 1, SIZES)})
        mine = replace(config, n_sequences=tuple(sizes))
        start = time.process_time()
        found = rare(mine, make_table(_rows(mine)))
        held.append({"n_sequences": sizes, "seconds": round(time.process_time() - start, 1), "measured": found})
        print(json.dumps(held[-1]), flush=True)
        write_text(file, json.dumps(held, indent=1) + "\n")


def _rows(config: PredictConfig) -> Any:
    """Rows of Transformers, trained as the settings say; named as stylized models, whose answers are theirs here."""
    spec, replicas = config.distribution, config.replicas
    for first in range(0, len(replicas), config.n_seeds):
        some = replicas[first : first + config.n_seeds]
        model = Transformer(spec.dim, spec.n_classes, spec.context_length, width=spec.dim,
                            rngs=generators([each.init_seed for each in some]))  # fmt: skip
        source = sampler_of(some, cover_classes=False, device=torch.device("cpu"))
        ReplicaGroup(len(some), model, source, config.training).advance(config.training.steps, threading.Event())
        place = {"study": "predict", "system": "stylized"}
        same = {name: getattr(config, name) for name in SAME}
        yield from trained_rows(some, [(config.training.steps, model)], place, groups=["low"], **same)


def report(predictions: Path, file: Path) -> None:
    """Prints each setting's N*, predicted and measured, and by which factors all predictions are off."""
    ratios: dict[str, list[float]] = {}
    for given, found in zip(json.loads(predictions.read_text()), json.loads(file.read_text()), strict=True):
        told, seen = given["predicted"][MEASURES[0]], found["measured"][MEASURES[0]]
        held = "" if told["low"] is None else f", held: {told['low'] <= seen['value'] <= told['high']}"
        print(f"predicted {_sized(told)}, measured {_sized(seen)}, ratio {seen['value'] / told['value']:.2f}{held}")
        for name, value in {"stylized": told["value"], **given["theory"]}.items():
            ratios.setdefault(name, []).append(seen["value"] / value)
    for name, values in ratios.items():
        mean, off = geometric_mean_interval(values), np.exp(np.sqrt(np.mean(np.log(values) ** 2)))
        print(f"{name}: {mean.value:.2f} [{mean.low:.2f}, {mean.high:.2f}], off by {off:.2f} (root mean square)")


def _sized(row: dict[str, Any]) -> str:
    if row["low"] is None:
        return f"{row['value']:,.0f} ({row['reached']:.0f} of {row['seeds']:.0f} seeds)"
    return f"{row['value']:,.0f} [{row['low']:,.0f}, {row['high']:,.0f}]"


if __name__ == "__main__":
    if sys.argv[1] == "draw":
        draw(Path(sys.argv[2]))
    else:
        {"measure": measure, "report": report}[sys.argv[1]](*map(Path, sys.argv[2:]))
