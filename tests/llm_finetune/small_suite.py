"""A suite of a user's own: two relations in two languages, taken from a given one."""

import shutil
from importlib import resources
from pathlib import Path

RELATIONS = resources.files("llm_finetune") / "data" / "collections" / "relations"
CARD = {"name": "mine", "description": "Where people live, and colours.", "licence": "CC0", "source": "me",
        "languages": "[en, zh]"}  # fmt: skip


def small_suite(folder: Path, names=("cities.en", "cities.zh", "colours.en", "colours.zh"), **card: str | None) -> Path:
    """Writes the folder of the suite; `card` changes lines of its ``suite.yaml``, None leaves one out."""
    folder.mkdir()
    for name in names:
        shutil.copy(str(RELATIONS / f"{name}.jsonl"), folder)
    lines = [f"{key}: {value}\n" for key, value in {**CARD, **card}.items() if value is not None]
    (folder / "suite.yaml").write_text("".join(lines), encoding="utf-8")
    return folder
