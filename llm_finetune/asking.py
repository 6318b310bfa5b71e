"""What studies share that ask language models and train none: names of models, parts of a run, and examples."""

import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from importlib import import_module
from pathlib import Path, PurePath
from typing import Any, Literal, TypeVar

import pandas as pd

from gating.results.table import make_table
from gating.runs.executor import Part, Resources
from gating.runs.store import Place
from gating.runs.study import PAGE_BYTES, Estimate, Study
from llm_finetune.study import SAMPLES, require_packages
from theory.settings import SpecError

__all__ = ["EXAMPLES", "AskingStudy", "Chat", "asked_as", "named_models", "names_of"]

Chat = Literal["auto", "template", "plain"]
"""Whether prompts use the models' chat templates; ``auto`` does where every model has one."""

EXAMPLES = "examples.jsonl"
"""File of some answers, in the folder of a run: an object on each line."""

Config = TypeVar("Config")


class AskingStudy(Study[Config]):
    """A study that asks language models; beside its module are ``bench``, which computes, and ``report``, its rows.

    ``bench`` has ``check``, ``keep_answers`` and ``seconds``, and ``report`` has ``report_rows`` and ``example_lines``.
    Settings have ``sources``: sources of the models by name.
    """

    def asked(self, config: Any) -> Mapping[str, Path | bytes]:
        """What is asked, as inputs of a run."""
        raise NotImplementedError

    def setting(self, name: str) -> str:
        """The setting that a model is given by."""
        return "`models`"

    def whole(self, config: Any) -> Sequence[str]:
        """Names of the models that must be whole; others may be adapters of the first."""
        return [*config.sources]

    def pieces(self, config: Any) -> Mapping[str, tuple[str, ...]]:
        """Parts of a run, by name, with what ``keep_answers`` is given of each: a model's name, and perhaps more."""
        return {f"model/{k}": (name,) for k, name in enumerate(config.sources)}

    def inputs(self, config: Any, say: Callable[[str], None]) -> Mapping[str, Path | bytes]:
        """What is asked, and the files of every model."""
        require_packages(self.name())
        from llm_finetune.models import model_files

        found = {**self.asked(config)}
        for name in config.sources:
            setting = self.setting(name)
            called = setting if setting == f"`{name}`" else f"{setting} {name}"
            found |= {f"{called} ({file.name})": file for file in model_files(self._folder(config, name, say))}
        return found

    def check(self, config: Any, resources: Resources) -> None:
        """Loads every model, and looks whether prompts and answers suit it."""
        self._beside("bench").check(config, resources)

    def parts(self, config: Any) -> Iterator[Part]:
        """Answers of each model, then all of them together, which stay in the folder."""
        pieces = self.pieces(config)
        for part, given in pieces.items():
            yield Part(part, partial(self._beside("bench").keep_answers, config, *given), wide=True)
        yield Part(SAMPLES, partial(_keep_together, [*pieces]), after=tuple(pieces), kept=True)

    def rows(self, config: Any, work: Place) -> pd.DataFrame:
        """What ``report`` makes of the answers; as answers, what is made from prompts and not from other rows."""
        return make_table(self._beside("report").report_rows(config, work.of(SAMPLES).table(SAMPLES)))

    def beside(self, config: Any, work: Place) -> Mapping[str, str]:
        """Examples of answers."""
        lines = self._beside("report").example_lines(config, work.of(SAMPLES).table(SAMPLES))
        return {EXAMPLES: "".join(json.dumps(line) + "\n" for line in lines)}

    def memory(self, config: Any) -> float:
        """Weights of the largest model, and once more while it is read."""
        require_packages(self.name())
        from llm_finetune.models import model_shape

        folders = [self._folder(config, name, partial(print, file=sys.stderr)) for name in self.whole(config)]
        return 8.0 * max(model_shape(folder)[0] for folder in folders)

    def estimate(self, config: Any, resources: Resources) -> Estimate:
        """From loading the first model and asking it a few prompts."""
        return Estimate(self._beside("bench").seconds(config, resources), self.memory(config), 2 * PAGE_BYTES)

    def _folder(self, config: Any, name: str, say: Callable[[str], None]) -> Path:
        from llm_finetune.models import model_folder

        with asked_as(self.setting(name)):
            return model_folder(config.sources[name], adapters=name not in self.whole(config), say=say)

    def _beside(self, name: str) -> Any:
        """A module beside that of the study, imported where it is needed: it may need torch."""
        return import_module(f"{type(self).__module__.rpartition('.')[0]}.{name}")


def _keep_together(parts: Sequence[str], place: Place, resources: Resources) -> None:
    tables = (place.of(part).table(SAMPLES) for part in parts)
    place.save_table(SAMPLES, pd.concat(tables, ignore_index=True))


@contextmanager
def asked_as(setting: str) -> Iterator[None]:
    """Where a model does not suit, calls it by its setting.

    Args:
        setting: its name between backticks.
    """
    try:
        yield
    except SpecError as error:
        raise SpecError([problem.replace("`model`", setting) for problem in error.problems]) from error


def named_models(sources: Sequence[str]) -> dict[str, str]:
    """Sources of models by their short names."""
    return dict(zip(names_of(sources), sources, strict=True))


def names_of(sources: Sequence[str]) -> list[str]:
    """Short names of models that differ: what their paths do not share.

    Args:
        sources: different paths or ids.

    Example:
        >>> names_of(["runs/a/tune/memory=1/model", "runs/a/tune/mixed/model"])
        ['memory=1', 'mixed']
        >>> names_of(["runs/a/tune/memory=1/model"]), names_of(["me/tuned", "me/tuned/again"])
        (['memory=1/model'], ['tuned', 'tuned/again'])
    """
    parts = [[*PurePath(source).parts] for source in sources]
    if len(parts) == 1:
        return ["/".join(parts[0][-2 if parts[0][-1] == "model" else -1 :])]
    for end in (0, -1):
        while all(len(part) > 1 for part in parts) and len({part[end] for part in parts}) == 1:
            for part in parts:
                del part[end]
    return ["/".join(part) for part in parts]
