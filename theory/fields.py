"""What a field of a specification may hold: types with a range or a rule, and the words for them."""

import os
import types
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, is_dataclass
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin

import numpy as np
from pydantic import AfterValidator, BeforeValidator, Field, GetCoreSchemaHandler
from pydantic.fields import FieldInfo

__all__ = [
    "ASCENDING",
    "DIFFERENT",
    "EXACT",
    "LARGEST_WHOLE",
    "LONGEST_KEY",
    "Count",
    "NonNegative",
    "PathText",
    "Positive",
    "Probability",
    "Rule",
    "Seed",
    "Several",
    "Whole",
    "allowed",
    "figure",
    "one_of",
    "parted",
    "plain",
    "quoted",
    "section_of",
    "shown",
]

LARGEST_WHOLE = 2**53  # float64 holds every integer up to here
LONGEST_KEY = 100
Value = TypeVar("Value")


@dataclass(frozen=True)
class Rule:
    """What a type and a range do not say of a field, for `typing.Annotated`.

    Args:
        words: what values are, as in "one or more *ascending* numbers"; empty where it goes without saying.
        holds: whether a value of the field's type is allowed.
    """

    words: str
    holds: Callable[[Any], bool]

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> Any:
        return AfterValidator(self._checked).__get_pydantic_core_schema__(source, handler)

    def _checked(self, value: Any) -> Any:
        if not self.holds(value):
            raise ValueError(self.words)
        return value


def one_of(choices: Sequence[str]) -> Rule:
    """The rule of a text that is one of a few.

    Example:
        >>> allowed(Annotated[str, one_of(("high", "low"))])
        "one of ('high', 'low')"
    """
    return Rule(f"one of {tuple(choices)}" if len(choices) > 1 else repr(choices[0]), lambda text: text in choices)


DIFFERENT = Rule("different", lambda values: len(set(values)) == len(values))
ASCENDING = Rule("ascending", lambda values: list(values) == sorted(set(values)))


def _listed(given: Any) -> Any:
    return given if isinstance(given, (tuple, list)) else (given,)


Several = Annotated[tuple[Value, ...], BeforeValidator(_listed), Field(min_length=1), DIFFERENT]
"""One or more different values; one alone stands for a list of one."""
EXACT = Rule("", lambda number: abs(number) <= LARGEST_WHOLE)
"""Integers that float64 holds exactly, up to 2^53."""
Whole = Annotated[int, Field(ge=0), EXACT]
Count = Annotated[int, Field(ge=1), EXACT]
Seed = Annotated[int, Field(ge=0, lt=2**32)]
NonNegative = Annotated[float, Field(ge=0)]
Positive = Annotated[float, Field(gt=0)]
PathText = Annotated[str, AfterValidator(os.path.expanduser)]
"""A path, or a name that is none; ``~`` is home."""
Probability = Annotated[float, Field(gt=0, lt=1)]
"""In the open interval (0, 1)."""


def section_of(hint: Any) -> type[Any] | None:
    """The class of settings that a field holds, or None where it holds a value."""
    parts = get_args(hint) if get_origin(hint) in (Union, types.UnionType) else (hint,)
    return next((part for part in parts if isinstance(part, type) and is_dataclass(part)), None)


_BOUNDS = {"gt": ">", "ge": ">=", "lt": "<", "le": "<=", "min_length": "", "max_length": ""}


