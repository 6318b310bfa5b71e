"""Suites from the files of others, by the names of their columns; the user supplies the file.

| format | rows | of each row is used |
| --- | --- | --- |
| ``conflictqa`` | ConflictQA (Xie et al. 2024) | ``question``, ``ground_truth``, ``memory_answer``, ``parametric_memory``, ``counter_answer``, ``counter_memory`` |
| ``clasheval`` | ClashEval (Wu et al. 2024) | ``question``, ``context_original``, ``context_mod``, ``answer_original``, ``answer_mod``, ``mod_type``, ``dataset`` |
| ``counterfact`` | CounterFact (Meng et al. 2022) | ``requested_rewrite``: ``prompt``, ``subject``, ``target_true`` and ``target_new`` with ``str`` |
| ``nqswap`` | NQ-Swap (Longpre et al. 2021) | ``question``, ``org_context``, ``org_answer``, ``sub_context``, ``sub_answer`` |
"""  # noqa: E501

from __future__ import annotations

import ast
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd

from llm_finetune.conflict.suite import FILES, ConflictSuite, Item, Statement, read_conflict_suite, require_items
from llm_finetune.naming import mentions
from llm_finetune.suites import suite_files
from theory.fields import shown
from theory.settings import SpecError

__all__ = ["Format", "import_rows", "load_conflict_suite", "read_rows"]

Format = Literal["own", "conflictqa", "clasheval", "counterfact", "nqswap"]
Row = Mapping[str, Any]

COLUMNS: dict[str, tuple[str, ...]] = {
    "conflictqa": (
        "question",
        "ground_truth",
        "memory_answer",
        "parametric_memory",
        "counter_answer",
        "counter_memory",
    ),
    "clasheval": (
        "question",
        "context_original",
        "context_mod",
        "answer_original",
        "answer_mod",
        "mod_type",
        "dataset",
    ),
    "counterfact": ("requested_rewrite",),
    "nqswap": ("question", "org_context", "org_answer", "sub_context", "sub_answer"),
}


def load_conflict_suite(source: str, format: Format = "own") -> ConflictSuite:
    """A suite from its folder, or from a file of others.

    Args:
        source: ``facts``, a folder, or a file.
        format: how it is written.

    Raises:
        SpecError: it cannot be read, or has not the columns of its format.

    Example:
        >>> len(load_conflict_suite("facts").items)
        130
    """
    if format == "own":
        return read_conflict_suite(source)
    files = suite_files("conflict", source, **FILES)
    if len(files) > 1:
        raise SpecError([f"`suite` must be a file where `format` is {format!r}; got the folder {shown(source)}"])
    return import_rows(read_rows(files[0]), format, name=files[0].stem)


def read_rows(file: Path) -> list[dict[str, Any]]:
    """Rows of a file of JSON, JSON Lines, CSV or Parquet, by the end of its name.

    Args:
        file: ends in ``.json`` (a list, or an object on each line), ``.jsonl``, ``.csv``, ``.parquet`` or ``.pqt``.

    Raises:
        SpecError: it ends in something else, or cannot be read.
    """
    kind = file.suffix.lower()
    try:
        if kind in (".json", ".jsonl"):
            text = file.read_text(encoding="utf-8")
            rows = (
                json.loads(text) if text.lstrip()[:1] == "[" else [json.loads(x) for x in text.split("\n") if x.strip()]
            )
        elif kind == ".csv":
            rows = pd.read_csv(file, dtype=str, keep_default_na=False).to_dict("records")
        elif kind in (".parquet", ".pqt"):
            rows = pd.read_parquet(file).to_dict("records")
        else:
            raise SpecError([f"`suite` must end in .json, .jsonl, .csv, .parquet or .pqt; got {shown(file.name)}"])
    except (ValueError, OSError) as error:  # pyarrow and pandas raise subclasses of these
        if isinstance(error, SpecError):
            raise
        raise SpecError([f"`suite` must be a file that can be read; {shown(file.name)} is not: {error}"]) from error
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise SpecError([f"`suite` must be a file of rows; {shown(file.name)} holds something else"])
    return [{str(name): value for name, value in row.items()} for row in rows]


