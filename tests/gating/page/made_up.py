"""Made-up figures: every mark on every scale, and what an SVG file of one says."""

import re
import xml.etree.ElementTree as ET
from collections.abc import Iterator, Sequence
from typing import Any, Literal, get_args

import pandas as pd

from gating.page.figures import Axis, Figure, Layer, Panel
from gating.page.names import SHAPES, System

MARKS: tuple[str, ...] = get_args(Layer.__annotations__["mark"]) or (
    "curve", "line", "points", "across", "upright", "cells", "frame", "words",
)  # fmt: skip
SCALES = ("linear", "log", "sqrt", "symlog", "words")
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#9f19ff", "#7f6746", "#56b4e9", "#e69f00")
X, Y = Axis("x"), Axis("y")
NAMESPACE = "{http://www.w3.org/2000/svg}"


def points(mark: str, x: Sequence[Any] = (1.0, 10.0, 100.0), y: Sequence[float] = (0.2, 0.5, 0.3)) -> pd.DataFrame:
    """Rows of a layer: three points with intervals, or three cells."""
    rows = pd.DataFrame({"x": list(x), "value": list(y)})
    low, high = rows["value"] * 0.8, rows["value"] * 1.2
    if mark in ("cells", "frame"):
        ends = rows.assign(low=low, high=high, said="a cell")
        return ends if isinstance(x[0], str) else ends.assign(x2=rows["x"] * 2)
    if mark == "words":
        return rows.assign(said=[f"word {place}" for place in range(len(rows))])
    return rows.assign(low=low, high=high, seeds=3)


def figure(*marks: str, x: Axis = X, y: Axis = Y, rows: pd.DataFrame | None = None, **held: Any) -> Figure:
    """A figure of one panel with a layer of each mark."""
    words = {"x": ["a", "b", "c"]} if x.scale == "words" else {}
    layers = tuple(
        Layer(System(f"look {mark}", "", COLOURS[place], list(SHAPES)[place], place % 2 == 0, (4.0, 2.0) * (place % 2)),
              points(mark, **words) if rows is None else rows, mark)  # type: ignore[arg-type]
        for place, mark in enumerate(marks)
    )  # fmt: skip
    return Figure("made-up", "Made up", ("Look here.",), x, (Panel("row", "column", y, layers),), 1, **held)


def every() -> Iterator[tuple[str, Figure]]:
    """Every mark on every scale that it can stand on, by name."""
    for mark in MARKS:
        for scale in SCALES:
            if scale != "words" or mark in ("points", "curve", "cells"):
                yield f"{mark} {scale}", figure(mark, x=Axis("x", scale=scale))  # type: ignore[arg-type]
        if mark not in ("upright",):
            for scale in SCALES[:-1]:
                yield f"{mark} over {scale}", figure(mark, y=Axis("y", scale=scale))  # type: ignore[arg-type]
    shades = (Axis("share", 0, 1), ("#ffffff", "#0072b2"))
    yield "shades", figure("cells", "frame", "words", shades=shades)
    steps = pd.concat([points("curve").assign(step=step) for step in (1, 2)])
    yield "steps", figure("curve", "line", rows=steps, steps=(1, 2))
    yield "all together", figure(*MARKS)


def ticks(svg: str, of: Literal["X", "Y"]) -> list[tuple[str, float]]:
    """Labels of the ticks of the first axis of a direction in an SVG text, each with its place in pixels."""
    root = ET.fromstring(svg)
    for group in root.iter(f"{NAMESPACE}g"):
        if (group.get("aria-label") or "").startswith(f"{of}-axis"):
            labels = next(
                each for each in group.iter(f"{NAMESPACE}g") if "role-axis-label" in (each.get("class") or "")
            )
            found = []
            for text in labels.iter(f"{NAMESPACE}text"):
                place = re.match(r"translate\(([-\d.]+),([-\d.]+)\)", text.get("transform") or "")
                assert place
                shown = text.get("opacity") != "0" and (text.text or "")
                if shown:
                    found.append((shown, float(place[1 if of == "X" else 2])))
            return found
    return []
