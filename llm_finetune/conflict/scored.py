"""What a model answers to a suite, as one table of every prompt and candidate, and as arrays for gates."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import logsumexp

from llm_finetune.naming import mentions
from theory.validation import Floats

__all__ = ["ASKED", "Scored", "named"]

ASKED = ("prompt_number", "item", "group", "condition", "stated", "size", "prompt", "target", "said")
"""Columns that the rows of a prompt share; further ones are ``model``, ``candidate``, ``log_prob`` (nats, end token
included), ``n_tokens``, ``content_free`` (log-probability among the candidates after prompts that say nothing) and
``aliases``."""

NONE, SEVERAL = -1, -2


def named(said: str, candidates: Sequence[str], aliases: Sequence[str] = ()) -> int:
    """Which candidate a free answer names: its place, -1 for none, -2 for several.

    Marks between digits, as in 8,849, count for nothing.

    Args:
        said: the free answer.
        candidates: the candidates, the true one first.
        aliases: other names of the first.

    Example:
        >>> named("It is 8,849 m.", ["8849", "9734"]), named("Rome", ["Paris"]), named("Rome, Paris", ["Paris", "Rome"])
        (0, -1, -2)
        >>> named("It is 1.11 m.", ["11", "16"]), named("8848", ["8849", "9734"], ["8848"])
        (-1, 0)
    """
    text = re.sub(r"(?<=\d)[.,](?=\d)", "", said)
    names = [[candidates[0], *aliases], *([candidate] for candidate in candidates[1:])]
    found = [k for k, held in enumerate(names) if any(mentions(text, name) for name in held)]
    return found[0] if len(found) == 1 else SEVERAL if found else NONE


class Scored:
    """The answers of one model to P prompts, with at most K candidates.

    Prompts without context are not among the P: they are what the others are compared with.

    Args:
        samples: rows of one model, the true answer first among the candidates of each prompt.

    Attributes:
        asked: what was asked: ``item``, ``group``, ``condition``, ``size`` ..., a row for each prompt.
        context: log-probability of each candidate, given that the answer is one of them, shape (P, K); -inf where a
            prompt has fewer.
        without: that without context, same shape.
        content_free: that after prompts that say nothing, same shape.
        stated: place of the answer that the context states, -1 for none, shape (P,).
    """

    def __init__(self, samples: pd.DataFrame):
        firsts = samples.drop_duplicates("prompt_number").set_index("prompt_number")
        columns = dict(zip(samples["prompt_number"].drop_duplicates(), _places(samples, "log_prob"), strict=True))
        alone = firsts[firsts["condition"] == "no_context"]
        bare = dict(zip(alone["item"], alone.index, strict=True))
        self.asked = firsts[firsts["condition"] != "no_context"].reset_index()
        self._bare = firsts.loc[[bare[item] for item in self.asked["item"]]].reset_index()
        self.context = _among([columns[number] for number in self.asked["prompt_number"]])
        self.without = _among([columns[number] for number in self._bare["prompt_number"]])
        free = dict(zip(samples["prompt_number"].drop_duplicates(), _places(samples, "content_free"), strict=True))
        self.content_free = _among([free[number] for number in self.asked["prompt_number"]])
        names = samples.groupby("prompt_number", sort=False)["candidate"].agg(list)
        self._candidates = [names[number] for number in self.asked["prompt_number"]]
        self.stated = np.array([
            held.index(stated) if isinstance(stated, str) else NONE
            for held, stated in zip(self._candidates, self.asked["stated"], strict=True)
        ])  # fmt: skip

    def at(self, condition: str) -> NDArray[np.bool_]:
        """Which prompts are of a condition."""
        return np.asarray(self.asked["condition"] == condition)

    @cached_property
    def prior(self) -> NDArray[np.int64]:
        """Place of the model's own answer to each question: the likeliest candidate without context, shape (P,)."""
        return self.without.argmax(axis=1)

    @cached_property
    def confidence(self) -> Floats:
        """Probability of that answer among the candidates, without context, shape (P,)."""
        return np.asarray(np.exp(self.without.max(axis=1)))

    @cached_property
    def said(self) -> NDArray[np.int64]:
        """Which candidate the free answer to each prompt names, as in `named`, shape (P,); -3 where there is none."""
        return self._named(self.asked)

    @cached_property
    def said_prior(self) -> NDArray[np.int64]:
        """Likewise of the free answer without context, where several names count as none."""
        found = self._named(self._bare)
        return np.where(found == SEVERAL, NONE, found)

    @cached_property
    def same_words(self) -> NDArray[np.bool_]:
        """Whether the free answer is what it is without context, word for word, shape (P,)."""
        return np.asarray(self.asked["said"].to_numpy() == self._bare["said"].to_numpy())

    def bare_answers(self) -> pd.DataFrame:
        """What the model says to each question without context, a row for each prompt."""
        return self._bare

    def name_of(self, places: NDArray[np.int64]) -> list[str]:
        """Texts of candidates, one for each prompt; empty for none."""
        return [held[k] if k >= 0 else "" for held, k in zip(self._candidates, places, strict=True)]

    def _named(self, of: pd.DataFrame) -> NDArray[np.int64]:
        return np.array([
            named(said, held, aliases.split("\n") if aliases else ()) if isinstance(said, str) else -3
            for said, held, aliases in zip(of["said"], self._candidates, of["aliases"], strict=True)
        ])  # fmt: skip


def _places(samples: pd.DataFrame, column: str) -> list[Floats]:
    """Values of each prompt's candidates, prompt by prompt."""
    numbers = samples["prompt_number"].to_numpy()
    starts = np.flatnonzero(np.r_[True, numbers[1:] != numbers[:-1]])
    return np.split(samples[column].to_numpy(np.float64), starts[1:])


def _among(rows: list[Any]) -> Floats:
    """Rows of different lengths in one array, brought to probabilities that sum to 1."""
    found = np.full((len(rows), max(map(len, rows))), -np.inf)
    for place, row in enumerate(rows):
        found[place, : len(row)] = row - logsumexp(row)
    return found
