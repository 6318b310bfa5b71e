"""A figure of the study `finetune`: accuracy against the share of context prompts."""

import math
from collections.abc import Mapping
from typing import Any

import pandas as pd

from gating.page.figures import Axis, Figure, Layer, Panel
from gating.page.multiples import DASHED, DOTTED
from gating.page.names import GREY, System, system_of

__all__ = ["FACTS", "share_figure"]

FACTS = {"all": "All facts", "high": "Frequent facts", "low": "Rare facts"}
Texts = Mapping[str, Any]


def share_figure(words: Texts, answers: pd.DataFrame, margin: float) -> Figure:
    """In-context accuracy against the share of context prompts.

    Args:
        words: name and texts of the figure.
        answers: rows of `advice_rows`.
        margin: allowed loss of accuracy.
    """
    found = {name: rows.assign(x=100 * rows["share"]) for name, rows in answers.groupby("measure")}
    after, before, largest = (found[f"{name}in_context_accuracy{end}"][["x", "value", "low", "high"]]
                              for name, end in (("", ""), ("", "_before"), ("largest_", "")))  # fmt: skip
    layers = [
        Layer(system_of("llm")._replace(name="Language model, after training"), after.sort_values("x"), "curve"),
        Layer(System("Before training", "", GREY, dash=DOTTED), before, "across"),
        Layer(System(f"Largest, less the margin of {margin:g}", "", GREY, dash=DASHED),
              largest.assign(value=largest["value"] - margin), "across"),
    ]  # fmt: skip
    shares = tuple(sorted(100 * float(share) for share in found["in_context_accuracy"]["share"]))
    advised = 100 * float(found["advised_share"]["value"].iloc[0]) if "advised_share" in found else math.inf
    if math.isfinite(advised):
        rows = pd.DataFrame({"x": [advised], "value": [math.nan], "said": [f"{advised:g}%"]})
        layers.append(Layer(System("Advised share", "", "#d55e00"), rows, "upright"))
    x = Axis(words["x"], -0.002 * shares[-1], scale="sqrt", ticks=shares)
    panel = Panel("", "", Axis("in-context accuracy", -0.04, 1.04), tuple(layers))
    return Figure(words["name"], words["title"], (words["look"],), x, (panel,), 1)
