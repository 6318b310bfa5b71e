"""The paper index: `python -m docs.site.papers` writes docs/papers.md from docs/papers.yaml."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from gating.runs.files import write_text

__all__ = ["STATUSES", "Entry", "load", "markdown"]

DOCS = Path(__file__).parents[1]
STATUSES = {
    "made": "ours was made at the size that its page says, and stands beside the published number",
    "planned": "the command is there, with its preset; it was not run at that size",
    "no public number": "ours was made; nothing public is to be set beside it",
    "not reproduced": "there is no command for it, for the reason given",
}
READ = {"code": "public code or text", "picture": "off a public picture; errors and distances to about 0.05"}
NEEDED = {
    "made": {"command", "published", "read", "ours", "page"},
    "planned": {"command", "published"},
    "no public number": {"command", "published", "page"},
    "not reproduced": {"published", "why"},
}


@dataclass(frozen=True)
class Entry:
    """One figure or table of a paper, and ours."""

    figure: str
    shows: str
    status: str
    published: str
    read: str = ""
    command: str = ""
    ours: tuple[dict[str, str], ...] = ()
    picture: str = ""
    page: str = ""
    why: str = ""

    def __post_init__(self) -> None:
        if self.status not in STATUSES:
            raise ValueError(f"`status` of {self.figure!r} must be one of {list(STATUSES)}; got {self.status!r}")
        missing = sorted(name for name in NEEDED[self.status] if not getattr(self, name))
        if missing:
            raise ValueError(f"{self.figure!r}, which is {self.status}, must have {', '.join(missing)}")
        if self.read and self.read not in READ:
            raise ValueError(f"`read` of {self.figure!r} must be one of {list(READ)}; got {self.read!r}")


def load(file: Path = DOCS / "papers.yaml") -> list[tuple[dict[str, str], list[Entry]]]:
    """Papers, each with its entries.

    Raises:
        ValueError: an entry has a status that there is not, or lacks what its status needs.
    """
    papers: list[dict[str, Any]] = yaml.safe_load(file.read_text(encoding="utf-8"))["papers"]
    return [
        (paper, [Entry(**{**entry, "ours": tuple(entry.get("ours", ()))}) for entry in paper.pop("entries")])
        for paper in papers
    ]


def markdown() -> str:
    """The text of docs/papers.md."""
    papers = load()
    lines = [
        "# Paper index",
        "",
        "Every figure and table of the two papers that this project begins from, and of others that are built here:",
        "the command that makes ours, our picture, and the published number beside ours.",
        "",
        "| status | meaning | how many |",
        "| --- | --- | ---: |",
    ]
    entries = [entry for _, of_paper in papers for entry in of_paper]
    for status, meaning in STATUSES.items():
        lines.append(f"| {status} | {meaning} | {sum(entry.status == status for entry in entries)} |")
    lines += [
        "",
        "Ours come with their 95% intervals, and each stands in the page that is named. This page is made from",
    ]
    lines += ["[papers.yaml](papers.yaml) by `python -m docs.site.papers`.", ""]
    for paper, of_paper in papers:
        lines += [f"## {paper['name']}", "", f"*{paper['title']}.* {paper['note'].strip()}", ""]
        lines += [line for entry in of_paper for line in _entry(entry)]
    return "\n".join(lines).rstrip() + "\n"


def _entry(entry: Entry) -> list[str]:
    """An entry as a heading with what there is of it below."""
    told = entry.published[:1].upper() + entry.published[1:]
    lines = [f"### {entry.figure}", "", f"{entry.shows[:1].upper()}{entry.shows[1:]}. **Status: {entry.status}.**", ""]
    if entry.ours:
        lines += ["| | |", "| --- | --- |", f"| published | {told}{_read(entry)} |"]
        lines += [f"| ours: {number['what']} | {number['value']} |" for number in entry.ours]
    else:
        lines += [f"Published: {entry.published}{_read(entry)}."]
    lines += [""]
    if entry.command:
        lines += ["```", entry.command, "```", ""]
    if entry.picture:
        lines += [f"![{entry.figure}, ours: {entry.shows}]({entry.picture})", ""]
    more = [f"{entry.why[:1].upper()}{entry.why[1:]}."] if entry.why else []
    more += [f"More: [{entry.page.removeprefix('../')}]({entry.page})."] if entry.page else []
    return [*lines, *([" ".join(more), ""] if more else [])]


def _read(entry: Entry) -> str:
    return f" (read in {READ['code']})" if entry.read == "code" else f" (read {READ['picture']})" if entry.read else ""


if __name__ == "__main__":
    write_text(DOCS / "papers.md", markdown())
