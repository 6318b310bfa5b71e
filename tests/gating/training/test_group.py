"""What a group does with gradients, step sizes and the precision of products."""

import threading

import pytest
import torch
from small_run import place_in

from gating.models.decoder import UrnDecoder
from gating.models.layers import generators
from gating.studies.strategies.families import every_draw_log_loss
from gating.tasks.urns import Urns
from gating.training.checkpoints import Checkpoints
from gating.training.group import ReplicaGroup, clip_norms
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


@pytest.mark.parametrize("scale", [1e-20, 0.01, 1.0, 100.0])
def test_every_replica_is_clipped_as_torch_clips_a_single_model(scale):
    """Each replica's gradient, over all its tensors, is that of `clip_grad_norm_` on that replica alone."""
    sizes = [1.0, 0.01, 30.0]
    gradients = [_normal(3, 4, 5), _normal(3, 1, 7, seed=1), _normal(3, 2, seed=2)]
    gradients = [scale * torch.stack([s * part for s, part in zip(sizes, g, strict=True)]) for g in gradients]
    clipped = clip_norms(gradients, 0.7)
    for r in range(3):
        alone = [torch.nn.Parameter(torch.zeros_like(g[r])) for g in gradients]
        for leaf, gradient in zip(alone, gradients, strict=True):
            leaf.grad = gradient[r].clone()
        norm = torch.nn.utils.clip_grad_norm_(alone, 0.7)
        for mine, leaf in zip(clipped, alone, strict=True):
            torch.testing.assert_close(mine[r], leaf.grad, rtol=2e-6, atol=0)  # torch adds 1e-6 to the norm
        whole = torch.cat([g[r].flatten() for g in clipped]).norm()
        torch.testing.assert_close(whole, norm.clamp(max=0.7), rtol=1e-12, atol=0)


def test_clipping_leaves_zeros_alone_and_keeps_a_bad_replica_to_itself():
    gradients = [torch.tensor([[0.0, 0.0], [float("nan"), 1.0], [3.0, 4.0]])]
    [clipped] = clip_norms(gradients, 1.0)
    assert clipped[0].tolist() == [0.0, 0.0]
    assert clipped[1].isnan().any()
    torch.testing.assert_close(clipped[2], torch.tensor([0.6, 0.8]))


@pytest.mark.parametrize("annealing", ["none", "cosine"])
def test_training_is_adam_with_scheduled_steps_on_clipped_gradients(annealing):
    """A plain loop over one model with torch's clipping, AdamW without decay and a set learning rate."""
    settings = TrainSettings(
        steps=25, batch_size=4, learning_rate=0.02, warm_up=6, annealing=annealing, max_grad_norm=0.3
    )
    replicas = [(0, 1.0), (1, 1.0)]
    model = _build(replicas).double()
    losses = ReplicaGroup(2, model, _source(replicas), settings, every_draw_log_loss).advance(25, threading.Event())
    for place, replica in enumerate(replicas):
        alone, source, clipped = _build([replica]).double(), _source([replica]), 0
        adam = torch.optim.AdamW(alone.parameters(), weight_decay=0.0, fused=False, foreach=False)
        for step in range(25):
            batch = source.batches(step, 1, 4)
            loss = torch.nn.functional.nll_loss(alone(batch)[0].flatten(0, 1), batch.y[0].flatten())
            adam.zero_grad()
            loss.backward()
            clipped += torch.nn.utils.clip_grad_norm_(alone.parameters(), 0.3) > 0.3
            adam.param_groups[0]["lr"] = settings.rate(step)
            adam.step()
            assert losses[step, place].item() == pytest.approx(loss.item(), rel=1e-4)
        assert clipped > 0
        for name, parameter in model.named_parameters():
            torch.testing.assert_close(parameter[place], dict(alone.named_parameters())[name][0], rtol=1e-4, atol=1e-5)


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
