"""The front end: what flags, files and presets mean, where errors are, and that printed settings are settings."""

import os
import time
from collections.abc import Iterator
from dataclasses import field
from itertools import pairwise
from pathlib import Path
from typing import Literal

import pytest
import yaml

from gating.settings import near, read_config, read_flags
from gating.settings.text import as_plain, help_text, print_config, settings_differences
from theory.distribution import ClassMixture
from theory.fields import Count, Positive, Several
from theory.settings import SpecError, settings


@settings
class Training:
    """How it is trained.

    Args:
        steps: number of steps.
        rate: step size, > 0.
    """

    steps: Count
    rate: Positive = 0.1


@settings
class Config:
    """What is asked?

    Longer words, which help leaves out.

    Args:
        study: name of the study.
        distribution: the data.
        sizes: numbers of sequences, each
            once.
        labels: what rows are called.
        model: a name or ``folder``.
        note: a text, or null.
        cover: whether all classes are shown.
        training: how it is trained.
    """

    study: Literal["ask"] = "ask"
    distribution: ClassMixture = field(default_factory=ClassMixture)
    sizes: Several[Count] = (10, 100)
    labels: tuple[str, ...] = ()
    model: str = "small"
    note: str | None = None
    cover: bool = False
    training: Training = field(default_factory=lambda: Training(steps=7))

    def problems(self) -> Iterator[str]:
        """A check across sections."""
        if self.training.steps > self.distribution.dim:
            yield f"`training.steps` must be at most `distribution.dim`; got {self.training.steps}"


@settings
class Options:
    """Where it goes.

    Args:
        out: folder.
        workers: threads.
        json: whether rows are printed as JSON.
    """

    out: str | None = None
    workers: int = 0
    json: bool = False


def read(*arguments: str, **named) -> tuple[Config, Options]:
    return read_flags(arguments, Config, Options, **named)


def problems(*arguments: str, **named) -> list[str]:
    start = time.process_time()
    with pytest.raises(SpecError) as caught:
        read(*arguments, **named)
    assert time.process_time() - start < 10
    assert all(len(problem) < 700 and "\n" not in problem for problem in caught.value.problems)
    return caught.value.problems


def written(folder: Path, text: str | bytes, name: str = "a.yaml") -> str:
    file = folder / name
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    return str(file)


TAKEN = [
    (["--training.rate", "1e-3"], Config(training=Training(7, 1e-3))),
    (["--training.rate=2"], Config(training=Training(7, 2.0))),
    (["--training", "{steps: 3, rate: 1}"], Config(training=Training(3, 1.0))),
    (["--training.steps=3", "--training={rate: 1}"], Config(training=Training(3, 1.0))),
    (["--training", "{}"], Config()),
    (["--sizes", "[1, 2]", "--sizes=[3]"], Config(sizes=(3,))),
    (["--labels", "[a, b c]"], Config(labels=("a", "b c"))),
    (["--cover"], Config(cover=True)),
    (["--cover", "--model", "x"], Config(cover=True, model="x")),
    (["--cover", "false"], Config()),
    (["--model", "2026"], Config(model="2026")),
    (["--model", "a: [b"], Config(model="a: [b")),
    (["--model=--x"], Config(model="--x")),
    (["--model", "null", "--note", "null"], Config(model="null")),
    (["--note", "-3"], Config(note="-3")),
    (["--distribution.zipf", "null"], Config()),
]


@pytest.mark.parametrize(("arguments", "config"), TAKEN)
def test_flags_mean_what_they_say(arguments, config):
    assert read(*arguments) == (config, Options())


def test_bare_flags_and_options():
    assert read("--json", "--out", "7", "--workers=2")[1] == Options("7", 2, True)
    assert read("--json=false", "--out=null")[1] == Options()
    assert read_flags(["--model", "x"], Config) == (Config(model="x"), None)


