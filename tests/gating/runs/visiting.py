"""Installs the package `visitor`, which holds a study of somebody else."""

import importlib
import shutil
import sys
from pathlib import Path

from gating import cli

HERE = Path(__file__).parent


def install(site: Path, version: str = "1.0") -> Path:
    """Puts the package `visitor` and what its installer would write about it into a folder."""
    shutil.copytree(HERE / "visitor", site / "visitor", ignore=shutil.ignore_patterns("__pycache__"))
    about = site / f"visitor-{version}.dist-info"
    about.mkdir()
    (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: visitor\nVersion: {version}\n")
    (about / "entry_points.txt").write_text("[gating.studies]\nvisitor = visitor.study:Visitor\n")
    return site


def forget_visitor() -> None:
    """The next import reads the package again."""
    for name in [name for name in sys.modules if name.partition(".")[0] == "visitor"]:
        del sys.modules[name]
    importlib.invalidate_caches()


RUN = ["visitor", "numbers.txt", "--preset", "short", "--workers", "1", "--out", "run"]


def refused(arguments, capsys, status=2):
    """What a command says that fails, each line a sentence of its own."""
    capsys.readouterr()
    assert cli.main(arguments) == status
    out, err = capsys.readouterr()
    assert "Traceback" not in out + err
    assert all(line.startswith("gating: ") for line in err.splitlines())
    return err


def stop_at(monkeypatch, function, call, error):
    """The study's function fails at a call; patched until the next one."""
    study, calls = __import__("visitor.study").study, []
    original = getattr(study, function)

    def failing(*arguments):
        calls.append(arguments)
        if len(calls) == call:
            raise error
        return original(*arguments)

    monkeypatch.setattr(study, function, failing)


def edit_source(site, name="study.py", text="\n# changed\n"):
    """Changes a file of the package; the next import reads it again."""
    file = site / "visitor" / name
    file.write_text((file.read_text() if file.exists() else "") + text)
    forget_visitor()
