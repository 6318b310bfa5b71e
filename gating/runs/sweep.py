"""A sweep: one study at every combination of some settings, as one run with one table."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from gating.results.table import make_table, summarise
from gating.runs.catalogue import find_study
from gating.runs.executor import Part, Resources
from gating.runs.grid import Point, SweepConfig, declare_over, over_of, point_at, points, study_of
from gating.runs.store import Place
from gating.runs.study import Estimate, Study
from gating.settings import read_call
from gating.settings.text import as_plain, command_of, flow, help_text
from theory.settings import SpecError

if TYPE_CHECKING:
    from gating.page.figures import Page
    from gating.runs.ensemble import Ensemble

__all__ = ["Sweep", "sweep"]

ROWS = "rows"


class Sweep(Study[SweepConfig]):
    """How does a study's answer depend on some of its settings?

    Models of several settings that share an architecture and a training train in the same ensembles.
    """

    config = SweepConfig

    def from_flags(self, arguments: Sequence[str], options: type[Any]) -> tuple[SweepConfig, Any]:
        """Settings and options from ``STUDY --over name=[...] ...`` and the flags of that study."""
        name, rest = next(iter(arguments), ""), list(arguments[1:])
        if not name or name.startswith("-") or name == self.name():
            if "--config" in arguments or any(token.startswith("--config=") for token in arguments):
                return super().from_flags(arguments, options)
            raise SpecError([f"`sweep` must have the name of a study first; got {name or 'nothing'}"])
        study, over, flags = find_study(name), dict[str, Any](), []
        while rest:
            token = rest.pop(0)
            if token == "--over" or token.startswith("--over="):
                given = token.partition("=")[2] if "=" in token else rest.pop(0) if rest else ""
                over |= over_of(given)
            else:
                flags.append(token)
        base, chosen = study.from_flags(flags, options)
        return SweepConfig(of=name, base=as_plain(base), over=over), chosen

    def help(self, options: type[Any]) -> str:
        """Usage; the settings are those of the study."""
        usage = "usage: gating sweep STUDY --over NAME=[VALUE, ...] [--over ...] [flags of the study]"
        end = "Flags are those of the study: `gating STUDY --help`. --config takes the file of a sweep as well."
        text = help_text("sweep", self.question(), self.config, options)
        return "\n".join([usage, *text.split("\n")[1:], "", end])

    def command(self, config: SweepConfig) -> str:
        """That of the study at the first setting, and the values of what differs."""
        _, _, flags = command_of(points(config)[0].config).partition(" ")
        over = [shlex.quote(f"{name}={flow(values)}") for name, values in config.over.items()]
        return " --over ".join([f"gating sweep {flags}", *over])

    def inputs(self, config: SweepConfig, say: Callable[[str], None]) -> Mapping[str, Path | bytes]:
        """Inputs of all settings; those that differ between them go by their setting."""
        study, found = study_of(config), dict[str, Path | bytes]()
        for point in points(config):
            for name, given in study.inputs(point.config, say).items():
                found[name if found.get(name, given) == given else f"{name} of {point.label}"] = given
        return found

    def check(self, config: SweepConfig, resources: Resources) -> None:
        """Every setting, as the study checks it."""
        study, problems = study_of(config), list[str]()
        for point in points(config):
            try:
                study.check(point.config, resources)
            except SpecError as error:
                problems += [f"{problem} ({point.label})" for problem in error.problems]
        if problems:
            raise SpecError(problems)

    def memory(self, config: SweepConfig) -> float:
        """That of the largest setting: groups that train together are no larger."""
        return max(study_of(config).memory(point.config) for point in points(config))

    def estimate(self, config: SweepConfig, resources: Resources) -> Estimate:
        """The sum over settings; those that train together take less."""
        found = [study_of(config).estimate(point.config, resources) for point in points(config)]
        disk, seconds = sum(each.disk for each in found), sum(each.seconds for each in found)
        return Estimate(seconds, max(each.memory for each in found), disk)

    def ensembles(self, config: SweepConfig) -> Iterator[Ensemble[Any]]:
        """Those of all settings; of one name that share the same, one with the models of all, each once."""
        together: dict[tuple[str, str], list[Ensemble[Any]]] = {}
        for point in points(config):
            for ensemble in study_of(config).ensembles(point.config):
                key = ensemble.name, json.dumps(ensemble.shared, sort_keys=True)
                together.setdefault(key, []).append(ensemble)
        for alike in together.values():
            replicas = dict.fromkeys(replica for ensemble in alike for replica in ensemble.replicas)
            yield replace(alike[0], replicas=list(replicas))

    def parts(self, config: SweepConfig) -> Iterator[Part]:
        """The parts of every setting in a folder of their own, and one more that keeps the setting's rows."""
        study = study_of(config)
        for point in points(config):
            own = list(study.parts(point.config))
            names = {part.name for part in own}
            inside = names | {str(above) for name in names for above in Path(name).parents}
            for part in own:
                after = tuple(f"{point.scope}{name}" if name in inside else name for name in part.after)
                yield replace(part, name=point.scope + part.name, after=after, scope=point.scope)
            trained = [f"train/{ensemble.name}" for ensemble in study.ensembles(point.config)]
            after = tuple(point.scope + part.name for part in own) or tuple(trained)
            yield Part(point.scope + ROWS, partial(_keep_rows, config, point.number), after, scope=point.scope)

    def rows(self, config: SweepConfig, work: Place) -> pd.DataFrame:
        """Rows and answers of every setting, with the values of what differs."""
        declare_over(config)
        return pd.concat([work.of(point.scope + ROWS).table(ROWS) for point in points(config)], ignore_index=True)

    def beside(self, config: SweepConfig, work: Place) -> Mapping[str, str]:
        """Files of every setting, by its number."""
        study = study_of(config)
        return {
            f"setting-{point.number}-{name}": text
            for point in points(config)
            for name, text in study.beside(point.config, Place(work.folder, "", point.scope)).items()
        }

    def page(self, config: SweepConfig, table: pd.DataFrame, beside: Mapping[str, str]) -> Page:
        """Answers of all settings side by side, and the first figure of each."""
        from gating.page.multiples import figures_of
        from gating.page.sweep import sweep_page

        declare_over(config)
        pages = []
        for point in points(config):
            own = {name.removeprefix(f"setting-{point.number}-"): text for name, text in beside.items()
                   if name.startswith(f"setting-{point.number}-")}  # fmt: skip
            mine = self._of(table, point)
            page = study_of(config).page(point.config, mine, own)
            figures, _ = figures_of(page, summarise(mine[~mine["answer"]]), as_plain(point.config))
            pages.append((point.values, page, figures[:1]))
        return sweep_page(self._question(config), pages, table)

    def text(self, config: SweepConfig, table: pd.DataFrame) -> str:
        """Answers of all settings side by side."""
        from gating.page.sweep import answer_blocks

        blocks = answer_blocks([point.values for point in points(config)], table)
        if not blocks:
            study = study_of(config)
            texts = ((point.label, study.text(point.config, self._of(table, point))) for point in points(config))
            return "\n\n".join(f"{label}\n\n{text}" for label, text in texts)
        return "\n\n".join(f"{block.title}\n\n{found}" for block in blocks for _, found in block.tables)

    def _of(self, table: pd.DataFrame, point: Point) -> pd.DataFrame:
        """Rows of a setting, as its study knows them."""
        mine = pd.Series(True, index=table.index)
        for name, value in point.values.items():
            mine &= (table[name] == value).fillna(False)
        return make_table(table[mine].drop(columns=list(point.values)))

    def _question(self, config: SweepConfig) -> str:
        over = " and ".join(f"`{name}`" for name in config.over)
        return f"{study_of(config).question()} Asked of every combination of {over}."


