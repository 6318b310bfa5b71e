"""Looks through a built site: every link, anchor and picture leads somewhere, and nothing is loaded from elsewhere.

python -m docs.site.check docs/_build/html
"""

import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

__all__ = ["problems"]

LOADED = {"script": "src", "link": "href", "img": "src", "source": "src", "iframe": "src", "object": "data"}
"""What a browser loads when a page is opened."""
NOT_LOADED = {"canonical", "index", "next", "prev", "search"}
"""Kinds of ``link`` that it does not."""


class _Page(HTMLParser):
    """Links, anchors and loaded files of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: set[str] = set()
        self.loaded: set[str] = set()
        self.anchors: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        held = {name: value or "" for name, value in attrs}
        self.anchors |= {held[name] for name in ("id", "name") if held.get(name)}
        if tag == "a" and held.get("href"):
            self.links.add(held["href"])
        if held.get(LOADED.get(tag, "")) and not NOT_LOADED & set(held.get("rel", "").split()):
            self.loaded.add(held[LOADED[tag]])


def problems(site: Path) -> list[str]:
    """A sentence for each link that leads nowhere, and for each file that a page would load from elsewhere."""
    pages = {file.resolve(): _Page(file.read_text(encoding="utf-8")) for file in sorted(site.rglob("*.html"))}
    found = []
    for file, page in pages.items():
        name = file.relative_to(site.resolve())
        for target in sorted(page.links | page.loaded):
            parts = urlsplit(target)
            if parts.scheme or parts.netloc:
                if target in page.loaded and parts.scheme != "data":
                    found.append(f"{name} loads {target} from elsewhere")
                continue
            place = (file.parent / unquote(parts.path)).resolve() if parts.path else file
            if not place.is_file():
                found.append(f"{name} leads to {target}, which is not there")
            elif parts.fragment and place in pages and unquote(parts.fragment) not in pages[place].anchors:
                found.append(f"{name} leads to {target}, which has no such place")
    return found if pages else [f"{site} holds no page"]


if __name__ == "__main__":
    told = problems(Path(sys.argv[1]))
    print("\n".join(told) or f"{sys.argv[1]}: every link leads somewhere, and nothing is loaded from elsewhere")
    sys.exit(bool(told))
