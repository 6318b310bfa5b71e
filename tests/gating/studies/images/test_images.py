"""The study of images as a whole, on a folder of made-up characters: its table, its inputs, and what it refuses."""

import re
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from image_folders import N_EXEMPLARS, write_characters
from PIL import Image

from gating.checks.studies import check_study
from gating.evaluation.conditions import conditions, draw_test_set
from gating.pictures import characters
from gating.pictures.banks import load_banks
from gating.results.query import select
from gating.runs import engine
from gating.runs.errors import FolderError
from gating.runs.executor import Resources
from gating.runs.folder import RunFolder
from gating.runs.identity import contents
from gating.runs.store import Place
from gating.studies.images.config import ImagesConfig
from gating.studies.images.page import images_verdict
from gating.studies.images.study import Images
from gating.studies.images.systems import ImageSystems, inputs_of
from gating.studies.replicas import TransformerShape
from gating.training.schedule import TrainSettings
from theory.distribution import ClassMixture
from theory.settings import SpecError

DATA = ClassMixture(n_high=2, n_low=4, dim=8, context_length=2, input_noise=0.1)
QUIET = Resources("cpu", 1, say=lambda line: None)
PIXELS = {"encoder": "convolutional", "distribution": replace(DATA, dim=64)}


def tiny(folder, **fields) -> ImagesConfig:
    training = TrainSettings(steps=40, batch_size=8, learning_rate=0.01, checkpoints=2, save_every=10)
    given = {
        "images": str(folder),
        "pixels": 8,
        "exemplars": "all",
        "distribution": DATA,
        "n_sequences": (16, 64),
        "n_seeds": 2,
        "evaluation_per_cell": 3,
        "evaluation_classes": 3,
        "hidden": 8,
        "transformer": TransformerShape(width=8, depth=1, mlp_factor=1.0),
        "transformer_training": training,
        "stylized_training": training,
    }
    return ImagesConfig(**(given | fields))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_characters(tmp_path_factory.mktemp("omniglot"))


@pytest.fixture(scope="module")
def whole(folder, tmp_path_factory):
    out = tmp_path_factory.mktemp("whole") / "run"
    return out, engine.run(Images(), tiny(folder), out, QUIET)


def test_the_table_has_every_system_and_what_training_never_showed(whole):
    table = whole[1]
    assert set(table["study"]) == {"images"}
    measured = table[~table["answer"]]
    assert set(measured["kind"]) == {"measured"}  # no theory
    assert set(measured["system"]) == {"in_weight", "in_context", "stylized", "stylized_frozen", "transformer",
                                       "transformer_iw", "transformer_ic"}  # fmt: skip
    of_error = select(measured, {"measure": "error", "system": "transformer", "step": 40, "group": "low"})
    shown = {name: {*rows["context"]} for name, rows in of_error.groupby("distribution")}
    kinds = {"relevant", "irrelevant", "as_trained"}
    assert shown == {**dict.fromkeys(["ibd", "oobd", "unseen_ibd", "unseen_oobd"], kinds), "new_ibd": {"relevant"}}
    assert set(select(measured, {"measure": "error", "context": "relevant", "group": "low"})["tests"]) == {9}
    assert np.isfinite(measured["value"]).all()
    assert {"crossover_gate", "crossover_error"} & set(table.loc[table["answer"], "measure"])
    page = (whole[0] / "report.html").read_text(encoding="utf-8")
    assert "unseen exemplars" in page
    assert "never-shown-by-n" in page


def test_the_verdict_tells_of_what_training_never_showed(whole, folder):
    """Means over seeds at the largest N and the last step, of all classes."""
    config, table = tiny(folder), whole[1]
    said = images_verdict(config, table)[-1]
    assert said.startswith(f"At N = {max(config.n_sequences)}, the Transformer errs ")
    found = dict(
        re.findall(r"on (exemplars of training|exemplars it never saw|classes it never saw).*? (\S+) \[", said)
    )
    mine = select(table, {"system": "transformer", "measure": "error", "kind": "measured", "group": "all", "step": 40})
    for words, distribution, context in (("exemplars of training", "ibd", "irrelevant"),
                                         ("exemplars it never saw", "unseen_ibd", "irrelevant"),
                                         ("classes it never saw", "new_ibd", "relevant")):  # fmt: skip
        rows = select(mine, {"distribution": distribution, "context": context, "n": max(config.n_sequences)})
        assert len(rows) == config.n_seeds
        assert float(found[words]) == pytest.approx(rows["value"].mean(), rel=0.01)


