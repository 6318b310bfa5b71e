"""Prompts as they reach a language model: rendered text, and the answer that belongs after it."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from theory.fields import shown
from theory.settings import SpecError
from theory.validation import require_instances

__all__ = ["Example", "Prompter"]

PLAIN_ENDING = "\nAnswer:"
"""What follows the question where there is no chat template."""


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


class Prompter:
    """Renders context sentences and a question for one tokenizer, with its chat template or as plain text.

    In a chat, sentences and question are one message of the user, and there is no system prompt: one that a template
    adds on its own is left out. As plain text they stand on one line, and ``Answer:`` on the next. A token that the
    tokenizer puts before every text is part of the prompt, which is therefore encoded as it stands.

    Args:
        tokenizer: a tokenizer of `transformers`; plain text can do without one.
        chat: whether to use its chat template.

    Raises:
        SpecError: when `chat` is true and the tokenizer has no chat template.
        ValueError: when `tokenizer` or `chat` is something else.

    Example:
        >>> plain = Prompter(None, chat=False)
        >>> plain.render("Where does Liz live?", ["Liz lives in Rome."])
        'Liz lives in Rome. Where does Liz live?\\nAnswer:'
        >>> plain.answer("Rome")
        ' Rome'
    """

    def __init__(self, tokenizer: Any, *, chat: bool):
        require_instances(chat=(chat, bool))
        if tokenizer is not None and not (callable(tokenizer) and hasattr(tokenizer, "bos_token")):
            raise ValueError(f"`tokenizer` must be a tokenizer of transformers, or None; got {shown(tokenizer)}")
        if chat and not getattr(tokenizer, "chat_template", None):
            raise SpecError(["`chat` must be false for a tokenizer without a chat template; got true"])
        self.tokenizer = tokenizer
        self.chat = chat
        self._begin = "" if chat or tokenizer is None else _beginning(tokenizer)

    def render(self, question: str, sentences: Sequence[str] = ()) -> str:
        """The prompt, which ends where the answer begins."""
        text = " ".join([*sentences, question])
        return self._turn(text) if self.chat else self._begin + text + PLAIN_ENDING

    def answer(self, text: str) -> str:
        """An answer as it stands after the prompt."""
        return text if self.chat else f" {text}"

    def _turn(self, text: str) -> str:
        """A first message of the user. Templates add a system prompt before the first turn only, so it is rendered
        as a second turn, of which the first is cut off; a token that begins every text is put back."""
        before = [{"role": "user", "content": "-"}, {"role": "assistant", "content": "-"}]
        apply = self.tokenizer.apply_chat_template
        first = apply(before, tokenize=False)
        both = apply([*before, {"role": "user", "content": text}], tokenize=False, add_generation_prompt=True)
        if not both.startswith(first):
            raise SpecError(["`chat` must be false for a chat template that rewrites earlier turns; got true"])
        turn, begin = both[len(first) :], self.tokenizer.bos_token
        return f"{begin}{turn}" if begin and both.startswith(begin) and not turn.startswith(begin) else turn


def _beginning(tokenizer: Any) -> str:
    """The token that the tokenizer puts before every text, as text; empty where there is none."""
    begin, ids = tokenizer.bos_token, tokenizer("-")["input_ids"]
    return str(begin) if begin and ids and ids[0] == tokenizer.bos_token_id else ""
