"""Words and looks that studies of the class mixture share: systems, test conditions, groups, axes."""

import math
from collections.abc import Iterator
from contextlib import contextmanager

import pandas as pd

from gating.page.figures import Axis, Settings
from gating.page.multiples import Columns, Facet, YAxis
from gating.page.names import INK, System
from gating.page.words import page_words
from gating.results.columns import declare_from
from gating.results.query import few_sizes, find_setting
from theory.settings import SpecError

__all__ = [
    "CONDITIONS",
    "ERROR",
    "GATE",
    "GROUPS",
    "LOG_LOSS",
    "MIXTURE_TERMS",
    "RESIDUAL",
    "SYSTEMS",
    "THEORY",
    "by_size",
    "chance_error",
    "chance_log_loss",
    "condition_name",
    "conditions",
    "group_of",
    "refusals",
]

declare_from("gating.studies")
WORDS = page_words("gating.studies")
MIXTURE_TERMS = WORDS.terms
"""Words that a reader of results on the class mixture needs."""
NEVER_TRAINED = ("bayes", "nearest_mean", "any_in_weight", "copying")
"""Systems that only theory knows, or that nothing is trained for."""
SYSTEMS = {key: look for key, look in WORDS.systems.items() if key not in NEVER_TRAINED}
"""Systems that learn, in the order of legends and tables. Blue answers from weights, orange from context."""

THEORY = {
    key: WORDS.systems[key].name.partition(" (")[0].lower()
    for key in ("tabular", "nearest_mean", "any_in_weight", "copying")
}
"""Systems that theory is about, in words; label counts know the query's class, nearest means see noisy inputs."""

CONDITIONS: dict[tuple[str, str], str] = {
    ("ibd", "relevant"): "in base, relevant",
    ("ibd", "irrelevant"): "in base, irrelevant",
    ("oobd", "relevant"): "out of base, relevant",
    ("ibd", "as_trained"): "in base, as trained",
    ("oobd", "irrelevant"): "out of base, irrelevant",
    ("oobd", "as_trained"): "out of base, as trained",
    ("unseen_ibd", "relevant"): "unseen exemplars, in base, relevant",
    ("unseen_ibd", "irrelevant"): "unseen exemplars, in base, irrelevant",
    ("unseen_oobd", "relevant"): "unseen exemplars, out of base, relevant",
    ("new_ibd", "relevant"): "new classes, relevant",
    ("unseen_ibd", "as_trained"): "unseen exemplars, in base, as trained",
    ("unseen_oobd", "irrelevant"): "unseen exemplars, out of base, irrelevant",
    ("unseen_oobd", "as_trained"): "unseen exemplars, out of base, as trained",
}
"""Test conditions, (distribution, context), in the order of columns."""

GROUP_COLOURS = {"high": "#0072b2", "low": "#d55e00", "all": INK}
"""Where groups of classes are told apart in place of systems: frequent blue, rare orange."""

GROUPS = {"high": "frequent classes", "low": "rare classes", "all": "all classes"}


def group_of(key: str) -> System:
    """How a group, or a class of it, is shown where colours tell groups apart.

    Example:
        >>> group_of("low_7").name, group_of("low_7").colour == group_of("low").colour
        ('rare classes', True)
    """
    group = key.partition("_")[0]
    return System(GROUPS.get(group, group), "", GROUP_COLOURS.get(group, INK))


def condition_name(distribution: str, context: str) -> str:
    """A test condition in words.

    Example:
        >>> condition_name("oobd", "relevant")
        'out of base, relevant'
    """
    return CONDITIONS.get((distribution, context), f"{distribution}, {context}".replace("_", " "))


def _n_classes(settings: Settings) -> int | None:
    counts = [find_setting(settings, name) for name in ("n_high", "n_low")]
    return None if None in counts else sum(counts)


@contextmanager
def refusals() -> Iterator[None]:
    """What theory refuses is bad input.

    Raises:
        SpecError: in place of the ValueError of a broken assumption.
    """
    try:
        yield
    except SpecError:
        raise
    except ValueError as refused:
        raise SpecError([str(refused)]) from refused


def chance_error(settings: Settings) -> float | None:
    """Error of a uniform guess over the labels; None where the settings do not say how many there are."""
    classes = _n_classes(settings)
    return 1 - 1 / classes if classes else None


def chance_log_loss(settings: Settings) -> float | None:
    """Log loss of a uniform guess over the labels, in nats."""
    classes = _n_classes(settings)
    return math.log(classes) if classes else None


CHANCE = "chance (uniform guess)"
ERROR = YAxis(Axis("error (0-1 loss)", -0.04, 1.04), chance_error, CHANCE)
LOG_LOSS = YAxis(Axis("log loss (nats)", 0, scale="symlog"), chance_log_loss, CHANCE)
GATE = YAxis(Axis("gate: 0 context, 1 weights", -0.04, 1.04))
RESIDUAL = YAxis(Axis("residual KL (nats)", 0, scale="symlog"))


def conditions(*keys: tuple[str, str]) -> Columns:
    """One column for each test condition, given as (distribution, context).

    Example:
        >>> [facet.label for facet in conditions(("ibd", "relevant"), ("oobd", "relevant"))(pd.DataFrame())]
        ['in base, relevant', 'out of base, relevant']
    """
    facets = tuple(Facet(CONDITIONS[key], {"distribution": key[0], "context": key[1]}) for key in keys)
    return lambda summary: facets


def by_size(summary: pd.DataFrame) -> tuple[Facet, ...]:
    """One column for the smallest, the middle and the largest number of training sequences."""
    return tuple(Facet(f"N = {n:,}", {"n": n}) for n in few_sizes(summary))
