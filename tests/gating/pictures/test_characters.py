"""Images of characters: from fonts that have them, from folders, and what is refused."""

import sys

import numpy as np
import pytest
import torch
from fontTools.fontBuilder import FontBuilder
from fontTools.pens.ttGlyphPen import TTGlyphPen
from PIL import Image

from gating.checks import check_task
from gating.evaluation.conditions import draw_test_set
from gating.pictures import characters
from gating.pictures.characters import find_fonts, kanji, packaged_letters, printed_kanji, read_images, render
from gating.pictures.features import Components
from gating.pictures.one_shot import one_shot
from gating.pictures.sampler import ImageMixtureSampler
from gating.tasks.class_mixture import ClassMixtureSampler
from theory.distribution import ClassMixture
from theory.settings import SpecError


def font(file, held, slope):
    """A font whose glyph k is k + 1 bars, which lean."""
    builder = FontBuilder(1000, isTTF=True)
    names = {ord(letter): f"glyph{place}" for place, letter in enumerate(held)}
    builder.setupGlyphOrder([".notdef", *names.values()])
    builder.setupCharacterMap(names)
    drawn = {".notdef": TTGlyphPen(None).glyph()}
    for place, name in enumerate(names.values()):
        pen = TTGlyphPen(None)
        for bar in range(place + 1):
            x = 100 + 150 * bar
            pen.moveTo((x, 0))
            pen.lineTo((x + slope, 800))
            pen.lineTo((x + slope + 60, 800))
            pen.lineTo((x + 60, 0))
            pen.closePath()
        drawn[name] = pen.glyph()
    builder.setupGlyf(drawn)
    builder.setupHorizontalMetrics(dict.fromkeys(drawn, (1000, 0)))
    builder.setupHorizontalHeader(ascent=900, descent=-100)
    builder.setupNameTable({"familyName": file.stem, "styleName": "Regular"})
    builder.setupOS2()
    builder.setupPost()
    builder.save(file)


@pytest.fixture(scope="module")
def fonts(tmp_path_factory):
    """Every font that is declared, with five kanji."""
    place = tmp_path_factory.mktemp("fonts")
    for own in characters._declared().values():
        for number, name in enumerate(own):
            font(place / name, kanji()[:5], 12 * number)
    return place


def test_kanji_are_those_of_the_standard():
    assert len(set(kanji())) == 2965
    assert (kanji()[0], kanji()[-1]) == ("亜", "腕")


def test_printed_kanji_are_of_training_and_held_out_typefaces(fonts):
    training, held_out = printed_kanji(5, fonts=[fonts])
    assert (training.images.shape, held_out.images.shape) == ((5, 20, 28, 28), (5, 4, 28, 28))
    assert not set(training.typefaces) & set(held_out.typefaces)
    assert training.characters == held_out.characters == kanji()[:5]
    ink = training.images.astype(float).mean((1, 2, 3))
    assert (np.diff(ink) > 0).all()  # a bar more with each character
    for axis in (2, 3):  # amid the square
        profile = training.images.astype(float).sum((0, 1, 5 - axis))
        filled = np.flatnonzero(profile)
        assert abs((filled[0] + filled[-1]) / 2 - 13.5) <= 1
    assert training.sha256 == printed_kanji(5, fonts=[fonts])[0].sha256 != held_out.sha256
    later = printed_kanji(2, fonts=[fonts], first=3)[0]
    assert later.characters == kanji()[3:5]
    assert (later.images == training.images[3:5]).all()


def test_what_is_missing_is_named(fonts, tmp_path, monkeypatch):
    with pytest.raises(
        SpecError, match=r"fonts are missing \(.*\.[ot]tf.*\): `apt-get install fonts-aoyagi-kouzan-t fonts-"
    ):
        printed_kanji(5, fonts=[tmp_path])
    with pytest.raises(SpecError, match="`fonts` must be existing folders; got"):
        find_fonts(tmp_path / "none")
    with pytest.raises(SpecError, match=r"`characters` must be ones that every font has; 'ipag' has no '.'"):
        render({"ipag": fonts / "ipag.ttf"}, kanji()[:6])
    (tmp_path / "bad.ttf").write_bytes(b"no font")
    with pytest.raises(SpecError, match="`fonts` must be files of fonts; got"):
        render({"bad": tmp_path / "bad.ttf"}, ["a"])
    with pytest.raises(SpecError, match="must be one or more, all different"):
        render({"ipag": fonts / "ipag.ttf"}, [])
    with pytest.raises(ValueError, match="`size` must be an integer >= 8; got 4"):
        render({"ipag": fonts / "ipag.ttf"}, kanji()[:5], 4)
    with pytest.raises(ValueError, match="`n_classes` must be an integer in 1"):
        printed_kanji(2966, fonts=[fonts])
    monkeypatch.setattr(characters, "entry_points", lambda group: [])
    with pytest.raises(SpecError, match="icl-gating\\[images\\]"):
        packaged_letters()


