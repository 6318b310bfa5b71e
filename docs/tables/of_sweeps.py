"""Tables and sentences of docs/results/compare.md on its sweeps over the data."""

from collections.abc import Iterator, Mapping
from typing import Any

from docs.tables.cells import one, said, table_of
from docs.tables.committed import table
from docs.tables.of_compare import (
    COPIED,
    MEASURED,
    apart,
    conditions,
    error_cell,
    headings,
    holds,
    of_seeds,
    said_error,
)
from docs.tables.pages import computed
from gating.page.text_table import ends_of

__all__ = ["SWEEPS", "one_swept", "said_of_sweeps", "swept"]

SWEEPS: Mapping[str, tuple[str, str]] = {
    "noise": ("distribution.input_noise", "input noise"),
    "laws": ("distribution.relevance", "what is relevant"),
    "rare-classes": ("distribution.n_low", "rare classes"),
    "relevant-tokens": ("distribution.n_relevant", "relevant tokens of 4"),
    "share-of-frequent": ("distribution.p_high", "p_high"),
    "share-of-relevant": ("distribution.p_relevant", "p_relevant"),
    "tens-of-rare-classes": ("distribution.n_low", "rare classes"),
    "lengths": ("distribution.context_length", "L"),
    "label-noise": ("distribution.label_noise", "label noise"),
}
"""Column and name of the setting that each committed sweep is over."""
PUBLISHED: Mapping[str, Mapping[tuple[Any, int, str], str]] = {
    "noise": {(0.0, 256, "high"): "about 1", (0.0, 1048576, "high"): "about 1", (0.0, 1048576, "low"): "0.95",
              (0.4, 256, "high"): "0.05", (0.4, 1024, "low"): "0.13", (0.4, 1048576, "high"): "0.77",
              (0.4, 1048576, "low"): "0.6"},
    "rare-classes": {(495, 16384, "low"): "0.15", (495, 262144, "low"): "0.5"},
    "relevant-tokens": {("1", 1024, "low"): "0.93", ("2", 1024, "low"): "0.6", ("3", 1024, "low"): "0.2",
                        ("4", 1024, "low"): "0.08"},
}  # fmt: skip
"""Out-of-base errors of the paper's Transformer with relevant contexts, read off public pictures, to about 0.05; of
relevant tokens the least over N."""


def swept(name: str) -> str:
    """Errors of the Transformer and of the stylized model at each value of a sweep and each N."""
    column, words = SWEEPS[name]
    places = table(name)[[column, "n"]].dropna().drop_duplicates().sort_values([column, "n"])
    published = PUBLISHED.get(name, {})

    def line(value: Any, n: int) -> Iterator[str]:
        yield from (f"{value:g}" if isinstance(value, float) else str(value), f"{n:,}")
        for where, group in conditions():
            yield error_cell(name, where, group, n=n, system="transformer", **{column: value})
            if published and where is COPIED:
                yield published.get((value, n, group), "")
        yield from (
            error_cell(name, COPIED, group, n=n, system="stylized", **{column: value}) for group in ("high", "low")
        )

    head = [words, "N"]
    for (where, _), heading in zip(conditions(), headings(), strict=True):
        head += [heading, "published"] if published and where is COPIED else [heading]
    head += [f"stylized model: {heading}" for heading in list(headings())[:2]]
    return table_of(head, (line(value, int(n)) for value, n in places.itertuples(index=False)))


def one_swept(name: str, value: Any, n: int, group: str = "low", system: str = "transformer") -> dict[str, Any]:
    """A system's error out of base with relevant contexts at one value of a sweep."""
    return one(name, measure="error", group=group, n=n, system=system, **MEASURED, **COPIED, **{SWEEPS[name][0]: value})


def _swept(name: str, value: Any, n: int, group: str = "low", system: str = "transformer") -> str:
    return computed(ends_of(one_swept(name, value, n, group, system), 2))


def _paired(name: str, value: Any, n: int) -> Any:
    """The Transformer's error on rare classes as `one_swept` has it, for each seed."""
    return of_seeds(name, n=n, group="low", **COPIED, **{SWEEPS[name][0]: value})


def _paper(n: int) -> str:
    return said_error(COPIED, "low", n)


def said_of_sweeps() -> Iterator[str]:
    """All sentences on sweeps."""
    for said_of in (_noise, _label_noise, _laws, _relevant_tokens, _rare_classes, _shares, _lengths):
        yield from said_of()


def _noise() -> Iterator[str]:
    largest = 1_048_576
    yield f"errs {_swept('noise', 0.4, largest)} on rare classes after 1,048,576"
    yield f"so copies about half of them, and {_swept('noise', 0.4, largest, 'high')} on frequent ones"
    yield f"more of them than the Transformer does, and errs {_swept('noise', 0.4, largest, 'high', 'stylized')}"
    told = {place: held for place, held in PUBLISHED["noise"].items() if "about" not in held}
    inside = [holds(one_swept("noise", *place), held) for place, held in told.items()]
    yield f"{computed(sum(inside))} of the {computed(len(inside))} published errors with a number lie inside"
    place = {"n": largest, "group": "high", SWEEPS["noise"][0]: 0.4}
    yield f"of frequent classes is {_own_gate('noise', **place)} at noise 0.4 and the largest N"


