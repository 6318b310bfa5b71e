"""How long a slider's new map takes to be on the screen, alone and with twenty readers, as a Markdown table.

Needs the extra `explore`, Playwright and the system's Chromium, and a machine that does nothing else. Twenty readers
are twenty tabs that send moves, note when the map comes, and draw nothing: their browsers would be on other machines.

Run: python -m benchmarks.explorer
"""

import random
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import psutil
from playwright.sync_api import Browser, Page, sync_playwright

MOVES, READERS, SECONDS, EVERY = 60, 20, 60, 2.0
SETTINGS = {
    "error, L = 1": {},
    "log loss, L = 4": {"measure": "log_loss", "distribution.context_length": "4"},
    "random centres, log loss, L = 4": {"measure": "log_loss", "distribution.context_length": "4",
                                        "squared_distance": "null"},
    "noisy inputs": {"inputs": "noisy", "squared_distance": "null"},
}  # fmt: skip
SLIDERS = {"distribution.label_noise": (0.0, 0.5), "beta": (0.01, 10.0), "distribution.p_relevant": (0.0, 1.0),
           "distribution.input_noise": (0.05, 1.0)}  # fmt: skip

MOVE = """([key, share]) => new Promise((done) => {
  const slide = document.querySelector(`[data-key="${key}"] [type=range]`);
  const start = performance.now(), place = document.getElementById("map-a");
  slide.value = Number(slide.min) + share * (slide.max - slide.min);
  slide.dispatchEvent(new Event("input", { bubbles: true }));
  const watch = new MutationObserver(() => {
    if (place.dataset.shown !== document.body.dataset.asked || place.dataset.shown === before) return;
    watch.disconnect();
    requestAnimationFrame(() => setTimeout(() => done(performance.now() - start)));
  });
  const before = place.dataset.shown;
  watch.observe(place, { attributes: true });
  setTimeout(() => done(NaN), 60000);
})"""
DONE = "document.body.dataset.done !== undefined && document.body.dataset.done === document.body.dataset.asked"

READER = """
const took = (globalThis.took = []), wrong = (globalThis.wrong = []), open = new Map();
addEventListener("explorer-line", ({ detail }) => {
  let turn = 0;
  detail.hear((message) => {
    if (Object.keys(message.problems ?? {}).length) wrong.push(message);
    if (message.part !== "map") return;
    if (message.found.includes('"refused"')) wrong.push(message);
    for (const [asked, start] of [...open].filter(([asked]) => asked <= message.turn)) {
      took.push(performance.now() - start);
      open.delete(asked);
    }
  });
  globalThis.move = (a) => { turn += 1; open.set(turn, performance.now()); detail.send({ turn, a }); };
  globalThis.waiting = () => [...open.values()].map((start) => performance.now() - start);
});
"""


@contextmanager
def server() -> Iterator[tuple[str, psutil.Process]]:
    """Address and process of an explorer."""
    command = [sys.executable, "-m", "gating", "explore", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        found = next(filter(None, (re.search(r"at (http://\S+/)\.", line) for line in process.stdout)))
        yield found[1], psutil.Process(process.pid)
        process.terminate()


def memory(process: psutil.Process) -> float:
    """GiB that the server and its processes hold, shared pages counted once for each."""
    return sum(each.memory_info().rss for each in (process, *process.children(recursive=True))) / 2**30


def alone(browser: Browser, url: str, settings: dict[str, str]) -> tuple[list[float], list[str]]:
    """Milliseconds of each move of one reader, and what went wrong."""
    page = browser.new_page(viewport={"width": 1400, "height": 900})
    said: list[str] = []
    page.on("console", lambda line: said.append(line.text) if line.type == "error" else None)
    page.on("pageerror", lambda error: said.append(str(error)))
    page.set_default_timeout(120_000)
    page.goto(url + "?" + "&".join(f"{key}={value}" for key, value in settings.items()))
    page.wait_for_function(DONE)
    rng, took = random.Random(0), []
    for _ in range(MOVES):
        took.append(float(page.evaluate(MOVE, [rng.choice([*SLIDERS]), rng.random()])))
        page.wait_for_timeout(200)
    page.close()
    return took, said


def together(browser: Browser, url: str, process: psutil.Process) -> tuple[list[float], list[Any], float]:
    """Milliseconds of each move of many readers, what went wrong, and the most memory in GiB."""
    context = browser.new_context()
    context.route("**/explorer.js*", lambda route: route.fulfill(body=READER, content_type="text/javascript"))
    pages: list[Page] = []
    for _ in range(READERS):
        pages.append(context.new_page())
        pages[-1].goto(url)
        pages[-1].wait_for_function("globalThis.move !== undefined")
    rng, most, start = random.Random(1), 0.0, time.monotonic()
    due = [(start + EVERY * (turn + place / READERS), page) for turn in range(int(SECONDS / EVERY))
           for place, page in enumerate(pages)]  # fmt: skip
    for when, page in due:
        time.sleep(max(0.0, when - time.monotonic()))
        key, (low, high) = rng.choice([*SLIDERS.items()])
        page.evaluate("(a) => globalThis.move(a)", {key: f"{rng.uniform(low, high):.3g}"})
        most = max(most, memory(process))
    time.sleep(10)
    took = [each for page in pages for each in page.evaluate("[...globalThis.took, ...globalThis.waiting()]")]
    wrong = [each for page in pages for each in page.evaluate("globalThis.wrong")]
    return took, wrong, most


def main() -> None:
    print("| readers | setting | moves | median ms | p95 ms | largest ms | errors | memory, GiB |")
    print("| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: |")
    with server() as (url, process), sync_playwright() as player:
        chromium = shutil.which("chromium") or shutil.which("google-chrome")
        browser = player.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        for name, settings in SETTINGS.items():
            took, said = alone(browser, url, settings)
            row(1, name, took, said, memory(process))
        took, wrong, most = together(browser, url, process)
        row(READERS, "error, L = 1", took, wrong, most)


def row(readers: int, name: str, took: list[float], wrong: list[Any], most: float) -> None:
    ends = " | ".join(f"{end:.0f}" for end in (*np.nanpercentile(took, [50, 95]), np.nanmax(took)))
    lost = len(wrong) + int(np.isnan(took).sum())
    print(f"| {readers} | {name} | {len(took)} | {ends} | {lost} | {most:.2f} |", flush=True)


if __name__ == "__main__":
    main()
