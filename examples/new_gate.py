"""A gate of your own
==================

A gate of one's own, in one file: checked against the contract of online gates, then played by name in `regret`.

Fixed share follows the better predictor also where that changes: a share of its trust goes back to both in every round.
Source: M. Herbster and M. K. Warmuth. Tracking the best expert. Machine Learning 32, 1998.

    python examples/new_gate.py
"""

import math

import torch
from torch.nn.functional import logsigmoid

from gating import plot
from gating.checks import check_gate
from gating.gates import LogLossGate
from gating.runs.engine import run
from gating.studies.regret.config import RegretConfig
from gating.studies.regret.study import Regret


class FixedShareGate(LogLossGate, key="fixed_share"):
    """Bayes mixture over all sequences of predictors that change with probability share / 2 between rounds."""

    def __init__(self, shape, *, share=0.01):
        super().__init__(shape)
        self.share = share
        self._state("log_odds")

    def bound(self):
        """Minus the log of the prior probability 1/2 (1 - share / 2)^(rounds - 1) of never changing."""
        changes = (self.rounds - 1).clamp(min=0).reshape(self.shape)
        return math.log(2) - changes * math.log1p(-self.share / 2)

    def _log_weights(self, index):
        return logsigmoid(self.log_odds[index]), logsigmoid(-self.log_odds[index])

    def _learn(self, index, in_weight, in_context):
        posterior = torch.sigmoid(self.log_odds[index] - (in_weight - in_context))
        self.log_odds[index] = torch.logit((1 - self.share) * posterior + self.share / 2)


if __name__ == "__main__":
    check_gate(FixedShareGate)
    gates = ("bayes_mixture", "fixed_share")
    config = RegretConfig(n_rounds=1000, n_seeds=2, n_records=10, gates=gates, losses=("log_loss",))
    table = run(Regret(), config, None)
    print(Regret().text(config, table))
    chart = plot(table)
