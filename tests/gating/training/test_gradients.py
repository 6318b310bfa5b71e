"""Gradients of a group: what compilation and rounded products change, and what they leave."""

import threading
from itertools import pairwise

import pytest
import torch
from small_run import BUILDERS, contents, source, trainer
from small_systems import SYSTEMS, gradients_of

from gating.models.activation import gelu, with_slope
from gating.models.attention import causal_attention
from gating.models.blocks import Block
from gating.models.layers import LayerNorm, ReadOut, generators
from gating.models.recording import recording
from gating.runs.errors import Interrupted
from gating.runs.store import opened
from gating.training.group import ReplicaGroup
from gating.training.optimizer import Descent
from gating.training.schedule import TrainSettings
from gating.training.trainer import Trainer

FAST = {"matmul_precision": "bfloat16", "compiled": True}
MODES = [({"compiled": True}, 2e-5), ({"matmul_precision": "bfloat16"}, 0.06), (FAST, 0.06)]
QUICK = {("stylized", True), *((system, None) for system in SYSTEMS)}
"""What takes no compiler, and one that takes it for a few seconds."""


@pytest.mark.parametrize(
    ("system", "settings", "within"),
    [
        pytest.param(system, *mode, marks=[] if (system, mode[0].get("compiled")) in QUICK else pytest.mark.long)
        for system in SYSTEMS
        for mode in MODES
    ],
)
def test_every_mode_gives_the_same_gradients_within_its_rounding(system, settings, within):
    plain, losses = gradients_of(system)
    fast, found = gradients_of(system, **settings)
    assert found.tolist() == pytest.approx(losses.tolist(), rel=within / 3)
    whole = torch.stack([value.flatten(1).norm(dim=1) for value in plain.values()]).norm(dim=0)
    for name, value in plain.items():
        apart = (fast[name] - value).flatten(1).norm(dim=1) / whole
        assert apart.max() <= within, name
        assert found.dtype == fast[name].dtype == torch.float32
    bits_differ = any(not torch.equal(fast[name], plain[name]) for name in plain)
    assert bits_differ or "matmul_precision" not in settings


@pytest.mark.long
def test_a_mode_is_no_other_model(tmp_path):
    """Over 300 steps the losses stay those of the default."""
    ends = []
    for number, settings in enumerate([{}, {"compiled": True}, FAST]):
        group = trainer(tmp_path / str(number), steps=300, batch_size=16, **settings)
        group.start()
        ends.append(group.advance(300)[-50:].mean(0))
    assert ends[0].mean() < 1.0
    assert (ends[1] - ends[0]).abs().max() < 0.02
    assert (ends[2] - ends[0]).abs().max() < 0.1


@pytest.mark.parametrize("settings", [{"matmul_precision": "bfloat16"}, FAST])
def test_stopping_and_going_on_changes_no_bit_in_any_mode(tmp_path, settings):
    told = {"model": "stylized", "steps": 40, "save_every": 10, "max_grad_norm": 1.0, **settings}
    trainer(tmp_path / "straight", **told).run()
    stop = threading.Event()

    class Stopping:
        def __init__(self, seeds):
            self.source = source(seeds)

        def batches(self, first_step, *size):
            if first_step >= 15:
                stop.set()
            return self.source.batches(first_step, *size)

    with pytest.raises(Interrupted):
        trainer(tmp_path / "stopped", source=Stopping, **told).run(stop=stop)
    trainer(tmp_path / "stopped", **told).run()
    assert contents(tmp_path / "straight") == contents(tmp_path / "stopped") != {}


