"""The study `kinetics`: what weights, gate and copier of a small model do over training steps, by theory alone."""

from collections.abc import Iterator
from functools import lru_cache, partial
from typing import Any

import numpy as np
import pandas as pd

from gating.page.figures import Page
from gating.results.table import make_table
from gating.runs.executor import Part, Resources
from gating.runs.store import Place
from gating.runs.study import PAGE_BYTES, Estimate, Study
from gating.studies.kinetics.config import KineticsConfig
from gating.studies.kinetics.page import kinetics_page, kinetics_text
from gating.studies.vocabulary import refusals
from theory.kinetics import Kinetics, class_mixture_kinetics

__all__ = ["KineticsStudy"]

CURVES = "curves"
SAME = ("steps", "weight_rate", "gate_rate", "copier_rate", "shared_gate", "by_heart")
POINTS = 80
"""Steps that a table has at most, evenly spaced in their logarithm."""


class KineticsStudy(Study[KineticsConfig]):
    """At which training step is copying learnt, when do weights take over, and is reading the context lost again?

    Gradient flow of a model with one parameter for each part; nothing is trained.
    """

    config = KineticsConfig
    in_folder = False

    def check(self, config: KineticsConfig, resources: Resources) -> None:
        """Follows the courses, so that nothing is written where theory refuses the settings."""
        courses(config)

    def parts(self, config: KineticsConfig) -> Iterator[Part]:
        """One part: the curves."""
        yield Part(CURVES, partial(keep_curves, config))

    def rows(self, config: KineticsConfig, work: Place) -> pd.DataFrame:
        """Losses and gates of each group over steps."""
        return work.of(CURVES).table(CURVES)

    def answers(self, config: KineticsConfig, table: pd.DataFrame) -> pd.DataFrame:
        """Steps of emergence, handover and loss."""
        return make_table(answer_rows(config))

    def estimate(self, config: KineticsConfig, resources: Resources) -> Estimate:
        """A tenth of a second for each N; with noisy inputs more, as the square of the number of frequencies."""
        different = len(np.unique(config.distribution.frequencies)) if config.distribution.input_noise else 0
        return Estimate((0.1 + 3e-4 * different**2) * len(config.n_sequences), self.memory(config), PAGE_BYTES)

    def memory(self, config: KineticsConfig) -> float:
        """Six curves of 600 steps for each N and class."""
        return 6 * 600 * 8.0 * len(config.n_sequences) * config.distribution.n_classes

    def page(self, config: KineticsConfig, table: pd.DataFrame, beside: Any) -> Page:
        """Curves over steps, and what happens when."""
        return kinetics_page(self.question(), config, table)

    def text(self, config: KineticsConfig, table: pd.DataFrame) -> str:
        """What happens when."""
        return kinetics_text(config, table)


def keep_curves(config: KineticsConfig, place: Place, resources: Resources) -> None:
    """Keeps losses and gates at every step of the table."""
    place.save_table(CURVES, make_table(curve_rows(config)))


@lru_cache(maxsize=2)  # asked for before a run, by its part and at its end
def courses(config: KineticsConfig) -> tuple[Kinetics, ...]:
    """The course of learning for each N.

    Raises:
        SpecError: theory refuses the settings.
    """
    same = {name: getattr(config, name) for name in SAME}
    with refusals():
        return tuple(class_mixture_kinetics(config.distribution, n, **same) for n in config.n_sequences)


def curve_rows(config: KineticsConfig) -> Iterator[dict[str, Any]]:
    """Mean linear loss of each group in three test conditions, and its gate, at whole steps."""
    steps = np.unique(np.geomspace(1, config.steps, POINTS).round().astype(np.int64))
    for n, course in zip(config.n_sequences, courses(config), strict=True):
        curves = {
            ("ibd", "irrelevant", "linear_loss"): 1 - course.irrelevant,
            ("ibd", "relevant", "linear_loss"): 1 - course.relevant,
            ("oobd", "relevant", "linear_loss"): 1 - course.new_labels,
            (None, None, "mean_gate"): course.gate,
        }
        for group in config.groups:
            for (distribution, context, measure), curve in curves.items():
                place = {"study": "kinetics", "system": "kinetics", "kind": "exact", "n": n, "group": group,
                         "distribution": distribution, "context": context, "measure": measure}  # fmt: skip
                values = np.interp(steps, course.times, course.spec.group_mean(curve, group)).clip(0, 1)
                yield from ({**place, "step": step, "value": value} for step, value in zip(steps, values, strict=True))


def answer_rows(config: KineticsConfig) -> Iterator[dict[str, Any]]:
    """Steps at which copying emerges and is lost, and from which weights answer; infinite where that is not reached.

    Example:
        >>> rows = list(answer_rows(KineticsConfig(n_sequences=1000)))
        >>> [(row["measure"], round(row["value"])) for row in rows if row["group"] == "low"]
        [('emergence_step', 16), ('handover_step', 3450), ('gate_step', 3236), ('lost_step', 3255)]
    """
    level = config.level
    for n, course in zip(config.n_sequences, courses(config), strict=True):
        for group in config.groups:
            found = {
                "emergence_step": ("oobd", "relevant", course.emergence(group, level)),
                "handover_step": ("ibd", "irrelevant", course.handover(group, level)),
                "gate_step": (None, None, course.handover(group, level, "gate")),
                "lost_step": ("oobd", "relevant", course.lost(group, level)),
            }
            for measure, (distribution, context, value) in found.items():
                yield {"study": "kinetics", "system": "kinetics", "kind": "exact", "n": n, "group": group,
                       "level": level, "distribution": distribution, "context": context, "measure": measure,
                       "value": value}  # fmt: skip
