"""Data of people's own: prompts with completions, and conversations, from a file or a `datasets` table, as tokens.

Each row is an object with one of

- ``prompt`` and ``completion``: two texts; or two lists of messages, of which the completion's are learned;
- ``messages``: a conversation, a list of objects with ``role`` (``system``, ``user`` or ``assistant``) and ``content``,
  which the assistant ends.

Other keys are passed over. In a chat, a prompt and its completion are a question and an answer; as plain text they
stand as they are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from llm_finetune.conversations import Learn, Passage, passages
from llm_finetune.lines import json_rows
from llm_finetune.prompts import IGNORED, Prompter, Row
from llm_finetune.tokens import encode, end_token
from theory.fields import shown
from theory.settings import SpecError
from theory.validation import require_choice, require_integer

__all__ = ["data_rows", "read_data"]

ROLES = ("system", "user", "assistant")
MOST_PROBLEMS = 20


def read_data(file: str | Path) -> Iterator[tuple[str, Any]]:
    """Rows of a file of JSON Lines or Parquet, each with where it stands, such as ``mine.jsonl, line 3``.

    Raises:
        SpecError: the file is not there, or not of such a kind; or a sentence for each line that is no JSON.
    """
    path = Path(file)
    if not path.is_file():
        raise SpecError([f"`data.file` must be an existing file of JSON Lines or Parquet; got {shown(str(file))}"])
    try:
        if path.suffix == ".parquet":
            from pyarrow import parquet

            rows = parquet.read_table(path).to_pylist()
            return iter([(f"{file}, row {number}", row) for number, row in enumerate(rows, start=1)])
        text = path.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:  # pyarrow's are ValueErrors
        reason = str(error).split("\n")[0]
        raise SpecError([f"`data.file` must be JSON Lines in UTF-8 or Parquet; '{file}' is not: {reason}"]) from error
    problems: list[str] = []
    found = json_rows(str(file), text, problems)
    _require_none(problems)
    return iter(found.items())


def data_rows(
    rows: str | Path | Iterable[Mapping[str, Any]],
    prompter: Prompter,
    *,
    learn: Learn = "every",
    max_length: int | None = None,
    context: int | None = None,
    say: Callable[[str], None] = print,
) -> list[Row]:
    """Rows of one's own data as tokens, for `finetune`.

    Args:
        rows: a file of JSON Lines or Parquet, or rows such as those of a `datasets.Dataset`.
        prompter: renders them; its tokenizer is the model's.
        learn: ``every`` turn of the assistant in a conversation, or the ``last`` one.
        max_length: longest row in tokens, >= 2; longer ones are cut at their end, and those of which nothing is left to
            learn are left out. None cuts none.
        context: longest row that the model takes; None for any length.
        say: is told how many rows are cut and left out.

    Returns:
        The rows, one or more.

    Raises:
        SpecError: a sentence for each row that is malformed, cannot be rendered or is longer than `context`, with its
            line; or nothing is left to learn.

    Example:
        >>> rows = data_rows([{"prompt": "Hi", "completion": "Ho"}], Prompter(tokenizer, chat=True))  # doctest: +SKIP
    """
    require_choice("learn", learn, ("every", "last"))
    if max_length is not None:
        require_integer("max_length", max_length, least=2)
    placed = (
        read_data(rows)
        if isinstance(rows, (str, Path))
        else ((f"row {number}", row) for number, row in enumerate(rows, start=1))
    )
    found, problems, cut, dropped = list[Row](), list[str](), 0, 0
    for place, given in placed:
        own = list(_row_problems(given))
        try:
            made = [] if own else [_tokens(prompter, passage) for passage in _passages(prompter, given, learn)]
        except ValueError as error:
            own, made = [str(error)], []
        for row in made:
            length = len(row.prompt) + len(row.answer)
            if max_length is not None and length > max_length:
                cut += 1
                row = row.cut(max_length)
            if context is not None and len(row.prompt) + len(row.answer) > context:
                own.append(f"{length} tokens do not fit into the model's context of {context}; `max_length` cuts rows")
            elif row.learned:
                found.append(row)
            else:
                dropped += 1
        problems += [f"{place}: {problem}" for problem in own]
    _require_none(problems)
    if cut:
        left_out = f"; {dropped} of them had nothing to learn before that, and are left out" if dropped else ""
        say(f"{cut} of {len(found) + dropped} rows are longer than {max_length} tokens, and are cut{left_out}")
    if not found:
        raise SpecError(["`data` must hold one or more rows with something to learn; got none"])
    return found


def _require_none(problems: Sequence[str]) -> None:
    if problems:
        more = len(problems) - MOST_PROBLEMS
        raise SpecError([*problems[:MOST_PROBLEMS], *([f"and {more} more problems of the data"] if more > 0 else [])])


def _row_problems(row: Any) -> Iterator[str]:
    if not isinstance(row, Mapping):
        yield f"must be a JSON object; got {shown(row, 40)}"
        return
    held = {key for key in ("prompt", "completion", "messages") if row.get(key) is not None}
    if held not in ({"prompt", "completion"}, {"messages"}):
        yield f"must have `prompt` and `completion`, or `messages`; it has {sorted(map(str, row))}"
        return
    if "messages" in held:
        yield from _message_problems("messages", row["messages"])
    elif isinstance(row["prompt"], str) and isinstance(row["completion"], str):
        for key in ("prompt", "completion"):
            if not row[key].strip():
                yield f"`{key}` must be a text that is not blank; got {row[key]!r}"
    elif isinstance(row["prompt"], str) or isinstance(row["completion"], str):
        yield "`prompt` and `completion` must both be texts, or both lists of messages"
    else:
        yield from _message_problems("prompt", row["prompt"], ends="user")
        yield from _message_problems("completion", row["completion"])


def _message_problems(key: str, messages: Any, ends: str = "assistant") -> Iterator[str]:
    if not isinstance(messages, Sequence) or isinstance(messages, str) or not messages:
        yield f"`{key}` must be a list of messages; got {shown(messages, 40)}"
        return
    for number, message in enumerate(messages, start=1):
        if not isinstance(message, Mapping) or message.get("role") not in ROLES:
            role = message.get("role") if isinstance(message, Mapping) else message
            yield f"`role` of message {number} in `{key}` must be one of {ROLES}; got {shown(role, 40)}"
        elif not isinstance(message.get("content"), str) or not message["content"].strip():
            got = shown(message.get("content"), 40)
            yield f"`content` of message {number} in `{key}` must be a text that is not blank; got {got}"
        elif message.get("tool_calls"):
            yield f"message {number} in `{key}` must have no `tool_calls`: calls of tools are not learned"
        elif message["role"] == "system" and number > 1:
            yield f"`role` of message {number} in `{key}` must not be 'system': such a message comes first"
    last = messages[-1].get("role") if isinstance(messages[-1], Mapping) else None
    if last in ROLES and last != ends:
        yield f"`{key}` must end with a message of the {ends}; got '{last}'"


def _passages(prompter: Prompter, row: Mapping[str, Any], learn: Learn) -> list[Passage]:
    """What is learned of a well-formed row."""
    plain = isinstance(row.get("prompt"), str)
    if plain and prompter.template is None:
        before = prompter.beginning + row["prompt"]
        text = before + row["completion"]
        return [Passage(text, ((len(before), len(text)),), True)]
    if prompter.template is None:
        raise ValueError("messages need a chat template, and `chat` is plain")
    if plain:
        pair = ({"role": "user", "content": row["prompt"]}, {"role": "assistant", "content": row["completion"]})
        return passages(prompter.template, pair, learn)
    asked = [_message(message) for message in row.get("prompt") or ()]
    said = [_message(message) for message in row.get("messages") or row["completion"]]
    return passages(prompter.template, [*asked, *said], learn, first=len(asked))


def _message(message: Mapping[str, Any]) -> dict[str, str]:
    return {"role": message["role"], "content": message["content"]}


def _tokens(prompter: Prompter, passage: Passage) -> Row:
    """Tokens of a text from the text as a whole; a token that reaches into what is learned is learned."""
    tokenizer, text = prompter.tokenizer, passage.text
    (ids,) = encode(tokenizer, [text])
    ends = sorted({end for span in passage.learned for end in span if end < len(text)})
    at = {len(text): len(ids), 0: 0}
    for end, part in zip(ends, encode(tokenizer, [text[:end] for end in ends]), strict=True):
        at[end] = next((k for k, (a, b) in enumerate(zip(part, ids, strict=False)) if a != b), len(part))
    labels = [IGNORED] * len(ids)
    for start, end in passage.learned:
        labels[at[start] : at[end]] = ids[at[start] : at[end]]
    if passage.ends:
        ids, labels = [*ids, end_token(tokenizer)], [*labels, end_token(tokenizer)]
    first = next((k for k, label in enumerate(labels) if label != IGNORED), len(ids))
    if first in (0, len(ids)):
        raise ValueError("must have one or more tokens before and after the place where the assistant begins")
    return Row(ids[:first], ids[first:], labels[first:])
