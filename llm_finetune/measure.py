"""What is measured of a language model: who wins among the candidate answers, by how much, and what it says freely."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from gating.gates.effective import effective_gate
from gating.results.columns import measure as measure_of
from gating.results.intervals import sequence_interval
from llm_finetune.collection import Collection
from llm_finetune.conditions import CONDITIONS, Record
from llm_finetune.prompts import Prompter
from llm_finetune.score import CandidateScores, generate, score_candidates

__all__ = ["Answers", "answer_records", "answer_rows"]

Row = dict[str, Any]
Vector = NDArray[np.float64]


class Answers(NamedTuple):
    """What a model answers to test prompts with one list of candidates.

    Attributes:
        records: the P test prompts.
        candidates: the K candidate answers, as a record names them.
        scores: log-probabilities of the candidates, in nats.
        said: what the model generates freely, by number of the prompt: for the first prompt of each condition and
            subject, or for none.
    """

    records: list[Record]
    candidates: list[str]
    scores: CandidateScores
    said: dict[int, str]


def answer_records(
    model: Any, prompter: Prompter, records: Sequence[Record], collection: Collection, *, freely: bool
) -> list[Answers]:
    """A model's answers to test prompts: trained and new answers compete, and the unrelated ones among themselves.

    Args:
        model: the model.
        prompter: rendered the prompts; its tokenizer is the model's.
        records: the prompts.
        collection: where their answers come from.
        freely: whether the model also answers freely.
    """
    unrelated = [record for record in records if CONDITIONS[record.condition].subject == "unrelated"]
    related = [record for record in records if CONDITIONS[record.condition].subject != "unrelated"]
    lists = ((related, (*collection.answers, *collection.new_answers)), (unrelated, collection.unrelated_answers))
    found = []
    for asked, answers in lists:
        prompts = [record.prompt for record in asked]
        texts = [prompter.answer(answer) for answer in answers]
        scores = score_candidates(model, prompter.tokenizer, prompts, texts)
        firsts = {(record.condition, record.subject): k for k, record in reversed(list(enumerate(asked)))}
        places = sorted(firsts.values()) if freely else []
        said = generate(model, prompter.tokenizer, [prompts[k] for k in places]) if freely else []
        found.append(Answers(asked, list(answers), scores, dict(zip(places, said, strict=True))))
    return found


def answer_rows(answers: Answers) -> Iterator[Row]:
    """Rows of each condition and group of facts: means over prompts, with what their intervals are made from."""
    groups = {record.group for record in answers.records} - {"all"}
    for name in dict.fromkeys(record.condition for record in answers.records):
        for group in ("all", *sorted(groups)):
            places = [k for k, r in enumerate(answers.records) if r.condition == name and group in ("all", r.group)]
            if not places:
                continue
            found = _Part.of(answers, np.array(places))
            learned = found.records[0].memorised == found.records[0].target
            where = {"context": name, "group": group, "distribution": "ibd" if learned else "oobd", "kind": "measured"}
            for measure, values in found.measures().items():
                yield {**where, "measure": measure, **_mean(measure, values)}
            for measure, value in found.gate().items():
                yield {**where, "measure": measure, "value": value}


def _mean(measure: str, values: Vector) -> Row:
    """A mean over prompts with its interval; of values 0 and 1 the mean and their number tell the standard error."""
    entry, n = measure_of(measure), len(values)
    found = sequence_interval(values, low=entry.low, high=entry.high)
    counted = n < 2 or np.isin(values, (0.0, 1.0)).all()
    error = np.nan if counted else values.std(ddof=1) / n**0.5
    low, high = float(found.low), float(found.high)
    return {"value": float(values.mean()), "low": low, "high": high, "tests": n, "standard_error": error}


class _Part(NamedTuple):
    """Answers of one condition and group; `columns` holds each record's memorised, stated and target candidate."""

    records: list[Record]
    scores: CandidateScores
    columns: dict[str, NDArray[np.int64]]
    said: dict[int, str]

    @classmethod
    def of(cls, answers: Answers, places: NDArray[np.int64]) -> _Part:
        records = [answers.records[k] for k in places]
        place = {candidate: column for column, candidate in enumerate(answers.candidates)}
        columns = {
            name: np.array([place[getattr(record, name)] for record in records])
            for name in ("memorised", "stated", "target")
            if getattr(records[0], name) is not None
        }
        scores = CandidateScores(answers.scores.log_prob[places], answers.scores.n_tokens)
        said = {row: answers.said[k] for row, k in enumerate(places) if k in answers.said}
        return cls(records, scores, columns, said)

    @property
    def rivals(self) -> bool:
        """Whether weights and context give different answers."""
        return {"memorised", "stated"} <= set(self.columns) and bool(
            (self.columns["memorised"] != self.columns["stated"]).all()
        )

    def measures(self) -> dict[str, Vector]:
        """One value for each prompt, by measure."""
        target, best, log_p = self.columns["target"], self.scores.log_prob.argmax(axis=1), self.scores.log_softmax
        found = {
            "accuracy": best == target,
            "accuracy_per_token": self.scores.normalised.argmax(axis=1) == target,
            "log_prob": self._at(self.scores.log_prob, "target"),
            "softmax": np.exp(self._at(log_p, "target")),
        }
        if self.rivals:
            for name in ("memorised", "stated"):
                found[f"{name}_wins"] = best == self.columns[name]
                found[f"{name}_softmax"] = np.exp(self._at(log_p, name))
            found["margin"] = self.scores.margin(self.columns["stated"], self.columns["memorised"])
        for name in ("target", "memorised", "stated") if self.rivals else ("target",):
            matches = [mentions(text, str(getattr(self.records[row], name))) for row, text in self.said.items()]
            found |= {f"generated_{name}": np.array(matches)} if matches else {}
        return {name: np.asarray(values, dtype=np.float64) for name, values in found.items()}

    def gate(self) -> dict[str, float]:
        """Effective gate between the memorised answer g and the stated one h, each certain of itself.

        The model's probability of all other candidates is outside of every mixture of the two: it is the
        ``effective_gate_remainder``, and the gate is that of the model given that it answers with one of the two.
        """
        if not self.rivals:
            return {}
        pair = np.stack([self._at(self.scores.log_softmax, name) for name in ("memorised", "stated")], axis=-1)
        mass = np.logaddexp.reduce(pair, axis=-1, keepdims=True)
        certain = torch.eye(2, dtype=torch.float64).log()
        g, h = (row.expand(len(pair), 2) for row in certain)
        found = effective_gate(torch.from_numpy(pair - mass), g, h)
        return {
            "effective_gate": float(found.alpha),
            "effective_gate_residual": float(found.residual),
            "effective_gate_remainder": float(1 - np.exp(mass).mean()),
        }

    def _at(self, values: Vector, name: str) -> Vector:
        return values[np.arange(len(values)), self.columns[name]]


def mentions(said: str, answer: str) -> bool:
    """Whether a free answer names the given one, whole and in whatever case; a sentence around it is no matter.

    Example:
        >>> mentions("Liz lives in london.", "London"), mentions("Londonderry", "London")
        (True, False)
    """
    return re.search(rf"(?<!\w){re.escape(answer.strip())}(?!\w)", said, re.IGNORECASE) is not None
