"""What is not read, and what is refused by its name: pages that no query asks for, wrong queries, files and tables."""

import re

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from grids import grid
from pandas.testing import assert_frame_equal

from gating.results.columns import declare_from
from gating.results.parquet import read_batches, read_table, write_table
from gating.results.table import make_table, summarise

declare_from("gating.studies")


# nothing else is read


def damage(file, spared):
    """Spoils the pages of a file but for those (row group, column) that are spared; returns how many it spoiled."""
    content, spoiled = bytearray(file.read_bytes()), 0
    metadata = pq.read_metadata(file)
    for group in range(metadata.num_row_groups):
        for place in range(metadata.num_columns):
            chunk = metadata.row_group(group).column(place)
            if not spared(metadata.row_group(group), chunk.path_in_schema):
                start = chunk.dictionary_page_offset or chunk.data_page_offset
                content[start : start + chunk.total_compressed_size] = b"\xff" * chunk.total_compressed_size
                spoiled += 1
    file.write_bytes(content)
    return spoiled


def may_hold(group, name, value):
    columns = [group.column(place) for place in range(group.num_columns)]
    (held,) = [chunk.statistics for chunk in columns if chunk.path_in_schema == name]
    return held.min <= value <= held.max


def test_a_query_reads_only_the_parts_row_groups_and_columns_that_it_asks_for(small, folder):
    where, names = {"n": (128, 300), "measure": "error", "kind": "measured"}, ["system", "seed", "value"]
    wanted = read_table(folder, where, names)
    assert len(wanted) == 16
    asked = {"n", "measure", "kind", *names}
    spoiled = [
        damage(
            folder / f"{n}.parquet",
            lambda group, name: name in asked and may_hold(group, "n", 128) and may_hold(group, "measure", "error"),
        )
        for n in (64, 128, 256)
    ]
    assert spoiled == [12 * 16, 12 * 16 - 4 * 6, 12 * 16]
    assert_frame_equal(read_table(folder, where, names), wanted)
    assert_frame_equal(pd.concat(read_batches(folder, where, names), ignore_index=True), wanted)
    for more in ({"n": 64}, {"n": 128, "measure": "log_loss"}):
        with pytest.raises(OSError, match="cannot be read"):
            read_table(folder, more)
    with pytest.raises(OSError, match="cannot be read"):
        read_table(folder, where, [*names, "group"])


@pytest.mark.parametrize("lacking", [True, False])
def test_parts_that_cannot_have_a_value_are_not_read(folder, lacking):
    other = make_table([{"n": 64, **({} if lacking else {"label_noise": 0.1})}])
    write_table(other, folder / "other.parquet")
    write_table(make_table([{"n": 64, "label_noise": 0.3}]), folder / "swept.parquet")
    for name in ("64", "128", "256", "other"):
        damage(folder / f"{name}.parquet", lambda group, name: False)
    assert read_table(folder, {"label_noise": 0.3})["n"].tolist() == [64]
    with pytest.raises(OSError, match="cannot be read"):
        read_table(folder, {"label_noise": (0.3, None)})


def test_a_changed_byte_in_a_page_is_found_and_its_file_named(folder):
    file = folder / "128.parquet"
    sound, metadata = file.read_bytes(), pq.read_metadata(file)
    for place in range(metadata.num_columns):
        chunk = metadata.row_group(0).column(place)
        content = bytearray(sound)
        start = chunk.dictionary_page_offset or chunk.data_page_offset
        content[start + chunk.total_compressed_size - 1] ^= 1
        file.write_bytes(content)
        with pytest.raises(OSError, match=f"`{re.escape(str(file))}` cannot be read"):
            read_table(folder)


# wrong calls


def text_of(error):
    return " ".join(str(error.value).split())


