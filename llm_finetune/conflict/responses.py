"""The three-way table of responses that ClashEval has released, without a model: the user supplies the file."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from llm_finetune.conflict.importers import read_rows
from llm_finetune.conflict.shares import WAYS, shares
from theory.settings import SpecError

__all__ = ["clasheval_table", "read_responses"]

COLUMNS = ("question", "answer_mod", "mod_type", "dataset", "prior_response", "prior_correct", "post_response")
TENTH = 0.1  # of a second, or of a minute: times nearer than that are one


def read_responses(file: str | Path) -> pd.DataFrame:
    """Released responses of one model.

    Args:
        file: as `read_rows` reads it, such as ``llama3.pqt``.

    Raises:
        SpecError: it cannot be read, or lacks a column.
    """
    return pd.DataFrame(read_rows(Path(file)))


def clasheval_table(
    responses: pd.DataFrame | Sequence[Mapping[str, Any]],
    *,
    matched: bool = True,
    n_resamples: int = 1000,
    seed: int = 0,
) -> pd.DataFrame:
    """Prior kept, context followed or neither, where either the prior or the context is right, as ClashEval has it.

    A context is right where ``mod_type`` is 0. A response is the prior's, or the context's, where it is the same text;
    of
    the data set ``records``, where both are one time; of ``names``, where one is a part of the other, or both are the
    same but for case and marks.

    Args:
        responses: one row for each response, with ``question``, ``answer_mod``, ``mod_type``, ``dataset``,
            ``prior_response``, ``prior_correct`` and ``post_response``.
        matched: whether the larger of the two cases is cut to the size of the smaller as was published, by
            `pandas.DataFrame.sample` with ``random_state=1``.
        n_resamples: resamples of the bootstrap, over questions; the published intervals are over responses, and
            shorter.
        seed: seed of the resamples.

    Returns:
        A row for each case (``prior_right``, ``context_right``) and way, with ``value``, ``low``, ``high`` and ``n``,
        the number of responses of the case.

    Raises:
        SpecError: a column is missing, or there is no response of a case.

    Source: Wu, Wu and Zou (2024), table 2 and ``compute_metrics.ipynb`` of their repository.
    """
    table = pd.DataFrame(responses).reset_index(drop=True)
    missing = [name for name in COLUMNS if name not in table]
    if missing:
        raise SpecError([f"`responses` must have the columns {list(COLUMNS)}; {missing} are missing"])
    prior_right = table["prior_correct"].astype(float) == 1
    context_right = table["mod_type"].astype(str) == "0"
    parts = {"prior_right": table[prior_right & ~context_right], "context_right": table[context_right & ~prior_right]}
    empty = [case for case, part in parts.items() if part.empty]
    if empty:
        raise SpecError([f"`responses` must have some of each case; none is {empty}"])
    if matched:
        size = min(map(len, parts.values()))
        parts = {case: part.sample(n=size, random_state=1) for case, part in parts.items()}
    found = []
    for case, part in parts.items():
        chosen = np.array([_chosen(row) for row in part.to_dict("records")], dtype=np.float64)
        ways = np.column_stack([chosen, ~chosen.any(axis=1)])
        drawn = shares(ways, np.ones_like(ways), part["question"].to_numpy(str), n_resamples=n_resamples, seed=seed)
        ends = zip(WAYS, drawn.value, drawn.low, drawn.high, strict=True)
        found += [{"case": case, "way": way, "value": v, "low": a, "high": b, "n": len(part)} for way, v, a, b in ends]
    return pd.DataFrame(found)


def _chosen(row: Mapping[Any, Any]) -> tuple[bool, bool]:
    """Whether a response is the prior's, and whether it is the context's; it may be both."""
    same = SAME.get(str(row["dataset"]), str.__eq__)
    post = str(row["post_response"])
    return bool(same(str(row["prior_response"]), post)), bool(same(str(row["answer_mod"]), post))


def _same_time(one: str, other: str) -> bool:
    """Whether two texts are one time: digits of one within those of the other, or equal in seconds or minutes."""
    a, b = (re.sub(r"\D", "", text).rstrip("0") for text in (one, other))
    if a in b or b in a:
        return True
    with suppress(ValueError):
        return any(abs(x - y) <= TENTH for x in _times(one) for y in _times(other))
    return False


def _times(text: str) -> tuple[float, float]:
    """Seconds and minutes of ``3.5``, ``2:03.5`` or ``1:02:03``; (0, 1) of what has more colons, as published."""
    parts = [float(part) for part in text.split(":")] if text.count(":") <= 2 else []
    total = sum(part * 60**power for power, part in enumerate(reversed(parts)))
    return (total, total / 60) if parts else (0.0, 1.0)


def _same_name(one: str, other: str) -> bool:
    a, b = ([re.sub(r"[^a-z]", "", part) for part in text.lower().split()] for text in (one, other))
    if len(a) == 1:
        return a[0] in " ".join(b)
    return b[0] in " ".join(a) if len(b) == 1 else a == b


SAME: dict[str, Callable[[str, str], bool]] = {"records": _same_time, "names": _same_name}
"""How two answers are compared, by data set; as texts in all others."""
