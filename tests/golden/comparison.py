"""Frozen tables beside those of today: what may differ, and which rows do.

What is meant to differ stands in this file alone, each difference with its cause:

- `as_frozen` translates a table of today into the columns and names of the frozen ones;
- `NEW_COLUMNS` are columns that are read by `as_frozen`, or that frozen tables do not have;
- `NEW_ROWS` says which rows of a study were not there when its table was frozen;
- `GONE` says which frozen rows are in no table of today;
- `CHANGED` says which frozen numbers are others today, and are compared no more;
- `RENEWED` says which rows were frozen again since (`freeze --renew`), to be compared as they are now.

A row that is missing today is else an error, and so is a declared difference that does not occur.
"""

import platform
from collections.abc import Callable, Iterator
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from tests.golden.translations import TRANSLATIONS

__all__ = [
    "CHANGED", "GONE", "KEYS", "NEW_COLUMNS", "NEW_ROWS", "RENEWED", "VALUES", "Change", "as_frozen", "machine",
    "problems",
]  # fmt: skip

VALUES = ("value", "low", "high")
KEYS = (
    "case", "study", "system", "n", "step", "seed", "distribution", "context", "group", "setting", "measure", "kind",
)  # fmt: skip
"""Columns that identify a frozen row; `case` names the settings."""

Rows = Callable[[pd.DataFrame], "pd.Series[bool]"]


class Change(NamedTuple):
    """Numbers of frozen rows that are meant to be others today.

    Attributes:
        cause: why.
        columns: which of `VALUES`.
        rows: which frozen rows, from the frozen table.
    """

    cause: str
    columns: tuple[str, ...]
    rows: Rows


NEW_COLUMNS = ("answer", "tests", "standard_error")
"""Columns that every table has today, and frozen ones do not; typed columns are read by `translations`."""

NEW_ROWS: dict[str, Rows] = {study: lambda table: table["answer"] for study in ("regret", "compare")}
NEW_ROWS["finetune"] = lambda table: table["answer"] | table["context"].isin(["reversed", "reversed_in_context"])
NEW_ROWS["crossover"] = lambda table: (
    table["answer"] | (table["measure"] == "crossover_error_level") | (table["system"] == "stylized")
)
NEW_ROWS["strategies"] = lambda table: (
    table["measure"].isin(["seeds_over", "seeds_over_at_once"])
    | ((table["measure"] == "transition_time") & table["seed"].isna())
)
"""By study: which rows of today's table, as it is, have no counterpart among the frozen ones."""


GONE: dict[str, Rows] = {"finetune": lambda table: table["system"] != "llm"}
"""By study: which frozen rows are in no table of today. Gates of a run of `gating compare`, and how often it asked for
a class, stood beside those of a language model; now the study `handover` reads both runs."""


def _with_complexity(table: pd.DataFrame) -> "pd.Series[bool]":
    """Rows that description lengths enter: they are of reference texts, no more of the source of classes."""
    fitted = table["system"].str.startswith("posterior") & (table["system"] != "posterior, no complexity")
    return fitted | (table["measure"] == "description_bits")


RENEWED: dict[str, Rows] = {"strategies": _with_complexity}
"""By study: rows whose numbers got another meaning since, from the frozen table or that of today in its columns."""

SOFTMAX = ("softmax", "memorised_softmax", "stated_softmax")

_UPPER = Change(
    "the upper bound is the one that phases are certified by, no more the one that knows no label noise",
    ("value",),
    lambda table: (table["system"] == "in_weight") & (table["kind"] == "upper"),
)

_ROUNDED = Change(
    "bounds for noisy inputs carry their integration error on the safe side: lower ones fell and upper ones rose, by"
    " 1e-11 of their value",
    ("value",),
    lambda table: (table["system"] == "in_context") & table["kind"].isin(["lower", "upper"]),
)

