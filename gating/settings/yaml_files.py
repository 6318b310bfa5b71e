"""YAML of settings, read with care: what a file or a flag gives, key by key, and what is wrong with it."""

import difflib
import os
import re
import stat
from collections.abc import Set
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

import yaml

from theory.fields import quoted, shown
from theory.settings import SpecError

__all__ = ["Entry", "SettingsDumper", "parse_value", "read_entries"]

MAX_BYTES = 2**18
MAX_DEPTH = 20
MAX_NODES = 50_000
_TAG = "tag:yaml.org,2002:"
_TAGS = {_TAG + name for name in ("null", "bool", "int", "float", "str", "seq", "map", "timestamp", "merge", "value")}


class Entry(NamedTuple):
    """One key with its value.

    Args:
        key: dotted name.
        value: as YAML reads it; as it is written for a field that holds text.
        place: file and line, or nothing for a flag.
    """

    key: str
    value: Any
    place: str = ""


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """Plain YAML in which ``1e-3`` is a number, as in YAML 1.2."""


class SettingsDumper(yaml.SafeDumper):
    """Writes YAML such that text which looks like a number to this module's reader is quoted."""


for _class in (_Loader, SettingsDumper):
    _class.add_implicit_resolver(
        _TAG + "float", re.compile(r"^[-+]?[0-9]+(\.[0-9]*)?[eE][-+]?[0-9]+$"), list("-+0123456789")
    )


@dataclass
class _Reading:
    """A text on its way from YAML to entries."""

    file: str
    texts: Set[str]
    entries: list[Entry] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    nodes: int = 0
    loader: Any = field(default_factory=lambda: _Loader(""))

    def root(self, text: str) -> yaml.Node | None:
        """The parsed text; how deep it goes is looked at first, as what reads nodes calls itself for each level."""
        depth = 0
        try:
            for event in yaml.parse(text, _Loader):
                self.count(depth)
                depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
            self.nodes = 0
            return yaml.compose(text, _Loader)
        except (UnicodeError, yaml.YAMLError) as error:
            mark = getattr(error, "problem_mark", None)
            line = f" on line {mark.line + 1}" if mark and self.file else ""
            problem = getattr(error, "problem", None) or "it holds a character that is not text"
            self.refuse(f"{problem}{line}")

    def refuse(self, problem: str) -> NoReturn:
        raise SpecError([f"`config` must be a YAML file; {shown(self.file)} is not: {problem}"]) from None

    def place(self, node: yaml.Node) -> str:
        return f"{self.file}, line {node.start_mark.line + 1}" if self.file else ""

    def say(self, node: yaml.Node, problem: str) -> None:
        self.problems.append(f"{self.place(node)}: {problem}" if self.file else problem)

    def mapping(self, node: yaml.MappingNode, prefix: str, level: int = 0) -> None:
        """Entries of a mapping; a key that is given twice is an error, and not the last value's silent win."""
        lines: dict[str, int] = {}
        for key_node, value_node in node.value:
            self.count(level)
            if not isinstance(key_node, yaml.ScalarNode):
                self.say(key_node, "keys must be text; got a list or a mapping")
                continue
            name = key_node.value
            if name in lines:
                self.say(key_node, f"{quoted(prefix + name)} must be given once; it is on line {lines[name]} too")
            lines[name] = key_node.start_mark.line + 1
            self.entry(f"{prefix}{name}", key_node, value_node, level)

    def entry(self, key: str, key_node: yaml.Node, node: yaml.Node, level: int = 0) -> None:
        place = self.place(key_node)
        if isinstance(node, yaml.MappingNode):
            self.entries.append(Entry(key, {}, place))
            self.mapping(node, f"{key}.", level + 1)
        else:
            value = self.value(node, key, level)
            is_written = key in self.texts and isinstance(node, yaml.ScalarNode) and value is not None
            self.entries.append(Entry(key, node.value if is_written else value, place))

    def value(self, node: yaml.Node, key: str, level: int) -> Any:
        self.count(level)
        if node.tag not in _TAGS:
            self.say(node, f"{quoted(key)} must be a plain value, without the tag '{node.tag[:40]}'")
        if isinstance(node, yaml.SequenceNode):
            return [self.value(part, key, level + 1) for part in node.value]
        if isinstance(node, yaml.MappingNode):
            return {str(name.value): self.value(part, key, level + 1) for name, part in node.value}
        try:
            return self.loader.construct_object(node)
        except (yaml.YAMLError, ValueError, OverflowError):  # such as a number of 5,000 digits
            return node.value

    def count(self, level: int) -> None:
        """Refuses what few lines can make large or deep by naming what stands before."""
        self.nodes += 1
        if self.nodes > MAX_NODES:
            self.refuse(f"it gives more than {MAX_NODES:,} values")
        if level > MAX_DEPTH:
            self.refuse(f"it is nested more than {MAX_DEPTH} levels deep")


