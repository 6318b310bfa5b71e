"""The command ``gating``: what it does with a study is the same for all of them, and none is named here."""

import io
import json
import os
import sys
from collections.abc import Callable, Sequence
from contextlib import nullcontext, redirect_stdout
from importlib import import_module
from importlib.metadata import version
from typing import Any

from gating.runs.catalogue import find_study, study_names, study_question
from gating.runs.errors import FolderError, Interrupted, RunFailed, Unwritable
from gating.runs.options import RunOptions
from gating.runs.ranks import number
from gating.settings import near, read_config, read_flags
from gating.settings.text import print_config
from theory.settings import SpecError

__all__ = ["main"]

DESCRIPTION = "When does a model answer from its weights, and when from its context?"


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs a command; returns its exit status: 0, 1 for a failed run, 2 for bad input, 130 when interrupted."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    for stream in (sys.stdout, sys.stderr):  # names of files may be no text, and a terminal may know few letters
        getattr(stream, "reconfigure", lambda **_: None)(errors="backslashreplace")
    try:
        with redirect_stdout(io.StringIO()) if number() else nullcontext():  # of several processes the first one speaks
            _command(given)
        sys.stdout.flush()
        return 0
    except SpecError as error:
        return _fail(2, error.problems)
    except Unwritable as error:
        return _fail(2, [f"{error}, and {_same(given)} goes on from it"])
    except FolderError as error:
        return _fail(2, [str(error)])
    except Interrupted as stop:
        return _fail(130, [f"{stop}; {_same(given)} goes on from there"])
    except KeyboardInterrupt:
        return _fail(130, [f"interrupted; what is saved stays, and {_same(given)} goes on from it"])
    except RunFailed as error:
        return _fail(1, [str(error)])
    except BrokenPipeError:  # the reader of our output has gone
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except (MemoryError, RuntimeError) as error:
        if isinstance(error, RuntimeError) and "allocate memory" not in str(error):
            raise
        return _fail(1, [f"the memory that is free is not enough; what is saved stays, and {_same(given)} goes on"])


def _same(given: Sequence[str]) -> str:
    """The command that goes on with what another has saved: one that begins anew would remove it."""
    anew = [flag for flag in ("--again", "--reevaluate") if any(token.partition("=")[0] == flag for token in given)]
    return " ".join(["the same command", *(f"without `{flag}`" for flag in anew)])


def _fail(status: int, problems: Sequence[str]) -> int:
    for problem in [] if number() else problems:
        print(f"gating: {problem}", file=sys.stderr)
    return status


def _command(given: list[str]) -> None:
    first, *rest = given or ["--help"]
    if first in ("-h", "--help"):
        print(_help())
    elif first == "--version":
        print(f"gating {version('icl-gating')}")
    elif first in COMMANDS:
        _own(first, rest)
    elif first in study_names():
        _study(first, rest)
    else:
        known = [*study_names(), *COMMANDS]
        raise SpecError([f"`command` must be one of {known}; got {first!r}{near(first, known)}"])


def _help() -> str:
    studies = {name: study_question(name) for name in study_names()}
    width = max(map(len, [*studies, *COMMANDS])) + 2
    usage = "usage: gating COMMAND ...     gating COMMAND --help     gating --version"
    lines = [DESCRIPTION, "", usage, "", "studies:"]
    lines += [f"  {name:{width}}{question}" for name, question in studies.items()]
    lines += ["", "runs:"]
    lines += [f"  {f'{name} {place}':{width + 12}}{words}" for name, (place, words, _) in COMMANDS.items()]
    return "\n".join(lines)


def _study(name: str, given: list[str]) -> None:
    """Runs a study from its flags and files; every bad setting is reported before anything is written."""
    study = find_study(name)
    if {"-h", "--help"} & set(given):
        print(study.help(RunOptions))
        return
    rest = [token for token in given if token not in ("--print_config", "--print-config")]
    config, options = study.from_flags(rest, RunOptions)
    if len(rest) < len(given):
        print(print_config(config), end="")
    else:
        _run(study, config, options)


def _run(study: Any, config: Any, options: Any) -> None:
    from gating.runs import engine
    from gating.runs.resources import resources_of

    name = study.name()
    out = options.folder(study)
    quiet = sys.stderr if options.json or out is None else sys.stdout
    how = resources_of(options, lambda line: print(line, file=quiet, flush=True))
    if options.dry_run and number():
        return
    if options.dry_run:
        print(engine.estimate(study, config, how))
        return
    flags = {name: getattr(options, name) for name in ("again", "reevaluate", "force")}
    table = engine.run(study, config, out, how, **flags)
    print(json.dumps(engine.as_json(name, config, table), indent=1) if options.json else study.text(config, table))


def _own(command: str, given: list[str]) -> None:
    """Runs a command that is no study, with its arguments."""
    place, words, run = COMMANDS[command]
    if "..." in place:  # it has flags of its own
        run(given)
        return
    if {"-h", "--help"} & set(given):
        print(f"usage: gating {command} {place}\n\n{words[:1].upper()}{words[1:]}.")
        return
    arguments = given or (["runs"] if command == "ls" else [])
    if len(arguments) != len(place.split()) or any(argument.startswith("-") for argument in arguments):
        many = "one argument" if len(place.split()) == 1 else f"{len(place.split())} arguments"
        raise SpecError([f"`{command}` must have {many}, {place}; got {' '.join(given) or 'none'}"])
    run(*arguments)


def _redraw(path: str) -> None:
    from gating.runs.engine import redraw

    redraw(find_study, path, print)


def _plot(path: str, name: str, file: str) -> None:
    from gating.runs.plot import save_plot

    try:
        print(save_plot(path, name, file))
    except ValueError as error:
        raise SpecError([str(error)]) from error


def _list(place: str) -> None:
    from gating.runs.folder import find_runs

    for folder in find_runs(place):
        print(folder.path, *folder.state, sep="\t")


def _explore(given: list[str]) -> None:
    import_module("gating.explore.command").explore(given)  # it needs studies, and no study needs the command


def _validate(file: str) -> None:
    name, _ = read_config(file)
    read_flags(["--config", file], find_study(name).config, RunOptions)
    print(f"{file}: valid settings of `{name}`")


COMMANDS: dict[str, tuple[str, str, Callable[..., None]]] = {
    "explore": ("[RUN ...]", "theory in a browser, with runs laid over it", _explore),
    "report": ("DIR", "draws the page of a finished run again", _redraw),
    "plot": ("DIR FIGURE FILE", "writes one figure of a finished run as a .svg, .png or .json file", _plot),
    "ls": ("[DIR]", "lists the runs in a folder and below it, with study and state", _list),
    "validate": ("FILE", "checks a file of settings without running them", _validate),
}