def import_rows(rows: Sequence[Row], format: Format, *, name: str = "imported") -> ConflictSuite:
    """A suite of rows with the columns of a format.

    Args:
        rows: the rows.
        format: whose columns they have, not ``own``.
        name: what to call it.

    Raises:
        ValueError: `format` is none of these.
        SpecError: a row lacks a column, or holds something else there, or fewer than two items come out.

    Example:
        >>> row = {"question": "who wrote it", "org_context": "Ann wrote it.", "org_answer": ["Ann"],
        ...        "sub_context": "Bob wrote it.", "sub_answer": ["Bob"]}
        >>> suite = import_rows([row, {**row, "question": "who sang it"}], "nqswap")
        >>> suite.items[0].answer, suite.items[0].contradicting[0].answer, suite.items[0].open
        ('Ann', 'Bob', True)
    """
    if format not in COLUMNS:
        raise ValueError(f"`format` must be one of {tuple(COLUMNS)}; got {shown(format)}")
    for number, row in enumerate(rows, 1):
        missing = [column for column in COLUMNS[format] if row.get(column) is None]
        if missing:
            raise SpecError([f"`suite` must have the columns {list(COLUMNS[format])}; row {number} lacks {missing}"])
    try:
        items = [item for item in READERS[format](rows) if item.contradicting]
    except (TypeError, KeyError, IndexError, AttributeError) as error:
        said = f"{type(error).__name__}: {error}"
        raise SpecError([f"`suite` must hold in its columns what {format!r} has there; got {said}"]) from error
    sizes = {s.size for item in items for s in item.contradicting} - {""}
    used = len(rows) if format == "clasheval" else len(items)
    if len(items) < 2:
        raise SpecError([f"`suite` must have two or more rows of which one answer is known to be right;"
                         f" got {len(items)} of {len(rows)}"])  # fmt: skip
    return ConflictSuite(name, require_items(items), tuple(sorted(sizes, key=_by_size)), len(rows) - used)


def _by_size(size: str) -> tuple[int, float, str]:
    try:
        return 0, abs(float(size)), size
    except ValueError:
        return 1, 0.0, size


def _texts(value: Any) -> list[str]:
    """A text, or a list of them, as pandas, JSON or a column of CSV holds it."""
    if isinstance(value, str) and value.strip()[:1] == "[" and value.strip()[-1:] == "]":
        with suppress(ValueError, SyntaxError):  # as pandas writes a list; JSON writes lists of texts alike
            value = ast.literal_eval(value.strip())
    values = list(value) if isinstance(value, (list, tuple, np.ndarray)) else [value]
    return [str(part).strip() for part in values]


def _made(number: int, group: str, question: str, right: Statement, others: Iterable[Statement],
          aliases: Sequence[str] = ()) -> Item:  # fmt: skip
    """An item; contexts that state the true answer after all are none that contradict."""
    stated = tuple(s for s in others if s.answer != right.answer)
    candidates = tuple(dict.fromkeys([right.answer, *(s.answer for s in stated)]))
    names = tuple(name for name in aliases if name != right.answer)
    return Item(f"{number}", group, question, right.answer, right.text, stated, candidates, names, open=True)


def _conflictqa(rows: Sequence[Row]) -> list[Item]:
    """Which of both answers is right is known where one of them names the ground truth and the other does not."""
    found = []
    for number, row in enumerate(rows, 1):
        truths = _texts(row["ground_truth"])
        both = [Statement(str(row[f"{a}_answer"]), str(row[text]))
                for a, text in (("memory", "parametric_memory"), ("counter", "counter_memory"))]  # fmt: skip
        right = [s for s in both if any(mentions(s.answer, truth) for truth in truths)]
        if len(right) == 1:
            found.append(_made(number, "all", str(row["question"]), right[0], both, truths))
    return found


def _nqswap(rows: Sequence[Row]) -> list[Item]:
    found = []
    for number, row in enumerate(rows, 1):
        right, other = _texts(row["org_answer"]), _texts(row["sub_answer"])
        question = str(row["question"]).strip()
        question = question if question.endswith("?") else f"{question}?"
        changed = Statement(other[0], str(row["sub_context"]))
        found.append(_made(number, "all", question, Statement(right[0], str(row["org_context"])), [changed], right))
    return found


def _counterfact(rows: Sequence[Row]) -> list[Item]:
    """The prompt is a sentence without its end: stated as it is, and asked as a sentence to be finished."""
    found = []
    for number, row in enumerate(rows, 1):
        held = row["requested_rewrite"]
        held = json.loads(held) if isinstance(held, str) else held
        said = str(held["prompt"]).replace("{}", str(held["subject"]))
        right, other = (Statement(t, f"{said} {t}.") for t in (held["target_true"]["str"], held["target_new"]["str"]))
        question = f'Finish the sentence "{said} ..." Only give the words that are missing.'
        found.append(_made(number, str(held.get("relation_id", "all")), question, right, [other]))
    return found


def _clasheval(rows: Sequence[Row]) -> list[Item]:
    """Rows of one question are its changes; their size is ``mod_type``, 0 where nothing is changed."""
    found = []
    table = pd.DataFrame(rows)
    for number, (_, part) in enumerate(table.groupby(["dataset", "question"], sort=False), 1):
        first = part.iloc[0]
        right = Statement(str(first["answer_original"]), str(first["context_original"]))
        changes = [
            Statement(str(answer), str(text), str(size))
            for answer, text, size in part[["answer_mod", "context_mod", "mod_type"]].values
            if str(size) != "0"
        ]
        one = {s.size: s for s in changes}  # of a size that stands twice, the last
        found.append(_made(number, str(first["dataset"]), str(first["question"]), right, one.values()))
    return [replace(item, id=f"{item.group} {item.id}") for item in found]


READERS: dict[str, Callable[[Sequence[Row]], list[Item]]] = {
    "conflictqa": _conflictqa,
    "clasheval": _clasheval,
    "counterfact": _counterfact,
    "nqswap": _nqswap,
}
