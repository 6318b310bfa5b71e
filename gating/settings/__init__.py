"""The front end of all settings: from flags, YAML files and presets to checked settings, with every error at once.

What settings there are, and what they may hold, is declared by their classes alone (`theory.settings`). Precedence:
flag, then file, then preset, then default.
"""

import difflib
import re
from collections.abc import Iterator, Mapping, Sequence, Set
from pathlib import Path
from typing import Any, TypeVar, get_args, get_origin

from gating.settings.text import as_plain
from gating.settings.yaml_files import Entry, parse_value, read_entries
from theory.fields import parted, quoted, shown
from theory.settings import SpecError, build, field_types

__all__ = ["near", "read_call", "read_config", "read_flags"]

Config = TypeVar("Config")
Options = TypeVar("Options")


def read_flags(
    arguments: Sequence[str],
    config_class: type[Config],
    options_class: type[Options] | None = None,
    positionals: Sequence[str] = (),
    presets: Mapping[str, Path] | None = None,
) -> tuple[Config, Options]:
    """Settings and options from a command line and the files that it names.

    A flag is ``--name value`` or ``--name=value``, with dots for the settings of a section; a flag of true or false may
    stand alone. Values are YAML; fields that hold text take it as it is.

    Args:
        arguments: what follows the name of the command.
        config_class: class of the settings.
        options_class: class of what is no setting, such as where a result goes; None where there are no options.
        positionals: settings that may be given without flag, in order.
        presets: files that ``--preset`` names.

    Raises:
        SpecError: with a sentence for each thing that is wrong with flags, files, settings and options; what a file
            gives is named with file and line.

    Example:
        >>> from theory.distribution import ClassMixture
        >>> read_flags(["--dim", "8", "--query_frequencies=null"], ClassMixture)[0].dim
        8
        >>> read_flags(["--dimm", "8", "--n_low=many"], ClassMixture)
        Traceback (most recent call last):
        ...
        theory.settings.SpecError: unknown key `dimm`; did you mean `dim`?; `n_low` must be an integer >= 0; got 'many'
    """
    types = _types(config_class, options_class)
    texts, problems = _texts(types), list[str]()
    given = _flag_entries(arguments, types, texts, list(positionals), problems)
    return _settings(given, problems, config_class, options_class, presets)


def read_call(
    given: Mapping[str, Any],
    config_class: type[Config],
    options_class: type[Options] | None = None,
    presets: Mapping[str, Path] | None = None,
) -> tuple[Config, Options]:
    """Settings and options from the keywords of a call, checked as those of a command line.

    Args:
        given: values by name; a section is a dictionary, or a name has dots. ``preset`` names a file of ``presets``,
            and ``config`` is a file, a dictionary or settings; keywords win over it, and it wins over the preset.
        config_class: class of the settings.
        options_class: class of what is no setting.
        presets: files that ``preset`` names.

    Raises:
        SpecError: as `read_flags`.

    Example:
        >>> from gating.studies.bounds.config import BoundsConfig
        >>> call = {"config": {"beta": 2.0, "distribution": {"dim": 8}}, "distribution.n_low": 3, "n_sequences": 64}
        >>> found = read_call(call, BoundsConfig)[0]
        >>> found.beta, found.distribution.dim, found.distribution.n_low, found.n_sequences
        (2.0, 8, 3, (64,))
    """
    held = as_plain(given.get("config", {}))
    values = held if isinstance(held, Mapping) else {"config": held}
    keywords = {name: value for name, value in given.items() if name != "config"}
    entries = [*_call_entries(values), *_call_entries(keywords)]
    return _settings(entries, [], config_class, options_class, presets)


def _call_entries(given: Mapping[str, Any], prefix: str = "") -> Iterator[Entry]:
    """What keywords give, in order, each section before its own."""
    for name, value in given.items():
        held = as_plain(value)
        if isinstance(held, Mapping):
            yield Entry(f"{prefix}{name}", {})
            yield from _call_entries(held, f"{prefix}{name}.")
        else:
            yield Entry(f"{prefix}{name}", held)


def _types(config_class: Any, options_class: Any) -> dict[str, Any]:
    return field_types(config_class) | (field_types(options_class) if options_class else {})


def _texts(types: Mapping[str, Any]) -> set[str]:
    """Keys of fields that hold text."""
    return {"config", "preset"} | {key for key, hint in types.items() if _is_text(hint)}


