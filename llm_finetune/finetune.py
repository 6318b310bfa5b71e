r"""Fine-tunes a causal language model on prompts and answers; only answer tokens and the end token are learned.

A step is a pure function of the seed, the step's number and what the last step left, so a run that is killed and
started again ends with the same weights as one that was not. `accelerate launch` spreads each batch over devices.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from accelerate import Accelerator
from tqdm import tqdm

from gating.runs.errors import Damaged, Interrupted
from gating.runs.identity import content
from gating.runs.processes import opened_by_first
from gating.runs.ranks import started
from gating.runs.store import Place
from gating.studies.replicas import combined_seed
from gating.training.optimizer import Descent
from gating.training.trainer import TrainingDiverged
from llm_finetune.adapters import adapted, reopened, written
from llm_finetune.loss import BatchSource, answer_loss, encoded, shuffled
from llm_finetune.precision import autocast
from llm_finetune.prompts import Example, Row
from llm_finetune.settings import UNDECISIVE, FinetuneSettings
from llm_finetune.ways import evaluating, way_of
from llm_finetune.weights import checkpointed, prepared, require_enough
from theory.validation import require_integer

__all__ = ["LOSSES", "MODEL", "finetune"]

STATE, LOSSES, MODEL = "state", "losses", "model"
"""What is kept of a model: parameters, optimizer and losses at the last saved step, while it is trained; the loss of
each step, once it is; and the model or adapter itself, with the tokenizer."""

Evaluate = Callable[[int, Any], Mapping[str, float] | None]


def finetune(
    model: Any,
    tokenizer: Any,
    examples: Sequence[Example | Row] | BatchSource,
    settings: FinetuneSettings,
    *,
    seed: int,
    folder: str | Path | Place,
    closing: str | None = None,
    evaluate: Evaluate | None = None,
    keep: bool = True,
    say: Callable[[str], None] = print,
    log: Callable[[Mapping[str, float], int], None] = lambda values, step: None,
) -> Any:
    """Fine-tunes a model in a folder, or goes on with the run that the folder holds.

    Args:
        model: causal language model of transformers, or a peft adapter around one. It is changed in place.
        tokenizer: its tokenizer, with an end token.
        examples: prompts and answers, or rows of tokens such as `data_rows` makes, gone through in an order shuffled
            anew for each pass; or a `BatchSource`.
        settings: how to train.
        seed: seed of the order, of the adapters' initial values and of dropout, an integer >= 0.
        folder: where state, losses and the fine-tuned model go: a folder of their own, or a place in a run.
        closing: text that closes an answer, such as `Prompter.closing`; None for the tokenizer's end token.
        evaluate: called with a step and the model, in the precision of training, after the steps that the settings
            name; in every process, which may share the work. Numbers that it returns go to `log`. When a run
            is killed it may be called again with a step that it has seen.
        keep: whether the fine-tuned model is written to ``folder/parts/training/model`` for `from_pretrained`.
        say: receives a line about a run that goes on, and about the end of training.
        log: receives loss, step size and what `evaluate` returns, by name, and the step that they are of; of several
            processes the first one tells. `gating.runs.tracking.Tracking` tells trackers.

    Returns:
        The model, in evaluation mode; with adapters, a `PeftModel`. A finished run that was kept is read from disk.

    Raises:
        ValueError: when there are no examples, a prompt or answer has no token, or does not fit into the context, or
            the model is not causal.
        SpecError: bitsandbytes is not installed, or the model does not suit the settings.
        FolderError: when the folder holds a run with other settings, examples or parameters, or a damaged file.
        TrainingDiverged: naming step and last saved step, when a loss or gradient is not finite.
        Interrupted: on Ctrl-C; the same call goes on from the last saved step.

    Example:
        >>> tuned = finetune(model, tokenizer, examples, FinetuneSettings(), seed=0, folder=Path("run"))
        ... # doctest: +SKIP
    """
    require_integer("seed", seed)
    source = (
        examples if callable(examples) else shuffled(model, tokenizer, examples, settings.batch_size, seed, closing)
    )
    wanted = {key: value for key, value in asdict(settings).items() if key not in UNDECISIVE} | {"seed": seed}
    wanted["parameters"] = _digest([(name, list(p.shape)) for name, p in model.named_parameters()])
    wanted["examples"] = "a source" if callable(examples) else _digest(list(examples))
    if closing is not None:
        wanted["closing"] = closing
    in_study = isinstance(folder, Place)  # which has put the model where it is to be
    accelerator = Accelerator(mixed_precision="no", cpu=in_study and started() > 1 and model.device.type == "cpu")
    with _place(folder, wanted) as place:
        kept = place.kept_folder(MODEL) if place.has_table(LOSSES) else None
        if kept:
            say(f"`{kept}` is finished; it is used as it is")
            return reopened(prepared(model, settings), kept, settings.lora_rank)
        targets, dropout = settings.lora_targets, settings.lora_dropout
        held = prepared(model, settings)
        tuned = adapted(held, settings.lora_rank, settings.lora_alpha, seed, targets=targets, dropout=dropout)
        device = model.device if in_study else accelerator.device
        tell = log if accelerator.is_main_process else lambda values, step: None
        run = _Run(tuned.to(device), tokenizer, source, settings, seed, place, accelerator, closing, device, tell)
        try:
            with checkpointed(tuned, settings.checkpointing):
                run.train(evaluate, say)
        except KeyboardInterrupt:
            raise Interrupted(f"interrupted; `{place.path}` holds step {run.saved}") from None
        if accelerator.is_main_process:
            run.finish(keep=keep)
        accelerator.wait_for_everyone()
        return run.model.eval()


@contextmanager
def _place(folder: str | Path | Place, wanted: dict[str, Any]) -> Iterator[Place]:
    """Where a model is kept; the first process holds a folder, and the others read in it."""
    if isinstance(folder, Place):
        yield folder
        return
    try:
        with opened_by_first(folder, wanted) as place:
            yield place
    except Damaged as error:
        what = str(error).split(";")[0]
        raise Damaged(f"{what}; remove the folder '{folder}' to fine-tune this model again") from error


def _digest(value: Any) -> str:
    return content(json.dumps(value).encode())


@dataclass(eq=False)
class _Run:
    """One model in training."""

    model: Any
    tokenizer: Any
    source: BatchSource
    settings: FinetuneSettings
    seed: int
    place: Place
    accelerator: Accelerator
    closing: str | None
    device: torch.device
    log: Callable[[Mapping[str, float], int], None]

    def __post_init__(self) -> None:
        settings, n = self.settings, self.accelerator.num_processes
        require_enough(settings, n)
        self.trained = {name: p for name, p in self.model.named_parameters() if p.requires_grad}
        for parameter in self.trained.values():
            if settings.weights != "bf16" or settings.lora_rank:
                parameter.data = parameter.data.float()  # bfloat16 weights would swallow small updates
        self.descent = Descent(self.trained, settings, replicas=False)
        self.saved = 0
        self.losses = self._load()
        self.spread = self.accelerator.prepare_model(self.model, device_placement=False)

    def train(self, evaluate: Evaluate | None, say: Callable[[str], None]) -> None:
        """Trains from the saved step to the last one."""
        settings, start = self.settings, len(self.losses)
        self._look(say)
        if start:
            say(f"`{self.place.path}` goes on from step {start}")
        main = self.accelerator.is_main_process
        bar = tqdm(range(start, settings.steps + 1), disable=None if main else True, unit="step", desc="fine-tuning")
        for step in bar:
            if not (start and step == start):  # what a saved state follows has been done
                if evaluate is not None and step in settings.evaluations:
                    with self._precision():
                        self.log(evaluate(step, self.model) or {}, step)
                if step and step % settings.save_every == 0:
                    self._save()
            if step < settings.steps:
                loss = self._step(step)
                bar.set_postfix_str(f"loss {loss:.3g}")
                self.losses.append(loss)
                self.log({"loss": loss, "learning_rate": settings.rate(step)}, step + 1)

    def _look(self, say: Callable[[str], None]) -> None:
        """Finds out what the model makes of padding, which decides how batches are padded."""
        rows = encoded(self.model, self.tokenizer, list(self.source(0)), self.closing)
        prompts, answers = [row.prompt for row in rows], [row.answer for row in rows]
        with evaluating(self.model):
            way_of(self.model, prompts, answers, say if self.accelerator.is_main_process else lambda line: None)

    def _step(self, step: int) -> float:
        n, parts = self.accelerator.num_processes, self.settings.accumulation
        batch, rank = list(self.source(step)), self.accelerator.process_index
        self.model.train()
        total = torch.zeros((), device=self.device)
        with torch.random.fork_rng([self.device] if self.device.type == "cuda" else []):  # of no other process's GPU
            torch.manual_seed(combined_seed(self.seed, step, rank))  # dropout
            for k in range(parts):
                part = slice(rank + k * n, None, n * parts)
                with nullcontext() if k == parts - 1 else self.accelerator.no_sync(self.spread):
                    with self._precision():
                        loss = n * answer_loss(self.spread, self.tokenizer, batch, part, closing=self.closing)
                    loss.backward()
                total += loss.detach()
        norm = self.descent.clip()
        value = self.accelerator.reduce(total, reduction="mean").item()
        if not np.isfinite(value) or not norm.isfinite():
            what = f"loss is {value:g}" if not np.isfinite(value) else f"gradient's norm is {norm.item():g}"
            raise TrainingDiverged(
                f"the {what} at step {step + 1}; last saved state in `{self.place.path}`:"
                f" {f'step {self.saved}' if self.saved else 'none'}; a smaller `learning_rate` may help"
            )
        self.descent.step(step)
        return value

    def _save(self) -> None:
        """Keeps parameters, optimizer and the losses up to now in one file."""
        tensors = {"losses": torch.tensor(self.losses, dtype=torch.float64)}
        tensors |= {f"parameters.{name}": torch.atleast_1d(parameter) for name, parameter in self.trained.items()}
        tensors |= self.descent.state()
        self.place.save_tensors(STATE, tensors, {"step": len(self.losses)})
        self.saved = len(self.losses)

    def _load(self) -> list[float]:
        """Puts the saved state, if there is one, into parameters and optimizer; returns the losses up to it."""
        if not self.place.has_tensors(STATE):
            return []
        held = self.place.tensors(STATE)
        losses: list[float] = held.pop("losses").tolist()
        for name, parameter in self.trained.items():
            parameter.data.copy_(held.pop(f"parameters.{name}").reshape(parameter.shape))
        self.descent.restore(len(losses), held)
        self.saved = len(losses)
        return losses

    def finish(self, *, keep: bool) -> None:
        """Keeps the model, if it is to be kept, then the losses, which commit both; the state has done its service."""
        if keep:
            self.place.save_folder(MODEL, self._write)
        losses = pd.DataFrame({"step": range(1, len(self.losses) + 1), "loss": self.losses})
        self.place.save_table(LOSSES, losses)
        self.place.discard(f"{STATE}.safetensors")

    def _write(self, draft: Path) -> None:
        written(self.model, draft)
        self.tokenizer.save_pretrained(draft)

    def _precision(self) -> torch.autocast:
        return autocast(self.settings.precision, self.device)
