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
from gating.page.page import svg
from tests.golden.settings import CASES, run
from tests.hostile import (
    NAMES,
    PLAIN,
    generic_figure,
    generic_page,
    harmless,
    in_turn,
    parts,
    study_page,
    sweep_page_of,
)

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


def check(page: str, wanted: str) -> None:
    """A page with hostile names is made as one with harmless ones is, and names are text in it."""
    found, other = Elements(page), Elements(wanted)
    assert Counter(found.structure) == Counter(other.structure)  # tables are in the order of names
    style, _, script = found.scripts
    assert (style, script) == (other.scripts[0], page_module.chart_script("page.js"))
    assert not {name for element in found.structure for name, *_ in element[1:] if name.startswith("on")}
    held, like = packed(page), packed(wanted)
    assert len(held["figures"]) == len(like["figures"])
    for figure, same in zip(held["figures"], like["figures"], strict=True):
        assert {path for path, _ in parts(figure["spec"])} == {path for path, _ in parts(same["spec"])}
        assert code(figure["spec"]) == code(same["spec"])
        assert figure["points"].keys() == same["points"].keys()
    visible = re.sub(r"<(script|style).*?</\1>", "", page, flags=re.DOTALL)
    for name in NAMES:
        if re.search(r"<|\"", name):
            assert name not in visible


@pytest.mark.parametrize("start", range(0, len(NAMES), 8))
def test_a_figure_takes_any_text_anywhere(start):
    assert drawing(svg(generic_figure(in_turn(start)))) == drawing(svg(generic_figure(harmless)))


@pytest.fixture(scope="module")
def plain_page():
    return generic_page(harmless)


@pytest.mark.parametrize("start", range(len(NAMES)), ids=lambda start: repr(NAMES[start])[:30])
def test_a_page_takes_any_text_anywhere(start, plain_page):
    check(generic_page(lambda number: f"{NAMES[start]}{number}"), plain_page)


def test_a_page_takes_all_of_them_together(plain_page):
    for start in range(0, len(NAMES), 8):
        check(generic_page(in_turn(start)), plain_page)


@pytest.mark.parametrize("study", CASES)
def test_the_page_of_a_study_takes_any_name_of_its_table_its_settings_and_its_machine(study, small_runs):
    folder = run(study, next(iter(CASES[study])), small_runs)
    wanted = study_page(folder, harmless)
    assert re.search(r"[nN]ame \d", str(Elements(wanted).texts))
    for start in (0, 20):
        check(study_page(folder, in_turn(start)), wanted)


def test_the_page_of_a_sweep_takes_any_value(small_runs):
    folder = run("bounds", next(iter(CASES["bounds"])), small_runs)
    wanted = sweep_page_of(folder, harmless)
    for start in (0, 20):
        check(sweep_page_of(folder, in_turn(start)), wanted)
