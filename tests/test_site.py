"""The documentation site, as far as it can be told without building it: names, docstrings, gallery, links."""

import ast
import importlib
import inspect
import re
from pathlib import Path

import pytest

from docs.site import api, files, gallery

ROOT = Path(__file__).parents[1]
SCRIPTS = sorted((ROOT / "examples").glob("*.py"))
PUBLIC = [
    (package, name)
    for package in api.PACKAGES
    for subject in api.subjects(package)
    for name, home in subject.homes.items()
    if home.startswith(package)
]


@pytest.mark.parametrize("package", api.PACKAGES)
def test_every_public_name_stands_under_one_subject(package):
    names = [name for subject in api.subjects(package) for name in subject.homes]
    assert len(names) == len(set(names))
    assert {*names, "__version__"} == set(importlib.import_module(package).__all__)


def test_every_public_name_is_documented_once(tmp_path):
    pages = api.write_pages(tmp_path / "api")
    assert len(pages) > 20
    text = "\n".join(page.read_text(encoding="utf-8") for page in pages)
    documented = re.findall(r"^\.\. auto(?:class|exception|function):: (\S+)$", text, flags=re.MULTILINE)
    assert sorted(documented) == sorted(f"{package}.{name}" for package, name in PUBLIC)
    api.write_pages(tmp_path / "api")
    assert sorted((tmp_path / "api").iterdir()) == sorted(pages)


@pytest.mark.parametrize(("package", "name"), PUBLIC)
def test_no_docstring_misses(package, name):
    held = getattr(importlib.import_module(package), name)
    assert len(inspect.getdoc(held) or "") > 20
    if not inspect.isclass(held) or issubclass(held, tuple):
        return
    for member, value in vars(held).items():
        function = getattr(value, "fget", getattr(value, "func", getattr(value, "__func__", value)))
        if not member.startswith("_") and inspect.isfunction(function) and function.__module__ == held.__module__:
            inherited = any(hasattr(base, member) for base in held.__mro__[1:])
            assert inherited or inspect.getdoc(function), f"{package}.{name}.{member}"


FORMULA = re.compile(r"\\(?:sum|frac|sqrt|alpha|beta|gamma|ln|log|le|ge|int|mathrm|arg)\b|\^\{|_\{")


@pytest.mark.parametrize(("package", "name"), PUBLIC)
def test_every_formula_of_a_docstring_is_rendered(package, name):
    """What looks like TeX stands in a role or a directive of mathematics."""
    text = inspect.getdoc(getattr(importlib.import_module(package), name)) or ""
    text = re.sub(r":math:`[^`]*`|``[^`]*``", "", text)
    text = re.sub(r"\.\. math::.*?(?=\n\S|\n\n\S|\Z)", "", text, flags=re.DOTALL)
    text = re.sub(r"^ *(?:>>>|\.\.\. ).*$", "", text, flags=re.MULTILINE)
    assert not FORMULA.search(text), FORMULA.search(text)


def test_the_gallery_shows_every_script_in_its_order():
    assert len(gallery.ORDER) >= 15
    assert sorted(gallery.ORDER) == [script.stem for script in SCRIPTS]
    order = gallery.Order("examples")
    assert [order(f"{name}.py") for name in gallery.ORDER] == list(range(len(gallery.ORDER)))


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.stem)
def test_a_script_has_a_title_and_words_and_is_short(script):
    text = script.read_text(encoding="utf-8")
    title, rule, empty, words = (ast.get_docstring(ast.parse(text)) or "").split("\n", 3)
    assert rule == "=" * len(title)
    assert not empty
    assert len(words) > 60
    assert len(text.splitlines()) <= 70


def test_files_outside_of_the_site_have_pages_where_they_are_linked(tmp_path):
    linked = files.linked_files()
    assert "examples/new_study" in linked
    files.write_pages(tmp_path / "files")
    written = {page.stem for page in (tmp_path / "files").iterdir()}
    assert written == {"index", *(Path(page).name for page in linked.values())}


def test_every_page_stands_in_the_contents():
    contents = "\n".join(
        re.findall(r"```\{toctree\}\n(.*?)```", (ROOT / "docs" / "index.md").read_text("utf-8"), re.DOTALL)
    )
    names = set(re.findall(r"^[a-z][\w/-]*\*?$", contents, flags=re.MULTILINE)) | {"index"}
    pages = {file.stem for file in (ROOT / "docs").glob("*.md")}
    assert pages <= names
    assert "results/*" in contents
