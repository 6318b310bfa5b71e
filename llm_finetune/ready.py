"""A language model that is ready to be asked: loaded, with what renders its prompts."""

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

import torch
from transformers import AutoTokenizer

from gating.runs.executor import Resources
from llm_finetune.adapters import load_tuned
from llm_finetune.asking import asked_as
from llm_finetune.models import ADAPTER, LOCAL, load_model, model_folder
from llm_finetune.prompts import Prompter, prompter_of

__all__ = ["ready"]


def ready(
    config: Any, name: str, resources: Resources, *, setting: str = "`models`", base: str | None = None
) -> tuple[Any, Prompter]:
    """A model of a study, and what renders its prompts.

    Args:
        config: settings of the study, with ``chat``, and ``sources`` of its models by name.
        name: which of them.
        resources: where it goes, how many threads it has, and who hears of it.
        setting: what a user calls it by.
        base: where it may be an adapter, the model that it is put on.

    Raises:
        SpecError: it cannot be read, or has no template that is asked for.
    """
    torch.set_num_threads(resources.workers)
    load: Any = load_model if base is None else partial(load_tuned, base=base)
    with asked_as(setting):
        model, tokenizer = load(config.sources[name], device=resources.device, say=resources.say)
        everyone = config.chat != "auto" or _have_templates(config.sources.values(), resources.say)
        return model, prompter_of(tokenizer, config.chat, everyone=everyone)


def _have_templates(sources: Iterable[str], say: Callable[[str], None]) -> bool:
    """Whether every model's tokenizer has a chat template; an adapter without a tokenizer has the first model's."""
    folders = [model_folder(source, adapters=True, say=say) for source in sources]
    bare = [(folder / ADAPTER).is_file() and not (folder / "tokenizer_config.json").is_file() for folder in folders]
    owners = dict.fromkeys(folders[0] if without else f for f, without in zip(folders, bare, strict=True))
    return all(AutoTokenizer.from_pretrained(folder, **LOCAL).chat_template for folder in owners)
