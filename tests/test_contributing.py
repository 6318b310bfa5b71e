"""What somebody who joins reads and fills in: citation, changelog, hooks, forms, the version and what is shipped."""

import re
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path

import pytest
import yaml

from gating.cli import COMMANDS, main

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
CONTRIBUTING = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
CHANGELOG = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
CITATION = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
FORMS = sorted((ROOT / ".github" / "ISSUE_TEMPLATE").glob("*.yml"))


def test_the_citation_has_what_cff_1_2_0_asks_for():
    assert {"cff-version", "message", "title", "authors"} <= set(CITATION)
    assert CITATION["cff-version"] == "1.2.0"
    assert CITATION["type"] == "software"
    assert "license" not in CITATION
    for work in (CITATION, *CITATION["references"]):
        assert work["title"]
        assert all(set(author) in ({"name"}, {"family-names", "given-names"}) for author in work["authors"])


def test_the_citation_refers_to_both_papers_as_the_docs_do():
    cited = (ROOT / "docs" / "references.md").read_text(encoding="utf-8")
    assert len(CITATION["references"]) == 2
    for paper in CITATION["references"]:
        assert paper["type"] == "conference-paper"
        assert paper["year"] == 2025
        assert paper["conference"]["name"]
        (number,) = (each["value"] for each in paper["identifiers"])
        assert paper["url"].endswith(number.removeprefix("arXiv:"))
        line = next(line for line in cited.splitlines() if number in line)
        assert paper["title"] in line
        assert all(author["family-names"] in line for author in paper["authors"])


def test_there_is_one_version(capsys):
    assert CITATION["version"] == PROJECT["project"]["version"]
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"gating {PROJECT['project']['version']}\n"


def test_the_changelog_has_what_is_not_released_first_and_known_sections():
    versions = re.findall(r"^## \[(.+?)\]", CHANGELOG, re.MULTILINE)
    assert versions[0] == "Unreleased"
    assert len(versions) == len(set(versions))
    sections = set(re.findall(r"^### (.+)$", CHANGELOG, re.MULTILINE))
    assert sections <= {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}
    assert "Added" in sections


def test_hooks_need_no_repository_and_run_what_make_check_runs():
    hooks = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8"))["repos"]
    assert [each["repo"] for each in hooks] == ["local"]
    entries = [hook["entry"].replace(" --force-exclude", "") for hook in hooks[0]["hooks"]]
    check = (ROOT / "Makefile").read_text(encoding="utf-8").partition("\ncheck:")[2].partition("\n\n")[0]
    ran = [line.strip().replace(" --check", "").removesuffix(" .") for line in check.splitlines()[1:]]
    assert entries == ran


@pytest.mark.parametrize("form", FORMS, ids=lambda form: form.stem)
def test_a_form_of_issues_has_what_github_asks_for(form):
    held = yaml.safe_load(form.read_text(encoding="utf-8"))
    assert {"name", "description", "body"} <= set(held)
    ids = [field["id"] for field in held["body"]]
    assert len(ids) == len(set(ids))
    for field in held["body"]:
        assert field["type"] in ("textarea", "input", "dropdown")
        assert field["attributes"]["label"]
        assert (field["type"] == "dropdown") == ("options" in field["attributes"])
    assert any(field.get("validations", {}).get("required") for field in held["body"])


def test_markers_and_targets_that_contributors_read_of_are_there():
    markers = {each.partition(":")[0] for each in PROJECT["tool"]["pytest"]["ini_options"]["markers"]}
    assert set(re.findall(r"^\| `(\w+)` \|", CONTRIBUTING, re.MULTILINE)) == markers
    targets = set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    assert set(re.findall(r"make ([a-z]+(?:-[a-z]+)*)\b(?!`? and)", CONTRIBUTING)) <= targets
    assert "no licence file" in CONTRIBUTING
    assert not list(ROOT.glob("LICEN*"))
    assert not {"--version"} & set(COMMANDS)


@pytest.mark.long
def test_what_is_built_holds_what_it_should_and_nothing_else(tmp_path):
    """By setuptools itself, which `python -m build` calls too; the source from a copy, since it writes beside it."""
    copy = tmp_path / "source"
    subprocess.run(["git", "clone", "-q", str(ROOT), str(copy)], check=True)
    code = (
        "from setuptools.build_meta import build_sdist, build_wheel; import sys; "
        "folder = sys.argv[1]; build_sdist(folder); build_wheel(folder)"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], cwd=copy, check=True, capture_output=True)
    (wheel,), (source,) = tmp_path.glob("*.whl"), tmp_path.glob("*.tar.gz")
    packed = set(zipfile.ZipFile(wheel).namelist())
    tracked = subprocess.run(["git", "ls-files"], cwd=copy, check=True, capture_output=True, text=True).stdout.split(
        "\n"
    )
    own = {file for file in tracked if file.startswith(("theory/", "gating/", "llm_finetune/"))}
    assert own == {file for file in packed if ".dist-info/" not in file}
    with tarfile.open(source) as archive:
        inside = {name.partition("/")[2] for name in archive.getnames()}
    assert own <= inside
    assert {"pyproject.toml", "README.md"} <= inside
