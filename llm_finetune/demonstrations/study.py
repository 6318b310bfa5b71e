"""The study `demonstrations`; what needs torch and transformers is imported where it computes."""

import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from itertools import product, takewhile
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
from llm_finetune.demonstrations.config import DemonstrationsConfig
from llm_finetune.demonstrations.page import EXAMPLES, demonstrations_page, demonstrations_text
from llm_finetune.demonstrations.tasks import task_files
from llm_finetune.study import require_packages
from theory.settings import SpecError

__all__ = ["Demonstrations", "demonstrations_study"]

SAMPLES = "samples"
"""Part, and table in it, with every prompt, candidate and score of every model."""


class Demonstrations(Study[DemonstrationsConfig]):
    """Does a language model follow the labels of the demonstrations in its context, or what it knew before?"""

    config = DemonstrationsConfig
    positionals = ("models",)

    def from_flags(self, arguments: Sequence[str], options: type[Any]) -> tuple[DemonstrationsConfig, Any]:
        """Settings and options from ``MODEL [MODEL ...]`` and flags."""
        first = list(takewhile(lambda token: not token.startswith("--"), arguments))
        models = [f"--models={flow(first)}"] if first else []
        return super().from_flags([*models, *arguments[len(first) :]], options)

    def help(self, options: type[Any]) -> str:
        """Usage with any number of models."""
        return super().help(options).replace("[MODELS]", "[MODELS ...]", 1)

    def inputs(self, config: DemonstrationsConfig, say: Callable[[str], None]) -> Mapping[str, Path | bytes]:
        """The texts, and the files of every model."""
        require_packages(self.name())
        from llm_finetune.models import model_files

        found: dict[str, Path | bytes] = {
            f"`tasks` {source} ({file.name})": file for source in config.tasks for file in task_files(source)
        }
        for name, source in config.named_models.items():
            found |= {f"`models` {name} ({file.name})": file for file in model_files(_folder(source, say))}
        return found

    def check(self, config: DemonstrationsConfig, resources: Resources) -> None:
        """Loads every model, and looks whether prompts and answers suit it."""
        from llm_finetune.demonstrations import bench

        bench.check(config, resources)

    def parts(self, config: DemonstrationsConfig) -> Iterator[Part]:
        """Each model's answers about each task, then all of them together, which stay in the folder."""
        from llm_finetune.demonstrations import bench

        numbered = product(enumerate(config.named_models), enumerate(config.named_tasks))
        names = {f"model/{k}/{j}": (model, task) for (k, model), (j, task) in numbered}
        for part, (model, task) in names.items():
            yield Part(part, partial(bench.keep_answers, config, model, task), wide=True)
        yield Part(SAMPLES, partial(bench.keep_together, [*names]), after=tuple(names), kept=True)

    def rows(self, config: DemonstrationsConfig, work: Place) -> pd.DataFrame:
        """Every measure by model, task, kind of labels and number of demonstrations; as answers, what demonstrations
        do, since that is made from the answers to each text and not from other rows."""
        from llm_finetune.demonstrations.effects import report_rows

        return make_table(report_rows(config, work.of(SAMPLES).table(SAMPLES)))

    def beside(self, config: DemonstrationsConfig, work: Place) -> Mapping[str, str]:
        """Some test texts, with what the model answers after each kind of labels."""
        from llm_finetune.demonstrations.examples import example_lines

        lines = example_lines(config, work.of(SAMPLES).table(SAMPLES))
        return {EXAMPLES: "".join(json.dumps(line) + "\n" for line in lines)}

    def memory(self, config: DemonstrationsConfig) -> float:
        """Weights of the largest model, and once more while it is read."""
        return 8.0 * self._size(config)

    def estimate(self, config: DemonstrationsConfig, resources: Resources) -> Estimate:
        """From loading the first model and asking it about the shortest and the longest prompt of each task."""
        from llm_finetune.demonstrations import bench

        return Estimate(bench.seconds(config, resources), self.memory(config), 2 * PAGE_BYTES)

    def _size(self, config: DemonstrationsConfig) -> int:
        require_packages(self.name())
        from llm_finetune.models import model_shape

        say = partial(print, file=sys.stderr)
        return max(model_shape(_folder(source, say))[0] for source in config.models)

    def page(self, config: DemonstrationsConfig, table: pd.DataFrame, beside: Mapping[str, str]) -> Page:
        """Accuracy over demonstrations, the curve of flips, recognition and learning, and examples."""
        return demonstrations_page(self.question(), config, table, beside)

    def text(self, config: DemonstrationsConfig, table: pd.DataFrame) -> str:
        """What demonstrations do, and accuracy after each kind of labels."""
        return demonstrations_text(config, table)


def _folder(source: str, say: Callable[[str], None]) -> Path:
    from llm_finetune.models import model_folder

    try:
        return model_folder(source, say=say)
    except SpecError as error:
        raise SpecError([problem.replace("`model`", "`models`") for problem in error.problems]) from error


demonstrations_study = study_function(Demonstrations())
