"""The study `finetune`; what needs torch and transformers is imported where it computes, which help does without."""

import json
import sys
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from importlib.util import find_spec
from pathlib import Path

import pandas as pd

from gating.page.figures import Page
from gating.results.table import make_table
from gating.runs.calls import study_function
from gating.runs.executor import Part, Resources
from gating.runs.store import Place
from gating.runs.study import PAGE_BYTES, Estimate, Study
from llm_finetune.advice import advice_rows
from llm_finetune.config import FinetuneConfig, step_name
from llm_finetune.exposures import exposure_rows
from llm_finetune.page import EXAMPLES, finetune_page, finetune_text
from theory.settings import SpecError

__all__ = ["SAMPLES", "Finetune", "finetune_study", "require_packages"]

PACKAGES = ("transformers", "accelerate", "peft")
SAMPLES = "samples"
"""Part, and table in it, with every prompt, candidate, score and free answer of every model and step."""

PROMPT_TOKENS = 100  # for estimates of memory


class Finetune(Study[FinetuneConfig]):
    """What does fine-tuning a language model on a prompt collection do to its in-context ability?"""

    config = FinetuneConfig
    shared = True

    def inputs(self, config: FinetuneConfig, say: Callable[[str], None]) -> Mapping[str, Path | bytes]:
        """The collection, and the files of the model."""
        from llm_finetune.models import model_files

        found: dict[str, Path | bytes] = {f"`collection` {config.collection}": config.collection_text.encode()}
        found |= {f"`model` ({file.name})": file for file in model_files(_folder(config, say))}
        if config.data.file:
            found[f"`data.file` {config.data.file}"] = Path(config.data.file)
        return found

    def check(self, config: FinetuneConfig, resources: Resources) -> None:
        """Loads the model, and looks whether prompts and answers suit it."""
        from llm_finetune import bench

        bench.check(config, resources)

    def parts(self, config: FinetuneConfig) -> Iterator[Part]:
        """The model before training, for each pairing seed, then each fine-tuned one along the way; last, all answers
        together, which stay in the folder."""
        from llm_finetune import bench

        bases = {run.part_at(0): run.seed for run in config.runs}
        for part, seed in bases.items():
            yield Part(part, partial(bench.keep_base, config, seed), wide=True)
        for run in config.runs:
            yield Part(run.part, partial(bench.keep_tuned, config, run), wide=True)
        parts = (*bases, *(run.part for run in config.runs))
        yield Part(SAMPLES, partial(bench.keep_together, config), after=parts, kept=True)

    def rows(self, config: FinetuneConfig, work: Place) -> pd.DataFrame:
        """Measurements of every run and step, and how often training asked for a fact; as answers, what became of
        abilities, since that is made from the prompts and not from other rows."""
        from llm_finetune.effects import effect_rows

        tables = []
        for run in config.runs:
            for step in config.training.evaluations:
                columns = {"study": "finetune", "system": "llm", "seed": run.seed, "step": step, **run.columns}
                tables.append(work.of(run.part_at(step)).table(step_name(step)).assign(**columns))
        effects = make_table(effect_rows(config, work.of(SAMPLES).table(SAMPLES)))
        return make_table(pd.concat([*tables, make_table(exposure_rows(config)), effects], ignore_index=True))

    def answers(self, config: FinetuneConfig, table: pd.DataFrame) -> pd.DataFrame:
        """In-context accuracy at each share, and the smallest share that keeps it."""
        candidates = (*config.facts.answers, *config.facts.new_answers)
        return make_table(advice_rows(table, config.margin, len(candidates)))

    def beside(self, config: FinetuneConfig, work: Place) -> Mapping[str, str]:
        """Free answers before and after training."""
        lines = [
            {"mixture": run.mixture.text, "exposure": run.exposure, "seed": run.seed, "step": step, **sample}
            for run in config.runs
            for step in config.training.evaluations
            for sample in work.of(run.part_at(step)).records(step_name(step))
        ]
        return {EXAMPLES: "".join(json.dumps(line) + "\n" for line in lines)}

    def memory(self, config: FinetuneConfig) -> float:
        """Weights, gradients and two moments of what is trained, a copy while it is saved; activations of a step."""
        from llm_finetune.models import model_shape

        size, width = model_shape(_folder(config, lambda line: print(line, file=sys.stderr)))
        activations = 12.0 * size / width * PROMPT_TOKENS * config.training.batch_size
        return (4.0 if config.training.lora_rank else 28.0) * size + activations

    def estimate(self, config: FinetuneConfig, resources: Resources) -> Estimate:
        """From one step of training and one look at a few test prompts."""
        from llm_finetune import bench
        from llm_finetune.models import model_shape

        size = model_shape(_folder(config, resources.say))[0]
        kept = 4.0 * size * len(config.runs) if resources.keep and not config.training.lora_rank else 0.0
        return Estimate(bench.seconds(config, resources), self.memory(config), kept + PAGE_BYTES)

    def page(self, config: FinetuneConfig, table: pd.DataFrame, beside: Mapping[str, str]) -> Page:
        """Curves over steps, the advice, outcomes and sample answers."""
        return finetune_page(self.question(), config, table, beside)

    def text(self, config: FinetuneConfig, table: pd.DataFrame) -> str:
        """Main outcomes after training, and the advice."""
        return finetune_text(config, table)


def require_packages(study: str) -> None:
    """Looks whether what a study of language models needs is installed.

    Raises:
        SpecError: a package is not.
    """
    missing = [name for name in PACKAGES if find_spec(name) is None]
    if missing:
        raise SpecError([f"`{study}` needs the packages {missing}; `pip install 'icl-gating[llm]'` installs them"])


def _folder(config: FinetuneConfig, say: Callable[[str], None]) -> Path:
    """Folder of the model.

    Raises:
        SpecError: it cannot be had, or the packages for it are not installed.
    """
    require_packages("finetune")
    from llm_finetune.models import model_folder

    return model_folder(config.model, say=say)


finetune_study = study_function(Finetune())
