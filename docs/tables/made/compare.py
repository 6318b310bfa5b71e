"""Numbers of docs/results/compare.md: the paper's fifteen sizes, long training, and the sweeps over the data."""

from collections.abc import Iterator, Mapping
from functools import partial

from docs.tables.cells import cell, one, table_of
from docs.tables.committed import table
from docs.tables.of_compare import (
    COPIED,
    GROUPS,
    KNOWN,
    MEASURED,
    apart,
    conditions,
    course,
    error_cell,
    headings,
    holds,
    over_seeds,
    said_error,
)
from docs.tables.of_sweeps import SWEEPS, said_of_sweeps, swept
from docs.tables.pages import computed
from gating.page.names import system_of
from gating.page.said import sized
from gating.studies.compare.config import CompareConfig
from gating.studies.compare.page_tables import crossing_tables

PAGE = "docs/results/compare.md"
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


def sizes() -> str:
    """The Transformer's errors at every N, beside the published ones."""

    def line(n: int) -> Iterator[str]:
        yield f"{n:,}"
        for where, group in conditions():
            yield error_cell("paper", where, group, n=n, system="transformer")
            if held := PUBLISHED.get((where["distribution"], group)):
                yield held.get(n, "")

    head = ["N"]
    for (where, group), heading in zip(conditions(), headings(), strict=True):
        head += [heading, "published"] if (where["distribution"], group) in PUBLISHED else [heading]
    return table_of(head, map(line, SIZES))


def systems() -> str:
    """Errors of every system at three N."""

    def line(n: int, system: str) -> Iterator[str]:
        yield from (f"{n:,}", system_of(system).name)
        yield from (error_cell("paper", where, group, n=n, system=system) for where, group in conditions())

    return table_of(["N", "system", *headings()], (line(n, system) for n in SHOWN for system in SYSTEMS))


def gates() -> str:
    """Effective gates of Transformer and stylized model, and the stylized model's own, beside the published one."""

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


FIRST_READ = 405
"""The second checkpoint: at the first, after 20 steps, nothing is learnt."""


def rise(n: int, group: str) -> tuple[int, str, str, str]:
    """Step at which the mean over seeds is least, that mean, the last, and by how much each seed's error rose since."""
    found = course("paper", "error", COPIED["distribution"], group, n).loc[FIRST_READ:]
    step = int(found.mean(axis=1).idxmin())
    low, last = found.loc[step], found.iloc[-1]
    change = over_seeds(last - low, low=-1) if step < found.index[-1] else ""
    return step, over_seeds(low), over_seeds(last), change


def transience() -> str:
    """Where the error of the mean over seeds is least, and what it is at the end."""

    def line(n: int) -> Iterator[str]:
        yield f"{n:,}"
        for group in GROUPS:
            step, least, last, change = rise(n, group)
            yield from (f"{step:,}", least, last, change)

    names = ("least at step", "error there", "at the end", "rise")
    return table_of(["N", *(f"{GROUPS[group]}: {name}" for group in GROUPS for name in names)], map(line, SIZES))


LONG, RARE = 4096, 262_144
"""The size that is trained for 200,000 steps, and the one with 495 rare classes that is trained for 400,000."""


def over_training(name: str, n: int) -> str:
    """Errors and gates over the steps at one N."""
    columns = {
        "out of base, relevant, rare": ("error", "oobd", "low"),
        "in base, irrelevant, rare": ("error", "ibd", "low"),
        "effective gate, rare": ("effective_gate", "oobd", "low"),
        "out of base, relevant, frequent": ("error", "oobd", "high"),
    }
    courses = {heading: course(name, *of, n) for heading, of in columns.items()}

    def line(step: int) -> Iterator[str]:
        yield f"{step:,}"
        yield from (over_seeds(found.loc[step]) for found in courses.values())

    return table_of(["step", *columns], map(line, next(iter(courses.values())).index))


def crossings() -> str:
    """N from which effective gates and in-weight errors are beyond 1/2."""
    found = crossing_tables(CompareConfig(n_sequences=SIZES), table("paper"))
    return "\n\n".join(f"{title}\n\n{shown.markdown}" for title, shown in found if shown.rows)


TABLES = {
    "sizes": sizes,
    "systems": systems,
    "gates": gates,
    "crossings": crossings,
    "transience": transience,
    "long-training": partial(over_training, "long-training", LONG),
    "rare-classes-long": partial(over_training, "rare-classes-long", RARE),
    **{name: partial(swept, name) for name in SWEEPS},
}


