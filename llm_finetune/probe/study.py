"""The study `probe`; what needs torch and transformers is imported where it computes, which help does without."""

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
from llm_finetune.probe.config import BASE, ProbeConfig, named
from llm_finetune.probe.page import EXAMPLES, probe_page, probe_text
from llm_finetune.study import require_packages

__all__ = ["Probe", "probe_study"]

SAMPLES = "samples"
"""Part, and table in it, with every prompt, candidate, score and free answer of every model."""


class Probe(Study[ProbeConfig]):
    """What did a fine-tune gain from its weights, and what did it lose in context?"""

    config = ProbeConfig
    positionals = ("base", "tuned")

    def from_flags(self, arguments: Sequence[str], options: type[Any]) -> tuple[ProbeConfig, Any]:
        """Settings and options from ``BASE TUNED [TUNED ...]`` and flags."""
        first = list(takewhile(lambda token: not token.startswith("--"), arguments))
        tuned = [f"--tuned={flow(first[1:])}"] if first[1:] else []
        return super().from_flags([*first[:1], *tuned, *arguments[len(first) :]], options)

    def help(self, options: type[Any]) -> str:
        """Usage with any number of fine-tuned models."""
        return super().help(options).replace("[TUNED]", "[TUNED ...]", 1)

    def inputs(self, config: ProbeConfig, say: Callable[[str], None]) -> Mapping[str, Path | bytes]:
        """The collections of every suite, and the files of every model."""
        require_packages(self.name())
        from llm_finetune.models import model_files, model_folder

        found: dict[str, Path | bytes] = {}
        for suite in config.given:
            for key, member in suite.members.items():
                found[f"`suites` {suite.name}" + f" ({key})" * (key != suite.name)] = member.text.encode()
        for name, source in config.models.items():
            setting = "`base`" if name == BASE else f"`tuned` {name}"
            with named(name):
                folder = model_folder(source, adapters=name != BASE, say=say)
            found |= {f"{setting} ({file.name})": file for file in model_files(folder)}
        return found

    def check(self, config: ProbeConfig, resources: Resources) -> None:
        """Loads every model, and looks whether prompts and answers suit it."""
        from llm_finetune.probe import bench

        bench.check(config, resources)

    def parts(self, config: ProbeConfig) -> Iterator[Part]:
        """Each model's answers, then all of them together, which stay in the folder."""
        from llm_finetune.probe import bench

        names = {name: f"model/{k}" for k, name in enumerate(config.models)}
        for name, part in names.items():
            yield Part(part, partial(bench.keep_answers, config, name), wide=True)
        together = partial(bench.keep_together, [*names.values()])
        yield Part(SAMPLES, together, after=tuple(names.values()), kept=True)

    def rows(self, config: ProbeConfig, work: Place) -> pd.DataFrame:
        """Every measure of every model by suite, condition and group of facts; as answers, what a model can do
        and how that changed, since these are made from the prompts and not from other rows."""
        from llm_finetune.probe.report import report_rows

        return make_table(report_rows(config, work.of(SAMPLES).table(SAMPLES)))

    def beside(self, config: ProbeConfig, work: Place) -> Mapping[str, str]:
        """What became of each prompt, with the answers before and after."""
        from llm_finetune.probe.report import example_lines

        lines = example_lines(config, work.of(SAMPLES).table(SAMPLES))
        return {EXAMPLES: "".join(json.dumps(line) + "\n" for line in lines)}

    def memory(self, config: ProbeConfig) -> float:
        """Weights of one model, and once more while it is read."""
        return 8.0 * self._size(config)

    def estimate(self, config: ProbeConfig, resources: Resources) -> Estimate:
        """From loading the base and asking it a few prompts."""
        from llm_finetune.probe import bench

        return Estimate(bench.seconds(config, resources), self.memory(config), 2 * PAGE_BYTES)

    def _size(self, config: ProbeConfig) -> int:
        require_packages(self.name())
        from llm_finetune.models import model_folder, model_shape

        with named(BASE):
            return model_shape(model_folder(config.base, say=lambda line: print(line, file=sys.stderr)))[0]

    def page(self, config: ProbeConfig, table: pd.DataFrame, beside: Mapping[str, str]) -> Page:
        """Abilities and their changes, and examples of each kind of change."""
        return probe_page(self.question(), config, table, beside)

    def text(self, config: ProbeConfig, table: pd.DataFrame) -> str:
        """What was gained and lost, and every ability of every model."""
        return probe_text(config, table)


probe_study = study_function(Probe())
