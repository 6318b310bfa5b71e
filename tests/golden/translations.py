"""Tables of today in the columns and names of the frozen ones, and what is meant to differ, study by study.

Frozen tables have a text column ``setting`` with what differs between rows; today each of it is a typed column. Frozen
theory calls label counts ``in_weight`` and copying at a fixed temperature ``in_context``, the names of trained models;
today they are ``tabular`` and ``copying``, and bounds over every in-weight predictor are ``any_in_weight``.
"""

import json
from collections.abc import Callable
from typing import Any

import pandas as pd

__all__ = ["TRANSLATIONS", "setting_of", "theory_names"]

Table = pd.DataFrame

THEORY = {"tabular": "in_weight", "any_in_weight": "in_weight", "copying": "in_context"}


def theory_names(table: Table) -> Table:
    """The names that systems of theory had."""
    theory = table["kind"].isin(["exact", "lower", "upper"]) & table["seed"].isna()
    return table.assign(system=table["system"].where(~theory, table["system"].replace(THEORY)))


def setting_of(table: Table, *columns: str, spelt: dict[str, str] | None = None) -> Table:
    """The text of ``setting`` from typed columns, in their order, without those that are missing in a row.

    Args:
        table: rows of today.
        columns: the columns.
        spelt: former names of columns.
    """
    held = [name for name in columns if name in table]

    def text(row: dict[str, Any]) -> str | None:
        parts = {(spelt or {}).get(k, k): v.item() if hasattr(v, "item") else v for k, v in row.items() if pd.notna(v)}
        return "; ".join(f"{name}={json.dumps(value)}" for name, value in parts.items()) or None

    settings = [text(row) for row in table[held].astype(object).to_dict("records")] if held else None
    return table.assign(setting=pd.Series(settings, index=table.index, dtype="string"))


def _bounds(table: Table) -> Table:
    return theory_names(table)


def _phases(table: Table) -> Table:
    fields = ("n_high", "n_low", "p_high", "zipf", "p_relevant", "context_length", "n_relevant", "dim", "input_noise",
              "label_noise", "label_noise_kind")  # fmt: skip
    return setting_of(theory_names(table), *fields)


def _regret(table: Table) -> Table:
    single = table["query_class"].notna()
    group = table["group"] + ("_" + table["query_class"].astype("string")).where(single, "")
    return table.assign(group=group, system=table["system"].replace({"copying": "in_context"}))


def _strategies(table: Table) -> Table:
    """Of one seed or one width alone: the frozen text called it so, and had no seed."""
    seed, width = ((table["fitted_to"] == name).fillna(False) for name in ("one seed", "one width"))
    alone = {
        "seed alone": table["seed"].astype("float64").where(seed),
        "mlp_factor alone": table["mlp_factor"].where(width),
    }
    others = {"seed": table["seed"].where(~seed), "mlp_factor": table["mlp_factor"].where(~width)}
    return setting_of(table.assign(**alone, **others), "n_tasks", "mlp_factor", *alone)


def _finetune(table: Table) -> Table:
    """The share was in the text of the mixture."""
    return setting_of(table, "mixture", "exposure")


def _crossover(table: Table) -> Table:
    """Predicted risk crossings were called by the losses that are measured; copying, by the name of a trained model."""
    losses = ("error", "log_loss")
    measure = table["measure"].replace({f"crossover_{loss}": f"crossover_expected_{loss}" for loss in losses})
    system = table["system"].replace({"copying": "in_context"})
    return setting_of(table.assign(measure=measure, system=system), "p_high")


TRANSLATIONS: dict[str, Callable[[Table], Table]] = {
    "bounds": _bounds,
    "phases": _phases,
    "regret": _regret,
    "compare": theory_names,
    "crossover": _crossover,
    "predict": lambda table: table.assign(setting=table["level"].astype("string")),
    "strategies": _strategies,
    "finetune": _finetune,
}
"""By study: from a table of today to the columns of the frozen one, row by row."""
