"""Numbers of docs/results/conflict.md."""

from collections.abc import Iterator

from docs.tables.cells import cell, one, said, table_of, value
from docs.tables.pages import computed

PAGE = "docs/results/conflict.md"
WAYS = ("prior_kept", "context_followed", "neither_chosen")
CONTEXTS = {
    "contradicting": "contradicts",
    "distractors": "amid 4 other sentences",
    "long_context": "far back, before 24 others",
    "both": "says both",
    "agreeing": "true",
}
CASES = {"prior_right": "own answer right", "context_right": "context right"}
JUDGES = {"score": "by score", "said": "freely"}
ASKED = [("score", context) for context in CONTEXTS] + [("said", "contradicting"), ("said", "agreeing")]
SIZES = ("10%", "50%", "double", "tenfold", "2 years", "10 years", "50 years", "200 years")
GATES = {
    "plain": "plain",
    "probability": "probability",
    "percentile": "percentile",
    "context_aware": "context-aware decoding, a = 1",
    "calibration": "contextual calibration",
    "posterior": "posterior, cross-fitted",
}
BIASES = ("conflict_accuracy", "context_bias", "prior_bias")
ALL = {"group": "all", "size": None, "bin": None, "gate": None}


def way(judge: str, context: str, measure: str) -> dict[str, object]:
    """Where a share of one of three ways stands: cases where the own answer is right, or the true context."""
    case = "context_right" if context == "agreeing" else "prior_right"
    return {"judge": judge, "context": context, "case": case, "measure": measure, "answer": True, **ALL}


def three_ways() -> str:
    def line(judge: str, context: str) -> Iterator[str]:
        yield from (CONTEXTS[context], CASES[str(way(judge, context, "")["case"])], JUDGES[judge])
        yield from (cell("conflict", **way(judge, context, measure)) for measure in WAYS)

    head = ("context", "case", "read", "own answer kept", "context followed", "neither")
    return table_of(head, (line(*asked) for asked in ASKED))


def by_confidence() -> str:
    places = [{"group": "all", "bin": k, "judge": "score"} for k in range(5)]
    means = (f"{one('conflict', measure='prior_confidence', **place)['value']:.2f}" for place in places)
    kept = (cell("conflict", measure="prior_kept", **place) for place in places)
    return table_of(("mean confidence in the own answer", *means), [("kept", *kept)])


def by_size() -> str:
    def line(judge: str) -> Iterator[str]:
        yield f"followed, {JUDGES[judge]}"
        for size in SIZES:
            yield cell("conflict", measure="context_followed", judge=judge, size=size)

    return table_of(("context is off by", *SIZES), map(line, JUDGES))


def gates() -> str:
    def line(gate: str) -> Iterator[str]:
        yield GATES[gate]
        yield from (cell("conflict", measure=m, gate=gate) for m in BIASES)
        yield from ("" if gate == "plain" else cell("conflict", measure=f"{m}_gain", gate=gate) for m in BIASES)

    heads = ("accuracy in conflicts", "context bias", "prior bias")
    changes = ("change of accuracy", "of context bias", "of prior bias")
    return table_of(("gate", *heads, *changes), map(line, GATES))


TABLES = {"three_ways": three_ways, "by_confidence": by_confidence, "by_size": by_size, "gates": gates}


def sentences() -> Iterator[str]:
    prior = {"measure": "prior_accuracy"}
    score, freely = (said("conflict", judge=judge, group="all", **prior) for judge in JUDGES)
    yield f"By score it is right on {score} without a context, freely on {freely}."
    true = value("conflict", **way("said", "agreeing", "context_followed"))
    wrong = value("conflict", **way("said", "contradicting", "context_followed"))
    yield f"is followed against a wrong own answer on {true}, a wrong one against a right own answer on {wrong}."
    capitals, colours, young, heights = (
        value("conflict", judge="said", group=group, **prior) for group in ("capitals", "colours", "young", "heights")
    )
    yield f"(capitals {capitals}, colours {colours}, the young of animals and heights {young})"
    if young != heights:
        yield "the young of animals and heights must be alike"
    slope = said("conflict", measure="kept_slope")
    yield f"The slope of the log odds of keeping on the log odds of confidence is {slope}:"
    doubles = one("conflict", measure="prior_bias", gate="probability")["value"] / one(
        "conflict", measure="prior_bias", gate="plain")["value"]  # fmt: skip
    yield f"it pays with prior bias, which {'doubles' if 1.8 < doubles < 2.2 else computed(f'{doubles:.1f}')}."
