"""The study `conflict`; what needs torch and transformers is imported where it computes, which help does without."""

import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from itertools import takewhile
from pathlib import Path
from typing import Any

import pandas as pd

from gating.page.figures import Page
from gating.results.table import make_table
from gating.runs.calls import study_function
from gating.runs.executor import Part, Resources
from gating.runs.store import Place
from gating.runs.study import PAGE_BYTES, Estimate, Study
from gating.settings.text import flow
from llm_finetune.conflict.config import ConflictConfig
from llm_finetune.conflict.page import EXAMPLES, conflict_page, conflict_text
from llm_finetune.conflict.scored import SAMPLES
from llm_finetune.conflict.suite import FILES
from llm_finetune.study import require_packages
from llm_finetune.suites import suite_files

__all__ = ["Conflict", "conflict_study"]


class Conflict(Study[ConflictConfig]):
    """What does a language model answer when its context contradicts what it knows, and which gate helps?"""

    config = ConflictConfig
    positionals = ("models",)

    def from_flags(self, arguments: Sequence[str], options: type[Any]) -> tuple[ConflictConfig, Any]:
        """Settings and options from ``MODEL [MODEL ...]`` and flags."""
        first = list(takewhile(lambda token: not token.startswith("--"), arguments))
        models = [f"--models={flow(first)}"] if first else []
        return super().from_flags([*models, *arguments[len(first) :]], options)

    def help(self, options: type[Any]) -> str:
        """Usage with any number of models."""
        return super().help(options).replace("[MODELS]", "MODEL [MODEL ...]", 1)

    def inputs(self, config: ConflictConfig, say: Callable[[str], None]) -> Mapping[str, Path | bytes]:
        """The files of the suite, and those of every model."""
        require_packages(self.name())
        from llm_finetune.conflict.bench import setting
        from llm_finetune.models import model_files, model_folder

        found: dict[str, Path | bytes] = {
            f"`suite` ({file.name})": file for file in suite_files("conflict", config.suite, **FILES)
        }
        for name, source in config.sources.items():
            with setting(name):
                folder = model_folder(source, say=say)
            found |= {f"`models` {name} ({file.name})": file for file in model_files(folder)}
        return found

    def check(self, config: ConflictConfig, resources: Resources) -> None:
        """Loads every model, and looks whether prompts and answers suit it."""
        from llm_finetune.conflict import bench

        bench.check(config, resources)

    def parts(self, config: ConflictConfig) -> Iterator[Part]:
        """Each model's answers, then all of them together, which stay in the folder."""
        from llm_finetune.conflict import bench

        names = {name: f"model/{k}" for k, name in enumerate(config.sources)}
        for name, part in names.items():
            yield Part(part, partial(bench.keep_answers, config, name), wide=True)
        together = partial(bench.keep_together, [*names.values()])
        yield Part(SAMPLES, together, after=tuple(names.values()), kept=True)

    def rows(self, config: ConflictConfig, work: Place) -> pd.DataFrame:
        """Three ways in every condition, by confidence and by size, and every gate; all made from prompts."""
        from llm_finetune.conflict.report import report_rows

        return make_table(report_rows(config, work.of(SAMPLES).table(SAMPLES)))

    def beside(self, config: ConflictConfig, work: Place) -> Mapping[str, str]:
        """Which way each prompt went."""
        from llm_finetune.conflict.report import example_lines

        lines = example_lines(config, work.of(SAMPLES).table(SAMPLES))
        return {EXAMPLES: "".join(json.dumps(line) + "\n" for line in lines)}

    def memory(self, config: ConflictConfig) -> float:
        """Weights of one model, and once more while it is read."""
        require_packages(self.name())
        from llm_finetune.conflict.bench import setting
        from llm_finetune.models import model_folder, model_shape

        sizes = []
        for name, source in config.sources.items():
            with setting(name):
                sizes.append(model_shape(model_folder(source, say=lambda line: print(line, file=sys.stderr)))[0])
        return 8.0 * max(sizes)

    def estimate(self, config: ConflictConfig, resources: Resources) -> Estimate:
        """From loading the first model and asking it about a few items."""
        from llm_finetune.conflict import bench

        return Estimate(bench.seconds(config, resources), self.memory(config), 2 * PAGE_BYTES)

    def page(self, config: ConflictConfig, table: pd.DataFrame, beside: Mapping[str, str]) -> Page:
        """Who wins, by confidence and by size, every gate, and examples."""
        return conflict_page(self.question(), config, table, beside)

    def text(self, config: ConflictConfig, table: pd.DataFrame) -> str:
        """Who wins, and every gate."""
        return conflict_text(config, table)


conflict_study = study_function(Conflict())