def test_positional_arguments_have_no_flag():
    config, options = read("small", "--json", "[3]", positionals=("model", "sizes"))
    assert (config.sizes, options.json) == ((3,), True)
    assert problems("a", "[1]", "b", positionals=("model", "sizes")) == ["flags must look like `--name value`; got 'b'"]


NINES = "9" * 199
REFUSED = [
    (
        ["--sizes", "10,20"],
        "`sizes` must be one or more different integers >= 1; got '10,20'; a list is written [10, 20]",
    ),
    (["--sizes", "[16"], "`sizes` must be a YAML value; got '[16'"),
    (["--workers", "-1.5"], "`workers` must be an integer; got -1.5"),
    (["--workers"], "`workers` must have a value; got none"),
    (["--workers", "--json"], "`workers` must have a value; got none"),
    (["--json", "maybe"], "`json` must be true or false; got 'maybe'"),
    (["stray"], "flags must look like `--name value`; got 'stray'"),
    (["--"], "flags must look like `--name value`; got '--'"),
    (["--dim", "8"], "unknown key `dim`; did you mean `distribution.dim`?"),
    (["--distribution.steps", "8"], "unknown key `distribution.steps`; did you mean `training.steps`?"),
    (["--trainig.steps", "8"], "unknown key `trainig`; did you mean `training`?"),
    (["--worker", "8"], "unknown key `worker`; did you mean `workers`?"),
    (["--distribution", "3"], "`distribution` must hold settings such as `distribution.n_high`; got 3"),
    (["--training.steps", "65"], "`training.steps` must be at most `distribution.dim`; got 65"),
    (["--training.steps", "9" * 5000], f"`training.steps` must be an integer >= 1; got '{NINES} ... (5002 characters)"),
    (["--sizes", "[" * 5000], f"`sizes` must be a YAML value; got '{'[' * 199} ... (5002 characters)"),
    (["--preset", "quikc"], "`preset` must be one of ('quick', 'long'); got 'quikc'; did you mean `quick`?"),
]  # fmt: skip


@pytest.mark.parametrize(("arguments", "sentence"), REFUSED)
def test_flags_that_mean_nothing_are_named(arguments, sentence, tmp_path):
    presets = {"quick": tmp_path / "quick.yaml", "long": tmp_path / "long.yaml"}
    assert problems(*arguments, presets=presets) == [sentence]


def test_flags_win_over_files_and_files_over_presets(tmp_path):
    preset = Path(written(tmp_path, "model: preset\nsizes: [1]\ntraining: {rate: 1}\ncover: true", "quick.yaml"))
    one = written(tmp_path, "study: ask\nmodel: one\nsizes: [2]\nworkers: 3", "one.yaml")
    two = written(tmp_path, "model: two\ntraining.steps: 9", "two.yaml")
    config, options = read(
        "--model", "flag", "--config", one, f"--config={two}", "--preset", "quick", presets={"quick": preset}
    )
    assert config == Config(model="flag", sizes=(2,), training=Training(9, 1.0), cover=True)
    assert options.workers == 3
    assert read("--config", one, "--config", two)[0].model == "two"


def test_every_problem_of_flags_files_settings_and_options_is_said_at_once(tmp_path):
    file = written(tmp_path, "modle: x\ndistribution:\n  dim: 8\n  p_high: 2\n  dim: 9\nsizes:\n  - 1\n  - many\n")
    given = ["--config", file, "--config", "no.yaml", "--workers=x", "stray", "--seed"]
    assert problems(*given, "--distribution.n_low=-1", "--training.rate", "0") == [
        "flags must look like `--name value`; got 'stray'",
        "`seed` must have a value; got none",
        f"{file}, line 5: `distribution.dim` must be given once; it is on line 3 too",
        "`config` must be an existing file; got 'no.yaml'",
        f"{file}, line 1: unknown key `modle`; did you mean `model`?",
        "`distribution.n_low` must be an integer >= 0; got -1",
        f"{file}, line 4: `distribution.p_high` must be in (0, 1); got 2",
        f"{file}, line 6: `sizes` must be one or more different integers >= 1; got [1, 'many']",
        "`training.rate` must be a finite number > 0; got 0",
        "`workers` must be an integer; got 'x'",
    ]


