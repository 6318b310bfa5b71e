"""Watches what a training of anyone's gains and loses: the numbers of `gating probe`, in the trainer's own trackers."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from transformers import Trainer, TrainerCallback

from llm_finetune.collection import Collection
from llm_finetune.collection_suites import CollectionSuite, load_collection_suite, suite_of
from theory.fields import shown
from theory.validation import require_choice, require_instances, require_integer, require_probability

__all__ = ["InContextProbe"]

PREFIX = "probe/"
"""Of every name that is logged."""

DECISIVE = "in_context_accuracy"
"""Ability that decides which checkpoint is best, and when training stops."""


class InContextProbe(TrainerCallback):
    """Measures, while a trainer of transformers or trl trains, what weights gain and what reading loses.

    It asks the model the prompts that `gating probe` asks, before training, after every so many steps, and at the last
    one, and logs each ability as ``probe/recall``, ``probe/in_context_accuracy``, ... with `Trainer.log`: to whatever
    ``report_to`` names, and into ``trainer.state.log_history``. Products are those of the weights' own type, without
    the mixed precision of training; weights, random numbers and optimizer are left as they are. Every process of a
    distributed training measures, so that all stop at one step; weights that are spread over processes (FSDP,
    DeepSpeed's third stage) are refused.

    Args:
        suite: as in `gating probe`: ``relations``, ``people``, ``frequency``, ``frequency-steep``, the folder of a
            suite, or the file of a collection; or a `CollectionSuite` or `Collection`.
        every: steps from one measurement to the next, >= 1.
        margin: training stops when in-context accuracy is below the largest one so far, that before training included,
            by more than this, in (0, 1); None never stops it.
        keep: folder in which the model, or adapter, with the largest in-context accuracy since the training began is
            kept with its tokenizer, as ``step-N``; None keeps none. `best` names it.
        chat: whether prompts use the chat template; ``auto`` does where the tokenizer has one.
        judge: as in `gating probe`; ``said`` generates an answer to every prompt, which takes longer than scores do.
        pairing_seed: as in `gating probe`, an integer >= 0.
        evaluation_seed: likewise.
        prompts_per_fact: likewise, >= 1.
        facts_per_group: likewise, >= 1.
        most_prompts: likewise, >= 9.
        tokenizer: the model's tokenizer; None takes the trainer's, which may be a processor without one.

    Raises:
        ValueError: an argument is not in its set.
        SpecError: the suite cannot be read, or `most_prompts` does not suffice for it.

    Example:
        >>> probe = InContextProbe("people", every=50, margin=0.1)
        >>> trainer = Trainer(...)  # doctest: +SKIP
        >>> probe.attach(trainer)  # doctest: +SKIP
        >>> trainer.train()  # doctest: +SKIP
    """

    def __init__(
        self,
        suite: str | Path | CollectionSuite | Collection = "people",
        *,
        every: int,
        margin: float | None = None,
        keep: str | Path | None = None,
        chat: str = "auto",
        judge: str = "score",
        pairing_seed: int = 0,
        evaluation_seed: int = 0,
        prompts_per_fact: int = 2,
        facts_per_group: int = 64,
        most_prompts: int = 640,
        tokenizer: Any = None,
    ):
        from gating.studies.replicas import combined_seed
        from llm_finetune.probe.questions import Questions

        require_instances(suite=(suite, (str, Path, CollectionSuite, Collection)))
        self.every = require_integer("every", every, least=1)
        if margin is not None:
            require_probability("margin", margin, above_zero=True, below_one=True)
        self.margin, self.keep = margin, None if keep is None else Path(keep)
        self.chat: Any = require_choice("chat", chat, ("auto", "template", "plain"))
        self.judge: Any = require_choice("judge", judge, ("said", "score"))
        held = suite_of(suite) if isinstance(suite, Collection) else suite
        held = held if isinstance(held, CollectionSuite) else load_collection_suite(held)
        pairing = require_integer("pairing_seed", pairing_seed)
        self.questions = Questions(
            held.paired(pairing),
            require_integer("prompts_per_fact", prompts_per_fact, least=1),
            require_integer("facts_per_group", facts_per_group, least=1),
            require_integer("most_prompts", most_prompts, least=9),
            combined_seed(require_integer("evaluation_seed", evaluation_seed), pairing, 2),
        )
        self.tokenizer = tokenizer
        self.best: Path | None = None
        """Folder of the kept model; None where none is kept yet."""
        self._trainer: Any = None
        self._largest = self._kept = -math.inf

    def attach(self, trainer: Any) -> InContextProbe:
        """Joins a trainer, in whose trackers it logs; returns itself.

        Raises:
            ValueError: `trainer` is no trainer of transformers, or spreads weights over processes.
        """
        if not isinstance(trainer, Trainer):
            raise ValueError(f"`trainer` must be a trainer of transformers or trl; got {shown(trainer)}")
        if trainer.is_fsdp_enabled or _stage(trainer.args) == 3:
            raise ValueError("`trainer` must have whole weights in each process; got weights that are spread")
        self._trainer = trainer
        trainer.add_callback(self)
        return self

    def on_train_begin(self, args: Any, state: Any, control: Any, **held: Any) -> None:
        """Measures the model as it comes; what a resumed training has measured counts."""
        if self._trainer is None:
            raise ValueError("`InContextProbe` must join its trainer: `probe.attach(trainer)`, not `callbacks=[probe]`")
        known = {row["step"]: row[PREFIX + DECISIVE] for row in state.log_history if PREFIX + DECISIVE in row}
        self._largest = max(known.values(), default=-math.inf)
        self.best, self._kept = None, -math.inf
        for step, value in known.items():
            if self.keep is not None and value > self._kept and (self.keep / f"step-{step}").is_dir():
                self.best, self._kept = self.keep / f"step-{step}", value
        if state.global_step == 0:
            self._largest = max(self._largest, self._measure(control, held)[DECISIVE])

    def on_step_end(self, args: Any, state: Any, control: Any, **held: Any) -> None:
        """Measures after every so many steps and the last, keeps the best model, and stops where too much is lost."""
        if state.global_step % self.every and not control.should_training_stop:
            return
        found = self._measure(control, held)[DECISIVE]
        if self.keep is not None and found > self._kept and state.is_world_process_zero:
            self._save(state.global_step, held)
            self._kept = found
        self._largest = max(self._largest, found)
        if self.margin is not None and found < self._largest - self.margin:
            control.should_training_stop = True

    def _measure(self, control: Any, held: Mapping[str, Any]) -> dict[str, float]:
        """Measures and logs; what the trainer has yet to log, it logs all the same."""
        found, due = self.measure(held["model"], self._tokenizer(held)), control.should_log
        logs = {f"{PREFIX}{name}": value for name, value in found.items()}
        Trainer.log(self._trainer, logs)  # that of trl takes the means of its own measures, and begins new ones
        control.should_log = due
        return found

    def measure(self, model: Any, tokenizer: Any) -> dict[str, float]:
        """Every ability of a model, by name, as `gating probe` gives it.

        Args:
            model: a causal language model; left in the mode it was in.
            tokenizer: its tokenizer.
        """
        from llm_finetune.abilities import ability_rows, prompt_values
        from llm_finetune.probe.bench import ask
        from llm_finetune.prompts import prompter_of

        with _own_precision(model):
            answers = ask(model, prompter_of(tokenizer, self.chat), self.questions, freely=self.judge == "said")
        rows = ability_rows(prompt_values(answers), self.judge)
        return {row["measure"]: row["value"] for row in rows if row["group"] == "all"}

    def _tokenizer(self, held: Mapping[str, Any]) -> Any:
        found = self.tokenizer or held.get("processing_class")
        return getattr(found, "tokenizer", found)

    def _save(self, step: int, held: Mapping[str, Any]) -> None:
        """Keeps a model under its step, whole or not at all; then the one before goes."""
        from llm_finetune.adapters import written

        keep = Path(str(self.keep))
        keep.mkdir(parents=True, exist_ok=True)
        place, before = keep / f"step-{step}", self.best
        with tempfile.TemporaryDirectory(prefix=".draft-", dir=keep, ignore_cleanup_errors=True) as draft:
            new = Path(draft) / "new"
            written(held["model"], new)
            self._tokenizer(held).save_pretrained(new)
            if place.exists():
                place.rename(Path(draft) / "old")
            new.rename(place)
            self.best = place
            if before is not None and before != place and before.exists():
                before.rename(Path(draft) / "before")


@contextmanager
def _own_precision(model: Any) -> Iterator[None]:
    """Without the mixed precision that accelerate puts around a model's `forward`."""
    mixed = vars(model).get("forward")
    if mixed is None or not hasattr(model, "_original_forward"):
        yield
        return
    model.forward = model._original_forward
    try:
        yield
    finally:
        model.forward = mixed


def _stage(args: Any) -> int:
    """DeepSpeed's stage; 0 without it."""
    plugin = getattr(args, "deepspeed_plugin", None)
    return int(getattr(plugin, "zero_stage", 0) or 0)