def test_letters_need_no_font_of_the_system():
    """The same letter in another typeface is nearer than another letter, more often than by chance."""
    found = packaged_letters()
    assert len(found.typefaces) >= 5
    assert {*"0Az"} < set(found.characters)
    assert len(found.characters) >= 100
    shown = one_shot(found.images, 2, trials=500)
    assert shown.low > 0.6
    assert one_shot(found.images, 20, trials=500).value < shown.value


def test_a_folder_of_omniglots_layout_is_read(tmp_path):
    chance = np.random.default_rng(0)
    for alphabet, n in (("Greek", 2), ("Latin", 1)):
        for number in range(n):
            place = tmp_path / alphabet / f"character{number + 1:02d}"
            place.mkdir(parents=True)
            for drawer in range(3):
                ink = chance.random((105, 105)) < 0.05
                Image.fromarray(~ink).convert("1").save(place / f"{number:04d}_{drawer + 1:02d}.png")
    found = read_images(tmp_path)
    assert found.images.shape == (3, 3, 28, 28)
    assert found.characters == ("Greek/character01", "Greek/character02", "Latin/character01")
    assert 5 < found.images.mean() < 25  # ink is the rarer of both
    (tmp_path / "Latin" / "character01" / "0000_03.png").unlink()
    with pytest.raises(SpecError, match=r"with as many images each, one class a folder; got \[2, 3\]"):
        read_images(tmp_path)
    (tmp_path / "Latin" / "character01" / "0000_03.png").write_bytes(b"none")
    with pytest.raises(SpecError, match=r"`images` must hold images; '.*0000_03\.png' is none"):
        read_images(tmp_path)
    with pytest.raises(SpecError, match="`images` must be an existing folder; got 'nowhere'"):
        read_images("nowhere")


def test_images_that_are_broken_or_of_unreasonable_size_are_named(tmp_path, monkeypatch):
    (tmp_path / "empty").mkdir()
    with pytest.raises(
        SpecError, match=r"`images` must be a folder with images \(.png\), one class a folder; got '.*empty'"
    ):
        read_images(tmp_path / "empty")
    (tmp_path / "a").mkdir()
    file = tmp_path / "a" / "1.PNG"
    Image.fromarray(np.random.default_rng(0).integers(256, size=(400, 400), dtype=np.uint8)).save(file)
    assert read_images(tmp_path).images.shape == (1, 1, 28, 28)
    whole = file.read_bytes()
    last = whole.rindex(b"IDAT")  # of several, so that the file looks like an image at its beginning
    file.write_bytes(whole[:last] + b"\x00\x01DA" + whole[last + 4 :])
    with pytest.raises(SpecError, match=rf"`images` must hold images; '{file}' is none \(.*broken PNG"):
        read_images(tmp_path)
    file.write_bytes(whole)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 50)
    with pytest.raises(SpecError, match=rf"`images` must hold images; '{file}' is none \(Image size"):
        read_images(tmp_path)


@pytest.mark.parametrize("package", ["PIL", "fontTools"])
def test_a_package_that_is_not_installed_is_named(tmp_path, monkeypatch, package):
    for name in [name for name in sys.modules if name.partition(".")[0] == package]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, package, None)
    (tmp_path / "a").mkdir()
    said = rf"images need the package '{package}(\.\w+)*', which is not installed; `pip install 'icl-gating\[images\]'`"
    with pytest.raises(SpecError, match=said):
        packaged_letters(12)
    if package == "PIL":
        with pytest.raises(SpecError, match=said):
            read_images(tmp_path)


SPEC = ClassMixture(n_high=2, n_low=3, dim=4, context_length=2, input_noise=0.1, label_noise=0.1)
EXEMPLARS = torch.randn(5, 3, 4, generator=torch.Generator().manual_seed(0))


def sampler(seeds, **how):
    return ImageMixtureSampler(EXEMPLARS, [SPEC] * len(seeds), n_sequences=1000, data_seeds=seeds, **how)


def test_it_keeps_the_contract_of_tasks():
    def fresh(task, seed, count):
        return task.fresh(seed, torch.arange(count) % 5, torch.arange(count) % 2 == 0)

    check_task(sampler, n_labels=5, fresh=fresh)


def test_labels_are_those_of_the_class_mixture_and_inputs_are_exemplars_drawn_evenly():
    plain = ClassMixtureSampler([SPEC], n_sequences=1000, data_seeds=[3])
    rows, other = (task.batches(0, 1, 5000) for task in (sampler([3]), plain))
    assert (rows.y == other.y).all()
    assert (rows.classes == other.classes).all()
    apart = rows.x.unsqueeze(-2) - EXEMPLARS[rows.classes]
    which = (apart**2).sum(-1).argmin(-1)
    share = torch.bincount(which.flatten(), minlength=3) / which.numel()
    assert (share - 1 / 3).abs().max() < 0.05  # 1,000 rows of three tokens: a standard error of 0.009
    noise = apart.gather(-2, which[..., None, None].expand(*which.shape, 1, 4)).flatten()
    assert abs(noise.std().item() - 0.1) < 0.01
    tokens = which[0, :, 0] * 3 + which[0, :, 1]  # of a sequence, drawn apart
    assert torch.bincount(tokens, minlength=9).min() > 0.6 * len(tokens) / 9


