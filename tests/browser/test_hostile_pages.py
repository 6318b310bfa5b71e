"""Pages full of names that would be code, in a real browser: nothing of them runs, and everything is drawn."""

import pytest
from reading import reading

from tests.golden.settings import CASES, run
from tests.hostile import generic_files, harmless, in_turn, study_files, sweep_files

pytestmark = [pytest.mark.browser, pytest.mark.filterwarnings("ignore")]  # of libraries that load models
PAGES = ["generic 0", "generic 17", "generic 31", "sweep", *CASES]


@pytest.fixture(scope="module")
def files_of(tmp_path_factory):
    """Page and plots, by what they are of and how things in them are called."""
    root = tmp_path_factory.mktemp("hostile")

    def files(of, name):
        if of.startswith("generic"):
            return generic_files(name)
        study = "bounds" if of == "sweep" else of
        folder = run(study, next(iter(CASES[study])), root)
        return sweep_files(folder, name) if of == "sweep" else study_files(folder, name)

    return files


def shape(browser, file):
    """How many elements of each kind a page has when everything in it is drawn and unfolded; it may not complain."""
    with reading(browser, file) as reader:
        reader.open_all()
        reader.told()
        assert reader.tab.locator("img, iframe, object, embed, link, base").count() == 0
        assert reader.tab.locator("script").count() == 2
        assert reader.tab.evaluate("[...document.querySelectorAll('*')].flatMap((each) => [...each.attributes])"
                                   ".filter((each) => each.name.startsWith('on')).length") == 0  # fmt: skip
        return reader.tab.evaluate(
            """() => Object.fromEntries(['figure', 'form', 'fieldset', 'table', 'tr', 'td', 'button', 'details', 'li',
                '.chart svg', '.mark-symbol path', '.mark-rect path', '.mark-line path']
                .map((kind) => [kind, document.querySelectorAll(kind).length]))"""
        )


@pytest.mark.parametrize("of", PAGES)
def test_nothing_runs_and_everything_is_drawn(browser, files_of, tmp_path, of):
    start = int(of.removeprefix("generic ")) if of.startswith("generic") else 5
    shapes = []
    for place, name in enumerate((in_turn(start), harmless)):
        file = tmp_path / f"{place}.html"
        file.write_text(files_of(of, name)["report.html"], encoding="utf-8")
        shapes.append(shape(browser, file))
    assert shapes[0] == shapes[1]
