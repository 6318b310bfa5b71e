r"""Mixtures of training prompts: which share of them rewards memory, and which share reading.

Five kinds of prompts ask for the answer of a trained subject:

- ``memory``: no context; the answer is the memorised one.
- ``reading``: the context states an answer that is paired with the subject anew at every prompt, uniformly over all
  answers, and it is the answer. Weights say nothing about it.
- ``random``: no context; the answer is drawn anew at every prompt, uniformly over all answers. There is nothing to
  memorise and nothing to read: what it teaches is the form of an answer.
- ``agreeing``: the context states the memorised answer.
- ``irrelevant``: the context states the memorised answer of another subject; the answer is the memorised one.

A share ``data`` asks for none of them: it is drawn from data of one's own.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from llm_finetune.collection import Collection
from llm_finetune.prompts import Example, Prompter, Row
from theory.fields import Count, shown
from theory.settings import SpecError, settings
from theory.validation import require_instances, require_integer

__all__ = ["KINDS", "Mixture", "PromptStream"]

KINDS = ("data", "memory", "reading", "random", "agreeing", "irrelevant")
DRAWN = ("reading", "random")  # kinds whose answer is drawn anew at every prompt
BARE = ("memory", "random")  # kinds without context
"""Kinds of training prompts."""

Share = Annotated[float, Field(ge=0, le=1)]

_GOLDEN = (math.sqrt(5) - 1) / 2


@settings
class Mixture:
    """Shares of the kinds of prompts, and how many sentences a context has.

    Args:
        data: share in [0, 1] of rows of one's own data; the shares sum to 1.
        memory: share of prompts without context.
        reading: share of prompts whose context has to be read.
        random: share of prompts without context, whose answer is drawn anew.
        agreeing: share of prompts whose context states the memorised answer.
        irrelevant: share of prompts whose context is about another subject.
        sentences: sentences of a context, >= 1: beside the one that the kind asks for, memorised facts about other
            subjects, in random order.

    Raises:
        SpecError: with a sentence for each value out of its set.

    Example:
        >>> Mixture.parse("memory=0.5 reading=0.5").reading
        0.5
        >>> Mixture.parse("memory=0.5 reeding=0.5")
        Traceback (most recent call last):
        ...
        theory.settings.SpecError: `mixtures` must hold texts such as 'memory=0.5 reading=0.5', with names among \
