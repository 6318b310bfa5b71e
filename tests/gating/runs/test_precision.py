"""The precision of products: threads take turns, and Ctrl-C leaves nothing held."""

import signal
import threading

import pytest
import torch

from gating.runs import precision
from gating.runs.precision import matmul_precision


@pytest.mark.parametrize("call", range(4))
def test_ctrl_c_at_any_change_leaves_the_precision_as_it_was(monkeypatch, call):
    calls, change = [], precision._set

    def interrupted(wanted):
        calls.append(wanted)
        change(wanted)
        if len(calls) == call + 1:
            signal.raise_signal(signal.SIGINT)

    def nested():
        with matmul_precision("highest"), matmul_precision("medium"):
            pass

    with monkeypatch.context() as patch:
        patch.setattr(precision, "_set", interrupted)
        with pytest.raises(KeyboardInterrupt):
            nested()
    assert precision._holders == {}
    assert precision._mine.precision is None
    assert torch.get_float32_matmul_precision() == "highest"


def test_ctrl_c_while_a_precision_is_counted_leaves_none_counted(monkeypatch):
    class Pressed(dict):
        def __setitem__(self, precision, count):
            super().__setitem__(precision, count)
            signal.raise_signal(signal.SIGINT)

    def held():
        with matmul_precision("medium"):
            pass

    monkeypatch.setattr(precision, "_holders", Pressed())
    with pytest.raises(KeyboardInterrupt):
        held()
    assert precision._holders == {}
    assert torch.get_float32_matmul_precision() == "highest"


def test_the_precision_of_before_comes_back():
    torch.set_float32_matmul_precision("high")
    try:
        with matmul_precision("highest"), matmul_precision("medium"):
            assert torch.get_float32_matmul_precision() == "medium"
        assert torch.get_float32_matmul_precision() == "high"
    finally:
        torch.set_float32_matmul_precision("highest")


def test_a_thread_waits_until_no_other_computes_in_another_precision():
    held, free, seen = threading.Event(), threading.Event(), []

    def short():
        held.wait(20)
        with matmul_precision("medium"):
            seen.append((torch.get_float32_matmul_precision(), free.is_set()))

    thread = threading.Thread(target=short)
    thread.start()
    with matmul_precision("highest"):
        held.set()
        thread.join(0.05)
        free.set()
    thread.join(20)
    assert seen == [("medium", True)]
    assert torch.get_float32_matmul_precision() == "highest"
