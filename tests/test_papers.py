"""The paper index: its page is made from its data, its numbers stand in results, its commands and presets are there."""

import re
import shlex
from pathlib import Path

import pytest

from docs.site.papers import STATUSES, Entry, load, markdown
from gating.cli import main

ROOT = Path(__file__).parents[1]
ENTRIES = [entry for _, entries in load() for entry in entries]
COMMANDS = sorted({entry.command for entry in ENTRIES if entry.command})


def test_the_page_is_made_from_the_data():
    assert (ROOT / "docs" / "papers.md").read_text(encoding="utf-8") == markdown()


def test_both_papers_are_there_with_every_status():
    papers = {paper["name"]: entries for paper, entries in load()}
    sizes = [len(entries) for entries in papers.values()]
    assert [name.split(",")[0] for name in papers][:2] == ["Chan", "Wurgaft"]
    assert sizes[0] >= 18
    assert sizes[1] >= 21
    assert {entry.status for entry in ENTRIES} == set(STATUSES)


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.figure)
def test_our_numbers_stand_in_committed_results(entry):
    for number in entry.ours:
        file = ROOT / "docs" / number["file"]
        assert file.parent.name == "results" or file.name == "theory.md"
        assert re.search(rf"(?<![\d.]){re.escape(number['value'])}(?![\d])", file.read_text(encoding="utf-8"))
    for file in filter(None, (entry.picture, entry.page)):
        assert (ROOT / "docs" / file).exists()


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_and_its_preset_are_there(command, tmp_path, monkeypatch, capsys):
    program, *words = shlex.split(command)
    if program == "python":
        script = words[0] if words[0] != "-m" else words[1].replace(".", "/") + ".py"
        assert (ROOT / script).is_file()
        return
    assert program == "gating"
    monkeypatch.chdir(tmp_path)
    assert main([*words, "--print_config"]) == 0, capsys.readouterr().err
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("status", ["made", "planned", "no public number"])
def test_planned_and_made_entries_have_a_command(status):
    chosen = [entry for entry in ENTRIES if entry.status == status]
    assert chosen
    assert all(entry.command for entry in chosen)


def test_an_entry_says_what_it_lacks():
    with pytest.raises(ValueError, match="`status` of 'Figure 9' must be one of"):
        Entry("Figure 9", "x", "done", "none public")
    with pytest.raises(ValueError, match="'Figure 9', which is made, must have command, ours, page, read"):
        Entry("Figure 9", "x", "made", "0.5")
