"""Numbers of docs/results/handover.md."""

from collections.abc import Callable, Iterator

import pandas as pd

from docs.tables.cells import said, table_of
from docs.tables.committed import table
from docs.tables.pages import computed
from gating.page.text_table import TextTable
from gating.results.query import select
from llm_finetune.handover import page

PAGE = "docs/results/handover.md"
COUNTS = ("none", "one", "two", "three", "four")
EVERY = {"measure": "gate_error", "teaching": "every"}


def of_study(draw: Callable[[pd.DataFrame], TextTable]) -> Callable[[], str]:
    """A table as the study's own page has it."""

    def made() -> str:
        drawn = draw(table("handover"))
        return table_of((head.replace("\n", " ") for head in drawn.header), drawn.rows)

    return made


TABLES = {
    "errors": of_study(page.error_table),
    "handovers": of_study(page.handover_table),
    "differences": of_study(page.difference_table),
}


def sentences() -> Iterator[str]:
    transformer, stylized, language = (
        [said("handover", system=system, predictor=name, **EVERY) for name in ("handover", "constant")]
        for system in ("transformer", "stylized", "llm")
    )
    yield f"Transformer {transformer[0]}, beside {transformer[1]} for the best constant;"
    yield f"stylized model {stylized[0]}, beside {stylized[1]};"
    yield f"language model {language[0]}, beside {language[1]}."
    half, most = (
        said("handover", measure="gate_difference", system="llm", answered=answered) for answered in (0.5, 0.9)
    )
    yield f"the language model's gate is larger by {half} at p = 0.5 and by {most} at p = 0.9 than"
    told = handovers("llm")
    ratio = told["every"] / told["measured"]
    within = ratio[told["every"].between(0, float("inf"), inclusive="neither")]
    times = computed(f"{within.min():.2g} to {within.max():.2g} times")
    yield f"the predicted n* is {times} the measured one in the {COUNTS[len(within)]} of four groups and shares"
    rare = cell_at("transformer", "unanswered"), cell_at("transformer", "measured")
    yield f"({rare[0]} against {rare[1]} for rare classes)"
    rows = table("handover")
    gates = select(rows, {"system": "llm", "measure": "effective_gate", "context": "contradicting", "kind": "measured"})
    highest = gates.groupby(["answered", "group", "asked"])["value"].mean().max()
    yield f"at no n is its mean in contradicting contexts above {computed(f'{highest:.2f}')}."


def handovers(system: str) -> pd.DataFrame:
    """Measured n* of each share and group, and both predictions."""
    rows = select(table("handover"), {"system": system, "measure": "handover_asked"})
    names = rows["teaching"].where(rows["kind"] == "predicted", "measured")
    return rows.assign(of=names).pivot(index=["answered", "group"], columns="of", values="value")


def cell_at(system: str, of: str) -> str:
    """Measured or predicted n* of rare classes at p = 0.5, with its interval."""
    kind = {"kind": "measured"} if of == "measured" else {"kind": "predicted", "teaching": of}
    rows = select(
        table("handover"), {"system": system, "measure": "handover_asked", "group": "low", "answered": 0.5, **kind}
    )
    (row,) = rows.to_dict("records")
    return computed(f"{row['value']:.2g} [{row['low']:.2g}, {row['high']:.2g}]")
