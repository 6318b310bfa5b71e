"""Pages of the API: every public name, under the subject that it stands under in its package's ``__init__.pyi``."""

import ast
import importlib
import inspect
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import ModuleType

__all__ = ["PACKAGES", "Subject", "home_names", "subjects", "write_pages"]

ROOT = Path(__file__).parents[2]
PACKAGES = ("theory", "gating", "llm_finetune")


@dataclass(frozen=True)
class Subject:
    """What a comment of an ``__init__.pyi`` stands over: names by the module that each comes from."""

    package: str
    title: str
    homes: dict[str, str]

    @property
    def page(self) -> str:
        """Name of its page, without an ending."""
        return f"{self.package}-{re.sub('[^a-z]+', '-', self.title.lower()).strip('-')}"


def subjects(package: str) -> list[Subject]:
    """The subjects of a package, in order; each name of the package is in exactly one."""
    text = (ROOT / package / "__init__.pyi").read_text(encoding="utf-8")
    comments = {
        number: line[2:] for number, line in enumerate(text.splitlines(), 1) if number > 1 and line.startswith("# ")
    }
    found: dict[str, dict[str, str]] = {title: {} for title in comments.values()}
    for node in ast.parse(text).body:
        if isinstance(node, ast.ImportFrom):
            title = comments[max(number for number in comments if number < node.lineno)]
            found[title].update({name.name: str(node.module) for name in node.names})
    return [Subject(package, title, homes) for title, homes in found.items()]


@cache
def home_names() -> dict[str, str]:
    """Where a name is documented, ``theory.crossover``, by that name, by ``crossover`` and by its name at home."""
    found: dict[str, str] = {}
    for package in PACKAGES:
        for subject in subjects(package):
            for name, home in subject.homes.items():
                if home.startswith(package):
                    public = f"{package}.{name}"
                    found |= {f"{home}.{name}": public, public: public}
                    found.setdefault(name, public)
    return found


def write_pages(folder: Path) -> list[Path]:
    """Writes a page for each subject, and an index; what else stands in the folder is removed."""
    pages = {"index": _index()}
    for package in PACKAGES:
        pages[package] = _contents(package)
        pages |= {subject.page: _page(subject) for subject in subjects(package)}
    folder.mkdir(parents=True, exist_ok=True)
    written = [folder / f"{name}.rst" for name in pages]
    for old in set(folder.iterdir()) - set(written):
        old.unlink()
    for file, text in zip(written, pages.values(), strict=True):
        if not file.exists() or file.read_text(encoding="utf-8") != text:  # what stays as it is, is not built anew
            file.write_text(text, encoding="utf-8")
    return written


def _titled(title: str, *parts: str) -> str:
    return "\n\n".join([f"{title}\n{'=' * len(title)}", *parts]) + "\n"


def _index() -> str:
    words = "Every name that the three packages give out. Each imports those before it alone."
    return _titled("API", words, _toctree(list(PACKAGES)))


def _toctree(pages: list[str]) -> str:
    return "\n".join([".. toctree::", "   :maxdepth: 1", "", *(f"   {page}" for page in pages)])


def _contents(package: str) -> str:
    """A package's own page: what it is, and its names by subject."""
    module = importlib.import_module(package)
    found = subjects(package)
    lists = [
        f"{_linked(subject)}\n\n" + ", ".join(_reference(name, home, package) for name, home in subject.homes.items())
        for subject in found
    ]
    return _titled(package, str(inspect.getdoc(module)), *lists, _toctree([subject.page for subject in found]))


def _linked(subject: Subject) -> str:
    return f"**{subject.title[:1].upper()}{subject.title[1:]}.**"


def _reference(name: str, home: str, package: str) -> str:
    owner = package if home.startswith(package) else home.partition(".")[0]
    return f":py:obj:`~{owner}.{name}`"


def _page(subject: Subject) -> str:
    module = importlib.import_module(subject.package)
    title = f"{subject.title[:1].upper()}{subject.title[1:]}"
    parts = [_documented(module, name, home) for name, home in subject.homes.items()]
    return _titled(title, f"Names of ``{subject.package}``.", *parts)


def _documented(module: ModuleType, name: str, home: str) -> str:
    """The directive of one name; one that comes from another package is documented there."""
    if not home.startswith(module.__name__):
        return f"``{module.__name__}.{name}`` is :py:obj:`{home.partition('.')[0]}.{name}`."
    held = getattr(module, name)
    if not inspect.isclass(held):
        return f".. autofunction:: {module.__name__}.{name}"
    kind = "autoexception" if issubclass(held, BaseException) else "autoclass"
    return f".. {kind}:: {module.__name__}.{name}\n   :members:\n   :show-inheritance:"
