"""Links: to names that are documented elsewhere in the site, and to files of the repository that are no page of it."""

import importlib
import os
import posixpath
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx import addnodes
from sphinx.domains.python import PyXRefRole
from sphinx.ext.napoleon import Config
from sphinx.ext.napoleon.docstring import GoogleDocstring

from docs.site.api import PACKAGES, home_names
from docs.site.files import page_of

__all__ = ["connect"]

ROOT = Path(__file__).parents[2]
LIBRARIES = ("abc", "collections", "numpy", "pandas", "torch", "transformers", "typing")
"""Whose names stand as text: their documentation is elsewhere."""


def connect(app: Any) -> None:
    """Takes part in a build."""
    app.add_role("name", _Name())
    app.connect("doctree-read", _files_to_pages)
    app.connect("missing-reference", _name)
    app.connect("autodoc-skip-member", _no_field_numbers)
    app.connect("autodoc-process-docstring", _sections)


class _Name(PyXRefRole):
    """What stands in single quotes: code, which leads to a name's place where there is one."""

    def process_link(self, env: Any, node: Any, explicit: bool, title: str, target: str) -> tuple[str, str]:
        node["refdomain"], node["reftype"], node["may_be_text"] = "py", "obj", True
        return super().process_link(env, node, explicit, title, target)


def _no_field_numbers(app: Any, what: str, name: str, held: Any, skip: bool, options: Any) -> bool | None:
    """Fields of named tuples are told in the docstring of the class."""
    return True if type(held).__name__ == "_tuplegetter" else None


class _Docstring(GoogleDocstring):
    """A docstring in Google's style, whose results are told in words: what stands before a colon is no type."""

    def _consume_returns_section(self, preprocess_types: bool = False) -> list[tuple[str, str, list[str]]]:
        return [("", "", self._dedent(self._consume_to_next_section()))]


def _sections(app: Any, what: str, name: str, held: Any, options: Any, lines: list[str]) -> None:
    """Turns ``Args:``, ``Returns:`` and the like into what Sphinx knows; of properties too, which have no type."""
    kind = "method" if what in ("attribute", "property") else what
    lines[:] = _Docstring(list(lines), Config(napoleon_use_ivar=True), app, kind, name, held, options).lines()


def _files_to_pages(app: Any, tree: nodes.document) -> None:
    """Turns links to files and folders of the repository into links to the pages that show them."""
    name = app.env.docname
    own = os.path.relpath(app.env.doc2path(name), ROOT)
    shown = app.env.metadata[name].get("shows", own)
    links = [node for node in tree.findall(addnodes.pending_xref) if node.get("refdomain") in ("doc", None, "")]
    for node in [*links, *tree.findall(addnodes.download_reference)]:
        file = _file(node["reftarget"], shown)
        page = page_of(file) if file else None
        if file and page is None and file.endswith(".md") and shown != own:  # a page, as an included text calls it
            page = file.removeprefix("docs/").removesuffix(".md")
        if page:
            kind = {"refdomain": "std", "reftype": "doc", "reftarget": f"/{page}", "refexplicit": True}
            link = addnodes.pending_xref("", refdoc=name, refwarn=True, **kind)
            link += nodes.inline("", "", *node.children)
            node.replace_self(link)


def _file(target: str, shown: str) -> str:
    """File or folder of the repository that a link leads to, by its path there; empty if it is none."""
    path = target.partition("#")[0]
    if not path:
        return ""
    if os.path.isabs(path):  # of a file of text outside of the site, without its ending
        path = os.path.relpath(path, ROOT) + ".md"
    else:
        path = posixpath.normpath(posixpath.join(posixpath.dirname(shown), path))
    return path if (ROOT / path).exists() else ""


def _name(app: Any, env: Any, node: addnodes.pending_xref, text: nodes.TextElement) -> nodes.Node | None:
    """A name leads to where it is documented; one that is not public stands as text, if it is there at all."""
    if node.get("refdomain") != "py":
        return None
    domain, public = env.get_domain("py"), home_names()
    for place in _places(node):
        head, _, member = place.rpartition(".")
        for name in (public.get(place), f"{public[head]}.{member}" if head in public else None):
            if name in domain.objects:
                return domain.resolve_xref(env, node["refdoc"], app.builder, "obj", name, node, text)
    package = node["reftarget"].partition(".")[0]
    if package in LIBRARIES or (node.get("may_be_text") and package not in PACKAGES):
        return text
    return text if any(map(_is_there, _places(node))) else None


def _places(node: addnodes.pending_xref) -> Iterator[str]:
    """What a name may mean: itself, or something of the class or module around it, or of a module of the package."""
    target, module, around = node["reftarget"], node.get("py:module"), node.get("py:class")
    yield target
    for holder in (f"{module}.{around}" if module and around else None, around, module):
        if holder:
            yield f"{holder}.{target}"
    if module:
        yield from (f"{home}.{target}" for home in _homes(module))


@cache
def _homes(package: str) -> list[str]:
    """Modules that a package's public names come from."""
    found = {home.rpartition(".")[0] for home, public in home_names().items() if public.startswith(f"{package}.")}
    return sorted(found - {""})


@cache
def _is_there(name: str) -> bool:
    """Whether a dotted name is a module of the three packages, or something in one."""
    if name.partition(".")[0] not in PACKAGES:
        return False
    parts = name.split(".")
    for length in range(len(parts), 0, -1):
        try:
            held: Any = importlib.import_module(".".join(parts[:length]))
        except ImportError:
            continue
        for part in parts[length:]:
            fields = getattr(held, "__annotations__", {})
            held = getattr(held, part, fields.get(part))
        return held is not None
    return False