def parse_value(key: str, text: str, texts: Set[str]) -> tuple[list[Entry], list[str]]:
    """Entries of one flag: its value, or the settings of a section such as ``{dim: 8}``; `texts` hold text.

    Example:
        >>> parse_value("n", "[1, 1e3]", set())
        ([Entry(key='n', value=[1, 1000.0], place='')], [])
        >>> parse_value("n", "[1", set())[1]
        ["`n` must be a YAML value; got '[1'"]
    """
    reading = _Reading("", texts)
    try:
        if len(text) > MAX_BYTES:
            reading.refuse("it is too long")
        node = reading.root(text)
        if node is None:
            return [Entry(key, None)], []
        reading.entry(key, node, node)
    except SpecError:
        return [], [f"{quoted(key)} must be a YAML value; got {shown(text)}"]
    return reading.entries, reading.problems


def read_entries(path: str | Path, texts: Set[str]) -> tuple[list[Entry], list[str]]:
    """Entries of a YAML file, and a sentence for each thing that is wrong with it; `texts` are keys that hold text.

    Raises:
        SpecError: the file cannot be read, is no YAML or holds no mapping.
    """
    reading = _Reading(str(path), texts)
    node = reading.root(_text(str(path)))
    if not isinstance(node, yaml.MappingNode):
        kind = {yaml.SequenceNode: "a list", yaml.ScalarNode: "one value"}.get(type(node), "nothing")
        raise SpecError([f"`config` must hold `key: value` lines; {shown(str(path))} holds {kind}"])
    reading.mapping(node, "")
    return reading.entries, reading.problems


def _text(path: str) -> str:
    """Text of a file; a pipe or a device is not read, as it may never end."""
    place, name = os.path.expanduser(path), shown(path)
    try:
        mode = os.stat(place).st_mode
        if stat.S_ISREG(mode):
            with open(place, "rb") as file:
                content = file.read(MAX_BYTES + 1)
            if len(content) <= MAX_BYTES:
                return content.decode("utf-8-sig")
            problem = f"a file of at most {MAX_BYTES // 1024} KiB; {name} is larger"
        else:
            problem = f"a regular file; got {'the folder ' if stat.S_ISDIR(mode) else ''}{name}"
    except UnicodeDecodeError as error:
        problem = f"a YAML file; {name} is not: byte {error.start} is no UTF-8"
    except (FileNotFoundError, NotADirectoryError):
        problem = f"an existing file; got {name}{_neighbour(place)}"
    except (OSError, ValueError) as error:  # no rights, a name that is too long or holds NUL
        problem = f"a file that can be read; {name}: {getattr(error, 'strerror', None) or error}"
    raise SpecError([f"`config` must be {problem}"])


def _neighbour(path: str) -> str:
    folder, name = os.path.split(path)
    names = [file.name for file in Path(folder).glob("[!.]*.y*ml")]
    found = difflib.get_close_matches(name[:100], names, n=1, cutoff=0.4)
    return f"; did you mean '{os.path.join(folder, found[0])}'?" if found else ""
