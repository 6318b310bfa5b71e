"""Finished runs as rows of one table: gates and what decides them, by how often training asked."""

import json
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import pandas as pd

from gating.results.parquet import read_table
from gating.results.query import last_step, select
from gating.results.table import key_names, make_table
from gating.runs.folder import TABLE, RunFolder
from gating.settings.text import flat
from llm_finetune.handover.config import CLASSES, COPIED, LLM, READ
from llm_finetune.mixtures import Mixture
from theory.distribution import ClassMixture
from theory.settings import SpecError, build

__all__ = ["Source", "joined_rows", "read_source"]

FREE = {
    "compare": ("distribution.p_relevant", "n_sequences", "n_seeds", "seed", "init_seed", "evaluation_seed",
                "evaluation_per_cell"),
    "finetune": ("mixtures", "exposures", "n_seeds", "seed", "evaluation_seed", "conditions", "judge",
                 "prompts_per_fact", "facts_per_group", "margin", "training.evaluate_at", "training.save_every"),
}  # fmt: skip
"""By study, settings in which runs may differ."""

KEPT = ["system", "n", "step", "seed", "distribution", "context", "group", "value", "tests", "standard_error"]
GROUPS = ("high", "low")


class Source(NamedTuple):
    """A finished run.

    Attributes:
        folder: where it is.
        study: ``compare`` or ``finetune``.
        identity: what its manifest says it is known by: settings, and SHA-256 of inputs.
        table: its rows.
    """

    folder: str
    study: str
    identity: Mapping[str, Any]
    table: pd.DataFrame

    @property
    def fixed(self) -> dict[str, str]:
        """Settings and inputs in which runs that belong together are the same, by name."""
        settings = {name: value for name, value in flat(self.identity["config"]) if name not in FREE[self.study]}
        return {name: json.dumps(value) for name, value in (settings | self.identity.get("inputs", {})).items()}


def read_source(folder: str) -> Source:
    """A finished run of `gating compare` or `gating finetune`.

    Raises:
        SpecError: it is one of another study, or not finished.
        FolderError: it is no run, or damaged.
    """
    run = RunFolder(folder)
    study, state = str(run.manifest["study"]), run.state[1]
    if study not in FREE:
        raise SpecError([f"`runs` must be of `gating compare` or `gating finetune`; '{folder}' is of `gating {study}`"])
    if not run.has(TABLE):
        raise SpecError([f"`runs` must be finished; '{folder}' is {state}"])
    return Source(folder, study, run.manifest["identity"], run.read(TABLE, read_table))


def joined_rows(sources: Iterable[Source]) -> pd.DataFrame:
    """Rows of all runs: gates, errors and margins of mixtures, and of memory-only runs what memory misses.

    Raises:
        SpecError: runs do not belong together, hold a measurement twice, or lack mixtures or a memory-only run.
    """
    held = [*sources]
    for study in FREE:
        _require_alike([source for source in held if source.study == study])
    rows = [_class_rows(source) if source.study == "compare" else _fact_rows(source) for source in held]
    table = make_table(pd.concat(rows, ignore_index=True).assign(study="handover", kind="measured"))
    if table.duplicated(key_names(table)).any():
        row = table[table.duplicated(key_names(table))].iloc[0].dropna()
        what = {name: row[name] for name in ("system", "n", "step", "seed", "mixture", "answered") if name in row}
        raise SpecError([f"`runs` must hold each measurement once; got {what} twice"])
    for system in (LLM, *CLASSES):
        _require_both(system, table[table["system"] == system])
    if table.empty:
        raise SpecError(["`runs` must hold gates of a Transformer, a stylized model or a language model; got none"])
    return table


def _require_alike(sources: list[Source]) -> None:
    for other in sources[1:]:
        one, two = sources[0].fixed, other.fixed
        differing = sorted(name for name in {*one, *two} if one.get(name) != two.get(name))
        if differing:
            raise SpecError(
                [f"`runs` of `gating {other.study}` must differ in {', '.join(FREE[other.study])} alone;"
                 f" '{sources[0].folder}' and '{other.folder}' differ in {', '.join(differing)}"]
            )  # fmt: skip


