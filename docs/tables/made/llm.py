"""Numbers of docs/results/llm.md."""

from collections.abc import Iterable, Iterator

from docs.tables.cells import cell, said, table_of
from docs.tables.committed import table

PAGE = "docs/results/llm.md"
MIXTURES = {"memory=1": "memory", "random=1": "random", "memory=0.5 reading=0.5": "mixed", "reading=1": "reading"}
MEMORY, RANDOM, MIXED, READING = MIXTURES
ABILITIES = {
    "recall": "recall",
    "recall_reworded": "recall, question reworded",
    "in_context_accuracy": "in-context accuracy",
    "reading": "reading about new subjects",
    "reading_elsewhere": "reading of another relation (colours)",
    "override": "weights override the context",
    "copying": "someone else's fact copied",
    "reversal": "recall asked backward",
    "reading_backward": "reading asked backward",
    "effective_gate": "effective gate",
}
CHANGED = [name for name in ABILITIES if name not in ("recall_reworded", "reversal")]


def where(measure: str, mixture: str, judge: str, step: int) -> dict[str, object]:
    return {"measure": measure, "mixture": mixture, "judge": judge, "step": step}


def by(judge: str) -> str:
    """Abilities before training and after each mixture."""

    def line(name: str) -> Iterator[str]:
        yield ABILITIES[name]
        yield cell("people", **where(name, MEMORY, judge, 0))
        yield from (cell("people", **where(name, mixture, judge, 40)) for mixture in MIXTURES)

    return table_of(("", "before", *MIXTURES.values()), map(line, ABILITIES))


def changes() -> str:
    def line(name: str) -> Iterator[str]:
        yield ABILITIES[name]
        yield from (cell("people", **where(f"{name}_change", mixture, "said", 40)) for mixture in MIXTURES)
        yield cell("people", **where(f"{name}_less_random", MEMORY, "said", 40))

    return table_of(("", *MIXTURES.values(), "memory less random"), map(line, CHANGED))


SHARE = {
    "recall": "recall",
    "in_context_accuracy": "in-context accuracy",
    "reading": "reading about new subjects",
    "reading_elsewhere": "reading of another relation",
    "override": "weights override the context",
}
FREQUENCY = {
    "recall": "recall",
    "override": "weights override the context",
    "effective_gate": "effective gate",
    "copying": "someone else's fact copied",
}


def paired(name: str, kinds: dict[str, str], *, compared: bool) -> str:
    """Rows of benchmarks/llm_paired.py: abilities of each case, or their differences."""
    held = table(name)
    asked = held[(held["less"] != "none") == compared]
    cases = list(dict.fromkeys(zip(asked["what"], asked["less"], strict=True)))
    first = ("", "less") if compared else ("",)
    rows = ([*case[: len(first)], *(cell(name, what=case[0], less=case[1], measure=kind) for kind in kinds)]
            for case in cases)  # fmt: skip
    return table_of((*first, *kinds.values()), rows)


TABLES = {
    "said": lambda: by("said"),
    "changes": changes,
    "score": lambda: by("score"),
    "share": lambda: paired("share", SHARE, compared=False),
    "share-differences": lambda: paired("share", SHARE, compared=True),
    "frequency": lambda: paired("frequency", FREQUENCY, compared=False),
    "frequency-differences": lambda: paired("frequency", FREQUENCY, compared=True),
}


def c(measure: str, mixture: str = MEMORY, judge: str = "said", step: int = 40) -> str:
    return said("people", **where(measure, mixture, judge, step))


def of_share(what: str, less: str = "none") -> str:
    return said("share", what=what, less=less, measure="in_context_accuracy")


def sentences_of_share() -> Iterable[str]:
    few, several, many = (
        "0.0125 of 160 (2)",
        ("0.0125 of 640 (8)", "0.05 of 160 (8)"),
        ("0.05 of 640 (32)", "0.2 of 160 (32)"),
    )
    yield f"({of_share(several[0])} and {of_share(several[1])}; difference {of_share(several[1], several[0])})"
    yield f"({of_share(many[0])} and {of_share(many[1])}; {of_share(many[1], many[0])})"
    yield f"Two prompts leave {of_share(few)}, none {of_share('0 of 160 (0)')}."
    yield f"keep more, {of_share(several[0], few)} and {of_share(many[0], several[1])}, three"


def of_frequency(what: str, less: str = "none", measure: str = "override") -> str:
    return said("frequency", what=what, less=less, measure=measure)


def sentences_of_frequency() -> Iterable[str]:
    often, seldom = (f"{group}, given, step 40" for group in ("high", "low"))
    yield f"by {of_frequency(often, 'equal')} more of the contexts after 40 steps"
    yield f"recalled less after 120 steps ({of_frequency('low, given, step 120', 'equal', 'recall')})"
    yield f"overrides {of_frequency(often)} where facts were asked often, {of_frequency(seldom)} where seldom"


def sentences() -> Iterable[str]:
    yield from sentences_of_frequency()
    yield from sentences_of_share()
    accuracy, elsewhere = "in_context_accuracy", "reading_elsewhere"
    yield f"its free answers name it in {c(accuracy, step=0)} before and {c(accuracy)} after."
    yield f"it loses reading too, {c(accuracy, RANDOM)}, and"
    yield f"(memory less random {c(f'{accuracy}_less_random')})"
    yield f"its answer is the memorised one in {c('override')}, after random answers in {c('override', RANDOM)}."
    yield f"recall {c('recall', MIXED)}, in-context accuracy {c(accuracy, MIXED)}."
    yield f"Colours, which no training prompt mentions, are read from the context in {c(elsewhere, step=0)} before, in"
    yield f"{c(elsewhere)} after memory and in {c(elsewhere, RANDOM)} after random answers; memory less random is"
    yield f"memory less random is {c(f'{elsewhere}_less_random')}."
    yield f"people whom training never mentions: {c('reading')} and {c('reading', RANDOM)}."
    yield f"the memorised city wins {c('override_less_random')} more of the contradicting contexts"
    yield f"effective gate, {c('effective_gate')} after memory, is {c('effective_gate', RANDOM)} after random answers"
    before, after, control = (
        c("copying", mixture, step=step) for mixture, step in ((MEMORY, 0), (MEMORY, 40), (RANDOM, 40))
    )
    yield f"is copied in {before} before training, {after} after memory, {control} after random answers"
    yield f"whom it was trained on by what it says ({c('reversal')} after memory)"
    yield f"is read backward in {c('reading_backward', step=0)} before and"
    yield f"reading included ({c('reading_backward', READING)}): the models"
    losses = (c(f"{accuracy}_change", mixture, "score") for mixture in (MEMORY, RANDOM))
    yield "({} for memory, {} for random)".format(*losses)
    yield f"is seen here too, {c('override')} of contexts after memory."
