"""Collections of any size: people with real or invented names, any frequencies, and cities for them to live in."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import islice
from typing import Any, Literal

import numpy as np

from llm_finetune.collection import Collection, Fact, load_collection
from theory.settings import SpecError
from theory.validation import require_choice, require_integer, require_positive

__all__ = ["generate_collection"]

ONSETS = "b br d dr f g gl h j k kr l m n p pl r s st t tr v w z"
VOWELS = "a e i o u ai ou"
ENDS = "k l m n r s t x"
N_NEW = 8  # subjects and answers that training will not show, of each


def generate_collection(
    frequencies: Sequence[float], *, n_answers: int, names: Literal["invented", "real"] = "invented", seed: int = 0
) -> Collection:
    """People who live in cities, asked for with given frequencies.

    Templates and the unrelated relation are those of the given collection of people. Facts of the largest frequency
    form the group ``high``, the others ``low``; where all are equal, all are ``all``. Answers are dealt out evenly.

    Args:
        frequencies: relative frequency > 0 of each fact, shape (facts,), two or more.
        n_answers: number of different answers, in 2 .. facts.
        names: ``invented`` syllables, or the ``real`` names of people and cities of the given collections, of which
            there are 64 and 16.
        seed: seed of the invented names, an integer >= 0.

    Raises:
        SpecError: when there are not that many real names.
        ValueError: when an argument is out of its set.

    Example:
        >>> found = generate_collection([9, 9, 1, 1], n_answers=2, seed=3)
        >>> [fact.group for fact in found.facts], len(found.answers)
        (['high', 'high', 'low', 'low'], 2)
    """
    weights = require_positive("frequencies", np.atleast_1d(frequencies))
    if weights.ndim != 1 or len(weights) < 2:
        raise ValueError(f"`frequencies` must be two or more numbers > 0; got {frequencies!r}")
    n = len(weights)
    require_integer("n_answers", n_answers, least=2, most=n)
    rng = np.random.default_rng(require_integer("seed", seed))
    new: dict[str, Any] = {}
    if require_choice("names", names, ("invented", "real")) == "real":
        given = load_collection("frequency")
        subjects, answers = [fact.subject for fact in given.facts], list(given.answers)
        for name, asked, there in (("frequencies", n, subjects), ("n_answers", n_answers, answers)):
            if asked > len(there):
                raise SpecError([f"`{name}` must ask for at most {len(there)} real names; got {asked}"])
    else:
        given, words = load_collection("people"), _invented(rng)
        subjects, answers = list(islice(words, n + N_NEW)), list(islice(words, n_answers + N_NEW))
        new = {"new_subjects": tuple(subjects[n:]), "new_answers": tuple(answers[n_answers:])}
    most = weights.max()
    groups = ["all" if (weights == most).all() else "high" if weight == most else "low" for weight in weights]
    facts = tuple(Fact(subjects[k], answers[k % n_answers], float(weights[k]), groups[k]) for k in range(n))
    if n_answers < n:
        new["reversed_questions"] = ()  # an answer in common does not tell the subject
    return replace(given, facts=facts, **new)


def _invented(rng: np.random.Generator) -> Iterator[str]:
    """Different words of two or more syllables."""
    seen: set[str] = set()
    while True:
        count = int(rng.integers(2, 4 + len(seen) // 100_000))
        parts = [str(rng.choice(sounds.split())) for sounds in (ONSETS, VOWELS) * count + (ENDS,)]
        word = "".join(parts).capitalize()
        if word not in seen:
            seen.add(word)
            yield word
