"""What parts of the study `probe` do: each model is loaded, asked every prompt, and its answers are kept."""

import time
from collections.abc import Sequence

import pandas as pd
import torch
from transformers import AutoTokenizer

from gating.runs.executor import Resources
from gating.runs.store import Place
from gating.studies.vocabulary import refusals
from llm_finetune.adapters import load_tuned
from llm_finetune.measure import Answers, answer_records
from llm_finetune.models import LOCAL, LanguageModel, load_model, model_folder
from llm_finetune.probe.config import BASE, Chat, ProbeConfig, named
from llm_finetune.probe.questions import Questions
from llm_finetune.prompts import Prompter
from llm_finetune.samples import SAMPLES, sample_table
from llm_finetune.tokens import encode, require_room, split

__all__ = ["ask", "check", "keep_answers", "keep_together", "prompter_of", "seconds"]

TIMED = 8  # prompts from which the time of a run is estimated


def prompter_of(tokenizer: object, chat: Chat, *, everyone: bool = True) -> Prompter:
    """Renders prompts for a model.

    Args:
        tokenizer: its tokenizer.
        chat: as in the settings.
        everyone: whether every other model's tokenizer has a chat template.
    """
    has_template = everyone and bool(getattr(tokenizer, "chat_template", None))
    return Prompter(tokenizer, chat=has_template if chat == "auto" else chat == "template")


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
        SpecError: a model cannot be read, has no template that is asked for, or a prompt does not fit into its context.
    """
    for name in config.models:
        model, tokenizer = _loaded(config, name, resources)
        everyone = _has_templates(config, resources)
        with named(name), refusals():
            prompter = prompter_of(tokenizer, config.chat, everyone=everyone)
            for questions in config.questions.values():
                for key, records in questions.draw(prompter).items():
                    facts, prompts = questions.suite.members[key].collection, [record.prompt for record in records]
                    texts = (*facts.answers, *facts.new_answers, *facts.unrelated_answers)
                    answers = [prompter.answer(text) for text in texts]
                    room = max(map(len, split(tokenizer, prompts[:1], [answers], prompter.closing)[0].answers))
                    require_room(model, prompts, [len(row) + room for row in encode(tokenizer, prompts)])


def keep_answers(config: ProbeConfig, name: str, place: Place, resources: Resources) -> None:
    """Asks a model every prompt of every suite, and keeps prompts, candidates, scores and free answers."""
    torch.set_num_threads(resources.workers)
    model, tokenizer = _loaded(config, name, resources)
    prompter = prompter_of(tokenizer, config.chat, everyone=_has_templates(config, resources))
    tables = []
    for suite, questions in config.questions.items():
        resources.say(f"asking {name} about {suite}")
        for collection, answers in ask(model, prompter, questions).items():
            tables.append(sample_table(answers, model=name, suite=suite, collection=collection))
    place.save_table(SAMPLES, pd.concat(tables, ignore_index=True))


def keep_together(parts: Sequence[str], place: Place, resources: Resources) -> None:
    """Keeps the answers that other parts hold in one table."""
    tables = (place.of(part).table(SAMPLES) for part in parts)
    place.save_table(SAMPLES, pd.concat(tables, ignore_index=True))


def seconds(config: ProbeConfig, resources: Resources) -> float:
    """Estimated seconds of a run, from loading the base and a few of its prompts."""
    torch.set_num_threads(resources.workers)
    start = time.perf_counter()
    model, tokenizer = _loaded(config, BASE, resources)
    loaded = time.perf_counter() - start
    prompter = prompter_of(tokenizer, config.chat)
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
    return (loaded + asked) * len(config.models)


def _loaded(config: ProbeConfig, name: str, resources: Resources) -> LanguageModel:
    with named(name):
        if name == BASE:
            return load_model(config.base, device=resources.device, say=resources.say)
        return load_tuned(config.models[name], config.base, device=resources.device, say=resources.say)


def _has_templates(config: ProbeConfig, resources: Resources) -> bool:
    """Whether every model's tokenizer has a chat template; an adapter without a tokenizer has its base's."""
    folders = [model_folder(source, adapters=True, say=resources.say) for source in config.models.values()]
    owners = dict.fromkeys(f if (f / "tokenizer_config.json").is_file() else folders[0] for f in folders)
    return all(AutoTokenizer.from_pretrained(folder, **LOCAL).chat_template for folder in owners)
