"""The trainer: replicas do not see each other, every stop can be gone on from."""

import os
import signal
import threading

import pytest
import torch
from small_run import BUILDERS, N_REPLICAS, contents, place_in, source, trainer
from torch import nn

from gating.runs.errors import FolderError, Interrupted
from gating.runs.folder import RunFolder
from gating.training.checkpoints import Checkpoints
from gating.training.schedule import TrainSettings
from gating.training.trainer import Trainer, TrainingDiverged


class _Source:
    """Batches of a sampler; `at` is called with every batch's first step and may change the batch."""

    def __init__(self, seeds, at):
        self.sampler, self.at = source(seeds), at

    def batches(self, first_step, n_steps, batch_size):
        batch = self.sampler.batches(first_step, n_steps, batch_size)
        return self.at(first_step, n_steps, batch) or batch


def _metrics(path):
    return place_in(path).table("metrics")


def _kept(path):
    return Checkpoints(place_in(path))


@pytest.mark.parametrize("model", BUILDERS)
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-4), (torch.float64, 1e-9)])
def test_a_replica_alone_equals_the_same_replica_in_an_ensemble(tmp_path, model, dtype, tolerance):
    """After 50 steps: every parameter relative to its norm, every training loss, and every answer."""
    ensemble = trainer(tmp_path / "ensemble", model=model, dtype=dtype)
    ensemble.run()
    together = ensemble.kept.load(50)
    losses = _metrics(tmp_path / "ensemble")
    for seed in (0, 5, N_REPLICAS - 1):
        single = trainer(tmp_path / f"alone-{seed}", [seed], model=model, dtype=dtype)
        single.run()
        alone = single.kept.load(50)
        for name, value in alone.items():
            mine, other = together[name][seed], value[0]
            assert (mine - other).norm() <= tolerance * other.norm(), name
        mine = losses[losses["replica"] == seed]["train_loss"].to_numpy()
        other = _metrics(tmp_path / f"alone-{seed}")["train_loss"].to_numpy()
        assert mine == pytest.approx(other, rel=tolerance)
        rows = source([seed], dtype).training_rows(torch.arange(64)[None])
        answers = []
        for parameters in (alone, {name: value[[seed]] for name, value in together.items()}):
            network = BUILDERS[model]([seed]).to(dtype)
            network.load_state_dict(parameters)
            answers.append(network(rows))
        torch.testing.assert_close(*answers, rtol=tolerance, atol=tolerance)


def test_training_is_adam_on_the_mean_log_loss_of_each_batch(tmp_path):
    """A plain loop with torch's own Adam over one model at a time gives the same parameters and losses."""
    settings = {"steps": 30, "batch_size": 8, "learning_rate": 3e-3, "checkpoints": 2}
    ours = trainer(tmp_path, [3, 4], dtype=torch.float64, **settings)
    ours.run()
    final, metrics = ours.kept.load(30), _metrics(tmp_path)
    assert metrics["step"].unique().tolist() == [20, 30]
    for place, seed in enumerate((3, 4)):
        model, sampler, losses = BUILDERS["transformer"]([seed]).double(), source([seed], torch.float64), []
        adam = torch.optim.Adam(model.parameters(), lr=3e-3, fused=False, foreach=False)
        for step in range(30):
            batch = sampler.batches(step, 1, 8)
            loss = nn.functional.nll_loss(model(batch)[0], batch.target[0])
            adam.zero_grad()
            loss.backward()
            adam.step()
            losses.append(loss.item())
        for name, parameter in model.named_parameters():
            torch.testing.assert_close(final[name][place], parameter.detach()[0], rtol=1e-9, atol=1e-9)
        wanted = [sum(losses[:20]) / 20, sum(losses[20:]) / 10]
        assert metrics[metrics["replica"] == place]["train_loss"].tolist() == pytest.approx(wanted, rel=1e-9)


