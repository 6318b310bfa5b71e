"""What a group does with gradients and step sizes, and ensembles whose models differ in width."""

import threading

import pytest
import torch
from small_run import place_in

from gating.models.decoder import UrnDecoder
from gating.models.layers import generators
from gating.studies.strategies.families import every_draw_log_loss
from gating.tasks.urns import Urns
from gating.training.checkpoints import Checkpoints
from gating.training.group import ReplicaGroup, clip_norms, narrowed, widened
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


def _trainer(path, replicas=REPLICAS, *, build=_build, source=_source, sizes=(2, 1, 1), workers=1, **settings):
    settings = TrainSettings(
        **{"steps": 30, "batch_size": 8, "learning_rate": 0.01, "checkpoints": 2, "clip": 0.5, "save_every": 15}
        | settings
    )
    return Trainer(
        place_in(path), replicas, build, source, settings,
        loss=every_draw_log_loss, group_sizes=list(sizes), workers=workers,
    )  # fmt: skip


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
    settings = TrainSettings(steps=25, batch_size=4, learning_rate=0.02, warm_up=6, annealing=annealing, clip=0.3)
    replicas = [(0, 1.0), (1, 1.0)]
    model = _build(replicas).double()
    losses = ReplicaGroup(slice(0, 2), model, _source(replicas), settings, every_draw_log_loss).advance(
        25, threading.Event()
    )
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


def test_narrow_models_fill_a_wide_tensor_and_come_back():
    parts = [_normal(2, 3, 4), _normal(1, 3, 6, seed=1), _normal(1, 3, 1, seed=2)]
    whole = widened(parts)
    assert whole.shape == (4, 3, 6)
    for rows, part in zip((slice(0, 2), slice(2, 3), slice(3, 4)), parts, strict=True):
        assert torch.equal(narrowed(whole[rows], part), part)
    assert (whole[:2, :, 4:] == 0).all()
    assert (whole[3:, :, 1:] == 0).all()


def test_models_of_several_widths_train_together_as_each_does_alone(tmp_path):
    """Bits of parameters and moments, whatever the workers, and after a stop and a resume at a save."""
    together = _trainer(tmp_path / "together", sizes=[1] * 4)
    together.run()
    held = together.kept.load_state()[1]
    assert held["parameters.blocks.0.up.weight"].shape == (4, 8, 16)
    for number, replica in enumerate(REPLICAS):
        alone = _trainer(tmp_path / str(number), [replica], sizes=[1])
        alone.run()
        for name, value in alone.kept.load_state()[1].items():
            mine = held[name][number : number + 1]
            assert torch.equal(narrowed(mine, value), value), name
            assert mine.count_nonzero() == value.count_nonzero(), name
    _trainer(tmp_path / "twice", sizes=[1] * 4, workers=2, steps=15, checkpoints=1).run()
    place_in(tmp_path / "twice").discard("step-00000015.safetensors")
    _trainer(tmp_path / "twice", sizes=[1] * 4, workers=2).run()
    for name in ("state.safetensors", "step-00000030.safetensors"):
        assert (place_in(tmp_path / "twice").path / name).read_bytes() == (together.kept.place.path / name).read_bytes()


def test_groups_of_equal_width_train_as_single_models_do(tmp_path):
    _trainer(tmp_path / "pairs").run()
    _trainer(tmp_path / "single", sizes=[1] * 4).run()
    pairs, single = (Checkpoints(place_in(tmp_path / name)).load(30) for name in ("pairs", "single"))
    for name in pairs:
        torch.testing.assert_close(pairs[name], single[name], rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("sizes", [[2, 1], [2, 2, 1], [4, 0], [5, -1], []])
def test_group_sizes_that_do_not_add_up_are_refused(tmp_path, sizes):
    with pytest.raises(ValueError, match=r"^`group_sizes` must (add up to|be one or more integers >= 1; got)"):
        _trainer(tmp_path, sizes=sizes)


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
        sizes=[1],
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
    """Replica 2, the wide one alone in its group, answers NaN in its 23rd step; nothing of that segment is kept."""

    def build(mine):
        model = _build(mine)
        if mine[0][0] == 2:
            forward, calls = model.forward, []

            def spoiled(sequences):
                calls.append(1)
                out = forward(sequences)
                return out * float("nan") if len(calls) == 23 else out

            model.forward = spoiled
        return model

    sentence = (
        rf"^the training loss of replica 2 is nan at step 23; last checkpoint in `{tmp_path}/parts/training`: step 20$"
    )
    with pytest.raises(TrainingDiverged, match=sentence):
        _trainer(tmp_path, build=build).run()
    assert Checkpoints(place_in(tmp_path)).step == 20
    _trainer(tmp_path).run()
    assert Checkpoints(place_in(tmp_path)).steps == [20, 30]
