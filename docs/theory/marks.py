"""What the pictures of docs/theory.md are drawn with: colours, dashes and layers.

Full lines are exact risks or what was played, long dashes upper bounds, short dashes lower bounds and limits; blue is
of weights, orange of copying, green of gates and of what they mix.
"""

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from gating import Layer, System

WEIGHTS, CONTEXT, GATE, GREY, PURPLE = "#0072b2", "#d55e00", "#009e73", "#59667f", "#8a5fbf"
EXACT, UPPER, LOWER = (), (7, 4), (1.5, 3)  # dashes
RARE = "low"  # group of the rare classes


def line(name: str, colour: str, dash: tuple[float, ...], x: ArrayLike, y: ArrayLike) -> Layer:
    """A curve with its entry in the legend; y may be one number."""
    places = np.asarray(x, np.float64)
    values = np.broadcast_to(np.asarray(y, np.float64), places.shape)
    return Layer(System(name, "", colour, dash=dash), pd.DataFrame({"x": places, "value": values}), "line")


def upright(name: str, colour: str, x: ArrayLike) -> Layer:
    """Vertical lines."""
    places = np.atleast_1d(np.asarray(x, np.float64))
    return Layer(System(name, "", colour, dash=LOWER), pd.DataFrame({"x": places}), "upright")


def measured(name: str, colour: str, x: ArrayLike, shares: ArrayLike, draws: int) -> Layer:
    """Shares of some draws, with two standard errors."""
    y = np.asarray(shares, np.float64)
    spread = 2 * np.sqrt(y * (1 - y) / draws)
    rows = pd.DataFrame({"x": x, "value": y, "low": y - spread, "high": y + spread})
    return Layer(System(name, "", colour, "circle"), rows, "points")
