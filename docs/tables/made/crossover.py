"""Numbers of docs/results/crossover.md: settings drawn by chance, shares of relevant contexts, and long training."""

from collections.abc import Iterator
from functools import cache
from typing import Any

import numpy as np
import pandas as pd

from docs.tables.cells import table_of
from docs.tables.committed import table
from docs.tables.pages import computed
from gating.page.said import sized
from gating.page.text_table import number
from gating.results.intervals import geometric_mean_interval
from gating.studies.crossover.answers import answer_rows
from theory.distribution import ClassMixture

PAGE = "docs/results/crossover.md"
LEVEL = "crossover_error_level"
ENDS = ("value", "low", "high")
SHARES = {"tenth-relevant": "0.1", "half-relevant": "0.5"}
STEPS = (3990, 10464, 20000)


@cache
def blind() -> pd.DataFrame:
    """Each setting drawn by chance: its data, and N* by theory, predicted and measured."""
    told, found = table("blind-predictions"), table("blind-measured")
    spec = told[[name for name in told if name.startswith("distribution.")]]
    data = [ClassMixture(**{name.partition(".")[2]: None if pd.isna(value) else value for name, value in row.items()})
            for row in spec.astype(object).to_dict("records")]  # fmt: skip
    rows = pd.DataFrame({"spec": data})
    for name in ("tabular", "bayes", "nearest_mean"):
        rows[name] = told[f"theory.{name}"]
    for key in (*ENDS, "reached", "seeds"):
        rows[f"predicted {key}"] = told[f"predicted.{LEVEL}.{key}"]
        rows[f"measured {key}"] = found[f"measured.{LEVEL}.{key}"]
    return rows


def ratios() -> dict[str, Any]:
    """Measured N* over that of the stylized model, and over those of theories."""
    rows = blind()
    names = {"stylized": "predicted value", "tabular": "tabular", "bayes": "bayes", "nearest_mean": "nearest_mean"}
    return {name: (rows["measured value"] / rows[column]).to_numpy() for name, column in names.items()}


def off_by() -> dict[str, float]:
    """Factor that each prediction is off by, root mean square of the logarithm."""
    return {name: float(np.exp(np.sqrt(np.mean(np.log(of) ** 2)))) for name, of in ratios().items()}


def blind_table() -> str:
    def line(row: pd.Series) -> Iterator[str]:
        spec = row["spec"]
        yield str(spec.n_classes)
        yield f"{spec.frequencies.min():.3g}"
        yield from (f"{part:g}" for part in (spec.p_relevant, spec.context_length, spec.dim, spec.input_noise))
        yield from (f"{row[name]:.0f}" for name in ("tabular", "bayes", "nearest_mean"))
        yield from (_seen(row, kind) for kind in ("predicted", "measured"))
        yield f"{row['measured value'] / row['predicted value']:.2f}"

    head = ("classes", "q", "p_relevant", "L", "d", "noise", "counts", "best", "means", "predicted", "measured",
            "measured / predicted")  # fmt: skip
    return table_of(head, (line(row) for _, row in blind().iterrows()))


def _seen(row: pd.Series, kind: str) -> str:
    ends = {key: row[f"{kind} {key}"] for key in ENDS}
    some = f" ({row[f'{kind} reached']:.0f} of {row[f'{kind} seeds']:.0f} seeds)" if pd.isna(ends["low"]) else ""
    return sized(ends) + some


@cache
def answers(name: str) -> pd.DataFrame:
    """N* and slopes of a run, from the errors and gates of its seeds."""
    rows = pd.DataFrame(answer_rows(table(name)))
    return rows.reindex(columns=[*rows, *{"p_high"} - {*rows}])


def found(name: str, measure: str, system: str, step: int, p_high: float | None = None) -> pd.Series:
    """One answer of a run."""
    rows = answers(name)
    rows = rows[(rows["measure"] == measure) & (rows["system"] == system) & (rows["step"] == step)]
    rows = rows[rows["p_high"].isna() if p_high is None else rows["p_high"] == p_high]
    if len(rows) != 1:
        raise ValueError(f"`measure` must be found once in {name!r}; got {len(rows)} of {measure} at {p_high}")
    return rows.iloc[0]


def _size(row: pd.Series) -> str:
    return f"{row['reached']:.0f} of {row['seeds']:.0f} seeds" if row["reached"] < row["seeds"] else sized(row)


def _over(name: str, step: int, p_high: float, digits: int) -> str:
    row = found(name, "crossover_ratio_error_level", "stylized", step, p_high)
    return number(row["value"], row["low"], row["high"], digits)


def _slope(name: str, step: int) -> str:
    row = found(name, "exponent_error_level", "transformer", step)
    return number(row["value"], row["low"], row["high"], 2)


def shares() -> str:
    def line(name: str) -> Iterator[str]:
        rows = [found(name, LEVEL, "transformer", 3951, p_high) for p_high in (0.6, 0.9, 0.975)]
        yield SHARES[name]
        yield from map(sized, rows)
        queries = (row["value"] * (1 - row["p_high"]) / 5 for row in rows)
        yield ", ".join(f"{value:.0f}" for value in queries)
        yield _slope(name, 3951)
        yield ", ".join(_over(name, 3951, p_high, 1).partition(" ")[0] for p_high in (0.6, 0.9, 0.975))

    head = ("share of relevant contexts", "N*, q = 0.08", "0.02", "0.005", "N q", "slope",
            "Transformers over the stylized model")  # fmt: skip
    return table_of(head, map(line, SHARES))


def long() -> str:
    def line(step: int) -> Iterator[str]:
        yield f"{step:,}"
        yield from (_size(found("long", LEVEL, "transformer", step, p_high)) for p_high in (0.6, 0.9, 0.975))
        yield _slope("long", step)
        yield ", ".join(_over("long", step, p_high, 2) for p_high in (0.6, 0.9, 0.975))

    return table_of(("steps", "N*, q = 0.08", "0.02", "0.005", "slope", "over the stylized model"), map(line, STEPS))


TABLES = {"blind": blind_table, "shares": shares, "long": long}


def sentences() -> Iterator[str]:
    half, tenth = (computed(_slope(name, 3951)) for name in ("half-relevant", "tenth-relevant"))
    yield f"where half of the contexts are relevant, or a tenth, it is {half} and {tenth}."
    of, off = ratios(), off_by()
    mean = geometric_mean_interval(of["stylized"])
    blind_mean = computed(number(float(mean.value), float(mean.low), float(mean.high), 2))
    yield f"the Transformers' N* were {blind_mean} times as large on average"
    yield f"early everywhere, by a factor of {blind_mean} (geometric mean over settings)"
    counts, best, means = (computed(f"{off[name]:.0f}") for name in ("tabular", "bayes", "nearest_mean"))
    own = computed(f"{off['stylized']:.2f}")
    yield f"and off by {own} (root mean square), where theories that train nothing are off by {means} to {counts}."
    yield f"are off by {counts} (counts), {best} (best learner) and {means} (nearest means), root mean square."
    gates = {system: [computed(sized(found("long", "crossover_gate", system, 20000, p))) for p in (0.6, 0.9)]
             for system in ("transformer", "stylized")}  # fmt: skip
    yield (
        f"rises past 1/2 at {gates['transformer'][0]} after 20,000 steps, that of the stylized model at "
        f"{gates['stylized'][0]}; at q = 0.02 at {gates['transformer'][1]} and {gates['stylized'][1]}."
    )
