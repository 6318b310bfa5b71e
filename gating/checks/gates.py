"""The contract of online gates: `check_gate` plays one on random and adversarial streams."""

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from gating.checks.contract import Contract
from gating.checks.streams import answer_linear, answer_log, random_differences
from gating.gates.online import LinearLossGate, LogLossGate, OnlineGate, play
from theory.validation import require_integer

__all__ = ["GATE_CONTRACT", "check_gate"]

N_LEARNERS, SHAPE = 60, (3, 4)
ROUNDING = 1e-9
"""Slack for sums of some hundred float64 terms of order one."""
WEIGHT_ROUNDING = 1e-15
"""Of a weight as it is handed out; what a gate keeps of a weight near 1 may be more exact."""

Streams = tuple[Tensor, Tensor]
"""Losses of g and h, (rounds, learners) each."""


class Player(NamedTuple):
    """An online gate that is checked.

    Attributes:
        make: makes a fresh one of a shape.
        rounds: most rounds that a learner is played.
    """

    make: Callable[[tuple[int, ...]], OnlineGate]
    rounds: int

    def size(self, gate: OnlineGate) -> float:
        """A full loss: the gate's loss range, or 3 where it takes any loss."""
        loss_range = gate.loss_range if isinstance(gate, LinearLossGate) else math.inf
        return loss_range if math.isfinite(loss_range) else 3.0

    def random(self, gate: OnlineGate, shape: tuple[int, ...], seed: int = 0) -> Streams:
        """Losses that do not look at the gate, (rounds, *shape) each, in [0, full loss]."""
        generator = torch.Generator().manual_seed(seed)
        losses = torch.rand((2, self.rounds, *shape), generator=generator, dtype=torch.float64)
        return tuple(self.size(gate) * losses)

    def streams(self) -> Iterator[tuple[str, Streams]]:
        """Random streams, and what an adversary answered to this gate."""
        gate, generator = self.make((N_LEARNERS,)), np.random.default_rng(0)
        if isinstance(gate, LogLossGate):
            yield (
                "a random stream",
                tuple(torch.from_numpy(generator.exponential(2, (2, self.rounds, N_LEARNERS)) ** 2)),
            )
            yield "an adversarial stream", answer_log(gate, generator, self.rounds)
            return
        differences = self.size(gate) * random_differences(generator, max(2, self.rounds), N_LEARNERS)[: self.rounds]
        yield "a random stream", (differences, torch.zeros_like(differences))
        differences = answer_linear(gate, generator, self.rounds, size=self.size(gate))
        yield "an adversarial stream", (differences, torch.zeros_like(differences))


GATE_CONTRACT = Contract[Player]()
"""What an online gate promises; see :func:`check_gate`."""


def check_gate(make: Callable[[tuple[int, ...]], OnlineGate], *, rounds: int = 40) -> None:
    """Looks whether an online gate keeps its contract, ``GATE_CONTRACT.sentences``.

    Args:
        make: makes a fresh gate of a shape, such as the class itself, or ``functools.partial`` of it and its arguments.
        rounds: most rounds that a learner is played, >= 2; a gate with a horizon has at least that.

    Raises:
        ContractBroken: naming the check, the sentence that is not kept, and what was seen.

    Example:
        >>> from functools import partial
        >>> from gating.gates import AdaHedgeGate, GradientDescentGate
        >>> check_gate(AdaHedgeGate)
        >>> check_gate(partial(GradientDescentGate, loss_range=1.0))
        >>> class Careless(AdaHedgeGate):
        ...     def bound(self):
        ...         return super().bound() / 10
        >>> check_gate(Careless)
        Traceback (most recent call last):
        ...
        gating.checks.contract.ContractBroken: regret_stays_below_its_bound: ... Seen: regret ... above the bound ...
    """
    GATE_CONTRACT.require(Player(make, require_integer("rounds", rounds, least=2)))


