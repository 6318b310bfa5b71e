"""A sound study of tossed coins, and the same with one fault each, with the check that is to see it."""

import tempfile
from functools import partial
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import pandas as pd
import torch
from pydantic import BeforeValidator

from gating import Measure, Page, Part, Study, declare, make_table, summarise
from gating.runs.study import Estimate
from theory.fields import Count, PathText
from theory.settings import build, settings

declare(Measure("heads", "share of heads", 0, 1))
FAULTS = {}


@settings
class CoinConfig:
    """Settings of the study `coin`.

    Args:
        study: name of the study.
        tosses: tosses of each seed.
        numbers: file that holds how often to toss, where there is one.
    """

    study: Literal["coin"] = "coin"
    tosses: Count = 20
    numbers: PathText = "no file"


def toss(config, seed, place, resources):
    if not place.has_table("tosses"):
        place.save_table("tosses", pd.DataFrame({"heads": np.random.default_rng(seed).integers(2, size=config.tosses)}))
    row = {"study": "coin", "system": "coin", "seed": seed, "measure": "heads", "kind": "measured"}
    place.save_table("rows", make_table([{**row, "value": place.table("tosses")["heads"].mean()}]))


class Sound(Study[CoinConfig]):
    """How fair is a coin?"""

    config = CoinConfig
    work = staticmethod(toss)

    def inputs(self, config, say):
        return {"the numbers": Path(config.numbers)} if Path(config.numbers).exists() else {}

    def parts(self, config):
        for seed in range(2):
            yield Part(f"toss/{seed}", partial(type(self).work, config, seed))

    def rows(self, config, work):
        return pd.concat([work.of(f"toss/{seed}").table("rows") for seed in range(2)])

    def answers(self, config, table):
        return summarise(table).drop(columns=["seeds", "over"])

    def page(self, config, table, beside):
        return Page("A coin", self.question(), ("coin",), figures=(), terms=(), blocks=())


def fault(check, seen):
    """A class with a fault, the check that is to see it, and a pattern of what it says."""
    return lambda study: FAULTS.setdefault(study.__name__, (study, check, seen))


@fault("has_a_question", "the question 'Coins are fair.'")
class AsksNothing(Sound):
    """Coins are fair."""


@fault("has_a_question", r"positionals \['toses'\], which are no settings")
class TakesWhatItHasNot(Sound):
    """How fair is a coin?"""

    positionals = ("toses",)


@settings
class Growing(CoinConfig):
    """Settings that are others whenever they are read."""

    tosses: Annotated[int, BeforeValidator(lambda number: number + 1)] = 20


@fault("settings_come_back", r"tosses=\d+, .* from plain values of .*tosses=20")
class CountsItsReadings(Sound):
    """How fair is a coin?"""

    config = Growing


@fault("presets_are_settings", "preset `short`: .*unknown key `toses`")
class HasAMisspeltPreset(Sound):
    """How fair is a coin?"""

    @classmethod
    def presets(cls):
        file = Path(tempfile.gettempdir()) / f"misspelt-{id(cls)}.yaml"
        file.write_text("study: coin\ntoses: 3\n")
        return {"short": file}


@fault("parts_are_named", r"\('toss/2', .* when listed again")
class NamesPartsAnew(Sound):
    """How fair is a coin?"""

    listed = 0

    def parts(self, config):
        first, second = super().parts(config)
        type(self).listed += 1
        yield first
        yield Part(f"toss/{self.listed}", second.work)


@fault("parts_are_named", "ValueError: `parts` must have folders of their own")
class NamesTwoPartsAlike(Sound):
    """How fair is a coin?"""

    def parts(self, config):
        for part in super().parts(config):
            yield Part("toss", part.work)


@fault("parts_are_named", "ValueError: `parts` must not wait for each other in a circle")
class WaitsForEver(Sound):
    """How fair is a coin?"""

    def parts(self, config):
        for part in super().parts(config):
            yield Part(part.name, part.work, after=("toss",))


@fault("listing_computes_nothing", "[1-9][0-9]* operations on tensors while parts were listed")
class ComputesWhenListed(Sound):
    """How fair is a coin?"""

    def parts(self, config):
        torch.ones(3).sum()
        yield from super().parts(config)


@fault("listing_computes_nothing", "0 operations .*, and chance drawn")
class DrawsWhenListed(Sound):
    """How fair is a coin?"""

    def parts(self, config):
        np.random.rand()  # noqa: NPY002
        yield from super().parts(config)


@fault("rows_are_declared", r"ValueError: `rows` must have declared columns, .* got \['weather'\]")
class HasAColumnOfItsOwn(Sound):
    """How fair is a coin?"""

    def rows(self, config, work):
        return super().rows(config, work).assign(weather="fair")


@fault("rows_are_declared", r"ValueError: `heads` must be in \[0, 1\]; got 1\.\d")
class LeavesTheRange(Sound):
    """How fair is a coin?"""

    def rows(self, config, work):
        rows = super().rows(config, work)
        return rows.assign(value=rows["value"] + 1)


@fault("rows_are_declared", r"rows of studies \['token'\], of 'coin'")
class NamesAnotherStudy(Sound):
    """How fair is a coin?"""

    def rows(self, config, work):
        return super().rows(config, work).assign(study="token")


