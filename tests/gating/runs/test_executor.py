"""Parts of a run: in their order, side by side, done once, and ended by the first error or Ctrl-C."""

import os
import signal
import threading
import time
from dataclasses import FrozenInstanceError

import pytest
import torch
from threadpoolctl import threadpool_info, threadpool_limits

from gating.runs.errors import Interrupted
from gating.runs.executor import Part, Resources, _order, _Threads, progress, run_parts
from gating.runs.store import Place
from gating.runs.study import Estimate


class Log:
    """What parts did, in order; their work keeps a record."""

    def __init__(self, pause=0.0):
        self.begun, self.ended, self.largest, self.pause = [], [], 0, pause
        self._mutex = threading.Lock()

    def part(self, name, act=None, **how):
        def work(place, resources):
            with self._mutex:
                self.begun.append(name)
                self.largest = max(self.largest, len(self.begun) - len(self.ended))
            time.sleep(self.pause)
            if act:
                act(place)
            place.save_records("r", [{"part": name}])
            with self._mutex:
                self.ended.append(name)

        return Part(name, work, **how)


def test_linear_algebra_of_parts_takes_one_thread(folder):
    """Its threads wait for each other: fits of three parameters took six times as long on two busy cores."""

    def threads():
        return {library["num_threads"] for library in threadpool_info() if library["user_api"] == "blas"}

    seen = []
    parts = [Log().part(name, lambda place: seen.append(threads()), wide=name == "t") for name in ("t", "u")]
    with threadpool_limits(2, "blas"):
        run_parts(parts, folder, Resources(workers=2))
    assert seen == [{1}, {1}]


def test_parts_run_after_those_that_they_read(folder):
    """Whatever the order in which a study gives them."""
    log = Log()
    parts = [
        log.part("end", lambda place: place.of("m/1").records("r"), after=("m/1", "m/2")),
        log.part("m/2", lambda place: place.of("t").records("r"), after=("t",)),
        log.part("m/1", lambda place: place.of("t").records("r"), after=("t",)),
        log.part("t", wide=True),
    ]
    run_parts(parts, folder, Resources(workers=2))
    assert log.begun[0] == "t"
    assert log.begun[-1] == "end"
    assert folder.done[0] == "t"
    assert {*folder.done} == {"t", "m/1", "m/2", "end"}


@pytest.mark.parametrize("workers", [1, 3])
def test_narrow_parts_run_side_by_side_and_wide_ones_alone(folder, workers):
    log = Log(0.05)
    run_parts([log.part(f"w{k}", wide=True) for k in range(3)], folder, Resources(workers=workers))
    assert log.largest == 1
    run_parts([log.part(f"n{k}") for k in range(6)], folder, Resources(workers=workers))
    assert log.largest == workers


def test_narrow_work_stays_on_one_core_and_wide_work_does_not(folder):
    before, seen = torch.get_num_threads(), {}
    torch.set_num_threads(2)
    try:
        parts = [
            Part(kind, lambda place, _, kind=kind: seen.update({kind: torch.get_num_threads()}), wide=kind == "wide")
            for kind in ("wide", "narrow")
        ]
        run_parts(parts, folder, Resources(workers=2))
    finally:
        torch.set_num_threads(before)
    assert seen == {"wide": 2, "narrow": 1}


def test_a_part_that_is_done_is_not_done_again(folder):
    run_parts([Log().part("a"), Log().part("b")], folder, Resources())
    log = Log()
    run_parts([log.part("a"), log.part("b"), log.part("c", after=("a",))], folder, Resources())
    assert log.begun == ["c"]
    folder.forget(["a"])
    run_parts([log.part("a"), log.part("b"), log.part("c", after=("a",))], folder, Resources())
    assert log.begun == ["c", "a"]
    assert sorted(folder.done) == ["a", "b", "c"]


def test_a_run_that_goes_on_waits_for_nothing_that_does_not_run(folder, monkeypatch):
    """Where all that the next parts read is done already; a cluster refuses to wait for no task."""
    run_parts([Log().part("t/1"), Log().part("t/2")], folder, Resources())
    ended = _Threads.ended

    def strict(self):
        assert self._running or self._wide
        return ended(self)

    monkeypatch.setattr(_Threads, "ended", strict)
    log = Log()
    parts = [log.part("t/1"), log.part("t/2"), log.part("m", after=("t",)), log.part("e", after=("m", "t/2"))]
    run_parts(parts, folder, Resources())
    assert log.begun == ["m", "e"]
    run_parts([*parts, log.part("f", after=("e",), wide=True)], folder, Resources())
    assert log.begun == ["m", "e", "f"]