def allowed(hint: Any, *, many: bool = False) -> str:
    """What a field may hold, in words.

    Args:
        hint: type of the field, with its range and rules.
        many: whether the words are about the values of a list.

    Example:
        >>> allowed(Count), allowed(Probability), allowed(Literal["a", "b"] | None)
        ('an integer >= 1', 'in (0, 1)', "one of ('a', 'b'), or null")
        >>> allowed(Annotated[tuple[Annotated[int, Field(ge=0, le=2**40)], ...], Field(min_length=1), DIFFERENT])
        'one or more different integers in 0 .. 2^40'
    """
    base, marks = parted(hint)
    parts = get_args(base)
    words = " ".join(mark.words for mark in marks if isinstance(mark, Rule) and mark.words)
    if get_origin(base) in (Union, types.UnionType):
        text = " or ".join(allowed(part, many=many) for part in parts if part is not type(None))
        return f"{text}, or null" if type(None) in parts else text
    bounds = {name: getattr(mark, name) for mark in marks for name in _BOUNDS if hasattr(mark, name)}
    if get_origin(base) is tuple:
        least, most = bounds.get("min_length"), bounds.get("max_length")
        if parts[-1] is not Ellipsis:
            number = f"{len(parts)}"
        elif most is not None:
            number = f"{least} .. {most}"
        else:
            number = {None: "a list of", 1: "one or more", 2: "two or more"}[least]
        return " ".join(filter(None, (number, words, allowed(parts[0], many=True))))
    if get_origin(base) is Literal:
        words = one_of(parts).words
    if words:
        return words.replace("one of", "ones of", 1) if many else words
    if base in (int, float):
        return _numbers(base, bounds, many)
    names = {bool: ("true or false", "of true and false"), str: ("text", "texts")}
    return names.get(base, ("a path", "paths"))[many]


def _numbers(base: type, bounds: Mapping[str, Any], many: bool) -> str:
    noun = ("an integer", "integers") if base is int else ("a finite number", "finite numbers")
    if len(bounds) < 2:
        return " ".join([noun[many], *(f"{_BOUNDS[name]} {figure(value)}" for name, value in bounds.items())])
    low, high = (next(bounds[name] for name in names if name in bounds) for names in (("gt", "ge"), ("lt", "le")))
    if base is int:
        return f"{noun[many]} in {figure(low + ('gt' in bounds))} .. {figure(high - ('lt' in bounds))}"
    interval = f"in {'(' if 'gt' in bounds else '['}{figure(low)}, {figure(high)}{')' if 'lt' in bounds else ']'}"
    return f"numbers {interval}" if many else interval


def figure(number: float) -> str:
    """A number as it is written in a sentence.

    Example:
        >>> figure(0.5), figure(2**40), figure(-(2**63)), figure(2**64 - 1)
        ('0.5', '2^40', '-2^63', '2^64 - 1')
    """
    if number < 0:
        return f"-{figure(-number)}"
    for over in (0, 1):
        power = int(number) + over
        if number == int(number) and power >= 2**20 and power & (power - 1) == 0:
            return f"2^{power.bit_length() - 1}" + " - 1" * over
    return f"{number}" if isinstance(number, int) else f"{number:g}"


def parted(hint: Any) -> tuple[Any, list[Any]]:
    """A type without `Annotated`, and what was annotated."""
    if get_origin(hint) is not Annotated:
        return hint, []
    base, *marks = get_args(hint)
    return base, [part for mark in marks for part in (mark.metadata if isinstance(mark, FieldInfo) else [mark])]


def plain(value: Any, sequence: type = tuple) -> Any:
    """Numpy's numbers and arrays as Python's, lists as tuples (or as another sequence); anything else as it is."""
    if isinstance(value, (np.generic, np.ndarray)):
        value = value.tolist()
    return sequence(plain(part, sequence) for part in value) if isinstance(value, (list, tuple)) else value


def shown(value: Any, most: int = 200) -> str:
    """A value as Python writes it, in a few words where that is long.

    Example:
        >>> shown((1, [2])), shown("a" * 1000, 3)
        ('[1, [2]]', "'aa ... (1002 characters)")
    """
    try:
        text = repr(plain(value, list))
    except Exception:  # a number of too many digits, or an object that cannot describe itself
        return f"a value of type {type(value).__name__} that is too long to show"
    return text if len(text) <= most else f"{text[:most]} ... ({len(text)} characters)"


def quoted(key: str) -> str:
    """A key between backticks, as `shown` shows it where it is long or cannot be printed."""
    return f"`{key if len(key) <= LONGEST_KEY and key.isprintable() else shown(key, LONGEST_KEY)}`"