@pytest.mark.parametrize("decays", ["all", "matrices"])
def test_parameters_side_by_side_are_the_same_as_alone(decays):
    told = TrainSettings(steps=9, optimizer={"name": "adamw", "weight_decay": 0.1, "decays": decays})
    models = [BUILDERS["transformer"]([0, 1]) for _ in range(2)]
    descents = [
        Descent(dict(model.named_parameters()), told, replicas=True, flat=flat)
        for model, flat in zip(models, (False, True), strict=True)
    ]
    assert len(descents[1].leaves) == (1 if decays == "all" else 2)
    for step in range(3):
        rng = torch.Generator().manual_seed(step)
        gradients = {name: torch.randn(p.shape, generator=rng) for name, p in models[0].named_parameters()}
        for name, parameter in models[0].named_parameters():
            parameter.grad = gradients[name]
        descents[0].step(step)
        sides = [[] for _ in descents[1].leaves]
        for name, (leaf, _) in descents[1].places.items():
            sides[leaf].append(gradients[name].flatten())
        descents[1].step(step, [torch.cat(side) for side in sides])
    for (name, one), two in zip(models[0].named_parameters(), models[1].parameters(), strict=True):
        assert torch.allclose(one, two, rtol=0, atol=1e-7), name
    kept = [descent.state() for descent in descents]
    assert kept[0].keys() == kept[1].keys()
    for name, value in kept[0].items():
        assert torch.allclose(value, kept[1][name], rtol=0, atol=1e-7), name
    again = Descent(dict(BUILDERS["transformer"]([0, 1]).named_parameters()), told, replicas=True, flat=True)
    again.restore(3, kept[1])
    assert all(torch.equal(value, kept[1][key]) for key, value in again.state().items())


def test_the_formula_of_gelu_is_exact_to_single_precision():
    x = torch.linspace(-12, 12, 100_001, requires_grad=True)
    value, slope = with_slope(x.detach())
    wide = x.detach().double().requires_grad_()
    exact = torch.nn.functional.gelu(wide)
    (wanted,) = torch.autograd.grad(exact.sum(), wide)
    assert (value - exact).abs().max() < 1.2e-6
    assert (slope - wanted).abs().max() < 5e-7
    with recording():
        (found,) = torch.autograd.grad(gelu(x).sum(), x)
    assert torch.equal(found, slope)


@pytest.mark.parametrize(("asked", "seen"), [(1, 1), (1, 5), (5, 5), (15, 15)])
def test_short_attention_is_attention(asked, seen):
    rng = torch.Generator().manual_seed(0)
    q, k, v = (torch.randn(6, 2, n, 4, generator=rng, dtype=torch.float64) for n in (asked, seen, seen))
    plain = causal_attention(q, k, v)
    with recording():
        assert torch.allclose(causal_attention(q, k, v), plain, atol=1e-12)


def test_answers_are_read_out_in_full_precision():
    layer, x = ReadOut(8, 3, generators([0, 1])), torch.randn(2, 5, 8)
    wanted = layer(x)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(layer(x), wanted)
    assert torch.allclose(wanted, x @ layer.weight + layer.bias, atol=1e-6)


@pytest.mark.parametrize("name", SYSTEMS)
def test_stream_norms_answers_and_loss_keep_their_precision(name):
    """Products alone are of fewer digits: nothing that is added up over blocks, normalised or answered."""
    build, loss = SYSTEMS[name]
    model, data = build([0, 1])
    found = []
    for part in model.modules():
        if isinstance(part, Block | LayerNorm):
            part.register_forward_hook(lambda part, inputs, out: found.extend([inputs[0].dtype, out.dtype]))
    batch = data.batches(0, 1, 4)
    with torch.autocast("cpu", torch.bfloat16):
        assert loss(model(batch), batch).dtype == torch.float32
    assert bool(found) == (name not in ("stylized", "in_weight"))
    assert {*found} <= {torch.float32}


def test_numbers_that_bfloat16_would_not_shorten_are_refused(tmp_path):
    with (
        opened(tmp_path / "run", {}) as place,
        pytest.raises(ValueError, match=r"^`dtype` must be torch.float32 where"),
    ):
        Trainer(
            place,
            [0],
            BUILDERS["stylized"],
            source,
            TrainSettings(steps=1, matmul_precision="bfloat16"),
            dtype=torch.float64,
        )


def test_a_group_stops_between_two_batches_of_one_draw():
    stop, steps = threading.Event(), []
    group = ReplicaGroup(1, BUILDERS["stylized"]([0]), source([0]), TrainSettings(steps=200))
    loss = group._gradients._loss

    def counted(*given):
        steps.append(group.step)
        if len(steps) == 3:
            stop.set()
        return loss(*given)

    group._gradients._loss = counted
    told = []
    assert group.advance(200, stop, told.append).shape == (3, 1)
    assert all(b == a + 1 for a, b in pairwise(steps))
    assert told == [3]
