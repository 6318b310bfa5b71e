"""Stops this process's file operations at a chosen one, as a kill would: what comes after it is not done either."""

import contextlib
import gc
import os

OPERATIONS = ("replace", "fsync", "unlink", "mkdir", "rmdir")


class Killed(BaseException):
    """Stands for a kill."""


def killed_before(k, monkeypatch, work):
    """Does `work`, killed before its k-th file operation; returns whether there was one."""
    done = []

    def stopping(operation):
        def act(*arguments, **named):
            if len(done) >= k:
                done.append("killed")
                raise Killed
            done.append(operation)
            return operation(*arguments, **named)

        return act

    with monkeypatch.context() as patch:
        for name in OPERATIONS:
            patch.setattr(os, name, stopping(getattr(os, name) if name != "fsync" else lambda handle: None))
        with contextlib.suppress(Killed):
            work()
    gc.collect(0)  # a lock goes with the process that held it
    return "killed" in done


def contents(path):
    """Bytes of every file below a folder, but for those of the engine's own, by name."""
    return {
        file.relative_to(path).as_posix(): file.read_bytes()
        for file in sorted(path.rglob("*"))
        if file.is_file() and ".gating" not in file.parts
    }
