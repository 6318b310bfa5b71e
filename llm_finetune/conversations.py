"""Conversations as a chat template renders them: the text, and which of it the assistant is to learn.

A conversation is rendered as a whole. Where that begins with what the model meets before each of the assistant's turns,
the turns are learned in one row. A template that rewrites earlier turns, such as one that drops their reasoning or ends
them otherwise, gives a row for each turn, with what comes before it as the model meets it there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple

from llm_finetune.chat import Chat

__all__ = ["Learn", "Passage", "passages"]

Learn = Literal["every", "last"]
Message = Mapping[str, str]


class Passage(NamedTuple):
    """A text, the spans of it that are learned, as (start, end), and whether the end token follows it."""

    text: str
    learned: tuple[tuple[int, int], ...]
    ends: bool


def passages(chat: Chat, messages: Sequence[Message], learn: Learn, first: int = 0) -> list[Passage]:
    r"""What is learned of a conversation.

    Args:
        chat: the chat template.
        messages: each with ``role`` and ``content``; the last is the assistant's.
        learn: ``every`` turn of the assistant, or the ``last`` one.
        first: number of the first message that may be learned.

    Raises:
        ValueError: the template does not render it, or not all that the assistant says.

    Example:
        >>> messages = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Ho"}]
        >>> passages(chat, messages, "every")  # doctest: +SKIP
        [Passage(text='<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\nHo<|im_end|>', learned=((45, 57),), ...)]
    """
    turns = [k for k, message in enumerate(messages) if message["role"] == "assistant" and k >= first]
    turns = turns[-1:] if learn == "last" else turns
    found = [_turn(chat, messages[: k + 1]) for k in turns]
    whole = found[-1].text
    if all(whole.startswith(each.text) and (chat.closing is not None or each is found[-1]) for each in found):
        return [Passage(whole, tuple(each.learned[0] for each in found), found[-1].ends)]
    return found


def _turn(chat: Chat, messages: Sequence[Message]) -> Passage:
    """The conversation up to a turn of the assistant and what closes it, of which that turn is learned."""
    text, before = chat.rendered(messages), chat.before(messages[:-1])
    start = len(before) if text.startswith(before) else len(text)
    at = _end_of(messages[-1]["content"], text, start)
    if at is None:  # reasoning that the template writes as a part of its own
        start = len(_common(text, chat.rendered(messages[:-1], ask=True)))
        at = _end_of(messages[-1]["content"], text, start)
    if at is None:
        raise ValueError(f"the chat template does not render all of message {len(messages)}, the assistant's")
    closing = chat.closing_of(text[at:])
    end = at + len(closing or "")
    return Passage(text[:at] + (closing or ""), ((start, end),), closing is None)


def _end_of(said: str, text: str, start: int) -> int | None:
    """Where in a text words end that begin it from `start` on, whatever white space is between them; None if they do
    not."""
    places = [k for k in range(start, len(text)) if not text[k].isspace()]
    bare = "".join(said.split())
    return places[len(bare) - 1] + 1 if "".join(text[k] for k in places).startswith(bare) else None


def _common(first: str, second: str) -> str:
    """With what two texts begin."""
    length = next((k for k, (a, b) in enumerate(zip(first, second, strict=False)) if a != b), None)
    return first[: min(len(first), len(second)) if length is None else length]
