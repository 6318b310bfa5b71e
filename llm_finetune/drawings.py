"""Two figures of the study `finetune`: accuracy against the share of context prompts, and gates side by side."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from gating.page.canvas import canvas
from gating.page.draw import PAPER, REFERENCE_COLOUR
from gating.page.names import INK, system_of
from gating.results.columns import measure
from gating.results.query import last_step, select
from gating.studies.vocabulary import GATE, GROUPS

__all__ = ["draw_gates", "draw_share", "gates_by_exposure"]

Setting = tuple[str, str]
"""Mixture and exposure, as in the columns."""


def draw_share(title: str, answers: pd.DataFrame, margin: float) -> str:
    """In-context accuracy against the share of context prompts, as SVG text.

    Args:
        title: heading of the figure.
        answers: rows of `advice_rows`.
        margin: allowed loss of accuracy.
    """
    after = select(answers, {"measure": "in_context_accuracy"})
    shares, value, low, high = (after[name].to_numpy(np.float64) for name in ("share", "value", "low", "high"))
    found = answers.set_index("measure")["value"].to_dict()
    with canvas(7.0, 4.0) as (figure, text):
        axes = figure.subplots()
        figure.suptitle(title)
        place = np.arange(len(shares))
        axes.plot(place, value, label="after fine-tuning", color=INK, marker="o")
        axes.vlines(place, low, high, color=INK, linewidth=1.1, alpha=0.6)
        grey: dict[str, Any] = {"color": REFERENCE_COLOUR, "linewidth": 1.2, "marker": ""}
        axes.axhline(found["in_context_accuracy_before"], linestyle=(0, (1, 2)), label="before", **grey)
        level = found["largest_in_context_accuracy"] - margin
        axes.axhline(level, linestyle="--", label="largest, less the margin", **grey)
        for at in place[shares == found.get("advised_share")]:
            axes.axvline(at, color="#d55e00", linewidth=0.9, marker="", label="advised share")
        axes.xaxis.set_major_locator(FixedLocator(place.tolist()))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{100 * shares[round(x)]:g}%"))
        axes.set(xlabel="share of training prompts whose context has to be read", ylabel="in-context accuracy")
        axes.set_ylim(-0.04, 1.04)
        figure.legend(loc="outside lower center", ncols=4)
    return text.getvalue()


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


def draw_gates(title: str, gates: pd.DataFrame, labels: Mapping[Setting, str]) -> str:
    """Effective gates against exposures, as SVG text.

    Args:
        title: heading of the figure.
        gates: rows of `gates_by_exposure`, one or more.
        labels: how each model was trained, in words.
    """
    with canvas(7.6, 4.6) as (figure, text):
        axes = figure.subplots()
        figure.suptitle(title)
        if {"high", "low"} & set(gates.loc[gates["system"] == "llm", "group"]):
            gates = gates[gates["group"] != "all"]  # groups tell more than their mean
        keys = ["system", "mixture", "exposure", "group"]
        for (system, mixture, exposure, group), curve in gates.groupby(keys, dropna=False, sort=False):
            look, curve, setting = system_of(str(system)), curve.sort_values("exposures"), (str(mixture), str(exposure))
            trained = setting in labels
            name = f"{look.name}, {labels[setting]}" if trained else look.name
            name = name if group == "all" else f"{name}: {GROUPS[str(group)]}"
            marker = "ospDv^P*X<>"[list(labels).index(setting) % 11] if trained else look.marker
            at, value, low, high = (curve[c].to_numpy(np.float64) for c in ("exposures", "value", "low", "high"))
            line, face = ("--", PAPER) if group == "low" else ("-", look.colour)
            axes.plot(at, value, color=look.colour, marker=marker, linestyle=line, markerfacecolor=face, label=name)
            axes.vlines(at, low, high, color=look.colour, linewidth=1.1, alpha=0.6)
        axes.set(xscale="log", xlabel=measure("exposures").meaning, ylabel=GATE.label, ylim=(GATE.low, GATE.high))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:,.4g}"))
        axes.xaxis.set_minor_locator(NullLocator())
        figure.legend(loc="outside lower center", ncols=2)
    return text.getvalue()
