"""The study `finetune` from start to end; what is on disk is not made again."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import torch

from gating.evaluation.table import make_table
from gating.files import reading, write_text
from gating.studies.folder import StudyFolder
from gating.studies.parts import kept_table
from gating.studies.replicas import combined_seed
from llm_finetune.bench import Bench
from llm_finetune.config import FinetuneConfig, Run
from llm_finetune.finetune import finetune
from llm_finetune.matched import exposure_rows, gates_beside
from llm_finetune.models import load_model

__all__ = ["SAMPLES", "run_finetune"]

SAMPLES = "samples.jsonl"
"""File of free answers in the folder of a run: one line for each run, step and prompt."""

Say = Callable[[str], None]


def run_finetune(
    config: FinetuneConfig,
    out: Path,
    *,
    device: str = "cpu",
    workers: int = 1,
    keep_models: bool = False,
    say: Say = print,
) -> pd.DataFrame:
    """Fine-tunes and measures into `out`, or goes on with what `out` holds.

    Args:
        config: settings; they decide the result.
        out: folder of the run. A finished run is returned as it is.
        device: ``cpu`` or ``cuda``.
        workers: threads of torch on the CPU.
        keep_models: whether the fine-tuned models stay in ``out/models``, for `from_pretrained` to open.
        say: receives a line about each part.

    Returns:
        The result table; free answers before and after are in ``out/samples.jsonl``.

    Raises:
        SpecError: the model cannot be had, or a prompt or answer does not suit it; nothing is written then.
        FolderError: `out` holds something else.
        TrainingDiverged: a loss stopped being finite.

    Example:
        >>> run_finetune(FinetuneConfig(), Path("runs/finetune"))  # doctest: +SKIP
    """
    folder = StudyFolder(out)
    folder.check(config)
    if folder.finished:
        say(f"`{out}` is finished; its table is used as it is")
        return folder.read_table()
    torch.set_num_threads(workers)
    loaded = load_model(config.model, device=device, say=say)
    bench = Bench(config, loaded.tokenizer)
    bench.check(loaded)
    beside = [gates_beside(config.gates)] if config.gates else []
    folder.prepare(config)
    parts = _Parts(out / "parts")
    del loaded
    for run in config.runs:
        _train(bench, run, parts, out / "models" / run.name, device=device, keep=keep_models, say=say)
    table = pd.concat([*beside, *_tables(bench, parts)], ignore_index=True)
    write_text(out / SAMPLES, "".join(line for run in config.runs for line in _sample_lines(config, run, parts)))
    folder.write_table(table)
    shutil.rmtree(out / "parts")
    if not keep_models:
        shutil.rmtree(out / "models")
    return table


class _Parts:
    """Measurements on disk, one table and one file of free answers for each model and step."""

    def __init__(self, folder: Path):
        self.folder = folder

    def measured(self, name: str, bench: Bench, model: Any, seed: int, *, freely: bool) -> None:
        """Measures the model, unless that is on disk; the table comes last, and commits both."""

        def compute() -> pd.DataFrame:
            table, samples = bench.measure(model, seed, freely=freely)
            write_text(self.folder / f"{name}.jsonl", "".join(json.dumps(sample) + "\n" for sample in samples))
            return table

        kept_table(self.folder / f"{name}.parquet", compute)

    def has(self, name: str) -> bool:
        """Whether a measurement is on disk."""
        return (self.folder / f"{name}.parquet").exists()

    def table(self, name: str) -> pd.DataFrame:
        """A table that is on disk."""
        path = self.folder / f"{name}.parquet"
        with reading(path, "remove it to measure again"):
            return pd.read_parquet(path)

    def samples(self, name: str) -> list[dict[str, Any]]:
        """Free answers that are on disk."""
        path = self.folder / f"{name}.jsonl"
        with reading(path, "remove it, and the table beside it, to measure again"):
            return [json.loads(line) for line in path.read_text(encoding="utf-8").split("\n") if line]


def _part_names(config: FinetuneConfig, run: Run) -> dict[int, str]:
    """Names of the measurements of a run by step; step 0 is the model before fine-tuning, the same for all runs."""
    steps = config.training.evaluations
    return {step: f"{run.name}-step-{step}" if step else f"base-seed-{run.seed}" for step in steps}


def _train(bench: Bench, run: Run, parts: _Parts, folder: Path, *, device: str, keep: bool, say: Say) -> None:
    """Fine-tunes a model of its own and measures it along the way; a run that is measured already is passed."""
    config = bench.config
    names = _part_names(config, run)
    if all(parts.has(name) for name in names.values()):
        return
    loaded = load_model(config.model, device=device, say=say)
    stream = bench.stream(run)

    def evaluate(step: int, model: Any) -> None:
        parts.measured(names[step], bench, model, run.seed, freely=step in (0, config.training.steps))

    say(f"fine-tuning on {run.mixture.text}, exposure {run.exposure}, pairing seed {run.seed}")
    finetune(
        loaded.model,
        loaded.tokenizer,
        lambda step: stream.batch(step, config.training.batch_size),
        config.training,
        seed=combined_seed(run.seed, 3),
        folder=folder,
        evaluate=evaluate,
        keep=keep,
        say=say,
    )
    if not keep:
        shutil.rmtree(folder)


def _tables(bench: Bench, parts: _Parts) -> Iterator[pd.DataFrame]:
    config = bench.config
    for run in config.runs:
        place: dict[str, Any] = {"study": "finetune", "system": "llm", "seed": run.seed, "setting": run.setting}
        for step, name in _part_names(config, run).items():
            yield make_table(parts.table(name).assign(step=step, **place))
    for run in {run.setting: run for run in config.runs}.values():
        facts, batch_size = bench.collection(run), config.training.batch_size
        yield make_table(exposure_rows(facts, run.mixture, run.setting, _part_names(config, run), batch_size))


def _sample_lines(config: FinetuneConfig, run: Run, parts: _Parts) -> Iterator[str]:
    for step, name in _part_names(config, run).items():
        for sample in parts.samples(name):
            yield json.dumps({"setting": run.setting, "seed": run.seed, "step": step, **sample}) + "\n"
