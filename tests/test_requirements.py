"""What `pyproject.toml` asks for: a minimum of every requirement, all that is imported, nothing with a hole."""

import ast
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from getpass import getuser
from importlib.metadata import packages_distributions

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.minimums import PROJECT, pin, pins, requirements
from tests.test_walls import PACKAGES, ROOT

DECLARED = tomllib.loads(PROJECT.read_text(encoding="utf-8"))
NEEDED = DECLARED["project"]["dependencies"]
EXTRAS = DECLARED["project"]["optional-dependencies"]


def names(asked) -> set[str]:
    return {canonicalize_name(Requirement(each).name) for each in asked}


def test_every_requirement_is_pinned_once_to_a_version_that_it_allows():
    asked = [Requirement(each) for each in requirements(DECLARED)]
    pinned = [Requirement(each) for each in pins()]
    assert len(pinned) == len({each.name for each in pinned}) == len({each.name for each in asked})
    assert names(requirements(DECLARED)) >= names(NEEDED) | names(EXTRAS["llm"]) | names(EXTRAS["dev"]) | {"setuptools"}
    for each in asked:
        exact = next(found for found in pinned if found.name == each.name).specifier
        (version,) = (one.version for one in exact)
        assert str(exact).startswith("==")
        assert version in each.specifier
        assert f">={version}" in str(each.specifier)


@pytest.mark.parametrize(
    "requirement", ["torch", "torch<=2.13", "torch==2.7", "torch~=2.7", "torch<3,>=2.7", "torch>="]
)
def test_a_requirement_must_begin_with_a_minimum(requirement):
    with pytest.raises(ValueError, match="a requirement must be a name, '>=' and a version"):
        pin(requirement)


def imports(package: str) -> Iterator[tuple[str, bool]]:
    """Top-level modules of others that a package imports, and whether only in functions or where they may miss."""
    for file in (ROOT / package).rglob("*.py"):
        tree = ast.parse(file.read_text(encoding="utf-8"))
        optional = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef) or _may_fail(node)]
        inside = {id(node) for each in optional for node in ast.walk(each)}
        for node in ast.walk(tree):
            found = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            found += [str(node.module)] if isinstance(node, ast.ImportFrom) else []
            for name in (each.partition(".")[0] for each in found):
                if name not in sys.stdlib_module_names and name not in PACKAGES:
                    yield name, id(node) in inside


def _may_fail(node: ast.AST) -> bool:
    """Whether it is a `try` that goes on without a package."""
    kinds = [each.type for each in node.handlers] if isinstance(node, ast.Try) else []
    return any(isinstance(kind, ast.Name) and kind.id == "ModuleNotFoundError" for kind in kinds)


@pytest.mark.parametrize("package", PACKAGES)
def test_what_is_imported_is_asked_for(package):
    """By everyone, or by an extra: the package's own, or any where it is imported inside of a function, or may miss."""
    from_module, always = (
        packages_distributions(),
        names(NEEDED) | names(EXTRAS["llm"] if package == "llm_finetune" else []),
    )
    sometimes = always | names(each for extra, asked in EXTRAS.items() if extra != "dev" for each in asked)
    found = set(imports(package))
    assert len(found) > 3
    for module, inside in found:
        known = {canonicalize_name(name) for name in from_module.get(module, [module])}
        assert known & (sometimes if inside else always), f"{module} is imported by {package}"


def test_nothing_unpickles():
    """Known holes of torch.load and of checkpoints of accelerate are no reason for a minimum, as none is called."""
    word = re.compile(
        r"\btorch\.load\b|\bpickle\b|\bjoblib\b|\bload_checkpoint|\baccelerator\.load_state\b|allow_pickle"
    )
    assert word.search("x = torch.load(file)")
    for package in PACKAGES:
        for file in (ROOT / package).rglob("*.py"):
            assert not word.search(file.read_text(encoding="utf-8")), file


def test_files_of_tests_are_not_written_through_a_link(tmp_path):
    """CVE-2025-71176: pytest before 9.0.3 follows what somebody else has laid in the place of its folder."""
    (tmp_path / "elsewhere").mkdir(mode=0o700)
    (tmp_path / f"pytest-of-{getuser()}").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "test_own.py").write_text("def test_own(tmp_path): pass")
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--rootdir", tmp_path, tmp_path]
    environment = {**os.environ, "PYTEST_DEBUG_TEMPROOT": str(tmp_path)}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True)
    assert done.returncode == 1
    assert not list((tmp_path / "elsewhere").iterdir())
