"""What came out of a run of the study `demonstrations`, in sentences: first whether a model recognises and learns."""

from collections.abc import Iterator

import pandas as pd

from gating.page.text_table import ends_of
from gating.results.query import select
from llm_finetune.demonstrations.config import DemonstrationsConfig

__all__ = ["cell_of", "demonstrations_verdict"]

FEW = 10  # draws, or test texts, below which percentiles of a bootstrap are too narrow
JUDGED = "An answer is the label with the largest log-probability of all labels."


def demonstrations_verdict(config: DemonstrationsConfig, table: pd.DataFrame) -> tuple[str, ...]:
    """What demonstrations do to each model in each task; and caveats.

    Args:
        config: settings of the run.
        table: its rows, answers included.
    """
    sentences: list[str] = []
    for task in config.named_tasks.values():
        for model in config.sources:
            rows = select(table, {"task": task.name, "model": model})
            chance = 1 / len(task.labels)
            sentences += [_kinds(config, task.name, model, rows), _flips(config, model, rows, chance)]
            sentences += _gates(config, model, rows)
            sentences += _prior(task.name, model, rows, chance)
    few = [f"{n} {what}" for n, what in ((config.draws, "draws"), (config.queries, "test texts")) if n < FEW]
    if few:
        sentences.append(f"Caution: {' and '.join(few)} are few, and intervals may be too narrow.")
    return (*sentences, JUDGED)


def cell_of(
    rows: pd.DataFrame, measure: str, shots: int, context: str | None = None, flipped: float | None = None
) -> pd.Series:
    """The row of a measure after so many demonstrations.

    Args:
        rows: rows of a model and task, in which it is.
        measure: the measure.
        shots: number of demonstrations.
        context: kind of labels; None for what is found of several.
        flipped: share of flipped labels, where they are flipped.
    """
    found = rows[(rows["measure"] == measure) & (rows["shots"] == shots)]
    found = found[found["context"].isna()] if context is None else found[found["context"] == context]
    if flipped is not None:
        found = found[(found["flipped"] - flipped).abs() < 1e-9]
    return found.iloc[0]


def _kinds(config: DemonstrationsConfig, task: str, model: str, rows: pd.DataFrame) -> str:
    """Recognition, learning and the gain of right labels, after most demonstrations."""
    most = config.shots[-1]
    recognised, learned, gain = (
        cell_of(rows, name, most) for name in ("task_recognition", "task_learning", "demonstration_gain")
    )
    none, gold = cell_of(rows, "accuracy", 0, "none"), cell_of(rows, "accuracy", most, "gold")
    recognises = f"{'recognises' if recognised['low'] > 0 else 'does not clearly recognise'} the task by them"
    if recognised["high"] < 0:
        recognises = "is misled by random ones"
    learns = "learns" if learned["low"] > 0 else "does not clearly learn"
    return (
        f'On {task}, "{model}" {learns} labels from {most} demonstrations (abstract labels against chance:'
        f" {ends_of(learned)}) and {recognises} (random labels against none: {ends_of(recognised)}); right"
        f" labels change accuracy from {none['value']:.2f} to {gold['value']:.2f} (change {ends_of(gain)})."
    )


def _flips(config: DemonstrationsConfig, model: str, rows: pd.DataFrame, chance: float) -> str:
    """Who wins where labels are flipped: what was known, or what is shown."""
    most, share = config.shots[-1], config.flips[-1]
    right, shown = (cell_of(rows, name, most, "flipped", share) for name in ("accuracy", "accuracy_shown"))
    keeps, follows = right["low"] > chance, shown["low"] > chance
    what = {
        (True, False): "keeps what it knew",
        (False, True): "follows what it is shown",
        (True, True): "gives either, each more often than a guess would",
        (False, False): "clearly prefers neither what it knew nor what it is shown",
    }[bool(keeps), bool(follows)]
    effect = cell_of(rows, "flip_effect", most)
    return (
        f'With {share:.0%} of {most} labels flipped "{model}" {what}: right label {ends_of(right)}, label shown'
        f" {ends_of(shown)}, a guess {chance:.2f}; flipping costs {ends_of(effect)} of accuracy."
    )


def _gates(config: DemonstrationsConfig, model: str, rows: pd.DataFrame) -> Iterator[str]:
    """The weight of the law without demonstrations, with few and with most."""
    gates = select(rows, {"measure": "effective_gate", "context": "gold"})
    ends = [select(gates, {"shots": shots}) for shots in (config.shots[0], config.shots[-1])]
    if not any(end.empty for end in ends):
        few, most = (ends_of(end.iloc[0]) for end in ends)
        between = f"{few} after {config.shots[0]} right labels, {most} after {config.shots[-1]}"
        yield f"The weight of its law without demonstrations, its effective gate, is {between}."


def _prior(task: str, model: str, rows: pd.DataFrame, chance: float) -> Iterator[str]:
    none = cell_of(rows, "accuracy", 0, "none")
    if not none["low"] > chance:
        yield (
            f'Without demonstrations "{model}" is no better than a guess on {task} beyond its interval'
            f" ({ends_of(none)}): there it knows little that labels could contradict."
        )