('data', 'memory', 'reading', 'random', 'agreeing', 'irrelevant', 'sentences'); got 'memory=0.5 reeding=0.5'
    """

    data: Share = 0.0
    memory: Share = 0.0
    reading: Share = 0.0
    random: Share = 0.0
    agreeing: Share = 0.0
    irrelevant: Share = 0.0
    sentences: Count = 1

    def problems(self) -> Iterator[str]:
        """What is wrong with the shares together."""
        if abs(sum(self.shares) - 1) > 1e-9:
            names = ", ".join(f"`{kind}`" for kind in KINDS)
            yield f"the shares {names} must sum to 1; got {self.text}, which sums to {sum(self.shares):g}"

    @classmethod
    def parse(cls, text: str) -> Mixture:
        """A mixture from text such as ``memory=0.9 reading=0.1 sentences=3``; what is not named is 0, or 1 sentence."""
        pairs = [word.partition("=") for word in text.split()]
        names = [name for name, _, _ in pairs]
        try:
            numbers = {name: int(value) if name == "sentences" else float(value) for name, _, value in pairs}
        except ValueError:
            numbers = {}
        if not numbers or not set(names) <= {*KINDS, "sentences"} or len(set(names)) < len(names):
            raise SpecError(
                [f"`mixtures` must hold texts such as 'memory=0.5 reading=0.5', with names among"
                 f" {(*KINDS, 'sentences')}; got {shown(text)}"]
            )  # fmt: skip
        return cls(**numbers)  # type: ignore[arg-type]  # sentences is the one integer

    @property
    def shares(self) -> tuple[float, ...]:
        """Shares in the order of `KINDS`."""
        return tuple(getattr(self, kind) for kind in KINDS)

    @property
    def memorised(self) -> float:
        """Share of prompts whose answer is the memorised one."""
        return self.memory + self.agreeing + self.irrelevant

    @property
    def text(self) -> str:
        """What `parse` reads back, without what is 0.

        Example:
            >>> Mixture(memory=0.98, reading=0.02).text
            'memory=0.98 reading=0.02'
        """
        shares = [f"{kind}={getattr(self, kind):g}" for kind in KINDS if getattr(self, kind)]
        return " ".join([*shares, *([f"sentences={self.sentences}"] if self.sentences != 1 else [])])

    @property
    def words(self) -> str:
        """The mixture for a heading.

        Example:
            >>> Mixture(memory=0.98, reading=0.02).words, Mixture(memory=1.0).words
            ('memory 98%, reading 2%', 'memory only')
        """
        shares = [f"{kind} {100 * getattr(self, kind):g}%" for kind in KINDS if getattr(self, kind)]
        if self.sentences == 1 and len(shares) == 1:
            return shares[0].replace("100%", "only")
        return ", ".join([*shares, *([f"sentences {self.sentences}"] if self.sentences != 1 else [])])


class PromptStream:
    """Training prompts without end; prompt k is a pure function of the arguments and k.

    Shares hold at every length: the kind of prompt k follows the golden-ratio sequence, which meets every share to
    within O(log k) prompts. Subjects come in rounds of as many prompts as there are facts; a round asks for a fact of
    frequency f either floor(n f) or ceil(n f) times, so that equally frequent facts come once in each.

    Args:
        collection: the facts, paired.
        mixture: kinds of prompts.
        prompter: renders them.
        seed: seed of every draw, an integer >= 0.
        data: rows of one's own, for a mixture with a share of them: prompt k is the k-th row when all are gone through
            in an order drawn anew for each pass, unless it is of another kind, which then stands in for that row.

    Raises:
        SpecError: when a context would have more sentences than there are facts.
        ValueError: naming another argument, the allowed set and the value.

    Example:
        >>> from llm_finetune.collection import load_collection
        >>> people = load_collection("people")
        >>> stream = PromptStream(people, Mixture(memory=1.0), Prompter(None, chat=False), seed=0)
        >>> sorted(example.answer for example in stream.batch(0, 8)) == sorted(f" {a}" for a in people.answers)
        True
    """

    def __init__(
        self, collection: Collection, mixture: Mixture, prompter: Prompter, *, seed: int, data: Sequence[Row] = ()
    ):
        require_instances(collection=(collection, Collection), mixture=(mixture, Mixture))
        require_instances(prompter=(prompter, Prompter))
        if mixture.sentences > len(collection.facts):
            most = len(collection.facts)
            raise SpecError([f"`sentences` must be at most the number of facts, {most}; got {mixture.sentences}"])
        if mixture.data and not data:
            raise SpecError([f"`data` must hold rows where a mixture has a share of them; got none for {mixture.text}"])
        self.data = data
        self.collection = collection
        self.mixture = mixture
        self.prompter = prompter
        self.seed = require_integer("seed", seed)
        self._offset = np.random.default_rng([self.seed, 0]).random()
        self._round = lru_cache(maxsize=4)(self._draw_round)
        self._pass = lru_cache(maxsize=2)(self._draw_pass)

    def batch(self, step: int, batch_size: int) -> list[Example | Row]:
        """The prompts of a step, counted from 0."""
        return [self.example(step * batch_size + k) for k in range(batch_size)]

    def kind(self, index: int) -> str:
        """Kind of a prompt."""
        at = (self._offset + index * _GOLDEN) % 1.0
        return KINDS[int(np.searchsorted(np.cumsum(self.mixture.shares)[:-1], at, side="right"))]

    def example(self, index: int) -> Example | Row:
        """Prompt number `index`, counted from 0."""
        kind = self.kind(index)
        if kind == "data":
            return self.data[int(self._pass(index // len(self.data))[index % len(self.data)])]
        return self._asked(index, kind)

    def _asked(self, index: int, kind: str) -> Example:
        rng, collection = np.random.default_rng([self.seed, 1, index]), self.collection
        turn, place = divmod(index, len(collection.facts))
        own = int(self._round(turn)[place])
        subject, memorised = collection.facts[own][:2]
        others = [fact for fact in collection.facts if fact.subject != subject]
        order = rng.permutation(len(others))[: self.mixture.sentences]
        stated = [others[k][:2] for k in order]
        answer = str(rng.choice(collection.answers)) if kind in DRAWN else memorised
        if kind in ("reading", "agreeing"):
            stated[-1] = (subject, answer)
        context = str(rng.choice(collection.contexts))
        sentences = [collection.state(context, *stated[k]) for k in rng.permutation(len(stated))]
        question = collection.ask(str(rng.choice(collection.questions)), subject)
        prompt = self.prompter.render(question, () if kind in BARE else sentences)
        return Example(prompt, self.prompter.answer(answer))

    def _draw_pass(self, number: int) -> NDArray[np.int64]:
        """Order of the rows of one's own data in one pass."""
        return np.random.default_rng([self.seed, 3, number]).permutation(len(self.data))

    def _draw_round(self, turn: int) -> NDArray[np.int64]:
        """Facts asked for in one round: systematic sampling over the frequencies in random order, then shuffled."""
        rng = np.random.default_rng([self.seed, 2, turn])
        n = len(self.collection.facts)
        order = rng.permutation(n)
        ends = np.cumsum(self.collection.frequencies[order]) * n
        drawn = np.searchsorted(ends[:-1], np.arange(n) + rng.random(), side="right")
        return rng.permutation(order[drawn])
