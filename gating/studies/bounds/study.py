"""The study `bounds`: what theory says of both predictors, as a table over N."""

import math
from collections.abc import Iterator
from functools import lru_cache, partial
from itertools import product
from typing import Any

import pandas as pd

from gating.page.figures import Page
from gating.results.query import select
from gating.results.table import make_table
from gating.runs.executor import Part, Resources
from gating.runs.store import Place
from gating.runs.study import PAGE_BYTES, Estimate, Study
from gating.studies.bounds.config import BoundsConfig
from gating.studies.bounds.page import bounds_page, bounds_text
from gating.studies.vocabulary import refusals
from theory.crossovers import crossover
from theory.curves import risk_rows
from theory.phases import Comparison

__all__ = ["Bounds"]

RISKS = "risks"


class Bounds(Study[BoundsConfig]):
    """What risks can the in-weight and the in-context predictor reach after N training sequences?"""

    config = BoundsConfig
    in_folder = False

    def check(self, config: BoundsConfig, resources: Resources) -> None:
        """Asks theory for the crossovers and for the risks at one N, so that nothing is written where it refuses."""
        risks_of(config, config.n_sequences[:1])
        crossover_rows(config)

    def parts(self, config: BoundsConfig) -> Iterator[Part]:
        """One part: the risks."""
        yield Part(RISKS, partial(keep_risks, config), wide=True)

    def rows(self, config: BoundsConfig, work: Place) -> pd.DataFrame:
        """Risks of both predictors."""
        return work.of(RISKS).table(RISKS)

    def answers(self, config: BoundsConfig, table: pd.DataFrame) -> pd.DataFrame:
        """Crossovers N*."""
        return make_table({"study": "bounds", **row} for row in crossover_rows(config))

    def estimate(self, config: BoundsConfig, resources: Resources) -> Estimate:
        """A few milliseconds for each N and loss."""
        cells = len(config.n_sequences) * len(config.measures) * len(config.contexts)
        return Estimate(0.02 * cells, self.memory(config), PAGE_BYTES)

    def memory(self, config: BoundsConfig) -> float:
        """Laws of label counts: eight bytes for each N, class and label."""
        return 64.0 * len(config.n_sequences) * config.distribution.n_classes**2

    def page(self, config: BoundsConfig, table: pd.DataFrame, beside: Any) -> Page:
        """Curves of risks and bounds, and their crossovers."""
        return bounds_page(self.question(), config, table)

    def text(self, config: BoundsConfig, table: pd.DataFrame) -> str:
        """Risks at a few N, and crossovers."""
        return bounds_text(config, table)


def keep_risks(config: BoundsConfig, place: Place, resources: Resources) -> None:
    """Keeps the risks at every N."""
    place.save_table(RISKS, risks_of(config, config.n_sequences))


def risks_of(config: BoundsConfig, n_sequences: tuple[int, ...]) -> pd.DataFrame:
    """Rows of `theory.curves.risk_rows` that the settings ask for.

    Raises:
        SpecError: theory refuses the settings.
    """
    asked = {"measure": config.measures, "context": config.contexts, "group": config.groups}
    with refusals():
        risks = risk_rows(
            config.distribution,
            list(n_sequences),
            cover_classes=config.cover_classes,
            beta=config.beta,
            temperature=config.temperature,
            clip=config.clip,
            squared_distance=config.squared_distance,
            bounds=config.bounds,
            inputs=config.inputs,
        )
    return select(
        make_table({"study": "bounds", **row} for row in risks), {**asked, "distribution": config.test_distributions}
    )


@lru_cache(maxsize=4)  # asked for before a run, and at its end
def crossover_rows(config: BoundsConfig) -> tuple[dict[str, Any], ...]:
    """The N from which the in-weight predictor is at least as good as the in-context one.

    ``lower``: some in-weight predictor may be; ``exact``: the tabular one is; ``upper``: it surely is; infinite where
    2^53 is not enough.

    Example:
        >>> from theory.distribution import ClassMixture
        >>> rows = crossover_rows(BoundsConfig(distribution=ClassMixture(label_noise=0.05)))
        >>> [row["value"] for row in rows if (row["context"], row["kind"]) == ("relevant", "exact")][:2]
        [17.0, 165.0]
    """
    with refusals():
        return tuple(_crossovers(config))


def _crossovers(config: BoundsConfig) -> Iterator[dict[str, Any]]:
    spec = config.distribution
    if spec.dim == 1 and spec.input_noise > 0 and spec.context_length > 1:
        return  # no bounds of h in this case
    for measure, context, group in product(config.measures, config.contexts, config.groups):
        if len(spec.group(group)) == 0:
            continue
        compare = Comparison(
            measure, context, config.temperature, config.clip, config.squared_distance, config.cover_classes,
            config.beta, config.bounds, config.inputs,
        )  # fmt: skip
        found = crossover(spec, group, compare)
        key = {"system": "theory", "distribution": "ibd", "context": context, "group": group}
        for kind, value in (("lower", found.earliest), ("exact", found.exact), ("upper", found.latest)):
            if not math.isnan(value):
                yield {**key, "measure": f"crossover_{measure}", "kind": kind, "value": value}
