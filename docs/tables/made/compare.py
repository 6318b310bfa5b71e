"""Numbers of docs/results/compare.md: the paper's fifteen sizes, long training, and the sweeps over the data."""

from collections.abc import Iterator, Mapping
from functools import cache, partial
from typing import Any

import pandas as pd

from docs.tables.cells import cell, one, said, table_of
from docs.tables.committed import table
from docs.tables.pages import computed
from gating.page.names import system_of
from gating.page.said import sized
from gating.page.text_table import ends_of, number
from gating.results.intervals import mean_interval
from gating.results.query import select
from gating.studies.compare.config import CompareConfig
from gating.studies.compare.page_tables import crossing_tables

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


@cache
def course(name: str, measure: str, distribution: str, group: str, n: int) -> pd.DataFrame:
    """What the Transformer does over training: a row for each step, a column for each seed."""
    place = COPIED if distribution == COPIED["distribution"] else KNOWN
    where = {"system": "transformer", "measure": measure, "kind": "measured", "n": n, "group": group, "answer": False}
    return select(table(name), where | place).pivot_table(index="step", columns="seed", values="value")


def over_seeds(values: pd.Series, low: float = 0) -> str:
    """Mean of some seeds' errors, gates or differences, with its interval."""
    return number(*map(float, mean_interval(values.to_numpy(float), low=low, high=1)[:3]), 2)


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


def of_seeds(name: str, **place: Any) -> pd.Series:
    """A measure of the Transformer at the last step, or at that of the place, for each seed; an error by default."""
    where = {"measure": "error", "system": "transformer", "kind": "measured", "answer": False} | place
    rows = select(table(name), where)
    return rows[rows["step"] == rows["step"].max()].set_index("seed")["value"]


def apart(first: pd.Series, second: pd.Series) -> str:
    """The mean over the seeds of both of the second less the first, with its interval."""
    return computed(over_seeds((second - first).dropna(), low=-1))


SWEEPS: Mapping[str, tuple[str, str]] = {
    "noise": ("distribution.input_noise", "input noise"),
    "laws": ("distribution.relevance", "what is relevant"),
    "rare-classes": ("distribution.n_low", "rare classes"),
    "relevant-tokens": ("distribution.n_relevant", "relevant tokens of 4"),
    "share-of-frequent": ("distribution.p_high", "p_high"),
    "share-of-relevant": ("distribution.p_relevant", "p_relevant"),
    "tens-of-rare-classes": ("distribution.n_low", "rare classes"),
    "lengths": ("distribution.context_length", "L"),
    "label-noise": ("distribution.label_noise", "label noise"),
}
"""Column and name of the setting that each committed sweep is over."""
SWEPT_PUBLISHED: Mapping[str, Mapping[tuple[Any, int, str], str]] = {
    "noise": {(0.0, 256, "high"): "about 1", (0.0, 1048576, "high"): "about 1", (0.0, 1048576, "low"): "0.95",
              (0.4, 256, "high"): "0.05", (0.4, 1024, "low"): "0.13", (0.4, 1048576, "high"): "0.77",
              (0.4, 1048576, "low"): "0.6"},
    "rare-classes": {(495, 16384, "low"): "0.15", (495, 262144, "low"): "0.5"},
    "relevant-tokens": {("1", 1024, "low"): "0.93", ("2", 1024, "low"): "0.6", ("3", 1024, "low"): "0.2",
                        ("4", 1024, "low"): "0.08"},
}  # fmt: skip
"""Out-of-base errors of the paper's Transformer with relevant contexts, read off public pictures, to about 0.05; of
relevant tokens the least over N."""


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


def _value(where: Mapping[str, str], group: str, n: int, system: str = "transformer", measure: str = "error") -> str:
    return said("paper", 2, measure=measure, kind="measured", answer=False, group=group, n=n, system=system, **where)


def one_swept(name: str, value: Any, n: int, group: str = "low", system: str = "transformer") -> dict[str, Any]:
    """A system's error out of base with relevant contexts at one value of a sweep."""
    place = {"measure": "error", "kind": "measured", "answer": False, "group": group, "n": n, "system": system}
    return one(name, **place, **COPIED, **{SWEEPS[name][0]: value})


def _swept(name: str, value: Any, n: int, system: str = "transformer") -> str:
    return computed(ends_of(one_swept(name, value, n, system=system), 2))


def _of_rare(n: int, **place: Any) -> str:
    return said("rare-classes", 2, n=n, kind="measured", answer=False, **place)


def _holds(found: Mapping[str, Any], published: str) -> bool:
    return bool(found["low"] <= float(published) <= found["high"])


def met() -> tuple[int, int]:
    """How many published errors there are, and how many of them lie inside the interval of ours."""
    found = []
    for (distribution, group), values in PUBLISHED.items():
        where = COPIED if distribution == COPIED["distribution"] else KNOWN
        place = {
            "measure": "error",
            "kind": "measured",
            "answer": False,
            "system": "transformer",
            "group": group,
            **where,
        }
        ours = {n: one("paper", n=n, **place) for n in values}
        found += [_holds(ours[n], held) for n, held in values.items()]
    return len(found), sum(found)


