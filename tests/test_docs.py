"""What the documents name is there: files, pictures, statements."""

import re
from pathlib import Path

import pytest

from docs.theory.pictures import PICTURES

ROOT = Path(__file__).parents[1]
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
THEORY = (ROOT / "docs" / "theory.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda document: document.name)
def test_what_a_document_links_to_is_there(document: Path) -> None:
    text = re.sub(r"```.*?```|`[^`\n]*`|\$[^$]*\$", "", document.read_text(encoding="utf-8"), flags=re.DOTALL)
    for link in re.findall(r"\]\(([^)\s]+)\)", text):
        file, _, heading = link.partition("#")
        if not link.startswith(("http", "mailto")):
            place = document.parent / file if file else document
            assert place.exists(), link
            assert not heading or heading in anchors(place.read_text(encoding="utf-8")), link


def anchors(text: str) -> set[str]:
    """What a link to a heading ends in, as GitHub makes it."""
    headings = re.findall(r"^#+ (.*)$", text, flags=re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_theory_shows_the_pictures_that_its_script_draws() -> None:
    shown = re.findall(r"!\[[^]]+\]\(theory/([^)]+)\.svg\)", THEORY)
    assert sorted(shown) == sorted(file.stem for file in (ROOT / "docs" / "theory").glob("*.svg"))
    assert [figure.name for figure in (draw() for draw in PICTURES)] == shown


def test_every_statement_of_theory_is_in_the_table_of_claims_and_in_no_place_twice() -> None:
    stated = re.findall(r"^\*\*(\d+\.\d+) \(", THEORY, flags=re.MULTILINE)
    claims = (ROOT / "docs" / "claims.md").read_text(encoding="utf-8")
    claimed = re.findall(r"^\| (\d+\.\d+) \|", claims, flags=re.MULTILINE)
    assert len(stated) == len(set(stated)) > 100
    assert set(stated) == set(claimed)
