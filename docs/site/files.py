"""Pages that show files of the repository outside of `docs` which a page links to."""

import os
import posixpath
import re
from pathlib import Path

__all__ = ["linked_files", "page_of", "write_pages"]

ROOT = Path(__file__).parents[2]
TEXTS = (".cff", ".md", ".py", ".toml", ".txt", ".yaml", ".yml")
LANGUAGES = {".cff": "yaml", ".py": "python", ".toml": "toml", ".yaml": "yaml", ".yml": "yaml"}
PLACES = {"README.md": "index", "docs/results": "results/README", "examples": "gallery/index"}
"""Pages that stand for a file or folder."""


def page_of(file: str) -> str | None:
    """Page of a file or folder of the repository, by its path there; None for one that is a page of its own.

    Example:
        >>> page_of("examples/new_gate.py"), page_of("docs/theory.md"), page_of("examples/new_study")
        ('gallery/new_gate', None, 'files/examples-new_study')
    """
    if file in PLACES:
        return PLACES[file]
    folder, name = posixpath.split(file)
    if folder == "examples" and name.endswith(".py"):
        return f"gallery/{name[:-3]}"
    if file.startswith("docs/"):
        return None
    return f"files/{file.removesuffix('.md').replace('/', '-')}"


def linked_files() -> dict[str, str]:
    """Pages of this module by the file or folder that each shows: what the documents link to, and what those do."""
    found: dict[str, str] = {}
    unread = [os.path.relpath(file, ROOT) for file in _documents()]
    while unread:
        document = unread.pop()
        for target in _links((ROOT / document).read_text(encoding="utf-8")):
            file = posixpath.normpath(posixpath.join(posixpath.dirname(document), target))
            page = page_of(file)
            if page and page.startswith("files/") and file not in found and (ROOT / file).exists():
                found[file] = page
                unread += [file] if file.endswith(".md") else []
    return found


def _documents() -> list[Path]:
    generated = {"_build", "api", "files", "gallery"}
    docs = ROOT / "docs"
    return [file for file in sorted(docs.rglob("*.md")) if file.relative_to(docs).parts[0] not in generated]


def _links(text: str) -> list[str]:
    text = re.sub(r"```.*?```|`[^`\n]*`|\$[^$]*\$", "", text, flags=re.DOTALL)
    links = (link.partition("#")[0] for link in re.findall(r"\]\(([^)\s]+)\)", text))
    return [link for link in links if link and not re.match(r"[a-z]+:", link)]


def write_pages(folder: Path) -> None:
    """Writes the pages, and an index of them; what else stands in the folder is removed."""
    shown = linked_files()
    texts = {
        f"{Path(page).name}.{'md' if file.endswith('.md') else 'rst'}": _text(file) for file, page in shown.items()
    }
    lines = [".. toctree::", "   :maxdepth: 1", "", *(f"   /{page}" for page in sorted(shown.values()))]
    texts["index.rst"] = _titled("Files that these pages link to", "\n".join(lines))
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.iterdir():
        if old.name not in texts:
            old.unlink()
    for name, text in texts.items():
        file = folder / name
        if not file.exists() or file.read_text(encoding="utf-8") != text:
            file.write_text(text, encoding="utf-8")


def _titled(title: str, text: str) -> str:
    return f"{title}\n{'=' * len(title)}\n\n{text}\n"


def _text(file: str) -> str:
    place = ROOT / file
    if file.endswith(".md"):
        return f"---\nshows: {file}\n---\n\n```{{include}} ../../{file}\n```\n"
    if place.is_file():
        return _titled(file, _literal(file))
    inside = sorted(each for each in place.rglob("*") if each.suffix in TEXTS and "__pycache__" not in each.parts)
    names = [os.path.relpath(each, ROOT) for each in inside if each.stat().st_size]
    if len(names) > 12:
        return _titled(file, "\n".join(f"- ``{name}``: {_first_line(ROOT / name)}" for name in names))
    return _titled(file, "\n\n".join(f"{name}\n{'-' * len(name)}\n\n{_literal(name)}" for name in names))


def _literal(file: str) -> str:
    return f".. literalinclude:: ../../{file}\n   :language: {LANGUAGES.get(Path(file).suffix, 'text')}"


def _first_line(file: Path) -> str:
    """What a file says of itself."""
    text = re.sub(r'^(#!.*\n|r?"""|#)\s*', "", file.read_text(encoding="utf-8"))
    return text.split("\n", 1)[0].strip().rstrip('"').replace("`", "``")
