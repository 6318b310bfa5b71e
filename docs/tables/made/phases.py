"""Numbers of docs/results/phases.md."""

from collections.abc import Iterator

from docs.tables.cells import table_of
from docs.tables.committed import table
from docs.tables.pages import computed

PAGE = "docs/results/phases.md"


def shares() -> str:
    rows = table("phases")
    texts = ([f"{cell:.4f}" if place > 3 else str(cell) for place, cell in enumerate(row)] for row in rows.to_numpy())
    return table_of(rows.columns, texts)


TABLES = {"shares": shares}


def sentences() -> Iterator[str]:
    rows = table("phases")
    noisy = rows[(rows["input noise"] == 0.2) & (rows["L"] == 4) & (rows["loss"] == "error")].set_index("centres")
    likely, average = (
        computed(f"{noisy.loc[centres, 'undecided, tight']:.0%}")
        for centres in ("random, all likely", "random, on average")
    )
    yield f"so {likely} of the settings stay undecided for *all* centres in it. On average over centres {average} do."
