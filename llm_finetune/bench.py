"""What parts of a study share: the model as it came, the prompts of a run, and how a model is measured on them."""

import time
from functools import partial
from typing import Any

import pandas as pd
import torch

from gating.results.table import make_table
from gating.runs.executor import Resources
from gating.runs.ranks import started
from gating.runs.store import Place
from gating.studies.replicas import combined_seed
from gating.studies.vocabulary import refusals
from llm_finetune.conditions import Record, draw_records
from llm_finetune.config import FinetuneConfig, Run, samples_name, step_name
from llm_finetune.finetune import LOSSES, MODEL, finetune
from llm_finetune.loss import answer_loss
from llm_finetune.measure import answer_records, answer_rows, require_answerable
from llm_finetune.mixtures import PromptStream
from llm_finetune.models import LanguageModel, load_model
from llm_finetune.own_data import data_rows
from llm_finetune.precision import autocast
from llm_finetune.prompts import Example, Row, prompter_of
from llm_finetune.samples import sample_table
from llm_finetune.shared import shared_answers
from llm_finetune.study import SAMPLES
from llm_finetune.tokens import require_fit, split
from llm_finetune.ways import evaluating, way_of
from llm_finetune.weights import require_enough

__all__ = ["Bench", "check", "keep_base", "keep_together", "keep_tuned", "seconds"]

CHECKED_PROMPTS = 1000  # training prompts whose length is looked at before a run; all of them come from few templates
TIMED_RECORDS = 8

_as_it_came: dict[tuple[str, str], LanguageModel] = {}
"""By source and device: a model that was loaded and is not changed yet, so that the next who needs it need not load."""


_told: set[str] = set()
"""What was told of the models of a run."""

_own: dict[str, list[Row]] = {}
"""Rows of a user's own data, once they are read, by the settings that decide them."""


class Bench:
    """A model as it came, the prompts of a study, and how models are measured on them.

    Args:
        config: settings of the study.
        resources: where the model goes, and who hears of it.

    Raises:
        SpecError: when the model cannot be read, or `chat` asks for a template that its tokenizer does not have.
    """

    def __init__(self, config: FinetuneConfig, resources: Resources):
        torch.set_num_threads(resources.workers)
        self.config, self._source = config, (config.model, resources.device)
        held = _as_it_came.pop(self._source, None)
        self.loaded = held or load_model(config.model, device=resources.device, say=resources.say)
        tokenizer = self.loaded.tokenizer
        self.prompter = prompter_of(tokenizer, config.chat, system=config.system_prompt == "keep")
        self._say = resources.say

    def say(self, line: str) -> None:
        """Tells a line, but not again what was told of another model of the run with other numbers behind the colon."""
        what = line.partition(": ")[0]
        if what not in _told:
            _told.add(what)
            self._say(line)

    def put_back(self) -> None:
        """The model is still as it came: the next who needs it need not load it."""
        _as_it_came[self._source] = self.loaded

    def stream(self, run: Run) -> PromptStream:
        """Training prompts of a run."""
        seed = combined_seed(run.seed, 1)
        return PromptStream(self.config.facts_of(run), run.mixture, self.prompter, seed=seed, data=self.data)

    @property
    def data(self) -> list[Row]:
        """Rows of the user's own, read once."""
        config, data = self.config, self.config.data
        if not data.file:
            return []
        key = repr((data, config.model, config.chat, config.system_prompt))
        if key not in _own:
            context = getattr(self.loaded.model.config.get_text_config(), "max_position_embeddings", None)
            how: Any = {"learn": data.learn, "max_length": data.max_length, "context": context, "say": self._say}
            _own[key] = data_rows(data.file, self.prompter, **how)
        return _own[key]

    def records(self, seed: int) -> list[Record]:
        """Test prompts of a pairing seed: the same for every mixture, exposure and step."""
        config = self.config
        return draw_records(
            config.facts.paired(seed),
            self.prompter,
            prompts_per_fact=config.prompts_per_fact,
            facts_per_group=config.facts_per_group,
            seed=combined_seed(config.evaluation_seed, seed, 2),
            conditions=config.conditions,
        )

    def keep_measured(self, place: Place, step: int, model: Any, seed: int) -> dict[str, float]:
        """Keeps rows of every condition, and free answers at both ends of training; the table comes last, and commits.

        What is kept already is not measured again. Returns what was measured over all facts, by condition and measure.
        """
        if place.has_table(step_name(step)):
            return {}
        freely = step in (0, self.config.training.steps)
        answers = shared_answers(
            model, self.prompter, self.records(seed), self.config.facts, freely=freely, say=self.say
        )
        place.save_table(samples_name(step), sample_table(answers, step=step, seed=seed))
        samples = [
            {**part.records[k]._asdict(), "said": said, "chosen": part.candidates[part.scores.log_prob[k].argmax()]}
            for part in answers
            for k, said in part.said.items()
        ]
        place.save_records(step_name(step), samples)
        rows = [row for part in answers for row in answer_rows(part)]
        place.save_table(step_name(step), make_table(rows))
        return {f"{row['context']}/{row['measure']}": row["value"] for row in rows if row["group"] == "all"}


