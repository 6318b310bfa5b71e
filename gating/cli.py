"""The command ``gating``."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
import yaml
from jsonargparse import ArgumentParser

from gating.report import short_table, write_report
from gating.settings import load_settings, read_yaml
from gating.studies.compare.config import CompareConfig
from gating.studies.compare.run import run_compare
from gating.studies.folder import FolderError, StudyFolder, find_studies
from gating.training.threads import free_cores
from gating.training.trainer import Interrupted, TrainingDiverged
from theory.distribution import SpecError

__all__ = ["main"]

STUDIES: dict[str, tuple[type[Any], Callable[..., Any]]] = {"compare": (CompareConfig, run_compare)}
"""Config and runner of each study."""

_DESCRIPTION = "When does a model answer from its weights, and when from its context?"


@dataclass(frozen=True)
class RunOptions:
    """Where and how a study runs; nothing here changes its result.

    Args:
        out: folder of the run; the same folder and settings go on with an interrupted run.
        device: where models train; ``auto`` takes a GPU when there is one.
        workers: worker threads on the CPU; 0 takes the cores that are free.
    """

    out: str = "runs/compare"
    device: Literal["auto", "cpu", "cuda"] = "auto"
    workers: int = 0

    def __post_init__(self) -> None:
        problems = []
        if self.workers < 0:
            problems.append(f"`workers` must be an integer >= 0; got {self.workers}")
        if self.device == "cuda" and not torch.cuda.is_available():
            problems.append("`device` must be one of 'auto' or 'cpu' on a machine without a CUDA device; got 'cuda'")
        if Path(self.out).is_file():
            problems.append(f"`out` must be a folder; got the file '{self.out}'")
        if problems:
            raise SpecError(problems)


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs a command; returns its exit status: 0, 1 for a failed run, 2 for bad input, 130 when interrupted."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    parser = _parser()
    try:
        if given and given[0] in STUDIES and not {"-h", "--help", "--print_config"} & {g.split("=")[0] for g in given}:
            return _study(given[0], given[1:])
        parsed = parser.parse_args(given)
        return _COMMANDS[parsed.command](parsed[parsed.command])
    except SpecError as error:
        return _fail(2, error.problems)
    except FolderError as error:
        return _fail(2, [str(error)])
    except Interrupted as stop:
        return _fail(130, [f"{stop}; the same command goes on from there"])
    except TrainingDiverged as error:
        return _fail(1, [str(error)])


def _fail(status: int, problems: Sequence[str]) -> int:
    for problem in problems:
        print(f"gating: {problem}", file=sys.stderr)
    return status


def _parser() -> ArgumentParser:
    parser = ArgumentParser(prog="gating", description=_DESCRIPTION)
    commands = parser.add_subcommands(dest="command", required=True)
    for name, (config_class, _) in STUDIES.items():
        study = ArgumentParser(description=(config_class.__doc__ or "").split("\n")[0])
        study.add_argument("--config", action="config", help="YAML file with any of the settings below")
        study.add_class_arguments(RunOptions, as_group=True)
        study.add_class_arguments(config_class, as_group=True)
        commands.add_subcommand(name, study, help=f"run the study `{name}`")
    report = ArgumentParser(description="Draws the report of a finished run again, without training.")
    report.add_argument("dir", type=str, help="folder of the run")
    commands.add_subcommand("report", report, help="draw the report of a finished run again")
    listing = ArgumentParser(description="Lists runs with their study and state.")
    listing.add_argument("dir", type=str, nargs="?", default="runs", help="folder to look in, with all below it")
    commands.add_subcommand("ls", listing, help="list runs")
    validate = ArgumentParser(description="Checks a config file without running it.")
    validate.add_argument("file", type=str, help="YAML file")
    commands.add_subcommand("validate", validate, help="check a config file")
    return parser


def _study(name: str, given: Sequence[str]) -> int:
    """Runs a study from its flags and config file; every bad setting is reported before anything is written."""
    config_class, run = STUDIES[name]
    pairs, options, problems = _read_flags(given)
    for build in (lambda: load_settings(config_class, pairs), lambda: load_settings(RunOptions, options)):
        try:
            build()
        except SpecError as error:
            problems += error.problems
    if problems:
        raise SpecError(problems)
    config, how = load_settings(config_class, pairs), load_settings(RunOptions, options)
    device = how.device if how.device != "auto" else "cuda" if torch.cuda.is_available() else "cpu"
    workers = how.workers or free_cores()
    asked = "as asked" if how.workers else "as many as there are free cores"
    print(f"running `{name}` in {how.out} on {device} with {workers} worker thread(s), {asked}", flush=True)
    table = run(config, Path(how.out), device=device, workers=workers)
    _report(StudyFolder(Path(how.out)))
    print(short_table(table))
    return 0


def _read_flags(given: Sequence[str]) -> tuple[list[tuple[str, Any]], list[tuple[str, Any]], list[str]]:
    """Settings (file first, then flags), run options, and what is wrong with them."""
    from_file: list[tuple[str, Any]] = []
    flags: list[tuple[str, Any]] = []
    problems: list[str] = []
    rest = list(given)
    while rest:
        token = rest.pop(0)
        name, equals, text = token.removeprefix("--").partition("=")
        if not token.startswith("--"):
            problems.append(f"flags must look like `--name value`; got '{token}'")
        elif not equals and not rest:
            problems.append(f"`{name}` must have a value; got none")
        else:
            text = text if equals else rest.pop(0)
            if name == "config":
                try:
                    from_file += read_yaml(text)
                except SpecError as error:
                    problems += error.problems
            else:
                flags.append((name, yaml.safe_load(text)))
    is_option = set(RunOptions.__dataclass_fields__).__contains__
    pairs = from_file + flags
    return [p for p in pairs if not is_option(p[0])], [p for p in pairs if is_option(p[0])], problems


def _report(folder: StudyFolder) -> None:
    table = folder.read_table()
    for path in write_report(folder.path, table, folder.settings(), folder.environment()):
        if path.suffix == ".html":
            print(f"report: {path}")


def _redraw(parsed: Any) -> int:
    _report(StudyFolder(Path(parsed.dir)))
    return 0


def _list(parsed: Any) -> int:
    root = Path(parsed.dir)
    if not root.is_dir():
        raise FolderError(f"`dir` must be an existing folder; got '{root}'")
    for folder in find_studies(root):
        state = "finished" if folder.finished else "not finished"
        print(f"{folder.path}\t{folder.settings().get('study', '?')}\t{state}")
    return 0


def _validate(parsed: Any) -> int:
    pairs = read_yaml(parsed.file)
    study = dict(pairs).get("study")
    if study not in STUDIES:
        raise SpecError([f"`study` must be one of {sorted(STUDIES)}; got {study!r}"])
    load_settings(STUDIES[study][0], pairs)
    print(f"{parsed.file}: valid settings of `{study}`")
    return 0


_COMMANDS: dict[str, Callable[[Any], int]] = {"report": _redraw, "ls": _list, "validate": _validate}
