"""Kept work: what is saved is loaded, whole or not at all, by the part that owns it and by others."""

import json
import os
import threading

import pandas as pd
import pytest
import torch
from stops import contents, killed_before

from gating.runs.errors import Damaged, FolderError
from gating.runs.folder import RunFolder
from gating.runs.store import Place, opened


@pytest.fixture
def place(tmp_path):
    with opened(tmp_path / "run", {"seed": 1}, "train/a") as held:
        yield held


def _tensors():
    return {
        "half": torch.randn(3, 2, generator=torch.Generator().manual_seed(0)).half(),
        "turned": torch.arange(6.0, dtype=torch.float64).view(2, 3).T,
        "leaf": torch.nn.Parameter(torch.tensor([float("inf"), -0.0, 1e-45])),
        "none": torch.zeros(0, 4),
        "whole": torch.tensor(2**62),
    }


def test_tensors_load_equal(place):
    place.save_tensors("a/b", _tensors(), {"step": 70, "large": 2**80})
    assert place.has_tensors("a/b")
    assert not place.has_tensors("a")
    loaded = place.tensors("a/b")
    assert loaded.keys() == _tensors().keys()
    for name, value in _tensors().items():
        assert loaded[name].dtype == value.dtype
        assert torch.equal(loaded[name], value)
        assert not loaded[name].requires_grad
    assert torch.equal(loaded["leaf"].signbit(), _tensors()["leaf"].signbit())
    assert place.numbers("a/b") == {"step": 70, "large": 2**80}
    place.save_tensors("empty", {})
    assert (place.tensors("empty"), place.numbers("empty")) == ({}, {})


def test_rows_of_tensors_load_alone(place):
    place.save_tensors("a", {"x": torch.arange(12).view(4, 3), "y": torch.arange(4)})
    found = place.tensors("a", slice(1, 3))
    assert found["x"].tolist() == [[3, 4, 5], [6, 7, 8]]
    assert found["y"].tolist() == [1, 2]


def test_tensors_that_share_memory_are_kept_apart(place):
    both = torch.arange(6.0)
    place.save_tensors("tied", {"a": both, "b": both, "view": both[2:]})
    found = place.tensors("tied")
    assert torch.equal(found["a"], both)
    assert torch.equal(found["b"], both)
    assert torch.equal(found["view"], both[2:])


def test_the_same_work_has_the_same_bytes(place):
    for name in ("one", "two"):
        place.save_tensors(name, dict(reversed(_tensors().items())) if name == "two" else _tensors(), {"b": 1, "a": 2})
        place.save_table(name, pd.DataFrame({"x": [1.0], "text": ["é"]}))
        place.save_records(name, [{"x": 1}])
    for ending in ("safetensors", "parquet", "jsonl"):
        one, two = ((place.path / f"{name}.{ending}").read_bytes() for name in ("one", "two"))
        assert one == two


def test_tables_and_records_load_equal(place):
    table = pd.DataFrame({"n": pd.array([1, None], dtype="Int64"), "text": pd.array(["é\n", None], dtype="string")})
    place.save_table("t", table)
    pd.testing.assert_frame_equal(place.table("t"), table)
    records = [{"text": "a\nb\u2028c\udcff", "n": [1, None]}, {}, {"": 0.1 + 0.2}]
    place.save_records("r", records)
    assert place.records("r") == records
    place.save_records("r", [])
    assert place.records("r") == []
    assert place.has_table("t")
    assert not place.has_table("r")


def test_a_part_sees_its_own_files_and_those_of_others_by_name(place):
    for part in ("train/a", "train/ab", "train/b"):
        place.of(part).save_records("x", [{"part": part}])
    assert place.names == ["x.jsonl"]
    assert place.of("train/b").records("x") == [{"part": "train/b"}]
    assert place.of("train").names == ["a/x.jsonl", "ab/x.jsonl", "b/x.jsonl"]
    place.of("train/ab").discard("x.jsonl", "never.parquet")
    assert place.of("train").names == ["a/x.jsonl", "b/x.jsonl"]
    place.folder.forget(["train/a"])
    assert place.of("train").names == ["b/x.jsonl"]
    assert place.names == []


@pytest.mark.parametrize("change", ["cut", "flip", "empty", "missing"])
def test_damaged_work_is_named_with_what_to_do(place, change):
    place.save_tensors("s", _tensors())
    place.save_table("t", pd.DataFrame({"x": [1]}))
    place.save_records("r", [{}])
    place.save_folder("f", lambda draft: (draft.mkdir(), (draft / "w.bin").write_bytes(b"weights")))
    reads = {
        "s.safetensors": [lambda: place.tensors("s"), lambda: place.numbers("s")],
        "t.parquet": [lambda: place.table("t")],
        "r.jsonl": [lambda: place.records("r")],
        "f/w.bin": [lambda: place.kept_folder("f")],
    }
    for name, acts in reads.items():
        path = place.path / name
        good = path.read_bytes()
        bad = {"cut": good[:-1], "empty": b"", "flip": bytes([good[0] ^ 1]) + good[1:]}
        if change == "missing":
            path.unlink()
        else:
            path.write_bytes(bad[change])
        for act in acts:
            said = (
                "is missing; the command"
                if change == "missing"
                else "is not as the run wrote it.*; remove it, and the command"
            )
            with pytest.raises(Damaged, match=rf"^`{path}` {said} that ran the study makes it again$"):
                act()


