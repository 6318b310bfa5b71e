"""The page of every study in a real browser, at the widths of a desk and of a phone, in light and in dark mode."""

import re

import pytest
from filelock import FileLock
from reading import PHONE, reading

from gating.cli import main
from tests.golden.settings import CASES, run

pytestmark = [pytest.mark.browser, pytest.mark.filterwarnings("ignore")]  # of libraries that load models
QUICK = ("compare", "finetune", "sweep")
STUDIES = [each if each in QUICK else pytest.param(each, marks=pytest.mark.long) for each in (*CASES, "sweep")]
SWEEP = ["sweep", "bounds", "--over", "distribution.label_noise=[0,0.1]", "--over", "beta=[0.5,1]", "--out"]


@pytest.fixture(scope="module")
def page_of(small_runs):
    """Page of a small run of a study."""

    def page(study):
        if study != "sweep":
            return run(study, next(iter(CASES[study])), small_runs) / "report.html"
        small_runs.mkdir(exist_ok=True)
        file = small_runs / "sweep" / "report.html"
        with FileLock(small_runs / "sweep.lock"):
            assert file.exists() or main([*SWEEP, str(file.parent)]) == 0
        return file

    return page


@pytest.mark.parametrize("study", STUDIES)
def test_a_reader_at_a_desk_finds_the_answer_and_touches_charts_and_tables(browser, page_of, study, axe):
    """A mark tells its value, the legend filters, a table sorts; then, unfolded: nothing is cut, nothing keeps out."""
    with reading(browser, page_of(study)) as reader:
        _is_answered_first(reader)
        assert any(letter.isdigit() for letter in reader.told())
        _touch_legend(reader)
        reader.open_all()
        assert reader.cut() == []
        _touch_table(reader)
        assert reader.unreached() == []
        for mode in ("light", "dark"):
            assert reader.tab.evaluate("document.documentElement.dataset.theme") == mode
            assert reader.barriers(axe) == []
            ground = "getComputedStyle(document.body).backgroundColor"
            before = reader.tab.evaluate(ground)
            reader.tab.locator("#theme").click()
            assert reader.tab.evaluate(ground) != before


@pytest.mark.parametrize("study", STUDIES)
def test_a_reader_with_a_phone_whose_mode_is_dark_finds_the_answer_and_nothing_is_cut(browser, page_of, study):
    with reading(browser, page_of(study), PHONE, mode="dark") as reader:
        assert reader.tab.evaluate("document.documentElement.dataset.theme") == "dark"
        _is_answered_first(reader)
        reader.open_all()
        assert reader.cut() == []


def _is_answered_first(reader):
    """What came out lies in the first screen, with three to six sentences, or two of a table that bears no more."""
    answer, screen = reader.tab.locator("#answer"), reader.tab.viewport_size["height"]
    assert 0 < answer.bounding_box()["y"] + answer.bounding_box()["height"] <= screen
    assert 2 <= answer.locator("li").count() <= 7
    assert reader.cut() == []


def _touch_legend(reader):
    reader.tab.mouse.move(2, 2)
    before = reader.drawing()
    button = reader.tab.locator("figure").first.locator("> .controls button[aria-pressed]").first
    if button.count():
        button.click()
        assert button.get_attribute("aria-pressed") == "false"
        assert reader.drawing() != before
        button.click()
        assert reader.drawing() == before


def _touch_table(reader):
    table = reader.tab.locator("table.results").first
    names = table.locator("tbody th")
    table.locator("thead button").first.click()
    assert table.locator("thead th").first.get_attribute("aria-sort") == "ascending"
    up = names.all_inner_texts()
    table.locator("thead button").first.click()
    assert table.locator("thead th").first.get_attribute("aria-sort") == "descending"
    numbers, words = _numbers(up), len(set(up)) < len(up)
    assert _numbers(names.all_inner_texts()) == numbers[::-1] or words
    search = reader.tab.locator("input[type=search]").first
    if search.count():
        held = search.locator("xpath=ancestor::div[contains(@class,'controls')]/following-sibling::div[1]//tbody/tr")
        search.fill("no row says this")
        assert not any(row.is_visible() for row in held.all())
        search.fill("")


def _numbers(cells):
    """Cells that begin with a number, or all where none does: what is no number stands last in either order."""
    return [cell for cell in cells if re.match(r"-?[\d.]", cell)] or cells


def test_a_step_is_chosen_and_files_are_saved(browser, page_of):
    """The slider draws another step, and a figure is saved as SVG with real colours, its points and a table as CSV."""
    with reading(browser, page_of("compare")) as reader:
        before, slide = reader.drawing(), reader.tab.locator("figure input[type=range]").first
        slide.focus()
        reader.tab.keyboard.press("Home")
        assert reader.drawing() != before
        reader.tab.locator("details.more summary").first.click()
        for name, start in (("Save as SVG", "<svg"), ("Save points as CSV", "row,column,of,x,value,low,high")):
            with reader.tab.expect_download() as caught:
                reader.tab.get_by_role("button", name=name).first.click()
            text = caught.value.path().read_text()
            assert text.startswith(start)
            assert "var(--" not in text
        reader.tab.evaluate("document.querySelectorAll('details').forEach((part) => { part.open = true; })")
        with reader.tab.expect_download() as caught:
            reader.tab.locator("#parquet").click()
        assert caught.value.path().read_bytes()[:4] == b"PAR1"
