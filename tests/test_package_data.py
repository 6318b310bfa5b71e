"""What is no module, and lies in a package, is installed with it."""

import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PATTERNS = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["setuptools"]["package-data"]


@pytest.mark.parametrize("package", ["theory", "gating", "llm_finetune"])
def test_every_file_of_a_package_is_installed(package):
    files = {file for file in (ROOT / package).rglob("*") if file.is_file() and file.suffix not in (".py", ".pyc")}
    installed = {file for pattern in PATTERNS[package] for file in (ROOT / package).glob(pattern)}
    assert len(files) > 1
    assert sorted(files - installed) == []