def _state(gate: OnlineGate) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in gate.state_dict().items()}


def _changed(gate: OnlineGate, before: dict[str, Tensor]) -> str:
    """Names of the state that is not as it was."""
    after = gate.state_dict()
    return ", ".join(name for name, value in before.items() if not torch.equal(value, after[name]))


def _refusal(call: Callable[..., Any], *arguments: Any) -> str:
    """The message of a ValueError; empty where there is none."""
    try:
        call(*arguments)
    except ValueError as refused:
        return str(refused)
    return ""


@GATE_CONTRACT.says
def is_an_online_gate(player: Player) -> Iterator[str]:
    """A gate is a LinearLossGate or a LogLossGate of the shape asked for, which refuses a bad shape by name."""
    gate = player.make(SHAPE)
    if not isinstance(gate, (LinearLossGate, LogLossGate)) or gate.shape != torch.Size(SHAPE):
        yield f"{type(gate).__name__} of shape {getattr(gate, 'shape', None)}, asked for {SHAPE}"
    for bad in ((), (0,), (2.5,), (-1, 2)):
        if "`shape`" not in _refusal(player.make, bad):
            yield f"the shape {bad} is not refused by a ValueError that names `shape`"


@GATE_CONTRACT.says
def weights_are_in_range(player: Player) -> Iterator[str]:
    """Weights, regrets and bounds are float64 in the gate's shape, weights in [0, 1], and so is all state."""
    for name, (in_weight, in_context) in player.streams():
        gate = player.make((N_LEARNERS,))
        for g, h in zip(in_weight, in_context, strict=True):
            alpha = gate.alpha()
            if not bool(((alpha >= 0) & (alpha <= 1)).all()):
                yield f"weights from {alpha.min():g} to {alpha.max():g} on {name}"
            gate.update(g, h)
        given = {"alpha": gate.alpha(), "regret": gate.regret(), "bound": gate.bound()}
        for what, value in (given | gate.state_dict()).items():
            if value.is_floating_point() and value.dtype != torch.float64:
                yield f"`{what}` of type {value.dtype}"
            if what in given and value.shape != gate.shape:
                yield f"`{what}` of shape {tuple(value.shape)}, the gate's is {tuple(gate.shape)}"


@GATE_CONTRACT.says
def starts_from_nothing(player: Player) -> Iterator[str]:
    """A fresh gate has played no round, and has no regret and a bound >= 0."""
    gate = player.make(SHAPE)
    if gate.rounds.any() or gate.regret().any() or not bool((gate.bound() >= 0).all()):
        yield f"rounds {gate.rounds.tolist()}, regret {gate.regret().tolist()}, bound {gate.bound().tolist()}"


@GATE_CONTRACT.says
def pays_what_it_played(player: Player) -> Iterator[str]:
    """A round is paid by the weight that was played before its losses were known."""
    for name, (in_weight, in_context) in player.streams():
        gate = player.make((N_LEARNERS,))
        for t, (g, h) in enumerate(zip(in_weight, in_context, strict=True)):
            ends = [
                _mixed(gate, (gate.alpha() + step).clamp(0, 1), g, h) for step in (-WEIGHT_ROUNDING, WEIGHT_ROUNDING)
            ]
            low, high = torch.minimum(*ends), torch.maximum(*ends)
            paid, slack = gate.update(g, h), ROUNDING * player.size(gate)
            off = torch.maximum(low - paid, paid - high).max().item()
            if not off <= slack:
                yield f"a loss off by {off:g} in round {t + 1} of {name}"


def _mixed(gate: OnlineGate, alpha: Tensor, g: Tensor, h: Tensor) -> Tensor:
    """The loss of a round that is played with these weights."""
    if isinstance(gate, LogLossGate):
        return -torch.logaddexp(alpha.log() - g, torch.log1p(-alpha) - h)
    return alpha * g + (1 - alpha) * h