@pytest.mark.parametrize("encoder", ["components", "convolutional"])
def test_rows_are_what_the_kept_models_answer(whole, folder, tmp_path, encoder):
    """The error on new classes, recounted for one replica from images drawn again."""
    out, table, config = *whole, tiny(folder)
    if encoder == "convolutional":
        out, config = tmp_path / "run", tiny(folder, **PIXELS, n_sequences=16)
        table = engine.run(Images(), config, out, QUIET)
    systems = ImageSystems(config, Place(RunFolder(out), ""), torch.device("cpu"))
    [replica] = config.replicas[:1]
    assert config.tested == [0, 1, 2, 3, 5]
    query = torch.tensor([2, 3, 5]).repeat_interleave(2 * 3)
    relevant = torch.tensor([True, False]).repeat_interleave(3).repeat(3)
    every = torch.tensor(config.tested).repeat_interleave(6)
    source = systems.source([replica])
    asked = source.fresh(0, every, torch.tensor([True, False]).repeat_interleave(3).repeat(5), exemplars="new")
    model = systems.trained("transformer", 40, [replica])
    wrong = (model(asked).argmax(-1) != asked.target).double()[0, 12:][relevant].mean().item()
    assert len(query) == 18
    where = {"system": "transformer", "step": 40, "n": 16, "seed": 0, "distribution": "new_ibd", "group": "low",
             "measure": "error", "context": "relevant"}  # fmt: skip
    [found] = select(table, where)["value"]
    assert found == pytest.approx(wrong, abs=1e-6)


def test_training_sees_only_its_own_exemplars(folder):
    """Of five hands the last is held out; `single` is one of the others for each class, and components are of it."""
    banks = load_banks(6, images=str(folder), pixels=8)
    every = characters.read_images(folder, 8).images
    assert (banks.training.images == every[:6, : N_EXEMPLARS - 1]).all()
    assert (banks.unseen.images == every[:6, N_EXEMPLARS - 1 :]).all()
    assert (banks.new.images == every[6:, : N_EXEMPLARS - 1]).all()
    assert load_banks(8, images=str(folder), pixels=8).new is None
    pixels = tiny(folder, **PIXELS, exemplars="single")
    single = inputs_of(pixels)[None]
    assert single.shape == (6, 1, 64)
    for c in range(6):
        assert np.allclose(single[c, 0] * 255, every[c, c % 4].ravel())
    assert inputs_of(replace(pixels, exemplars="all"))[None].shape == (6, 4, 64)
    few = inputs_of(
        tiny(folder, exemplars="single", distribution=replace(DATA, dim=4), transformer=TransformerShape(width=4))
    )
    assert float((few[None] ** 2).sum(-1).mean()) == pytest.approx(1, rel=1e-5)


def test_a_file_that_changes_is_read_again(tmp_path):
    folder = write_characters(tmp_path)
    before = load_banks(6, images=str(folder), pixels=8)
    assert load_banks(6, images=str(folder), pixels=8) is before
    file = next(folder.rglob("0000_01.png"))
    with Image.open(file) as image:
        inverted = image.point(lambda ink: 255 - ink)
    inverted.save(file)
    after = load_banks(6, images=str(folder), pixels=8)
    assert after.sha256 != before.sha256
    assert (after.training.images[0, 0] != before.training.images[0, 0]).all()
    (folder / "gone.ttf").symlink_to(tmp_path / "nowhere")
    (folder / "notes.txt").write_text("of no image")
    assert load_banks(6, images=str(folder), pixels=8) is after


def test_letters_of_packages_and_what_is_missing_is_named(monkeypatch):
    banks = load_banks(20, characters="letters", pixels=12)
    assert banks.training.characters[:3] == ("0", "1", "2")
    assert not {*banks.training.typefaces} & {*banks.unseen.typefaces}
    assert len(banks.new.characters) == 20
    with pytest.raises(
        SpecError, match=r"`distribution` must have at most \d+ classes, as there are letters; got 5000"
    ):
        load_banks(5000, characters="letters")
    monkeypatch.setattr(characters, "find_fonts", lambda *folders: {})
    with pytest.raises(SpecError, match=r"fonts are missing \(.*\): `apt-get install fonts-"):
        load_banks(7, characters="kanji", pixels=9)
    monkeypatch.setattr(characters, "entry_points", lambda group: [])
    with pytest.raises(SpecError, match=r"`pip install 'icl-gating\[images\]'`"):
        load_banks(7, characters="letters", pixels=9)


