"""Pages full of names that would be code, in a real browser: nothing of them runs, and everything is drawn."""

import pytest
from reading import reading

from tests.golden.settings import CASES, run
from tests.hostile import generic_page, in_turn, study_page, sweep_page_of

pytestmark = [pytest.mark.browser, pytest.mark.filterwarnings("ignore")]  # of libraries that load models
FOREIGN = "img, iframe, object, embed, link, base, form[action], a:not([href^='#'])"
HANDLERS = """[...document.querySelectorAll('*')].flatMap((each) => [...each.attributes])
              .filter((each) => each.name.startsWith('on')).length"""


def page(of, runs):
    """A page of which every text is a name that would be code: of somebody's own study, of a study, or of a sweep."""
    if of == "generic":
        return generic_page(in_turn(17))
    folder = run("bounds" if of == "sweep" else of, next(iter(CASES["bounds" if of == "sweep" else of])), runs)
    return (sweep_page_of if of == "sweep" else study_page)(folder, in_turn(5))


@pytest.mark.parametrize(
    "of",
    ["sweep", "compare", *(pytest.param(of, marks=pytest.mark.long) for of in ("generic", *CASES) if of != "compare")],
)
def test_nothing_runs_and_everything_is_drawn(browser, small_runs, tmp_path, of):
    file = tmp_path / "page.html"
    file.write_text(page(of, small_runs), encoding="utf-8")
    with reading(browser, file) as reader:
        reader.open_all()
        reader.told()
        assert reader.tab.locator(FOREIGN).count() == 0
        assert reader.tab.locator("script").count() == 2
        assert reader.tab.evaluate(HANDLERS) == 0
        for figure in reader.tab.locator("figure").all():
            assert figure.locator(".chart svg").count() == 1
            assert figure.locator(".mark-symbol path, .mark-rect path, .mark-line path, .mark-rule line").count() > 0
