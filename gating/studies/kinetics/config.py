"""Settings of the study `kinetics`."""

from dataclasses import field
from typing import Annotated, Literal

from pydantic import Field

from gating.results.columns import declare_from
from theory.distribution import GROUPS, ClassMixture
from theory.fields import LARGEST_WHOLE, Positive, Probability, Several
from theory.settings import settings

__all__ = ["KineticsConfig"]

declare_from("gating.studies")
declare_from("gating.studies.kinetics")

LONGEST = 10**12


@settings
class KineticsConfig:
    """Settings of the study `kinetics`.

    Args:
        study: name of the study.
        distribution: the data; labels without noise.
        n_sequences: training-set sizes N, one or several, in 0 .. 2^53.
        steps: how many steps are followed, in 1 .. 10^12.
        weight_rate: learning rate of the weights per step, in [1e-12, 1e12].
        gate_rate: learning rate of the gate, likewise.
        copier_rate: learning rate of the copier, likewise.
        shared_gate: whether all classes have one gate.
        by_heart: whether training rows are learnt by heart, so that N limits answers to new queries alone.
        level: accuracy, or gate, in (0, 1) whose passing counts.
    """

    study: Literal["kinetics"] = "kinetics"
    distribution: ClassMixture = field(default_factory=ClassMixture)
    n_sequences: Several[Annotated[int, Field(ge=0, le=LARGEST_WHOLE)]] = (20, 100, 1000, 10_000)
    steps: Annotated[int, Field(ge=1, le=LONGEST)] = 100_000
    weight_rate: Positive = 1.0
    gate_rate: Positive = 1.0
    copier_rate: Positive = 1.0
    shared_gate: bool = False
    by_heart: bool = False
    level: Probability = 0.5

    @property
    def groups(self) -> list[str]:
        """Groups that have classes, frequent ones first."""
        return [group for group in GROUPS if group != "all" and len(self.distribution.group(group))]
