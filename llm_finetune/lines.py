"""Files of JSON Lines: an object on each line, and what is wrong with a line is named by its number."""

import json
from pathlib import Path
from typing import Any

from theory.settings import SpecError

__all__ = ["file_text", "json_rows"]


def file_text(file: Path, setting: str) -> str:
    """Text of a file.

    Args:
        file: its path.
        setting: the setting that names it, for errors.

    Raises:
        SpecError: it cannot be read, or is no text in UTF-8.
    """
    try:
        return file.read_text(encoding="utf-8")
    except (UnicodeDecodeError, OSError) as error:
        raise SpecError([f"`{setting}` must be a file of text in UTF-8; '{file}' is not: {error}"]) from None


def json_rows(name: str, text: str, problems: list[str]) -> dict[str, Any]:
    """What stands on each line that is not blank, by its place, such as ``mine.jsonl, line 3``.

    Args:
        name: what to call the file.
        text: its text.
        problems: a sentence is added for each line that is no JSON.

    Example:
        >>> problems = []
        >>> json_rows("mine", '{"a": 1}\\n\\n{', problems)
        {'mine, line 1': {'a': 1}}
        >>> problems
        ['mine, line 3: must be a JSON object; Expecting property name enclosed in double quotes at column 2']
    """
    rows = {}
    for number, line in enumerate(text.split("\n"), start=1):
        place = f"{name}, line {number}"
        try:
            if line.strip():
                rows[place] = json.loads(line)
        except json.JSONDecodeError as error:
            problems.append(f"{place}: must be a JSON object; {error.msg} at column {error.colno}")
    return rows
