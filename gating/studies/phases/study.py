"""The study `phases`: certified phases of every point of a plane, and the share of points in each."""

from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from gating.page.figures import Page
from gating.results.columns import declare_from
from gating.results.table import make_table
from gating.runs.executor import Part, Resources
from gating.runs.store import Place
from gating.runs.study import PAGE_BYTES, Estimate, Study
from gating.studies.phases.config import PhasesConfig, Value
from gating.studies.phases.page import SHARES, phases_page, phases_text
from gating.studies.vocabulary import refusals
from theory.phases import PhaseDiagram, phase_diagram

__all__ = ["Phases"]

declare_from("gating.studies.phases")

POINTS = "points"
UPPER = {"told": "tabular", "noisy": "nearest_mean"}
"""Whose risk is the upper bound of in-weight predictors."""


class Phases(Study[PhasesConfig]):
    """Where is in-context learning certain to win, where in-weight learning, and where can neither be proved?"""

    config = PhasesConfig
    in_folder = False

    def check(self, config: PhasesConfig, resources: Resources) -> None:
        """Asks theory for the corners of the plane, so that nothing is written where it refuses."""
        diagrams_of(config, *(tuple(dict.fromkeys((axis.points[0], axis.points[-1]))) for axis in (config.x, config.y)))

    def parts(self, config: PhasesConfig) -> Iterator[Part]:
        """One part: all points."""
        yield Part(POINTS, partial(keep_points, config), wide=True)

    def rows(self, config: PhasesConfig, work: Place) -> pd.DataFrame:
        """Phase of each point and group, and the bounds that decide it."""
        return work.of(POINTS).table(POINTS)

    def answers(self, config: PhasesConfig, table: pd.DataFrame) -> pd.DataFrame:
        """Share of the points of each group in each phase."""
        points = table[table["measure"] == "phase"]
        shared = {"study": "phases", "system": "theory", "distribution": "ibd", "context": config.context}
        return make_table(
            {**shared, "group": group, "measure": name, "kind": "exact", "value": float((values == phase).mean())}
            for group, values in points.groupby("group", sort=False)["value"]
            for name, phase in SHARES.items()
        )

    def memory(self, config: PhasesConfig) -> float:
        """Five numbers and their keys for each point and group."""
        return 1500.0 * len(config.x.points) * len(config.y.points)

    def estimate(self, config: PhasesConfig, resources: Resources) -> Estimate:
        """About a millisecond for each point."""
        points = len(config.x.points) * len(config.y.points)
        return Estimate(1e-3 * points, self.memory(config), PAGE_BYTES + 60.0 * points)

    def page(self, config: PhasesConfig, table: pd.DataFrame, beside: Any) -> Page:
        """The map of phases, and the shares."""
        return phases_page(self.question(), config, table)

    def text(self, config: PhasesConfig, table: pd.DataFrame) -> str:
        """The shares."""
        return phases_text(config, table)


def keep_points(config: PhasesConfig, place: Place, resources: Resources) -> None:
    """Keeps the points: ``phase`` is 1 (certified ICL), -1 (certified IWL) or 0 (undecided)."""
    diagrams = diagrams_of(config, config.x.points, config.y.points)
    parts = [points_of(config, diagram) for diagram in diagrams.values()]
    place.save_table(POINTS, make_table(pd.concat(parts, ignore_index=True)))


def diagrams_of(config: PhasesConfig, x: tuple[Value, ...], y: tuple[Value, ...]) -> dict[str, PhaseDiagram]:
    """Phases of each group at some values of both axes.

    Raises:
        SpecError: theory refuses the settings.
    """
    with refusals():
        return phase_diagram(
            config.distribution, config.x.field, x, config.y.field, y,
            compare=config.compare, n_sequences=config.n_sequences,
        )  # fmt: skip


def points_of(config: PhasesConfig, diagram: PhaseDiagram) -> pd.DataFrame:
    """Five values for each point of one group, with the fields of the point as columns."""
    bounds = diagram.bounds
    kinds = (
        ("theory", "phase", "exact", diagram.phases),
        ("any_in_weight", config.measure, "lower", bounds.in_weight_lower),
        (UPPER[config.inputs], config.measure, "upper", bounds.in_weight_upper),
        ("copying", config.measure, "lower", bounds.in_context_lower),
        ("copying", config.measure, "upper", bounds.in_context_upper),
    )
    x, y = map(np.ravel, np.meshgrid(diagram.x_values, diagram.y_values))
    shared = {"study": "phases", "distribution": "ibd", "context": config.context, "group": diagram.group}
    points = pd.DataFrame({**shared, "n": config.n_sequences, config.x.column: x, config.y.column: y})
    return pd.concat(
        points.assign(system=system, measure=measure, kind=kind, value=np.ravel(values).astype(np.float64))
        for system, measure, kind, values in kinds
    )
