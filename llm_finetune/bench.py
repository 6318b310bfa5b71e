"""What every run of a study shares: the facts and prompts of a run, and how a model is measured on them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pandas as pd

from gating.evaluation.table import make_table
from gating.studies.replicas import combined_seed
from llm_finetune.collection import Collection
from llm_finetune.conditions import Record, draw_records
from llm_finetune.config import FinetuneConfig, Run
from llm_finetune.measure import Answers, answer_records, answer_rows
from llm_finetune.mixtures import PromptStream
from llm_finetune.models import LanguageModel
from llm_finetune.prompts import Prompter
from llm_finetune.tokens import encode_answers, require_room
from theory.distribution import SpecError

__all__ = ["Bench"]

Sample = dict[str, Any]
CHECKED_PROMPTS = 1000  # training prompts whose length is looked at before a run; all of them come from few templates


class Bench:
    """Prompts and measurements of a study.

    Args:
        config: settings of the study.
        tokenizer: tokenizer of the model.

    Raises:
        SpecError: when `chat` asks for a template that the tokenizer does not have.
    """

    def __init__(self, config: FinetuneConfig, tokenizer: Any):
        self.config = config
        has_template = bool(tokenizer.chat_template)
        self.prompter = Prompter(tokenizer, chat=has_template if config.chat == "auto" else config.chat == "template")

    def collection(self, run: Run) -> Collection:
        """The facts of a run: paired by its seed, asked for as often as its exposure says."""
        paired = self.config.facts.paired(run.seed)
        return paired.equally_frequent() if run.exposure == "equal" else paired

    def stream(self, run: Run) -> PromptStream:
        """Training prompts of a run."""
        return PromptStream(self.collection(run), run.mixture, self.prompter, seed=combined_seed(run.seed, 1))

    def records(self, seed: int) -> list[Record]:
        """Test prompts of a pairing seed: the same for every mixture, exposure and step."""
        config = self.config
        return draw_records(
            config.facts.paired(seed),
            self.prompter,
            per_fact=config.prompts_per_fact,
            facts_per_group=config.facts_per_group,
            seed=combined_seed(config.evaluation_seed, seed, 2),
        )

    def check(self, loaded: LanguageModel) -> None:
        """Whether prompts and answers suit the model.

        Raises:
            SpecError: an answer tokenizes to nothing, or a prompt is longer than the model's context.
        """
        facts = self.config.facts
        answers = [*facts.answers, *facts.new_answers, *facts.unrelated_answers]
        prompts = [record.prompt for record in self.records(self.config.seed)]
        for run in {run.mixture: run for run in self.config.runs}.values():
            prompts += [example.prompt for example in self.stream(run).batch(0, CHECKED_PROMPTS)]
        try:
            rows = encode_answers(loaded.tokenizer, [self.prompter.answer(answer) for answer in answers])
            room = max(len(row) for row in rows)
            tokens = loaded.tokenizer(prompts, add_special_tokens=False)["input_ids"]
            require_room(loaded.model, prompts, [len(row) + room for row in tokens])
        except ValueError as refused:
            raise SpecError([str(refused)]) from refused

    def measure(self, model: Any, seed: int, *, freely: bool) -> tuple[pd.DataFrame, list[Sample]]:
        """Rows of every condition, without what tells runs apart, and free answers where they are asked for."""
        answers = answer_records(model, self.prompter, self.records(seed), self.config.facts, freely=freely)
        rows = [row for part in answers for row in answer_rows(part)]
        return make_table(rows), [sample for part in answers for sample in _samples(part)]


def _samples(answers: Answers) -> Iterator[Sample]:
    """Every free answer with its prompt and what was right."""
    best = answers.scores.log_prob.argmax(axis=1)
    for k, said in answers.said.items():
        yield {**answers.records[k]._asdict(), "said": said, "chosen": answers.candidates[best[k]]}
