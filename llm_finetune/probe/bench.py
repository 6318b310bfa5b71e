"""What parts of the study `probe` do: each model is loaded, asked every prompt, and its answers are kept."""

import time
from typing import Any

import pandas as pd

from gating.runs.executor import Resources
from gating.runs.store import Place
from gating.studies.vocabulary import refusals
from llm_finetune.asking import asked_as
from llm_finetune.measure import Answers, answer_records, require_answerable
from llm_finetune.probe.config import BASE, ProbeConfig, called
from llm_finetune.probe.questions import Questions
from llm_finetune.prompts import Prompter
from llm_finetune.ready import ready
from llm_finetune.samples import sample_table
from llm_finetune.study import SAMPLES

__all__ = ["ask", "check", "keep_answers", "seconds"]

TIMED = 8  # prompts from which the time of a run is estimated


def ask(model: object, prompter: Prompter, questions: Questions, *, freely: bool = True) -> dict[str, list[Answers]]:
    """A model's answers to test prompts, by collection, in float32 arithmetic where its weights are.

    Args:
        model: a causal language model, left in the mode it was in.
        prompter: renders the prompts; its tokenizer is the model's.
        questions: the prompts.
        freely: whether it also answers every prompt freely.
    """
    members = questions.suite.members
    return {
        key: answer_records(model, prompter, records, members[key].collection, freely=freely, every=freely)
        for key, records in questions.draw(prompter).items()
    }


def check(config: ProbeConfig, resources: Resources) -> None:
    """Loads every model, and looks whether prompts and answers suit it.

    Raises:
        SpecError: a model cannot be read, has no template that is asked for, cannot tell two answers apart, or has
            no room for a prompt and its answer.
    """
    for name in config.sources:
        model, prompter = _ready(config, name, resources)
        with asked_as(called(name)), refusals():
            for questions in config.questions.values():
                for key, records in questions.draw(prompter).items():
                    require_answerable(model, prompter, records, questions.suite.members[key].collection)


def keep_answers(config: ProbeConfig, name: str, place: Place, resources: Resources) -> None:
    """Asks a model every prompt of every suite, and keeps prompts, candidates, scores and free answers."""
    model, prompter = _ready(config, name, resources)
    tables = []
    for suite, questions in config.questions.items():
        resources.say(f"asking {name} about {suite}")
        for collection, answers in ask(model, prompter, questions).items():
            tables.append(sample_table(answers, model=name, suite=suite, collection=collection))
    place.save_table(SAMPLES, pd.concat(tables, ignore_index=True))


def seconds(config: ProbeConfig, resources: Resources) -> float:
    """Estimated seconds of a run, from loading the base and a few of its prompts."""
    start = time.perf_counter()
    model, prompter = _ready(config, BASE, resources)
    loaded = time.perf_counter() - start
    asked = 0.0
    for questions in config.questions.values():
        drawn, members = questions.draw(prompter), questions.suite.members
        spent, answered = 0.0, 0
        for key in dict.fromkeys([*drawn][:: max(1, len(drawn) - 1)]):  # the first collection, and the last
            few = drawn[key][:: -max(1, len(drawn[key]) // TIMED)]  # the last prompt asks another relation
            start = time.perf_counter()
            answer_records(model, prompter, few, members[key].collection, freely=True, every=True)
            spent, answered = spent + time.perf_counter() - start, answered + len(few)
        asked += spent / answered * sum(map(len, drawn.values()))
    return (loaded + asked) * len(config.sources)


def _ready(config: ProbeConfig, name: str, resources: Resources) -> tuple[Any, Prompter]:
    return ready(config, name, resources, setting=called(name), base=None if name == BASE else config.base)
