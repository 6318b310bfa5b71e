"""Numbers of docs/results/compare.md: the paper's fifteen sizes, its sweeps, and longer training."""

from collections.abc import Iterator, Mapping
from typing import Any

import pandas as pd

from docs.tables.cells import cell, one, said, table_of
from docs.tables.committed import summary, table
from gating.page.text_table import ends_of
from gating.results.query import select
from gating.results.table import summarise
from gating.studies.vocabulary import system_of

PAGE = "docs/results/compare.md"
GROUPS = {"high": "frequent", "low": "rare"}
COPIED = {"distribution": "oobd", "context": "relevant"}
"""Out of base with a relevant context: only the context tells."""
KNOWN = {"distribution": "ibd", "context": "irrelevant"}
"""In base with an irrelevant context: only weights tell."""
NAMES = {"oobd": "out of base, relevant", "ibd": "in base, irrelevant"}
SIZES = tuple(2**k for k in range(6, 21))
SHOWN = (256, 4096, 65536)
SYSTEMS = ("transformer", "stylized", "stylized_frozen", "in_weight", "in_context", "transformer_iw", "transformer_ic")
PUBLISHED: Mapping[tuple[str, str], Mapping[int, str]] = {
    ("oobd", "high"): {64: "0.3", 256: "0.38", 1024: "0.9"},
    ("oobd", "low"): {64: "0.63", 256: "0.25", 16384: "0.9"},
    ("ibd", "low"): {64: "1.0", 256: "1.0", 4096: "0.35", 65536: "0.05"},
}
"""Errors of the paper's Transformer at input noise 0.2, read off a public picture, to about 0.05."""
GATES = {"high": {1024: "0.8", 4096: "1"}, "low": {1024: "0.06", 16384: "0.06", 65536: "0.06", 1048576: "0.28"}}
"""Mean gate of the paper's stylized model on relevant contexts, read off a public picture."""


def _error(name: str, where: Mapping[str, str], group: str, **others: Any) -> str:
    return cell(name, measure="error", kind="measured", answer=False, group=group, **where, **others)


def _conditions() -> Iterator[tuple[Mapping[str, str], str]]:
    yield from ((where, group) for where in (COPIED, KNOWN) for group in GROUPS)


def _headings() -> Iterator[str]:
    yield from (f"{NAMES[where['distribution']]}, {GROUPS[group]}" for where, group in _conditions())


def sizes() -> str:
    """The Transformer's errors at every N, beside the published ones."""

    def line(n: int) -> Iterator[str]:
        yield f"{n:,}"
        for where, group in _conditions():
            yield _error("paper", where, group, n=n, system="transformer")
            if held := PUBLISHED.get((where["distribution"], group)):
                yield held.get(n, "")

    head = ["N"]
    for (where, group), heading in zip(_conditions(), _headings(), strict=True):
        head += [heading, "published"] if (where["distribution"], group) in PUBLISHED else [heading]
    return table_of(head, map(line, SIZES))


def systems() -> str:
    """Errors of every system at three N."""

    def line(n: int, system: str) -> Iterator[str]:
        yield from (f"{n:,}", system_of(system).name)
        yield from (_error("paper", where, group, n=n, system=system) for where, group in _conditions())

    return table_of(["N", "system", *_headings()], (line(n, system) for n in SHOWN for system in SYSTEMS))


def gates() -> str:
    """Effective gates of Transformer and stylized model, and the stylized model's own gate, beside the published one."""

    def line(n: int) -> Iterator[str]:
        yield f"{n:,}"
        for group in GROUPS:
            place = {"n": n, "group": group, "kind": "measured", "answer": False}
            yield cell("paper", measure="effective_gate", system="transformer", **COPIED, **place)
            yield cell("paper", measure="effective_gate_residual", system="transformer", **COPIED, **place)
            yield cell("paper", measure="effective_gate", system="stylized", **COPIED, **place)
            yield cell("paper", measure="mean_gate", system="stylized", distribution="ibd", context="relevant", **place)
            yield GATES[group].get(n, "")

    names = ("Transformer's", "its residual, nats", "stylized model's", "own gate, in base", "published own gate")
    head = ["N", *(f"{name}, {GROUPS[group]}" for group in GROUPS for name in names)]
    return table_of(head, map(line, SIZES))


