"""Settings from flags and YAML files, with every error reported at once.

jsonargparse turns a config dataclass into flags, help and ``--print_config``; this module looks at all given values
first, so that a user sees every misspelt key and impossible value in one go. Precedence: flag, then file, then default.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import MISSING, fields, is_dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar, get_args, get_origin, get_type_hints

import yaml
from jsonargparse import ArgumentError, ArgumentParser

from theory.distribution import SpecError

__all__ = ["load_settings", "read_yaml"]

Config = TypeVar("Config")


def load_settings(config_class: type[Config], given: Sequence[tuple[str, Any]]) -> Config:
    """Builds a config from (dotted key, value) pairs; later pairs win.

    Args:
        config_class: a dataclass, whose fields may be dataclasses.
        given: keys such as ``distribution.p_high`` and their values as YAML gives them.

    Raises:
        SpecError: with a sentence for each unknown key, value of a wrong type and value out of its set.

    Example:
        >>> from theory.distribution import ClassMixture
        >>> load_settings(ClassMixture, [("dim", 8)]).dim
        8
        >>> load_settings(ClassMixture, [("dimm", 8), ("n_low", "many")])
        Traceback (most recent call last):
        ...
        theory.distribution.SpecError: unknown key `dimm`; did you mean `dim`?; `n_low` must be int; got 'many'
    """
    types = dict(_leaf_types(config_class))
    sections = {".".join(key.split(".")[:depth]): key for key in types for depth in range(1, key.count(".") + 1)}
    problems: list[str] = []
    values: dict[str, Any] = {}
    for key, value in given:
        if key not in types:
            if key not in sections:
                problems.append(_unknown(key, types))
            elif value != {}:
                problems.append(f"`{key}` must hold settings such as `{sections[key]}`; got {value!r}")
            continue
        try:
            values[key] = _typed(types[key], value)
        except (ArgumentError, ValueError, TypeError):
            problems.append(f"`{key}` must be {_type_name(types[key])}; got {value!r}")
    built = _build(config_class, "", values, problems)
    if problems:
        raise SpecError(list(dict.fromkeys(problems)))
    return built


def read_yaml(path: str | Path) -> list[tuple[str, Any]]:
    """(dotted key, value) pairs of a YAML file.

    Raises:
        SpecError: when the file is missing, is no YAML, gives a key twice, or holds no mapping.
    """
    file = Path(path)
    if not file.is_file():
        near = difflib.get_close_matches(file.name, [p.name for p in file.parent.glob("*.yaml")], n=1, cutoff=0.4)
        hint = f"; did you mean `{file.parent / near[0]}`?" if near else ""
        raise SpecError([f"`config` must be an existing file; got '{file}'{hint}"])
    try:
        data = yaml.load(file.read_text(encoding="utf-8"), Loader=_Loader)
    except (yaml.YAMLError, UnicodeDecodeError, OSError) as error:
        raise SpecError([f"`config` must be a YAML file; '{file}' is not: {' '.join(str(error).split())}"]) from None
    if not isinstance(data, dict):
        raise SpecError([f"`config` must hold `key: value` lines; '{file}' holds {type(data).__name__}"])
    return list(_flat(data))


class _Loader(yaml.SafeLoader):
    """Plain YAML in which a key that is given twice is an error, and not the last value's silent win."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        names = [key.value for key, _ in node.value]
        for name in names:
            if names.count(name) > 1:
                raise yaml.constructor.ConstructorError(None, None, f"`{name}` is given twice", node.start_mark)
        return super().construct_mapping(node, deep)


def _flat(data: dict[Any, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in data.items():
        if isinstance(value, dict) and value:
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def _leaf_types(config_class: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    hints = get_type_hints(config_class)
    for field in fields(config_class):
        hint = hints[field.name]
        if is_dataclass(hint):
            yield from _leaf_types(hint, f"{prefix}{field.name}.")
        else:
            yield f"{prefix}{field.name}", hint


def _typed(hint: Any, value: Any) -> Any:
    if value is None and type(None) not in get_args(hint):
        raise TypeError  # to the parser, null is "not given"
    parser = ArgumentParser(exit_on_error=False)
    parser.add_argument("--value", type=hint)
    return parser.parse_object({"value": value}).value


def _type_name(hint: Any) -> str:
    if get_origin(hint) is Literal:
        return f"one of {get_args(hint)}" if len(get_args(hint)) > 1 else repr(get_args(hint)[0])
    return hint.__name__ if isinstance(hint, type) else str(hint).replace("typing.", "")


def _unknown(key: str, known: Mapping[str, Any]) -> str:
    near = [k for k in known if k.endswith(f".{key}")] + difflib.get_close_matches(key, list(known), n=1, cutoff=0.5)
    return f"unknown key `{key}`" + (f"; did you mean `{near[0]}`?" if near else "")


def _build(config_class: Any, prefix: str, values: dict[str, Any], problems: list[str]) -> Any:
    """The dataclass from its typed values, defaults elsewhere; None, with its problems added, where it is not valid."""
    hints = get_type_hints(config_class)
    arguments: dict[str, Any] = {}
    for field in fields(config_class):
        key = f"{prefix}{field.name}"
        if is_dataclass(hints[field.name]):
            defaults = field.default_factory() if field.default_factory is not MISSING else None
            inherited = {f"{key}.{name}": value for name, value in vars(defaults).items()} if defaults else {}
            part = _build(hints[field.name], f"{key}.", inherited | values, problems)
            if part is not None:
                arguments[field.name] = part
        elif key in values:
            arguments[field.name] = values[key]
    try:
        return config_class(**arguments)
    except SpecError as error:
        problems += [_placed(problem, prefix, config_class) for problem in error.problems]
    return None


def _placed(problem: str, prefix: str, config_class: Any) -> str:
    """A sentence about fields of a section, with each field's whole key."""
    names = {field.name for field in fields(config_class)}
    return re.sub(r"`(\w+)`", lambda name: f"`{prefix}{name[1]}`" if name[1] in names else name[0], problem)
