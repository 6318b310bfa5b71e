"""What a study is: its settings, its work in parts, the rows of its table, what it finds, and its page."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from itertools import takewhile
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar

from gating.runs.executor import Part, Resources
from gating.runs.store import Place
from gating.settings import read_flags
from gating.settings.text import command_of, flow, help_text

if TYPE_CHECKING:
    import pandas as pd

    from gating.page.figures import Page
    from gating.runs.ensemble import Ensemble

__all__ = ["PAGE_BYTES", "Estimate", "Study"]

PAGE_BYTES = 1e6
"""Of a run's page, most of which is what draws its charts."""

Config = TypeVar("Config")
Options = TypeVar("Options")


@dataclass(frozen=True)
class Estimate:
    """What a run will take, before it starts.

    Args:
        seconds: of computation with the resources given.
        memory: largest resident memory, bytes.
        disk: of the folder when the run ends, bytes.
    """

    seconds: float
    memory: float
    disk: float


class Study(Generic[Config]):
    """A study; the first line of a subclass's docstring is its question, in help, lists and on its page.

    A subclass is complete with `config`, `parts`, `rows` and `page`. It is found by an entry point in the group
    ``gating.studies``, whose name is that of the study and of its command; presets are the YAML files of a folder
    ``presets`` beside its module.

    Attributes:
        config: class of the settings, made with `theory.settings.settings`; its field ``study`` holds the name.
        positionals: fields of the settings that the command takes without a flag, in order.
        several: whether the last of them takes any number of values.
        in_folder: whether a run keeps its work in a folder by default; a study of a few seconds needs none.
        shared: whether several processes of one run may do its wide parts together (`gating.runs.processes`).
        of_evaluation: settings that no ensemble reads, with other ones of which a run's trained models can be measured
            anew; none where nothing is trained, or not in ensembles.
    """

    config: ClassVar[type[Any]]
    positionals: ClassVar[tuple[str, ...]] = ()
    several: ClassVar[bool] = False
    in_folder: ClassVar[bool] = True
    shared: ClassVar[bool] = False
    of_evaluation: ClassVar[tuple[str, ...]] = ()

    @classmethod
    def name(cls) -> str:
        """The name of the study."""
        return str(cls.config.__dataclass_fields__["study"].default)

    @classmethod
    def question(cls) -> str:
        """The question that it answers."""
        return (cls.__doc__ or "").split("\n")[0]

    @classmethod
    def presets(cls) -> dict[str, Path]:
        """Settings that come with the study, by name."""
        package = cls.__module__.rpartition(".")[0]
        found = sorted(Path(str(resources.files(package) / "presets")).glob("*.yaml")) if package else []
        return {file.stem: file for file in found}

    def from_flags(self, arguments: Sequence[str], options: type[Options]) -> tuple[Config, Options]:
        """Settings and options from a command line.

        Raises:
            SpecError: with a sentence for each thing that is wrong with them.
        """
        if self.several:
            first = list(takewhile(lambda token: not token.startswith("--"), arguments))
            one, more = len(self.positionals) - 1, len(first)
            held = [f"--{self.positionals[-1]}={flow(first[one:])}"] if first[one:] else []
            arguments = [*first[:one], *held, *arguments[more:]]
        return read_flags(arguments, self.config, options, self.positionals, self.presets())

    def help(self, options: type[Any]) -> str:
        """What ``--help`` prints."""
        places = [*self.positionals]
        if self.several:
            places[-1] += "..."
        return help_text(self.name(), self.question(), self.config, options, places, self.presets())

    def command(self, config: Config) -> str:
        """The command that makes a run of these settings."""
        return command_of(config)

    def inputs(self, config: Config, say: Any) -> Mapping[str, Path | bytes]:
        """Content that decides the result beside the settings: files, folders or bytes, by what a user calls them.

        Raises:
            SpecError: an input is not there, or cannot be read.
        """
        return {}

    def check(self, config: Config, resources: Resources) -> None:
        """Looks at what settings and inputs mean together, before anything is written.

        Raises:
            SpecError: they do not suit each other.
        """

    def memory(self, config: Config) -> float:
        """Estimated largest memory of a run, bytes; what is asked for beyond the libraries' own."""
        return 0.0

    def estimate(self, config: Config, resources: Resources) -> Estimate:
        """What a run will take; may compute for some seconds."""
        return Estimate(float("nan"), self.memory(config), float("nan"))

    def ensembles(self, config: Config) -> Iterator[Ensemble[Any]]:
        """What is trained before, or between, the parts; in a sweep, models of several settings train together."""
        return iter(())

    def parts(self, config: Config) -> Iterator[Part]:
        """The other pieces of the work; nothing is computed here. Those of an ensemble are called ``train/NAME``."""
        raise NotImplementedError

    def rows(self, config: Config, work: Place) -> pd.DataFrame:
        """Rows of the result table, from the parts' work and from theory.

        Args:
            config: settings.
            work: gives the place of each part by `Place.of`.
        """
        raise NotImplementedError

    def answers(self, config: Config, table: pd.DataFrame) -> pd.DataFrame | None:
        """What the study found, as rows with intervals, from its table; None where a table is all that it has."""
        return None

    def beside(self, config: Config, work: Place) -> Mapping[str, str]:
        """Text of other files that belong to the result, by name, such as samples of answers."""
        return {}

    def page(self, config: Config, table: pd.DataFrame, beside: Mapping[str, str]) -> Page:
        """The page as data: what it shows of the table, answers included, and in which words."""
        raise NotImplementedError

    def text(self, config: Config, table: pd.DataFrame) -> str:
        """The table's main numbers for a terminal: its answers, or all rows where there is none."""
        shown = table[table["answer"]] if table["answer"].any() else table
        return shown.dropna(axis=1, how="all").to_string(index=False)
