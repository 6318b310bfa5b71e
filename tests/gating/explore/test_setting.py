"""Settings of the explorer: what an address says, what is refused, and which maps are the same."""

import pytest

from gating.explore.setting import (
    Setting,
    bounds_of,
    is_slow,
    kinetics_of,
    map_of,
    read_setting,
    texts_of,
    without_point,
)
from gating.settings.text import as_plain
from gating.studies.phases.config import Axis
from gating.studies.phases.study import diagrams_of
from theory.distribution import ClassMixture
from theory.settings import SpecError, field_types

OTHER = Setting(
    distribution=ClassMixture(
        n_high=2, n_low=3, p_high=1 / 3, zipf=None, p_relevant=0.1 + 0.2, context_length=4, n_relevant=2, dim=7,
        input_noise=1e-9, label_noise=0.07, label_noise_kind="shift", query_frequencies=(0.2,) * 5,
    ),
    x=Axis("label_noise_kind", values=("uniform", "shift")), y=Axis("dim", 2.0, 20.0, 7, "linear"),
    n_sequences=12, measure="log_loss", context="irrelevant", temperature=0.3, clip=1e-5, squared_distance=(1.0, 2.5),
    cover_classes=True, beta=0.02, bounds="simple", steps=77, weight_rate=3.0, gate_rate=0.1, copier_rate=7.5,
    shared_gate=True, by_heart=True, level=0.25,
)  # fmt: skip


def test_every_value_goes_through_the_address_and_back():
    texts = texts_of(OTHER)
    assert read_setting(texts) == OTHER
    keys = {key for key in field_types(Setting) if key not in ("study", "distribution", "x", "y")}
    assert set(texts) == keys
    usual = texts_of(Setting())
    same = {
        "distribution.zipf",
        "distribution.relevance",
        "inputs",
        "x.low",
        "x.high",
        "x.count",
        "x.scale",
        "y.scale",
        "y.values",
    }
    for key in keys - same:
        assert texts[key] != usual[key], key
    each = Setting(distribution=ClassMixture(relevance="token"))
    assert read_setting(texts_of(each)) == each


@pytest.mark.parametrize(
    ("texts", "sentence"),
    [
        ({"distribution.p_high": "2"}, "`distribution.p_high` must be in (0, 1); got 2"),
        ({"evil": "<script>"}, "unknown key `evil`"),
        ({"config": "/etc/passwd"}, "unknown key `config`"),
        ({"preset": "paper"}, "unknown key `preset`"),
        ({"study": "compare"}, "unknown key `study`"),
        ({"distribution": "{dim: 3}"}, "`distribution` must be given field by field, such as `distribution.n_high`"),
        ({"x.field=y": "1"}, "unknown key `x.field=y`"),
        ({"--config": "x"}, "unknown key `--config`"),
        ({"measure": "error", "beta": "[" * 900}, "`beta` must be a YAML value"),
        ({"beta": "1" * 5000}, "an address must have at most 4000 characters of settings"),
        ({"distribution.n_high": "1048570"}, "there must be at most 200 classes in the explorer"),
        (
            {"x.field": "n_low", "x.low": "2", "x.high": "500"},
            "there must be at most 200 classes in the explorer; got up to 505",
        ),
        ({"distribution.context_length": "1000"}, "`distribution.context_length` must be at most 64 in the explorer"),
        ({"y.field": "context_length", "y.low": "1", "y.high": "999"}, "must be at most 64 in the explorer; got 999"),
        ({"x.values": str([*range(80)])}, "`x` must have at most 60 points in the explorer; got 80"),
        ({"x.count": "1000"}, "`x` must have at most 60 points in the explorer; got 1000"),
        ({"x.field": "p_high"}, "`x.field` and `y.field` must differ; got 'p_high' for both"),
        ({"x.low": "-3"}, "`x.low` and `x.high` must satisfy 0 < low < high"),
        ({"n_sequences": "1e400"}, "`n_sequences` must be an integer in 0 .. 2^53"),
        ({"distribution.query_frequencies": "&a [*a, *a]"}, "`distribution.query_frequencies`"),
    ],
)
def test_an_address_that_does_not_do_gets_a_sentence(texts, sentence):
    with pytest.raises(SpecError) as refused:
        read_setting(texts)
    assert any(sentence in problem for problem in refused.value.problems), refused.value.problems
    assert all(len(problem) < 700 for problem in refused.value.problems)


@pytest.mark.parametrize(
    "config",
    [
        map_of(Setting(x=Axis("n_sequences", 10, 1000, 5), y=Axis("p_high", 0.5, 0.9, 4, "linear"))),
        map_of(Setting(x=Axis("dim", 2, 64, 3), y=Axis("label_noise", 0.0, 0.3, 3, "linear"), n_sequences=50)),
    ],
)
def test_maps_of_one_key_are_equal(config):
    other = map_of(
        Setting(
            x=config.x, y=config.y, n_sequences=7 if config.x.field == "n_sequences" else config.n_sequences,
            distribution=ClassMixture(**{config.y.field: config.y.points[-1]}),
        )
    )  # fmt: skip
    assert other != config
    assert without_point(other) == without_point(config)
    one, two = (diagrams_of(each, each.x.points, each.y.points) for each in (config, without_point(config)))
    for group, diagram in one.items():
        for name, values in vars(diagram.bounds).items():
            assert (values == getattr(two[group].bounds, name)).all()


def test_a_part_has_the_settings_of_its_study():
    setting = Setting(measure="log_loss", distribution=ClassMixture(label_noise=0.1), squared_distance=1.5, beta=0.5)
    plain = as_plain(setting)
    for config, left_out in (
        (map_of(setting), set()),
        (bounds_of(setting), {"n_sequences"}),
        (kinetics_of(setting), set()),
    ):
        for name, value in as_plain(config).items():
            if name in plain and name not in {"study", *left_out}:
                assert value == plain[name] or value == [plain[name]], name
    assert bounds_of(Setting(cover_classes=True)).n_sequences[0] >= 10
    assert bounds_of(Setting(distribution=ClassMixture(n_high=0))).groups == ("low",)


def test_slow_maps_are_told_beforehand():
    quick = [Setting(), Setting(measure="log_loss"), Setting(y=Axis("p_relevant", 0.0, 1.0, scale="linear"))]
    slow = [
        Setting(x=Axis("label_noise", 0.0, 0.5, scale="linear")), Setting(inputs="noisy", squared_distance=None),
        Setting(distribution=ClassMixture(zipf=1.0)),
    ]  # fmt: skip
    assert [is_slow(map_of(each)) for each in quick + slow] == [False] * 3 + [True] * 3