def sweep(config: Any, over: Mapping[str, Sequence[Any]], *, preset: str | None = None, **how: Any) -> pd.DataFrame:
    """Runs a study at every combination of some settings, as one run.

    Args:
        config: settings of a study, or its name.
        over: values of each setting that differs, by its dotted name.
        preset: where `config` is a name: settings that come with that study.
        how: ``out``, ``workers``, ``executor`` and what else every study's function takes.

    Returns:
        The result table, with a column for each setting that differs: by its dotted name, after the study's where it
        has no dot.

    Raises:
        SpecError: with a sentence for each thing that is wrong; nothing is written then.

    Example:
        >>> from gating.studies.bounds.config import BoundsConfig
        >>> table = sweep(BoundsConfig(n_sequences=(64,)), {"distribution.label_noise": [0.0, 0.2]})
        >>> table["distribution.label_noise"].unique().tolist()
        [0.0, 0.2]
    """
    from gating.runs.calls import study_function

    if isinstance(config, str):
        study = find_study(config)
        config = read_call({"preset": preset} if preset else {}, study.config, None, study.presets())[0]
    elif preset:
        raise SpecError([f"`preset` must be left out where `config` holds settings; got {preset!r}"])
    return study_function(Sweep())(of=config.study, base=as_plain(config), over=dict(over), **how)


def _keep_rows(config: SweepConfig, number: int, place: Place, resources: Resources) -> None:
    """Keeps the rows and the answers of a setting."""
    from gating.runs.engine import table_of

    point = point_at(config, number)
    table = table_of(study_of(config), point.config, Place(place.folder, "", place.scope))
    declare_over(config)
    place.save_table(ROWS, make_table(table.assign(**point.values)))
