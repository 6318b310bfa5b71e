"""Numbers on a page: tables between markers, sentences, and what no committed table stands behind.

A table stands between ``<!-- table: NAME -->`` and ``<!-- end -->`` and is written. A sentence is compared: its numbers
are computed, and the page must have it word for word. What is neither stands in ``uncovered.yaml``, with the reason.
"""

import hashlib
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from docs.tables.committed import FOLDER, ROOT

__all__ = ["MADE", "UNCOVERED", "Made", "computed", "documents", "made_pages", "missing", "unlisted", "with_tables"]

MADE = Path(__file__).parent / "made"
UNCOVERED = FOLDER / "uncovered.yaml"

OPEN, CLOSE = "\ue000", "\ue001"
"""Stand about a computed number in a sentence."""
BLOCK = re.compile(r"^(<!-- table: (\S+) -->\n)(.*?)^(<!-- end -->)$", re.DOTALL | re.MULTILINE)
MARKER = re.compile(r"^<!-- (?:table: .*|end) -->$", re.MULTILINE)
NUMBER = r"(?<![\w.])-?\d[\d,]*(?:\.\d+)?(?:e-?\d+)?"
COUNTED = re.compile(
    rf"{NUMBER} \[{NUMBER}, {NUMBER}\]"
    rf"|{NUMBER} ± {NUMBER}"
    rf"|{NUMBER}(?: (?:to|and|or) {NUMBER})? ?(?:(?<!\b95)%|times\b)"
    rf"|\b(?:factors?|ratios?) (?:of |are |is )?(?:up to |at most |at least )?{NUMBER}(?: to {NUMBER})?"
    rf"|{NUMBER}(?: to {NUMBER})? (?:ms|s|seconds?|min|minutes?|h|hours?)\b"
)
"""An interval, a ratio or a time; 95% is the level of all intervals, and no claim."""
DECIMAL = re.compile(r"\d\.\d")
FENCED = re.compile(r"^```.*?^```", re.DOTALL | re.MULTILINE)
CODE = re.compile(r"`[^`]*`|\$\$.*?\$\$|\$[^$]*\$")
TABLE = re.compile(r"(?:^\|.*(?:\n|$))+", re.MULTILINE)


class Made(NamedTuple):
    """What is computed of a page.

    Attributes:
        page: path of the page from the root.
        tables: Markdown of each table, by the name in its marker.
        sentences: sentences of the page, numbers made by `computed`.
    """

    page: str
    tables: Mapping[str, Callable[[], str]]
    sentences: Callable[[], Iterable[str]]


def computed(text: Any) -> str:
    """A number in a sentence that comes from a committed table."""
    return f"{OPEN}{text}{CLOSE}"


def made_pages() -> Iterator[Made]:
    """What each module of ``docs/tables/made`` computes."""
    for file in sorted(MADE.glob("*.py")):
        module = import_module(f"docs.tables.made.{file.stem}")
        yield Made(module.PAGE, module.TABLES, module.sentences)


def documents() -> list[Path]:
    """README and every page of the documentation, but the index of papers, which is written from papers.yaml."""
    pages = (file for file in sorted((ROOT / "docs").rglob("*.md")) if "_build" not in file.parts)
    return [ROOT / "README.md", *(file for file in pages if file.name != "papers.md")]


def with_tables(text: str, tables: Mapping[str, Callable[[], str]]) -> str:
    """A page with its tables written anew.

    Raises:
        ValueError: a marker names no table, a table has no marker, or a marker has no end.

    Example:
        >>> print(with_tables("<!-- table: a -->\\nold\\n<!-- end -->", {"a": lambda: "| new |"}))
        <!-- table: a -->
        | new |
        <!-- end -->
    """
    named = [name for _, name, _, _ in BLOCK.findall(text)]
    if len(MARKER.findall(text)) != 2 * len(named):
        raise ValueError("every `<!-- table: NAME -->` must have its `<!-- end -->`, each on a line of its own")
    if sorted(named) != sorted(tables):
        raise ValueError(f"markers must name each table once, {sorted(tables)}; got {sorted(named)}")
    return BLOCK.sub(lambda found: f"{found[1]}{tables[found[2]]().strip()}\n{found[4]}", text)


def _plain(text: str) -> str:
    return " ".join(text.split())


def missing(text: str, sentences: Iterable[str]) -> list[str]:
    """Sentences that a page does not have as they are computed."""
    page, plain = _plain(text), (_plain(s).replace(OPEN, "").replace(CLOSE, "") for s in sentences)
    return [said for said in plain if not re.search(_whole(said), page)]


def _whole(said: str) -> str:
    """Matches a sentence where no digit goes on before or after it."""
    return rf"(?<![\d.,]){re.escape(said)}(?!\d|[.,]\d)"


def _comments(code: re.Match[str]) -> str:
    """What the comments of a block of code say."""
    return "\n".join(line.partition("#")[2] for line in code[0].splitlines())


def _spans(page: str, sentences: Iterable[str]) -> Iterator[range]:
    """Places of computed numbers on a page."""
    for sentence in map(_plain, sentences):
        said = sentence.replace(OPEN, "").replace(CLOSE, "")
        for begin in (found.start() for found in re.finditer(_whole(said), page)):
            for before, hole in enumerate(re.finditer(f"{OPEN}(.*?){CLOSE}", sentence)):
                start = begin + hole.start() - 2 * before
                yield range(start, start + len(hole[1]))


def unlisted(page: str, text: str, sentences: Iterable[str] = ()) -> list[str]:
    """Intervals, ratios and times of a page that nothing computes, and tables that hold some; in their order.

    On a page of results, every table with a decimal fraction counts.

    Args:
        page: path of the page from the root.
        text: what it holds.
        sentences: those that are computed.

    Example:
        >>> unlisted("README.md", "It errs 0.4 [0.3, 0.5], 2 times as often.", [f"errs {computed('0.4 [0.3, 0.5]')},"])
        ['2 times']
    """
    rest = BLOCK.sub("", text)
    found = []
    for block in TABLE.findall(rest):
        if COUNTED.search(block) or (page.startswith("docs/results/") and DECIMAL.search(block)):
            head = block.splitlines()[0].strip("| ")
            found.append(f"table {hashlib.sha256(block.strip().encode()).hexdigest()[:8]}: {head[:60]}")
    prose = _plain(FENCED.sub(_comments, TABLE.sub("\n", rest)))
    known = {place for span in _spans(prose, sentences) for place in span}
    for number in COUNTED.finditer(CODE.sub(lambda code: "`" * len(code[0]), prose)):
        digits = [number.start() + k for k, letter in enumerate(number[0]) if letter.isdigit()]
        if not known.issuperset(digits):
            found.append(number[0])
    return found


def listed() -> list[dict[str, Any]]:
    """What ``uncovered.yaml`` says: page, reason and numbers of each entry."""
    found: list[dict[str, Any]] = yaml.safe_load(UNCOVERED.read_text(encoding="utf-8"))
    return found
