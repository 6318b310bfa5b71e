"""What a group does with gradients, step sizes and the precision of products."""

import math
import threading

import pytest
import torch
from small_run import place_in

from gating.models.decoder import UrnDecoder
from gating.models.layers import generators
from gating.runs.errors import Interrupted
from gating.studies.strategies.families import every_draw_log_loss
from gating.tasks.urns import Urns
from gating.training.checkpoints import Checkpoints
from gating.training.group import ReplicaGroup
from gating.training.schedule import TrainSettings
from gating.training.trainer import Trainer, TrainingDiverged

WIDTHS = [0.5, 0.5, 2.0, 1.0]


def _normal(*shape, seed=0, dtype=torch.float64):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def _build(replicas):
    """Models of one MLP factor, which is that of the replicas, given as (number, factor)."""
    rngs = generators([number for number, _ in replicas])
    return UrnDecoder(3, 20, width=8, mlp_factor=replicas[0][1], rngs=rngs)


def _source(replicas):
    return Urns([4 + number for number, _ in replicas], [number for number, _ in replicas], dim=3, length=20)


REPLICAS = list(enumerate(WIDTHS))


def _trainer(path, replicas, *, build=_build, source=_source, **settings):
    settings = TrainSettings(
        **{
            "steps": 30,
            "batch_size": 8,
            "learning_rate": 0.01,
            "checkpoints": 2,
            "max_grad_norm": 0.5,
            "save_every": 15,
        }
        | settings
    )
    return Trainer(place_in(path), replicas, build, source, settings, loss=every_draw_log_loss)


DECAYED = {"weight_decay": 0.2, "decays": "matrices", "no_decay": ["embed"]}
OPTIMIZERS = [
    {}, {"betas": [0.8, 0.95], "eps": 1e-3, "weight_decay": 0.1}, {"name": "adamw"}, {"name": "adamw", **DECAYED},
    {"name": "sgd"}, {"name": "sgd", "momentum": 0.9, **DECAYED}, {"name": "sgd", "momentum": 0.8, "nesterov": True},
]  # fmt: skip
"""Settings of optimizers, with and without weight decay of some parameters."""


def _torch_optimizer(model, given):
    """Torch's own optimizer of a model of one replica, group by group; biases and norms have shape (1, 1, n)."""
    how = {key: value for key, value in given.items() if key in ("betas", "eps", "momentum", "nesterov")}
    decay, rule = given.get("weight_decay", 0.0), "decays" in given
    left = [n for n, p in model.named_parameters() if rule and (p.shape[1] == 1 or "embed" in n)]
    assert len(left) > 5 or not rule
    groups = [{"params": [p], "weight_decay": 0.0 if name in left else decay} for name, p in model.named_parameters()]
    made = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW, "sgd": torch.optim.SGD}[given.get("name", "adam")]
    return made(groups, lr=1.0, fused=False, foreach=False, **how)


@pytest.mark.parametrize("annealing", ["none", "cosine"])
@pytest.mark.parametrize("given", OPTIMIZERS, ids=str)
def test_replicas_are_trained_as_torch_trains_each_alone(annealing, given):
    """Step by step a plain loop over one model: a clipped gradient, torch's optimizer, and the schedule's formula."""
    settings = TrainSettings(25, 4, 0.02, warm_up=6, annealing=annealing, max_grad_norm=0.3, optimizer=given)
    replicas = [(0, 1.0), (1, 1.0)]
    model = _build(replicas).double()
    group = ReplicaGroup(2, model, _source(replicas), settings, every_draw_log_loss)
    alone = [_build([replica]).double() for replica in replicas]
    optimizers, clipped = [_torch_optimizer(each, given) for each in alone], 0
    for step in range(25):
        losses = group.advance(step + 1, threading.Event())[0]
        shape = (1 + math.cos(math.pi * (step - 6) / 19)) / 2 if annealing == "cosine" else 1.0
        for place, (each, optimizer) in enumerate(zip(alone, optimizers, strict=True)):
            batch = _source([replicas[place]]).batches(step, 1, 4)
            loss = torch.nn.functional.nll_loss(each(batch)[0].flatten(0, 1), batch.y[0].flatten())
            optimizer.zero_grad()
            loss.backward()
            norm = torch.cat([p.grad.flatten() for p in each.parameters()]).norm()
            clipped += norm > 0.3
            for parameter in each.parameters():
                parameter.grad *= (0.3 / norm).clamp(max=1.0)
            for part in optimizer.param_groups:
                part["lr"] = 0.02 * ((step + 1) / 6 if step < 6 else shape)
            optimizer.step()
            assert losses[place].item() == pytest.approx(loss.item(), rel=1e-9)
            for name, parameter in each.named_parameters():
                mine = model.get_parameter(name)[place]
                torch.testing.assert_close(mine, parameter[0], rtol=1e-8, atol=1e-9, msg=f"{name} at step {step}")
    assert clipped > 0