def met() -> tuple[int, int]:
    """How many published errors there are, and how many of them lie inside the interval of ours."""
    found = []
    for (distribution, group), values in PUBLISHED.items():
        where = COPIED if distribution == COPIED["distribution"] else KNOWN
        place = {"measure": "error", "system": "transformer", "group": group} | where | MEASURED
        found += [holds(one("paper", n=n, **place), held) for n, held in values.items()]
    return len(found), sum(found)


def sentences() -> Iterator[str]:
    for said_of in (_sizes, _predictors, _gates, _transience, _long_training, _rare_for_long, said_of_sweeps):
        yield from said_of()


def _sizes() -> Iterator[str]:
    copied, known = ([said_error(where, group, 4096) for group in GROUPS] for where in (COPIED, KNOWN))
    yield "errs {} on frequent classes and {} on rare ones".format(*copied)
    yield "{} on frequent classes, {} on rare ones".format(*known)
    yield f"rises from {said_error(COPIED, 'low', 512)} at N = 512 to {said_error(COPIED, 'low', 65_536)} at 65,536"
    yield f"at some N ({said_error(KNOWN, 'low', 32_768, 'stylized')} at"
    yield f"where the Transformer errs {said_error(KNOWN, 'low', 32_768)})"
    published, inside = met()
    yield f"Of {computed(published)} errors that can be read off pictures at this noise, {computed(inside)} lie inside"


def _predictors() -> Iterator[str]:
    """The Transformers of one kind of data, and the frozen gate."""
    yield f"errs {said_error(COPIED, 'low', 256, 'transformer_ic')} at N = 256"
    yield f"and {said_error(COPIED, 'low', 65_536, 'transformer_ic')} at 65,536: it can copy"
    yield f"it errs {said_error(KNOWN, 'low', 256, 'transformer_iw')} on rare classes at N = 256"
    yield f"where this one errs {said_error(KNOWN, 'low', 256)}"
    yield f"errs {said_error(COPIED, 'low', 256, 'stylized_frozen')} out of base on rare classes at N = 256"


def _gates() -> Iterator[str]:
    place = {"measure": "crossover_gate", "system": "transformer", "kind": "measured", "answer": True}
    frequent, rare = (computed(sized(one("paper", group=group, **place))) for group in GROUPS)
    yield f"N = {frequent} for frequent classes and {rare} for rare"
    shown = {"distribution": "ibd", "context": "relevant"}
    own = (said_error(shown, "low", n, "stylized", "mean_gate") for n in (65_536, SIZES[-1]))
    yield "own gate for rare classes is {} at N = 65,536 and {} at 1,048,576".format(*own)
    left = (said_error(COPIED, "low", n, measure="effective_gate_residual") for n in (256, 65_536))
    yield "it is {} nats at N = 256 and {} at 65,536".format(*left)


def _transience() -> Iterator[str]:
    step, least, last, change = rise(1024, "low")
    yield f"at N = 1,024 from {computed(least)} after {computed(f'{step:,}')} steps to {computed(last)} at the end"
    yield f"a rise of {computed(change)}"
    *_, late = rise(65_536, "low")
    yield f"at 65,536 by {computed(late)} since step 405"


def _long_training() -> Iterator[str]:
    errors = course("long-training", "error", "oobd", "low", LONG)
    least, late, end = errors.mean(axis=1).idxmin(), 45_878, errors.index[-1]
    near = {step: errors.loc[step] for step in (least, late, end)}
    ends = {step: computed(over_seeds(values)) for step, values in near.items()}
    yield f"falls to {ends[least]} at step {computed(f'{least:,}')}, is {ends[late]} at step 45,878"
    yield f"and {ends[end]} at step 200,000"
    yield f"rise of {computed(over_seeds(near[end] - near[least], low=-1))} after its least"
    known = course("long-training", "error", "ibd", "low", LONG)
    first, last = (computed(over_seeds(known.loc[step])) for step in (least, end))
    yield f"falls from {first} at step {computed(f'{least:,}')} to {last} at the end"
    changes = apart(near[late], near[end]), apart(known.loc[late], known.loc[end])
    yield "out of base changes by {}, that in base by {}".format(*changes)


def _rare_for_long() -> Iterator[str]:
    copied = course("rare-classes-long", "error", "oobd", "low", RARE)
    least, end = copied.mean(axis=1).idxmin(), copied.index[-1]
    first, last = (computed(over_seeds(copied.loc[step])) for step in (least, end))
    yield f"falls to {first} at step {computed(f'{least:,}')} and rises to {last} at step 400,000"
    yield f"a rise of {computed(over_seeds(copied.loc[end] - copied.loc[least], low=-1))}"
    known = course("rare-classes-long", "error", "ibd", "low", RARE)
    first, last = (computed(over_seeds(known.loc[step])) for step in (least, end))
    yield f"goes in the same time only from {first} to {last}"
