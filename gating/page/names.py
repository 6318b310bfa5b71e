"""How systems look: each has one name, one colour and one shape in every chart and table."""

from collections.abc import Iterable, Mapping
from typing import NamedTuple
from zlib import crc32

__all__ = [
    "GREY",
    "INK",
    "PAPER",
    "SHAPES",
    "System",
    "declare_systems",
    "in_order",
    "in_places",
    "known_systems",
    "system_of",
]

INK, PAPER, GREY = "#1b1b1f", "#fefefe", "#8a8a92"
"""Colours of text, axes and the Transformer; of the ground; of lines that others are compared with."""

SHAPES = {
    "circle": "M-.9,0A.9,.9,0,1,0,.9,0A.9,.9,0,1,0,-.9,0Z",
    "square": "M-.8,-.8H.8V.8H-.8Z",
    "diamond": "M0,-1.1L.8,0L0,1.1L-.8,0Z",
    "triangle-up": "M0,-1L1,.8H-1Z",
    "triangle-down": "M0,1L1,-.8H-1Z",
    "triangle-left": "M-1,0L.8,-1V1Z",
    "triangle-right": "M1,0L-.8,-1V1Z",
    "cross": "M-.3,-1H.3V-.3H1V.3H.3V1H-.3V.3H-1V-.3H-.3Z",
    "saltire": "M-1,-.6L-.6,-1L0,-.4L.6,-1L1,-.6L.4,0L1,.6L.6,1L0,.4L-.6,1L-1,.6L-.4,0Z",
    "star": "M0,-1.1L.28,-.38L1.05,-.34L.45,.14L.65,.89L0,.46L-.65,.89L-.45,.14L-1.05,-.34L-.28,-.38Z",
    "pentagon": "M0,-1L.95,-.31L.59,.81H-.59L-.95,-.31Z",
    "hexagon": "M-.5,-.87H.5L1,0L.5,.87H-.5L-1,0Z",
}
"""Outlines of the shapes of points, between -1 and 1."""


class System(NamedTuple):
    """A predictor, or whatever else a legend names, as charts and tables show it.

    Args:
        name: what a legend calls it.
        role: one sentence for the page.
        colour: hexadecimal; systems of one chart are told apart by colour-blind readers.
        shape: of its points, one of `SHAPES`; none where it is empty.
        filled: whether points are filled; those of reference models are open.
        dash: lengths of the strokes and gaps of its line, in pixels; a full line where it is empty.
    """

    name: str
    role: str
    colour: str
    shape: str = ""
    filled: bool = True
    dash: tuple[float, ...] = ()


_SYSTEMS: dict[str, System] = {}

OTHER_COLOURS = ("#7f6746", "#59667f", "#ccb266", "#e5004c", "#6551cc", "#7e86e5")
OTHER_SHAPES = ("saltire", "pentagon", "hexagon", "star", "triangle-left", "triangle-right")


def declare_systems(looks: Mapping[str, System]) -> dict[str, System]:
    """Puts systems into the one list of looks; returns them.

    Raises:
        ValueError: a key is taken by a system that looks otherwise.
    """
    for key, look in looks.items():
        if _SYSTEMS.setdefault(key, look) != look:
            raise ValueError(f"`{key}` must have one look; it is declared as {_SYSTEMS[key]} and {look}")
    return dict(looks)


def known_systems() -> dict[str, System]:
    """Every system that is declared, in the order of legends and tables."""
    return dict(_SYSTEMS)


def system_of(key: str) -> System:
    """How a system is shown; one that is not known gets a look that depends on its key alone.

    Example:
        >>> system_of("my_model").name
        'My model'
    """
    if key in _SYSTEMS:
        return _SYSTEMS[key]
    turn, colour = divmod(crc32(key.encode(errors="replace")), len(OTHER_COLOURS))
    filled, shape = divmod(turn, len(OTHER_SHAPES))
    name = key.replace("_", " ")
    return System(name[:1].upper() + name[1:], "", OTHER_COLOURS[colour], OTHER_SHAPES[shape], filled % 2 == 0)


def in_places(keys: Iterable[str], order: Iterable[str]) -> list[str]:
    """The distinct `keys`, those of `order` first and the others as they come.

    Example:
        >>> in_places(["c", "b", "a"], ["a"])
        ['a', 'c', 'b']
    """
    rank = {key: place for place, key in enumerate(order)}
    return sorted(dict.fromkeys(keys), key=lambda key: rank.get(key, len(rank)))


def in_order(keys: Iterable[str], order: Iterable[str]) -> list[str]:
    """The distinct `keys`, those of `order` first and the others by name.

    Example:
        >>> in_order(["my_model", "in_context", "transformer"], ["transformer", "in_context"])
        ['transformer', 'in_context', 'my_model']
    """
    return in_places(sorted(set(keys)), order)
