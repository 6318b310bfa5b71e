"""Numbers of docs/language-models.md."""

from collections.abc import Iterable, Iterator

from docs.tables.cells import cell, one, table_of
from docs.tables.pages import computed

PAGE = "docs/language-models.md"
MODELS = ("base", "memory", "random", "mixed")
SHOWN = {
    "recall": "recall",
    "in_context_accuracy": "in-context accuracy",
    "in_context_accuracy_change": "its change",
    "reading": "reading about new subjects",
    "reading_elsewhere": "reading of another relation",
    "override": "weights override the context",
    "effective_gate": "effective gate",
}


def probe() -> str:
    """What SmolLM2 answers before and after fine-tuning."""

    def line(name: str) -> Iterator[str]:
        yield SHOWN[name]
        for model in MODELS:
            untold = model == "base" and name.endswith("_change")
            yield "" if untold else cell("probe", measure=name, model=model, answer=True)

    return table_of(("greedy answers", *MODELS), map(line, SHOWN))


TABLES = {"probe": probe}


def sentences() -> Iterable[str]:
    for model in MODELS[1:]:
        kept, overridden, collapsed = (
            one("probe", measure=name, model=model)["value"] for name in ("kept", "overridden", "collapsed")
        )
        read = kept + overridden + collapsed
        shares = [computed(f"{part / read:.0%}") for part in (kept, overridden, collapsed)]
        yield "{} keeps {}, overrides {} and collapses on {}".format(model, *shares)
