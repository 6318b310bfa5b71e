"""Writes the tables of results pages from committed ones, and says where numbers in sentences differ.

python -m docs.tables                # writes tables into pages, and drops from uncovered.yaml what is covered now
python -m docs.tables --check        # writes nothing; exit status 1 where something would change or differs
python -m docs.tables keep NAME RUN  # writes a table that tables.yaml declares, from a finished run
"""

import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import yaml

from docs.tables.committed import ROOT, keep
from docs.tables.pages import UNCOVERED, Made, documents, listed, made_pages, missing, unlisted, with_tables
from gating.runs.files import write_text


def problems(*, write: bool) -> Iterator[str]:
    """What is not as the committed tables have it, page by page; tables are written first where that is asked for."""
    made = {each.page: each for each in made_pages()}
    entries = listed()
    for file in documents():
        page = str(file.relative_to(ROOT))
        of = made.get(page, Made(page, {}, tuple))
        text = file.read_text(encoding="utf-8")
        anew = with_tables(text, of.tables)
        if write and anew != text:
            write_text(file, anew)
        elif anew != text:
            yield f"{page}: a table is not as it is computed; run `python -m docs.tables`"
        sentences = list(of.sentences())
        yield from (f"{page}: must say `{said}`" for said in missing(anew, sentences))
        found = Counter(unlisted(page, anew, sentences))
        for entry in (each for each in entries if each["page"] == page):
            there = Counter(entry["numbers"])
            gone = there - found
            if write:
                entry["numbers"] = _without(entry["numbers"], gone)
            else:
                yield from (f"{page}: `{number}` is listed in uncovered.yaml, and is not there" for number in gone)
            found -= there
        yield from (f"{page}: `{number}` is not computed from a committed table" for number in found.elements())
    if write:
        held = [entry for entry in entries if entry["numbers"]]
        write_text(
            UNCOVERED, yaml.safe_dump(held, sort_keys=False, width=120, allow_unicode=True, default_flow_style=None)
        )


def _without(numbers: list[str], gone: Counter[str]) -> list[str]:
    left, kept = Counter(gone), []
    for number in numbers:
        if left[number]:
            left[number] -= 1
        else:
            kept.append(number)
    return kept


def main(arguments: list[str]) -> int:
    """Does what the command asks for; returns its exit status."""
    if arguments[:1] == ["keep"] and len(arguments) == 3:
        keep(arguments[1], Path(arguments[2]))
        return 0
    if arguments not in ([], ["--check"]):
        print(__doc__, file=sys.stderr)
        return 2
    found = list(problems(write=not arguments))
    print(*found, sep="\n", file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
