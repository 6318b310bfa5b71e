"""A reader of a page: opens it, touches what can be touched, and notes what goes wrong."""

from contextlib import contextmanager

DESKTOP, PHONE = (1400, 900), (390, 844)
STOPS = "a[href], button, input, select, summary, [tabindex='0']"


class Reader:
    """A tab with a page, what it said on the console, and what it asked the network for."""

    def __init__(self, tab, file):
        self.tab, self.said, self.asked = tab, [], []
        tab.on("console", lambda line: self.said.append(line.text) if line.type in ("error", "warning") else None)
        tab.on("pageerror", lambda error: self.said.append(str(error)))
        tab.on("dialog", lambda dialog: (self.said.append(f"dialog: {dialog.message}"), dialog.dismiss()))
        tab.on("request", lambda request: self.asked.append(request.url))
        tab.goto(f"file://{file}")
        self.drawn()

    def drawn(self, place="figure"):
        """Waits until the first chart in a place is drawn."""
        self.tab.locator(f"{place} .chart").first.scroll_into_view_if_needed()
        self.tab.locator(f"{place} .chart[data-drawn]").first.wait_for(state="attached")
        self.tab.evaluate("window.scrollTo(0, 0)")

    def open_all(self):
        """Unfolds everything, and waits until every chart is drawn."""
        self.tab.evaluate("document.querySelectorAll('details').forEach((part) => { part.open = true; })")
        for chart in self.tab.locator(".chart").all():
            chart.scroll_into_view_if_needed()
        while self.tab.locator(".chart:not([data-drawn])").count():
            self.tab.wait_for_timeout(50)

    def cut(self):
        """What sticks out of the page to the right: charts, and the page itself where it scrolls sideways."""
        return self.tab.evaluate(
            """() => [...document.querySelectorAll('.chart svg')]
                .filter((svg) => svg.getBoundingClientRect().right > innerWidth + 1)
                .map((svg) => svg.closest('figure').id)
                .concat(document.documentElement.scrollWidth > innerWidth ? ['the page scrolls sideways'] : [])"""
        )

    def told(self):
        """What a reader is told who points at the marks of the first chart, one after the other, until one answers."""
        marks = self.tab.locator("figure .chart").first.locator(".mark-symbol path, .mark-rect path, .mark-rule line")
        for place in range(min(marks.count(), 60)):
            box = marks.nth(place).bounding_box()
            if not box or not marks.nth(place).is_visible():
                continue
            self.tab.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
            self.tab.wait_for_timeout(60)
            tip = self.tab.locator("#vg-tooltip-element.visible")
            if tip.count():
                return tip.inner_text()
        return ""

    def drawing(self):
        """Marks of the first chart, in no order."""
        self.tab.wait_for_timeout(150)
        marks = self.tab.locator("figure .chart").first.locator("svg path, svg line")
        return sorted(marks.evaluate_all("(marks) => marks.map((mark) => mark.outerHTML)"))

    def unreached(self):
        """Controls that the Tab key does not come to."""
        self.tab.evaluate("document.activeElement.blur(); window.scrollTo(0, 0)")
        wanted = self.tab.evaluate(
            f"""() => {{
                window.stops = [...document.querySelectorAll("{STOPS}")].filter((each) => each.checkVisibility());
                window.reached = new Set(); return window.stops.length; }}"""
        )
        for _ in range(wanted + 3):
            self.tab.keyboard.press("Tab")
            self.tab.evaluate("window.reached.add(document.activeElement)")
        return self.tab.evaluate(
            "window.stops.filter((each) => !window.reached.has(each)).map((each) => each.outerHTML.slice(0, 90))"
        )

    def barriers(self, axe):
        """Serious violations that axe-core finds, in words."""
        self.tab.evaluate(axe)
        found = self.tab.evaluate("axe.run(document, { resultTypes: ['violations'] })")["violations"]
        grave = [each for each in found if each["impact"] in ("serious", "critical")]
        return [f"{each['id']}: {each['help']}: {each['nodes'][0]['html'][:150]}" for each in grave]


@contextmanager
def reading(browser, file, size=DESKTOP, mode="light"):
    """A reader of a page, in a window of a size and a mode; at the end nothing may have gone wrong."""
    width, height = size
    context = browser.new_context(viewport={"width": width, "height": height}, color_scheme=mode)
    context.set_default_timeout(20_000)
    try:
        reader = Reader(context.new_page(), file)
        yield reader
        assert reader.said == []
        assert [url for url in reader.asked if not url.startswith(("file:", "blob:", "data:"))] == []
    finally:
        context.close()
