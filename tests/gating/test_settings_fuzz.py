"""Thousands of wrong calls, flags and files of every class of settings: each is taken, or refused in sentences."""

import datetime
import decimal
import os
import random
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gating.runs.options import RunOptions
from gating.settings import read_flags
from gating.settings.text import as_plain, print_config
from gating.studies.bounds.config import BoundsConfig
from gating.studies.compare.config import CompareConfig
from gating.studies.crossover.config import CrossoverConfig
from gating.studies.phases.config import Axis, PhasesConfig
from gating.studies.regret.config import RegretConfig
from gating.studies.replicas import TransformerShape
from gating.studies.strategies.config import DecoderShape, HeldOut, StrategiesConfig
from gating.training.descent import OptimizerSettings
from gating.training.schedule import TrainSettings
from llm_finetune.config import FinetuneConfig
from llm_finetune.settings import FinetuneSettings
from theory.distribution import ClassMixture
from theory.settings import SpecError, build, field_types, section_of

STUDIES = [BoundsConfig, CompareConfig, CrossoverConfig, PhasesConfig, RegretConfig, StrategiesConfig, FinetuneConfig]
SECTIONS = [
    ClassMixture,
    TrainSettings,
    Axis,
    TransformerShape,
    DecoderShape,
    HeldOut,
    FinetuneSettings,
    RunOptions,
    OptimizerSettings,
]
NAN, INF = float("nan"), float("inf")
VALUES: list[Any] = [
    *[None, True, False, -1, 0, 1, 2, 3, 5, 64, 1000, 2**53, 2**53 + 1, 2**63, -(10**400), 10**5000],
    *[0.0, -0.0, 0.5, 1.0, 1.5, 1e-7, 5e-324, 1e308, -1e308, NAN, INF, -INF, 2 + 1j, decimal.Decimal("0.5")],
    *[
        "",
        "5",
        "0.5",
        "n_sequences",
        "p_high",
        "log",
        "linear",
        "error",
        "many",
        "\x00",
        "\ud800",
        "~",
        "10,20",
        "a" * 10_000,
    ],
    *[[], [1], [0.5, 0.5], [2, 4], [1, None], [[1]], [NAN, 1], [10**5000], ["error"], ["memory=1"], (3, 2), (1, 1)],
    *[{}, {1: 2}, {"dim": 0}, {"steps": 5}, {"width": "x"}, {"values": [1, "a"]}, {"n_high": 0, "n_low": 0}],
    *[np.int64(3), np.float32(0.5), np.bool_(True), np.array([2, 4]), np.array([[0.5]]), np.array(2), np.str_("log")],
    *[np.array(["a", None], object), np.datetime64("2026-01-01"), Path("x"), datetime.date(2026, 1, 1), b"x", object()],
    *[set(), {1, 2}, range(3), iter([1]), len, int, ClassMixture, ClassMixture(), TrainSettings(5), bytearray(b"1")],
]
TEXTS = [
    *["", "1", "-1", "0", "0.5", "1e-3", "1e999", "nan", ".nan", ".inf", "null", "~", "true", "yes", "5" * 5000],
    *["0x10", "[", "[1", "[1, 2]", "[0.5, 0.5]", "{", "{}", "{dim: 0}", "{a: {b: 1}}", "[" * 3000, "&a [*a]", "*a"],
    *["!!set {1}", "10,20", "a: b: c", "- 1", "? x", "'", '"', "\x00", "\ud800", "\t", "#", "é" * 500, "--", "-x"],
    *[
        "2026-13-45",
        "%",
        "log",
        "error",
        "[error, log_loss]",
        "[memory=1]",
        "query",
        "uniform",
        "n_sequences",
        "p_high",
        "urns",
    ],
    *["given", "1:30:00"],
]


def outcome(make, *arguments: Any, **named: Any) -> Any:
    """Settings, or None where they are refused in short sentences of one line."""
    try:
        return make(*arguments, **named)
    except SpecError as error:
        problems = error.problems
    assert problems
    for problem in problems:
        assert "`" in problem or problem.startswith("unknown key ") or "keys must be text" in problem, problem
        assert len(problem) < 1500, problem
        assert "\n" not in problem, problem
    return None


def seldom_valid(cls: type, random_: random.Random) -> dict[str, Any]:
    """One to four fields of a class with any value; now and then a name that is none."""
    names = [name for name in field_types(cls) if "." not in name] + ["dimm", "", "n.n", "a" * 500]
    return {random_.choice(names): random_.choice(VALUES) for _ in range(random_.randint(1, 4))}


@pytest.fixture(autouse=True)
def quickly():
    start = time.process_time()
    yield
    assert time.process_time() - start < 60


@pytest.mark.parametrize("cls", [*STUDIES, *SECTIONS], ids=lambda cls: cls.__name__)
def test_a_thousand_wrong_calls_of_a_class_are_refused_by_name(cls):
    random_ = random.Random(cls.__name__)
    taken = refused = 0
    needed = {"steps": 10} if cls is TrainSettings else {}
    for _ in range(1000):
        given = seldom_valid(cls, random_)
        count = random_.choice((0, 0, 0, 1, 2, 20))
        some = [random_.choice(VALUES) for _ in range(count)]
        held = outcome(cls, *some, **{**(needed if not some else {}), **given})
        refused += held is None
        if held is not None:
            taken += 1
            assert all(type(leaf) in (int, float, str, bool, type(None)) for leaf in leaves(as_plain(held)))
            assert outcome(build, cls, as_plain(held)) == held
    assert refused > 300
    assert taken > 0


