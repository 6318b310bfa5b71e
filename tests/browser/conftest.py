"""A real browser: the system's Chromium, driven by Playwright, and axe-core, which looks for what keeps readers out."""

import os
import shutil
from pathlib import Path

import pytest

AXE = Path(__file__).parents[2] / ".venv" / "axe" / "node_modules" / "axe-core" / "axe.min.js"
ARGUMENTS = ("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
             "--disable-component-update", "--disable-sync")  # fmt: skip


def missing() -> str:
    """What these tests need and the machine has not; empty where it has all."""
    if not chromium():
        return "there is no chromium"
    return "" if AXE.is_file() else "there is no axe-core: `make .venv/.axe` fetches it"


def chromium() -> str:
    """Path of the system's browser."""
    return shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome") or ""


@pytest.fixture(scope="session")
def browser():
    """The browser; where there is none the test is skipped, but not where GATING_BROWSER says that it must run."""
    if reason := missing():
        (pytest.fail if os.environ.get("GATING_BROWSER") == "required" else pytest.skip)(reason)
    from playwright.sync_api import sync_playwright

    with sync_playwright() as player:
        started = player.chromium.launch(executable_path=chromium(), args=list(ARGUMENTS))
        yield started
        started.close()


@pytest.fixture(scope="session")
def axe():
    """The source of axe-core."""
    return AXE.read_text(encoding="utf-8")
