"""Settings of the regret study."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from theory.distribution import ClassMixture, SpecError

__all__ = ["GATES", "LINEAR_GATES", "LOSSES", "MAX_ROUNDS", "RegretConfig"]

LOSSES = ("log_loss", "linear_loss")
LINEAR_GATES = ("gradient_descent", "exponential_weights", "adahedge")
"""Gates that learn from any losses; the others are told log losses only."""
GATES = (*LINEAR_GATES, "bayes_mixture", "universal_portfolio")
MAX_ROUNDS = 2**22
LARGEST_SEED = 2**32


@dataclass(frozen=True)
class RegretConfig:
    """How far is an online gate from the better predictor of each class, and how far do the bounds let it be?

    Args:
        study: name of the study.
        distribution: the data; sequences are independent draws from it.
        n_rounds: rounds T, one sequence each, in 1 .. 2^22.
        n_seeds: number of seeds, >= 1; intervals are over them.
        seed: first data seed; the others follow it.
        init_seed: seed of the perceptron's initial weights, combined with the data seed.
        gates: gate learners, of gradient_descent, exponential_weights, adahedge, bayes_mixture, universal_portfolio.
        losses: losses in turn, of log_loss (every gate) and linear_loss (the first three gates).
        cells: what a cell is, each with a gate of its own: the class of the query as its nearest centre tells it
            (``query``), or that and whether the context shows the class (``query_and_context``).
        in_weight: g, ``tabular`` (add-beta counts of each class) or ``mlp`` (a perceptron, one Adam step a round).
        beta: pseudo-count > 0 of the tabular g.
        hidden: hidden width of the perceptron.
        learning_rate: Adam's step for the perceptron, > 0.
        temperatures: temperatures > 0 of the similarity h; several are mixed by exponential weights on h's own loss.
        clip: least probability that h and the perceptron give a label, in (0, 1).
        known_horizon: whether gradient descent and exponential weights are tuned to T / cells rounds of a cell; else
            their steps fall with the rounds.
        n_records: rounds at which the table shows regrets and gates, spread evenly on a log scale, >= 1.
    """

    study: Literal["regret"] = "regret"
    distribution: ClassMixture = field(default_factory=ClassMixture)
    n_rounds: int = 100_000
    n_seeds: int = 10
    seed: int = 0
    init_seed: int = 0
    gates: tuple[str, ...] = GATES
    losses: tuple[str, ...] = LOSSES
    cells: Literal["query", "query_and_context"] = "query"
    in_weight: Literal["tabular", "mlp"] = "tabular"
    beta: float = 1.0
    hidden: int = 64
    learning_rate: float = 0.001
    temperatures: tuple[float, ...] = (0.1,)
    clip: float = 1e-7
    known_horizon: bool = True
    n_records: int = 200

    def __post_init__(self) -> None:
        problems = list(self._problems())
        if problems:
            raise SpecError(problems)

    def _problems(self) -> Iterator[str]:
        if not 1 <= self.n_rounds <= MAX_ROUNDS:
            yield f"`n_rounds` must be an integer in 1 .. 2^22; got {self.n_rounds!r}"
        for name in ("n_seeds", "hidden", "n_records"):
            if getattr(self, name) < 1:
                yield f"`{name}` must be an integer >= 1; got {getattr(self, name)!r}"
        for name in ("seed", "init_seed"):
            if not 0 <= getattr(self, name) < LARGEST_SEED:
                yield f"`{name}` must be an integer in 0 .. 2^32 - 1; got {getattr(self, name)!r}"
        for name in ("beta", "learning_rate"):
            if not 0 < getattr(self, name) < math.inf:
                yield f"`{name}` must be a finite number > 0; got {getattr(self, name)!r}"
        if not 0 < self.clip < 1:
            yield f"`clip` must be in (0, 1); got {self.clip!r}"
        if not self.temperatures or not all(0 < t < math.inf for t in self.temperatures):
            yield f"`temperatures` must be one or more finite numbers > 0; got {list(self.temperatures)}"
        yield from self._choice_problems()

    def _choice_problems(self) -> Iterator[str]:
        for name, choices in (("gates", GATES), ("losses", LOSSES)):
            given = getattr(self, name)
            if not given or len(set(given)) < len(given) or not set(given) <= set(choices):
                yield f"`{name}` must be one or more different ones of {choices}; got {list(given)}"
        if set(self.gates) <= set(GATES) - set(LINEAR_GATES) and self.losses == ("linear_loss",):
            yield f"`losses` must include 'log_loss' for the gates {list(self.gates)}; got {list(self.losses)}"

    @property
    def n_cells(self) -> int:
        """Number of cells, each with a gate of its own."""
        return self.distribution.n_classes * (2 if self.cells == "query_and_context" else 1)

    @property
    def records(self) -> NDArray[np.int64]:
        """Rounds after which the table has rows, ascending, the last being T."""
        spread = np.geomspace(1, self.n_rounds, self.n_records).round().astype(np.int64)
        return np.unique(np.append(spread, self.n_rounds))

    def gates_of(self, loss: str) -> list[str]:
        """Gates that can be played on a loss, in the order asked for."""
        return [name for name in self.gates if loss == "log_loss" or name in LINEAR_GATES]

    def loss_range(self, loss: str) -> float:
        """B, which no loss of g or h exceeds, and so no difference of the two either."""
        if loss == "linear_loss":
            return 1.0
        labels = self.distribution.n_classes
        tabular = math.log((self.n_rounds + self.beta * labels) / self.beta)
        return max(-math.log(self.clip), tabular if self.in_weight == "tabular" else 0.0)