@GATE_CONTRACT.says
def counts_what_was_paid(player: Player) -> Iterator[str]:
    """Regret is all that the gate paid minus what the better predictor of each learner did."""
    gate = player.make((N_LEARNERS,))
    in_weight, in_context = player.random(gate, (N_LEARNERS,))
    paid = torch.stack([gate.update(g, h) for g, h in zip(in_weight, in_context, strict=True)]).sum(0)
    wanted = paid - torch.minimum(in_weight.sum(0), in_context.sum(0))
    off = (gate.regret() - wanted).abs().max().item()
    if not off <= ROUNDING * player.size(gate) * player.rounds:
        yield f"a regret off by {off:g}"
    if not bool((gate.rounds == player.rounds).all()):
        yield f"{gate.rounds.unique().tolist()} rounds counted after {player.rounds}"


@GATE_CONTRACT.says
def regret_stays_below_its_bound(player: Player) -> Iterator[str]:
    """Regret is at most its bound after every round, on random and on adversarial streams."""
    for name, (in_weight, in_context) in player.streams():
        gate = player.make((N_LEARNERS,))
        for t, (g, h) in enumerate(zip(in_weight, in_context, strict=True)):
            gate.update(g, h)
            regret, bound = gate.regret(), gate.bound()
            over = regret - bound
            if not bool((over <= ROUNDING * player.size(gate)).all()):
                worst = int(over.nan_to_num(math.inf).argmax())
                at = f"after {t + 1} rounds of {name}"
                yield f"regret {regret[worst]:.4g} above the bound {bound[worst]:.4g} {at}"


@GATE_CONTRACT.says
def same_losses_give_the_same_weights(player: Player) -> Iterator[str]:
    """What a gate plays is a function of the losses that it was told before: no chance, and no state of other gates."""
    chance, alone = torch.get_rng_state(), player.make(SHAPE)
    in_weight, in_context = player.random(alone, SHAPE)
    played = play(alone, in_weight, in_context)
    again, other = player.make(SHAPE), player.make(SHAPE)
    for t, (g, h) in enumerate(zip(in_weight, in_context, strict=True)):
        if not torch.equal(again.alpha(), played[t]):
            yield f"other weights in round {t + 1} than those of a gate that was told the same"
        again.update(g, h)
        other.update(h, g)
    if not torch.equal(chance, torch.get_rng_state()):
        yield "torch's global source of chance has been drawn from"


@GATE_CONTRACT.says
def looking_changes_nothing(player: Player) -> Iterator[str]:
    """Looking at weights, regret and bound changes nothing, and what is handed out is not the gate's own state."""
    gate = player.make(SHAPE)
    for g, h in zip(*player.random(gate, SHAPE), strict=True):
        gate.update(g, h)
    before = _state(gate)
    for value in (gate.alpha(), gate.regret(), gate.bound()):
        value.fill_(0.123)
    if changed := _changed(gate, before):
        yield f"changed state: {changed}"


@GATE_CONTRACT.says
def only_visited_cells_learn(player: Player) -> Iterator[str]:
    """In a round with cells, only the learners of those cells play and learn, as they do alone."""
    gate, beside = player.make(SHAPE), player.make(SHAPE)
    fresh, cells = gate.alpha(), torch.tensor([0, 3, 1])
    visited = torch.zeros(SHAPE, dtype=torch.bool).scatter(-1, cells[:, None], True)
    for g, h in zip(*player.random(gate, SHAPE), strict=True):
        paid = gate.update(g[visited], h[visited], cells)
        beside.update(g, h)
        if paid.shape != (3,) or gate.alpha(cells).shape != (3,):
            yield f"losses and weights of shapes {tuple(paid.shape)} and {tuple(gate.alpha(cells).shape)}, not (3,)"
    if not torch.equal(gate.alpha()[~visited], fresh[~visited]) or gate.rounds.reshape(SHAPE)[~visited].any():
        yield "weights or rounds that changed in a cell that was not visited"
    if not torch.allclose(gate.alpha(cells), beside.alpha()[visited], rtol=1e-12, atol=1e-12):
        yield "weights of the visited cells that are not those of a gate whose every cell plays"