@fault("rows_are_declared", "1 rows whose keys another row has")
class GivesTwoRowsOneKey(Sound):
    """How fair is a coin?"""

    def rows(self, config, work):
        return super().rows(config, work).assign(seed=0)


@fault("rows_are_kept_work", "AttributeError: .* has no attribute 'total'")
class RemembersInItself(Sound):
    """How fair is a coin?"""

    def parts(self, config):
        self.total = 0.0
        yield from super().parts(config)

    def rows(self, config, work):
        return super().rows(config, work).assign(low=self.total)


@fault("rows_are_kept_work", "kept while rows were read: parts/toss/0/late.parquet")
class KeepsMoreWithItsRows(Sound):
    """How fair is a coin?"""

    def rows(self, config, work):
        rows = super().rows(config, work)
        work.of("toss/0").save_table("late", rows)
        return rows


@fault("settings_decide", "in another run, `value` of row 0 is .* in place of ")
class DrawsFromGlobalChance(Sound):
    """How fair is a coin?"""

    @staticmethod
    def work(config, seed, place, resources):
        place.save_table("tosses", pd.DataFrame({"heads": np.random.rand(config.tosses)}))  # noqa: NPY002
        toss(config, seed, place, resources)


@fault("workers_change_nothing", "with three workers, `value` of row 0 is ")
class SharesItsTossesOut(Sound):
    """How fair is a coin?"""

    @staticmethod
    def work(config, seed, place, resources):
        toss(build(CoinConfig, {"tosses": config.tosses + resources.workers}), seed, place, resources)


@fault("workers_change_nothing", "with .*, `seed` of row 0 is 1 in place of 0")
class ReadsPartsAsTheyEnded(Sound):
    """How fair is a coin?"""

    def rows(self, config, work):
        return pd.concat([work.of(part).table("rows") for part in work.folder.done])


@fault("stopped_runs_go_on", r"stopped after \d of 4 files, `value` of row \d is ")
class TossesAgainWhatItKept(Sound):
    """How fair is a coin?"""

    @staticmethod
    def work(config, seed, place, resources):
        if place.has_table("tosses"):
            place.save_table("tosses", pd.concat([place.table("tosses"), pd.DataFrame({"heads": [1]})]))
        toss(config, seed, place, resources)


@fault("stopped_runs_go_on", "FileExistsError: tosses are kept already")
class RefusesToGoOn(Sound):
    """How fair is a coin?"""

    @staticmethod
    def work(config, seed, place, resources):
        if place.has_table("tosses"):
            raise FileExistsError("tosses are kept already")
        toss(config, seed, place, resources)


@fault("answers_are_of_the_table", "rows are changed: `low` of row 0 is 0.0 in place of nan")
class WritesToTheRows(Sound):
    """How fair is a coin?"""

    def answers(self, config, table):
        table["low"] = 0.0
        return super().answers(config, table)


@fault("answers_are_of_the_table", "asked again, `value` of row 0 is 0.[0-9] in place of 0.[0-9]")
class CountsItsAnswers(Sound):
    """How fair is a coin?"""

    asked = -1

    def answers(self, config, table):
        type(self).asked += 1
        return super().answers(config, table).assign(value=(self.asked % 10) / 10)


@fault("page_and_text_are_of_the_table", "the table is changed: `low` of row 0 is 0")
class WritesToTheTable(Sound):
    """How fair is a coin?"""

    def page(self, config, table, beside):
        table["low"] = table["low"].fillna(0.0)
        return super().page(config, table, beside)


@fault("page_and_text_are_of_the_table", "AttributeError: .* has no attribute 'found'")
class TellsWhatItRemembers(Sound):
    """How fair is a coin?"""

    def answers(self, config, table):
        self.found = super().answers(config, table)
        return self.found

    def text(self, config, table):
        return f"{self.found['value'].iloc[0]}"


@fault("page_and_text_are_of_the_table", r"a page without \[''\]")
class AsksNothingOnItsPage(Sound):
    """How fair is a coin?"""

    def page(self, config, table, beside):
        return Page("A coin", "", ("coin",), figures=(), terms=(), blocks=())


@fault("estimates_are_numbers", "{'memory': -1.0")
class OwesMemory(Sound):
    """How fair is a coin?"""

    def memory(self, config):
        return -1.0


@fault("estimates_are_numbers", "{'estimated seconds': inf}")
class TakesForEver(Sound):
    """How fair is a coin?"""

    def estimate(self, config, resources):
        return Estimate(float("inf"), 0.0, float("nan"))


@fault("estimates_are_numbers", r"files that are left: \['tmp")
class LeavesADraft(Sound):
    """How fair is a coin?"""

    def estimate(self, config, resources):
        with tempfile.NamedTemporaryFile(delete=False):
            return Estimate(1.0, 0.0, 0.0)


@fault("inputs_are_named", r"`numbers` names '.*', whose content `inputs` does not give")
class HidesItsInput(Sound):
    """How fair is a coin?"""

    def inputs(self, config, say):
        return {}


@fault("inputs_are_named", r"`numbers` names '.*', whose content `inputs` does not give")
class NamesItsInputByItsPath(Sound):
    """How fair is a coin?"""

    def inputs(self, config, say):
        return {"the numbers": config.numbers.encode()}
