"""Small runs of the study `finetune`: presets with a tiny model, a few steps and few test prompts."""

from pathlib import Path

import yaml

from gating.runs.catalogue import find_study
from gating.runs.executor import Resources
from gating.settings.text import as_plain
from llm_finetune.config import FinetuneConfig
from theory.settings import build

FINETUNE = find_study("finetune")
PRESETS = FINETUNE.presets()


def quiet(**how) -> Resources:
    return Resources(say=how.pop("say", lambda line: None), **how)


def scaled_down(name: str, local: Path, **given) -> FinetuneConfig:
    """The settings of a preset with a small model, one step, and few test prompts."""
    small = {"model": str(local), "prompts_per_fact": 1, "facts_per_group": 2, "n_seeds": 1}
    training = {"steps": 1, "evaluate_at": [0], "batch_size": 4, "precision": "float32"}
    values = yaml.safe_load(PRESETS[name].read_text())
    return build(
        FinetuneConfig,
        {**values, **small, **given, "training": {**values["training"], **training, **given.get("training", {})}},
    )


def people(local: Path, **given) -> FinetuneConfig:
    """Two models, trained for four steps, saved after each second and measured after the third."""
    training = {"steps": 4, "evaluate_at": [0, 3], "save_every": 2, "learning_rate": 0.01}
    return scaled_down("people", local, **{"mixtures": ["memory=1", "reading=1"], "training": training, **given})


def command(config: FinetuneConfig, out: Path, *flags: str) -> list[str]:
    file = out.with_suffix(".yaml")
    file.write_text(yaml.safe_dump(as_plain(config)))
    return ["finetune", "--config", str(file), "--out", str(out), "--workers", "1", *flags]
