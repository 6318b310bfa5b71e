"""Classes of settings: what they take, what they refuse and how it is said, and that they stay dataclasses."""

import copy
import dataclasses
import pickle
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import pytest
from pydantic import Field

from theory.fields import ASCENDING, Count, Positive, Probability, Seed, Several, allowed, one_of
from theory.settings import SpecError, build, field_types, settings


@settings
class Shape:
    """A section."""

    width: Count = 4
    heads: Count = 1
    scale: Positive | None = None

    def problems(self) -> Iterator[str]:
        """What is wrong with both together."""
        if self.width % self.heads:
            yield f"`heads` must divide `width` = {self.width}; got {self.heads}"


@settings
class Study:
    """Settings with a field of each kind, and two sections."""

    steps: Count
    rate: Positive = 0.1
    share: Probability = 0.5
    seed: Seed = 0
    sizes: Several[Count] = (1, 2)
    pair: tuple[float, float] = (0.0, 1.0)
    grid: Annotated[tuple[float, ...], Field(min_length=2), ASCENDING] = (1.0, 2.0)
    names: tuple[str, ...] = ()
    mode: Literal["fast", "slow"] = "fast"
    loss: Annotated[str, one_of(("log", "linear"))] = "log"
    any_value: int | float | str = 0
    place: Path = Path(".")
    text: str = ""
    cover: bool = False
    shape: Shape = dataclasses.field(default_factory=lambda: Shape(width=8))
    other: Shape | None = None

    def problems(self) -> Iterator[str]:
        """One check of two sections' fields, and one of this one's."""
        if self.shape.width > self.steps:
            yield f"`shape.width` must be at most `steps` = {self.steps}; got {self.shape.width}"
        if self.seed > self.steps:
            yield f"`seed` must be at most `steps`; got {self.seed}"

    @cached_property
    def double(self) -> int:
        """Twice the steps."""
        return 2 * self.steps


def problems(**given) -> list[str]:
    with pytest.raises(SpecError) as caught:
        Study(**{"steps": 10, **given})
    assert str(caught.value) == "; ".join(caught.value.problems)
    return caught.value.problems


TAKEN = [
    ("steps", np.int64(12), 12),
    ("rate", 1, 1.0),
    ("rate", np.float32(0.5), 0.5),
    ("rate", np.array(2), 2.0),
    ("sizes", [3, 4], (3, 4)),
    ("sizes", np.array([3, 4]), (3, 4)),
    ("sizes", [np.int64(3)], (3,)),
    ("sizes", 7, (7,)),
    ("pair", [1, 2.5], (1.0, 2.5)),
    ("any_value", np.float64(1.5), 1.5),
    ("any_value", 3, 3),
    ("place", "a/b", Path("a/b")),
    ("place", "~/b", Path.home() / "b"),
    ("text", Path("a/b"), "a/b"),
    ("cover", np.bool_(True), True),
    ("shape", {"heads": 2}, Shape(width=8, heads=2)),  # over the section's own default
    ("shape", {"width": np.int64(6), "scale": 2}, Shape(6, 1, 2.0)),
    ("other", {"heads": 2}, Shape(heads=2)),
    ("other", None, None),
]


@pytest.mark.parametrize(("name", "given", "held"), TAKEN)
def test_what_means_the_same_is_taken_and_held_in_python_types(name, given, held):
    value = getattr(Study(**{"steps": 10, name: given}), name)
    assert value == held
    assert type(value) is type(held)
    if isinstance(held, tuple):
        assert [type(part) for part in value] == [type(part) for part in held]


REFUSED = [
    ("steps", True, "an integer >= 1; got True"),
    ("steps", "5", "an integer >= 1; got '5'"),
    ("steps", 5.0, "an integer >= 1; got 5.0"),
    ("steps", 2**53 + 1, "an integer >= 1 and at most 2^53; got 9007199254740993"),
    ("rate", 0, "a finite number > 0; got 0"),
    ("rate", float("nan"), "a finite number > 0; got nan"),
    ("rate", True, "a finite number > 0; got True"),
    ("rate", "0.1", "a finite number > 0; got '0.1'"),
    ("rate", np.array([0.1]), "a finite number > 0; got [0.1]"),
    ("share", 1, "in (0, 1); got 1"),
    ("seed", 2**32, "an integer in 0 .. 2^32 - 1; got 4294967296"),
    ("sizes", (), "one or more different integers >= 1; got []"),
    ("sizes", (1, 1), "one or more different integers >= 1; got [1, 1]"),
    ("sizes", {1, 2}, "one or more different integers >= 1; got {1, 2}"),
    ("sizes", 0, "one or more different integers >= 1; got 0; a list is written [0]"),
    ("sizes", "10,20", "one or more different integers >= 1; got '10,20'; a list is written [10, 20]"),
    ("pair", (1.0,), "2 finite numbers; got [1.0]"),
    ("grid", (2.0, 1.0), "two or more ascending finite numbers; got [2.0, 1.0]"),
    ("names", ("a", 1), "a list of texts; got ['a', 1]"),
    ("mode", "quick", "one of ('fast', 'slow'); got 'quick'"),
    ("loss", 0, "one of ('log', 'linear'); got 0"),
    ("any_value", None, "an integer or a finite number or text; got None"),
    ("place", 5, "a path; got 5"),
    ("cover", 1, "true or false; got 1"),
]


@pytest.mark.parametrize(("name", "given", "sentence"), REFUSED)
def test_what_is_not_allowed_is_named_with_the_allowed_set_and_the_value(name, given, sentence):
    assert problems(**{name: given}) == [f"`{name}` must be {sentence}"]