CHANGED: dict[str, tuple[Change, ...]] = {
    "bounds": (_UPPER, _ROUNDED),
    "phases": (_ROUNDED,),
    "compare": (_UPPER, _ROUNDED),
    "crossover": (
        Change(
            "the exact N* is on clean inputs, as the counts beside it are; with noise in long contexts there was none",
            ("value",),
            lambda table: (table["kind"] == "exact") & table["value"].isna(),
        ),
    ),
    "strategies": (
        Change(
            "the best mixture is found on the answers themselves, by the only solver, no more on their discrepancy"
            " tabulated to 3e-9 nats: weights differ by 2e-7 at most; where M and G agree no weight is the best, and"
            " what rounding chose there moved the free gate on other sequences",
            ("value",),
            lambda table: (
                table["measure"].isin(["effective_gate", "residual"]) | (table["system"] == "free in every cell")
            ),
        ),
        Change(
            "the one bootstrap: ends are draws themselves, and parameters are refitted to the runs that it draws",
            ("low", "high"),
            lambda table: table["low"].notna() & ~_with_complexity(table),
        ),
    ),
    "finetune": (
        Change(
            "intervals over prompts stay inside the range of what they measure",
            ("low", "high"),
            lambda table: table["measure"].isin(["log_prob", *SOFTMAX]),
        ),
        Change(
            "Wilson's and Student's intervals by the formula of all studies: other last bits, 6e-14 at most",
            ("low", "high"),
            lambda table: table["low"].notna() & ~table["measure"].isin(["log_prob", *SOFTMAX]),
        ),
    ),
}
"""By study: numbers that are others today."""

SHOWN = 5
TOLERANCES = {"bounds": (1e-9, 1e-12), "phases": (1e-9, 1e-12), "kinetics": (1e-5, 1e-8)}
TRAINED_TOLERANCE, MAY_JUMP = (1e-3, 1e-4), 0.005
"""On another processor, or with other versions: relative and absolute tolerance of numbers from exact formulas, and of
those from training in single precision; and the share of the latter that may lie outside, since an answer that changes
sides moves an error rate by a whole step. With AVX2 or SSE4 in place of AVX-512, no number of any study lay outside."""


def as_frozen(table: pd.DataFrame, study: str) -> pd.DataFrame:
    """A table of today in the columns and names of the frozen tables; rows and their index stay. A pure function."""
    translated = TRANSLATIONS[study](table) if study in TRANSLATIONS else table
    return translated.assign(**{name: None for name in KEYS if name not in translated})[[*KEYS, *VALUES]]


def problems(
    frozen: pd.DataFrame,
    today: pd.DataFrame,
    study: str,
    *,
    exact: bool,
    new: pd.Series | None = None,
    gone: Rows | None = None,
    changed: tuple[Change, ...] = (),
) -> Iterator[str]:
    """What differs between a frozen table and one of today that is not declared: one text for each kind of difference.

    Args:
        frozen: rows as they were frozen.
        today: rows of today, as `as_frozen` gives them.
        study: whose they are.
        exact: whether numbers must be equal bit for bit, or else within the tolerances of this file.
        new: which rows of today need no frozen counterpart.
        gone: which frozen rows are in no table of today.
        changed: numbers that are meant to differ.
    """
    today = today.assign(new=False if new is None else new)
    if gone is not None:
        if not gone(frozen).any() or gone(today).any():
            yield "rows are declared as gone, and there are none, or some are still there"
        frozen = frozen[~gone(frozen)]
    if not exact:
        frozen, today = frozen[~_ill_conditioned(frozen)], today[~_ill_conditioned(today)]
    before, after, may_be_new = _by_key(frozen), _by_key(today), today["new"].to_numpy(bool)
    if new is not None and not may_be_new.any():
        yield "rows are declared as new, and there are none"
    extra = ~after.index.isin(before.index)
    for what, keys in (
        ("are missing", before.index[~before.index.isin(after.index)]),
        ("are new", after.index[extra & ~may_be_new]),
        ("stand there twice", after.index[after.index.duplicated() & ~(extra & may_be_new)]),
    ):
        if len(keys):
            yield _text(f"{len(keys)} rows {what}", [_name(key) for key in keys[:SHOWN]])
    both = before.index.isin(after.index)
    before, after = before[both], after[~after.index.duplicated()].reindex(before.index[both])
    yield from _different(frozen[both], before, after, study, exact, changed)