def check(config: FinetuneConfig, resources: Resources) -> None:
    """Loads the model for the parts to come, and looks whether prompts and answers suit it.

    Raises:
        SpecError: it cannot be read, an answer tokenizes to nothing or to what another does, or a prompt and its answer
            are longer than the model's context.
    """
    _as_it_came.clear()
    _told.clear()
    _own.clear()
    require_enough(config.training, started())
    bench, facts = Bench(config, resources), config.facts
    model, tokenizer = bench.loaded
    records = bench.records(config.seed)
    prompts = [record.prompt for record in records]
    for run in {run.mixture: run for run in config.runs}.values():
        prompts += [e.prompt for e in bench.stream(run).batch(0, CHECKED_PROMPTS) if isinstance(e, Example)]
    answers = [bench.prompter.answer(a) for a in (*facts.answers, *facts.new_answers, *facts.unrelated_answers)]
    with refusals():
        require_answerable(model, bench.prompter, records, facts)
        longest = require_fit(model, tokenizer, prompts, answers, bench.prompter.closing)
        (tokens,) = split(tokenizer, [longest], [answers], bench.prompter.closing)
        with evaluating(model):
            way_of(model, [tokens.prompt], tokens.answers, bench.say)
    bench.put_back()


def keep_base(config: FinetuneConfig, seed: int, place: Place, resources: Resources) -> None:
    """Measures the model before training on the test prompts of a pairing seed."""
    bench = Bench(config, resources)
    bench.keep_measured(place, 0, bench.loaded.model, seed)
    bench.put_back()


def keep_tuned(config: FinetuneConfig, run: Run, place: Place, resources: Resources) -> None:
    """Fine-tunes a model of its own, and measures it along the way."""
    if place.has_table(LOSSES) and (place.kept_folder(MODEL) or not resources.keep):
        return  # killed between its end and its mark
    bench = Bench(config, resources)
    stream = bench.stream(run)
    resources.say(f"fine-tuning on {run.mixture.text}, exposure {run.exposure}, pairing seed {run.seed}")
    finetune(
        *bench.loaded,
        lambda step: stream.batch(step, config.training.batch_size),
        config.training,
        seed=combined_seed(run.seed, 3),
        folder=place,
        closing=bench.prompter.closing,
        evaluate=lambda step, model: bench.keep_measured(place, step, model, run.seed) if step else None,
        keep=resources.keep,
        say=bench.say,
        log=partial(resources.log, place.part),
    )


def keep_together(config: FinetuneConfig, place: Place, resources: Resources) -> None:
    """Keeps all answers in one table: those before training once for each pairing seed."""
    kept = {(run.part_at(step), step): run for run in config.runs for step in config.training.evaluations}
    tables = [
        place.of(part).table(samples_name(step)).assign(**(run.columns if step else {}))
        for (part, step), run in kept.items()
    ]
    place.save_table(SAMPLES, pd.concat(tables, ignore_index=True))


def seconds(config: FinetuneConfig, resources: Resources) -> float:
    """Estimated seconds of a run, from one step of training and one pass over a few test prompts."""
    bench = Bench(config, resources)
    model, tokenizer = bench.loaded
    start = time.perf_counter()
    with autocast(config.training.precision, model.device):
        examples = bench.stream(config.runs[0]).batch(0, config.training.batch_size)
        answer_loss(model, tokenizer, examples, closing=bench.prompter.closing).backward()
        step, records = time.perf_counter() - start, bench.records(config.seed)
        few = records[:: -max(1, len(records) // TIMED_RECORDS)]  # the last one asks for another relation
        answer_records(model, bench.prompter, few, config.facts, freely=True, say=bench.say)
    measured = (time.perf_counter() - start - step) / len(few) * len(records)
    evaluations = (len(config.training.evaluations) - 1) * len(config.runs) + config.n_seeds
    return 1.3 * step * config.training.steps * len(config.runs) + measured * evaluations  # 0.3 is the optimizer's