@pytest.mark.parametrize(("given", "shown"), [(3, "3"), (None, "None"), (Study, repr(Study)), ([], "[]")])
def test_a_section_holds_settings(given, shown):
    assert problems(shape=given) == [f"`shape` must hold settings such as `shape.width`; got {shown}"]


def test_a_value_that_is_long_or_cannot_be_shown_is_cut():
    assert len(problems(names="a" * 10_000)[0]) < 300
    assert problems(rate=10**5000) == [
        "`rate` must be a finite number > 0; got a value of type int that is too long to show"
    ]


def test_every_problem_of_all_sections_is_named_at_once():
    """Also those of valid fields together, up to the first check that needs a field that is not valid."""
    assert problems(rate=-1, seed=-1, shape={"width": 20, "heads": 3, "hight": 1}, other={"scale": 0}) == [
        "`rate` must be a finite number > 0; got -1",
        "`seed` must be an integer in 0 .. 2^32 - 1; got -1",
        "unknown key `shape.hight`",
        "`shape.heads` must divide `shape.width` = 20; got 3",
        "`other.scale` must be a finite number > 0, or null; got 0",
    ]
    assert problems(rate=-1, seed=11, shape={"width": 20}) == [
        "`rate` must be a finite number > 0; got -1",
        "`shape.width` must be at most `steps` = 10; got 20",
        "`seed` must be at most `steps`; got 11",
    ]
    assert problems(seed=-1, shape={"width": 20})[1:] == ["`shape.width` must be at most `steps` = 10; got 20"]


UNKNOWN = [
    ({"stepps": 1}, "unknown key `stepps`; did you mean `steps`?"),
    ({"width": 1}, "unknown key `width`; did you mean `shape.width` or `other.width`?"),
    ({"shap": {}}, "unknown key `shap`; did you mean `shape`?"),
    ({"shape": {"witdh": 1}}, "unknown key `shape.witdh`; did you mean `shape.width`?"),
    ({"shape": {"steps": 1}}, "unknown key `shape.steps`; did you mean `steps`?"),
    ({"zzz": 1}, "unknown key `zzz`"),
]


@pytest.mark.parametrize(("given", "sentence"), UNKNOWN)
def test_an_unknown_key_is_told_its_right_neighbour(given, sentence):
    assert problems(**given) == [sentence]


def test_arguments_by_position_are_those_of_the_fields():
    assert Study(10, 0.5) == Study(steps=10, rate=0.5)
    assert Study(np.int64(10)).steps == 10
    with pytest.raises(SpecError, match=r"^`steps` must be an integer >= 1; got 0; `rate` must be a finite"):
        Study(0, 0)
    with pytest.raises(SpecError, match=r"^`steps` must be given once; got two values$"):
        Study(10, steps=10)
    with pytest.raises(SpecError, match=r"^`Shape` must be given at most 3 values; got 4$"):
        Shape(1, 1, None, 1)
    with pytest.raises(SpecError, match=r"^`steps` must be given, an integer >= 1; got nothing$"):
        Study()


def test_settings_are_dataclasses():
    study = Study(10, names=["a"])
    assert dataclasses.replace(study, rate=2).rate == 2.0
    with pytest.raises(SpecError, match=r"^`rate` must be"):
        dataclasses.replace(study, rate=-2)
    assert Study(**dataclasses.asdict(study)) == study
    assert [part.name for part in dataclasses.fields(Shape)] == ["width", "heads", "scale"]
    assert hash(study) == hash(Study(10, names=("a",)))
    assert study != Study(11, names=("a",))
    with pytest.raises(dataclasses.FrozenInstanceError):
        study.rate = 1.0
    assert study.double == 20
    for same in (pickle.loads(pickle.dumps(study)), copy.deepcopy(study)):
        assert same == study
        assert same.double == 20


def test_an_error_survives_the_way_between_processes():
    assert pickle.loads(pickle.dumps(SpecError(["a", "b"]))).problems == ["a", "b"]


def test_a_bug_in_a_check_is_no_bad_input():
    @settings
    class Broken:
        """Its check fails by itself."""

        n: int = 1

        def problems(self) -> Iterator[str]:
            """Yields nothing."""
            raise KeyError("bug")
            yield ""

    with pytest.raises(KeyError):
        Broken()


def test_subclasses_add_fields_and_checks():
    @settings
    class Deep(Shape):
        """A shape with a depth."""

        depth: int = 1

        def problems(self) -> Iterator[str]:
            """Those of a shape, and one more."""
            yield from super().problems()
            if self.depth > self.width:
                yield f"`depth` must be at most `width`; got {self.depth}"

    assert Deep(depth=3).width == 4
    with pytest.raises(SpecError) as caught:
        Deep(heads=3, depth=5)
    assert [problem.split("`")[1] for problem in caught.value.problems] == ["heads", "depth"]


def test_a_nested_dictionary_builds_the_same_settings_and_knows_other_names():
    assert build(Study, {"steps": 10, "shape": {"heads": 4}}) == Study(10, shape=Shape(8, 4))
    with pytest.raises(SpecError, match=r"^unknown key `outt`; did you mean `out`\?$"):
        build(Study, {"steps": 10, "outt": 1}, others=["out"])


def test_fields_are_listed_with_their_sections():
    found = field_types(Study)
    assert list(found)[-8:] == [
        "shape", "shape.width", "shape.heads", "shape.scale", "other", "other.width", "other.heads", "other.scale",
    ]  # fmt: skip
    assert allowed(found["shape.scale"]) == "a finite number > 0, or null"
