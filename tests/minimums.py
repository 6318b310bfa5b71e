"""The oldest versions that ``pyproject.toml`` allows, one a line for pip: ``python -m tests.minimums``.

``make test-minimums`` installs exactly these and runs the tests with them. Only the standard library is needed.
"""

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

PROJECT = Path(__file__).parents[1] / "pyproject.toml"
_MINIMUM = re.compile(r"(?P<name>\w[\w.-]*(?:\[[^]]+])?)\s*>=\s*(?P<version>\d[\w.]*)\s*(?:,[^;]*)?(?P<marker>;.*)?")


def requirements(project: dict[str, Any]) -> Iterator[str]:
    """What is asked for to build the project, to run it, and by each of its extras."""
    yield from project["build-system"]["requires"]
    yield from project["project"]["dependencies"]
    for extra in project["project"].get("optional-dependencies", {}).values():
        yield from extra


def pin(requirement: str) -> str:
    """A requirement that only its minimum meets.

    Raises:
        ValueError: the requirement does not begin with a minimum.

    Example:
        >>> pin("torch>=2.6,<=2.13.0"), pin("ray[default]>=2.9; python_version < '3.14'")
        ('torch==2.6', "ray[default]==2.9; python_version < '3.14'")
    """
    found = _MINIMUM.fullmatch(requirement)
    if found is None:
        raise ValueError(f"a requirement must be a name, '>=' and a version, then others if any; got {requirement!r}")
    return f"{found['name']}=={found['version']}{found['marker'] or ''}"


def pins(file: Path = PROJECT) -> list[str]:
    """The pin of every requirement of a ``pyproject.toml``, in alphabetical order."""
    return sorted(set(map(pin, requirements(tomllib.loads(file.read_text(encoding="utf-8"))))))


if __name__ == "__main__":
    print("\n".join(pins()))
