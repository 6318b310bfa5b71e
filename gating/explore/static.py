"""The explorer as one file without a server: maps and curves of a few settings, computed beforehand."""

import base64
import gzip
import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import product
from typing import Any

from gating.explore.app import body, controls, script, style
from gating.explore.parts import shown, words
from gating.explore.setting import Setting, read_setting

__all__ = ["GRID", "static_page"]

GRID: dict[str, tuple[str, ...]] = {
    "distribution.label_noise": ("0.0", "0.05", "0.2"),
    "distribution.context_length": ("1", "4"),
    "measure": ("error", "log_loss"),
    "distribution.p_high": ("0.5", "0.7", "0.8", "0.9", "0.95", "0.99"),
}
"""Values that the file has, by name; a map is for all values of the last one, curves are for one each."""

ACROSS = "distribution.p_high"
MOVED = ("n_sequences", ACROSS)
"""What the map is over, which a click chooses."""

LOADER = """
const packed = Uint8Array.from(atob(document.getElementById("script").textContent), (letter) => letter.charCodeAt(0));
const text = await new Response(new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"))).text();
const url = URL.createObjectURL(new Blob([text], { type: "text/javascript" }));
await import(url);
"""


def static_page(grid: Mapping[str, Sequence[str]] = GRID) -> str:
    """The file, as HTML text.

    Args:
        grid: values by name.
    """
    pool = _Pool()
    found = {key: pool.packed(json.loads(text)) for key, text in _answers(grid)}
    held = {"values": {key: list(values) for key, values in grid.items()}, "across": ACROSS, "found": found,
            "pool": pool.texts}  # fmt: skip
    page = body(live=False, groups=[{"title": words().said["static"], "controls": _controls(grid)}], grid=_zipped(held))
    digest = base64.b64encode(hashlib.sha256(LOADER.encode()).digest()).decode()
    policy = f"default-src 'none'; script-src 'sha256-{digest}' blob:; style-src 'unsafe-inline'; base-uri 'none'"
    return (
        f'<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}; form-action \'none\'">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f'<meta name="color-scheme" content="light dark">\n<title>{words().title}</title>\n<style>{style()}</style>\n'
        f'</head>\n<body>\n{page}\n<script type="application/octet-stream" id="script">{_packed(script())}</script>\n'
        f'<script type="module">{LOADER}</script>\n</body>\n</html>\n'
    )


def _answers(grid: Mapping[str, Sequence[str]]) -> Iterator[tuple[str, str]]:
    """Maps and curves of the whole grid, by part and values."""
    names = [name for name in grid if name != ACROSS]
    for values in product(*(grid[name] for name in names)):
        setting = read_setting(dict(zip(names, values, strict=True)))
        yield "|".join(["map", *values]), shown("map", setting)
        for value in grid[ACROSS]:
            yield "|".join(["curves", *values, value]), shown("curves", _moved(setting, value))


def _moved(setting: Setting, value: str) -> Setting:
    return replace(setting, distribution=replace(setting.distribution, p_high=float(value)))


def _controls(grid: Mapping[str, Sequence[str]]) -> dict[str, dict[str, Any]]:
    """The controls of what the file has: sliders of what a click chooses, lists of the rest."""
    known = {key: control for group in controls() for key, control in group["controls"].items()}
    moved = {key: known[key] for key in MOVED}
    return moved | {key: {"label": known[key]["label"], "choices": grid[key]} for key in grid if key not in MOVED}


class _Pool:
    """Texts that several answers have in common, each held once."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self._places: dict[str, int] = {}

    def _place(self, value: Any) -> int:
        text = json.dumps(value, separators=(",", ":"))
        if text not in self._places:
            self._places[text] = len(self.texts)
            self.texts.append(text)
        return self._places[text]

    def packed(self, found: dict[str, Any]) -> dict[str, Any]:
        """An answer whose figure, columns of points and axes are places in the pool."""
        if "figure" in found:
            points = {name: self._place(column) for name, column in found["figure"].pop("points").items()}
            found["figure"] = {"frame": self._place(found["figure"]), "points": points}
        return {name: self._place(value) if name in ("x", "y") else value for name, value in found.items()}


def _zipped(value: Any) -> str:
    return _packed(json.dumps(value, separators=(",", ":")))


def _packed(text: str) -> str:
    return base64.b64encode(gzip.compress(text.encode(), 9, mtime=0)).decode()
