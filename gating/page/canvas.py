"""A figure in the style of all plots."""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import resources

import matplotlib.style
from matplotlib.figure import Figure

__all__ = ["canvas"]


@contextmanager
def canvas(width: float, height: float) -> Iterator[tuple[Figure, io.StringIO]]:
    """An empty figure in the style of all plots, and where its SVG text goes at the end of the block.

    Args:
        width: inches.
        height: inches.

    Example:
        >>> with canvas(3.0, 2.0) as (figure, text):
        ...     line = figure.subplots().plot([0, 1], [0, 1])
        >>> "<svg" in text.getvalue()
        True
    """
    style = resources.files("gating.page") / "plots.mplstyle"
    with resources.as_file(style) as path, matplotlib.style.context(path):
        figure, text = Figure(figsize=(width, height), layout="constrained"), io.StringIO()
        yield figure, text
        figure.savefig(text, format="svg", metadata=dict.fromkeys(("Date", "Creator", "Format", "Type")))
