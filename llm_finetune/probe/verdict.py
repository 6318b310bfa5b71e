"""What came out of a run of the study `probe`, in sentences: first what was gained and what was lost."""

from collections.abc import Iterator

import pandas as pd

from gating.page.said import listed
from gating.page.text_table import ends_of
from gating.results.columns import measure as measure_of
from gating.results.query import first_of, select
from llm_finetune.probe.config import BASE, WHOLE, ProbeConfig

__all__ = ["probe_verdict"]

FEW = 10  # facts, below which intervals are long and Student's quantile counts
JUDGED = {
    "said": "An answer is given where the greedy answer names it.",
    "score": "An answer is given where it has the largest log-probability of all candidates, end token included.",
}
OTHERS = ("reading_elsewhere", "override", "copying", "effective_gate")


def probe_verdict(config: ProbeConfig, table: pd.DataFrame) -> tuple[str, ...]:
    """What each fine-tuned model gained and lost, what became of reading, what else changed; and caveats.

    Args:
        config: settings of the run.
        table: its rows, answers included.
    """
    answers = select(table[table["answer"]], {"group": "all", **WHOLE})
    sentences: list[str] = []
    for suite in config.questions:
        here = select(answers, {"suite": suite})
        on = f"On {suite}: " if len(config.questions) > 1 else ""
        sentences += [on + sentence for sentence in (_gained(config, here), _became(config, here)) if sentence]
        sentences += [on + sentence for sentence in _others(config, here)]
        sentences += [on + sentence for sentence in _caveats(config, suite, here)]
    return (*sentences, JUDGED[config.judge])


def _moved(rows: pd.DataFrame, model: str, ability: str) -> str:
    """``gained`` or ``lost`` beyond the interval, else nothing."""
    change = first_of(rows, model=model, measure=f"{ability}_change")
    if change is None or pd.isna(change["low"]):
        return ""
    return "gained" if change["low"] > 0 else "lost" if change["high"] < 0 else ""


def _change(rows: pd.DataFrame, model: str, ability: str) -> str:
    """From the base's value to the model's, with the change's interval."""
    cells = (
        first_of(rows, model=BASE, measure=ability),
        first_of(rows, model=model, measure=ability),
        first_of(rows, model=model, measure=f"{ability}_change"),
    )
    before, after, change = cells
    if before is None or after is None or change is None:
        return "not measured"
    return f"{before['value']:.2f} to {after['value']:.2f}, change {ends_of(change)}"


def _gained(config: ProbeConfig, rows: pd.DataFrame) -> str:
    """Recall from weights and accuracy in context, of every model in one sentence."""
    said = []
    for model in list(config.sources)[1:]:
        parts: dict[str, list[str]] = {"gained": [], "lost": [], "": []}
        for ability, words in (("recall", "recall from weights"), ("in_context_accuracy", "accuracy in context")):
            parts[_moved(rows, model, ability)].append(f"{words} ({_change(rows, model, ability)})")
        texts = [f"{what} {listed(held)}" for what, held in parts.items() if what and held]
        if parts[""]:
            texts.append(f"shows no clear change of {listed(parts[''])}")
        said.append(f'"{model}" {listed(texts)}')
    return "; ".join(said) + "."


def _became(config: ProbeConfig, rows: pd.DataFrame) -> str:
    said = []
    for model in list(config.sources)[1:]:
        cells = {name: first_of(rows, model=model, measure=name) for name in ("kept", "overridden", "collapsed")}
        held = {name: row for name, row in cells.items() if row is not None}
        before = sum(float(row["value"]) for row in held.values())
        if before > 0:
            shares = [f"{float(row['value']) / before:.0%} {name}" for name, row in held.items()]
            said.append(f'{listed(shares)} with "{model}"')
    return f"Of the prompts that the base read right: {'; '.join(said)}." if said else ""


def _others(config: ProbeConfig, rows: pd.DataFrame) -> Iterator[str]:
    """Other abilities that changed beyond their intervals."""
    for model in list(config.sources)[1:]:
        moved = [name for name in OTHERS if _moved(rows, model, name)]
        if moved:
            texts = [f"{measure_of(name).meaning} ({_change(rows, model, name)})" for name in moved]
            yield f'With "{model}" there also changed: {listed(texts)}.'


def _caveats(config: ProbeConfig, suite: str, rows: pd.DataFrame) -> Iterator[str]:
    questions = config.questions[suite]
    each = [member.collection for member in questions.suite.members.values()]
    guess = sum(1 / len({*facts.answers, *facts.new_answers}) for facts in each) / len(each)
    base, known = (first_of(rows, model=BASE, measure=name) for name in ("in_context_accuracy", "recall"))
    if base is not None and not base["low"] > guess:
        yield f"The base reads no better than a uniform guess, {guess:.3g}, beyond its interval: nothing can be lost."
    if known is not None and known["low"] > guess:
        yield (
            f"The base knows some of the facts (recall {ends_of(known)}): where its weights win, that is not the"
            " fine-tune's doing."
        )
    if (n_facts := sum(sizes["no_context"] for sizes in questions.sizes.values())) < FEW:
        yield f"Caution: intervals are over {n_facts} trained facts: they are wide, and hide small changes."
    if config.pairing_seed:
        yield f"Subjects and answers are paired by the seed {config.pairing_seed}, not as the suite gives them."
