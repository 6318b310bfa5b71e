"""Online gates by name: the project's, those that a program declares, and those of installed packages."""

from __future__ import annotations

from importlib.metadata import entry_points
from typing import TYPE_CHECKING

from theory.fields import shown

if TYPE_CHECKING:
    from gating.gates.online import OnlineGate

__all__ = ["ENTRY_POINTS", "declare_gate", "find_gate", "gate_names"]

ENTRY_POINTS = "gating.gates"
"""Group of the entry points by which a package says which module declares a gate: ``key = "package.module"``."""

_GATES: dict[str, type[OnlineGate]] = {}


def declare_gate(key: str, gate: type[OnlineGate]) -> None:
    """Gives a gate its name; ``class MyGate(LinearLossGate, key="my_gate")`` does it.

    Raises:
        ValueError: another gate has the name.
    """
    known = _GATES.setdefault(key, gate)
    if (known.__module__, known.__qualname__) != (gate.__module__, gate.__qualname__):
        raise ValueError(f"`key` must be of one gate; {key!r} is of {known} and {gate}")
    _GATES[key] = gate  # a module that is run again declares its gates again


def gate_names() -> list[str]:
    """Names of all online gates that are declared or installed.

    Example:
        >>> from gating.gates import AdaHedgeGate
        >>> "adahedge" in gate_names()
        True
    """
    return sorted({*_GATES, *entry_points(group=ENTRY_POINTS).names})


def find_gate(key: str) -> type[OnlineGate]:
    """The gate of a name; the module of an installed one is imported when it is asked for.

    Raises:
        ValueError: there is none, or the module that an entry point names does not declare it.

    Example:
        >>> from gating.gates import AdaHedgeGate
        >>> find_gate("adahedge") is AdaHedgeGate
        True
    """
    for entry in entry_points(group=ENTRY_POINTS):
        if entry.name == key and key not in _GATES:
            entry.load()
    if key not in _GATES:
        raise ValueError(f"`key` must be one of {gate_names()}, which a module declares; got {shown(key)}")
    return _GATES[key]
