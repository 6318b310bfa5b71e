"""Numbers of README.md: what `make demo` finds, and how far theories were off in settings drawn by chance."""

from collections.abc import Iterator

from docs.tables.cells import one, said
from docs.tables.made.crossover import off_by
from docs.tables.pages import computed
from gating.page.said import sized

PAGE = "README.md"
TABLES = {}
OUT_OF_BASE = {"measure": "error", "distribution": "oobd", "context": "relevant"}


def sentences() -> Iterator[str]:
    rare, frequent = (one("quick", measure="crossover_gate", system="transformer", group=g) for g in ("low", "high"))
    tenth = "a tenth" if 8 < rare["value"] / frequent["value"] < 12 else f"{frequent['value']:,.0f}"
    yield (
        f"the Transformer goes over from its context to its weights at N = {computed(sized(rare))} training sequences "
        f"for rare classes, and for frequent ones at about {tenth} of that (in {computed(frequent['reached'])} of the "
        f"{computed(frequent['seeds'])} seeds"
    )
    last = {**OUT_OF_BASE, "group": "low", "n": 16384}
    yield (
        "with 16,384 training sequences it errs "
        f"{said('quick', system='stylized', **last)} out of base on rare classes, the Transformer "
        f"{said('quick', system='transformer', **last)}."
    )
    high, low = (said("quick", system="transformer", n=64, group=g, **OUT_OF_BASE) for g in ("high", "low"))
    yield f"out of base it errs {high} on frequent classes and {low} on rare ones."
    off = off_by()
    least, most = (computed(f"{end(off[name] for name in off if name != 'stylized'):.0f}") for end in (min, max))
    yield f"in eight settings drawn by chance {least} to {most} times as late, the root mean square by learner"
