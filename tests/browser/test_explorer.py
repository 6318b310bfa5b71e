"""The explorer in a real browser: every control, the click, the address, each export, and what is hostile."""

import io
import json
import re
import shlex
import subprocess
import sys
import time
from contextlib import contextmanager

import pandas as pd
import pytest
from reading import DESKTOP, PHONE, Reader

from gating.cli import main
from gating.explore.app import body, controls, script
from gating.explore.parts import shown
from gating.explore.setting import read_setting
from gating.explore.static import static_page
from tests.golden.settings import CASES, run

pytestmark = [pytest.mark.browser, pytest.mark.filterwarnings("ignore")]  # of libraries that load models
SMALL = "x.count=13&y.count=13"
PATIENCE = 180  # seconds
DONE = "document.body.dataset.done !== undefined && document.body.dataset.done === document.body.dataset.asked"


@pytest.fixture(scope="module")
def server(small_runs):
    """Address of an explorer with runs of small models and of a language model laid over."""
    folders = [str(run(study, next(iter(CASES[study])), small_runs)) for study in ("compare", "finetune")]
    command = [sys.executable, "-m", "gating", "explore", *folders, "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        found = next(filter(None, (re.search(r"at (http://\S+/)\.", line) for line in process.stdout)))
        yield found[1]
        process.kill()


class Exploring(Reader):
    """A reader of the explorer."""

    def __init__(self, tab, url):
        self.tab, self.said, self.asked = tab, [], []
        tab.on("console", lambda line: self.said.append(line.text) if line.type in ("error", "warning") else None)
        tab.on("pageerror", lambda error: self.said.append(str(error)))
        tab.on("dialog", lambda dialog: (self.said.append(f"dialog: {dialog.message}"), dialog.dismiss()))
        tab.on("request", lambda request: self.asked.append(request.url))
        self.open(url)

    def open(self, url):
        self.tab.goto(url)
        self.settled()

    def settled(self):
        """Waits until all that was asked is answered."""
        self.tab.wait_for_timeout(120)
        self.until(DONE)

    def until(self, holds):
        """Waits until something holds, without making functions of text, which a page may forbid."""
        end = time.monotonic() + PATIENCE
        while not self.tab.evaluate(holds):
            assert time.monotonic() < end, holds
            self.tab.wait_for_timeout(20)

    def setting(self):
        """What the address says."""
        pairs = self.tab.evaluate("[...new URLSearchParams(location.search)]")
        return {key: value for key, value in pairs if key not in ("b", "side", "step") and not key.startswith("b.")}

    def lines(self, part, side="a"):
        """What a part says."""
        return self.tab.locator(f"#{part}-{side} .said").inner_text()

    def export(self, part, form, side="a"):
        """A part as text."""
        self.tab.evaluate(f"document.querySelector('#{part}-{side} .export').closest('details').open = true")
        button = self.tab.locator(f"#{part}-{side} .export[data-form={form}]")
        if form in ("csv", "svg"):
            with self.tab.expect_download() as caught:
                button.click()
            return caught.value.path().read_text()
        self.tab.evaluate(f"document.querySelector('#{part}-{side} pre').textContent = ''")
        button.click()
        self.until(f"document.querySelector('#{part}-{side} pre').textContent !== ''")
        return self.tab.locator(f"#{part}-{side} pre").inner_text()


@contextmanager
def exploring(browser, url, size=DESKTOP, mode="light", origin=""):
    """A reader; at the end nothing may have gone wrong, and no other machine may have been asked."""
    width, height = size
    context = browser.new_context(viewport={"width": width, "height": height}, color_scheme=mode)
    context.set_default_timeout(1000 * PATIENCE)
    try:
        reader = Exploring(context.new_page(), url)
        yield reader
        assert reader.said == []
        assert [each for each in reader.asked if not each.startswith((origin or url, "blob:", "data:"))] == []
    finally:
        context.close()


def test_every_control_moves_the_setting_and_the_address_brings_it_back(browser, server):
    """Each slider by the keyboard, each list, each switch, each field that is typed; then the page anew."""
    with exploring(browser, f"{server}?{SMALL}", origin=server) as reader:
        tab = reader.tab
        for key, control in ((k, c) for group in controls() for k, c in group["controls"].items()):
            before, where = reader.setting().get(key), tab.locator(f'.control[data-key="{key}"]')
            slide, listed = where.locator("[type=range]"), where.locator("select")
            if slide.count():
                slide.focus()
                tab.keyboard.press("ArrowLeft" if key.endswith("n_relevant") else "ArrowRight")
            elif listed.count():
                options = listed.locator("option").evaluate_all("(all) => all.map((each) => each.value)")
                listed.select_option(next(each for each in options if each != listed.input_value()))
            elif control.get("switch"):
                where.locator("input").click()
            else:
                usual = {"low": "20", "high": "500", "query_frequencies": "[0.5, 0.3, 0.2]"}
                where.locator("input").fill(usual[key.rpartition(".")[2]])
                tab.keyboard.press("Tab")
            tab.wait_for_timeout(60)
            assert reader.setting().get(key) != before, key
            reader.settled()
            texts = reader.setting()
            if tab.locator("#problems p").count():  # some do not go together: said, and taken back
                tab.goto(f"{server}?{SMALL}")
                reader.settled()
            else:
                assert read_setting(texts)
        tab.goto(f"{server}?{SMALL}&distribution.zipf=1.5&n_sequences=77&measure=log_loss")
        reader.settled()
        assert tab.locator("#set-distribution-zipf").input_value() == "1.5"
        assert tab.locator("#set-n_sequences").input_value() == "77"
        assert tab.locator("#set-measure").input_value() == "log_loss"


def test_a_click_on_the_map_sets_the_point_and_moves_the_curves(browser, server):
    with exploring(browser, f"{server}?{SMALL}&distribution.n_high=2", origin=server) as reader:
        before, curves = reader.setting(), reader.lines("curves")
        ground = reader.tab.locator("#map-a [class*='concat_1'] path.background").first.bounding_box()
        at = ground["x"] + 0.1 * ground["width"], ground["y"] + 0.05 * ground["height"]
        reader.tab.mouse.click(*at)
        reader.settled()
        after = read_setting(reader.setting())
        x, y = after.x.points, after.y.points
        assert (after.n_sequences, after.distribution.p_high) == (x[1], y[-1])
        assert reader.setting() != before
        assert reader.lines("curves") != curves
        rare = re.search(r"Rare classes: .*? from N = ([\d,]+) on", reader.lines("curves"))
        rows = pd.read_csv(io.StringIO(reader.export("curves", "csv")))
        exact = rows[(rows["measure"] == "crossover_error") & (rows["group"] == "low") & (rows["kind"] == "exact")]
        assert float(rare[1].replace(",", "")) == exact["value"].item()


def test_what_is_exported_is_what_is_on_the_screen(browser, server, capsys):
    """Command, YAML and Python give the shares that the map says; the SVG has the cells of the screen."""
    with exploring(browser, f"{server}?{SMALL}&b=1&b.x.count=13&b.y.count=13&b.beta=0.3", origin=server) as reader:
        texts = {form: reader.export("map", form) for form in ("command", "yaml", "python", "csv")}
        assert "--beta 0.3" in reader.export("map", "command", "b")
        assert "--beta" not in texts["command"]
        table = pd.read_csv(io.StringIO(texts["csv"]), float_precision="round_trip")
        shares = table[(table["measure"] == "share_icl") & (table["group"] == "low")]["value"].item()
        assert f"from the context in {100 * shares:.0f}% of the settings" in reader.lines("map").split("Rare")[1]
        assert main([*shlex.split(texts["command"])[1:], "--json"]) == 0
        answers = json.loads(capsys.readouterr().out)["answers"]
        assert shares in [row["value"] for row in answers if row["measure"] == "share_icl" and row["group"] == "low"]
        space: dict = {}
        exec(texts["python"], space)
        values = space["table"]["value"].to_numpy()
        assert (values == table["value"].to_numpy()).all()
        assert f"p_high: {read_setting(reader.setting()).distribution.p_high}" in texts["yaml"]
        svg = reader.export("map", "svg")
        assert svg.startswith("<svg")
        assert "var(--" not in svg
        assert svg.count("mark-rect") == reader.tab.locator("#map-a .chart svg .mark-rect").count()


HOSTILE = [
    ("evil=%3Cscript%3Ealert(1)%3C/script%3E", "unknown key `evil`"),
    ("distribution.n_high=1e999", "`distribution.n_high` must be an integer >= 0"),
    ("distribution.n_high=1048570", "there must be at most 200 classes"),
    ("x.field=__class__&measure=%22%3E%3Cimg%20src=x%20onerror=alert(1)%3E", "`measure` must be one of"),
    ("config=/etc/passwd", "unknown key `config`"),
    ("beta=" + "9" * 5000, "an address must have at most 4000 characters"),
    ("b=1&b.temperature=-1", "Second setting: `temperature` must be a finite number > 0; got -1"),
    ("step=NaN&side=b&distribution.query_frequencies=[%26a%20*a]", "`distribution.query_frequencies`"),
]


def test_a_hostile_address_gets_a_sentence(browser, server):
    with exploring(browser, server) as reader:
        for query, sentence in HOSTILE:
            reader.open(f"{server}?{query}")
            assert sentence in reader.tab.locator("#problems").inner_text(), query
            assert "Traceback" not in reader.tab.content()
            assert reader.tab.locator("#problems img, #problems script").count() == 0
        reader.said = [line for line in reader.said if "status of 4" not in line]


def test_runs_lie_over_theory_with_language_models_beside_and_a_step_is_chosen(browser, server):
    with exploring(browser, f"{server}?{SMALL}", origin=server) as reader:
        tab = reader.tab
        reader.open_all()
        figures = tab.locator("#runs-a figure")
        assert figures.count() == 3
        assert "Theory, copying (exact)" in figures.nth(0).inner_text()
        assert "Language model, memory=1" in figures.nth(2).inner_text()
        assert "Transformer, N = 16" in figures.nth(2).inner_text()
        chart, slide = figures.nth(0).locator(".chart"), figures.nth(0).locator("[id^=step]")
        marks = chart.locator("svg .mark-symbol path")
        before = marks.evaluate_all("(all) => all.map((each) => each.outerHTML)")
        slide.focus()
        tab.keyboard.press("Home")
        tab.wait_for_timeout(400)
        assert marks.evaluate_all("(all) => all.map((each) => each.outerHTML)") != before
        step = re.search(r"step=(\d+)", tab.url)[1]
        tab.reload()
        reader.settled()
        figures.nth(0).locator(".chart").scroll_into_view_if_needed()
        assert int(figures.nth(0).locator("output").inner_text().replace(",", "")) == int(step)
        tab.locator(".take").first.click()
        reader.settled()
        assert "those of this setting" in reader.lines("runs")


ALONE = """<!DOCTYPE html><html><body>{body}<script>
  const sent = [];
  let answer;
  const send = (message) => sent.push(structuredClone(message));
  globalThis.explorerLine = {{ send, hear: (heard) => (answer = heard) }};
</script><script type="module">{script}</script></body></html>"""
MOVES = """async () => {
  const pause = (time) => new Promise((done) => setTimeout(done, time));
  const box = document.getElementById("set-n_sequences");
  const move = (value) => { box.value = value; box.dispatchEvent(new Event("change", { bubbles: true })); };
  const taken = document.querySelector("#map-a pre");
  await pause(200);
  taken.hidden = false;
  move("50");
  while (sent.at(-1).a.n_sequences !== "50") await pause(1);
  move("70"); // before the answer, and before it is asked
  answer({ turn: sent.at(-1).turn, problems: {}, texts: { a: sent.at(-1).a } });
  await pause(200);
  return [sent.at(-1).a.n_sequences, box.value, taken.hidden];
}"""


def test_an_answer_takes_no_later_move_back_and_what_was_copied_out_is_not_left_beside_other_settings(
    browser, tmp_path
):
    file = tmp_path / "alone.html"
    runs = {"run": {"distribution.dim": "3"}}
    file.write_text(ALONE.format(body=body(live=True, runs=runs), script=script()), encoding="utf-8")
    context = browser.new_context()
    tab = context.new_page()
    for address, first in (("", {"distribution.dim": "3"}), ("?", {})):  # what was set to the usual stays so
        tab.goto("about:blank")
        tab.goto(f"file://{file}{address}")
        assert tab.evaluate("sent[0].a") == first
    assert tab.evaluate(MOVES) == ["70", "70", True]
    found = shown("map", read_setting({"x.count": "3", "y.count": "3"}))
    tab.evaluate("(found) => answer({ turn: 9, side: 'a', part: 'map', found })", found)
    tab.evaluate("document.querySelector('#map-a details').open = true")
    with tab.expect_download() as caught:
        tab.locator("#map-a").get_by_role("button", name="Save points as CSV").click()
    table = pd.read_csv(caught.value.path())
    here = table[table["of"] == "this setting"]
    assert [set(here["x"]), set(here["value"])] == [{70}, {0.9}]  # where it is on the screen
    context.close()


@pytest.mark.parametrize(
    ("size", "mode"),
    [pytest.param(DESKTOP, "light", id="desk"), pytest.param(PHONE, "dark", id="phone", marks=pytest.mark.long)],
)
def test_nothing_keeps_a_reader_out(browser, server, axe, size, mode):
    """Two settings beside each other: nothing is cut, everything is reached by the keyboard, axe-core finds nothing."""
    with exploring(browser, f"{server}?{SMALL}&b=1", size, mode, origin=server) as reader:
        reader.open_all()
        assert reader.cut() == []
        assert reader.barriers(axe) == []
        reader.tab.locator("#theme").click()
        assert reader.barriers(axe) == []
        assert [each for each in reader.unreached() if 'type="radio"' not in each] == []


def test_the_file_without_a_server_answers_by_itself(browser, axe, tmp_path):
    file = tmp_path / "explorer.html"
    grid = {"distribution.label_noise": ("0.0", "0.2"), "distribution.p_high": ("0.7", "0.9")}
    file.write_text(static_page(grid), encoding="utf-8")
    with exploring(browser, f"file://{file}", PHONE, "dark", origin="file:") as reader:
        reader.open_all()
        assert reader.cut() == []
        assert reader.barriers(axe) == []
        before = reader.lines("map"), reader.lines("curves")
        reader.tab.locator("#set-distribution-label_noise").select_option("0.2")
        reader.settled()
        assert all(now != was for now, was in zip((reader.lines("map"), reader.lines("curves")), before, strict=True))
        reader.tab.locator("#map-a .chart").scroll_into_view_if_needed()
        ground = reader.tab.locator("#map-a [class*='concat_1'] path.background").first.bounding_box()
        reader.tab.mouse.click(ground["x"] + 0.2 * ground["width"], ground["y"] + 0.8 * ground["height"])
        reader.settled()
        assert "Curves are of p_high = 0.7, the nearest that this file has." in reader.lines("curves")
