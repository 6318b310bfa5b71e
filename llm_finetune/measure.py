"""What is measured of a language model: who wins among the candidate answers, by how much, and what it says freely."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import product
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from gating.gates.effective import effective_gate
from gating.results.columns import measure as measure_of
from gating.results.intervals import sequence_interval
from llm_finetune.collection import Collection
from llm_finetune.conditions import CONDITIONS, Record
from llm_finetune.naming import mentions
from llm_finetune.prompts import Prompter
from llm_finetune.score import CandidateScores, generate, require_different, score_candidates
from llm_finetune.tokens import encode, require_room, split

__all__ = ["LISTS", "Answers", "answer_records", "answer_rows", "list_of", "require_answerable"]

Row = dict[str, Any]
LISTS = ("forward", "unrelated", "backward")
"""Lists of candidates: answers, those of another relation, and subjects."""

SENTENCE = 16  # tokens of a free answer; or twice those of the longest candidate, if that is more
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

    def at(self, places: list[int]) -> Answers:
        """The answers to some of the prompts."""
        log_prob, n_tokens = self.scores
        scores = CandidateScores(log_prob[places], n_tokens[places] if n_tokens.ndim == 2 else n_tokens)
        said = {row: self.said[k] for row, k in enumerate(places) if k in self.said}
        return Answers([self.records[k] for k in places], self.candidates, scores, said)

    def column(self, name: str) -> NDArray[np.int64]:
        """Which candidate is the ``memorised``, ``stated`` or ``target`` answer of each prompt."""
        return np.array([self.candidates.index(getattr(record, name)) for record in self.records])

    @property
    def rivals(self) -> bool:
        """Whether weights and context give different answers."""
        return all(r.memorised and r.stated and r.memorised != r.stated for r in self.records)

    def measures(self) -> dict[str, Vector]:
        """One value for each prompt, by measure."""
        target, best = self.column("target"), self.scores.log_prob.argmax(axis=1)
        found = {
            "accuracy": best == target,
            "accuracy_per_token": self.scores.normalised.argmax(axis=1) == target,
            "log_prob": self._of(self.scores.log_prob, "target"),
            "softmax": np.exp(self._of(self.scores.log_softmax, "target")),
        }
        if self.rivals:
            for name in ("memorised", "stated"):
                found[f"{name}_wins"] = best == self.column(name)
                found[f"{name}_softmax"] = np.exp(self._of(self.scores.log_softmax, name))
            found["margin"] = self.scores.margin(self.column("stated"), self.column("memorised"))
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
        pair = np.stack([self._of(self.scores.log_softmax, name) for name in ("memorised", "stated")], axis=-1)
        mass = np.logaddexp.reduce(pair, axis=-1, keepdims=True)
        certain = torch.eye(2, dtype=torch.float64).log()
        g, h = (row.expand(len(pair), 2) for row in certain)
        found = effective_gate(torch.from_numpy(pair - mass), g, h)
        return {
            "effective_gate": float(found.alpha),
            "effective_gate_residual": float(found.residual),
            "effective_gate_remainder": float(1 - np.exp(mass).mean()),
        }

    def _of(self, values: Vector, name: str) -> Vector:
        return values[np.arange(len(values)), self.column(name)]


def answer_records(
    model: Any,
    prompter: Prompter,
    records: Sequence[Record],
    collection: Collection,
    *,
    freely: bool,
    every: bool = False,
    say: Callable[[str], None] = print,
) -> list[Answers]:
    """A model's answers to test prompts: trained and new answers compete, unrelated ones among themselves, and subjects
    where the question asks for one.

    Args:
        model: the model.
        prompter: rendered the prompts; its tokenizer is the model's.
        records: the prompts.
        collection: where their answers come from.
        freely: whether the model also answers freely: the first prompt of each condition and subject.
        every: whether it does so to every prompt.
        say: receives a line about a model that is not scored the fastest way.
    """
    found = []
    for asked, candidates in _lists(records, collection):
        prompts, texts = [record.prompt for record in asked], [prompter.answer(text) for text in candidates]
        closing = prompter.closing
        scores = score_candidates(model, prompter.tokenizer, prompts, texts, closing=closing, say=say)
        firsts = {(record.condition, record.subject): k for k, record in reversed(list(enumerate(asked)))}
        places = [*range(len(asked))] if every else sorted(firsts.values()) if freely else []
        room = _room(int(scores.n_tokens.max()))
        said = generate(model, prompter.tokenizer, [prompts[k] for k in places], closing=closing, max_new_tokens=room)
        found.append(Answers(asked, candidates, scores, dict(zip(places, said, strict=True))))
    return found


def require_answerable(model: Any, prompter: Prompter, records: Sequence[Record], collection: Collection) -> None:
    """Looks whether a model can be asked, before any is: candidates are told apart, and free answers have room.

    Args:
        model: the model.
        prompter: as in `answer_records`.
        records: the prompts.
        collection: where their answers come from.

    Raises:
        ValueError: two candidates have the same tokens, or a prompt and its answer do not fit into the model's context.
    """
    for asked, candidates in _lists(records, collection):
        prompts, texts = [record.prompt for record in asked], [prompter.answer(text) for text in candidates]
        (tokens,) = split(prompter.tokenizer, prompts[:1], [texts], prompter.closing)
        require_different(texts, [tuple(answer) for answer in tokens.answers])
        room = _room(max(map(len, tokens.answers)))
        require_room(model, prompts, [len(row) + room for row in encode(prompter.tokenizer, prompts)])


def _lists(records: Sequence[Record], collection: Collection) -> Iterator[tuple[list[Record], list[str]]]:
    """Prompts that are answered from one list of candidates, and these."""
    lists = {
        "forward": [*collection.answers, *collection.new_answers],
        "unrelated": [*collection.unrelated_answers],
        "backward": [*collection.subjects, *collection.new_subjects],
    }
    for kind, candidates in lists.items():
        if asked := [record for record in records if list_of(record) == kind]:
            yield asked, candidates


def _room(longest: int) -> int:
    """Tokens of a free answer, from those of the longest candidate."""
    return max(SENTENCE, 2 * longest)


def list_of(record: Record) -> str:
    """Which list of candidates a prompt is answered from."""
    condition = CONDITIONS[record.condition]
    return "backward" if condition.backward else "unrelated" if condition.subject == "unrelated" else "forward"


def answer_rows(answers: Answers) -> Iterator[Row]:
    """Rows of each condition and group of facts: means over prompts, with what their intervals are made from."""
    conditions = dict.fromkeys(record.condition for record in answers.records)
    groups = ("all", *sorted({record.group for record in answers.records} - {"all"}))
    for name, group in product(conditions, groups):
        places = [k for k, r in enumerate(answers.records) if r.condition == name and group in ("all", r.group)]
        if not places:
            continue
        found = answers.at(places)
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
