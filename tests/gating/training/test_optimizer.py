"""Optimizers, clipping and weight decay as torch has them, of one model and of many."""

import pytest
import torch
from torch import nn

from gating.training.descent import DescentSettings, OptimizerSettings
from gating.training.optimizer import Descent, clip_norms

NAMES = ("adam", "adamw", "sgd")
MOVING = [{"name": "adam"}, {"name": "adamw"}, {"name": "sgd", "momentum": 0.9}, {"name": "sgd"}]


def _normal(*shape, seed=0, dtype=torch.float64):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


@pytest.mark.parametrize("scale", [1e-20, 0.01, 1.0, 100.0])
def test_every_replica_is_clipped_as_torch_clips_a_single_model(scale):
    """Each replica's gradient, over all its tensors, is that of `clip_grad_norm_` on that replica alone."""
    sizes = [1.0, 0.01, 30.0]
    gradients = [_normal(3, 4, 5), _normal(3, 1, 7, seed=1), _normal(3, 2, seed=2)]
    gradients = [scale * torch.stack([s * part for s, part in zip(sizes, g, strict=True)]) for g in gradients]
    clipped, norms = clip_norms(gradients, 0.7)
    for r in range(3):
        alone = [torch.nn.Parameter(torch.zeros_like(g[r])) for g in gradients]
        for leaf, gradient in zip(alone, gradients, strict=True):
            leaf.grad = gradient[r].clone()
        norm = torch.nn.utils.clip_grad_norm_(alone, 0.7)
        assert norms[r].item() == pytest.approx(norm.item(), rel=1e-12)
        for mine, leaf in zip(clipped, alone, strict=True):
            torch.testing.assert_close(mine[r], leaf.grad, rtol=2e-6, atol=0)  # torch adds 1e-6 to the norm
        whole = torch.cat([g[r].flatten() for g in clipped]).norm()
        torch.testing.assert_close(whole, norm.clamp(max=0.7), rtol=1e-12, atol=0)


def test_clipping_leaves_zeros_alone_and_keeps_a_bad_replica_to_itself():
    gradients = [torch.tensor([[0.0, 0.0], [float("nan"), 1.0], [3.0, 4.0]])]
    [clipped], _ = clip_norms(gradients, 1.0)
    assert clipped[0].tolist() == [0.0, 0.0]
    assert clipped[1].isnan().any()
    torch.testing.assert_close(clipped[2], torch.tensor([0.6, 0.8]))


def _parameters(shapes, seed=0, dtype=torch.float64):
    return {
        name: nn.Parameter(_normal(*shape, seed=seed + k, dtype=dtype))
        for k, (name, shape) in enumerate(shapes.items())
    }


def _descend(descent, steps, first=0):
    """Steps of descent on gradients that are a function of parameter and step."""
    for step in range(first, first + steps):
        for place, parameter in enumerate(descent.trained.values()):
            draw = _normal(*parameter.shape, seed=100 * step + place, dtype=parameter.dtype)
            parameter.grad = parameter.detach().sin() + draw
        descent.clip()
        descent.step(step)


SHAPES = {"embed.weight": (5, 3), "up.weight": (3, 4), "up.bias": (4,), "norm.scale": (4,), "out.weight": (4, 1)}
"""Parameters of one model."""
REPLICATED = {
    "embed.weight": (2, 5, 3), "up.weight": (2, 3, 4), "up.bias": (2, 1, 4), "norm.scale": (2, 4),
    "out.weight": (2, 4, 1),
}  # fmt: skip
"""The same of two replicas: vectors as our layers have them, and without the dimension of length 1."""
DECAYING = [
    ({}, sorted(SHAPES)),
    ({"decays": "matrices"}, ["embed.weight", "out.weight", "up.weight"]),
    ({"decays": "matrices", "no_decay": ["embed"]}, ["out.weight", "up.weight"]),
    ({"no_decay": ["bias", "norm"]}, ["embed.weight", "out.weight", "up.weight"]),
    ({"no_decay": ["weight", "bias", "norm"]}, []),
]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(("rule", "wanted"), DECAYING, ids=str)
@pytest.mark.parametrize("replicas", [False, True])
def test_weight_decay_touches_what_it_is_asked_to_and_nothing_else(name, rule, wanted, replicas):
    """One step, with decay and without, differs in the parameters that decay, and in all of each of them."""
    found = []
    for decay in (0.0, 0.3):
        parameters = _parameters(REPLICATED if replicas else SHAPES)
        told = DescentSettings(9, optimizer={"name": name, "weight_decay": decay, **rule})
        _descend(Descent(parameters, told, replicas=replicas), 2)
        found.append(parameters)
    plain, decayed = found
    differs = {key: (plain[key] != decayed[key]) for key in plain}
    assert sorted(key for key, where in differs.items() if where.any()) == wanted
    assert all(differs[key].all() for key in wanted)


