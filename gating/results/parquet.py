"""The result table on disk: one Parquet file, or many that are written one by one and read by query.

A query reads the footers of all files, the row groups whose least and largest values it can meet, and in these the
columns that it names: memory grows with what it finds, not with the table. Every page that is read is checked against
its CRC; the SHA-256 of whole files is a matter of the run's folder.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import reduce
from operator import and_, or_
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
import pyarrow.parquet as pq
from pyarrow.fs import LocalFileSystem

from gating.results.columns import SCHEMA_VERSION, Kind, column
from theory.fields import LARGEST_WHOLE, plain, shown
from theory.validation import is_integer, require_instances

__all__ = ["ORDER", "read_batches", "read_table", "write_table"]

Where = Mapping[str, Any]

ORDER = ("study", "measure", "kind", "answer", "distribution", "context", "group", "system", "step", "n", "seed")
"""Columns by which the rows of a part are ordered: those that a query fixes before those that it compares."""

TABLE, PARTS, MANIFEST = "results.parquet", "results", "manifest.json"
ROW_GROUP, BATCH = 2**15, 2**18
TYPES: dict[Kind, pa.DataType] = {
    "string": pa.string(), "Int64": pa.int64(), "float64": pa.float64(), "boolean": pa.bool_(),
}  # fmt: skip
PANDAS = {pa.string(): pd.StringDtype(), pa.int64(): pd.Int64Dtype(), pa.bool_(): pd.BooleanDtype()}
ALLOWED = {
    "string": ("texts", lambda value: isinstance(value, str)),
    "Int64": ("integers of 64 bits", lambda value: is_integer(value) and -(2**63) <= value < 2**63),
    "float64": ("numbers", lambda value: (value == value) if isinstance(value, float) else _is_exact(value)),
    "boolean": ("of True and False", lambda value: isinstance(value, bool)),
}
FORMAT = ds.ParquetFileFormat(
    default_fragment_scan_options=ds.ParquetFragmentScanOptions(page_checksum_verification=True)
)


def write_table(table: pd.DataFrame, path: Path, *, ordered: bool = False) -> None:
    """Writes a table, or one part of it, as a Parquet file with the declared types; it names its schema version.

    Args:
        table: a table of `gating.results.table.make_table`.
        path: the file. Parts are any files of one folder; several may be written at once, each by its own writer.
        ordered: puts the rows into the order of `ORDER`, for queries to skip most of them; rows that are equal in
            these columns stay as they were.

    Raises:
        ValueError: a column is not declared, or has values of another type.

    Example:
        >>> import tempfile
        >>> from gating.results.table import make_table
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     for n in (64, 128):
        ...         rows = [{"n": n, "measure": "error", "seed": seed, "value": 1 / n} for seed in (0, 1)]
        ...         write_table(make_table(rows), Path(folder, f"{n}.parquet"), ordered=True)
        ...     read_table(folder, {"n": 128}, ["n", "seed"]).values.tolist()
        [[128, 0], [128, 1]]
    """
    declared = {name: column(str(name)) for name in table.columns}
    unknown = [name for name, entry in declared.items() if entry is None]
    if unknown:
        raise ValueError(f"`table` must have declared columns; got {shown(unknown)}")
    entries = [entry for entry in declared.values() if entry]
    schema = pa.schema([(entry.name, TYPES[entry.kind]) for entry in entries])
    try:
        held = pa.Table.from_pandas(table, schema=schema, preserve_index=False)
    except (pa.ArrowInvalid, pa.ArrowTypeError) as misfit:
        raise ValueError(f"`table` must have values of the declared types; {misfit}") from misfit
    if ordered:
        held = held.sort_by([(name, "ascending") for name in ORDER if name in declared])
    named = {**(held.schema.metadata or {}), b"schema_version": str(SCHEMA_VERSION).encode()}
    pq.write_table(
        held.replace_schema_metadata(named),
        path,
        row_group_size=ROW_GROUP,
        compression="zstd",
        use_dictionary=[entry.name for entry in entries if entry.kind in ("string", "Int64")],
        write_page_checksum=True,
    )


def read_table(path: str | Path, where: Where | None = None, columns: Sequence[str] | None = None) -> pd.DataFrame:
    """The rows of a table that a query asks for; all of them by default.

    Args:
        path: a file of `write_table`; the folder of a finished run, whose table is its ``results.parquet`` and all
            files below its ``results``; or a folder of parts, at any depth. A column that a part does not have is
            missing in its rows.
        where: for a column, the value that its rows must have, or several of which they must have one, such as
            ``{"measure": "error", "n": (64, 256)}``. None stands for a missing value.
        columns: names of the columns to read, in order; all by default.

    Returns:
        The rows in the order of the files' names, those of a run's ``results.parquet`` last, and as they are in them.

    Raises:
        ValueError: an argument is not in its set, or a file has another schema version or columns of other types.
        OSError: a file cannot be read, or a page of it is not as it was written.
    """
    schema, batches = _query(path, where, columns)
    return _frame(list(batches), schema)


def read_batches(
    path: str | Path, where: Where | None = None, columns: Sequence[str] | None = None
) -> Iterator[pd.DataFrame]:
    """What `read_table` reads, in parts of some 2^18 rows and at least one, for more rows than memory holds.

    `gating.results.table.summarise` takes them: ``summarise(read_batches("runs/large", {"measure": "error"}))``.
    Arguments and errors are those of `read_table`.

    Example:
        >>> next(read_batches("nowhere"))
        Traceback (most recent call last):
        ...
        ValueError: `path` must be a Parquet file, or a folder with some; got 'nowhere'
    """
    schema, batches = _query(path, where, columns)
    held, rows, empty = [], 0, True
    for batch in batches:
        held.append(batch)
        rows += batch.num_rows
        if rows >= BATCH:
            yield _frame(held, schema)
            held, rows, empty = [], 0, False
    if held or empty:
        yield _frame(held, schema)


def _query(
    path: str | Path, where: Where | None, columns: Sequence[str] | None
) -> tuple[pa.Schema, Iterator[pa.RecordBatch]]:
    files = _files(path)
    kinds = _kinds(files)
    names = list(kinds) if columns is None else _known("columns", columns, kinds)
    wanted = _wanted(where or {}, kinds)
    found = (batch for file in files for batch in _scan(file, kinds, wanted, names) if batch.num_rows)
    return _schema({name: kinds[name] for name in names}), found


def _files(path: str | Path) -> list[Path]:
    """Parquet files of a table, in order; what is hidden, such as drafts, is none of it."""
    require_instances(path=(path, (str, Path)))
    place = Path(path).expanduser()
    if place.is_file():
        return [place]
    last = place / TABLE
    if (place / MANIFEST).is_file() and not last.is_file():
        raise ValueError(f"`path` must be a finished run; '{path}' has no {TABLE} yet")
    root = place / PARTS if last.is_file() else place
    inside = sorted(file.relative_to(root) for file in root.rglob("*.parquet") if file.is_file())
    files = [root / name for name in inside if not any(part.startswith(".") for part in name.parts)]
    files += [last] if last.is_file() else []
    if not files:
        raise ValueError(f"`path` must be a Parquet file, or a folder with some; got '{path}'")
    return files


def _kinds(files: Sequence[Path]) -> dict[str, Kind]:
    """Columns of all files with their types, in the order of their appearance."""
    found: dict[str, Kind] = {}
    for file in files:
        with _reading(file):
            schema = pq.read_schema(file)
        version = (schema.metadata or {}).get(b"schema_version", b"1").decode()
        if version != str(SCHEMA_VERSION):
            raise ValueError(f"`schema_version` must be {SCHEMA_VERSION}; got {version} in '{file}'")
        for field in schema:
            own, declared = _kind(field.type), column(field.name)
            kind = found.setdefault(field.name, declared.kind if declared else own or "string")
            if own != kind and not pa.types.is_null(field.type):
                raise ValueError(f"column `{field.name}` must be {kind}; got {field.type} in '{file}'")
    return found


def _kind(of: pa.DataType) -> Kind | None:
    if pa.types.is_string(of) or pa.types.is_large_string(of):
        return "string"
    return next((kind for kind, held in TYPES.items() if held == of), None)


def _schema(kinds: Mapping[str, Kind]) -> pa.Schema:
    return pa.schema([(name, TYPES[kind]) for name, kind in kinds.items()])


def _known(argument: str, names: Any, kinds: Mapping[str, Kind]) -> list[str]:
    held = plain(names)
    if not isinstance(held, tuple) or any(name not in kinds for name in held) or len(set(held)) < len(held):
        raise ValueError(f"`{argument}` must name different columns of the table, {list(kinds)}; got {shown(names)}")
    return list(held)


def _wanted(where: Where, kinds: Mapping[str, Kind]) -> dict[str, tuple[Any, ...]]:
    """Values that are asked for, by column."""
    require_instances(where=(where, Mapping))
    _known("where", list(where), kinds)
    found = {}
    for name, value in where.items():
        words, holds = ALLOWED[kinds[name]]
        held = plain(value)
        several = held if isinstance(held, tuple) else (held,)
        if not several or not all(one is None or holds(one) for one in several):
            raise ValueError(f"`where` must give `{name}` one or more {words}, None where missing; got {shown(value)}")
        found[name] = several
    return found


def _is_exact(value: Any) -> bool:
    return is_integer(value) and abs(value) <= LARGEST_WHOLE


def _scan(
    file: Path, kinds: Mapping[str, Kind], wanted: Mapping[str, tuple[Any, ...]], names: Sequence[str]
) -> Iterator[pa.RecordBatch]:
    """Rows of one file; files are opened one after the other, so that footers of thousands are not held at once."""
    with _reading(file):
        part, schema = FORMAT.make_fragment(str(file), filesystem=LocalFileSystem()), _schema(kinds)
        there = part.physical_schema.names
        if any(name not in there and None not in values for name, values in wanted.items()):
            return
        conditions = [_condition(name, kinds[name], values) for name, values in wanted.items()]
        rows = reduce(and_, conditions) if conditions else None
        yield from part.to_batches(schema=schema, columns=list(names), filter=rows, batch_size=BATCH)


def _condition(name: str, kind: Kind, values: tuple[Any, ...]) -> pc.Expression:
    """That a column has one of the values; its bounds are for versions of Arrow that prune by bounds alone."""
    field, known = pc.field(name), {value for value in values if value is not None}
    found = [field.is_null()] if None in values else []
    if known:
        both = (-0.0, 0.0) if kind == "float64" and 0 in known else ()  # which are two to Arrow's sets
        inside = field.isin(pa.array([*known, *both], TYPES[kind]))
        least, largest = (pa.scalar(end, TYPES[kind]) for end in (min(known), max(known)))
        found.append(inside if kind == "boolean" else inside & (field >= least) & (field <= largest))
    return reduce(or_, found)


def _frame(batches: Sequence[pa.RecordBatch], schema: pa.Schema) -> pd.DataFrame:
    return pa.Table.from_batches(batches, schema).to_pandas(types_mapper=PANDAS.get)


@contextmanager
def _reading(file: Path) -> Iterator[None]:
    """Names the file where it cannot be read."""
    try:
        yield
    except MemoryError:
        raise
    except (pa.ArrowException, OSError) as error:
        said = str(error).split("\n")[0]
        raise OSError(f"`{file}` cannot be read ({said})") from error
