"""Which test prompts of a suite are asked of a model, and fewer of them where it has many."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from llm_finetune.collection_suites import CollectionSuite
from llm_finetune.conditions import Record, draw_records
from llm_finetune.prompts import Prompter
from theory.settings import SpecError

__all__ = ["Questions"]


@dataclass(frozen=True)
class Questions:
    """Which test prompts of a suite are asked of a model.

    Args:
        suite: facts and templates, paired as the model was trained on them.
        prompts_per_fact: test prompts for each subject in conditions with context, >= 1.
        facts_per_group: most trained facts that are asked for in each group, the first ones, >= 1.
        most_prompts: most prompts of the whole suite. Where it has more, each condition, group of facts and collection
            keeps at most so many prompts, the same number everywhere: its first subjects', and a second prompt about
            a subject only where all have one.
        seed: seed of every draw, >= 0.

    Raises:
        SpecError: when `most_prompts` does not suffice for a prompt everywhere.
    """

    suite: CollectionSuite
    prompts_per_fact: int
    facts_per_group: int
    most_prompts: int
    seed: int

    def __post_init__(self) -> None:
        self.sizes  # noqa: B018  # read here, and not again

    @cached_property
    def sizes(self) -> dict[str, Counter[str]]:
        """Number of prompts by collection and condition."""
        drawn = self.draw(Prompter(None, chat=False))
        return {key: Counter(record.condition for record in records) for key, records in drawn.items()}

    def draw(self, prompter: Prompter) -> dict[str, list[Record]]:
        """The test prompts of each collection by its name: of a single one those of `gating finetune`.

        Args:
            prompter: renders them.
        """
        from gating.studies.replicas import combined_seed

        drawn = {}
        for k, (key, member) in enumerate(self.suite.members.items()):
            drawn[key] = draw_records(
                member.collection,
                prompter,
                prompts_per_fact=self.prompts_per_fact,
                facts_per_group=self.facts_per_group,
                seed=combined_seed(self.seed, k) if k else self.seed,
            )
        return self._fewer(drawn)

    def _fewer(self, drawn: Mapping[str, list[Record]]) -> dict[str, list[Record]]:
        """The largest equal number of prompts in every condition, group and collection that keeps to the limit."""
        cells = Counter((key, r.condition, r.group) for key, records in drawn.items() for r in records)
        if len(cells) > self.most_prompts:
            raise SpecError([f"`most_prompts` must be at least {len(cells)}, one in each condition of the suite"
                             f" '{self.suite.name}'; got {self.most_prompts}"])  # fmt: skip
        most = max(cells.values())
        while sum(min(size, most) for size in cells.values()) > self.most_prompts:
            most -= 1
        return {key: _firsts(records, most) for key, records in drawn.items()}


def _firsts(records: list[Record], most: int) -> list[Record]:
    """Of each condition and group at most so many, every subject's first prompt before any second one."""
    turns: Counter[tuple[str, str]] = Counter()
    ranked = []
    for place, record in enumerate(records):
        ranked.append((turns[record.condition, record.subject], place))
        turns[record.condition, record.subject] += 1
    kept: list[int] = []
    held: Counter[tuple[str, str]] = Counter()
    for _, place in sorted(ranked):
        cell = (records[place].condition, records[place].group)
        held[cell] += 1
        if held[cell] <= most:
            kept.append(place)
    return [records[place] for place in sorted(kept)]