def test_frozen_parameters_stay_and_the_others_learn(tmp_path):
    def build(seeds):
        model = BUILDERS["stylized"](seeds)
        model.g.requires_grad_(False)
        return model

    settings = TrainSettings(steps=20, batch_size=8, checkpoints=1)
    Trainer(place_in(tmp_path), [0, 1], build, source, settings).run()
    final, first = _kept(tmp_path).load(20), dict(build([0, 1]).named_parameters())
    for name, value in final.items():
        assert torch.equal(value, first[name]) == name.startswith("g."), name


def test_the_number_of_threads_does_not_change_the_bits(tmp_path):
    before = torch.get_num_threads()
    try:
        for threads in (1, 2):
            torch.set_num_threads(threads)
            trainer(tmp_path / str(threads)).run()
            assert torch.get_num_threads() == threads
    finally:
        torch.set_num_threads(before)
    assert contents(tmp_path / "1") == contents(tmp_path / "2")


def test_an_event_ends_training_at_its_next_step(tmp_path):
    stop = threading.Event()

    def at(first_step, n_steps, batch):
        if first_step >= 30:
            stop.set()

    with pytest.raises(Interrupted, match=r"holds step 28$"):
        trainer(tmp_path / "a", source=lambda seeds: _Source(seeds, at)).run(stop=stop)
    for name in "ab":
        trainer(tmp_path / name).run()
    assert contents(tmp_path / "a") == contents(tmp_path / "b")


def test_a_finished_run_is_not_trained_again(tmp_path):
    trainer(tmp_path).run()
    before, times = contents(tmp_path), {file.name: file.stat().st_mtime_ns for file in tmp_path.rglob("s*.*")}

    def fail(*_):
        raise AssertionError("a batch was asked for")

    trainer(tmp_path, source=lambda seeds: _Source(seeds, fail)).run()
    assert contents(tmp_path) == before
    assert {file.name: file.stat().st_mtime_ns for file in tmp_path.rglob("s*.*")} == times


@pytest.mark.parametrize("n", [1, 3])
def test_a_folder_of_another_number_of_replicas_is_refused(tmp_path, n):
    trainer(tmp_path, [0, 1], steps=2, checkpoints=1).run()
    before = contents(tmp_path)
    with pytest.raises(FolderError, match=rf"must hold {n} replicas, as many as are trained; it holds 2$"):
        trainer(tmp_path, range(n), steps=4, checkpoints=1).run()
    assert contents(tmp_path) == before


@pytest.mark.parametrize("saved", [0, 20])
def test_ctrl_c_raises_interrupted_and_the_same_call_goes_on(tmp_path, saved):
    """The signal comes while batches are drawn, before or after the first save; the next run, by the same trainer or
    by a new one, ends with the bits of an uninterrupted one."""
    trainer(tmp_path / "whole").run()
    for again in ("same", "new"):
        signals = iter([signal.SIGINT])

        def interrupt(first_step, n_steps, batch, signals=signals):
            if first_step >= saved + 3 and (number := next(signals, None)):
                os.kill(os.getpid(), number)

        run = trainer(tmp_path / again, source=lambda seeds, at=interrupt: _Source(seeds, at))
        with pytest.raises(Interrupted, match=f"^interrupted; `{tmp_path / again}/parts/training` holds step {saved}$"):
            run.run()
        (run if again == "same" else trainer(tmp_path / again)).run()
        assert contents(tmp_path / again) == contents(tmp_path / "whole")


def _acting(act, file, after, monkeypatch):
    """Acts before or after a file is written, once the checkpoint of step 20 or 28 is there."""
    write = RunFolder.write

    def acting(folder, name, *arguments):
        checkpoint = folder.path / "parts" / "training" / f"step-000000{28 if after else 20}.safetensors"
        if after:
            write(folder, name, *arguments)
        if name == f"parts/training/{file}" and checkpoint.exists():
            act()
        if not after:
            write(folder, name, *arguments)

    monkeypatch.setattr(RunFolder, "write", acting)