def _own_gate(name: str, **place: Any) -> str:
    """Mean of the stylized model's own gate in base with relevant contexts."""
    own = {"measure": "mean_gate", "system": "stylized", "distribution": "ibd", "context": "relevant"}
    return said(name, 2, **own, **place, **MEASURED)


def _label_noise() -> Iterator[str]:
    noisy = [_swept("label-noise", noise, 256) for noise in (0.01, 0.1)]
    yield "rare ones err there {} and {} out of base, and {} without".format(*noisy, _swept("noise", 0.0, 256))
    place = {"group": "high", "n": 4096, "measure": "error", SWEEPS["label-noise"][0]: 0.1} | MEASURED
    known = {"system": "transformer", "distribution": "ibd", "context": "relevant"}
    yield f"the Transformer errs {said('label-noise', 2, **known, **place)} on frequent classes"
    copied = said("label-noise", 2, system="in_context", **COPIED, **place)
    yield f"the stylized in-context predictor errs {copied} on them out of base"


def _laws() -> Iterator[str]:
    low, middle, large = sizes = (256, 4096, 65536)
    yield f"At N = 4,096 the Transformer errs {_swept('laws', 'context', middle)} on rare classes out of base"
    yield f"under the first law, and {_swept('laws', 'token', middle)} under the second"
    two = {n: _paired("laws", "context", n) for n in sizes}
    yield f"at 65,536 by {apart(_paired('laws', 'token', large), two[large])} less under the second"
    more = [apart(of_seeds("paper", n=n, group="low", **COPIED), two[n]) for n in sizes]
    yield "rises by {} over that of L = 1 (paired by seed), at 4,096 by {}, at 65,536 by {}".format(*more)
    yield f"of three N, at 256, is {_swept('laws', 'context', low)} under the first law and"
    yield f"{_swept('laws', 'token', low)} under the second, which suggests"


def _relevant_tokens() -> Iterator[str]:
    copied = (_swept("relevant-tokens", tokens, 1024) for tokens in "1234")
    yield "errs {}, {}, {} and {} on rare classes".format(*copied)
    alone = [_swept("relevant-tokens", tokens, 1024, system="in_context") for tokens in "14"]
    yield "errs {} on them with one relevant token, and {} with four".format(*alone)
    three, four = (_paired("relevant-tokens", tokens, 1024) for tokens in "34")
    yield f"the fourth changes the error by {apart(three, four)}, paired by seed"


def _rare_classes() -> Iterator[str]:
    yield f"At 16,384 it errs {_swept('rare-classes', 495, 16_384)} on rare classes out of base"
    yield f"(with five of them {_paper(16_384)})"
    yield f"and still {_swept('rare-classes', 495, 262_144)} at 262,144 (with five {_paper(262_144)})"
    yield f"At 2,048 they are not copied yet: {_swept('rare-classes', 495, 2048)}, with five {_paper(2048)}"
    for n, ends in ((16_384, "at N = 16,384"), (262_144, "at 262,144. Each class")):
        tens = (_swept("tens-of-rare-classes", count, n) for count in (45, 95))
        yield "{}, {}, {} and {} {}".format(_paper(n), *tens, _swept("rare-classes", 495, n), ends)
    shown = {"distribution": "ibd", "context": "relevant", "group": "low", "measure": "error", "system": "transformer"}
    known = [said("rare-classes", 2, n=n, **shown, **MEASURED) for n in (2048, 16_384)]
    yield "are answered wrongly in {} of cases at N = 2,048 and in {} at 16,384".format(*known)
    kept = [_own_gate("rare-classes", n=262_144, group=group) for group in ("low", "high")]
    yield "is {} for rare classes at the largest N, and {} for frequent ones".format(*kept)


def _shares() -> Iterator[str]:
    half, hundredth = (_paired("share-of-frequent", p_high, 16_384) for p_high in (0.5, 0.99))
    tenth = of_seeds("paper", n=16_384, group="low", **COPIED)
    yield f"above the last by {apart(hundredth, half)}, and above the middle one by {apart(tenth, half)}"
    yield f"which is above the last by {apart(hundredth, tenth)}"
    for n in (1024, 16_384):
        often, rarely = (_swept("share-of-frequent", p_high, n) for p_high in (0.5, 0.99))
        yield f"{often} where half of the queries are of rare classes, {_paper(n)} with a tenth"
        yield f"{_paper(n)} with a tenth and {rarely} with a hundredth"
    for n, place in ((4096, "at N = 4,096"), (256, "at 256 it errs"), (65_536, "at 65,536")):
        tenth, half, most = (_swept("share-of-relevant", p_relevant, n) for p_relevant in (0.1, 0.5, 0.99))
        errors = f"{tenth}, {half}, {_paper(n)} and {most}"
        yield f"{errors} {place}" if n == 4096 else f"{place} {errors}"


def _lengths() -> Iterator[str]:
    alone = [_swept("lengths", length, 1024, system="in_context") for length in (8, 16)]
    yield "errs {} on rare classes out of base with eight tokens and {} with sixteen".format(*alone)