def test_many_parts_may_wait_for_many(folder):
    """For a folder of parts each has one name to wait for: 3,000 after 3,000 are put in order at once."""
    parts = [Part(f"t/{k}", print) for k in range(3000)] + [Part(f"m/{k}", print, ("t",)) for k in range(3000)]
    order = _order(parts)
    assert {*order.get_ready()} == {f"t/{k}" for k in range(3000)}
    order.done(*(f"t/{k}" for k in range(3000)))
    assert order.get_ready() == ("t/",)
    order.done("t/")
    assert {*order.get_ready()} == {f"m/{k}" for k in range(3000)}


@pytest.mark.parametrize("wide", [True, False])
@pytest.mark.parametrize(("error", "raised"), [(KeyError("bad"), KeyError), (KeyboardInterrupt(), Interrupted)])
def test_an_error_ends_the_work_that_has_not_begun(folder, error, raised, wide):
    log = Log(0.03)

    def fail(place):
        raise error

    parts = [
        log.part("a", wide=wide),
        log.part("b", fail, wide=wide),
        *(log.part(f"c{k}", wide=wide) for k in range(40)),
    ]
    with pytest.raises(raised) as found:
        run_parts(parts, folder, Resources(workers=2))
    assert len(log.begun) < 8
    assert sorted(folder.done) == sorted(log.ended)
    if raised is Interrupted:
        assert str(found.value) == f"interrupted; `{folder.path}` holds what is done"
    again = Log()
    run_parts([again.part(part.name, wide=wide) for part in parts], folder, Resources(workers=2))
    assert {*again.begun} == {part.name for part in parts} - {*log.ended}


def test_ctrl_c_while_threads_work_is_an_interruption(folder):
    log = Log(0.03)

    def press(place):
        os.kill(os.getpid(), signal.SIGINT)

    parts = [log.part(f"c{k}", press if k == 3 else None) for k in range(200)]
    with pytest.raises(Interrupted):
        run_parts(parts, folder, Resources(workers=2))
    assert 3 < len(log.begun) < 40
    assert sorted(folder.done) == sorted(log.ended)


@pytest.mark.parametrize(
    "names",
    [{"a": (), "b": ("c",)}, {"a": (), "a/b": ()}, {"a/b/c": (), "a": ()}, {"a": ("b",), "b": ("a",)}, {"a": ("a",)}],
)
def test_parts_that_cannot_be_run_are_refused(folder, names):
    log = Log()
    with pytest.raises(ValueError, match=r"^`parts` must "):
        run_parts([log.part(name, after=after) for name, after in names.items()], folder, Resources())
    assert log.begun == []


def test_parts_of_one_name_are_refused(folder):
    with pytest.raises(ValueError, match=r"^`parts` must have folders of their own, .*; got \['a', 'a'\]$"):
        run_parts([Log().part("a"), Log().part("a")], folder, Resources())


def test_names_that_begin_alike_are_names_of_their_own(folder):
    log = Log()
    run_parts([log.part(name) for name in ("m/1", "m/10", "m1")], folder, Resources())
    folder.forget(["m/1"])
    assert sorted(folder.done) == ["m/10", "m1"]
    assert [*folder.manifest["files"]] == ["parts/m/10/r.jsonl", "parts/m1/r.jsonl"]


def test_progress_is_for_a_terminal(capsys):
    assert list(progress(range(3), desc="walking")) == [0, 1, 2]
    assert capsys.readouterr() == ("", "")


def test_parts_places_resources_and_estimates_do_not_change(folder):
    """Threads share them."""
    values = (Part("a", print), Resources(), Place(folder, "a"), Estimate(1.0, 2.0, 3.0))
    for value, name in zip(values, ("name", "workers", "part", "seconds"), strict=True):
        with pytest.raises(FrozenInstanceError):
            setattr(value, name, 2)
