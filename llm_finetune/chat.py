"""Chat templates: where in a whole conversation the answer begins, what closes it, and what stands before the question.

A prompt is a rendered conversation of one question and one answer, cut where the answer begins: so whatever a template
writes before an answer, such as an empty block of reasoning, the name of a channel or a space, is in the prompt, and
prompt, answer and closing text together are the conversation as the model was trained on it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

from theory.settings import SpecError

__all__ = ["Chat"]

QUESTION, ANSWER, EARLIER = "Questionword", "Answerword", "Earlierword"
"""Words that no template writes on its own, and that all write as they stand."""


class Chat:
    """The chat template of a tokenizer, for a first question and its answer.

    Args:
        tokenizer: a tokenizer of `transformers` with a chat template.
        system: whether a system prompt that the template writes on its own is kept; otherwise it is left out, and what
            begins every text, such as ``<s>`` or ``[gMASK]<sop>``, stays.

    Attributes:
        closing: text from the end of an answer to the token that ends the model's turn; None where there is no such
            token, and the tokenizer's end token closes an answer.

    Raises:
        SpecError: when the template does not render questions and answers, or its system prompt cannot be told from the
            rest and is to be left out.
    """

    def __init__(self, tokenizer: Any, *, system: bool):
        self._tokenizer = tokenizer
        special = sorted({*tokenizer.all_special_tokens, *tokenizer.added_tokens_encoder}, key=len, reverse=True)
        self._special = special
        before, after = self._cut(QUESTION)
        self.closing: str | None = None
        self._before = before[: before.rindex(QUESTION)]
        self._head = None if system else self._without_system()
        self.closing = self._closing(after)

    def prompt(self, text: str) -> str:
        """The conversation up to where the answer to a question begins."""
        before = self._cut(text)[0]
        if self._head is None:
            return before
        return self._head + before[before.rindex(text if text in before else text.strip()) :]

    def rendered(self, messages: Sequence[Mapping[str, str]], *, ask: bool = False) -> str:
        """A conversation, without a system prompt that the template writes on its own where that is left out.

        Args:
            messages: each with ``role`` and ``content``.
            ask: whether an answer of the assistant is to follow.

        Raises:
            ValueError: the template does not take it.
        """
        try:
            text = str(self._tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=ask))
        except Exception as error:  # templates raise errors of their own
            reason = str(error).strip().split("\n")[0]
            raise ValueError(f"the chat template does not take the conversation ({reason})") from error
        if self._head is None or messages[0]["role"] == "system" or not text.startswith(self._before):
            return text
        return self._head + text.removeprefix(self._before)

    def before(self, messages: Sequence[Mapping[str, str]]) -> str:
        """A conversation up to where the assistant's next words begin."""
        return self.rendered([*messages, {"role": "assistant", "content": ANSWER}]).rpartition(ANSWER)[0]

    def closing_of(self, after: str) -> str | None:
        """What closes words of the assistant, from what is rendered after them: up to the first special token."""
        closing = ""
        for piece in self._pieces(after):
            closing += piece
            if piece in self._special:
                return closing
        return self.closing

    def _cut(self, text: str) -> tuple[str, str]:
        """A conversation before and after its answer."""
        whole = self._rendered(text, ANSWER)
        if whole.count(ANSWER) != 1 or text.strip() not in whole:
            raise SpecError(["`chat` must be false for a chat template that does not write an answer once; got true"])
        before, _, after = whole.partition(ANSWER)
        return before, after

    def _rendered(self, *contents: str, ask: bool = False) -> str:
        roles = ("user", "assistant", "user")
        messages = [{"role": role, "content": content} for role, content in zip(roles, contents, strict=False)]
        try:
            return str(self._tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=ask))
        except Exception as error:  # templates raise errors of their own
            reason = str(error).strip().split("\n")[0]
            raise SpecError(
                [f"`chat` must be false for a chat template that renders no plain conversation ({reason}); got true"]
            ) from error

    def _closing(self, after: str) -> str | None:
        """From the end of the answer to the first special token, here or, where turns end with the next, before one."""
        later = self._rendered(EARLIER, ANSWER, QUESTION).partition(ANSWER)[2].partition(QUESTION)[0]
        return self.closing_of(after) or self.closing_of(later)

    def _without_system(self) -> str:
        """What stands before a first question, without a system prompt."""
        turn = self._turn()
        if self._before and not (turn and self._before.endswith(turn)):
            what = "writes a system prompt that cannot be told from the question"
            raise SpecError([f"`system_prompt` must be kept for a chat template that {what}; got drop"])
        ahead = self._before.removesuffix(turn)
        heads = {piece for piece in self._pieces(turn) if piece in self._special}
        pieces, begin = self._pieces(ahead), ""
        for piece, following in pairwise([*pieces, ""]):
            opens = following and following not in self._special and piece != self._tokenizer.bos_token
            if piece not in self._special or piece in heads or opens:
                break  # the head of a system prompt, or its text
            begin += piece
        return begin + turn

    def _turn(self) -> str:
        """What opens a question of the user in the middle of a conversation.

        Between an answer and the next question stand the end of a turn and the opening of another. The former is what
        stands between a question that an answer may follow and the opening of that answer.
        """
        between = self._rendered(EARLIER, ANSWER, QUESTION).partition(ANSWER)[2].partition(QUESTION)[0]
        end = self._common(self._rendered(QUESTION), self._rendered(QUESTION, ask=True))
        if end and end in between:
            return between.partition(end)[2]
        if between.endswith(self._before):
            return self._before
        return "".join(reversed(self._alike(self._pieces(between)[::-1], self._pieces(self._before)[::-1])))

    def _common(self, first: str, second: str) -> str:
        tails = (self._pieces(text.rpartition(QUESTION)[2]) for text in (first, second))
        return "".join(self._alike(*tails))

    def _alike(self, first: list[str], second: list[str]) -> list[str]:
        """With what two lists begin."""
        length = next((k for k, (a, b) in enumerate(zip(first, second, strict=False)) if a != b), None)
        return first[: min(len(first), len(second)) if length is None else length]

    def _pieces(self, text: str) -> list[str]:
        """Special tokens of a text, and what stands between them."""
        if not self._special:
            return [text] if text else []
        found = re.split(f"({'|'.join(map(re.escape, self._special))})", text)
        return [piece for piece in found if piece]
