"""How systems look: each has one name, one colour and one marker in every plot and table."""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

__all__ = ["INK", "System", "declare_systems", "in_order", "known_systems", "system_of"]


class System(NamedTuple):
    """A predictor as plots and tables show it.

    Args:
        name: what a legend calls it.
        role: one sentence for the page.
        colour: hexadecimal; the palette is Okabe and Ito's, told apart by colour-blind readers.
        marker: matplotlib's marker.
        filled: whether the marker is filled; reference models have open markers.
    """

    name: str
    role: str
    colour: str
    marker: str
    filled: bool = True


INK = "#1b1b1f"
"""Colour of text, axes and the Transformer."""

_SYSTEMS: dict[str, System] = {}

OTHER_COLOURS = ("#8c564b", "#4d4d4d", "#999933", "#882255", "#44aa99", "#aa4499")
OTHER_MARKERS = ("X", "p", "h", "*", "<", ">")


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
    turn = sum(key.encode()) % len(OTHER_COLOURS)
    name = key.replace("_", " ")
    return System(name[:1].upper() + name[1:], "", OTHER_COLOURS[turn], OTHER_MARKERS[turn])


def in_order(keys: Iterable[str], order: Iterable[str]) -> list[str]:
    """The distinct `keys`, those of `order` first and the others by name.

    Example:
        >>> in_order(["my_model", "in_context", "transformer"], ["transformer", "in_context"])
        ['transformer', 'in_context', 'my_model']
    """
    rank = {key: place for place, key in enumerate(order)}
    return sorted(set(keys), key=lambda key: (rank.get(key, len(rank)), key))
