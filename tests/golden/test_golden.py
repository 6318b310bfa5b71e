"""Results of every study at a small size are those that were frozen: to the last bit on the machine that made them."""

import json
import re
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from packaging.version import Version

from tests.golden.comparison import CHANGED, GONE, NEW_COLUMNS, NEW_ROWS, Change, as_frozen, machine, problems
from tests.golden.settings import CASES, description_lengths, study_table

HERE = Path(__file__).parent
MADE_ON = json.loads((HERE / "made_on.json").read_text())
EXACT = machine() == MADE_ON
OTHER_MODEL = Version(version("transformers")) < Version(MADE_ON["transformers"])
TENSORS = json.loads((HERE / "tensors.json").read_text())
elsewhere = pytest.mark.skipif(not EXACT, reason="frozen on another processor, or with other versions")


@pytest.mark.filterwarnings("ignore")  # of drawings, made on the way to the table, whose ends overflow
@pytest.mark.parametrize(
    "study", [pytest.param(each, marks=pytest.mark.long) if each == "strategies" else each for each in CASES]
)
def test_the_table_is_the_frozen_one(study, small_runs):
    if study == "finetune" and OTHER_MODEL:
        pytest.skip("old versions of transformers draw other weights for the model that is fine-tuned")
    table = study_table(study, small_runs)
    assert set(table.columns) >= set(NEW_COLUMNS)
    new = NEW_ROWS[study](table) if study in NEW_ROWS else None
    frozen, today = pd.read_parquet(HERE / f"{study}.parquet"), as_frozen(table, study)
    declared = {"new": new, "gone": GONE.get(study), "changed": CHANGED.get(study, ())}
    found = list(problems(frozen, today, study, exact=EXACT, **declared))
    if found:
        pytest.fail("\n".join([f"`{study}` differs from what was frozen:", *found]), pytrace=False)


@elsewhere
def test_description_lengths_are_the_frozen_ones():
    assert description_lengths() == json.loads((HERE / "description_lengths.json").read_text())


def _nudged(table: pd.DataFrame) -> pd.DataFrame:
    at = table.index[table["value"] > 0.1][7]
    return table.assign(value=table["value"].where(table.index != at, np.nextafter(table.loc[at, "value"], 1)))


@pytest.mark.parametrize(
    ("broken", "said"),
    [
        (_nudged, r"1 of \d+ rows have other numbers\n    case short context, .*: value was (\S+), is (?!\1$)"),
        (lambda table: table.assign(low=table["value"]), r"rows have other numbers, among them\n .*: low was nan, is "),
        (lambda table: table.iloc[1:], r"1 rows are missing\n    case short context, study bounds"),
        (lambda table: pd.concat([table, table.tail(1).assign(measure="hinge")]), r"1 rows are new\n .*measure hinge"),
        (lambda table: pd.concat([table, table.tail(1)]), "1 rows stand there twice"),
        (lambda table: table.assign(system=table["system"].str.upper()), "rows are missing, among them"),
    ],
    ids=["last bit", "interval", "missing", "new", "twice", "renamed"],
)
def test_what_was_not_declared_is_found(broken, said):
    frozen = pd.read_parquet(HERE / "bounds.parquet")
    assert not list(problems(frozen, frozen, "bounds", exact=True))
    found = "\n".join(problems(frozen, broken(frozen), "bounds", exact=True))
    assert re.search(said, found), found


def test_what_was_declared_is_allowed_and_must_occur():
    frozen = pd.read_parquet(HERE / "bounds.parquet")
    change = Change("a better bound", ("value",), lambda table: table["kind"] == "upper")
    moved = frozen.assign(value=frozen["value"] + (frozen["kind"] == "upper").astype(float))
    more = pd.concat([moved, frozen.tail(1).assign(measure="advice")], ignore_index=True)
    new = more["measure"] == "advice"
    assert not list(problems(frozen, more, "bounds", exact=True, new=new, changed=(change,)))
    lower = frozen[frozen["kind"] != "upper"]
    declared = {"exact": True, "gone": lambda table: table["kind"] == "upper"}
    assert not list(problems(frozen, lower, "bounds", **declared))
    for before, today in ((frozen, frozen), (lower, lower)):
        assert any("declared as gone" in found for found in problems(before, today, "bounds", **declared))
    assert list(problems(frozen, frozen, "bounds", exact=True, new=new[:-1], changed=(change,))) == [
        "rows are declared as new, and there are none",
        "numbers are declared as changed, and none is: a better bound",
    ]