@pytest.mark.parametrize("replicas", [False, True])
def test_adamw_without_decay_is_adam(replicas):
    """Bit for bit; with decay it is not."""
    ends = []
    for told in (OptimizerSettings("adam"), OptimizerSettings("adamw"), OptimizerSettings("adamw", weight_decay=0.1)):
        parameters = _parameters(REPLICATED if replicas else SHAPES)
        _descend(Descent(parameters, DescentSettings(9, max_grad_norm=1.0, optimizer=told), replicas=replicas), 9)
        ends.append(parameters)
    for name, value in ends[0].items():
        assert torch.equal(value, ends[1][name])
        assert not torch.equal(value, ends[2][name])


def test_adamw_scales_parameters_and_adam_adds_the_decay_to_gradients():
    """Without a gradient AdamW's parameter becomes 1 - rate d times itself; Adam takes a whole step against it."""
    for name, wanted in (("adamw", 3.0 * (1 - 0.1 * 0.5)), ("adam", 3.0 - 0.1)):
        weight = nn.Parameter(torch.tensor([3.0], dtype=torch.float64))
        told = DescentSettings(9, learning_rate=0.1, optimizer={"name": name, "weight_decay": 0.5})
        weight.grad = torch.zeros(1, dtype=torch.float64)
        Descent({"weight": weight}, told, replicas=False).step(0)
        assert weight.item() == pytest.approx(wanted, rel=1e-7)


@pytest.mark.parametrize("nesterov", [False, True])
@pytest.mark.parametrize("fused", [False, True])
def test_momentum_of_sgd(nesterov, fused):
    """v <- m v + g; p <- p - rate v, or - rate (g + m v) of Nesterov's."""
    told = DescentSettings(9, learning_rate=0.1, warm_up=4,
                           optimizer={"name": "sgd", "momentum": 0.8, "nesterov": nesterov})  # fmt: skip
    weight = nn.Parameter(_normal(6))
    descent, mine, v = Descent({"weight": weight}, told, replicas=False, fused=fused), weight.detach().clone(), 0.0
    for step in range(9):
        g = _normal(6, seed=step + 1)
        v = 0.8 * v + g
        mine = mine - 0.1 * min(1, (step + 1) / 4) * (g + 0.8 * v if nesterov else v)
        weight.grad = g
        descent.step(step)
        torch.testing.assert_close(weight.detach(), mine, rtol=1e-12, atol=1e-12)
        assert weight.grad is None


@pytest.mark.parametrize("given", MOVING, ids=str)
@pytest.mark.parametrize("replicas", [False, True])
def test_what_was_saved_goes_on_with_the_same_bits(given, replicas):
    told = DescentSettings(20, learning_rate=0.05, warm_up=3, max_grad_norm=1.0, optimizer=given)
    shapes = REPLICATED if replicas else SHAPES
    straight, first, second = (Descent(_parameters(shapes), told, replicas=replicas) for _ in range(3))
    _descend(straight, 20)
    _descend(first, 7)
    with torch.no_grad():
        for name, parameter in second.trained.items():
            parameter.copy_(first.trained[name])
    second.restore(7, first.state())
    _descend(first, 5, first=7)  # whoever goes on with the first does not touch what the second took up
    _descend(second, 13, first=7)
    for name, parameter in straight.trained.items():
        assert torch.equal(second.trained[name], parameter), name
    assert {
        name: torch.equal(value, straight.state()[name]) for name, value in second.state().items()
    } == dict.fromkeys(straight.state(), True)


