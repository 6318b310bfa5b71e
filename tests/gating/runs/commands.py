"""Runs the command as a process of its own."""

import subprocess
import sys

COMMAND = [sys.executable, "-c", "import sys; from gating.cli import main; sys.exit(main(sys.argv[1:]))"]


def started(arguments, **how):
    """A process of the command, whose output is read by `ended`."""
    return subprocess.Popen([*COMMAND, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **how)


def ended(process):
    """Status, output and errors of a process, once it has ended."""
    out, err = process.communicate(timeout=300)
    return process.returncode, out, err