def _crossed(measure: str, group: str, system: str = "transformer") -> str:
    return computed(sized(one("paper", measure=measure, group=group, system=system, kind="measured", answer=True)))


def sentences() -> Iterator[str]:
    low, middle, large, largest = 256, 4096, 65536, SIZES[-1]
    frequent, rare = (_crossed("crossover_gate", group) for group in GROUPS)
    yield f"N = {frequent} for frequent classes and {rare} for rare"
    yield f"errs {_value(COPIED, 'high', middle)} on frequent classes and {_value(COPIED, 'low', middle)} on rare ones"
    yield f"{_value(KNOWN, 'high', middle)} on frequent classes, {_value(KNOWN, 'low', middle)} on rare ones"
    yield f"rises from {_value(COPIED, 'low', 512)} at N = 512 to {_value(COPIED, 'low', large)} at 65,536"
    yield f"errs {_value(COPIED, 'low', low, 'transformer_ic')} at N = 256"
    yield f"and {_value(COPIED, 'low', large, 'transformer_ic')} at 65,536: it can copy"
    yield f"it errs {_value(KNOWN, 'low', low, 'transformer_iw')} on rare classes at N = 256"
    yield f"where this one errs {_value(KNOWN, 'low', low)}"
    shown = {"distribution": "ibd", "context": "relevant"}
    yield f"own gate for rare classes is {_value(shown, 'low', large, 'stylized', 'mean_gate')} at N = 65,536"
    yield f"and {_value(shown, 'low', largest, 'stylized', 'mean_gate')} at 1,048,576"
    step, least, last, change = rise(1024, "low")
    yield f"at N = 1,024 from {computed(least)} after {computed(f'{step:,}')} steps to {computed(last)} at the end"
    yield f"a rise of {computed(change)}"
    published, inside = met()
    yield f"Of {computed(published)} errors that can be read off pictures at this noise, {computed(inside)} lie inside"
    *_, late = rise(large, "low")
    yield f"at 65,536 by {computed(late)} since step 405"
    errors = course("long-training", "error", "oobd", "low", LONG)
    least, end = errors.mean(axis=1).idxmin(), errors.index[-1]
    near = {step: errors.loc[step] for step in (least, 45_878, end)}
    ends = {step: computed(over_seeds(values)) for step, values in near.items()}
    yield f"falls to {ends[least]} at step {computed(f'{least:,}')}, is {ends[45_878]} at step 45,878"
    yield f"and {ends[end]} at step 200,000"
    yield f"rise of {computed(over_seeds(near[end] - near[least], low=-1))} after its least"
    known = course("long-training", "error", "ibd", "low", LONG)
    first, last = (computed(over_seeds(known.loc[step])) for step in (least, end))
    yield f"falls from {first} at step {computed(f'{least:,}')} to {last} at the end"
    late = apart(near[45_878], near[end]), apart(known.loc[45_878], known.loc[end])
    yield "out of base changes by {}, that in base by {}".format(*late)
    rare, frequent = (computed(ends_of(one_swept("noise", 0.4, largest, group), 2)) for group in ("low", "high"))
    yield f"errs {rare} on rare classes after 1,048,576"
    yield f"so copies about half of them, and {frequent} on frequent ones"
    copied = computed(ends_of(one_swept("noise", 0.4, largest, "high", "stylized"), 2))
    yield f"more of them than the Transformer does, and errs {copied}"
    told = {place: held for place, held in SWEPT_PUBLISHED["noise"].items() if "about" not in held}
    inside = [_holds(one_swept("noise", *place), held) for place, held in told.items()]
    yield f"{computed(sum(inside))} of the {computed(len(inside))} published errors with a number lie inside"
    own = {"measure": "mean_gate", "system": "stylized", "distribution": "ibd", "context": "relevant", "group": "high"}
    place = {"n": largest, SWEEPS["noise"][0]: 0.4, "kind": "measured", "answer": False}
    yield f"of frequent classes is {said('noise', 2, **own, **place)} at noise 0.4 and the largest N"
    yield f"At N = 4,096 the Transformer errs {_swept('laws', 'context', middle)} on rare classes out of base"
    yield f"under the first law, and {_swept('laws', 'token', middle)} under the second"
    noisy = [_swept("label-noise", noise, low) for noise in (0.01, 0.1)]
    yield "rare ones err there {} and {} out of base, and {} without".format(*noisy, _swept("noise", 0.0, low))
    place = {"distribution": "ibd", "context": "relevant", "group": "high", "n": middle, "measure": "error"}
    place |= {"kind": "measured", "answer": False, SWEEPS["label-noise"][0]: 0.1}
    yield f"the Transformer errs {said('label-noise', 2, system='transformer', **place)} on frequent classes"
    copied = said("label-noise", 2, system="in_context", **place | COPIED)
    yield f"the stylized in-context predictor errs {copied} on them out of base"
    law = SWEEPS["laws"][0]
    two = {n: of_seeds("laws", n=n, group="low", **COPIED, **{law: "context"}) for n in SHOWN}
    token = of_seeds("laws", n=large, group="low", **COPIED, **{law: "token"})
    yield f"at 65,536 by {apart(token, two[large])} less under the second"
    more = [apart(of_seeds("paper", n=n, group="low", **COPIED), two[n]) for n in SHOWN]
    yield "rises by {} over that of L = 1 (paired by seed), at 4,096 by {}, at 65,536 by {}".format(*more)
    yield f"of three N, at 256, is {_swept('laws', 'context', low)} under the first law and"
    yield f"{_swept('laws', 'token', low)} under the second, which suggests"
    yield f"At 16,384 it errs {_swept('rare-classes', 495, 16_384)} on rare classes out of base"
    yield f"(with five of them {_value(COPIED, 'low', 16_384)})"
    yield f"and still {_swept('rare-classes', 495, 262_144)} at 262,144 (with five {_value(COPIED, 'low', 262_144)})"
    for n in (16_384, 262_144):
        tens = (_swept("tens-of-rare-classes", count, n) for count in (45, 95))
        errors = [_value(COPIED, "low", n), *tens, _swept("rare-classes", 495, n)]
        yield "{}, {}, {} and {} at".format(*errors) + (f" N = {n:,}" if n == 16_384 else f" {n:,}. Each class")
    shown = {"distribution": "ibd", "context": "relevant", "group": "low", "measure": "error", "system": "transformer"}
    known = [_of_rare(n, **shown) for n in (2048, 16_384)]
    yield "are answered wrongly in {} of cases at N = 2,048 and in {} at 16,384".format(*known)
    alone = [_swept("lengths", length, 1024, "in_context") for length in (8, 16)]
    yield "errs {} on rare classes out of base with eight tokens and {} with sixteen".format(*alone)
    rare = {"n": 16_384, "group": "low", **COPIED}
    half, hundredth = (
        of_seeds("share-of-frequent", **rare, **{SWEEPS["share-of-frequent"][0]: p}) for p in (0.5, 0.99)
    )
    tenth = of_seeds("paper", **rare)
    yield f"above the last by {apart(hundredth, half)}, and above the middle one by {apart(tenth, half)}"
    yield f"which is above the last by {apart(hundredth, tenth)}"
    for n, place in zip((middle, low, large), ("at N = 4,096", "at 256 it errs", "at 65,536"), strict=True):
        tenth, half, most = (_swept("share-of-relevant", p_relevant, n) for p_relevant in (0.1, 0.5, 0.99))
        errors = f"{tenth}, {half}, {_value(COPIED, 'low', n)} and {most}"
        yield f"{errors} {place}" if n == middle else f"{place} {errors}"
    few, many = _value(COPIED, "low", 2048), _swept("rare-classes", 495, 2048)
    yield f"At 2,048 they are not copied yet: {many}, with five {few}"
    relevant = (
        of_seeds("relevant-tokens", n=1024, group="low", **COPIED, **{SWEEPS["relevant-tokens"][0]: tokens})
        for tokens in "34"
    )
    yield f"the fourth changes the error by {apart(*relevant)}, paired by seed"
    yield f"at some N ({_value(KNOWN, 'low', 32_768, 'stylized')} at"
    yield f"where the Transformer errs {_value(KNOWN, 'low', 32_768)})"
    for n in (1024, 16_384):
        often, rarely = (_swept("share-of-frequent", p_high, n) for p_high in (0.5, 0.99))
        between = _value(COPIED, "low", n)
        yield f"{often} where half of the queries are of rare classes, {between} with a tenth"
        yield f"{between} with a tenth and {rarely} with a hundredth"
    copied = course("rare-classes-long", "error", "oobd", "low", RARE)
    least, end = copied.mean(axis=1).idxmin(), copied.index[-1]
    first, last = (computed(over_seeds(copied.loc[step])) for step in (least, end))
    yield f"falls to {first} at step {computed(f'{least:,}')} and rises to {last} at step 400,000"
    yield f"a rise of {computed(over_seeds(copied.loc[end] - copied.loc[least], low=-1))}"
    known = course("rare-classes-long", "error", "ibd", "low", RARE)
    first, last = (computed(over_seeds(known.loc[step])) for step in (least, end))
    yield f"goes in the same time only from {first} to {last}"
    copied = (_swept("relevant-tokens", tokens, 1024) for tokens in "1234")
    yield "errs {}, {}, {} and {} on rare classes".format(*copied)
    alone = [_swept("relevant-tokens", tokens, 1024, "in_context") for tokens in "14"]
    yield "errs {} on them with one relevant token, and {} with four".format(*alone)
    kept = [_of_rare(262_144, **own | {"group": group}) for group in ("low", "high")]
    yield "is {} for rare classes at the largest N, and {} for frequent ones".format(*kept)
    yield f"errs {_value(COPIED, 'low', low, 'stylized_frozen')} out of base on rare classes at N = 256"
    yield f"it is {_value(COPIED, 'low', low, measure='effective_gate_residual')} nats at N = 256"
    yield f"and {_value(COPIED, 'low', large, measure='effective_gate_residual')} at 65,536"