def _require_both(system: str, rows: pd.DataFrame) -> None:
    if rows.empty:
        return
    misses = rows[rows["measure"] == "memory_miss"]
    alone = "the mixture memory=1" if system == LLM else "`distribution.p_relevant` 0"
    if misses.empty:
        raise SpecError([f"`runs` must hold a memory-only run of {system}, one with {alone}; got none"])
    gates = select(rows, {"measure": "effective_gate", "context": READ[system][1]})
    if gates.empty:
        where = READ[system][1].replace("_", " ")
        raise SpecError([f"`runs` must hold gates of {system} in contexts that are {where}, beside {alone}; got none"])
    for seed in sorted({*gates["seed"]}):
        if {*misses["seed"]} <= {seed}:
            raise SpecError(
                [f"`runs` must hold a memory-only run of {system} on other facts, with another seed than {seed};"
                 f" got {sorted({*misses['seed']})}"]
            )  # fmt: skip


def _class_rows(source: Source) -> pd.DataFrame:
    """Of the last step, by group of classes; a class of frequency q was asked for N q times."""
    spec = build(ClassMixture, source.identity["config"]["distribution"])
    if spec.label_noise:
        raise SpecError([f"`runs` must have labels without noise; '{source.folder}' has {spec.label_noise:g}"])
    p, q = spec.p_relevant, spec.frequencies
    parts = zip(GROUPS, (q[: spec.n_high], q[spec.n_high :]), strict=True)
    means = {name: float(part.mean()) for name, part in parts if len(part)}
    found = select(source.table, {"system": CLASSES, "kind": "measured", "answer": False, "group": tuple(means)})
    found = last_step(found)
    asked = found["n"].astype("float64") * found["group"].map(means).astype("float64")
    found = found.assign(asked=asked, taught=asked * (1 - p), answered=p)
    gates, errors = (found[found["measure"] == name] for name in ("effective_gate", "error"))
    missed = _of(errors, COPIED)
    if p == 0:
        return _kept(missed, "memory_miss", answered=None)
    gates = pd.concat([_of(gates, READ), _of(gates, COPIED)])
    return pd.concat([_kept(gates, "effective_gate"), _kept(missed, "error")])


def _fact_rows(source: Source) -> pd.DataFrame:
    """At every step after the first, by group of facts; how often training asked stands in the run's table."""
    table = select(source.table, {"system": LLM, "answer": False})
    keys = ["step", "mixture", "exposure", "group"]
    times = select(table, {"measure": "exposures"})[[*keys, "value"]].rename(columns={"value": "asked"})
    found = table[(table["kind"] == "measured") & (table["step"] > 0)].merge(times, on=keys)
    if {*GROUPS} & {*found["group"]}:
        found = found[found["group"] != "all"]
    found = found[found["asked"] > 0]
    mixtures = {text: Mixture.parse(text) for text in found["mixture"].unique()}
    shares = {text: _answered(mixture) for text, mixture in mixtures.items()}
    alone = select(found, {"mixture": tuple(t for t, m in mixtures.items() if m.memory == 1), "measure": "accuracy"})
    alone = alone[alone["context"] == "no_context"]
    found = found[found["mixture"].map(shares).notna()]
    answered = found["mixture"].map({text: share and share[0] for text, share in shares.items()}).astype("float64")
    part = found["mixture"].map({text: share and share[1] for text, share in shares.items()}).astype("float64")
    found = found.assign(answered=answered, taught=found["asked"] * part)
    gates, margins = (found[found["measure"] == name] for name in ("effective_gate", "margin"))
    gates = pd.concat([_of(gates, READ), _of(gates, COPIED)])
    missed = alone.assign(value=1 - alone["value"], taught=alone["asked"])
    parts = [_kept(gates, "effective_gate"), _kept(_of(margins, COPIED), "margin")]
    return pd.concat([*parts, _kept(missed, "memory_miss", answered=None)])


def _answered(mixture: Mixture) -> tuple[float, float] | None:
    """Share of prompts with a context that it answers, and of those with the memorised answer that none answers."""
    read = mixture.agreeing + mixture.reading
    within = read + mixture.irrelevant
    if not within or not mixture.memorised:
        return None
    return read / within, (mixture.memory + mixture.irrelevant) / mixture.memorised


def _of(rows: pd.DataFrame, places: Mapping[str, tuple[str, str]]) -> pd.DataFrame:
    """Rows in the place of their system."""
    found = [select(rows, {"system": system, "context": context}) for system, (_, context) in places.items()]
    found = [
        part if part.empty or part["system"].iloc[0] == LLM else select(part, {"distribution": places[system][0]})
        for system, part in zip(places, found, strict=True)
    ]
    return pd.concat(found)


def _kept(rows: pd.DataFrame, measure: str, **changes: Any) -> pd.DataFrame:
    names = [*KEPT, "asked", "taught", *(name for name in ("answered", "mixture", "exposure") if name in rows)]
    return rows[names].assign(measure=measure, **changes)
