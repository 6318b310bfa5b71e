"""Numbers of docs/images.md."""

from collections.abc import Iterable, Iterator
from typing import Any

import pandas as pd

from docs.tables.cells import cell, one, table_of, value
from docs.tables.committed import table
from docs.tables.of_compare import GROUPS, over_seeds
from docs.tables.pages import computed
from gating.results.query import select

PAGE = "docs/images.md"
TYPEFACES = ("all 24", "20 of training", "4 held out")
WAYS = (2, 5, 20)
SIZES = (10_000, 100_000, 1_000_000)
COPIED, KNOWN = ("oobd", "relevant"), ("ibd", "irrelevant")
"""Where only the context tells, and where only weights do."""
OMNIGLOT = {0: ("0.47", "0.7", "1.0"), 1: ("0.48", "0.55", "0.97")}
"""Error out of base, relevant contexts, rare classes, of the paper's Transformer on Omniglot at input noise 0 and 1, by
N, read off a public picture, to about 0.05."""


def one_shot() -> str:
    """Share of trials in which pixels tell the class."""
    lines = (
        (name, *(cell("images", 3, typefaces=name, measure="one_shot", size=ways) for ways in WAYS))
        for name in TYPEFACES
    )
    return table_of(("typefaces", *(f"{ways}-way" for ways in WAYS)), lines)


def _kanji(distribution: str, context: str, group: str, measure: str = "error", **where: Any) -> str:
    place = {"distribution": distribution, "context": context, "group": group, "kind": "measured", "answer": False}
    return cell("kanji", measure=measure, **place, **where)


def kanji() -> str:
    """Who answers what in the Transformer, for each N."""
    columns = {
        "from context: rare": (*COPIED, "low", "error"),
        "frequent": (*COPIED, "high", "error"),
        "from weights: rare": (*KNOWN, "low", "error"),
        "frequent ": (*KNOWN, "high", "error"),
        "effective gate, rare": (*COPIED, "low", "effective_gate"),
        "its residual, nats": (*COPIED, "low", "effective_gate_residual"),
    }

    def line(place: int, n: int) -> Iterator[str]:
        yield f"{n:,}"
        yield from (_kanji(*where, n=n, system="transformer") for where in columns.values())
        yield from (held[place] for held in OMNIGLOT.values())

    head = ("N", *columns, *(f"from context, rare: paper, noise {noise}" for noise in OMNIGLOT))
    return table_of(head, (line(place, n) for place, n in enumerate(SIZES)))


def beside() -> str:
    """References and the stylized model, rare classes."""
    columns = {
        "trained on relevant contexts: from context": ("transformer_ic", *COPIED, "error"),
        "trained on irrelevant ones: from weights": ("transformer_iw", *KNOWN, "error"),
        "stylized model: from context": ("stylized", *COPIED, "error"),
        "from weights": ("stylized", *KNOWN, "error"),
        "effective gate": ("stylized", *COPIED, "effective_gate"),
    }

    def line(n: int) -> Iterator[str]:
        yield f"{n:,}"
        for system, distribution, context, measure in columns.values():
            yield _kanji(distribution, context, "low", measure, n=n, system=system)

    return table_of(("N", *columns), map(line, SIZES))


def never_shown() -> str:
    """The Transformer on typefaces and classes that training never showed."""
    columns = {
        "from weights: typefaces of training": KNOWN,
        "unseen typefaces": ("unseen_ibd", "irrelevant"),
        "from context: typefaces of training": COPIED,
        "unseen typefaces ": ("unseen_oobd", "relevant"),
        "new classes": ("new_ibd", "relevant"),
    }

    def line(n: int, group: str) -> Iterator[str]:
        yield from (f"{n:,}", GROUPS[group])
        yield from (_kanji(*where, group, n=n, system="transformer") for where in columns.values())

    return table_of(("N", "classes", *columns), (line(n, group) for n in SIZES for group in GROUPS))


COPIED_LABEL = "of the class in the context"


