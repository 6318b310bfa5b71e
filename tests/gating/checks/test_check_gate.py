"""Online gates with one fault each: the check meant for it sees it, and says what it saw."""

import math
import re
from functools import partial

import pytest
import torch

from gating.checks import GATE_CONTRACT, ContractBroken, check_gate
from gating.gates import AdaHedgeGate, BayesMixtureGate, ExponentialWeightsGate, GradientDescentGate

FAULTS = {}


def fault(check, seen):
    """A class with a fault, the check that is to see it, and a pattern of what it says."""
    return lambda gate: FAULTS.setdefault(gate.__name__, (gate, check, seen))


@fault("is_an_online_gate", "of shape torch.Size\\(\\[12\\]\\), asked for \\(3, 4\\)")
class FlattensItsShape(AdaHedgeGate):
    def __init__(self, shape):
        super().__init__([math.prod(shape)])


@fault("is_an_online_gate", "the shape \\(0,\\) is not refused")
class TakesNoCell(AdaHedgeGate):
    def __init__(self, shape):
        super().__init__([size or 1 for size in shape])


@fault("weights_are_in_range", r"weights from .* to 1\.\d+ on a random stream")
class LeavesTheUnitInterval(AdaHedgeGate):
    def _alpha(self, index):
        return 1.5 * super()._alpha(index)


@fault("weights_are_in_range", "`alpha` of type torch.float32")
class PlaysInSinglePrecision(AdaHedgeGate):
    def alpha(self, cells=None):
        return super().alpha(cells).float()


@fault("weights_are_in_range", r"`bound` of shape \(\), the gate's is \(60,\)")
class BoundsAllLearnersTogether(AdaHedgeGate):
    def bound(self):
        return super().bound().sum()


@fault("starts_from_nothing", "bound .*-1")
class BoundsFromBelow(AdaHedgeGate):
    def bound(self):
        return super().bound() - 1


@fault("pays_what_it_played", r"a loss off by .* in round \d+ of a random stream")
class LooksAhead(AdaHedgeGate):
    def _suffer(self, index, in_weight, in_context):
        difference = in_weight - in_context
        self._learn(index, self._alpha(index), difference)
        return in_context + self._alpha(index) * difference


@fault("pays_what_it_played", "a loss off by")
class PaysTheMeanOfLogLosses(BayesMixtureGate):
    def _suffer(self, index, in_weight, in_context):
        alpha = self._alpha(index)
        super()._suffer(index, in_weight, in_context)
        return alpha * in_weight + (1 - alpha) * in_context


@fault("counts_what_was_paid", "a regret off by")
class RegretsTheWorsePredictor(AdaHedgeGate):
    def regret(self):
        return (self.loss - torch.maximum(self.loss_in_weight, self.loss_in_context)).reshape(self.shape)


@fault("counts_what_was_paid", "rounds counted after 40")
class CountsRoundsTwice(AdaHedgeGate):
    def update(self, *losses):
        paid = super().update(*losses)
        self.rounds += 1
        return paid


@fault("regret_stays_below_its_bound", "above the bound .* rounds of a random stream")
class FollowsTheLoser(ExponentialWeightsGate):
    def __init__(self, shape):
        super().__init__(shape, loss_range=2.0)

    def _log_odds(self, index):
        return -super()._log_odds(index)


@fault("regret_stays_below_its_bound", "above the bound .* rounds of an adversarial stream")
class BoundsRandomStreamsAlone(AdaHedgeGate):
    """No regret on the random streams is above 0.48 times the bound; an adversary's is."""

    def bound(self):
        return 0.52 * super().bound()


@fault("same_losses_give_the_same_weights", "other weights in round 1")
class PlaysByChance(AdaHedgeGate):
    def _alpha(self, index):
        return torch.rand(self.rounds[index].shape, dtype=torch.float64)


@fault("same_losses_give_the_same_weights", "other weights in round 1")
class SharesItsStateWithOthers(GradientDescentGate):
    shared: dict = {}  # noqa: RUF012

    def __init__(self, shape):
        super().__init__(shape, loss_range=2.0)
        self.weight = self.shared.setdefault(self.shape, self.weight)


@fault("looking_changes_nothing", "changed state: weight")
class HandsOutItsState(GradientDescentGate):
    def __init__(self, shape):
        super().__init__(shape, loss_range=2.0)

    def _alpha(self, index):
        return self.weight[index]


@fault("only_visited_cells_learn", "weights or rounds that changed in a cell that was not visited")
class TeachesEveryCell(GradientDescentGate):
    def __init__(self, shape):
        super().__init__(shape, loss_range=2.0)

    def _learn(self, index, alpha, difference):
        super()._learn(index, alpha, difference)
        if not isinstance(index, slice):
            self.weight *= 0.5


