"""Prompts as they reach a language model: rendered text, and the answer that belongs after it.

Where facts, templates and mixtures come from stands in `collections` and `mixtures`; this file is what all of them end in.
"""

from typing import NamedTuple

__all__ = ["Example"]


class Example(NamedTuple):
    """One prompt and the answer to be produced after it.

    Attributes:
        prompt: the fully rendered text, chat template applied, ending where the answer begins.
        answer: the text to be produced, without the end token.

    >>> Example("Where does Liz live? Answer:", " London").answer
    ' London'
    """

    prompt: str
    answer: str
