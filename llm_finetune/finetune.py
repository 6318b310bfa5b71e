r"""Fine-tunes a causal language model on prompts and answers; only answer tokens and the end token are learned.

A step is a pure function of the seed, the step's number and what the last step left, so a run that is killed and
started again ends with the same weights as one that was not. `accelerate launch` spreads each batch over devices.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator
from torch import nn
from tqdm import tqdm

from gating.training.trainer import Interrupted, TrainingDiverged
from llm_finetune.adapters import adapted, reopened
from llm_finetune.loss import BatchSource, answer_loss, shuffled
from llm_finetune.precision import autocast
from llm_finetune.prompts import Example
from llm_finetune.settings import UNDECISIVE, FinetuneSettings
from llm_finetune.tuning_state import TuningFolder
from theory.validation import require_integer

__all__ = ["finetune"]


def finetune(
    model: Any,
    tokenizer: Any,
    examples: Sequence[Example] | BatchSource,
    settings: FinetuneSettings,
    *,
    seed: int,
    folder: Path,
    evaluate: Callable[[int, Any], None] | None = None,
    keep: bool = True,
    say: Callable[[str], None] = print,
) -> Any:
    """Fine-tunes a model in a folder, or goes on with the run that the folder holds.

    Args:
        model: causal language model of transformers, or a peft adapter around one. It is changed in place.
        tokenizer: its tokenizer, with an end token.
        examples: prompts and answers, gone through in an order shuffled anew for each pass; or a `BatchSource`.
        settings: how to train.
        seed: seed of the order, of the adapters' initial values and of dropout, an integer >= 0.
        folder: where state, losses and the fine-tuned model go.
        evaluate: called with a step and the model, in the precision of training, after the steps that the settings
            name. When a run is killed it may be called again with a step that it has seen.
        keep: whether the fine-tuned model is written to ``folder/model`` for `from_pretrained`.
        say: receives a line about a run that goes on, and about the end of training.

    Returns:
        The model, in evaluation mode; with adapters, a `PeftModel`. A finished run that was kept is read from disk.

    Raises:
        ValueError: when there are no examples, a prompt or answer has no token, or does not fit into the context.
        FolderError: when the folder holds a run with other settings, or a damaged file.
        TrainingDiverged: naming step and last saved step, when a loss or gradient is not finite.
        Interrupted: on Ctrl-C; the same call goes on from the last saved step.

    Example:
        >>> tuned = finetune(model, tokenizer, examples, FinetuneSettings(), seed=0, folder=Path("run"))
        ... # doctest: +SKIP
    """
    require_integer("seed", seed)
    source = examples if callable(examples) else shuffled(model, tokenizer, examples, settings.batch_size, seed)
    held = TuningFolder(folder)
    held.claim({key: value for key, value in asdict(settings).items() if key not in UNDECISIVE} | {"seed": seed})
    if (folder / "model").is_dir():
        say(f"`{folder}` is finished; its model is used as it is")
        return reopened(model, folder / "model", settings.lora_rank)
    run = _Run(adapted(model, settings.lora_rank, settings.lora_alpha, seed), tokenizer, source, settings, seed, held)
    try:
        run.train(evaluate, say)
    except KeyboardInterrupt:
        raise Interrupted(f"interrupted; `{folder}` holds step {held.step}") from None
    if run.accelerator.is_main_process:
        held.finish(run.model, tokenizer, run.losses, keep=keep)
    run.accelerator.wait_for_everyone()
    return run.model.eval()


class _Run:
    """One model in training."""

    def __init__(
        self,
        model: Any,
        tokenizer: Any,
        source: BatchSource,
        settings: FinetuneSettings,
        seed: int,
        folder: TuningFolder,
    ):
        self.accelerator = Accelerator(mixed_precision="no")
        if settings.batch_size < self.accelerator.num_processes:
            n = self.accelerator.num_processes
            raise ValueError(f"`batch_size` must be at least the number of processes, {n}; got {settings.batch_size}")
        self.model = model.to(self.accelerator.device)
        self._tokenizer, self._source, self._settings = tokenizer, source, settings
        self._seed, self._folder = seed, folder
        self._trained = {name: p for name, p in model.named_parameters() if p.requires_grad}
        for parameter in self._trained.values():
            parameter.data = parameter.data.float()  # bfloat16 weights would swallow small updates
        self._optimizer = torch.optim.AdamW(
            self._trained.values(), settings.learning_rate, weight_decay=settings.weight_decay, fused=True
        )
        self.losses = folder.load_state(self._trained, self._optimizer)
        self._spread = self.accelerator.prepare_model(self.model)

    def train(self, evaluate: Callable[[int, Any], None] | None, say: Callable[[str], None]) -> None:
        """Trains from the saved step to the last one."""
        settings, start = self._settings, len(self.losses)
        if start:
            say(f"`{self._folder.path}` goes on from step {start}")
        main = self.accelerator.is_main_process
        bar = tqdm(range(start, settings.steps + 1), disable=None if main else True, unit="step", desc="fine-tuning")
        for step in bar:
            if not (start and step == start) and main:  # what a saved state follows has been done
                if evaluate is not None and step in settings.evaluations:
                    with self._precision():
                        evaluate(step, self.model)
                if step and step % settings.save_every == 0:
                    self._folder.save_state(self._trained, self._optimizer, self.losses)
            if step < settings.steps:
                loss = self._step(step)
                bar.set_postfix_str(f"loss {loss:.3g}")
                self.losses = torch.cat([self.losses, torch.tensor([loss], dtype=torch.float64)])

    def _step(self, step: int) -> float:
        settings, n = self._settings, self.accelerator.num_processes
        batch = list(self._source(step))
        rank = self.accelerator.process_index
        self.model.train()
        with torch.random.fork_rng(), self._precision():
            torch.manual_seed(_step_seed(self._seed, step, rank))  # dropout
            loss = n * answer_loss(self._spread, self._tokenizer, batch, slice(rank, None, n))
        loss.backward()
        norm = nn.utils.clip_grad_norm_(self._trained.values(), settings.max_grad_norm)
        value = self.accelerator.reduce(loss.detach(), reduction="mean").item()
        if not np.isfinite(value) or not norm.isfinite():
            what = f"loss is {value:g}" if not np.isfinite(value) else f"gradient's norm is {norm.item():g}"
            kept = f"step {self._folder.step}" if self._folder.step else "none"
            raise TrainingDiverged(
                f"the {what} at step {step + 1}; last saved state in `{self._folder.path}`: {kept}; "
                "a smaller `learning_rate` may help"
            )
        for group in self._optimizer.param_groups:
            group["lr"] = settings.learning_rate * min(1.0, (step + 1) / (settings.warm_up + 1))
        self._optimizer.step()
        self._optimizer.zero_grad()
        return value

    def _precision(self) -> torch.autocast:
        return autocast(self._settings.precision, self.accelerator.device)


def _step_seed(seed: int, step: int, rank: int) -> int:
    return int(np.random.SeedSequence([seed, step, rank]).generate_state(1, np.uint64)[0] >> np.uint64(1))
