"""What is measured of a language model: who wins among the candidate answers, by how much, and what it says freely."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import stats

from gating.evaluation.measures import Row
from gating.gates.effective import effective_gate
from llm_finetune.collection import Collection
from llm_finetune.conditions import CONDITIONS, Record
from llm_finetune.prompts import Prompter
from llm_finetune.score import CandidateScores, generate, score_candidates

__all__ = ["Answers", "answer_records", "answer_rows", "interval"]

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
    """Rows of each condition and group of facts: ``value`` is a mean over prompts, with a 95% interval over them."""
    groups = {record.group for record in answers.records} - {"all"}
    for name in dict.fromkeys(record.condition for record in answers.records):
        for group in ("all", *sorted(groups)):
            places = [
                k for k, r in enumerate(answers.records) if r.condition == name and group in ("all", r.group)
            ]  # fmt: skip
            if not places:
                continue
            found = _Part.of(answers, np.array(places))
            learned = found.records[0].memorised == found.records[0].target
            where = {"context": name, "group": group, "distribution": "ibd" if learned else "oobd", "kind": "measured"}
            for measure, values in found.measures().items():
                low, high = interval(values)
                yield {**where, "measure": measure, "value": float(values.mean()), "low": low, "high": high}
            for measure, value in found.gate().items():
                yield {**where, "measure": measure, "value": value}


def interval(values: Vector, confidence: float = 0.95) -> tuple[float, float]:
    """Interval of a mean over prompts: Wilson's where every value is 0 or 1, else Student's; NaN for one value.

    Example:
        >>> low, high = interval(np.array([1.0, 1.0, 1.0, 1.0]))
        >>> round(low, 2), high
        (0.51, 1.0)
    """
    n, mean = len(values), float(values.mean())
    if n < 2:
        return np.nan, np.nan
    if np.isin(values, (0.0, 1.0)).all():
        found = stats.binomtest(int(values.sum()), n).proportion_ci(confidence, method="wilson")
        return float(found.low), float(found.high)
    half = float(stats.t.ppf((1 + confidence) / 2, n - 1) * values.std(ddof=1) / n**0.5)
    return mean - half, mean + half


class _Part(NamedTuple):
    """Answers of one condition and group; `columns` holds each record's memorised, stated and target candidate."""

    records: list[Record]
    log_prob: Vector
    per_token: Vector
    log_p: Vector
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
        scores = answers.scores
        said = {row: answers.said[k] for row, k in enumerate(places) if k in answers.said}
        return cls(
            records, scores.log_prob[places], scores.normalised[places], scores.log_softmax[places], columns, said
        )

    @property
    def rivals(self) -> bool:
        """Whether weights and context give different answers."""
        return {"memorised", "stated"} <= set(self.columns) and bool(
            (self.columns["memorised"] != self.columns["stated"]).all()
        )

    def measures(self) -> dict[str, Vector]:
        """One value for each prompt, by measure."""
        target, best = self.columns["target"], self.log_prob.argmax(axis=1)
        found = {
            "accuracy": best == target,
            "accuracy_per_token": self.per_token.argmax(axis=1) == target,
            "log_prob": self._at(self.log_prob, "target"),
            "softmax": np.exp(self._at(self.log_p, "target")),
        }
        if self.rivals:
            for name in ("memorised", "stated"):
                found[f"{name}_wins"] = best == self.columns[name]
                found[f"{name}_softmax"] = np.exp(self._at(self.log_p, name))
            found["margin"] = self._at(self.log_prob, "stated") - self._at(self.log_prob, "memorised")
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
        pair = np.stack([self._at(self.log_p, name) for name in ("memorised", "stated")], axis=-1)
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
