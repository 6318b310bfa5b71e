"""Test prompts shared out over the processes of a run, and their answers put together in every one of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from gating.runs.ranks import gather, number, started
from llm_finetune.collection import Collection
from llm_finetune.conditions import Record
from llm_finetune.measure import LISTS, Answers, answer_records, list_of
from llm_finetune.prompts import Prompter
from llm_finetune.score import CandidateScores

__all__ = ["shared_answers"]


def shared_answers(
    model: Any,
    prompter: Prompter,
    records: Sequence[Record],
    collection: Collection,
    *,
    freely: bool,
    say: Callable[[str], None] = print,
) -> list[Answers]:
    """As `answer_records`, each process with a part of the prompts; in every process the answers to all of them.

    Prompts of one condition and subject stay together, as the first of them is answered freely.

    Args:
        model: the model, the same in all processes.
        prompter: as in `answer_records`.
        records: the prompts.
        collection: where their answers come from.
        freely: as in `answer_records`.
        say: likewise.
    """
    if started() == 1:
        return answer_records(model, prompter, records, collection, freely=freely, say=say)
    held = ([k for k, record in enumerate(records) if list_of(record) == kind] for kind in LISTS)
    lists = [places for places in held if places]
    parts = [_parts([records[k] for k in places], started()) for places in lists]
    own = [records[places[k]] for places, part in zip(lists, parts, strict=True) for k in part[number()]]
    found = gather(answer_records(model, prompter, own, collection, freely=freely, say=say))
    return [
        _together([records[k] for k in places], part, [answers[which] for answers in found])
        for which, (places, part) in enumerate(zip(lists, parts, strict=True))
    ]


def _parts(records: Sequence[Record], n: int) -> list[list[int]]:
    """Places of the prompts of each process; where there are fewer subjects than processes some have the same."""
    groups: dict[tuple[str, str], list[int]] = {}
    for place, record in enumerate(records):
        groups.setdefault((record.condition, record.subject), []).append(place)
    alike = list(groups.values())
    return [sorted(place for group in alike[k::n] or alike[:1] for place in group) for k in range(n)]


def _together(records: list[Record], parts: list[list[int]], found: Sequence[Answers]) -> Answers:
    """The answers of all processes in the order of the prompts."""
    log_prob = np.empty((len(records), len(found[0].candidates)))
    n_tokens = np.empty(log_prob.shape, dtype=np.int64)
    said: dict[int, str] = {}
    for part, answers in zip(parts, found, strict=True):
        log_prob[part], n_tokens[part] = answers.scores
        said |= {part[k]: text for k, text in answers.said.items()}
    return found[0]._replace(
        records=records, scores=CandidateScores(log_prob, n_tokens), said=dict(sorted(said.items()))
    )
