"""Prompts as they reach a language model: rendered text, and the answer that belongs after it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from llm_finetune.chat import Chat
from theory.fields import shown
from theory.settings import SpecError
from theory.validation import require_instances

__all__ = ["IGNORED", "Example", "Prompter", "Row", "prompter_of"]

PLAIN_ENDING = "\nAnswer:"
"""What follows the question where there is no chat template."""

UNSPACED_STOPS = ("。", "！", "？")
"""Ends of sentences after which Chinese and Japanese set no space."""


class Example(NamedTuple):
    """One prompt and the answer to be produced after it.

    Attributes:
        prompt: the fully rendered text, chat template applied, ending where the answer begins.
        answer: the text to be produced, without the end token.

    >>> Example("Where does Liz live?\\nAnswer:", " London").answer
    ' London'
    """

    prompt: str
    answer: str


IGNORED = -100
"""Stands for a token that is not learned."""


class Row(NamedTuple):
    """A text to learn from, as tokens.

    Attributes:
        prompt: tokens before the first one that is learned, one or more.
        answer: the others.
        labels: for each of those, the token itself where it is learned, and `IGNORED` where it is not.
    """

    prompt: list[int]
    answer: list[int]
    labels: list[int]

    @property
    def learned(self) -> int:
        """How many tokens are learned.

        >>> Row([5], [6, 7, 8], [6, IGNORED, 8]).learned
        2
        """
        return sum(label != IGNORED for label in self.labels)

    def cut(self, length: int) -> Row:
        """The first tokens.

        >>> Row([5, 6], [7, 8], [7, 8]).cut(3)
        Row(prompt=[5, 6], answer=[7], labels=[7])
        """
        rest = max(0, length - len(self.prompt))
        return Row(self.prompt[:length], self.answer[:rest], self.labels[:rest])


class Prompter:
    """Renders context sentences and a question for one tokenizer, with its chat template or as plain text.

    In a chat, sentences and question are one message of the user. As plain text they stand on one line, and ``Answer:``
    on the next. Tokens that the tokenizer puts before every text are part of the prompt, which is therefore encoded as
    it stands.

    Args:
        tokenizer: a tokenizer of `transformers`; plain text can do without one.
        chat: whether to use its chat template.
        system: whether a system prompt that the template adds on its own is kept; by default it is left out.

    Attributes:
        closing: text that closes an answer in a chat, as the model ends its turn; None for the tokenizer's end token.
        template: the chat template; None for plain text.
        beginning: what the tokenizer puts before every text, as plain text begins with it; empty in a chat.

    Raises:
        SpecError: when `chat` is true and the tokenizer has no chat template, or one that cannot be used.
        ValueError: when `tokenizer`, `chat` or `system` is something else.

    Example:
        >>> plain = Prompter(None, chat=False)
        >>> plain.render("Where does Liz live?", ["Liz lives in Rome."])
        'Liz lives in Rome. Where does Liz live?\\nAnswer:'
        >>> plain.answer("Rome")
        ' Rome'
    """

    def __init__(self, tokenizer: Any, *, chat: bool, system: bool = False):
        require_instances(chat=(chat, bool), system=(system, bool))
        if tokenizer is not None and not (callable(tokenizer) and hasattr(tokenizer, "bos_token")):
            raise ValueError(f"`tokenizer` must be a tokenizer of transformers, or None; got {shown(tokenizer)}")
        if chat and not getattr(tokenizer, "chat_template", None):
            raise SpecError(["`chat` must be false for a tokenizer without a chat template; got true"])
        self.tokenizer = tokenizer
        self.chat = chat
        self.template = Chat(tokenizer, system=system) if chat else None
        self.closing = self.template.closing if self.template else None
        self.beginning = "" if chat or tokenizer is None else _beginning(tokenizer)

    def render(self, question: str, sentences: Sequence[str] = ()) -> str:
        """The prompt, which ends where the answer begins."""
        spaced = [text if text.endswith(UNSPACED_STOPS) else f"{text} " for text in sentences]
        text = "".join([*spaced, question])
        return self.template.prompt(text) if self.template else self.beginning + text + PLAIN_ENDING

    def answer(self, text: str) -> str:
        """An answer as it stands after the prompt."""
        return text if self.chat else f" {text}"


def _beginning(tokenizer: Any) -> str:
    """What the tokenizer puts before every text, as text; empty where that is nothing."""
    bare, ids = (list(tokenizer("-", add_special_tokens=more)["input_ids"]) for more in (False, True))
    before = next((ids[:k] for k in range(len(ids)) if bare and ids[k : k + len(bare)] == bare), [])
    text = str(tokenizer.decode(before)) if before else ""
    return text if list(tokenizer(text, add_special_tokens=False)["input_ids"] if text else []) == before else ""


def prompter_of(tokenizer: Any, chat: str, *, everyone: bool = True, system: bool = False) -> Prompter:
    """What renders prompts for a model.

    Args:
        tokenizer: its tokenizer.
        chat: ``template`` or ``plain``; by ``auto`` the template where there is one.
        everyone: whether every other model's tokenizer has a chat template.
        system: as in `Prompter`.
    """
    has_template = everyone and bool(getattr(tokenizer, "chat_template", None))
    return Prompter(tokenizer, chat=has_template if chat == "auto" else chat == "template", system=system)
