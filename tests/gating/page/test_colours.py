"""Whatever a legend names is told apart by every reader, in light and in dark mode; one system has one colour."""

import itertools
import re
from importlib import resources

import numpy as np
import pytest
import yaml

from gating.page.chart import COLOURS, legend_of
from gating.page.names import OTHER_COLOURS, OTHER_SHAPES, SHAPES, known_systems, system_of
from gating.runs.plot import figures_in
from tests.golden.settings import CASES, run

APART = 10.0
"""Least CIE76 difference of two colours that nothing else tells apart."""
CONTRAST = 1.9
"""Least contrast of a mark with the ground, by the formula of WCAG 2."""

SIGHTS = {
    "no deficiency": np.eye(3),
    "protanopia": np.array([[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216],
                            [-0.003882, -0.048116, 1.051998]]),
    "deuteranopia": np.array([[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413],
                              [-0.011820, 0.042940, 0.968881]]),
    "tritanopia": np.array([[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602],
                            [0.004733, 0.691367, 0.303900]]),
}  # fmt: skip
"""Linear RGB as others see it: Machado, Oliveira and Fernandes (2009), severity 1."""
TO_XYZ = np.array(
    [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]]
)
WHITE = np.array([0.95047, 1.0, 1.08883])


def linear(colour: str) -> np.ndarray:
    """Linear RGB of a hexadecimal colour."""
    parts = np.array([int(colour[place : place + 2], 16) for place in (1, 3, 5)]) / 255
    return np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)


def lab(rgb: np.ndarray) -> np.ndarray:
    """CIELAB, D65, of linear RGB."""
    xyz = TO_XYZ @ rgb / WHITE
    f = np.where(xyz > (6 / 29) ** 3, np.cbrt(xyz), xyz / (3 * (6 / 29) ** 2) + 4 / 29)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


def seen(colour: str) -> dict[str, np.ndarray]:
    """A colour in CIELAB, for each sight."""
    return {sight: lab(np.clip(matrix @ linear(colour), 0, 1)) for sight, matrix in SIGHTS.items()}


def apart(one: str, other: str) -> float:
    """Difference of two colours for the sight that tells them apart worst."""
    first, second = seen(one), seen(other)
    return min(float(np.linalg.norm(first[sight] - second[sight])) for sight in SIGHTS)


def modes() -> dict[str, dict[str, str]]:
    """Value of each variable of the page's colours, in each mode."""
    css = (resources.files("gating.page") / "page.css").read_text(encoding="utf-8")
    light, dark = re.findall(r":root(?:\[data-theme=\"dark\"\])? \{([^}]*)\}", css)
    return {
        mode: dict(re.findall(r"(--[\w-]+): (#[0-9a-f]{6})", block))
        for mode, block in (("light", light), ("dark", dark))
    }


MODES = modes()


def in_mode(colour: str, mode: str) -> str:
    """A colour of the legend, or of a look, in a mode of the page."""
    name = COLOURS.get(colour) or (colour[4:-1] if colour.startswith("var(") else "")
    return MODES[mode][name] if name else colour


def form(entry: dict) -> tuple:
    """What tells an entry of a legend apart beside its colour."""
    points = (entry["shape"], entry["filled"]) if entry["mark"] in ("points", "curve") and entry["shape"] else ()
    kind = entry["mark"] if entry["mark"] in ("cells", "upright") else "line"
    return kind, points, tuple(entry["dash"]) if entry["mark"] not in ("points", "cells") else "no line"


def alike(entries: list[dict], mode: str) -> list[tuple]:
    """Pairs of entries that somebody does not tell apart."""
    return [
        (one["name"], other["name"], round(difference, 1))
        for one, other in itertools.combinations(entries, 2)
        if form(one) == form(other)
        and (difference := apart(in_mode(one["colour"], mode), in_mode(other["colour"], mode))) < APART
    ]


@pytest.fixture(scope="module")
def figures(small_runs):
    """Every figure of small runs, by study, case and name; the second cases of two studies have the longest legends."""
    found = {}
    for study, cases in CASES.items():
        for case in list(cases)[: 2 if study in ("compare", "finetune") else 1]:
            for figure in figures_in(run(study, case, small_runs)):
                found[study, case, figure.name] = figure
    return found


WORDS = sorted(
    path for package in ("gating", "llm_finetune") for path in resources.files(package).rglob("page.yaml")  # type: ignore[attr-defined]
)  # fmt: skip


def declared(path) -> list[dict]:
    """Looks that a file of words declares, by section."""
    held = yaml.safe_load(path.read_text(encoding="utf-8"))
    return [held[section] for section in ("systems", "looks") if held.get(section)]


@pytest.mark.parametrize("mode", MODES)
def test_everything_that_a_legend_names_is_told_apart(figures, mode):
    assert {place: pairs for place, figure in figures.items() if (pairs := alike(legend_of(figure), mode))} == {}


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("path", WORDS, ids=lambda path: path.parent.name)
def test_looks_of_one_page_are_told_apart(path, mode):
    for looks in declared(path):
        entries = [{"name": key, "mark": "curve", "dash": look.get("dash", []), "filled": look.get("filled", True),
                    "shape": SHAPES.get(look.get("shape", ""), ""), "colour": look["colour"]}
                   for key, look in looks.items()]  # fmt: skip
        assert alike(entries, mode) == []


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("path", WORDS, ids=lambda path: path.parent.name)
def test_looks_stand_out_from_the_ground(path, mode):
    faint = {}
    for looks in declared(path):
        for key, look in looks.items():
            values = sorted(float(np.array([0.2126, 0.7152, 0.0722]) @ linear(colour)) + 0.05
                            for colour in (in_mode(look["colour"], mode), MODES[mode]["--paper"]))  # fmt: skip
            if key != "share_undecided" and values[1] / values[0] < CONTRAST:  # which is to stand back
                faint[key] = round(values[1] / values[0], 2)
    assert faint == {}


def test_a_system_has_one_colour_in_every_figure_of_every_study(figures):
    """Also where an entry says more than its name, as in `Transformer: rare classes`."""
    systems = {look.name: look.colour for look in known_systems().values()}
    assert len(systems) == len(known_systems())
    for place, figure in figures.items():
        for layer in (layer for panel in figure.panels for layer in panel.layers):
            for name, colour in systems.items():
                if layer.look.name == name or layer.look.name.startswith((f"{name}:", f"{name}, ")):
                    assert layer.look.colour == colour, (place, layer.look.name)


def test_a_name_has_one_look_in_all_figures_of_a_study(figures):
    looks: dict[tuple[str, str], set[str]] = {}
    for (study, _, _), figure in figures.items():
        for panel in figure.panels:
            for layer in panel.layers:
                looks.setdefault((study, layer.look.name), set()).add(layer.look.colour)
    assert {name: colours for name, colours in looks.items() if len(colours) > 1} == {}


def test_systems_that_nobody_declared_have_colours_that_are_apart():
    assert min(itertools.starmap(apart, itertools.combinations(OTHER_COLOURS, 2))) >= APART
    assert len(OTHER_SHAPES) == len(OTHER_COLOURS)
    assert {system_of(f"model_{number}").colour for number in range(30)} == set(OTHER_COLOURS)
