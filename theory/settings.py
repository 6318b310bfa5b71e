"""Specifications that check themselves: frozen dataclasses whose fields declare what they may hold.

One declaration serves Python, YAML files, flags and help: pydantic compares each value with the type and the range at
its field, and what is wrong is said in one sentence for each field, all of them at once.
"""

import difflib
import functools
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import MISSING, field, fields, is_dataclass
from pathlib import Path, PurePath
from typing import Any, TypeVar, dataclass_transform, get_args, get_origin, get_type_hints

from pydantic import ConfigDict, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass as pydantic_dataclass

from theory.fields import LARGEST_WHOLE, LONGEST_KEY, allowed, parted, plain, quoted, section_of, shown

__all__ = ["SpecError", "build", "field_types", "settings"]

Settings = TypeVar("Settings")


class SpecError(ValueError):
    """One or more fields of a specification are outside their allowed sets; ``problems`` lists every one."""

    def __init__(self, problems: list[str]):
        self.problems = problems
        super().__init__(problems)

    def __str__(self) -> str:
        return "; ".join(self.problems)


_STRICT = ConfigDict(strict=True, extra="forbid", allow_inf_nan=False)


@dataclass_transform(frozen_default=True, field_specifiers=(field,))
def settings(cls: type[Settings]) -> type[Settings]:
    """Makes a class a frozen dataclass that checks its values, from Python as from a file.

    Types are taken at their word: no text for numbers, no boolean for an integer; an integer is taken for a float, a
    list for a tuple, one value for a list of one where several are taken (`theory.fields.Several`), numpy's numbers and
    arrays for Python's, a path for text and text for a path (``~`` is home), and a dictionary for nested settings, over
    that section's defaults. Numbers are finite. A method ``problems``
    of the class, if there is one, yields a sentence for each thing that is wrong with valid fields together.

    Raises:
        SpecError: when the class is called, with a sentence for each unknown key and each value out of its set.

    Example:
        >>> @settings
        ... class Optimizer:
        ...     rate: float = 0.1
        ...     steps: int = 100
        >>> Optimizer(rate=1)
        Optimizer(rate=1.0, steps=100)
        >>> Optimizer(rate=float("inf"), steps="5", stepps=1)
        Traceback (most recent call last):
        ...
        theory.settings.SpecError: unknown key `stepps`; did you mean `steps`?; \
`rate` must be a finite number; got inf; `steps` must be an integer; got '5'
    """
    made: Any = pydantic_dataclass(frozen=True, config=_STRICT)(cls)
    validated = made.__init__

    @functools.wraps(validated)
    def initialise(self: Any, *given: Any, **named: Any) -> None:
        try:
            validated(self, *given, **named)
        except ValidationError:
            validated(self, **_from_call(made, given, named))
        if hasattr(made, "problems") and (found := list(self.problems())):
            raise SpecError(found)

    made.__init__ = initialise
    return made


def build(cls: type[Settings], values: Mapping[str, Any], others: Sequence[str] = ()) -> Settings:
    """Settings from a nested dictionary, as YAML gives it.

    Args:
        cls: a class of settings.
        values: values by name; what is left out has its default.
        others: names that are no settings of the class, and yet may be what a misspelt key stands for.

    Raises:
        SpecError: with a sentence for each unknown key and each value out of its set.
    """
    valid, problems = _read(cls, values, "", [*field_types(cls), *others])
    if problems:
        raise SpecError(problems)
    return cls(**valid)


def field_types(cls: Any, prefix: str = "") -> dict[str, Any]:
    """Type of each field by dotted name; a section comes before its own fields.

    Example:
        >>> @settings
        ... class Wheel:
        ...     spokes: int = 32
        >>> field_types(Wheel, "front.")
        {'front.spokes': <class 'int'>}
    """
    found = {}
    for name, hint in _hints(cls).items():
        found[prefix + name] = hint
        if section := section_of(hint):
            found |= field_types(section, f"{prefix}{name}.")
    return found


def _from_call(cls: Any, given: Sequence[Any], named: Mapping[str, Any]) -> dict[str, Any]:
    """Valid arguments of a call that was refused at first sight, or every problem."""
    names = [f.name for f in fields(cls)]
    valid, problems = _read(cls, {**dict(zip(names, given, strict=False)), **named}, "", list(field_types(cls)))
    problems += [f"`{name}` must be given once; got two values" for name in names[: len(given)] if name in named]
    if len(given) > len(names):
        problems.append(f"`{cls.__name__}` must be given at most {len(names)} values; got {len(given)}")
    if problems:
        raise SpecError(problems) from None
    return valid