def test_memory_counts_the_images(folder):
    kanji = ImagesConfig(pixels=28)
    sizes = {pixels: Images().memory(replace(kanji, pixels=pixels)) for pixels in (28, 128, 256)}
    assert sizes[28] < 4 * 2**30 < sizes[128] < sizes[256]
    all_shown = replace(kanji, pixels=128, exemplars="all")
    assert Images().memory(all_shown) == pytest.approx(sizes[128] + 23 * 1623 * 128**2 * 16)
    asked = replace(kanji, pixels=256, encoder="convolutional", distribution=replace(kanji.distribution, dim=256**2))
    assert Images().memory(asked) > 24 * 1623 * 256**2 * 4


def test_pixels_belong_to_what_a_run_is(whole, folder, tmp_path):
    config = tiny(folder)
    before = contents(Images().inputs(config, print))
    assert set(before) == {"the images", f"`images` {folder}"}
    other = tiny(write_characters(tmp_path / "other", seed=1))
    assert contents(Images().inputs(other, print))["the images"] != before["the images"]
    with pytest.raises(FolderError, match="evaluation_per_cell is 3 there, 4 here"):
        engine.run(Images(), replace(config, evaluation_per_cell=4), whole[0], QUIET)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"images": "nowhere"}, "`images` must be an existing folder; got 'nowhere'"),
        (
            {"distribution": replace(DATA, n_low=8)},
            "`distribution` must have at most 8 classes, as there are classes in",
        ),
        (
            {"exemplars": "single"},
            "`distribution.dim` must be less than 6, the number of images that are trained on, .*; got 8",
        ),
    ],
)
def test_nothing_is_written_where_images_do_not_do(folder, tmp_path, fields, said):
    with pytest.raises(SpecError, match=said):
        engine.run(Images(), tiny(folder, **fields), tmp_path / "run", QUIET)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        (
            {"encoder": "convolutional"},
            "`distribution.dim` must be `pixels`^2 = 64 where `encoder` is convolutional; got 8",
        ),
        ({"transformer": TransformerShape(width=16)}, "`transformer.width` must equal `distribution.dim` = 8; got 16"),
        (
            {"rivals": 1},
            "`rivals` must be at most `distribution.context_length` - `distribution.n_relevant` = 0, where null stands "
            "for the whole context; got 1",
        ),
    ],
)
def test_settings_that_do_not_fit_are_refused(folder, fields, said):
    with pytest.raises(SpecError) as caught:
        tiny(folder, **fields)
    assert caught.value.problems == [said]


def test_tests_of_some_classes_are_those_of_all_with_weights_of_their_own(folder):
    config = tiny(folder)
    systems = ImageSystems(config, Place(RunFolder(folder), ""), torch.device("cpu"))
    sampler, classes = systems.source(config.replicas[:1]), [1, 4, 5]
    some = draw_test_set(sampler, seed=0, evaluation_per_cell=2, classes=classes, prefix="p_", exemplars="unseen")
    assert set(some.sequences) == set(some.label_distribution) == {"p_ibd", "p_oobd"}
    asked = some.sequences["p_ibd"]
    assert asked.query_class[0].tolist() == [1] * 4 + [4] * 4 + [5] * 4
    assert (some.label_distribution["p_oobd"].argmax(-1) == some.sequences["p_oobd"].target).all()
    weights = {(c.context, c.group): c.weights for c in conditions(DATA, classes)}
    assert weights["relevant", "low"][:, 0].tolist() == [0, 0.5, 0.5]
    assert weights["irrelevant", "all"][:, 1] == pytest.approx([0.9, 0.05, 0.05])  # groups keep their shares


@pytest.mark.long
def test_it_keeps_the_contract_of_studies(folder):
    check_study(Images, tiny(folder, n_sequences=16))


def test_tables_of_two_runs_are_the_same(whole, folder, tmp_path):
    again = engine.run(Images(), tiny(folder), tmp_path / "run", Resources("cpu", 2, say=lambda line: None))
    pd.testing.assert_frame_equal(again, whole[1])
