"""What came out of a run of the study `finetune`, in sentences."""

from collections.abc import Iterator, Mapping
from typing import NamedTuple

import numpy as np
import pandas as pd

from gating.page.said import few_seeds, listed
from gating.page.text_table import number
from gating.results.query import select
from gating.results.table import summarise
from llm_finetune.advice import advice_sentence
from llm_finetune.config import FinetuneConfig

__all__ = ["finetune_verdict"]

MOST_NAMED = 2  # ways of training that a sentence names one by one
Rows = Mapping[str, pd.Series]
"""A row of the summary for each way of training, by its name."""


class _Ends(NamedTuple):
    """The summarised rows of the language model, before and after training."""

    before: pd.DataFrame
    after: pd.DataFrame


def finetune_verdict(config: FinetuneConfig, table: pd.DataFrame) -> tuple[str, ...]:
    """What came out: recall, whose answer wins a contradiction, in-context accuracy, the advised share; and caveats.

    Args:
        config: settings of the run.
        table: its rows, answers included.
    """
    llm = select(table, {"system": "llm", "kind": "measured", "answer": False})
    if llm.empty:
        return ("No language model was measured.",)
    summary = summarise(llm.assign(**{name: llm.get(name) for name in ("context", "mixture", "exposure")}))
    summary = select(summary, {"group": "all"})
    ends = _Ends(*(summary[summary["step"] == step] for step in (summary["step"].min(), summary["step"].max())))
    answers = table[table["answer"]]
    advice = advice_sentence(answers, config.margin, config.n_seeds)
    sentences = [_recall(config, ends), _winner(config, ends), _lost(config, ends, answers), advice]
    if llm["step"].nunique() < 2:
        sentences = ["The model was measured at one step alone: nothing is said of what training does."]
    return tuple(sentence for sentence in [*sentences, *_caveats(config, answers), *few_seeds(llm)] if sentence)


def _by_run(config: FinetuneConfig, rows: pd.DataFrame, context: str, measure: str) -> dict[str, pd.Series]:
    """The row of a condition and measure for each way of training that has one, by its name in quotes."""
    found = select(rows, {"context": context, "measure": measure})
    named = {
        f'"{run.label}"': select(found, {"mixture": run.mixture.text, "exposure": run.exposure}) for run in config.runs
    }
    return {name: row.iloc[0] for name, row in named.items() if len(row) and np.isfinite(row["value"].iloc[0])}


def _ways(config: FinetuneConfig) -> int:
    """How many ways of training there are."""
    return len({run.label for run in config.runs})


def _named(names: list[str], of: int) -> str:
    """Ways of training in a sentence: by name where they are few, else how many."""
    if len(names) == of > 1:
        return "every mixture"
    return listed(names) if len(names) <= MOST_NAMED else f"{len(names)} of {of} mixtures"


def _share(row: pd.Series) -> str:
    return number(float(row["value"]), float(row["low"]), float(row["high"]), 2)


def _each(rows: Rows, of: int) -> str:
    """Values with their intervals: one for each way of training, or the least and the largest where they are many."""
    if len(set(map(_share, rows.values()))) == 1:
        return f"{_share(next(iter(rows.values())))} with {_named(list(rows), of)}"
    ordered = sorted(rows, key=lambda name: float(rows[name]["value"]))
    if len(ordered) > MOST_NAMED:
        return f"between {' and '.join(f'{_share(rows[name])} with {name}' for name in (ordered[0], ordered[-1]))}"
    return listed([f"{_share(rows[name])} with {name}" for name in rows])


def _recall(config: FinetuneConfig, ends: _Ends) -> str:
    """How much is recalled without context, before and after."""
    before, after = (_by_run(config, rows, "no_context", "accuracy") for rows in ends)
    if not before or not after:
        return ""
    guess = 1 / len((*config.facts.answers, *config.facts.new_answers))
    none = all(row["low"] <= guess for row in after.values())
    end = f" None is above a uniform guess, {guess:.3g}, beyond its interval." if none else ""
    start = _share(next(iter(before.values())))
    return f"Recall of trained facts: {start} before training; after it {_each(after, _ways(config))}.{end}"


def _winner(config: FinetuneConfig, ends: _Ends) -> str:
    """Whose answer wins after training where the context contradicts a trained fact."""
    memorised, stated = (
        _by_run(config, ends.after, "contradicting", f"{whose}_wins") for whose in ("memorised", "stated")
    )
    groups: dict[str, list[str]] = {}
    for name in [name for name in memorised if name in stated]:
        m, s = memorised[name], stated[name]
        if m["value"] + s["value"] < 0.5:
            outcome = "other answers win most prompts"
        elif m["low"] > s["high"]:
            outcome = "the memorised answer wins"
        elif s["low"] > m["high"]:
            outcome = "the context's answer wins"
        else:
            outcome = "the memorised and the context's answer cannot be told apart"
        groups.setdefault(outcome, []).append(name)
    said = []
    for outcome, names in groups.items():
        first = f" ({_share(memorised[names[0]])} against {_share(stated[names[0]])})" if len(names) == 1 else ""
        said.append(f"{outcome} with {_named(names, _ways(config))}{first}")
    return f"Where a context contradicts a trained fact, {'; '.join(said)}." if said else ""


def _lost(config: FinetuneConfig, ends: _Ends, answers: pd.DataFrame) -> str:
    """Whether contexts are read less well than before: by in-context accuracy, else by contexts about new subjects."""
    what, before = "In-context accuracy", select(answers, {"measure": "in_context_accuracy_before"})
    if len(before):
        start = before.iloc[0]
        rows = select(answers, {"measure": "in_context_accuracy"})
        labels = {run.mixture.text: f'"{run.label}"' for run in config.runs if run.exposure == "given"}
        after = {labels[row["mixture"]]: row for _, row in rows.iterrows() if row["mixture"] in labels}
    else:
        what = "Accuracy on new subjects, whose context tells the answer,"
        first, after = (_by_run(config, rows, "unseen", "accuracy") for rows in ends)
        if not first or not after:
            return ""
        start = next(iter(first.values()))
    ways = _ways(config)
    lower = {name: row for name, row in after.items() if row["high"] < start["low"]}
    higher = {name: row for name, row in after.items() if row["low"] > start["high"]}
    rest = [name for name in after if name not in {**lower, **higher}]
    said = [f"falls to {_each(lower, ways)}"] if lower else []
    said += [f"rises with {_named(list(higher), ways)}"] if higher else []
    said += [f"cannot be told apart from that with {_named(rest, ways)}"] if rest else []
    return f"{what} is {_share(start)} before training; it {listed(said)}." if said else ""


def _caveats(config: FinetuneConfig, answers: pd.DataFrame) -> Iterator[str]:
    if answers.empty:
        yield "No other share of prompts with a context to be read was trained as a control: no share is advised."
