"""What a run is: its settings, the content of its inputs, and the version of what computes it."""

import hashlib
import platform
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from gating.runs.catalogue import home_of
from gating.runs.errors import FolderError
from gating.runs.listed_files import digest
from gating.settings.text import as_plain, settings_differences

__all__ = ["content", "contents", "environment", "identity_of", "what_changed"]

LIBRARIES = ("torch", "numpy", "scipy", "pandas", "transformers", "peft")
DRAWN = ("page", "cli.py")
"""Folders and files of source that draw what was computed: a change of theirs changes no number."""


def environment() -> dict[str, str]:
    """Versions and machine of this process, and the day."""
    torch = sys.modules.get("torch")
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "icl-gating": _version("icl-gating"),
        **commit(),
        "python": platform.python_version(),
        **{name: _version(name) for name in LIBRARIES},
        "platform": platform.platform(),
        "processor": platform.machine(),
        "gpu": torch.cuda.get_device_name() if torch and torch.cuda.is_available() else "none",
    }


@cache
def commit() -> dict[str, str]:
    """The commit that this package is run from, where its files are those of a git repository."""
    here = ["git", "-C", str(Path(__file__).parent)]
    with suppress(OSError, subprocess.SubprocessError):
        subprocess.run(
            [*here, "ls-files", "--error-unmatch", Path(__file__).name], capture_output=True, check=True, timeout=9
        )
        asked = [*here, "describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"]
        found = subprocess.run(asked, capture_output=True, text=True, check=True, timeout=9)
        return {"commit": found.stdout.strip()}
    return {}


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "none"


def identity_of(study: str, config: Any, inputs: Mapping[str, Path | bytes], device: str) -> dict[str, Any]:
    """Identity of a run, as its manifest keeps it: ``config``, digests of ``inputs`` and ``source``, and versions.

    Args:
        study: name of the study.
        config: its settings.
        inputs: files, folders or bytes, by what a user calls them.
        device: where models train.

    Raises:
        FolderError: an input cannot be read.
    """
    module, distribution, number = home_of(study)
    return {
        "config": as_plain(config),
        "inputs": contents(inputs),
        "source": {package: _source(package) for package in sorted({"theory", "gating", module.partition(".")[0]})},
        "version": {distribution: number, "icl-gating": _version("icl-gating")},
        "environment": environment() | {"device": device},
    }


def contents(inputs: Mapping[str, Path | bytes]) -> dict[str, str]:
    """Digest of each input, by its name."""
    return {name: content(given) for name, given in inputs.items()}


def content(given: Path | bytes) -> str:
    """SHA-256 of bytes, of a file, or of names and contents of all files in a folder.

    Raises:
        FolderError: there is no such file or folder, or it cannot be read.

    Example:
        >>> content(b"") == hashlib.sha256().hexdigest()
        True
    """
    if isinstance(given, bytes):
        return hashlib.sha256(given).hexdigest()
    try:
        if not given.is_dir():
            return digest(given)
        files = sorted(file for file in given.rglob("*") if file.is_file())
        listed = [f"{file.relative_to(given).as_posix()!r} {digest(file)}\n" for file in files]
    except OSError as error:
        raise FolderError(f"`{given}` cannot be read ({error.strerror})") from error
    return hashlib.sha256("".join(listed).encode()).hexdigest()


def _source(package: str) -> str:
    """Digest of the source that computes, of a package or a single module."""
    spec = find_spec(package)
    found = hashlib.sha256()
    for root in map(Path, (spec.submodule_search_locations or [str(spec.origin)]) if spec else []):
        for file in [root] if root.is_file() else sorted([*root.rglob("*.py"), *root.rglob("columns.yaml")]):
            inside = file.relative_to(root)
            if not any(part in DRAWN or part.startswith(("page", "draw")) for part in inside.parts):
                found.update(f"{inside.as_posix()} {digest(file)}\n".encode())
    return found.hexdigest()


def what_changed(old: Mapping[str, Any], new: Mapping[str, Any], *, finished: bool) -> tuple[list[str], list[str]]:
    """Differences between two identities, in sentences.

    Args:
        old: identity of the run in a folder.
        new: identity of the run that is asked for.
        finished: whether the old one is finished: the code and the libraries of today do not touch its numbers.

    Returns:
        Differences of what was asked for, and of what computes it.
    """
    asked = settings_differences(old["config"], new["config"])
    inputs = {**old["inputs"], **new["inputs"]}
    asked += [f"the content of {name} is not the one that the run began with"
              for name in inputs if old["inputs"].get(name) != new["inputs"].get(name)]  # fmt: skip
    before, now = (
        each["version"] | ({} if finished else {name: each["environment"].get(name) for name in (*LIBRARIES, "device")})
        for each in (old, new)
    )
    computed = [f"{name} is {before.get(name)} there, {value} here"
                for name, value in now.items() if before.get(name) != value]  # fmt: skip
    if not finished:
        computed += [f"the source of {package} has changed" for package, value in new["source"].items()
                     if old["source"].get(package) != value]  # fmt: skip
    return asked, computed