def test_other_exemplars_are_drawn_where_they_are_asked_for():
    task = sampler([0], others={"held_out": 100 + EXEMPLARS[:, :2], "new": 200 + EXEMPLARS[:3]})
    classes, relevant = torch.arange(5), torch.ones(5, dtype=torch.bool)
    known, held_out, new = (task.fresh(1, classes, relevant, exemplars=name) for name in (None, "held_out", "new"))
    assert known.x.abs().max() < 50 < held_out.x.min() < held_out.x.max() < 150 < new.x.min()
    assert (known.y == held_out.y).all()
    assert (known.y == new.y).all()
    apart = (new.x.unsqueeze(-2) - 200 - EXEMPLARS[new.classes % 3]).norm(dim=-1)
    assert apart.min(-1).values.max() < 0.6  # of noise 0.1 in four coordinates
    assert task.batches(0, 1, 50).x.abs().max() < 50
    assert draw_test_set(task, seed=0, evaluation_per_cell=2)
    with pytest.raises(ValueError, match=r"`exemplars` must be one of \['held_out', 'new'\] or None; got 'other'"):
        task.fresh(1, classes, relevant, exemplars="other")


@pytest.mark.parametrize("rivals", [0, 2, 3])
def test_rivals_are_of_one_other_class_in_relevant_contexts_alone(rivals):
    """Of 8 tokens the query's class has 3; the first of the others, and as many as are asked for, have one class."""
    spec = ClassMixture(n_high=20, n_low=80, dim=4, context_length=8, n_relevant=3, zipf=0.0)
    task = ImageMixtureSampler(torch.randn(100, 1, 4), [spec], n_sequences=10**6, data_seeds=[0], rivals=rivals)
    rows = task.fresh(0, torch.arange(100).repeat(20), torch.tensor([True, False]).repeat_interleave(1000))
    context, query = rows.classes[0, :, :-1], rows.query_class[0, :, None]
    copies = (context == query).sum(-1)
    assert (copies[:1000] == 3).all()
    assert (copies[1000:] == 0).all()
    most = torch.stack([torch.bincount(tokens, minlength=100).scatter(0, asked, 0).max()
                        for tokens, asked in zip(context, query, strict=True)])  # fmt: skip
    alike = (most[:1000] >= max(rivals, 2)).double().mean().item()
    assert alike == 1 if rivals else alike < 0.3  # five tokens of 99 classes: two agree in a tenth of contexts
    assert (most[:1000] > max(rivals, 2)).double().mean() < 0.1  # as many, and no more but by chance
    assert (most[1000:] >= 3).double().mean() < 0.05
    assert context.float().mean().item() == pytest.approx(49.5, abs=1.5)
    shown = (context[:1000] != query[:1000]).double().mean(0)
    assert shown.numpy() == pytest.approx(5 / 8, abs=0.06)  # wherever they stand


@pytest.mark.parametrize(
    ("held", "said"),
    [
        (EXEMPLARS[:4], "`exemplars` must be of 5 classes; got 4"),
        (EXEMPLARS[..., :3], "exemplars must have the dimension of the mixture, 4; got 3"),
        *(
            (bad, "`exemplars` must be a floating tensor of shape")
            for bad in (EXEMPLARS[:, :0], EXEMPLARS.long(), None)
        ),
    ],
)
def test_exemplars_that_do_not_fit_are_refused(held, said):
    with pytest.raises(ValueError, match=said):
        ImageMixtureSampler(held, [SPEC], n_sequences=100, data_seeds=[0])
    if held is not None and said.startswith("exemplars"):
        with pytest.raises(ValueError, match=said):
            sampler([0], others={"new": held})


def test_components_are_those_of_the_covariance():
    images = np.random.default_rng(0).integers(256, size=(6, 5, 8, 8), dtype=np.uint8)
    found = Components.of(images, 7)
    flat = images.reshape(30, -1) / 255
    scale = np.linalg.norm(found.directions, axis=1)
    assert np.allclose(found.directions @ found.directions.T, np.diag(scale**2), atol=1e-12)
    singular = np.linalg.svd(flat - flat.mean(0), compute_uv=False) ** 2
    assert found.kept == pytest.approx(singular[:7].sum() / singular.sum())
    x = found.of_images(images)
    assert np.allclose((x.double() ** 2).sum(-1).mean(), 1)
    with pytest.raises(ValueError, match="`dim` must be an integer in 1"):
        Components.of(images, 30)