def _read(cls: Any, values: Mapping[str, Any], prefix: str, known: Sequence[str]) -> tuple[dict[str, Any], list[str]]:
    """Valid fields, converted, and a sentence for each of the others."""
    hints = _hints(cls)
    valid: dict[str, Any] = {}
    problems = [_unknown(f"{prefix}{key}", known) for key in values if key not in hints]
    for part in fields(cls):
        name, key, hint = part.name, prefix + part.name, hints[part.name]
        default = part.default_factory() if part.default_factory is not MISSING else part.default
        section = section_of(hint)
        if name not in values:
            if default is MISSING:
                problems.append(f"`{key}` must be given, {allowed(hint)}; got nothing")
            else:
                valid[name] = default
        elif section and isinstance(values[name], Mapping):
            inherited = {f.name: getattr(default, f.name) for f in fields(default)} if is_dataclass(default) else {}
            found, wrong = _read(section, {**inherited, **values[name]}, f"{key}.", known)
            problems += wrong
            if not wrong:
                valid[name] = section(**found)
        else:
            try:
                valid[name] = _converted(cls, name, values[name])
            except ValueError:
                problems.append(_refused(key, hint, values[name]))
    return valid, problems + [_placed(problem, prefix, hints) for problem in _joint_problems(cls, valid)]


@functools.cache
def _hints(cls: Any) -> dict[str, Any]:
    hints = get_type_hints(cls, include_extras=True)
    return {part.name: hints[part.name] for part in fields(cls)}


@functools.cache
def _adapter(cls: Any, name: str) -> TypeAdapter[Any]:
    hint = _hints(cls)[name]
    return TypeAdapter(hint, config=None if isinstance(hint, type) and is_dataclass(hint) else _STRICT)


def _converted(cls: Any, name: str, value: Any) -> Any:
    """The value as its field holds it; ValueError where it may not."""
    candidates = [plain(value)]
    if isinstance(value, (str, PurePath)):  # each of the two stands for the other
        candidates.append(str(value) if isinstance(value, PurePath) else Path(os.path.expanduser(value)))
    for candidate in candidates:
        with suppress(ValidationError):
            return _adapter(cls, name).validate_python(candidate, strict=True)
    raise ValueError


class _NotValidError(Exception):
    """A check asked for a field that is not valid."""


def _joint_problems(cls: Any, valid: Mapping[str, Any]) -> Iterator[str]:
    """What is wrong with valid fields together, up to the first check that asks for one that is not valid."""

    def refuse(spec: Any) -> None:
        raise _NotValidError

    if hasattr(cls, "problems"):
        missing = {name: property(refuse) for name in _hints(cls) if name not in valid}
        partial: Any = object.__new__(type(cls.__name__, (cls,), missing))
        vars(partial).update(valid)
        with suppress(_NotValidError):
            yield from partial.problems()


def _placed(problem: str, prefix: str, names: Mapping[str, Any]) -> str:
    """A sentence about fields of a section, with each field's whole name."""
    return re.sub(r"`(\w+)", lambda found: f"`{prefix}{found[1]}" if found[1] in names else found[0], problem)


def _refused(key: str, hint: Any, value: Any) -> str:
    base = parted(hint)[0]
    section = section_of(hint)
    if section:
        return f"`{key}` must hold settings such as `{key}.{fields(section)[0].name}`; got {shown(value)}"
    most = " and at most 2^53" if isinstance(value, int) and abs(value) > LARGEST_WHOLE and base is int else ""
    sentence = f"`{key}` must be {allowed(hint)}{most}; got {shown(value)}"
    is_list = any(get_origin(parted(part)[0]) is tuple for part in (base, *get_args(base)))
    text = value if isinstance(value, str) else shown(value)
    if is_list and isinstance(value, (str, int, float)) and len(text) < 100:
        sentence += f"; a list is written [{', '.join(part.strip() for part in text.split(','))}]"
    return sentence


def _unknown(key: str, known: Sequence[str]) -> str:
    """A sentence about a key that is none, with what it may stand for: same section, same name elsewhere, then near."""
    if len(key) > LONGEST_KEY:
        return f"unknown key {quoted(key)}"
    section, _, name = key.rpartition(".")
    score: dict[str, float] = {}
    for other in known:
        place, _, own = other.rpartition(".")
        alike = difflib.SequenceMatcher(None, name, own).ratio()
        if alike >= (0.6 if place == section else 0.85):
            score[other] = alike + 0.2 * (place == section)
    best = [f"`{other}`" for other in score if score[other] == max(score.values())][:3]
    return f"unknown key {quoted(key)}" + (f"; did you mean {' or '.join(best)}?" if best else "")