@GATE_CONTRACT.says
def learners_are_independent(player: Player) -> Iterator[str]:
    """A learner does not depend on its neighbours."""
    together, alone = player.make(SHAPE), player.make((1, 1))
    for g, h in zip(*player.random(together, SHAPE), strict=True):
        together.update(g, h)
        alone.update(g[1, 2], h[1, 2])
    for what in ("alpha", "regret", "bound"):
        beside, single = getattr(together, what)()[1, 2].item(), getattr(alone, what)()[0, 0].item()
        if not math.isclose(beside, single, rel_tol=1e-10, abs_tol=1e-10):
            yield f"`{what}` {beside:g} among others, {single:g} alone"


@GATE_CONTRACT.says
def saved_state_goes_on(player: Player) -> Iterator[str]:
    """A fresh gate that takes up the saved state goes on to the same bits."""
    whole, second = player.make(SHAPE), player.make(SHAPE)
    for t, (g, h) in enumerate(zip(*player.random(whole, SHAPE), strict=True)):
        if t == player.rounds // 2:
            second.load_state_dict(whole.state_dict())
        whole.update(g, h)
        if t >= player.rounds // 2:
            second.update(g, h)
    for what in ("alpha", "regret", "bound"):
        if not torch.equal(getattr(whole, what)(), getattr(second, what)()):
            yield f"another `{what}` than that of a gate that was not interrupted"


def _bad_losses(gate: OnlineGate) -> Sequence[Any]:
    far = [2 * gate.loss_range] if isinstance(gate, LinearLossGate) and math.isfinite(gate.loss_range) else []
    return [math.nan, "much", torch.zeros(3), None, *far, *([math.inf] if isinstance(gate, LinearLossGate) else [])]


@GATE_CONTRACT.says
def bad_arguments_are_refused(player: Player) -> Iterator[str]:
    """Losses that are NaN, too far apart or of another shape, and cells that there are not, are refused by a ValueError
    that names them, and change nothing."""
    gate = player.make((2, 4))
    before = _state(gate)
    for bad in _bad_losses(gate):
        for pair in ((bad, 0.0), (0.0, bad)):
            if "`loss_in_" not in _refusal(gate.update, *pair):
                yield f"losses {pair} are not refused by name"
    for bad in (torch.tensor([0.0, 1.0]), torch.tensor([0, 4]), torch.tensor([-1, 0]), torch.tensor([0]), [0, 1]):
        if "`cells`" not in _refusal(gate.alpha, bad) or "`cells`" not in _refusal(gate.update, 0.0, 0.0, bad):
            yield f"cells {bad} are not refused by name"
    if changed := _changed(gate, before):
        yield f"state that refused arguments have changed: {changed}"


@GATE_CONTRACT.says
def arguments_are_left_alone(player: Player) -> Iterator[str]:
    """Losses are not changed in place, and those of autograd leave no graph in what the gate gives and keeps."""
    gate = player.make(SHAPE)
    for g, h in zip(*player.random(gate, SHAPE), strict=True):
        kept = g.clone(), h.clone()
        paid = gate.update(g, h)
        paid += 1
        if not torch.equal(g, kept[0]) or not torch.equal(h, kept[1]):
            yield "losses that are not as they were"
    tracked = torch.ones(SHAPE, dtype=torch.float64, requires_grad=True)
    fresh = player.make(SHAPE)
    given = {"update": fresh.update(tracked * 0.5, 0.0), "alpha": fresh.alpha(), **fresh.state_dict()}
    if graphs := [name for name, value in given.items() if value.requires_grad]:
        yield f"a graph of autograd in {', '.join(graphs)}"