def test_ctrl_c_while_saving_raises_interrupted(tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        _acting(lambda: signal.raise_signal(signal.SIGINT), "step-00000028.safetensors", False, patch)
        with pytest.raises(Interrupted, match=r"holds step 20$"):
            trainer(tmp_path / "a").run()
    for name in "ab":
        trainer(tmp_path / name).run()
    assert contents(tmp_path / "a") == contents(tmp_path / "b")


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("name", ["step-00000028.safetensors", "metrics.parquet", "state.safetensors"])
def test_a_stop_before_or_after_any_file_of_a_save_is_gone_on_from(tmp_path, monkeypatch, name, after):
    """The state's file commits a save: whatever else is there, the run goes on from the last one."""

    def stop():
        raise RuntimeError("stop")

    with monkeypatch.context() as patch:
        _acting(stop, name, after, patch)
        with pytest.raises(RuntimeError, match=r"^stop$"):
            trainer(tmp_path / "a").run()
    for folder in "ab":
        trainer(tmp_path / folder).run()
    assert contents(tmp_path / "a") == contents(tmp_path / "b")
    assert _metrics(tmp_path / "a")["step"].unique().tolist() == [20, 28, 38, 50]


@pytest.mark.parametrize(
    ("bad_step", "kept", "said"), [(33, 28, "step 28"), (5, 0, "none"), (20, 20, "step 20"), (19, 0, "none")]
)
def test_a_loss_that_is_not_finite_stops_the_run_and_is_not_saved(tmp_path, bad_step, kept, said):
    """Replica 11 sees a NaN input in the batch of step `bad_step` + 1: nothing of that segment is kept, and the run
    goes on from the last good save."""

    def spoil(seeds):
        def at(first_step, n_steps, batch):
            if 11 in seeds and first_step <= bad_step < first_step + n_steps:
                x = batch.x.clone()
                x[seeds.index(11), (bad_step - first_step) * 8] = float("nan")
                return batch._replace(x=x)
            return None

        return _Source(seeds, at)

    where = f"last checkpoint in `{tmp_path}/parts/training`: {said}"
    sentence = f"^the training loss of replica 11 is nan at step {bad_step + 1}; {where}$"
    with pytest.raises(TrainingDiverged, match=sentence):
        trainer(tmp_path, source=spoil).run()
    assert _kept(tmp_path).step == kept
    assert max([0, *_kept(tmp_path).steps]) == kept
    whole = tuple(f"training/{name}" for name in ("step-", "state.", "metrics."))
    assert all(name.startswith(whole) for name in contents(tmp_path))
    trainer(tmp_path).run()
    assert _kept(tmp_path).steps == [20, 28, 38, 50]


class _InfiniteSlope(nn.Module):
    """A finite loss whose gradient is not a number: the slope of sqrt(0 p) at 0."""

    def __init__(self, seeds):
        super().__init__()
        self.p = nn.Parameter(torch.tensor([[[float(seed)]] for seed in seeds]))
        self.bad = torch.tensor([[[seed == 1]] for seed in seeds])

    def forward(self, sequences):
        logits = torch.where(self.bad, 0 * self.p, 1 + 0 * self.p).sqrt() + torch.zeros(*sequences.target.shape, 4)
        return logits.log_softmax(-1)


def test_parameters_that_are_not_finite_are_not_saved(tmp_path):
    """The last step of a segment can spoil the parameters with a loss that is still finite."""
    settings = TrainSettings(steps=1, batch_size=8)
    with pytest.raises(TrainingDiverged, match=r"^the parameters of replica 1 are not finite after step 1; .*: none$"):
        Trainer(place_in(tmp_path), [0, 1, 2], _InfiniteSlope, source, settings).run()
    assert contents(tmp_path) == {}


def test_an_error_of_a_group_stops_the_run_and_reaches_the_caller(tmp_path):
    def fail(first_step, n_steps, batch):
        if first_step + n_steps > 26:
            raise RuntimeError("no batch")

    with pytest.raises(RuntimeError, match=r"^no batch$"):
        trainer(tmp_path, source=lambda seeds: _Source(seeds, fail)).run()
    assert _kept(tmp_path).step == 20
