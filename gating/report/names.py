"""What the field calls things, and the one colour and marker that each system has in every plot."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

__all__ = [
    "CONDITIONS",
    "GROUPS",
    "INK",
    "MEASURES",
    "SYSTEMS",
    "THEORY",
    "System",
    "condition_name",
    "in_order",
    "system_of",
]


@dataclass(frozen=True)
class System:
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

SYSTEMS: dict[str, System] = {
    "transformer": System("Transformer", "Small decoder-only Transformer trained on the mixture.", INK, "o"),
    "stylized": System(
        "Stylized model, end to end", "Gate, in-weight g and in-context h trained together.", "#009e73", "^"
    ),
    "stylized_frozen": System(
        "Stylized model, gate over frozen g and h", "The gate alone, over g and h trained before.", "#cc79a7", "v"
    ),
    "in_weight": System("In-weight g (MLP)", "Sees the query, never the context.", "#0072b2", "s"),
    "in_context": System(
        "In-context h (softmax similarity)", "Copies labels of similar context inputs.", "#d55e00", "D"
    ),
    "tabular": System("In-weight, tabular (add-beta counts)", "Label counts of each class.", "#7f6fbf", "P"),
    "transformer_iw": System(
        "Reference Transformer, in-weight", "The same Transformer, no context ever relevant.", "#56b4e9", "s", False
    ),
    "transformer_ic": System(
        "Reference Transformer, in-context", "The same Transformer, every context relevant.", "#e69f00", "D", False
    ),
}
"""Systems in the order of legends and tables. Blue answers from weights, orange from context."""

THEORY = {"in_weight": "tabular in-weight", "in_context": "softmax copying"}
"""Which predictor the theory of a system is about; both on clean inputs, with the query's class known."""

OTHER_COLOURS = ("#8c564b", "#4d4d4d", "#999933", "#882255", "#44aa99", "#aa4499")
OTHER_MARKERS = ("X", "p", "h", "*", "<", ">")

CONDITIONS: dict[tuple[str, str], str] = {
    ("ibd", "relevant"): "IBD, relevant",
    ("ibd", "irrelevant"): "IBD, irrelevant",
    ("oobd", "relevant"): "OOBD, relevant",
    ("ibd", "as_trained"): "IBD, as trained",
    ("oobd", "irrelevant"): "OOBD, irrelevant",
    ("oobd", "as_trained"): "OOBD, as trained",
}
"""Test conditions, (distribution, context), in the order of columns."""

GROUPS = {"high": "frequent classes", "low": "rare classes", "all": "all classes"}

MEASURES = {
    "error": "error (0-1)",
    "log_loss": "log loss (nats)",
    "expected_error": "expected error",
    "expected_log_loss": "expected log loss (nats)",
    "effective_gate": "effective gate",
    "effective_gate_residual": "gate residual (nats)",
    "effective_gate_reference": "gate between reference Transformers",
    "effective_gate_reference_residual": "its residual (nats)",
    "mean_gate": "own mean gate",
}


def system_of(key: str) -> System:
    """How a system is shown; one that is not in `SYSTEMS` gets a look that depends on its key alone.

    Example:
        >>> system_of("transformer").name, system_of("my_model").name
        ('Transformer', 'My model')
    """
    if key in SYSTEMS:
        return SYSTEMS[key]
    turn = sum(key.encode()) % len(OTHER_COLOURS)
    name = key.replace("_", " ")
    return System(name[:1].upper() + name[1:], "", OTHER_COLOURS[turn], OTHER_MARKERS[turn])


def in_order(keys: Iterable[str], order: Iterable[str]) -> list[str]:
    """The distinct `keys`, those of `order` first and the others by name.

    Example:
        >>> in_order(["my_model", "in_context", "transformer"], SYSTEMS)
        ['transformer', 'in_context', 'my_model']
    """
    rank = {key: place for place, key in enumerate(order)}
    return sorted(set(keys), key=lambda key: (rank.get(key, len(rank)), key))


def condition_name(distribution: str, context: str) -> str:
    """A test condition in words.

    Example:
        >>> condition_name("oobd", "relevant")
        'OOBD, relevant'
    """
    return CONDITIONS.get((distribution, context), f"{distribution}, {context}".replace("_", " "))
