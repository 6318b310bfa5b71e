"""Names that would be code if a page let them stand in pages as text, and nowhere else."""

import base64
import gzip
import json
import re
import xml.etree.ElementTree as ET
from collections import Counter
from html.parser import HTMLParser

import pytest

from gating.page import page as page_module
from tests.golden.settings import CASES, run
from tests.hostile import NAMES, PLAIN, Naming, generic_files, harmless, in_turn, parts, study_files, sweep_files

READ = {"aria-label", "data-title"}
"""Attributes that hold a text for readers."""
SHOWN = {*PLAIN, "range"}  # colours of systems that nobody declared follow their names


class Elements(HTMLParser):
    """What a page is made of: its elements in order, with attributes; and its texts."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.structure: list[tuple] = []
        self.texts: list[str] = []
        self.scripts: list[str] = []
        self._inside = ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._inside = tag
        self.structure.append((tag, *((name, value if name not in READ else "") for name, value in attrs
                                      if name != "content")))  # fmt: skip
        self.texts += [value or "" for name, value in attrs if name in READ]

    def handle_endtag(self, tag: str) -> None:
        self._inside = ""
        self.structure.append((f"/{tag}",))

    def handle_data(self, data: str) -> None:
        (self.scripts if self._inside in ("script", "style") else self.texts).append(data)

    def handle_comment(self, data: str) -> None:
        self.structure.append(("a comment",))

    def handle_decl(self, decl: str) -> None:
        self.structure.append(("a declaration", decl))

    def handle_pi(self, data: str) -> None:
        self.structure.append(("an instruction",))

    def unknown_decl(self, data: str) -> None:
        self.structure.append(("a section",))


def drawing(text: str) -> Counter:
    """Elements of an SVG file that are no mark, and names of their attributes."""
    root = ET.fromstring(text)
    assert not [each for each in root.iter() if re.search(r"script|foreignObject|image$|}a$", each.tag)]
    return Counter((each.tag, *each.keys()) for each in root.iter() if each.tag.endswith("}g"))


def packed(page: str) -> dict:
    """What the page's script reads."""
    [held] = re.findall(r'<script type="application/octet-stream" id="data">([A-Za-z0-9+/=]*)</script>', page)
    return json.loads(gzip.decompress(base64.b64decode(held)))


def code(spec: dict) -> set[str]:
    """Texts of a specification that no reader sees, without numbers: panels are in the order of names."""
    return {re.sub(r"\d+", "#", text) for path, text in parts(spec) if path[-1] not in SHOWN}


def check(files: dict[str, str], wanted: dict[str, str], names: list[str]) -> None:
    """Files with hostile names are made as those with harmless ones are, and names are text in them."""
    assert files.keys() == wanted.keys()
    found, other = Elements(files["report.html"]), Elements(wanted["report.html"])
    assert Counter(found.structure) == Counter(other.structure)  # tables are in the order of names
    style, _, script = found.scripts
    assert (style, script) == (other.scripts[0], page_module._script())
    assert not {name for element in found.structure for name, *_ in element[1:] if name.startswith("on")}
    held, like = packed(files["report.html"]), packed(wanted["report.html"])
    assert len(held["figures"]) == len(like["figures"])
    for figure, same in zip(held["figures"], like["figures"], strict=True):
        assert {path for path, _ in parts(figure["spec"])} == {path for path, _ in parts(same["spec"])}
        assert code(figure["spec"]) == code(same["spec"])
        assert figure["points"].keys() == same["points"].keys()
    for name, text in files.items():
        if name.endswith(".svg"):
            assert drawing(text) == drawing(wanted[name])
    visible = re.sub(r"<(script|style).*?</\1>", "", files["report.html"], flags=re.DOTALL)
    for name in names:
        if re.search(r"<|\"", name):
            assert name not in visible


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    return tmp_path_factory.mktemp("hostile")


@pytest.mark.parametrize("start", range(len(NAMES)), ids=lambda start: repr(NAMES[start])[:30])
def test_a_page_takes_any_text_anywhere(start):
    naming: Naming = lambda number: f"{NAMES[start]}{number}"  # noqa: E731
    check(generic_files(naming), generic_files(harmless), [NAMES[start]])


def test_a_page_takes_all_of_them_together():
    wanted = generic_files(harmless)
    for start in range(0, len(NAMES), 4):
        check(generic_files(in_turn(start)), wanted, list(NAMES))


@pytest.mark.parametrize("study", CASES)
def test_the_page_of_a_study_takes_any_name_of_its_table_its_settings_and_its_machine(study, runs):
    folder = run(study, next(iter(CASES[study])), runs)
    wanted = study_files(folder, harmless)
    assert re.search(r"[nN]ame \d", str(Elements(wanted["report.html"]).texts))
    for start in (0, 13, 26):
        check(study_files(folder, in_turn(start)), wanted, list(NAMES))


def test_the_page_of_a_sweep_takes_any_value(runs):
    folder = run("bounds", next(iter(CASES["bounds"])), runs)
    wanted = sweep_files(folder, harmless)
    for start in (0, 13, 26):
        check(sweep_files(folder, in_turn(start)), wanted, list(NAMES))
