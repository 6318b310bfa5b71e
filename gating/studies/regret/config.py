"""Settings of the regret study."""

import math
from collections.abc import Iterator
from dataclasses import field
from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from gating.gates import LinearLossGate, find_gate, gate_names
from gating.training.descent import OptimizerSettings
from theory.distribution import ClassMixture
from theory.fields import Count, Positive, Probability, Rule, Seed, Several, one_of
from theory.settings import settings

__all__ = ["GATES", "LOSSES", "MAX_ROUNDS", "RegretConfig"]

LOSSES = ("log_loss", "linear_loss")
GATES = ("gradient_descent", "exponential_weights", "adahedge", "bayes_mixture", "universal_portfolio")
"""Gates that are played unless others are asked for."""
GATE = Annotated[str, Rule(f"one of {GATES}, or another gate that is declared", lambda name: name in gate_names())]
MAX_ROUNDS = 2**22


@settings
class RegretConfig:
    """Settings of the study `regret`.

    Args:
        study: name of the study.
        distribution: the data; sequences are independent draws from it.
        n_rounds: rounds T, one sequence each, in 1 .. 2^22.
        n_seeds: number of seeds, >= 1; intervals are over them.
        seed: first data seed; the others follow it.
        init_seed: seed of the perceptron's initial weights, combined with the data seed.
        gates: online gates, of gradient_descent, exponential_weights, adahedge, bayes_mixture, universal_portfolio, and
            others that a program or an installed package declares.
        losses: losses in turn, of log_loss (every gate) and linear_loss (gates that learn from any losses: the first
            three).
        cells: what a cell is, each with a gate of its own: the class of the query as its nearest centre tells it
            (``query``), or that and whether the context shows the class (``query_and_context``).
        in_weight: g, ``tabular`` (add-beta counts of each class) or ``mlp`` (a perceptron, one optimizer step a round).
        beta: pseudo-count > 0 of the tabular g.
        hidden: hidden width of the perceptron.
        learning_rate: step size of the perceptron, > 0.
        optimizer: what takes the perceptron's steps.
        temperatures: temperatures > 0 of the similarity h; several are mixed by exponential weights on h's own loss.
        clip: least probability that h and the perceptron give a label, in (0, 1).
        known_horizon: whether gradient descent and exponential weights are tuned to T / cells rounds of a cell; else
            their steps fall with the rounds.
        n_records: rounds at which the table shows regrets and gates, spread evenly on a log scale, in 1 .. 2^22.
    """

    study: Literal["regret"] = "regret"
    distribution: ClassMixture = field(default_factory=ClassMixture)
    n_rounds: Annotated[int, Field(ge=1, le=MAX_ROUNDS)] = 100_000
    n_seeds: Count = 10
    seed: Seed = 0
    init_seed: Seed = 0
    gates: Several[GATE] = GATES
    losses: Several[Annotated[str, one_of(LOSSES)]] = LOSSES
    cells: Literal["query", "query_and_context"] = "query"
    in_weight: Literal["tabular", "mlp"] = "tabular"
    beta: Positive = 1.0
    hidden: Count = 64
    learning_rate: Positive = 0.001
    optimizer: OptimizerSettings = field(default_factory=OptimizerSettings)
    temperatures: Annotated[tuple[Positive, ...], Field(min_length=1)] = (0.1,)
    clip: Probability = 1e-7
    known_horizon: bool = True
    n_records: Annotated[int, Field(ge=1, le=MAX_ROUNDS)] = 200

    def problems(self) -> Iterator[str]:
        """What is wrong with the fields together, one sentence each."""
        if not any(map(self.gates_of, self.losses)):
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
        return [name for name in self.gates if loss == "log_loss" or issubclass(find_gate(name), LinearLossGate)]

    def loss_range(self, loss: str) -> float:
        """B, which no loss of g or h exceeds, and so no difference of the two either."""
        if loss == "linear_loss":
            return 1.0
        labels = self.distribution.n_classes
        tabular = math.log((self.n_rounds + self.beta * labels) / self.beta)
        return max(-math.log(self.clip), tabular if self.in_weight == "tabular" else 0.0)