def whose_label() -> str:
    """Whose label the Transformers answer with, rare classes, out of base."""
    labels = (COPIED_LABEL, "of the class in training", "of another class in the context", "any other")
    systems = {"transformer": "on the data", "transformer_ic": "on relevant contexts"}

    def line(n: int, system: str) -> Iterator[str]:
        yield from (f"{n:,}", systems[system])
        yield from (cell("whose-label", n=n, system=system, distribution="oobd", label=label) for label in labels)

    return table_of(("N", "trained", *labels), (line(n, system) for n in SIZES for system in systems))


def course(distribution: str, context: str, group: str = "low") -> pd.DataFrame:
    """The Transformer's errors over 100,000 steps at the smallest N: a row for each step, a column for each seed."""
    where = {"system": "transformer", "measure": "error", "kind": "measured", "answer": False, "group": group}
    rows = select(table("kanji-long"), where | {"distribution": distribution, "context": context})
    return rows.pivot_table(index="step", columns="seed", values="value")


def over_steps() -> str:
    """What the Transformer answers over 100,000 steps."""
    columns = {
        "from context: rare": course(*COPIED),
        "in base, relevant: rare": course("ibd", "relevant"),
        "from weights: rare": course(*KNOWN),
        "from context: frequent": course(*COPIED, "high"),
    }

    def line(step: int) -> Iterator[str]:
        yield f"{step:,}"
        yield from (over_seeds(found.loc[step]) for found in columns.values())

    return table_of(("step", *columns), map(line, course(*COPIED).index))


TABLES = {
    "over-steps": over_steps,
    "one-shot": one_shot,
    "kanji": kanji,
    "beside": beside,
    "never-shown": never_shown,
    "whose-label": whose_label,
}


def _error(distribution: str, context: str, n: int, system: str = "transformer", group: str = "low") -> str:
    place = {"distribution": distribution, "context": context, "group": group, "kind": "measured", "answer": False}
    return value("kanji", measure="error", n=n, system=system, **place)


def sentences() -> Iterable[str]:
    few, many = (computed(f"{one('images', measure='variance', size=dim)['value']:.1%}") for dim in (64, 256))
    yield f"64 principal components have {few} of the variance of the training images, 256 have {many}."
    least, middle, most = SIZES
    yield f"**Weights learn the rare classes as N grows** ({_error(*KNOWN, least)} to {_error(*KNOWN, most)})."
    copied = (one("whose-label", n=n, system="transformer", distribution="oobd", label=COPIED_LABEL) for n in SIZES)
    first, second, third = (computed(f"{row['value']:.0%}") for row in copied)
    yield f"the label that it shows is the answer to {first}, {second} and {third} of rare queries"
    inside, outside = ([_error(*where, n, "transformer_ic") for n in SIZES] for where in (("ibd", "relevant"), COPIED))
    yield f"errs {inside[0]}, {inside[1]} and {inside[2]} on rare classes in base, and yet {outside[0]}, {outside[1]}"
    yield f"{outside[1]} and {outside[2]} out of base"
    where = {"system": "transformer_ic", "measure": "error", "group": "low", "step": 13_680, "kind": "measured"}
    rows = select(table("kanji"), where | {"distribution": COPIED[0], "context": COPIED[1]})
    before = [computed(f"{rows[rows['n'] == n]['value'].mean():.2f}") for n in (least, middle)]
    yield f"it goes on learning to copy ({before[1]} after 13,680 steps, {outside[1]} after 30,000)"
    yield f"at 10,000 it has all but stopped ({before[0]}, {outside[0]})"
    copied = course(*COPIED).mean(axis=1)
    early, late = (computed(f"{copied.loc[step]:.2f}") for step in (11_749, 100_000))
    yield f"itself comes from {early} to {late} (table below)"
    yield (
        f"brings the error of rare classes from {_error(*KNOWN, most)} down to {_error('ibd', 'relevant', most)} at "
        f"N = {most:,}"
    )