def over_steps(name: str, n: int | None = None) -> pd.DataFrame:
    """Means over seeds of the Transformer's error out of base with a relevant context, at each step."""
    where = {"system": "transformer", "measure": "error", "kind": "measured", **COPIED}
    rows = select(table(name), where if n is None else where | {"n": n})
    return summarise(rows[~rows["answer"].astype(bool)])


def transience() -> str:
    """Where the error of the mean over seeds is least, and what it is at the end."""

    def line(n: int) -> Iterator[str]:
        yield f"{n:,}"
        found = over_steps("paper", n)
        for group in GROUPS:
            rows = select(found, {"group": group}).sort_values("step")
            least, last = rows.loc[rows["value"].idxmin()], rows.iloc[-1]
            yield from (ends_of(least, 2), f"{int(least['step']):,}", ends_of(last, 2))

    names = ("least", "at step", "at the end")
    return table_of(["N", *(f"{GROUPS[group]}: {name}" for group in GROUPS for name in names)], map(line, SIZES))


def long() -> str:
    """Errors over 200,000 steps at N = 4,096."""
    found = over_steps("long-training")

    def line(step: int) -> Iterator[str]:
        yield f"{step:,}"
        yield from (ends_of(select(found, {"group": group, "step": step}).iloc[0], 2) for group in GROUPS)

    steps = sorted(set(found["step"]))
    return table_of(["step", *(f"{NAMES['oobd']}, {GROUPS[group]}" for group in GROUPS)], map(line, steps))


SWEEPS: Mapping[str, tuple[str, str]] = {
    "noise": ("distribution.input_noise", "input noise"),
    "laws": ("distribution.relevance", "what is relevant"),
    "rare-classes": ("distribution.n_low", "rare classes"),
    "share-of-relevant": ("distribution.p_relevant", "p_relevant"),
    "share-of-frequent": ("distribution.p_high", "p_high"),
}
"""Column and name of the setting that each committed sweep is over."""
SWEPT_PUBLISHED: Mapping[str, Mapping[tuple[Any, int, str], str]] = {
    "noise": {(0.0, 256, "high"): "about 1", (0.0, 1048576, "high"): "about 1", (0.0, 1048576, "low"): "0.95",
              (0.4, 256, "high"): "0.05", (0.4, 1024, "low"): "0.13", (0.4, 1048576, "high"): "0.77",
              (0.4, 1048576, "low"): "0.6"},
    "rare-classes": {(495, 16384, "low"): "0.15", (495, 262144, "low"): "0.5"},
}  # fmt: skip
"""Out-of-base errors of the paper's Transformer with relevant contexts, read off public pictures, to about 0.05."""


def swept(name: str) -> str:
    """Errors of the Transformer and of the stylized model at each value of a sweep and each N."""
    column, words = SWEEPS[name]
    places = table(name)[[column, "n"]].dropna().drop_duplicates().sort_values([column, "n"])
    published = SWEPT_PUBLISHED.get(name, {})

    def line(value: Any, n: int) -> Iterator[str]:
        yield from (f"{value:g}" if isinstance(value, float) else str(value), f"{n:,}")
        for where, group in _conditions():
            yield _error(name, where, group, n=n, system="transformer", **{column: value})
            if published and where is COPIED:
                yield published.get((value, n, group), "")
        yield from (_error(name, COPIED, group, n=n, system="stylized", **{column: value}) for group in GROUPS)

    head = [words, "N"]
    for (where, _), heading in zip(_conditions(), _headings(), strict=True):
        head += [heading, "published"] if published and where is COPIED else [heading]
    head += [f"stylized model: {heading}" for heading in list(_headings())[:2]]
    return table_of(head, (line(value, int(n)) for value, n in places.itertuples(index=False)))