def test_what_was_never_saved_is_named(place):
    for act in (lambda: place.tensors("x"), lambda: place.table("x"), lambda: place.records("x")):
        with pytest.raises(Damaged, match=rf"^`{place.path}/x\..*` is missing"):
            act()
    assert place.kept_folder("x") is None


def _save_model(draft, text="weights", files=("config.json", "deep/weights.bin", "ä.txt")):
    for name in files:
        (draft / name).parent.mkdir(parents=True, exist_ok=True)
        (draft / name).write_text(f"{text} {name}")


def test_a_folder_is_kept_whole_or_not_at_all(tmp_path, monkeypatch):
    """Killed before any operation, with a folder of before or without one; then the same again."""
    for before in (False, True):
        k, killed = 0, True
        while killed:
            path = tmp_path / f"{before}-{k}"
            with opened(path, {}) as place:
                if before:
                    place.save_folder("model", lambda draft: _save_model(draft, "old"))

            def save(path=path):
                with opened(path, {}) as place:
                    place.save_folder("model", lambda draft: _save_model(draft, "new"))

            killed = killed_before(k, monkeypatch, save)
            with opened(path, {}) as place:
                kept = place.kept_folder("model")
                removed = set() if kept else {name for name in place.names if name.startswith("model/")}
                assert {*place.folder.damaged()} <= {f"parts/training/{name}" for name in removed}
                if kept:
                    assert {*contents(kept)} == {"config.json", "deep/weights.bin", "ä.txt"}
                    assert len({content.split()[0] for content in contents(kept).values()}) == 1
            save()
            with opened(path, {}) as place:
                assert contents(place.kept_folder("model"))["deep/weights.bin"] == b"new deep/weights.bin"
                assert list((path / ".gating" / "drafts").iterdir()) == []
            k += 1
        assert k > 10


def test_a_folder_that_cannot_be_saved_leaves_the_old_one(place):
    place.save_folder("model", _save_model)

    def fail(draft):
        _save_model(draft, "half", ["config.json"])
        raise RuntimeError("no weights")

    with pytest.raises(RuntimeError, match=r"^no weights$"):
        place.save_folder("model", fail)
    assert contents(place.kept_folder("model"))["config.json"] == b"weights config.json"
    assert list((place.folder.path / ".gating" / "drafts").iterdir()) == []


def test_two_threads_save_folders_side_by_side(place):
    both = threading.Barrier(2)

    def work(name):
        def save(draft):
            _save_model(draft, name)
            both.wait(5)

        place.of(f"measure/{name}").save_folder("model", save)

    threads = [threading.Thread(target=work, args=(name,)) for name in ("one", "two")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for name in ("one", "two"):
        kept = place.of(f"measure/{name}").kept_folder("model")
        assert contents(kept)["config.json"] == f"{name} config.json".encode()


def test_a_folder_of_fewer_files_replaces_one_of_more(place):
    place.save_folder("model", _save_model)
    place.save_folder("model", lambda draft: _save_model(draft, "less", ["config.json"]))
    assert contents(place.kept_folder("model")) == {"config.json": b"less config.json"}


# A folder of its own.


def test_other_work_in_the_folder_is_refused_and_stays(tmp_path):
    identity = {"seed": 1, "sizes": (1, 2), "rate": 0.1, "nested": {"a": None}}
    with opened(tmp_path / "run", identity) as place:
        place.save_records("r", [{}])
    before = contents(tmp_path)
    with opened(tmp_path / "run", dict(reversed(identity.items()))) as place:
        assert place.records("r") == [{}]
    for other, said in [
        ({**identity, "seed": 2}, "its `seed` is 1, and 2 is asked for"),
        ({**identity, "sizes": (1,)}, r"its `sizes` is \[1, 2\], and \[1\] is asked for"),
        ({**identity, "more": 1}, "its `more` is None, and 1 is asked for"),
        ({"seed": 1}, r"its `nested` is \{'a': None\}, and None is asked for"),
    ]:
        with pytest.raises(FolderError, match=rf"must hold a run with these settings; {said}; choose"):
            opened(tmp_path / "run", other).__enter__()
    assert contents(tmp_path) == before


def test_an_error_of_the_block_is_its_own(tmp_path):
    for error in (
        ConnectionError("no network"),
        BrokenPipeError(32, "Broken pipe"),
        KeyboardInterrupt(),
        ValueError("x"),
    ):
        with pytest.raises(type(error)) as found, opened(tmp_path / "run", {}):
            raise error
        assert found.value is error
    with opened(tmp_path / "run", {}):
        pass


def test_the_form_of_a_place_is_plain_files(tmp_path):
    """What a reader without this package needs to know."""
    with opened(tmp_path, {"seed": 1}, "train/a") as place:
        place.save_records("r", [{"x": 1}])
    assert (tmp_path / "parts/train/a/r.jsonl").read_text() == '{"x": 1}\n'
    held = json.loads((tmp_path / "manifest.json").read_text())
    assert held["identity"] == {"seed": 1}
    assert [*held["files"]] == ["parts/train/a/r.jsonl"]
    assert Place(RunFolder(tmp_path), "train/a").records("r") == [{"x": 1}]
    assert os.listdir(tmp_path / ".gating" / "drafts") == []
