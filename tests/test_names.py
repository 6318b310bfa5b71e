"""The names that the three packages give out: found on demand, the objects of their homes, documented, and fast."""

import ast
import importlib
import inspect
import pkgutil
import subprocess
import sys
import tomllib
from importlib.metadata import version
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("theory", "gating", "llm_finetune")


def homes(package: str) -> dict[str, str]:
    """Module of each name, as type checkers read them."""
    tree = ast.parse((ROOT / package / "__init__.pyi").read_text(encoding="utf-8"))
    imports = [node for node in tree.body if isinstance(node, ast.ImportFrom)]
    assert all(name.asname == name.name for node in imports for name in node.names), "re-exported as it is called"
    return {name.name: str(node.module) for node in imports for name in node.names}


NAMES = [(package, name, home) for package in PACKAGES for name, home in homes(package).items()]


@pytest.mark.parametrize(("package", "name", "home"), NAMES, ids=lambda value: value)
def test_a_name_is_the_documented_object_of_its_home(package, name, home):
    held, module = importlib.import_module(package), importlib.import_module(home)
    found = getattr(held, name)
    assert found is getattr(module, name)
    assert found is getattr(held, name)
    assert len(inspect.getdoc(found) or "") > 20
    assert name in module.__all__ or found.__name__ == name, "public at home, or made for it as a study's function is"
    modules = {found.name for found in pkgutil.iter_modules(held.__path__)}
    assert name not in modules, "a module of that name would take its place"


@pytest.mark.parametrize("package", PACKAGES)
def test_all_and_dir_list_every_name_and_no_other_is_found(package):
    held = importlib.import_module(package)
    assert set(held.__all__) == {*homes(package), "__version__"}
    assert set(held.__all__) <= set(dir(held))
    assert held.__version__ == version("icl-gating")
    with pytest.raises(AttributeError, match=f"module '{package}' has no attribute 'nothing'"):
        held.nothing  # noqa: B018
    with pytest.raises(ImportError, match="cannot import name 'nothing'"):
        exec(f"from {package} import nothing")


def fresh(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.mark.parametrize("package", PACKAGES)
def test_a_package_alone_imports_none_of_the_large_ones(package):
    large = {"numpy", "scipy", "pandas", "torch", "pydantic", "altair", "vl_convert", "transformers"}
    assert fresh(f"import sys, {package}; dir({package}); print({large} & set(sys.modules))") == "set()"


def test_every_name_of_theory_is_found_without_torch():
    code = "import sys; from theory import *; import theory; print({'torch', 'pandas', 'gating'} & set(sys.modules))"
    assert fresh(code) == "set()"


def test_a_name_is_not_taken_by_a_module_that_was_imported_first():
    code = "import theory.crossovers, theory.oracle, theory.phases; from theory import crossover, oracle_gate; "
    assert fresh(code + "print(callable(crossover), callable(oracle_gate))") == "True True"


def test_a_wheel_holds_the_tables_and_the_markers_of_types():
    data = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["package-data"]
    for package in PACKAGES:
        assert {"py.typed", "__init__.pyi"} <= set(data[package])
        assert (ROOT / package / "py.typed").is_file()
