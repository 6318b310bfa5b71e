"""What came out of a run of the study `conflict`, in sentences: first who wins, then which gate helps."""

from collections.abc import Iterator

import pandas as pd

from gating.page.said import listed
from gating.page.text_table import ends_of
from gating.page.words import page_words
from gating.results.query import first_of, select
from llm_finetune.conflict.config import ConflictConfig

__all__ = ["GATE_NAMES", "complete", "conflict_verdict"]

GATE_NAMES: dict[str, str] = page_words("llm_finetune.conflict").tables["gates"]
"""What gates are called, in the order of tables."""

ONE_SOURCE = 0.5
"""Accuracy in conflicts of always the own answer, or always the context: right in one case, wrong in the other."""

FEW = 20  # items, below which a bootstrap over items is short


def conflict_verdict(config: ConflictConfig, table: pd.DataFrame) -> tuple[str, ...]:
    """What each model does when its own answer and the context's differ, what that depends on, and which gate helps.

    Args:
        config: settings of the run.
        table: its rows, answers included.
    """
    answers = complete(table[table["answer"]])
    sentences: list[str] = []
    for model in config.sources:
        here = select(answers, {"model": model})
        parts = (_wins(here), _freely(here), _right(here), _confidence(here), _helps(here), _beyond(here))
        sentences += [f'"{model}" {part}' if k == 0 else part for k, part in enumerate(filter(None, parts))]
    return (*sentences, *_caveats(config))


def complete(table: pd.DataFrame) -> pd.DataFrame:
    """A table with every column of the study, also those without a value."""
    missing = [name for name in ("judge", "case", "size", "bin", "gate") if name not in table]
    return table.reindex(columns=[*table.columns, *missing])


def _three(rows: pd.DataFrame, judge: str, context: str, case: str) -> str:
    """Shares of the three ways, or nothing."""
    where = {"judge": judge, "context": context, "case": case}
    cells = [first_of(rows, **where, measure=way) for way in ("prior_kept", "context_followed", "neither_chosen")]
    if any(cell is None for cell in cells):
        return ""
    kept, followed, neither = (ends_of(cell) for cell in cells if cell is not None)
    return f"keeps its own answer on {kept}, follows the context on {followed} and does neither on {neither}"


def _preference(rows: pd.DataFrame, judge: str) -> int:
    """1 where the context is followed more often beyond the interval, -1 where the own answer is kept, else 0."""
    cell = first_of(rows, judge=judge, context="contradicting", case="prior_right", measure="context_preference")
    return 0 if cell is None or pd.isna(cell["low"]) else int(cell["low"] > 0) - int(cell["high"] < 0)


def _wins(rows: pd.DataFrame) -> str:
    three = _three(rows, "score", "contradicting", "prior_right")
    if not three:
        return "knows too little for a conflict: no answer of its own is right and contradicted."
    side = {
        1: "follows a context that contradicts what it knows rather than keep its own answer",
        -1: "keeps what it knows rather than follow a context that contradicts it",
        0: "shows no clear preference between what it knows and a context that contradicts it",
    }[_preference(rows, "score")]
    return f"{side}: where it is right and the context is wrong it {three}."


def _freely(rows: pd.DataFrame) -> str:
    three = _three(rows, "said", "contradicting", "prior_right")
    return f"Asked freely, it {three}." if three else ""


def _right(rows: pd.DataFrame) -> str:
    three = _three(rows, "score", "agreeing", "context_right")
    return f"Where it is wrong and the context is right it {three}." if three else ""


def _confidence(rows: pd.DataFrame) -> str:
    slope = first_of(rows, measure="kept_slope")
    if slope is None or pd.isna(slope["low"]):
        return ""
    side = "more often" if slope["low"] > 0 else "less often" if slope["high"] < 0 else ""
    said = f"keeps its own answer {side} the surer it is of it" if side else "is not seen to keep what it is surer of"
    return f"It {said} (slope of log odds on log odds {ends_of(slope)})."


def _helps(rows: pd.DataFrame) -> str:
    """Every gate by what its gain of accuracy bears: raised, lowered, or no clear change."""
    found: dict[str, list[str]] = {"raised": [], "lowered": [], "": []}
    for gate, name in GATE_NAMES.items():
        gain = first_of(rows, gate=gate, measure="conflict_accuracy_gain")
        if gain is not None and not pd.isna(gain["low"]):
            side = "raised" if gain["low"] > 0 else "lowered" if gain["high"] < 0 else ""
            found[side].append(f"{name} ({ends_of(gain)})")
    plain = first_of(rows, gate="plain", measure="conflict_accuracy")
    if plain is None or not any(found.values()):
        return ""
    parts = [f"it is {side} by {listed(held)}" for side, held in found.items() if side and held]
    parts += [f"no clear change comes from {listed(found[''])}"] if found[""] else []
    return f"Of its accuracy in conflicts, {ends_of(plain)}: {'; '.join(parts)}."


def _beyond(rows: pd.DataFrame) -> str:
    """Which accuracies are beyond that of one source for every answer."""
    cells = {name: first_of(rows, gate=gate, measure="conflict_accuracy") for gate, name in GATE_NAMES.items()}
    measured = {name: cell for name, cell in cells.items() if cell is not None and not pd.isna(cell["low"])}
    better = [f"{name} ({ends_of(cell)})" for name, cell in measured.items() if cell["low"] > ONE_SOURCE]
    above = f"above it beyond the interval: {listed(better)}" if better else "none is above it beyond its interval"
    return f"Always the own answer, or always the context, would be right on {ONE_SOURCE}; {above}." if measured else ""


def _caveats(config: ConflictConfig) -> Iterator[str]:
    items = len({asked.item for asked in config.asked})
    if items < FEW:
        yield f"Caution: intervals are over {items} items: those of so few are too short."
    left = config.questions.left_out
    if left:
        yield f"{left} rows of the file are left out: which answer is right is not known, or none contradicts it."
    yield "Gates choose among the candidates by log-probability; every interval has 95% by itself, not all together."
