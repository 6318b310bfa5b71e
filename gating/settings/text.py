"""Settings as text: help, ``--print_config``, and the plain form in which they are written and compared."""

import inspect
import re
import shlex
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import MISSING, fields, is_dataclass
from pathlib import Path, PurePath
from typing import Any, NamedTuple

import yaml

from gating.settings.yaml_files import SettingsDumper
from theory.fields import allowed, section_of
from theory.settings import field_types

__all__ = [
    "as_plain",
    "call_of",
    "command_of",
    "described",
    "flat",
    "flow",
    "help_text",
    "print_config",
    "settings_differences",
]

WIDTH = 100
_FILES = {
    "--config FILE": "YAML file of settings; of several the later wins, and flags win over files",
    "--print_config": "print the settings that the other flags and files give, as a file for --config",
}


def flat(settings: Mapping[str, Any], within: str = "") -> Iterator[tuple[str, Any]]:
    """Nested settings as dotted names and values, in their order.

    Example:
        >>> dict(flat({"n": 1, "x": {"low": 2}}))
        {'n': 1, 'x.low': 2}
    """
    for name, value in settings.items():
        if isinstance(value, Mapping):
            yield from flat(value, f"{within}{name}.")
        else:
            yield within + name, value


def as_plain(value: Any) -> Any:
    """Settings as nested dictionaries of lists, numbers and text, the form in which they are written.

    Example:
        >>> from theory.distribution import ClassMixture
        >>> as_plain(ClassMixture(query_frequencies=(0.5, 0.5), n_high=1, n_low=1))["query_frequencies"]
        [0.5, 0.5]
    """
    if is_dataclass(value):
        return {field.name: as_plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, (list, tuple)):
        return [as_plain(part) for part in value]
    return str(value) if isinstance(value, PurePath) else value


def settings_differences(old: Mapping[str, Any], new: Mapping[str, Any], prefix: str = "") -> list[str]:
    """One clause for each setting in which two plain settings differ, the old one's being "there".

    Example:
        >>> settings_differences({"n": 1, "data": {"dim": 2}}, {"n": 1, "data": {"dim": 4}})
        ['data.dim is 2 there, 4 here']
    """
    found = []
    for key in {**old, **new}:
        a, b = old.get(key), new.get(key)
        if isinstance(a, Mapping) and isinstance(b, Mapping):
            found += settings_differences(a, b, f"{prefix}{key}.")
        elif a != b:
            found.append(f"{prefix}{key} is {a!r} there, {b!r} here")
    return found


class _Setting(NamedTuple):
    """A setting as help and printed files show it."""

    key: str
    hint: Any
    value: Any
    words: str


def _walk(cls: Any, held: Any = MISSING, prefix: str = "") -> Iterator[_Setting]:
    """All settings, each section before its own, with the values of `held` or the defaults."""
    hints, words = field_types(cls), described(cls)
    for field in fields(cls):
        value = field.default_factory() if field.default_factory is not MISSING else field.default
        value = value if held is MISSING else getattr(held, field.name)
        yield _Setting(prefix + field.name, hints[field.name], value, words.get(field.name, ""))
        section = section_of(hints[field.name])
        if section and value is not None:
            yield from _walk(section, value, f"{prefix}{field.name}.")


def described(cls: Any) -> dict[str, str]:
    """Description of each field, from ``Args:`` in the docstrings of its class and of those that it extends."""
    texts: dict[str, str] = {}
    for each in reversed(cls.__mro__[:-1]):
        _, _, rest = (inspect.getdoc(each) or "").partition("\nArgs:\n")
        block = re.split(r"\n(?=\S)", rest)[0]
        found = re.findall(r"^    (\w+): ((?:.|\n {5,})*)", block, re.MULTILINE)
        texts |= {name: " ".join(text.replace("``", "`").split()) for name, text in found}
    return texts


def command_of(config: Any) -> str:
    """The command of a study with these settings: a flag for each that is not the default.

    Example:
        >>> from gating.studies.bounds.config import BoundsConfig
        >>> command_of(BoundsConfig(n_sequences=(64, 128)))
        "gating bounds --n_sequences '[64, 128]'"
    """
    flags = (f"--{setting.key} {shlex.quote(flow(setting.value))}" for setting in _given(config))
    return " ".join(["gating", config.study, *flags])


