"""A real browser: the system's Chromium, driven by Playwright, and axe-core, which looks for what keeps readers out."""

import os
import shutil
from pathlib import Path

import pytest

AXE = Path(__file__).parents[2] / ".venv" / "axe" / "node_modules" / "axe-core" / "axe.min.js"
ARGUMENTS = ("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
             "--disable-component-update", "--disable-sync")  # fmt: skip


def require(there: bool, reason: str) -> None:
    """Where something is not there the test is skipped, but not where GATING_BROWSER says that it must run."""
    if not there:
        (pytest.fail if os.environ.get("GATING_BROWSER") == "required" else pytest.skip)(reason)


def chromium() -> str:
    """Path of the system's browser."""
    return shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome") or ""


@pytest.fixture(scope="session")
def browser():
    """The browser."""
    require(bool(chromium()), "there is no chromium")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as player:
        started = player.chromium.launch(executable_path=chromium(), args=list(ARGUMENTS))
        yield started
        started.close()


@pytest.fixture(scope="session")
def axe():
    """The source of axe-core."""
    require(AXE.is_file(), "there is no axe-core: `make .venv/.axe` fetches it")
    return AXE.read_text(encoding="utf-8")
