"""Two questions to finished fine-tunings, by differences paired by pairing seed and subject.

    gating finetune --preset share --out runs/share
    python benchmarks/llm_paired.py share runs/share

What keeps reading: the share of prompts with a context to be read, or how many of them training saw? Each mixture is
measured at two steps, so that one share stands for two counts and one count for two shares.

    gating finetune --preset handover --mixtures '[memory=1]' --exposures '[given, equal]' --out runs/frequency
    python benchmarks/llm_paired.py frequency runs/frequency

Do weights override the context sooner where facts are asked often? Half of the subjects are asked 27 times as often as
the others, or all are asked equally often. Several folders may be named, one for each exposure.

By score, as free answers are asked for at the end of training alone. Intervals of 95% are for other pairings and other
subjects.
"""

import argparse
from collections.abc import Iterator
from itertools import combinations, product
from pathlib import Path

import pandas as pd
import yaml

from gating.page.text_table import TextTable, ends_of
from llm_finetune.abilities import Ability
from llm_finetune.config import FinetuneConfig, Run
from llm_finetune.crossed import crossed_interval
from llm_finetune.effects import Tables, ability_tables
from theory.settings import build

SHOWN = {
    "recall": "recall",
    "in_context_accuracy": "in-context accuracy",
    "reading": "reading about new subjects",
    "reading_elsewhere": "reading of another relation",
    "override": "weights override the context",
    "effective_gate": "effective gate",
    "copying": "someone else's fact copied",
}
TRAINED_ANSWERS = {"override": Ability(("contradicting",), "memorised"),
                   "effective_gate": Ability(("contradicting",), "effective_gate")}  # fmt: skip
"""Of contexts whose answer is another of those trained on, the only ones that `handover` asks about."""
Rows = Iterator[dict[str, str | float]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("question", choices=("share", "frequency"))
    parser.add_argument("run", type=Path, nargs="+", help="folders of finished runs")
    parser.add_argument("--csv", type=Path, help="file for the same numbers, one a row")
    options = parser.parse_args()
    files = [folder / "config.yaml" for folder in options.run]
    config, *others = [build(FinetuneConfig, yaml.safe_load(file.read_text(encoding="utf-8"))) for file in files]
    samples = pd.concat(pd.read_parquet(folder / "parts" / "samples" / "samples.parquet") for folder in options.run)
    rows = share_rows(config, samples) if options.question == "share" else frequency_rows([config, *others], samples)
    table = pd.DataFrame(rows)
    if options.csv:
        table.assign(answer=True).to_csv(options.csv, index=False, lineterminator="\n")
    for compared, found in table.groupby(table["less"] != "none", sort=False):
        cells = found.assign(cell=[ends_of(row, 2) for row in found.to_dict("records")])
        wide = cells.pivot_table(index=["what", "less"], columns="measure", values="cell", aggfunc="first", sort=False)
        first = ("what", "less what") if compared else ("what",)
        lines = [(*key[: len(first)], *line) for key, *line in wide.itertuples()]
        print(TextTable((*first, *(SHOWN[name] for name in wide.columns)), tuple(lines)).markdown, end="\n\n")


def share_rows(config: FinetuneConfig, samples: pd.DataFrame) -> Rows:
    """Abilities at each share and count, then their differences where either is the same."""
    found: dict[tuple[float, int], dict[str, Tables]] = {}  # by share of prompts to be read, and prompts of training
    for mixture in dict.fromkeys(run.mixture for run in config.runs):
        runs = [run for run in config.runs if run.mixture == mixture]
        for step in filter(None, config.training.evaluations):
            found[mixture.reading, step * config.training.batch_size] = abilities(samples, runs, step)
    names = {key: f"{key[0]:.4g} of {key[1]} ({count(*key)})" for key in found}
    for key, tables in found.items():
        for name in tables:
            yield {"what": names[key], "less": "none", "measure": name, **interval(tables[name], 0)}
    for first, second in combinations(found, 2):
        if (first[0] == second[0]) != (count(*first) == count(*second)):  # one share or one count, not 0
            for name in found[first]:
                both = differences(found[second][name], found[first][name])
                yield {"what": names[second], "less": names[first], "measure": name, **interval(both, -1)}


def count(share: float, prompts: int) -> int:
    return round(share * prompts)


def frequency_rows(configs: list[FinetuneConfig], samples: pd.DataFrame) -> Rows:
    """Abilities of each group at each step under the first mixture, by exposure, and the difference that it makes."""
    first = configs[0].runs[0].mixture
    runs = [run for config in configs for run in config.runs if run.mixture == first]
    steps = [step for step in configs[-1].training.evaluations if step]
    for group, step in product(("high", "low"), steps):
        own = samples[samples["group"] == group]
        by = {exposure: [run for run in runs if run.exposure == exposure] for exposure in ("given", "equal")}
        found = {exposure: abilities(own, asked, step, **TRAINED_ANSWERS) for exposure, asked in by.items()}
        for exposure, tables in found.items():
            for name in tables:
                what = f"{group}, {exposure}, step {step}"
                yield {"what": what, "less": "none", "measure": name, **interval(tables[name], 0)}
        for name in found["given"]:
            both = interval(differences(found["given"][name], found["equal"][name]), -1)
            yield {"what": f"{group}, given, step {step}", "less": "equal", "measure": name, **both}


def abilities(samples: pd.DataFrame, runs: list[Run], step: int, **others: Ability) -> dict[str, Tables]:
    """Outcomes of what was measured; `others` are asked in place of those of their names."""
    found = {name: ability_tables(samples, runs, step, others.get(name, name), "score") for name in SHOWN}
    return {name: tables for name, tables in found.items() if tables}


def differences(tables: Tables, others: Tables) -> Tables:
    return [(table - other, weight) for (table, weight), (other, _) in zip(tables, others, strict=True)]


def interval(tables: Tables, low: float) -> dict[str, float]:
    found = crossed_interval(tables, low=low, high=1)
    return {"value": found.value, "low": found.low, "high": found.high}


if __name__ == "__main__":
    main()
