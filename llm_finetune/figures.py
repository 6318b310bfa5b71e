"""Two figures of the study `finetune`: accuracy against the share of context prompts, and gates side by side."""

import math
from collections.abc import Mapping
from typing import Any

import pandas as pd

from gating.page.figures import Axis, Figure, Layer, Panel
from gating.page.multiples import DASHED, DOTTED, points
from gating.page.names import GREY, SHAPES, System, system_of
from gating.results.columns import measure
from gating.results.query import last_step, select
from gating.studies.vocabulary import GATE, GROUPS

__all__ = ["FACTS", "gate_figure", "gates_by_exposure", "share_figure"]

FACTS = {"all": "All facts", "high": "Frequent facts", "low": "Rare facts"}
Setting = tuple[str, str]
"""Mixture and exposure, as in the columns."""
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


def gates_by_exposure(summary: pd.DataFrame) -> pd.DataFrame:
    """Effective gates with the number of times training asked for a fact or a class, in a column ``exposures``.

    Gates of language models are those of contradicting contexts, at every step after the first.

    Args:
        summary: rows as `gating.results.table.summarise` returns them.
    """
    keys = ["system", "n", "step", "mixture", "exposure", "group"]
    gates = select(summary, {"measure": "effective_gate"})
    llm = gates[(gates["system"] == "llm") & (gates["context"] == "contradicting") & (gates["step"] > 0)]
    others = gates[gates["system"] != "llm"]
    times = select(summary, {"measure": "exposures"})[[*keys, "value"]].rename(columns={"value": "exposures"})
    fixed = times.drop(columns=["step", "mixture", "exposure"])
    joined = [llm.merge(times, on=keys), last_step(others).merge(fixed, on=["system", "n", "group"])]
    found = pd.concat(joined, ignore_index=True)
    return found[(found["exposures"] > 0) & found["value"].notna()]


def gate_figure(words: Texts, gates: pd.DataFrame, labels: Mapping[Setting, str], alone: str) -> Figure:
    """Effective gates against exposures.

    Args:
        words: name and texts of the figure.
        gates: rows of `gates_by_exposure`, one or more.
        labels: how each model was trained, in words.
        alone: what is said where there are no gates of other models.
    """
    if {"high", "low"} & set(gates.loc[gates["system"] == "llm", "group"]):
        gates = gates[gates["group"] != "all"]  # groups tell more than their mean
    shapes = [system_of("llm").shape, *(shape for shape in SHAPES if shape != system_of("llm").shape)]
    layers = []
    keys = ["system", "mixture", "exposure", "group"]
    for (system, mixture, exposure, group), curve in gates.groupby(keys, dropna=False, sort=False):
        look, setting = system_of(str(system)), (str(mixture), str(exposure))
        group_names = {**GROUPS, **FACTS} if system == "llm" else GROUPS
        name, shape = look.name, look.shape
        if setting in labels:
            name, shape = f"{name}, {labels[setting]}", shapes[list(labels).index(setting) % len(shapes)]
        name += "" if group == "all" else f": {group_names[str(group)].lower()}"
        rare = group == "low"
        look = look._replace(name=name, shape=shape, filled=not rare, dash=DASHED if rare else ())
        layers.append(Layer(look, points(curve.drop(columns="step"), "exposures"), "curve"))
    sentences = (words["look"], *([alone] if set(gates["system"]) == {"llm"} else []))
    x = Axis(measure("exposures").meaning, scale="log")
    return Figure(words["name"], words["title"], sentences, x, (Panel("", "", GATE.axis, tuple(layers)),), 1)
