"""Two figures of the study `finetune`: accuracy against the share of context prompts, and gates side by side."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from gating.evaluation.context_share import ShareAdvice
from gating.evaluation.table import read_setting
from gating.report.canvas import canvas
from gating.report.draw import PAPER, REFERENCE_COLOUR
from gating.report.names import GROUPS, INK, system_of
from gating.report.query import at_last_step, select

__all__ = ["GATES_TITLE", "SHARE_TITLE", "draw_gates", "draw_share", "gates_by_exposure", "setting_label"]

SHARE_TITLE = "In-context accuracy against the share of context prompts"
GATES_TITLE = "Effective gates side by side, against how often training asked for the answer"

LINES = {"high": "-", "low": "--", "all": "-"}


def draw_share(advice: ShareAdvice, margin: float) -> str:
    """In-context accuracy against the share of context prompts, as SVG text.

    Args:
        advice: what was measured, and the advised share.
        margin: allowed loss of accuracy.
    """
    with canvas(7.0, 4.0) as (figure, text):
        axes = figure.subplots()
        figure.suptitle(SHARE_TITLE)
        place = np.arange(len(advice.shares))
        axes.plot(place, advice.accuracy, label="after fine-tuning", color=INK, marker="o")
        axes.vlines(place, advice.low, advice.high, color=INK, linewidth=1.1, alpha=0.6)
        grey: dict[str, Any] = {"color": REFERENCE_COLOUR, "linewidth": 1.2, "marker": ""}
        axes.axhline(advice.base, linestyle=(0, (1, 2)), label="before", **grey)
        axes.axhline(advice.best - margin, linestyle="--", label="largest, less the margin", **grey)
        if np.isfinite(advice.advised):
            at = float(place[advice.shares == advice.advised][0])
            axes.axvline(at, color="#d55e00", linewidth=0.9, marker="", label="advised share")
        axes.xaxis.set_major_locator(FixedLocator(place.tolist()))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{100 * advice.shares[round(x)]:g}%"))
        axes.set_xlabel("share of training prompts whose context has to be read")
        axes.set_ylabel("in-context accuracy")
        axes.set_ylim(-0.04, 1.04)
        figure.legend(loc="outside lower center", ncols=4)
    return text.getvalue()


def gates_by_exposure(summary: pd.DataFrame) -> pd.DataFrame:
    """Effective gates with the number of times training asked for a fact or a class, in a column ``exposures``.

    Gates of language models are those of contradicting contexts, at every step after the first.

    Args:
        summary: rows as `gating.evaluation.table.summarise` returns them.
    """
    keys = ["system", "n", "step", "setting", "group"]
    gates = select(summary, {"measure": "effective_gate"})
    llm = gates[(gates["system"] == "llm") & (gates["context"] == "contradicting") & (gates["step"] > 0)]
    others = gates[gates["system"] != "llm"]
    times = select(summary, {"measure": "exposures"})[[*keys, "value"]].rename(columns={"value": "exposures"})
    fixed = times.drop(columns=["step", "setting"])
    joined = [llm.merge(times, on=keys), at_last_step(others).merge(fixed, on=["system", "n", "group"])]
    found = pd.concat(joined, ignore_index=True)
    return found[(found["exposures"] > 0) & found["value"].notna()]


def draw_gates(gates: pd.DataFrame) -> str:
    """Effective gates against exposures, as SVG text.

    Args:
        gates: rows of `gates_by_exposure`, one or more.
    """
    with canvas(7.6, 4.6) as (figure, text):
        axes = figure.subplots()
        figure.suptitle(GATES_TITLE)
        settings = list(dict.fromkeys(gates.loc[gates["system"] == "llm", "setting"]))
        if {"high", "low"} & set(gates.loc[gates["system"] == "llm", "group"]):
            gates = gates[gates["group"] != "all"]  # groups tell more than their mean
        for (system, setting, group), curve in gates.groupby(["system", "setting", "group"], dropna=False, sort=False):
            _gate_curve(axes, str(system), setting, str(group), curve.sort_values("exposures"), settings)
        axes.set_xscale("log")
        axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:,.4g}"))
        axes.xaxis.set_minor_locator(NullLocator())
        axes.set_xlabel("times that training asked for one fact, or one class, with its own answer")
        axes.set_ylabel("effective gate\n0 = context, 1 = weights")
        axes.set_ylim(-0.04, 1.04)
        figure.legend(loc="outside lower center", ncols=2)
    return text.getvalue()


def _gate_curve(axes: Axes, system: str, setting: Any, group: str, curve: pd.DataFrame, settings: list[Any]) -> None:
    look = system_of(system)
    name = look.name if pd.isna(setting) else f"{look.name}, {setting_label(setting)}"
    name = name if group == "all" else f"{name}: {GROUPS[group]}"
    marker = look.marker if pd.isna(setting) else "ospDv^P*X<>"[settings.index(setting) % 11]
    at, value, low, high = (curve[c].to_numpy(np.float64) for c in ("exposures", "value", "low", "high"))
    axes.plot(at, value, color=look.colour, marker=marker, linestyle=LINES[group], label=name,
              markerfacecolor=look.colour if group != "low" else PAPER)  # fmt: skip
    axes.vlines(at, low, high, color=look.colour, linewidth=1.1, alpha=0.6)


def setting_label(setting: str) -> str:
    """Mixture and exposure of the column ``setting``, in words.

    Example:
        >>> setting_label('mixture="memory=0.5 reading=0.5"; exposure="equal"')
        'memory 50%, reading 50%; all facts equally often'
    """
    values = read_setting(setting)
    words = [word.split("=") for word in str(values["mixture"]).split()]
    shares = [f"{n} {v}" if n == "sentences" else f"{n} {100 * float(v):g}%" for n, v in words]
    kinds = words[0][0] + " only" if len(words) == 1 else ", ".join(shares)
    return kinds + ("; all facts equally often" if values["exposure"] == "equal" else "")