@fault("learners_are_independent", "`alpha` .* among others, .* alone")
class AveragesItsLearners(AdaHedgeGate):
    def alpha(self, cells=None):
        alpha = super().alpha(cells)
        return (alpha + alpha.mean()) / 2


@fault("saved_state_goes_on", "another `alpha` than that of a gate that was not interrupted")
class ForgetsWhatItLearned(ExponentialWeightsGate):
    def __init__(self, shape):
        super().__init__(shape, loss_range=2.0)
        lead = self.lead
        del self.lead
        self.register_buffer("lead", lead, persistent=False)


@fault("bad_arguments_are_refused", r"losses \(nan, 0\.0\) are not refused by name")
class TakesNaN(AdaHedgeGate):
    def _losses(self, name, value, visited):
        return super()._losses(name, value, visited).nan_to_num(0.0)


@fault("bad_arguments_are_refused", "losses .* are not refused by name")
class TakesLossesOfAnyRange(GradientDescentGate):
    def __init__(self, shape):
        super().__init__(shape, loss_range=2.0)

    def _losses(self, name, value, visited):
        return super()._losses(name, value, visited).clamp(0, 2)


@fault("bad_arguments_are_refused", "cells .*-1.* are not refused by name")
class TakesCellsFromTheEnd(AdaHedgeGate):
    def _index(self, cells):
        wraps = isinstance(cells, torch.Tensor) and cells.dtype == torch.int64
        return super()._index(cells % self.shape[-1] if wraps and bool((cells < 0).any()) else cells)


@fault("bad_arguments_are_refused", "state that refused arguments have changed: rounds")
class CountsRefusedRounds(AdaHedgeGate):
    def update(self, loss_in_weight, loss_in_context, cells=None):
        self.rounds += 1
        paid = super().update(loss_in_weight, loss_in_context, cells)
        self.rounds -= 1
        return paid


@fault("arguments_are_left_alone", "losses that are not as they were")
class ChangesLossesInPlace(AdaHedgeGate):
    def update(self, loss_in_weight, loss_in_context, cells=None):
        paid = super().update(loss_in_weight, loss_in_context, cells)
        if isinstance(loss_in_context, torch.Tensor):
            loss_in_context += 1e-12
        return paid


@fault("arguments_are_left_alone", "a graph of autograd in update")
class KeepsAGraph(AdaHedgeGate):
    def update(self, loss_in_weight, loss_in_context, cells=None):
        alpha = self.alpha(cells)
        paid = super().update(loss_in_weight, loss_in_context, cells)
        tracked = isinstance(loss_in_weight, torch.Tensor) and loss_in_weight.requires_grad
        return alpha * loss_in_weight + (1 - alpha) * loss_in_context if tracked else paid


@pytest.mark.parametrize(("gate", "check", "seen"), FAULTS.values(), ids=FAULTS)
def test_a_fault_is_seen_by_the_check_meant_for_it(gate, check, seen):
    with pytest.raises(ContractBroken) as caught:
        check_gate(gate)
    sentence = GATE_CONTRACT.sentences[check]
    assert re.search(f"(?m)^{check}: {re.escape(sentence)} Seen: .*{seen}", str(caught.value)), caught.value


def test_every_check_has_a_fault_that_it_sees():
    assert {check for _, check, _ in FAULTS.values()} == set(GATE_CONTRACT.sentences)


def test_what_is_no_online_gate_is_refused():
    with pytest.raises(ContractBroken, match=r"^is_an_online_gate: .* Seen: Linear of shape None, asked for \(3, 4\)"):
        check_gate(lambda shape: torch.nn.Linear(1, 1))


def test_an_error_of_the_gate_is_said_and_kept():
    with pytest.raises(ContractBroken, match=r"Seen: TypeError: .*loss_range") as caught:
        check_gate(GradientDescentGate)
    assert isinstance(caught.value.__cause__, TypeError)


def test_a_bound_is_looked_at_after_every_round():
    """A bound that is broken early and holds at the end."""

    class SlowBound(AdaHedgeGate):
        def bound(self):
            rounds = self.rounds.reshape(self.shape)
            return torch.where(rounds < 3, 0.0, super().bound())

    with pytest.raises(ContractBroken, match=r"regret_stays_below_its_bound: .* after [12] rounds"):
        check_gate(SlowBound)


@pytest.mark.parametrize("bad", [1, 2.0, "many"])
def test_rounds_are_checked(bad):
    with pytest.raises(ValueError, match="`rounds` must be an integer >= 2"):
        check_gate(partial(AdaHedgeGate), rounds=bad)