def _given(config: Any) -> Iterator[_Setting]:
    """Settings that are not the default; of a section, its own."""
    usual = {setting.key: as_plain(setting.value) for setting in _walk(type(config)) if setting.value is not MISSING}
    for setting in _walk(type(config), config):
        is_section = section_of(setting.hint) and setting.value is not None
        if not is_section and (setting.key not in usual or usual[setting.key] != as_plain(setting.value)):
            yield setting


def call_of(config: Any) -> str:
    """The same in Python: a call of the study with an argument for each setting that is not the default.

    Example:
        >>> from gating.studies.bounds.config import BoundsConfig
        >>> from theory.distribution import ClassMixture
        >>> print(call_of(BoundsConfig(n_sequences=(64, 128), distribution=ClassMixture(dim=8))))
        import gating
        <BLANKLINE>
        table = gating.bounds(
            distribution={'dim': 8},
            n_sequences=[64, 128],
        )
    """
    nested: dict[str, Any] = {}
    for setting in _given(config):
        *sections, name = setting.key.split(".")
        inside = nested
        for section in sections:
            inside = inside.setdefault(section, {})
        inside[name] = as_plain(setting.value)
    lines = [f"    {name}={value!r}," for name, value in nested.items()]
    return "\n".join(["import gating", "", f"table = gating.{config.study}(", *lines, ")"])


def print_config(config: Any) -> str:
    """Settings as a YAML file with a description of each; reading it gives the same settings."""
    lines = []
    for setting in _walk(type(config), config):
        indent = "  " * setting.key.count(".")
        lines += textwrap.wrap(setting.words, WIDTH, initial_indent=f"{indent}# ", subsequent_indent=f"{indent}# ")
        name = setting.key.rpartition(".")[2]
        is_section = section_of(setting.hint) and setting.value is not None
        lines.append(f"{indent}{name}:" if is_section else f"{indent}{name}: {flow(setting.value)}")
    return "\n".join(lines) + "\n"


def flow(value: Any) -> str:
    """A value as YAML on one line."""
    text: str = yaml.dump([as_plain(value)], Dumper=SettingsDumper, default_flow_style=True, width=float("inf"))
    return text.strip().removeprefix("[").removesuffix("]")


def help_text(
    command: str,
    question: str,
    config_class: Any,
    options_class: Any = None,
    positionals: Sequence[str] = (),
    presets: Mapping[str, Path] | None = None,
) -> str:
    """Help of a study: usage, question, and each option and setting with its default, allowed set and meaning.

    A positional whose name ends in ``...`` takes any number of values.
    """
    places = " ".join(f"[{name.upper().replace('...', ' ...')}]" for name in positionals)
    usage = " ".join(filter(None, ["usage: gating", command, places, "[--name value ...]"]))
    lines = [usage, "", *textwrap.wrap(question, WIDTH), "", "files:"]
    if presets:
        lines += _item("--preset NAME", f"settings that come with the study: {', '.join(presets)}")
    for flag, words in _FILES.items():
        lines += _item(flag, words)
    if options_class is not None:
        lines += ["", "options:", *(line for setting in _walk(options_class) for line in _lines(setting))]
    lines += ["", "settings:", *(line for setting in _walk(config_class) for line in _lines(setting))]
    return "\n".join(lines)


def _lines(setting: _Setting) -> list[str]:
    if section_of(setting.hint):
        words = f"{setting.key}: {setting.words}"
        return ["", *textwrap.wrap(words, WIDTH, initial_indent="  ", subsequent_indent="    ")]
    default = "must be given" if setting.value is MISSING else f"default {flow(setting.value)}"
    return _item(f"--{setting.key}: {allowed(setting.hint)}; {default}", setting.words)


def _item(head: str, words: str) -> list[str]:
    wrapped = textwrap.wrap(head, WIDTH, initial_indent="  ", subsequent_indent="    ", break_on_hyphens=False)
    return wrapped + textwrap.wrap(words, WIDTH, initial_indent="      ", subsequent_indent="      ")