@pytest.mark.parametrize("given", OPTIMIZERS, ids=str)
def test_a_replica_does_not_depend_on_the_one_beside_it(given):
    """Bits, whoever rides along: gradients, clipping, optimizer and decay know no other replica."""
    held = []
    for other in ((1, 1.0), (2, 1.0)):
        mine = [(0, 1.0), other]
        settings = TrainSettings(12, 4, 0.02, warm_up=3, max_grad_norm=0.3, optimizer=given)
        group = ReplicaGroup(2, _build(mine), _source(mine), settings, every_draw_log_loss)
        group.advance(12, threading.Event())
        held.append(group.state())
    for name, value in held[0].items():
        assert torch.equal(value[0], held[1][name][0]), name
    assert not all(torch.equal(value[1], held[1][name][1]) for name, value in held[0].items())


@pytest.mark.parametrize("given", OPTIMIZERS, ids=str)
def test_a_run_that_stops_and_goes_on_ends_with_the_same_bits(tmp_path, given):
    settings = {"steps": 20, "save_every": 10, "checkpoints": 1, "optimizer": given, "warm_up": 4}
    straight = _trainer(tmp_path / "straight", REPLICAS[:2], **settings)
    straight.run()
    stopped = _trainer(tmp_path / "stopped", REPLICAS[:2], **settings)
    stop_at, save = 10, stopped._save

    def kill(step, metrics):
        save(step, metrics)
        if step == stop_at:
            raise KeyboardInterrupt

    stopped._save = kill
    with pytest.raises(Interrupted):
        stopped.run()
    assert stopped.kept.step == 10
    _trainer(tmp_path / "stopped", REPLICAS[:2], **settings).run()
    whole, parts = (
        (place_in(tmp_path / name).path / "state.safetensors").read_bytes() for name in ("straight", "stopped")
    )
    assert whole == parts


def test_replicas_of_a_group_train_as_single_models_do(tmp_path):
    replicas = [(number, 0.5) for number in range(3)]
    _trainer(tmp_path / "together", replicas).run()
    together = Checkpoints(place_in(tmp_path / "together")).load(30)
    for number, replica in enumerate(replicas):
        _trainer(tmp_path / str(number), [replica]).run()
        for name, value in Checkpoints(place_in(tmp_path / str(number))).load(30).items():
            torch.testing.assert_close(together[name][[number]], value, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("fails", [False, True])
def test_the_precision_of_matrix_products_is_that_of_the_settings_and_restored_afterwards(tmp_path, fails):
    before, seen = torch.get_float32_matmul_precision(), []

    class Watched(Urns):
        def batches(self, *arguments):
            seen.append(torch.get_float32_matmul_precision())
            if fails:
                raise RuntimeError("no batch")
            return super().batches(*arguments)

    run = _trainer(
        tmp_path,
        REPLICAS[:1],
        source=lambda mine: Watched([4], [0], dim=3, length=20),
        matmul_precision="medium",
        steps=2,
    )
    if fails:
        with pytest.raises(RuntimeError, match=r"^no batch$"):
            run.run()
    else:
        run.run()
    assert set(seen) == {"medium"}
    assert torch.get_float32_matmul_precision() == before == "highest"


def test_a_replica_that_diverges_is_named_with_its_step_and_the_last_checkpoint(tmp_path):
    """The second replica answers NaN in its 23rd step; nothing of that segment is kept."""
    two = REPLICAS[:2]

    def build(mine):
        model = _build(mine)
        forward, calls = model.forward, []

        def spoiled(sequences):
            calls.append(1)
            out = forward(sequences)
            return out * torch.tensor([1, float("nan")])[:, None, None, None] if len(calls) == 23 else out

        model.forward = spoiled
        return model

    sentence = (
        rf"^the training loss of replica 1 is nan at step 23; last checkpoint in `{tmp_path}/parts/training`: step 20$"
    )
    with pytest.raises(TrainingDiverged, match=sentence):
        _trainer(tmp_path, two, build=build).run()
    assert Checkpoints(place_in(tmp_path)).step == 20
    _trainer(tmp_path, two).run()
    assert Checkpoints(place_in(tmp_path)).steps == [20, 30]


def test_no_replicas_are_refused(tmp_path):
    with pytest.raises(ValueError, match=r"^`replicas` must be one or more; got none$"):
        _trainer(tmp_path, [])
