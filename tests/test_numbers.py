"""Numbers of README and docs are those of the committed tables; what is not says so in one list."""

import hashlib
from collections import Counter
from pathlib import Path

import pandas as pd
import pytest
import yaml

from docs.tables.__main__ import main, problems
from docs.tables.cells import one
from docs.tables.committed import FOLDER, LARGEST, declared, keep, table
from docs.tables.pages import computed, listed, missing, unlisted, with_tables
from gating import BoundsConfig, sweep

TABLES = declared()


def test_every_page_says_what_the_committed_tables_say():
    assert list(problems(write=False)) == []


@pytest.mark.parametrize("name", TABLES)
def test_a_committed_table_is_small_described_and_as_it_was_kept(name):
    file = FOLDER / TABLES[name]["file"]
    assert file.stat().st_size <= LARGEST
    assert {"command", "versions", "sha256"} <= set(TABLES[name]) | ({"versions"} if file.suffix == ".json" else set())
    assert len(table(name))


def test_every_file_beside_the_tables_is_declared():
    files = {file.name for file in FOLDER.iterdir()} - {"tables.yaml", "uncovered.yaml"}
    assert files == {entry["file"] for entry in TABLES.values() if "/" not in entry["file"]}


def test_what_is_not_covered_has_a_reason_and_a_page():
    for entry in listed():
        assert set(entry) == {"page", "reason", "numbers"}
        assert len(entry["reason"]) > 10
        assert entry["numbers"]


@pytest.mark.parametrize(
    "text",
    ["0.40 [0.33, 0.48]", "-0.62 [-0.81, -0.43]", "1,954 [615, 6,207]", "4078.34 ± 1.02", "1.6 times", "12 to 25 times",
     "a factor of 2.4", "35%", "5 minutes", "0.7 ms", "169 s", "8 min"],
)  # fmt: skip
def test_an_interval_a_ratio_or_a_time_is_seen(text):
    assert unlisted("docs/any.md", f"It is {text}, as\nmeasured.")
    assert unlisted("docs/any.md", f"It is {computed(text)}, as measured.", []) == unlisted(
        "docs/any.md", f"It is {text}."
    )
    assert not unlisted("docs/any.md", f"It is {text}, as\nmeasured.", [f"is {computed(text)}, as measured"])
    assert unlisted("docs/any.md", f"It is {text}, as measured.", [f"is {text}, as measured"]), "typed, not computed"


def test_numbers_that_are_no_claim_are_passed_over():
    assert not unlisted("docs/any.md", "In 2025, with N = 64 and section 4.2, `p = 0.4 [0.3, 0.5]` and $2 times$ [1].")


def test_one_of_two_equal_numbers_is_not_covered_by_the_other():
    text = "It errs 0.4 [0.3, 0.5] at first, and 0.4 [0.3, 0.5] at last."
    assert unlisted("README.md", text, [f"errs {computed('0.4 [0.3, 0.5]')} at first"]) == ["0.4 [0.3, 0.5]"]


def test_a_table_outside_of_markers_is_seen_and_known_by_all_that_it_holds():
    (first,), (other,) = (unlisted("docs/results/a.md", f"| a |\n| --- |\n| {x} |\n") for x in ("0.25", "0.26"))
    assert first != other
    assert first.endswith(": a")
    assert not unlisted("docs/results/a.md", "<!-- table: x -->\n| a |\n| --- |\n| 0.25 |\n<!-- end -->\n")


def test_a_sentence_must_stand_on_the_page_wherever_its_lines_break():
    assert missing("It errs\n0.4 of\nthe time.", [f"errs {computed('0.4')} of the time"]) == []
    assert missing("It errs 0.41 in 12.5% of runs, 1.2, and 3.", ["errs 0.4", "2.5% of", "1.", "and 3."]) == [
        "errs 0.4",
        "2.5% of",
        "1.",
    ]
    assert missing("It errs 0.5 of the time.", [f"errs {computed('0.4')} of the time"]) == ["errs 0.4 of the time"]


@pytest.mark.parametrize("text", ["<!-- table: a -->\n", "<!-- table: b -->\n<!-- end -->\n", "<!-- end -->", ""])
def test_markers_name_each_table_once_and_end(text):
    with pytest.raises(ValueError, match="must"):
        with_tables(text, {"a": lambda: "| new |"})


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    entry = {"file": "own.csv", "command": "own > own.csv"}
    (tmp_path / "tables.yaml").write_text(yaml.safe_dump({"own": entry}))
    (tmp_path / "made.csv").write_text("a,b\n1,0.1\n")
    return tmp_path


def test_a_kept_file_is_read_again_and_refused_once_it_differs(folder):
    keep("own", folder / "made.csv", folder)
    entry = declared(folder)["own"]
    assert entry["sha256"] == hashlib.sha256(b"a,b\n1,0.1\n").hexdigest()
    assert {"python", "numpy"} <= set(entry["versions"])
    pd.testing.assert_frame_equal(table("own", folder), pd.DataFrame({"a": [1], "b": [0.1]}))
    (folder / "own.csv").write_text("a,b\n1,0.2\n")
    table.cache_clear()
    with pytest.raises(ValueError, match=r"`own\.csv` must have the checksum"):
        table("own", folder)


def test_a_table_of_a_sweep_has_what_it_is_over(folder, tmp_path):
    base = BoundsConfig(n_sequences=(100,), measures="error", contexts="relevant", groups="low")
    sweep(base, {"distribution.label_noise": [0.0, 0.1]}, out=tmp_path / "run", say=lambda line: None)
    entry = {"file": "swept.csv", "command": "none", "rows": [{"kind": "exact", "answer": False}]}
    (folder / "tables.yaml").write_text(yaml.safe_dump({"swept": entry}))
    keep("swept", tmp_path / "run", folder)
    kept = declared(folder)["swept"]
    assert kept["study"] == "sweep"
    assert kept["settings"] == {
        "of": "bounds", "over": {"distribution.label_noise": [0.0, 0.1]}, "n_sequences": [100], "measures": ["error"],
        "contexts": ["relevant"], "groups": ["low"],
    }  # fmt: skip
    assert set(table("swept", folder)["distribution.label_noise"]) == {0.0, 0.1}


def test_a_table_too_large_to_commit_is_refused_and_leaves_nothing(folder):
    (folder / "made.csv").write_text("a\n" + "1\n" * LARGEST)
    with pytest.raises(ValueError, match="at most 100,000 bytes"):
        keep("own", folder / "made.csv", folder)
    assert not (folder / "own.csv").exists()


def test_a_number_is_of_one_row():
    with pytest.raises(ValueError, match=r"`where` must be true of one row of 'quick'; got \d\d"):
        one("quick", measure="error")


def test_the_command_refuses_what_it_does_not_know(capsys):
    assert main(["--chek"]) == 2
    assert "--check" in capsys.readouterr().err


def test_the_list_has_no_page_that_is_not_there():
    assert not [
        page for page in Counter(entry["page"] for entry in listed()) if not (FOLDER.parents[2] / page).exists()
    ]


def test_whose_label_is_of_the_run_beside_it():
    """Two tables of one run: what is not answered with the label that the context shows is the error out of base."""
    where = {"distribution": "oobd", "n": 100_000, "system": "transformer"}
    copied = one("whose-label", label="of the class in the context", **where)["value"]
    error = one("kanji", measure="error", context="relevant", group="low", kind="measured", answer=False, **where)[
        "value"
    ]
    assert copied == pytest.approx(1 - error, abs=1e-9)