def leaves(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return [leaf for part in value.values() for leaf in leaves(part)]
    return [leaf for part in value for leaf in leaves(part)] if isinstance(value, list) else [value]


@pytest.mark.parametrize("cls", STUDIES, ids=lambda cls: cls.__name__)
def test_settings_that_are_valid_but_for_one_field(cls):
    """Whatever is wrong is in sentences that name the field, its section, or a field that it must suit."""
    random_ = random.Random(cls.__name__)
    for name, hint in field_types(cls).items():
        if section_of(hint) and "." in name:
            continue
        for value in random_.sample(VALUES, 12):
            nested: dict[str, Any] = {}
            *sections, last = name.split(".")
            inside = nested
            for section in sections:
                inside = inside.setdefault(section, {})
            inside[last] = value
            held = outcome(build, cls, nested)
            if held is not None:
                assert outcome(build, cls, as_plain(held)) == held


@pytest.mark.parametrize("cls", STUDIES, ids=lambda cls: cls.__name__)
def test_a_thousand_command_lines(cls):
    random_ = random.Random(cls.__name__)
    names = [*field_types(cls), *field_types(RunOptions), "config", "preset", "x", "distribution..dim", "", "a." * 500]
    for _ in range(1000):
        tokens = []
        for _ in range(random_.randint(1, 5)):
            name, text = random_.choice(names), random_.choice(TEXTS)
            tokens += random_.choice(([f"--{name}={text}"], [f"--{name}", text], [f"--{name}"], [text], [f"-{name}"]))
        outcome(read_flags, tokens, cls, RunOptions, random_.choice(((), ("study",))), {"a": Path("none.yaml")})


@pytest.mark.parametrize("cls", STUDIES, ids=lambda cls: cls.__name__)
def test_damaged_files(cls, tmp_path):
    """A printed file with a few characters or lines lost, doubled, swapped or put in."""
    random_ = random.Random(cls.__name__)
    whole = print_config(cls())
    file = tmp_path / "a.yaml"
    assert outcome(read_flags, ["--config", str(file)], cls) is None
    file.write_text(whole)
    assert read_flags(["--config", str(file)], cls)[0] == cls()
    for _ in range(100):
        lines = whole.splitlines(keepends=True)
        for _ in range(random_.randint(1, 3)):
            at = random_.randrange(len(lines))
            line = lines[at]
            cut = random_.randrange(len(line) + 1)
            lines[at] = random_.choice(
                ("", line * 2, "  " + line, line.lstrip(), line[:cut] + random_.choice(TEXTS) + line[cut:], line[:cut])
            )
        file.write_bytes("".join(lines).encode("utf-8", "surrogatepass"))
        outcome(read_flags, ["--config", str(file)], cls)


def spoiled(random_: random.Random, file: Path) -> list[str]:
    """A command that only checks: settings that are valid but for one field, in a file or as flags, or any flags."""
    cls = random_.choice(STUDIES)
    name = str(cls.__dataclass_fields__["study"].default)
    fields = [name for name, hint in field_types(cls).items() if not section_of(hint)]
    text = random_.choice([text for text in TEXTS if "\x00" not in text])  # which no process can be given
    match random_.choice(("file", "flag", "any")):
        case "file":
            lines = print_config(cls()).splitlines(keepends=True)
            at = random_.randrange(len(lines))
            lines[at] = f"{lines[at].partition(':')[0]}: {text}\n"
            file.write_bytes("".join(lines).encode("utf-8", "surrogatepass"))
            return ["validate", str(file)]
        case "flag":
            return [name, f"--{random_.choice(fields)}={text}", "--print_config"]
    flags = [f"--{random_.choice([*fields, *field_types(RunOptions), 'x', ''])}={text}" for _ in range(3)]
    return [name, *random_.sample([*flags, text, "--config", str(file)], 3), "--print_config"]


@pytest.mark.long
@pytest.mark.parametrize("seed", range(300))
def test_a_process_of_the_command_ends_soon_with_a_sentence(seed, tmp_path):
    arguments = spoiled(random.Random(seed), tmp_path / "a.yaml")
    code = "import sys; from gating.cli import main; sys.exit(main(sys.argv[1:]))"
    command = [sys.executable, "-c", code, *(text.encode("utf-8", "surrogatepass") for text in arguments)]
    with open(tmp_path / "out", "wb") as out, open(tmp_path / "err", "wb") as err:
        process = subprocess.Popen(command, stdout=out, stderr=err, cwd=tmp_path)
        _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    said = (tmp_path / "err").read_text()
    assert process.returncode in (0, 2), (arguments, said)
    assert (process.returncode == 0) == (said == ""), (arguments, said)
    assert all(line.startswith("gating: ") for line in said.splitlines()), (arguments, said)
    assert used.ru_utime + used.ru_stime < 5, "of which two are for imports"
    assert used.ru_maxrss < 2**20, "KiB"
