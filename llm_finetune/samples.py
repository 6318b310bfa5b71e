"""Every prompt, candidate, score and free answer of a model as rows of one table, and the answers read back from it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from llm_finetune.conditions import Record
from llm_finetune.measure import Answers
from llm_finetune.score import CandidateScores

__all__ = ["answers_of", "sample_table"]


def sample_table(answers: list[Answers], **columns: Any) -> pd.DataFrame:
    """One row for each prompt and candidate.

    Args:
        answers: a model's answers, by list of candidates.
        columns: columns with one value in all rows, such as the model's name.

    Returns:
        A table with these columns, and ``candidates`` (number of the list of candidates),
        ``prompt_number`` (in that list), those of `Record`, ``candidate``, ``log_prob`` (nats), ``n_tokens``,
        ``chosen`` (whether no candidate has a larger log-probability) and ``said``, the greedy answer.
    """
    return pd.concat([_rows(part, k) for k, part in enumerate(answers)], ignore_index=True).assign(**columns)


def _rows(part: Answers, number: int) -> pd.DataFrame:
    n_prompts, n_candidates = part.scores.log_prob.shape
    asked = pd.DataFrame(part.records, columns=Record._fields).assign(
        candidates=number,
        prompt_number=range(n_prompts),
        best=part.scores.log_prob.argmax(axis=1),
        said=pd.Series([part.said.get(row) for row in range(n_prompts)], dtype=object),
    )
    rows = asked.loc[asked.index.repeat(n_candidates)].reset_index(drop=True)
    place = pd.Series([*range(n_candidates)] * n_prompts)
    return rows.assign(
        candidate=[*part.candidates] * n_prompts,
        log_prob=part.scores.log_prob.ravel(),
        n_tokens=np.broadcast_to(part.scores.n_tokens, part.scores.log_prob.shape).ravel(),
        chosen=rows["best"] == place,
    ).drop(columns="best")


def answers_of(table: pd.DataFrame) -> list[Answers]:
    """The answers that the rows of one model and collection were made from.

    Args:
        table: rows of `sample_table`, in their order.
    """
    found = []
    for _, part in table.groupby("candidates", sort=True):
        n_prompts = part["prompt_number"].nunique()
        n_candidates = len(part) // n_prompts
        firsts = part.iloc[::n_candidates]
        texts = firsts[list(Record._fields)].astype(object).where(firsts[list(Record._fields)].notna(), None)
        log_prob = part["log_prob"].to_numpy().reshape(n_prompts, n_candidates)
        scores = CandidateScores(log_prob, part["n_tokens"].to_numpy().reshape(n_prompts, n_candidates))
        said = {row: text for row, text in enumerate(firsts["said"]) if isinstance(text, str)}
        records = [Record(*values) for values in texts.itertuples(index=False, name=None)]
        found.append(Answers(records, part["candidate"].tolist()[:n_candidates], scores, said))
    return found
