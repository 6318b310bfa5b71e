"""The page of every study in a real browser, at the widths of a desk and of a phone, in light and in dark mode."""

import re

import pytest
from reading import DESKTOP, PHONE, reading

from gating.cli import main
from tests.golden.settings import CASES, run

pytestmark = [pytest.mark.browser, pytest.mark.filterwarnings("ignore")]  # of libraries that load models
STUDIES = [*CASES, "sweep"]


@pytest.fixture(scope="module")
def page_of(tmp_path_factory):
    """Page of a small run of a study, which is run once."""
    root = tmp_path_factory.mktemp("pages")

    def page(study):
        if study != "sweep":
            return run(study, next(iter(CASES[study])), root) / "report.html"
        folder = root / "sweep"
        if not folder.exists():
            over = ("distribution.label_noise=[0,0.1]", "beta=[0.5,1]")
            assert (
                main(["sweep", "bounds", *(part for each in over for part in ("--over", each)), "--out", str(folder)])
                == 0
            )
        return folder / "report.html"

    return page


@pytest.mark.parametrize("study", STUDIES)
@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desk", "phone"])
def test_a_page_answers_first_and_is_not_cut(browser, page_of, study, size):
    """What came out lies in the first screen, with three to six sentences; nothing sticks out, folded or unfolded."""
    with reading(browser, page_of(study), size) as reader:
        answer = reader.tab.locator("#answer")
        assert 0 < answer.bounding_box()["y"] + answer.bounding_box()["height"] <= size[1]
        assert 2 <= answer.locator("li").count() <= 7
        assert reader.cut() == []
        reader.open_all()
        assert reader.cut() == []


@pytest.mark.parametrize("study", STUDIES)
def test_charts_and_tables_can_be_touched(browser, page_of, study):
    """A mark tells its value; an entry of the legend filters; a panel can be left out; a table sorts and filters."""
    with reading(browser, page_of(study)) as reader:
        assert any(letter.isdigit() for letter in reader.told())
        _touch_legend(reader)
        reader.open_all()
        _touch_table(reader)


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


def _numbers(cells):
    """Cells that begin with a number, or all where none does: what is no number stands last in either order."""
    return [cell for cell in cells if re.match(r"-?[\d.]", cell)] or cells


@pytest.mark.parametrize("study", STUDIES)
def test_every_control_is_reached_by_keyboard_and_nothing_keeps_readers_out(browser, page_of, study, axe):
    """In light and in dark mode, unfolded; the button for the mode changes the colours."""
    with reading(browser, page_of(study)) as reader:
        reader.open_all()
        assert reader.unreached() == []
        for mode in ("light", "dark"):
            assert reader.tab.evaluate("document.documentElement.dataset.theme") == mode
            assert reader.barriers(axe) == []
            ground = "getComputedStyle(document.body).backgroundColor"
            before = reader.tab.evaluate(ground)
            reader.tab.locator("#theme").click()
            assert reader.tab.evaluate(ground) != before


def test_the_mode_of_the_machine_is_the_page_s(browser, page_of):
    with reading(browser, page_of("bounds"), mode="dark") as reader:
        assert reader.tab.evaluate("document.documentElement.dataset.theme") == "dark"


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
        reader.open_all()
        with reader.tab.expect_download() as caught:
            reader.tab.locator("#parquet").click()
        assert caught.value.path().read_bytes()[:4] == b"PAR1"
