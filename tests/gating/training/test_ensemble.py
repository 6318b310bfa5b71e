"""Ensembles: groups that train on their own, found again by what the replicas are."""

from dataclasses import dataclass, replace

import pytest
import torch
from small_run import BUILDERS, place_in, source

from gating.runs.ensemble import Ensemble
from gating.runs.executor import Resources, run_parts
from gating.runs.folder import RunFolder
from gating.runs.store import Place
from gating.training.checkpoints import Checkpoints
from gating.training.schedule import TrainSettings
from gating.training.trained import Trained
from gating.training.trainer import Trainer

SETTINGS = TrainSettings(steps=12, batch_size=8, learning_rate=3e-3, checkpoints=1, save_every=5)


@dataclass(frozen=True)
class Seeded:
    seed: int
    size: int = 1


def _trainer(place, resources, replicas, settings=SETTINGS):
    def build(mine):
        return BUILDERS["stylized"]([replica.seed for replica in mine])

    return Trainer(place, replicas, build, lambda mine: source([r.seed for r in mine]), settings)


def _ensemble(replicas, **named):
    return Ensemble("e", replicas, _trainer, {"rate": 0.1}, **{"per_group": 4} | named)


def _run(path, ensembles, workers=2, device="cpu"):
    folder = RunFolder(path)
    with folder.locked():
        if not folder.is_run:
            folder.begin("study", {})
        parts = [part for ensemble in ensembles for part in ensemble.parts(device)]
        run_parts(parts, folder, Resources(workers=workers, say=lambda line: None))
    return folder


SEEDS = [Seeded(seed) for seed in range(10)]


def test_groups_hold_about_as_many_as_are_wanted_and_are_even_in_number():
    for n in range(17, 300):
        sizes = [len(group) for group in Ensemble("e", range(n), _trainer, {}).groups("cpu")]
        assert sum(sizes) == n
        assert len(sizes) % 2 == 0
        assert min(sizes) >= 8
        assert max(sizes) <= 24
        assert max(sizes) - min(sizes) <= 1
    for n in range(1, 17):
        assert len(Ensemble("e", range(n), _trainer, {}).groups("cpu")) == 1
        assert len(Ensemble("e", range(n), _trainer, {}, per_group=1).groups("cpu")) == n
    assert len(Ensemble("e", range(300), _trainer, {}, per_group=1).groups("cuda")) == 1


@pytest.mark.parametrize(("device", "sizes"), [("cpu", [5, 5, 3]), ("cuda", [10, 3])])
def test_replicas_of_two_shapes_train_apart(device, sizes):
    replicas = SEEDS + [Seeded(seed, 2) for seed in range(3)]
    groups = _ensemble(replicas, shape=lambda replica: replica.size).groups(device)
    assert [len(group) for group in groups] == sizes
    assert [replica for group in groups for replica in group] == replicas


def test_replicas_are_found_by_what_they_are_in_any_order(tmp_path):
    ensemble = _ensemble(SEEDS)
    folder = _run(tmp_path, [ensemble])
    assert sorted(folder.done) == ["train/e/0", "train/e/1"]
    trained, place = Trained(Place(folder, "anything"), ensemble), place_in(tmp_path / "whole")
    whole = {}
    for number, group in enumerate(ensemble.groups("cpu")):
        for row, replica in enumerate(group):
            whole[replica] = Checkpoints(Place(folder, f"train/e/{number}")).load(12, slice(row, row + 1))
    for wanted in (SEEDS, SEEDS[::-1], [SEEDS[7], SEEDS[0], SEEDS[1], SEEDS[9], SEEDS[0]], SEEDS[3:4]):
        for name, value in trained.load(12, wanted).items():
            assert torch.equal(value, torch.cat([whole[replica][name] for replica in wanted])), name
    assert place.names == []


def test_the_number_of_workers_and_other_ensembles_do_not_change_the_bits(tmp_path):
    other = replace(_ensemble(SEEDS[:3]), name="other")
    folders = [_run(tmp_path / "1", [_ensemble(SEEDS)], workers=1), _run(tmp_path / "2", [other, _ensemble(SEEDS)])]
    for number in range(2):
        kept = [Place(folder, f"train/e/{number}").path for folder in folders]
        for name in ("state.safetensors", "metrics.parquet", "replicas.jsonl", "step-00000012.safetensors"):
            assert (kept[0] / name).read_bytes() == (kept[1] / name).read_bytes()


def test_what_shares_other_settings_is_another_model(tmp_path):
    ensemble = _ensemble(SEEDS[:2])
    folder = _run(tmp_path, [ensemble])
    for other, replica in (
        (replace(ensemble, shared={"rate": 0.2}), SEEDS[0]),
        (ensemble, Seeded(0, 2)),
        (ensemble, SEEDS[2]),
    ):
        with pytest.raises(KeyError, match="seed"):
            Trained(Place(folder, ""), other).load(12, [replica])


def test_a_group_of_other_replicas_begins_anew(tmp_path):
    """As where a run goes on, by force, on a device whose groups are others."""

    for seeds in (SEEDS[:4], SEEDS[4:7]):
        folder = RunFolder(tmp_path)
        with folder.locked():
            if not folder.is_run:
                folder.begin("study", {})
            [part] = _ensemble(seeds).parts("cpu")
            part.work(Place(folder, part.name), Resources(say=lambda line: None))
    alone = _run(tmp_path / "alone", [_ensemble(SEEDS[4:7])])
    for name in ("state.safetensors", "replicas.jsonl"):
        assert (tmp_path / "parts/train/e/0" / name).read_bytes() == (
            alone.path / "parts/train/e/0" / name
        ).read_bytes()
