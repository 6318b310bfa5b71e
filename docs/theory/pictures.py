"""The pictures of docs/theory.md, a file for each: python -m docs.theory.pictures [folder], from the project's root.

Every number comes from the library.
"""

import sys
from pathlib import Path

from docs.theory import predictors_and_gates as gates
from docs.theory import training
from gating import save_plot

PICTURES = (
    gates.in_weight,
    gates.in_context,
    gates.noisy_context,
    gates.best_gate,
    gates.regret,
    gates.phases,
    training.strategies,
    training.effective_weights,
    training.linear_attention,
    training.kinetics,
    training.item_kinetics,
)


def main(folder: Path) -> None:
    for draw in PICTURES:
        figure = draw()
        save_plot(figure, "", folder / f"{figure.name}.svg")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent)