def test_a_state_holds_what_the_optimizer_keeps():
    kinds = []
    for given in MOVING:
        for replicas in (True, False):
            descent = Descent(_parameters(REPLICATED), DescentSettings(9, optimizer=given), replicas=replicas)
            assert not descent.state()
            _descend(descent, 1)
            kinds.append({key.partition(".")[0] for key in descent.state()})
    adam = {"exp_avg", "exp_avg_sq"}
    assert kinds == [
        adam,
        {*adam, "step"},
        adam,
        {*adam, "step"},
        {"momentum_buffer"},
        {"momentum_buffer"},
        set(),
        set(),
    ]


@pytest.mark.parametrize("given", MOVING, ids=str)
def test_the_state_of_another_optimizer_is_refused(given):
    other = {"name": "sgd"} if given != {"name": "sgd"} else {"name": "adam"}
    left, taken = (
        Descent(_parameters(SHAPES), DescentSettings(9, optimizer=o), replicas=False) for o in (given, other)
    )
    _descend(left, 1)
    with pytest.raises(ValueError, match=rf"^`tensors` must be what {other['name']} keeps, \[.*\]; got \["):
        taken.restore(1, left.state())


def test_a_parameter_without_gradient_stays_and_is_not_clipped_with_the_others():
    for replicas in (False, True):
        parameters = _parameters(REPLICATED)
        before = parameters["up.bias"].detach().clone()
        descent = Descent(parameters, DescentSettings(9, max_grad_norm=0.5), replicas=replicas)
        for name, parameter in parameters.items():
            parameter.grad = None if name == "up.bias" else torch.ones_like(parameter)
        norms = descent.clip()
        assert norms.shape == ((2,) if replicas else ())
        assert (norms > 0.5).all()
        descent.step(0)
        assert torch.equal(parameters["up.bias"], before)
        assert not any(key.endswith("up.bias") for key in descent.state())


def test_one_model_is_clipped_by_the_norm_over_all_of_it_and_replicas_each_by_their_own():
    for replicas in (False, True):
        parameters = {"a": nn.Parameter(torch.zeros(2, 3)), "b": nn.Parameter(torch.zeros(2, 1, 2))}
        descent = Descent(parameters, DescentSettings(9, max_grad_norm=1.0), replicas=replicas)
        parameters["a"].grad = torch.tensor([[3.0, 0.0, 0.0], [0.1, 0.0, 0.0]])
        parameters["b"].grad = torch.tensor([[[4.0, 0.0]], [[0.0, 0.2]]])
        descent.clip()
        clipped = torch.cat([p.grad.flatten(1) for p in parameters.values()], dim=1)
        if replicas:
            torch.testing.assert_close(clipped.norm(dim=1), torch.tensor([1.0, 0.05**0.5]))
        else:
            torch.testing.assert_close(clipped.norm(), torch.tensor(1.0))


@pytest.mark.parametrize("given", MOVING, ids=str)
def test_gradients_that_are_views_with_strides_are_read_as_they_are(given):
    """A fused kernel on the CPU reads memory as if it were dense."""
    ends = []
    for strided in (False, True):
        weight, gradient = nn.Parameter(_normal(2, 8, 16)), _normal(2, 8, 40, seed=1)[..., 3:19]
        weight.grad = gradient if strided else gradient.contiguous()
        assert weight.grad.is_contiguous() is not strided
        Descent({"weight": weight}, DescentSettings(9, learning_rate=0.1, optimizer=given), replicas=True).step(0)
        ends.append(weight)
    assert torch.equal(*ends)


def test_without_clipping_gradients_stay_as_they_are():
    for replicas in (False, True):
        parameters = _parameters(REPLICATED)
        for parameter in parameters.values():
            parameter.grad = 1e6 * torch.ones_like(parameter)
        Descent(parameters, DescentSettings(9), replicas=replicas).clip()
        assert all((parameter.grad == 1e6).all() for parameter in parameters.values())


def test_nothing_to_train_is_refused():
    with pytest.raises(ValueError, match=r"^`trained` must hold one or more parameters; got none$"):
        Descent({}, DescentSettings(9), replicas=False)