def test_a_line_is_that_of_the_key_which_decides(tmp_path):
    file = written(tmp_path, "# first\n\nmodel: x\ntraining:\n\n  steps: 99\n")
    assert problems("--config", file) == [
        f"{file}, line 6: `training.steps` must be at most `distribution.dim`; got 99"
    ]
    assert problems("--config", file, "--training.steps=98") == [
        "`training.steps` must be at most `distribution.dim`; got 98"
    ]
    other = written(tmp_path, "distribution: {n_high: 0,\n  dim: 98}", "b.yaml")
    assert problems("--config", file, "--config", other)[0].startswith(f"{file}, line 6: ")
    assert problems("--config", other, "--training.steps=99")[0].startswith("`training.steps` must be at most")
    assert problems("--config", other, "--distribution.n_low=1") == [
        f"{other}, line 1: `distribution.n_high` + `distribution.n_low` must be >= 2; got 1"
    ]


FILES = [
    ("sizes: [1", "`config` must be a YAML file; {} is not: did not find expected ',' or ']' on line 2"),
    ("- 1\n- 2", "`config` must hold `key: value` lines; {} holds a list"),
    ("", "`config` must hold `key: value` lines; {} holds nothing"),
    ("a", "`config` must hold `key: value` lines; {} holds one value"),
    ("a: 1\n---\nb: 2", "`config` must be a YAML file; {} is not: but found another document on line 2"),
    ("a: \x00", "`config` must be a YAML file; {} is not: it holds a character that is not text"),
    (b"model: \xff", "`config` must be a YAML file; {} is not: byte 7 is no UTF-8"),
    ("a: " + "[" * 100_000, "`config` must be a YAML file; {} is not: "),
    ("a: " + "{b: " * 21, "`config` must be a YAML file; {} is not: it is nested more than 20 levels deep"),
    ("a: &a [*a]", "`config` must be a YAML file; {} is not: it is nested more than 20 levels deep"),
    ("#" * 300_000, "`config` must be a file of at most 256 KiB; {} is larger"),
    ("a: [" + "1," * 60_000 + "]", "`config` must be a YAML file; {} is not: it gives more than 50,000 values"),
    (
        "a: &a [" + "x, " * 9 + "]\n"
        + "".join(f"{k}: &{k} [" + f"*{j}, " * 9 + "]\n" for j, k in pairwise("abcdefghi")),
        "`config` must be a YAML file; {} is not: it gives more than 50,000 values",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("text", "sentence"), FILES, ids=range(len(FILES)))
def test_a_file_that_cannot_be_read_is_named_soon(text, sentence, tmp_path):
    file = written(tmp_path, text)
    found = problems("--config", file)
    assert len(found) == 1
    assert found[0].startswith((sentence.format(f"'{file}'"), sentence.format(file)))


def test_odd_paths_are_named(tmp_path, monkeypatch):
    near_by = written(tmp_path, "model: x", "settings.yaml")
    assert problems("--config", str(tmp_path / "setings.yaml")) == [
        f"`config` must be an existing file; got '{tmp_path}/setings.yaml'; did you mean '{near_by}'?"
    ]
    assert problems("--config", str(tmp_path)) == [f"`config` must be a regular file; got the folder '{tmp_path}'"]
    os.mkfifo(tmp_path / "pipe")
    assert problems("--config", f"{tmp_path}/pipe") == [f"`config` must be a regular file; got '{tmp_path}/pipe'"]
    assert problems("--config", "a\x00b") == ["`config` must be a file that can be read; 'a\\x00b': embedded null byte"]
    assert problems("--config", "a" * 5000)[0].endswith(": File name too long")
    assert problems("--config", f"{near_by}/x")[0].startswith("`config` must be an existing file")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert read("--config", "~/settings.yaml")[0].model == "x"


def test_words_in_a_file_are_taken_as_the_field_needs_them(tmp_path):
    file = written(tmp_path, "model: 2026\nnote: ~\ntraining: {rate: 1e-3}\nlabels: ['1', null]\nstudy: ask")
    with pytest.raises(SpecError, match=r"line 4: `labels` must be a list of texts; got \['1', None\]$"):
        read("--config", file)
    assert read("--config", file, "--labels", "[]")[0] == Config(model="2026", training=Training(7, 1e-3))
    for text, said in [
        ("sizes: !!set {1}", ["`sizes` must be one or more different integers >= 1; got {'1': None}"]),
        ("sizes: !!python/object/apply:os.getcwd []", ["without the tag 'tag:yaml.org,2002:python/object/apply:o"]),
        ("? [a]\n: 1", ["keys must be text; got a list or a mapping"]),
        ("1: 2", ["unknown key `1`"]),
        ("<<: {model: x}", ["unknown key `<<`"]),
        ("training.steps: 2026-99-99", ["got '2026-99-99'"]),
    ]:
        found = problems("--config", written(tmp_path, text))
        assert all(part in problem for part, problem in zip(said, found, strict=False)), found


CONFIGS = [
    Config(),
    Config(
        distribution=ClassMixture(
            n_high=1, n_low=1, query_frequencies=(0.25, 0.75), dim=8, zipf=None, input_noise=1e-7
        ),
        sizes=(2**40,),
        labels=("1e5", "null", "yes", "a: b", "# x", "é\u2028", "", "0x10", "2026-01-01", "~", "'"),
        model="1e5",
        note="null",
        cover=True,
        training=Training(3, 5e-324),
    ),
]


@pytest.mark.parametrize("config", CONFIGS)
def test_printed_settings_are_a_file_of_the_same_settings(config, tmp_path):
    text = print_config(config)
    file = written(tmp_path, text)
    assert read("--config", file)[0] == config
    assert max(map(len, text.splitlines())) <= 140
    assert yaml.safe_load(text).keys() == as_plain(config).keys()
    assert read_config(file)[0] == "ask"


def test_printed_settings_say_what_each_is():
    lines = print_config(Config(sizes=(5,))).splitlines()
    assert lines[:4] == ["# name of the study.", "study: ask", "# the data.", "distribution:"]
    assert lines[lines.index("sizes: [5]") - 1] == "# numbers of sequences, each once."
    assert "  steps: 7" in lines


def test_help_says_flag_allowed_set_default_and_meaning():
    text = help_text("ask", "What is asked?", Config, Options, ("model",), {"quick": Path("quick.yaml")})
    assert text.startswith("usage: gating ask [MODEL] [--name value ...]\n\nWhat is asked?\n\nfiles:\n")
    for part in (
        "  --preset NAME\n      settings that come with the study: quick\n",
        "options:\n  --out: text, or null; default null\n      folder.\n",
        "\n  --sizes: one or more different integers >= 1; default [10, 100]\n      numbers of sequences, each once.\n",
        "\n  training: how it is trained.\n  --training.steps: an integer >= 1; default 7\n      number of steps.\n",
        "      a name or `folder`.\n",
    ):
        assert part in text
    assert max(map(len, text.splitlines())) <= 100
    assert "--preset" not in help_text("ask", "What is asked?", Config)


def test_plain_settings_hold_no_other_types_and_differences_are_named():
    plain = as_plain(Config())
    assert yaml.safe_load(yaml.safe_dump(plain)) == plain
    other = as_plain(Config(training=Training(8), sizes=(1,)))
    assert settings_differences(plain, other) == [
        "sizes is [10, 100] there, [1] here",
        "training.steps is 7 there, 8 here",
    ]
    assert settings_differences(plain, plain) == []


def test_a_word_is_told_its_neighbour():
    assert near("compar", ["compare", "phases"]) == "; did you mean `compare`?"
    assert near("x" * 10**6, ["compare"]) == ""
