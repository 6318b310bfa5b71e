"""Settings of the study `bounds`."""

from collections.abc import Iterator
from dataclasses import field
from typing import Annotated, Literal

from pydantic import Field

from theory.context_law import CONTEXTS
from theory.distribution import GROUPS, ClassMixture
from theory.fields import LARGEST_WHOLE, Positive, Probability, Several, one_of
from theory.phases import BOUNDS, INPUTS, MEASURES, noisy_problems
from theory.settings import settings

__all__ = ["BoundsConfig"]

DECADES = (*(digit * 10**power for power in range(1, 6) for digit in (1, 2, 5)), 1_000_000)
TEST_DISTRIBUTIONS = ("ibd", "oobd")


@settings
class BoundsConfig:
    """Settings of the study `bounds`.

    Args:
        study: name of the study.
        distribution: the data. Its input noise matters to the bounds of h alone; exact risks are on clean inputs.
        n_sequences: training-set sizes N, one or several, in 0 .. 2^53 (from K on with ``cover_classes``).
        measures: losses, of error (0-1), log_loss (nats), linear_loss.
        contexts: kinds of context, of relevant, irrelevant, as_trained.
        groups: groups of classes, of high (frequent), low (rare), all.
        test_distributions: ibd, oobd or both; bounds and crossovers are about ibd.
        cover_classes: whether K of the training queries show every class once.
        beta: pseudo-count > 0 of the tabular g.
        temperature: temperature > 0 of the similarity h.
        clip: least probability that h gives a label, in (0, 1).
        squared_distance: squared distance > 0 between class centres; 2 is its mean for independent unit vectors, null
            averages bounds over centres uniform on the sphere (exact risks of copying are then left out).
        bounds: ``tight`` (exact and Bayes risks where they are known) or ``simple`` (closed forms).
        inputs: what the in-weight predictors of bounds and crossovers see: ``told`` (the class of each query) or
            ``noisy`` (noisy inputs and labels, never the class; for the error alone, tight bounds and a squared
            distance of null).
    """

    study: Literal["bounds"] = "bounds"
    distribution: ClassMixture = field(default_factory=ClassMixture)
    n_sequences: Several[Annotated[int, Field(ge=0, le=LARGEST_WHOLE)]] = DECADES
    measures: Several[Annotated[str, one_of(MEASURES)]] = ("error", "log_loss")
    contexts: Several[Annotated[str, one_of(CONTEXTS)]] = ("relevant", "as_trained")
    groups: Several[Annotated[str, one_of(GROUPS)]] = ("high", "low")
    test_distributions: Several[Annotated[str, one_of(TEST_DISTRIBUTIONS)]] = ("ibd",)
    cover_classes: bool = False
    beta: Positive = 1.0
    temperature: Positive = 0.1
    clip: Probability = 1e-7
    squared_distance: Positive | None = 2.0
    bounds: Annotated[str, one_of(BOUNDS)] = "tight"
    inputs: Annotated[str, one_of(INPUTS)] = "told"

    def problems(self) -> Iterator[str]:
        """What is wrong with the fields together, one sentence each."""
        least = self.distribution.n_classes if self.cover_classes else 0
        if min(self.n_sequences) < least:
            yield f"`n_sequences` must be one or more integers in {least} .. 2^53; got {list(self.n_sequences)}"
        if self.inputs == "noisy":
            others = [measure for measure in self.measures if measure != "error"]
            yield from noisy_problems(others[0] if others else "error", self.bounds, self.squared_distance)