def _settings(
    given: Sequence[Entry], problems: list[str], config_class: Any, options_class: Any, presets: Any
) -> tuple[Any, Any]:
    """Settings and options from entries and the files that they name; `problems` are known already."""
    types, presets = _types(config_class, options_class), presets or {}
    option_types = field_types(options_class) if options_class else {}
    files: list[str | Path] = []
    for name in [entry.value for entry in given if entry.key == "preset"]:
        if isinstance(name, str) and name in presets:
            files.append(presets[name])
        else:
            problems.append(f"`preset` must be one of {tuple(presets)}; got {shown(name)}{near(str(name), presets)}")
    files += [entry.value for entry in given if entry.key == "config"]
    entries: list[Entry] = []
    for file in files:
        try:
            found, wrong = read_entries(file, _texts(types))
        except SpecError as error:
            found, wrong = [], error.problems
        entries += found
        problems += wrong
    values, places = _merged(entries + [entry for entry in given if entry.key not in ("preset", "config")])

    def built(cls: type[Any] | None, given: Mapping[str, Any]) -> Any:
        try:
            return build(cls, given, list(types)) if cls else None
        except SpecError as error:
            problems.extend(_located(problem, places) for problem in error.problems)

    config = built(config_class, {name: value for name, value in values.items() if name not in option_types})
    options = built(options_class, {name: value for name, value in values.items() if name in option_types})
    if problems:
        raise SpecError(list(dict.fromkeys(problems)))
    return config, options


def _flag_entries(
    arguments: Sequence[str], types: Mapping[str, Any], texts: Set[str], positionals: list[str], problems: list[str]
) -> list[Entry]:
    """What flags give, in order; `problems` gets what is wrong with them."""
    entries: list[Entry] = []
    rest = list(arguments)
    while rest:
        token = rest.pop(0)
        name, equals, text = token.removeprefix("--").partition("=")
        name = name.replace("-", "_")
        if not token.startswith("--") and positionals:
            name, equals, text = positionals.pop(0), "=", token
        elif not token.startswith("--") or not name:
            problems.append(f"flags must look like `--name value`; got {shown(token)}")
            continue
        if not equals and types.get(name) is bool and not (rest and _is_switch_value(rest[0], positionals)):
            text, equals = "true", "="
        if not equals and (not rest or rest[0].startswith("--")):
            problems.append(f"{quoted(name)} must have a value; got none")
            continue
        text = text if equals else rest.pop(0)
        if name in texts:
            entries.append(Entry(name, None if text == "null" and type(None) in get_args(types.get(name)) else text))
        else:
            found, wrong = parse_value(name, text, texts)
            entries += found
            problems += wrong
    return entries


def _is_switch_value(token: str, positionals: Sequence[str]) -> bool:
    """Whether what follows a bare flag of true or false is its value."""
    return token.lower() in ("true", "false", "yes", "no", "on", "off") or not (token.startswith("--") or positionals)


def _is_text(hint: Any) -> bool:
    """Whether a type holds text alone; each word of a `Literal` is asked for too."""
    base = parted(hint)[0]
    parts = [part for part in get_args(base) if part is not type(None)]
    if isinstance(base, str) or base in (str, Path):
        return True
    return bool(parts) and get_origin(base) is not tuple and all(map(_is_text, parts))


def _merged(entries: Sequence[Entry]) -> tuple[dict[str, Any], dict[str, str]]:
    """Nested values, later entries over earlier ones, and the place in a file of each key that has one."""
    values: dict[str, Any] = {}
    places: dict[str, str] = {}
    for entry in entries:
        *sections, name = entry.key.split(".")[:20]
        inside = values
        for section in sections:
            if not isinstance(inside.get(section), dict):
                inside[section] = {}
            inside = inside[section]
        if entry.value != {} or not isinstance(inside.get(name), dict):
            inside[name] = entry.value
        places[entry.key] = entry.place
    return values, places


def _located(problem: str, places: Mapping[str, str]) -> str:
    """A sentence with the place of the first key in it that a file gives."""
    keys = re.findall(r"`([^`]+)`", problem.partition("; did you mean")[0])
    place = next((places[key] for key in keys if key in places), "")
    return f"{place}: {problem}" if place else problem


def read_config(path: str | Path) -> tuple[str, dict[str, Any]]:
    """Name of the study, and settings as nested values, of a YAML file.

    Raises:
        SpecError: the file cannot be read, is no YAML, holds no mapping or gives a key twice.
    """
    entries, problems = read_entries(path, set())
    if problems:
        raise SpecError(problems)
    values = _merged(entries)[0]
    return str(values.get("study")), values


def near(word: str, known: Sequence[str] | Mapping[str, Any]) -> str:
    """The end of a sentence about a word that is none of the known ones.

    Example:
        >>> near("compere", ["compare", "phases"])
        '; did you mean `compare`?'
    """
    found = difflib.get_close_matches(word[:100], list(known), n=1, cutoff=0.5)
    return f"; did you mean `{found[0]}`?" if found else ""
