"""Settings from pairs and YAML: what is typed, what is refused, and how it is named."""

import pytest

from gating.settings import load_settings, read_yaml
from gating.studies.compare.config import CompareConfig
from theory.distribution import SpecError


def problems(*given) -> list[str]:
    with pytest.raises(SpecError) as caught:
        load_settings(CompareConfig, list(given))
    return caught.value.problems


WRONG = [
    ("n_seeds", None, "`n_seeds` must be int; got None"),
    ("n_seeds", True, "`n_seeds` must be int; got True"),
    ("n_seeds", 3.0, "`n_seeds` must be int; got 3.0"),
    ("n_seeds", 0, "`n_seeds` must be an integer >= 1; got 0"),
    ("n_sequences", [64.5], "`n_sequences` must be tuple[int, ...]; got [64.5]"),
    ("n_sequences", None, "`n_sequences` must be tuple[int, ...]; got None"),
    ("cover_classes", None, "`cover_classes` must be bool; got None"),
    ("study", None, "`study` must be 'compare'; got None"),
    ("seed", -1, "`seed` must be an integer in 0 .. 2^32 - 1; got -1"),
    ("stylized_training.steps", 0, "`stylized_training.steps` must be an integer >= 1; got 0"),
    ("transformer_training.learning_rate", None, "`transformer_training.learning_rate` must be float; got None"),
    (
        "transformer_training.learning_rate",
        float("nan"),
        "`transformer_training.learning_rate` must be a number > 0; got nan",
    ),
    ("distribution", 3, "`distribution` must hold settings such as `distribution.label_noise_kind`; got 3"),
    ("distribution", None, "`distribution` must hold settings such as `distribution.label_noise_kind`; got None"),
    ("distributon", {}, "unknown key `distributon`; did you mean `distribution.dim`?"),
    (
        "distribution.query_frequencies",
        [1.0],
        "`distribution.query_frequencies` must be `distribution.n_high` + `distribution.n_low` = 10 positive numbers"
        " that sum to 1; got (1.0,)",
    ),
]


@pytest.mark.parametrize(("key", "value", "sentence"), WRONG)
def test_a_value_out_of_its_set_is_named_by_its_whole_key(key, value, sentence):
    assert problems((key, value)) == [sentence]


def test_a_value_that_yaml_reads_as_text_is_a_number_and_later_pairs_win():
    config = load_settings(
        CompareConfig,
        [
            ("transformer_training.learning_rate", "1e-3"),
            ("n_seeds", 2),
            ("n_seeds", 4),
            ("distribution.zipf", None),
            ("transformer", {}),
        ],
    )
    assert (config.transformer_training.learning_rate, config.n_seeds, config.distribution.zipf) == (1e-3, 4, None)
    assert config.transformer_training.steps == 50_000  # the section's own default stays


def test_a_file_is_flat_pairs(tmp_path):
    file = tmp_path / "a.yaml"
    file.write_text("n_seeds: 2\ndistribution:\n  dim: 8\ntransformer: {}\n")
    assert read_yaml(file) == [("n_seeds", 2), ("distribution.dim", 8), ("transformer", {})]


@pytest.mark.parametrize("text", ["n_seeds: 2\nn_seeds: 3\n", "distribution:\n  dim: 8\n  dim: 9\n"])
def test_a_key_that_is_given_twice_is_refused(tmp_path, text):
    file = tmp_path / "a.yaml"
    file.write_text(text)
    name = "dim" if "dim" in text else "n_seeds"
    with pytest.raises(SpecError, match=rf"must be a YAML file; '{file}' is not: `{name}` is given twice in "):
        read_yaml(file)
