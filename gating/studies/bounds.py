"""Exact risks, bounds and crossovers over the number of training sequences, as a table."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

import pandas as pd

from gating.evaluation.table import make_table
from theory.context_law import CONTEXTS
from theory.crossover import crossover
from theory.curves import risk_rows
from theory.distribution import GROUPS, ClassMixture, SpecError
from theory.phases import MEASURES, Comparison
from theory.validation import LARGEST_COUNT

__all__ = ["BoundsConfig", "bounds_table"]

DECADES = (*(digit * 10**power for power in range(1, 6) for digit in (1, 2, 5)), 1_000_000)
TEST_DISTRIBUTIONS = ("ibd", "oobd")


@dataclass(frozen=True)
class BoundsConfig:
    """What risks can the in-weight and the in-context predictor reach after N training sequences?

    Args:
        study: name of the study.
        distribution: the data. Its input noise matters to the bounds of h alone; exact risks are on clean inputs.
        n_sequences: training-set sizes N, whole numbers in 0 .. 2^53 (from K on with ``cover_classes``).
        measures: losses, of error (0-1), log_loss (nats), linear_loss.
        contexts: kinds of context, of relevant, irrelevant, as_trained.
        groups: groups of classes, of high (frequent), low (rare), all.
        test_distributions: ibd, oobd or both; bounds and crossovers are about ibd.
        cover_classes: whether K of the training queries show every class once.
        beta: pseudo-count > 0 of the tabular g.
        temperature: temperature > 0 of the similarity h.
        clip: least probability that h gives a label, in (0, 1).
        squared_distance: squared distance > 0 between class centres; 2 is its mean for independent unit vectors.
    """

    study: Literal["bounds"] = "bounds"
    distribution: ClassMixture = field(default_factory=ClassMixture)
    n_sequences: tuple[int, ...] = DECADES
    measures: tuple[str, ...] = ("error", "log_loss")
    contexts: tuple[str, ...] = ("relevant", "as_trained")
    groups: tuple[str, ...] = ("high", "low")
    test_distributions: tuple[str, ...] = ("ibd",)
    cover_classes: bool = False
    beta: float = 1.0
    temperature: float = 0.1
    clip: float = 1e-7
    squared_distance: float = 2.0

    def __post_init__(self) -> None:
        problems = list(self._problems())
        if problems:
            raise SpecError(problems)

    def _problems(self) -> Iterator[str]:
        least = self.distribution.n_classes if self.cover_classes else 0
        if not self.n_sequences or any(not least <= n <= LARGEST_COUNT for n in self.n_sequences):
            yield f"`n_sequences` must be one or more integers in {least} .. 2^53; got {list(self.n_sequences)}"
        elif len(set(self.n_sequences)) < len(self.n_sequences):
            yield f"`n_sequences` must be distinct; got {list(self.n_sequences)}"
        for name, choices in (
            ("measures", MEASURES),
            ("contexts", CONTEXTS),
            ("groups", GROUPS),
            ("test_distributions", TEST_DISTRIBUTIONS),
        ):
            given = getattr(self, name)
            if not given or len(set(given)) < len(given) or not set(given) <= set(choices):
                yield f"`{name}` must be one or more different ones of {choices}; got {list(given)}"
        for name in ("beta", "temperature", "squared_distance"):
            if not 0 < getattr(self, name) < math.inf:
                yield f"`{name}` must be a finite number > 0; got {getattr(self, name)!r}"
        if not 0 < self.clip < 1:
            yield f"`clip` must be in (0, 1); got {self.clip!r}"


def bounds_table(config: BoundsConfig) -> pd.DataFrame:
    """Rows of `theory.curves.risk_rows` for the study, then ``crossover_<measure>`` of each context and group.

    A crossover is the N from which the in-weight predictor is at least as good as the in-context one: ``lower`` some
    in-weight predictor may be, ``exact`` the tabular one is, ``upper`` it surely is; infinite where 2^53 is not enough.

    Example:
        >>> table = bounds_table(BoundsConfig(distribution=ClassMixture(label_noise=0.05), n_sequences=(10,)))
        >>> found = table[(table["measure"] == "crossover_error") & (table["kind"] == "exact")]
        >>> found[found["context"] == "relevant"][["group", "value"]].values.tolist()
        [['high', 17.0], ['low', 165.0]]
    """
    risks = risk_rows(
        config.distribution,
        list(config.n_sequences),
        covered=config.cover_classes,
        beta=config.beta,
        temperature=config.temperature,
        clip=config.clip,
        squared_distance=config.squared_distance,
    )
    asked = {
        "measure": config.measures,
        "context": config.contexts,
        "group": config.groups,
        "distribution": config.test_distributions,
    }
    kept = [row for row in risks if all(row[column] in values for column, values in asked.items())]
    return make_table({"study": "bounds", **row} for row in [*kept, *_crossover_rows(config)])


def _crossover_rows(config: BoundsConfig) -> Iterator[dict[str, Any]]:
    spec = config.distribution
    if spec.dim == 1 and spec.input_noise > 0 and spec.context_length > 1:
        return  # no bounds of h in this case
    distances = (config.squared_distance, config.squared_distance)
    for measure in config.measures:
        for context in config.contexts:
            compare = Comparison(
                measure, context, config.temperature, config.clip, distances, config.cover_classes, config.beta
            )
            for group in config.groups:
                if len(spec.group(group)) == 0:
                    continue
                found = crossover(spec, group, compare)
                key = {"system": "theory", "distribution": "ibd", "context": context, "group": group}
                for kind, value in (("lower", found.earliest), ("exact", found.exact), ("upper", found.latest)):
                    if not math.isnan(value):
                        yield {**key, "measure": f"crossover_{measure}", "kind": kind, "value": value}
