"""Numbers of docs/images.md."""

from collections.abc import Iterable

from docs.tables.cells import cell, one, table_of
from docs.tables.pages import computed

PAGE = "docs/images.md"
TYPEFACES = ("all 24", "20 of training", "4 held out")
WAYS = (2, 5, 20)


def one_shot() -> str:
    """Share of trials in which pixels tell the class."""
    lines = (
        (name, *(cell("images", 3, typefaces=name, measure="one_shot", size=ways) for ways in WAYS))
        for name in TYPEFACES
    )
    return table_of(("typefaces", *(f"{ways}-way" for ways in WAYS)), lines)


TABLES = {"one-shot": one_shot}


def sentences() -> Iterable[str]:
    few, many = (computed(f"{one('images', measure='variance', size=dim)['value']:.1%}") for dim in (64, 256))
    yield f"64 principal components have {few} of the variance of the training images, 256 have {many}."
