"""Tables on disk: what a query reads is what it would find in the loaded table, also in the parts of a run."""

import tempfile
import threading
from itertools import count
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from grids import grid
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pandas.testing import assert_frame_equal

from gating.results.columns import column, declare_from
from gating.results.moments import Moments
from gating.results.parquet import ORDER, read_batches, read_table, write_table
from gating.results.table import make_table, summarise
from gating.runs.folder import TABLE, RunFolder

declare_from("gating.studies")

TEXTS = ["", "high", "low", "Größe", "雪", "\U0001f9ca", "\x00"]
VALUES = {
    "system": st.one_of(st.none(), st.sampled_from(TEXTS), st.text(max_size=3)),
    "n": st.sampled_from([None, 0, 64, 256, 2**53]),
    "seed": st.sampled_from([None, 0, 1, 2]),
    "measure": st.sampled_from(["error", "crossover_error", "log_loss"]),
    "answer": st.booleans(),
    "value": st.sampled_from([None, 0.0, -0.0, 0.1, 0.5, 1.0]),
    "tests": st.sampled_from([None, 1, 200]),
    "standard_error": st.sampled_from([None, 0.0, 0.25]),
    "label_noise": st.sampled_from([None, 0.0, -0.0, 0.1, 1.0]),
    "label_noise_kind": st.sampled_from([None, "uniform", "shift"]),
    "context_length": st.sampled_from([None, 1, 2]),
}
ROWS = st.lists(st.fixed_dictionaries({}, optional=VALUES), max_size=12)
MEASURED = st.lists(st.fixed_dictionaries({
    "system": st.sampled_from(["transformer", "stylized"]),
    "measure": st.sampled_from(["error", "log_loss"]),
    **{name: VALUES[name] for name in ("seed", "value", "tests", "standard_error")},
}), max_size=20)  # fmt: skip


def queries(names):
    """One to three conditions, each of one value or several."""
    one = st.sampled_from(sorted(names)).flatmap(
        lambda name: st.tuples(st.just(name), VALUES[name] | st.lists(VALUES[name], min_size=1, max_size=3).map(tuple))
    )
    return st.lists(one, max_size=3).map(dict)


FEW = settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])


def whole(parts):
    """The rows of all parts, with the columns of any."""
    kinds = {name: column(name).kind for part in parts for name in part.columns}
    return pd.concat([part.reindex(columns=list(kinds)).astype(kinds) for part in parts], ignore_index=True)


def filtered(rows, where):
    keep = pd.Series(True, index=rows.index)
    for name, wanted in where.items():
        several = wanted if isinstance(wanted, tuple) else (wanted,)
        same = [rows[name].isna() if one is None else (rows[name] == one).fillna(False) for one in several]
        keep &= pd.concat(same, axis=1).any(axis=1)
    return rows[keep].reset_index(drop=True)


def kept(parts, root, **how):
    for number, part in enumerate(parts):
        write_table(part, Path(root, f"{number:02}.parquet"), **how)


# what is read is what was written


@FEW
@given(ROWS)
def test_a_table_comes_back_as_it_was_with_its_types(small, rows):
    written = make_table(rows)
    with tempfile.TemporaryDirectory() as root:
        kept([written], root)
        assert_frame_equal(read_table(root), written)
        assert_frame_equal(pd.read_parquet(Path(root, "00.parquet")), written)
    assert {name: str(kind) for name, kind in written.dtypes.items()} == {n: column(n).kind for n in written.columns}