def _different(
    frozen: pd.DataFrame,
    before: pd.DataFrame,
    after: pd.DataFrame,
    study: str,
    exact: bool,
    changed: tuple[Change, ...],
) -> Iterator[str]:
    differs = {name: ~_equal(before[name], after[name], study, exact) for name in VALUES}
    for change in changed:
        rows = change.rows(frozen).to_numpy(bool)
        if exact and not any((differs[name] & rows).any() for name in change.columns):
            yield f"numbers are declared as changed, and none is: {change.cause}"
        for name in change.columns:
            differs[name] &= ~rows
    wrong = np.logical_or.reduce(list(differs.values()))
    may_jump = 0 if exact or study in TOLERANCES else MAY_JUMP * len(before)
    if wrong.sum() > may_jump:
        lines = []
        for at in np.flatnonzero(wrong)[:SHOWN]:
            pairs = ((name, before[name].iloc[at], after[name].iloc[at]) for name in VALUES if differs[name][at])
            found = "; ".join(f"{name} was {float(old)!r}, is {float(new)!r}" for name, old, new in pairs)
            lines.append(f"{_name(before.index[at])}: {found}")
        yield _text(f"{wrong.sum()} of {len(before)} rows have other numbers", lines)


def _equal(before: pd.Series, after: pd.Series, study: str, exact: bool) -> np.ndarray:
    """Whether numbers are equal: bit for bit, or within the tolerance of the study; missing ones equal each other."""
    old, new = (np.ascontiguousarray(column, np.float64) for column in (before, after))
    if exact:
        return (old.view(np.int64) == new.view(np.int64)) | (np.isnan(old) & np.isnan(new))
    relative, absolute = TOLERANCES.get(study, TRAINED_TOLERANCE)
    return np.isclose(new, old, rtol=relative, atol=absolute, equal_nan=True)


def _ill_conditioned(table: pd.DataFrame) -> pd.Series:
    """Rows that rounding may move at will, compared only bit for bit: fits of a gate to a few barely trained models,
    whatever follows from a fit, and the weight that fits a model best where M and G answer alike; and description
    lengths, which are those of the compressors' versions."""
    of_fits = ~table["system"].isin(["transformer", "memorizing", "generalizing"])
    return (table["study"] == "strategies") & (of_fits | table["measure"].isin(["effective_gate", "description_bits"]))


def _by_key(table: pd.DataFrame) -> pd.DataFrame:
    keys = table[[*KEYS]].astype("string").fillna("").astype(object)
    keys["setting"] = ["; ".join(sorted(text.split("; "))) for text in keys["setting"]]
    return table[[*VALUES]].astype(np.float64).set_axis(pd.MultiIndex.from_frame(keys))


def _name(key: tuple[str, ...]) -> str:
    return ", ".join(f"{name} {text}" for name, text in zip(KEYS, key, strict=True) if text)


def _text(what: str, lines: list[str]) -> str:
    return "\n    ".join([what + (", among them" if len(lines) == SHOWN else ""), *lines])


def machine() -> dict[str, str]:
    """Versions and processor that the last bits of a result depend on."""
    import torch

    packages = ("torch", "numpy", "scipy", "pandas", "transformers", "peft", "safetensors", "brotli", "zstandard")
    file = Path("/proc/cpuinfo")
    told = file.read_text().split("\n\n")[0].splitlines() if file.exists() else []
    processor = {name.strip(): text.strip() for name, _, text in (line.partition(":") for line in told)}
    flags = sorted(f for f in processor.get("flags", "").split() if f.startswith(("avx", "amx", "fma")))
    model = [processor.get(name, "?") for name in ("model name", "cpu family", "model", "stepping")]
    return {
        "python": platform.python_version(),
        **{name: version(name) for name in packages},
        "processor": f"{platform.machine()}, {model[0]}, family {model[1]}, model {model[2]}, stepping {model[3]}",
        "flags": " ".join(flags),
        "torch's instructions": torch.backends.cpu.get_cpu_capability(),
    }