@pytest.mark.parametrize(
    ("where", "message"),
    [
        ({"size": 64}, "`where` must name different columns of the table, ['study', 'system', 'n', "),
        ({"n": 64.0}, "`where` must give `n` one or more integers of 64 bits, None where missing; got 64.0"),
        ({"n": True}, "`where` must give `n` one or more integers of 64 bits, None where missing; got True"),
        ({"n": (64, 2**63)}, "one or more integers of 64 bits, None where missing; got [64, 9223372036854775808]"),
        ({"n": ()}, "`where` must give `n` one or more integers of 64 bits, None where missing; got []"),
        ({"value": "0.5"}, "`where` must give `value` one or more numbers, None where missing; got '0.5'"),
        ({"value": float("nan")}, "`where` must give `value` one or more numbers, None where missing; got nan"),
        ({"measure": 3}, "`where` must give `measure` one or more texts, None where missing; got 3"),
        ({"answer": 1}, "`where` must give `answer` one or more of True and False, None where missing; got 1"),
        ("error", "`where` must be a Mapping; got 'error'"),
        ({"label_noise": 0.1}, "`where` must name different columns of the table"),
    ],
)
def test_a_query_that_the_table_cannot_answer_is_named(folder, where, message):
    for read in (read_table, lambda *query: list(read_batches(*query))):
        with pytest.raises(ValueError) as error:  # noqa: PT011
            read(folder, where)
        assert message in text_of(error)


@pytest.mark.parametrize("columns", ["value", ["value", "value"], ["size"], 3, [["n"]]])
def test_columns_that_are_none_of_the_table_are_named(folder, columns):
    with pytest.raises(ValueError, match=r"`columns` must name different columns of the table, \['study', 'system'"):
        read_table(folder, columns=columns)


def test_files_that_are_no_tables_are_named(tmp_path):
    (tmp_path / "empty").mkdir()
    for path in (tmp_path / "empty", tmp_path / "nowhere", str(tmp_path)):
        with pytest.raises(ValueError, match=r"`path` must be a Parquet file, or a folder with some; got '.*'"):
            read_table(path)
    with pytest.raises(ValueError, match="`path` must be a "):
        read_table(3)
    (tmp_path / "a.parquet").write_bytes(b"PAR1")
    with pytest.raises(OSError, match=r"`.*a\.parquet` cannot be read"):
        read_table(tmp_path)
    pd.DataFrame({"n": [1]}).to_parquet(tmp_path / "a.parquet")
    with pytest.raises(ValueError, match=r"`schema_version` must be 2; got 1 in '.*a\.parquet'"):
        read_table(tmp_path)


@pytest.mark.parametrize(
    ("held", "message"),
    [
        ({"n": ["64"]}, r"column `n` must be Int64; got string in '.*z\.parquet'"),
        ({"value": [1]}, r"column `value` must be float64; got int64 in '.*z\.parquet'"),
        ({"n": pa.array([1], pa.int32())}, r"column `n` must be Int64; got int32 in '.*z\.parquet'"),
        ({"other": [[1]]}, r"column `other` must be .*; got list<.*> in '.*z\.parquet'"),
    ],
)
def test_columns_of_other_types_are_named(folder, held, message):
    other = pa.table(held).replace_schema_metadata({b"schema_version": b"2"})
    pq.write_table(other, folder / "z.parquet")
    with pytest.raises(ValueError, match=message):
        read_table(folder)


def test_what_is_no_table_is_not_written(tmp_path):
    with pytest.raises(ValueError, match=r"`table` must have declared columns; got \['colour'\]"):
        write_table(make_table([]).assign(colour=1), tmp_path / "a")
    with pytest.raises(ValueError, match="`table` must have values of the declared types; "):
        write_table(make_table([{"n": 1}]).assign(n="many"), tmp_path / "a")
    assert not list(tmp_path.iterdir())


def test_parts_of_no_table_have_no_summary():
    rows = grid(64)
    with pytest.raises(ValueError, match="`table` must be a table, or one or more parts of one; got no part"):
        summarise([])
    with pytest.raises(ValueError, match="`table` must have parts with the same columns; got"):
        summarise([rows, rows.drop(columns="context")])