@FEW
@given(st.lists(ROWS.map(make_table), min_size=1, max_size=3), queries(VALUES), st.data())
def test_a_query_is_a_filter_of_the_whole_table(small, parts, where, data):
    everything = whole(parts)
    where = {name: value for name, value in where.items() if name in everything}
    names = data.draw(st.none() | st.permutations(list(everything)).map(lambda names: names[: len(names) // 2]))
    wanted = filtered(everything, where)
    wanted = wanted if names is None else wanted[names]
    with tempfile.TemporaryDirectory() as root:
        kept(parts, root)
        assert_frame_equal(read_table(root, where, names), wanted)
        batches = list(read_batches(root, where, names))
    assert_frame_equal(pd.concat(batches, ignore_index=True), wanted)
    assert all(3 <= len(batch) < 2 * 3 for batch in batches[:-1])
    assert len(batches[-1]) < 2 * 3
    assert len(batches[-1]) or len(batches) == 1


@FEW
@given(st.lists(MEASURED.map(make_table), min_size=1, max_size=3), queries({"system", "measure", "seed"}))
def test_a_summary_by_parts_is_that_of_the_loaded_rows(small, parts, where):
    with tempfile.TemporaryDirectory() as root:
        kept(parts, root, ordered=True)
        found, wanted = summarise(read_batches(root, where)), summarise(read_table(root, where))
    assert_frame_equal(found, wanted, rtol=1e-12, atol=1e-12)


def test_a_summary_has_the_order_of_the_rows():
    rows = make_table(
        [{"n": n, "seed": seed, "measure": "log_loss", "value": 1.0} for seed in (0, 1) for n in (3, 1, 2)]
    )
    for asked in (rows, [rows[:2], rows[2:]], [rows[3:], rows[:3]]):
        assert summarise(asked)["n"].tolist() == [3, 1, 2]


def test_a_summary_holds_one_part_and_what_it_found(small, monkeypatch):
    sizes, merged = [], Moments.merged
    monkeypatch.setattr(Moments, "merged", lambda parts, *where: sizes.append(len(parts)) or merged(parts, *where))
    found = summarise(grid(64).assign(seed=seed) for seed in range(50))
    assert found["seeds"].tolist() == [8 * 50] * 6
    assert max(sizes) == 3


@FEW
@given(ROWS.map(make_table))
def test_ordered_rows_are_the_same_rows_in_order(small, rows):
    by = [name for name in ORDER if name in rows]
    with tempfile.TemporaryDirectory() as root:
        kept([rows], root, ordered=True)
        wanted = rows.sort_values(by, kind="stable", ignore_index=True)
        assert_frame_equal(read_table(root), wanted)


def test_a_column_that_a_part_lacks_is_missing_in_its_rows(tmp_path):
    swept = [{"label_noise": 0.1}, {"p_relevant": 0.5, "context_length": 4}, {}]
    kept([make_table([{"n": n, "value": 1.0, **extra}]) for n, extra in enumerate(swept)], tmp_path)
    found = read_table(tmp_path, columns=["label_noise", "p_relevant", "context_length"])
    assert found.astype(object).where(found.notna(), None).values.tolist() == [
        [0.1, None, None], [None, 0.5, 4], [None, None, None],
    ]  # fmt: skip
    assert read_table(tmp_path, {"context_length": None})["n"].tolist() == [0, 2]
    assert read_table(tmp_path, {"label_noise": (None, 0.1), "p_relevant": None})["n"].tolist() == [0, 2]
    assert read_table(tmp_path, {"context_length": 4})["n"].tolist() == [1]


def test_zero_has_no_sign(tmp_path):
    kept([make_table([{"value": value}]) for value in (0.0, -0.0, 0.5)], tmp_path)
    for zero in (0, 0.0, -0.0, (0.0, 0.25)):
        assert np.signbit(read_table(tmp_path, {"value": zero})["value"]).tolist() == [False, True]


def test_parts_without_rows_add_their_columns_alone(tmp_path):
    rows = make_table([{"n": 1, "value": 0.5, "label_noise": 0.1}])
    kept([rows[:0], make_table([{"n": 2}]), rows[:0]], tmp_path)
    assert read_table(tmp_path)["n"].tolist() == [2]
    assert list(read_table(tmp_path)) == list(rows)
    nothing = read_table(tmp_path, {"n": 3})
    assert nothing.empty
    assert_frame_equal(nothing, rows[:0], check_index_type=False)
    (only,) = read_batches(tmp_path, {"n": 3})
    assert_frame_equal(only, nothing)
    assert summarise(read_batches(tmp_path, {"n": 3})).empty


def test_parts_come_in_the_order_of_their_names_at_any_depth_and_hidden_files_are_none(tmp_path):
    names = ["b.parquet", "a/z.parquet", "a/y/x.parquet", ".drafts/c.parquet", "a/.d.parquet", "c.txt"]
    for n, name in enumerate(names):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        write_table(make_table([{"n": n}, {"n": n + 10}]), tmp_path / name)
    assert read_table(tmp_path)["n"].tolist() == [2, 12, 1, 11, 0, 10]


def test_files_that_other_writers_made_with_the_same_types_are_read(tmp_path):
    version = {b"schema_version": b"2"}
    texts = pa.array(["a", None], pa.large_string())
    held = pa.table({"system": texts, "n": [None, 3], "value": [0.5, None], "their_own": [True, None]})
    pq.write_table(held.replace_schema_metadata(version), tmp_path / "a.parquet")
    empty = pa.table({"system": pa.nulls(1), "seed": pa.nulls(1), "theirs": pa.nulls(1)})
    pq.write_table(empty.replace_schema_metadata(version), tmp_path / "b.parquet")
    found = read_table(tmp_path)
    kinds = ["string", "Int64", "float64", "boolean", "Int64", "string"]
    assert [str(kind) for kind in found.dtypes] == kinds
    assert found["n"].fillna(0).tolist() == [0, 3, 0]
    assert read_table(tmp_path, {"value": None})["n"].isna().tolist() == [False, True]
    assert read_table(tmp_path, {"their_own": True, "system": "a"})["value"].tolist() == [0.5]


def test_numbers_of_numpy_ask_as_those_of_python(folder):
    asked = {"n": np.array([64, 256]), "seed": np.int64(3), "measure": np.str_("error"), "answer": np.bool_(False)}
    assert_frame_equal(
        read_table(folder, asked), read_table(folder, {"n": (64, 256), "seed": 3, "measure": "error", "answer": False})
    )
    assert len(read_table(folder, {"n": [64], "value": np.float64(0.0625)})) == 6
    assert read_table(folder, {"value": 1}).empty


# parts of a run


def test_a_finished_run_is_its_table_and_its_parts(tmp_path):
    run = RunFolder(tmp_path / "run")
    with run.locked():
        run.begin("study", {})
        for n in (64, 128):
            run.write(f"results/setting/{n}.parquet", lambda draft, n=n: write_table(grid(n), draft, ordered=True))
        run.write("parts/a/other.parquet", lambda draft: pd.DataFrame({"x": [1]}).to_parquet(draft))
        with pytest.raises(ValueError, match=r"`path` must be a finished run; '.*' has no results.parquet yet"):
            read_table(run.path)
        answer = make_table([{"measure": "crossover_error", "value": 100.0, "answer": True}])
        run.write(TABLE, lambda draft: write_table(answer, draft))
        found = read_table(run.path)
    assert found["n"].fillna(0).tolist() == [128] * 48 + [64] * 48 + [0]
    assert_frame_equal(read_table(run.path / TABLE), answer)
    assert read_table(str(run.path), {"answer": True})["value"].tolist() == [100.0]


def test_parts_that_are_written_at_once_are_all_there(tmp_path):
    run, numbers = RunFolder(tmp_path / "run"), count()
    together = threading.Barrier(4)

    def write_some():
        together.wait(10)
        for _ in range(5):
            n = next(numbers)
            run.write(f"results/{n}.parquet", lambda draft, n=n: write_table(grid(n), draft, ordered=True))

    with run.locked():
        run.begin("study", {})
        threads = [threading.Thread(target=write_some) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        run.write(TABLE, lambda draft: write_table(make_table([]), draft))
    assert not run.damaged()
    found = summarise(read_batches(run.path, {"measure": "error"}))
    assert sorted(found["n"]) == sorted([*range(20)] * 2)
    assert set(found["seeds"]) == {8}


def test_the_same_rows_make_the_same_file(tmp_path):
    for name in ("a", "b"):
        write_table(grid(64), tmp_path / name, ordered=True)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
