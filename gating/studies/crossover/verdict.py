"""What came out of a run of the study `crossover`, in sentences."""

from collections.abc import Callable, Iterator

import numpy as np
import pandas as pd

from gating.page.said import few_seeds, interval, listed, sized
from gating.page.text_table import number, whole
from gating.results.query import select
from gating.studies.crossover.answers import by_onset, frequencies
from gating.studies.crossover.config import CrossoverConfig
from gating.studies.level import FROM_INPUTS

__all__ = ["crossover_verdict"]

Parts = dict[str, pd.DataFrame]
ALIKE = ", from which they cannot be told apart"


def crossover_verdict(config: CrossoverConfig, table: pd.DataFrame) -> tuple[str, ...]:
    """What came out: N* over the predicted one, its slope on the frequency, how many seeds cross; and caveats.

    Args:
        config: settings of the run.
        table: its rows, answers included.
    """
    found = {onset.key: parts for onset, parts in by_onset(table).items()}
    if not found:
        return (_theory_alone(table),)
    trained = table[table["system"] == "transformer"]
    sentences = [*_weights(found.get("error_level")), *_gate(found.get("gate"))]
    if trained.empty:
        sentences.append("The table has no Transformer: only label counts were measured.")
    counts = [found[key]["ratio"] for key in ("error", "log_loss") if key in found]
    return (*sentences, *_counts(counts), *_caveats(config.distribution.input_noise, trained))


def _theory_alone(table: pd.DataFrame) -> str:
    told = table[~table["system"].isin(FROM_INPUTS)]
    predicted, q = _reached(select(told, {"measure": "crossover_error_level", "kind": "exact"})), frequencies(table)
    if predicted.empty or q.empty:
        return "No N* was measured, and none is predicted."
    return (
        "No N* was measured. Theory predicts that label counts err on a rare class less than half of the time from"
        f" N* = {whole(predicted['value'].min())} (frequency q = {q.max():.4g}) to"
        f" {whole(predicted['value'].max())} (q = {q.min():.4g})."
    )


def _weights(parts: Parts | None) -> Iterator[str]:
    """By what factor the N* of the weights differs from the predicted one, how many curves cross, and the slope."""
    if parts is None:
        return
    sizes, ratio = _reached(parts["measured"]), _reached(parts["ratio"])
    crossed = f"{_crossed(parts['measured'])}, one for each seed and frequency q."
    if sizes.empty:
        yield f"At no size N measured do a Transformer's weights alone answer a rare class (error below 1/2): {crossed}"
        return
    what = "A Transformer's weights alone answer a rare class (error below 1/2) from"
    if ratio.empty:
        yield f"{what} N* = {_span(sizes, sized)}; none is predicted."
    else:
        yield f"{what} {_span(ratio, interval)} times the predicted N*{_alike(ratio)}."
    yield f"{crossed[:1].upper()}{crossed[1:]}"
    over = _reached(parts["stylized ratio"])
    if not over.empty:
        yield f"N* is {_span(over, interval)} times that of a stylized model, trained likewise{_alike(over)}."
    yield _slope(parts)


def _reached(rows: pd.DataFrame) -> pd.DataFrame:
    value = rows["value"].astype(np.float64)
    return rows[np.isfinite(value) & (value > 0)]


def _span(rows: pd.DataFrame, words: Callable[[pd.Series], str]) -> str:
    """The least and the largest value, each with its interval."""
    ordered = rows.sort_values("value")
    return " to ".join(dict.fromkeys(words(ordered.iloc[place]) for place in (0, -1)))


def _alike(ratio: pd.DataFrame) -> str:
    """That no ratio can be told apart from 1, where that is so."""
    low, high = (ratio[name].astype(np.float64) for name in ("low", "high"))
    return ALIKE if ((low <= 1) & (high >= 1)).all() else ""


def _crossed(rows: pd.DataFrame) -> str:
    """How many of the seeds' curves cross, and on which side the others stay."""
    reached, already, seeds = (int(rows[name].fillna(0).sum()) for name in ("reached", "already", "seeds"))
    never = seeds - reached - already
    if reached == seeds:
        return f"all {seeds} curves over N cross"
    others = [f"{already} past it at every N"] * bool(already) + [f"{never} at none"] * bool(never)
    if reached:
        return f"{reached} of {seeds} curves over N cross ({listed(others)}; N* is the mean of those that cross)"
    return f"none of {seeds} curves over N crosses" + (f" ({listed(others)})" if already else "")


def _slope(parts: Parts) -> str:
    """How N* grows as classes get rarer, beside what theory predicts."""
    value, low, high = parts["slope"][["value", "low", "high"]].astype(np.float64).iloc[0]
    if not np.isfinite(value):
        return "Fewer than three frequencies have an N*: too few to say how it grows as classes get rarer."
    exact = float(parts["predicted slope"]["value"].iloc[0])
    predicted = exact if np.isfinite(exact) else -1.0
    said = f"This N* goes like q to the power {number(value, low, high, 2)}; theory predicts {predicted:.2f}"
    if not (np.isfinite(low) and np.isfinite(high)):
        return f"{said}, and without an interval the two cannot be told apart."
    if low <= predicted <= high:
        return f"{said}, from which it cannot be told apart{', nor from no growth at all' if high >= 0 else ''}."
    if high < 0:
        return (
            f"{said}, so it grows {'more slowly' if low > predicted else 'faster'} than predicted as classes get rarer."
        )
    return f"{said}, and it is not seen to grow as classes get rarer."


def _gate(parts: Parts | None) -> Iterator[str]:
    if parts is not None:
        sizes = _reached(parts["measured"])
        at = "at no N measured" if sizes.empty else f"at N* = {_span(sizes, sized)}"
        yield f"The gate rises past 1/2 {at}: {_crossed(parts['measured'])}. Theory predicts nothing of a gate."


def _counts(ratios: list[pd.DataFrame]) -> Iterator[str]:
    if ratios:
        ratio = _reached(pd.concat(ratios))
        said = (
            f"cross at {_span(ratio, interval)} times the predicted N*{_alike(ratio)}" if len(ratio) else "have no N*"
        )
        yield f"Label counts on sampled training sets {said}."


def _caveats(noise: float, trained: pd.DataFrame) -> Iterator[str]:
    if noise > 0 and not trained.empty:
        yield f"Theory counts labels of known classes; the Transformers' inputs have noise {noise:g}."
    if trained["seed"].nunique() == 1:
        yield from few_seeds(trained, "")
    else:
        yield from few_seeds(trained)
