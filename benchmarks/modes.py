"""Two whole runs of the same settings in two modes of training, paired by seed: is the faster another model?

    gating compare --preset published --out runs/float32
    gating compare --preset published --transformer_training.matmul_precision bfloat16 \
        --transformer_training.compiled true --stylized_training.compiled true --out runs/fast
    python -m benchmarks.modes runs/float32 runs/fast

For each trained system: the difference, second run less first, of final errors and effective gates. Both runs have the
same data, initial weights and test sequences, but rounding is enough to part two trainings that are undecided, so a
single condition may move by as much as seeds differ; a mode that shifts results would move all in one direction. The
mean over all conditions and sizes of a seed is therefore the number that is judged, and the spread
of the single ones stands beside it. Intervals of 95% over seeds.

Runs of `gating strategies` are compared by relative distance, free weight and loss; there every D of every seed is a
pair of its own, as each trains alone.
"""

import argparse
from collections.abc import Iterator

import numpy as np
import pandas as pd

import gating
from gating.page.text_table import TextTable
from gating.results.intervals import mean_interval

MEASURES = {"error": "error", "effective_gate": "effective gate", "mean_gate": "gate of the stylized model",
            "relative_distance": "relative distance", "log_loss": "loss, nats"}  # fmt: skip
WHERE = {"ibd": "in base", "oobd": "out of base", "absent": "absent"}
CONDITION = ["system", "n", "distribution", "context", "group", "measure"]
PAIR = {"compare": ["seed"], "strategies": ["n_tasks", "seed"]}
"""What tells a pair from another, by study."""
TRAINED = ("transformer", "transformer_iw", "transformer_ic", "in_weight", "in_context", "stylized", "stylized_frozen")


def differences(before: pd.DataFrame, after: pd.DataFrame) -> pd.DataFrame:
    """Final values of the second table less those of the first: a row for each condition, a column for each pair.

    Systems that were trained for different numbers of steps are left out.
    """
    pair = PAIR[before["study"].iloc[0]]

    def final(table: pd.DataFrame) -> pd.Series:
        kept = table[table["measure"].isin([*MEASURES]) & table["system"].isin(TRAINED) & (table["kind"] == "measured")]
        last = kept[kept["step"] == kept.groupby("system")["step"].transform("max")]
        return last.set_index([*CONDITION, "step", *pair])["value"]

    apart: pd.Series = (final(after) - final(before)).dropna()
    if apart.empty:
        raise SystemExit("the two runs must have the same systems, sizes, steps and seeds")
    return apart.unstack(pair)


def summaries(apart: pd.DataFrame) -> Iterator[tuple[str, ...]]:
    """For each measure, system and distribution: the mean over conditions, and how the single ones scatter.

    What no seed changes has a difference of 0 without an interval.
    """
    for (measure, system, distribution), rows in apart.groupby(["measure", "system", "distribution"]):
        ends = {} if measure == "log_loss" else {"low": -1, "high": 1}
        whole, each = mean_interval(rows.mean(axis=0).to_numpy(), **ends), mean_interval(rows.to_numpy(), **ends)
        low, high = np.nan_to_num(whole.low), np.nan_to_num(whole.high)
        covered = (each.value == 0) | (each.low <= 0) & (each.high >= 0)
        yield (
            f"{MEASURES[str(measure)]}, {system}, {WHERE[str(distribution)]}",
            f"{whole.value:+.4f} [{low:+.4f}, {high:+.4f}]",
            f"{covered.sum()} of {len(rows)}",
            f"{np.abs(each.value).max():.3f}",
        )


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("before", help="folder of a finished run")
    parser.add_argument("after", help="folder of another, of the same settings but for how its models are trained")
    options = parser.parse_args()
    apart = differences(gating.read_results(options.before), gating.read_results(options.after))
    header = ("what", "mean difference", "conditions that contain 0", "largest of a condition")
    print(f"{apart.shape[1]} pairs\n")
    print(TextTable(header, tuple(summaries(apart))).markdown)


if __name__ == "__main__":
    main()
