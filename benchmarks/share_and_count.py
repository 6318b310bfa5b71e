"""What keeps reading: the share of prompts with a context to be read, or how many of them training saw?

    gating finetune --preset share --out runs/share
    python benchmarks/share_and_count.py runs/share

Each mixture is measured at two steps, so that one share stands for two counts and one count for two shares. Differences
are paired by pairing seed and subject; intervals of 95% are for other pairings and other subjects.
"""

import argparse
from itertools import combinations
from pathlib import Path

import pandas as pd
import yaml

from llm_finetune.config import FinetuneConfig
from llm_finetune.crossed import crossed_interval
from llm_finetune.effects import Tables, ability_tables
from theory.settings import build

SHOWN = {
    "recall": "recall",
    "in_context_accuracy": "in-context accuracy",
    "reading": "reading about new subjects",
    "override": "weights override the context",
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path, help="folder of a finished run")
    folder = parser.parse_args().run
    config = build(FinetuneConfig, yaml.safe_load((folder / "config.yaml").read_text(encoding="utf-8")))
    samples = pd.read_parquet(folder / "parts" / "samples" / "samples.parquet")
    steps = [step for step in config.training.evaluations if step]
    found: dict[tuple[float, int], dict[str, Tables]] = {}  # by share of prompts to be read, and step
    for mixture in dict.fromkeys(run.mixture for run in config.runs):
        runs = [run for run in config.runs if run.mixture == mixture]
        for step in steps:
            found[mixture.reading, step] = {name: ability_tables(samples, runs, step, name, "said") for name in SHOWN}
    count = {(share, step): round(share * step * config.training.batch_size) for share, step in found}
    print(f"| share to be read | prompts | of them to be read | {' | '.join(SHOWN.values())} |")
    print("| ---: " * (3 + len(SHOWN)) + "|")
    for (share, step), tables in found.items():
        cells = " | ".join(cell(tables[name], 0) for name in SHOWN)
        print(f"| {share:.4g} | {step * config.training.batch_size} | {count[share, step]} | {cells} |")
    print(f"\n| compared | {' | '.join(SHOWN.values())} |\n| --- {'| ---: ' * len(SHOWN)}|")
    for first, second in combinations(found, 2):
        if (first[0] == second[0]) != (count[first] == count[second]):  # one share or one count, not 0
            cells = " | ".join(cell(differences(found[second][name], found[first][name]), -1) for name in SHOWN)
            words = " less ".join(f"{share:.4g} ({count[share, step]} prompts)" for share, step in (second, first))
            print(f"| {words} | {cells} |")


def differences(tables: Tables, others: Tables) -> Tables:
    return [(table - other, weight) for (table, weight), (other, _) in zip(tables, others, strict=True)]


def cell(tables: Tables, low: float) -> str:
    found = crossed_interval(tables, low=low, high=1)
    return f"{found.value:.2f} [{found.low:.2f}, {found.high:.2f}]"


if __name__ == "__main__":
    main()
