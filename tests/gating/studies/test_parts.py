"""Work on threads: in order, and ended by the first error or Ctrl-C."""

import threading
import time

import pytest

from gating.files import FolderError
from gating.studies.parts import finished_parts, in_threads
from gating.training.trainer import Interrupted


def test_results_come_in_the_order_of_the_items(tmp_path):
    def work(item):
        time.sleep(0.02 * (3 - item))
        return item * item

    assert in_threads(work, range(4), tmp_path, 4, "working", unit="item") == [0, 1, 4, 9]


@pytest.mark.parametrize(("error", "raised"), [(KeyError("bad"), KeyError), (KeyboardInterrupt(), Interrupted)])
def test_an_error_ends_the_work_that_has_not_begun(error, raised, tmp_path):
    begun, lock = [], threading.Lock()

    def work(item):
        with lock:
            begun.append(item)
        if item == 0:
            raise error
        time.sleep(0.05)

    with pytest.raises(raised):
        in_threads(work, range(50), tmp_path, 2, "working", unit="item")
    assert len(begun) < 10


def test_a_damaged_part_is_named_before_the_others_are_computed(tmp_path):
    (tmp_path / "a.parquet").write_bytes(b"no table")
    computed = []

    def slow():
        time.sleep(0.05)
        computed.append(1)

    parts = {"a": slow, **{f"b{k}": slow for k in range(50)}}
    with pytest.raises(FolderError, match=r"a\.parquet"):
        finished_parts(parts, tmp_path, 1, "measuring")
    assert len(computed) < 10
