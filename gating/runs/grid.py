"""What a sweep is over: settings of a study that take several values, and the settings that every combination makes."""

import copy
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice, product
from typing import Annotated, Any, Literal

from pydantic import AfterValidator

from gating.results.columns import Column, Kind, declare
from gating.runs.catalogue import find_study
from gating.runs.study import Study
from gating.settings import near
from gating.settings.text import as_plain, flat
from gating.settings.yaml_files import parse_value
from theory.fields import parted, section_of
from theory.settings import SpecError, build, field_types, settings

__all__ = ["Point", "SweepConfig", "declare_over", "over_of", "point_at", "points", "study_of"]

MOST_SETTINGS = 10_000


def _in_order(over: Mapping[str, Any]) -> dict[str, Any]:
    """Values by dotted name, in one order: runs of the same settings number their combinations alike."""
    return dict(sorted(flat(over)))


@settings
class SweepConfig:
    """Settings of a sweep.

    Args:
        study: that it is a sweep.
        of: name of the study that is run.
        base: settings of that study, which all runs share.
        over: values of each setting that differs, by its dotted name; runs are all combinations, in the order of the
            names, the last the fastest.
    """

    of: str
    base: dict[str, Any]
    over: Annotated[dict[str, Any], AfterValidator(_in_order)]
    study: Literal["sweep"] = "sweep"

    def problems(self) -> Iterator[str]:
        """What is wrong with the fields together, one sentence each."""
        yield from _over_problems(self)


@dataclass(frozen=True)
class Point:
    """One combination of values: its number, its values by column, and the settings that they make."""

    number: int
    values: dict[str, Any]
    config: Any

    @property
    def scope(self) -> str:
        """Folder of its parts, with a ``/`` at its end."""
        return f"setting-{self.number}/"

    @property
    def label(self) -> str:
        """Its values in words."""
        return ", ".join(f"{name} {value}" for name, value in self.values.items())


def study_of(config: SweepConfig) -> Study[Any]:
    """The study that a sweep runs."""
    return find_study(config.of)


def points(config: SweepConfig) -> list[Point]:
    """Every combination of values, with the settings that it makes.

    Raises:
        SpecError: some of them make none.
    """
    found, problems = [], list[str]()
    for number, values in enumerate(product(*config.over.values())):
        try:
            found.append(_point(config, number, values))
        except SpecError as error:
            problems += [
                f"{problem} (with {dict(zip(config.over, values, strict=True))})" for problem in error.problems
            ]
    if problems:
        raise SpecError(problems)
    return found


def point_at(config: SweepConfig, number: int) -> Point:
    """The combination of a number alone."""
    return _point(config, number, next(islice(product(*config.over.values()), number, None)))


def _point(config: SweepConfig, number: int, values: Sequence[Any]) -> Point:
    nested = copy.deepcopy(config.base)
    for path, value in zip(config.over, values, strict=True):
        *sections, name = path.split(".")
        inside = nested
        for section in sections:
            inside = inside[section]
        inside[name] = value
    columns = {column.name: _cell(value, column) for column, value in zip(_columns(config), values, strict=True)}
    return Point(number, columns, build(study_of(config).config, nested))


def _over_problems(config: SweepConfig) -> Iterator[str]:
    if config.of == config.study:
        yield f"`of` must be a study that is no sweep; got '{config.of}'"
        return
    types = field_types(study_of(config).config)
    for path, values in config.over.items():
        known = [name for name, hint in types.items() if not section_of(hint) and name != "study"]
        if path not in known:
            yield f"`over` must name a setting of `{config.of}`; got '{path}'{near(path, known)}"
        elif (
            not isinstance(values, list | tuple)
            or not values
            or len({_as_json(float(value) if type(value) is int else value) for value in values}) < len(values)
        ):
            yield f"`over` must give `{path}` a list of different values, such as [1, 2]; got {values!r}"
    if not config.over:
        yield "`over` must name one or more settings with their values; got none"
    size = 1
    for values in config.over.values():
        size *= max(1, len(values)) if isinstance(values, list | tuple) else 1
    if size > MOST_SETTINGS:
        yield f"`over` must make at most {MOST_SETTINGS:,} combinations; got {size:,}"


def _as_json(value: Any) -> str:
    return json.dumps(as_plain(value), sort_keys=True, default=str)


def _columns(config: SweepConfig) -> list[Column]:
    """A column for each setting that differs: by its dotted name, or after its study's where it has no dot."""
    types = field_types(study_of(config).config)
    names = {path: path if "." in path else f"{config.of}.{path}" for path in config.over}
    return [Column(name, _kind(types[path]), f"setting `{path}`") for path, name in names.items()]


def declare_over(config: SweepConfig) -> None:
    """Declares a column for each setting that differs."""
    declare(*_columns(config))


def _kind(hint: Any) -> Kind:
    kinds: dict[Any, Kind] = {bool: "boolean", int: "Int64", float: "float64"}
    return kinds.get(parted(hint)[0], "string")


def _cell(value: Any, column: Column) -> Any:
    """A value as a cell of its column; in one of text, what is no text as JSON."""
    return value if column.kind != "string" or isinstance(value, str) else _as_json(value)


def over_of(given: str) -> dict[str, Any]:
    """What ``NAME=[VALUE, ...]`` says."""
    path, equals, text = given.partition("=")
    entries, problems = parse_value(path, text, set())
    if not equals or problems or len(entries) != 1:
        said = problems or [f"`over` must look like NAME=[VALUE, ...]; got {given!r}"]
        raise SpecError(said)
    return {path.replace("-", "_"): entries[0].value}
