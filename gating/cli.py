"""The command ``gating``."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, get_type_hints

import yaml
from jsonargparse import ArgumentParser

from gating.evaluation.table import json_rows
from gating.report import short_table, write_report
from gating.settings import load_settings, read_yaml
from gating.studies.catalogue import find_study, study_names
from gating.studies.folder import FolderError, StudyFolder, find_studies
from gating.training.trainer import Interrupted, TrainingDiverged
from theory.distribution import SpecError

__all__ = ["main"]

Pairs = list[tuple[str, Any]]

_DESCRIPTION = "When does a model answer from its weights, and when from its context?"


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs a command; returns its exit status: 0, 1 for a failed run, 2 for bad input, 130 when interrupted."""
    given = _spelt_out(list(sys.argv[1:] if arguments is None else arguments))
    try:
        if (
            given
            and given[0] in study_names()
            and not {"-h", "--help", "--print_config"} & {g.split("=")[0] for g in given}
        ):
            return _study(given[0], given[1:])
        parsed = _parser().parse_args(given)
        return _COMMANDS[parsed.command](parsed[parsed.command])
    except SpecError as error:
        return _fail(2, error.problems)
    except FolderError as error:
        return _fail(2, [str(error)])
    except Interrupted as stop:
        return _fail(130, [f"{stop}; the same command goes on from there"])
    except KeyboardInterrupt:
        return _fail(130, ["interrupted; what is saved stays, and the same command goes on from it"])
    except TrainingDiverged as error:
        return _fail(1, [str(error)])


def _fail(status: int, problems: Sequence[str]) -> int:
    for problem in problems:
        print(f"gating: {problem}", file=sys.stderr)
    return status


def _spelt_out(given: list[str]) -> list[str]:
    """A bare ``--json`` or ``--again`` as ``--json=true`` or ``--again=true``."""
    following = [*given[1:], "--"]
    return [
        f"{token}=true" if token in ("--json", "--again") and after.startswith("--") else token
        for token, after in zip(given, following, strict=False)
    ]


def _parser() -> ArgumentParser:
    parser = ArgumentParser(prog="gating", description=_DESCRIPTION)
    commands = parser.add_subcommands(dest="command", required=True)
    for name in study_names():
        try:
            study = find_study(name)
        except SpecError as missing:
            commands.add_subcommand(name, ArgumentParser(), help=str(missing))
            continue
        question = (study.config.__doc__ or "").split("\n")[0]
        runner = ArgumentParser(description=question)
        runner.add_argument("--config", action="config", help="YAML file with any of the settings below")
        runner.add_class_arguments(study.options, as_group=True)
        runner.add_class_arguments(study.config, as_group=True)
        commands.add_subcommand(name, runner, help=question)
    report = ArgumentParser(description="Draws the report of a finished run again, without running it.")
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
    study = find_study(name)
    pairs, options, problems = _read_flags(given, study.options)
    built: list[Any] = []
    for config_class, values in ((study.config, pairs), (study.options, options)):
        try:
            built.append(load_settings(config_class, values))
        except SpecError as error:
            problems += error.problems
    if problems:
        raise SpecError(problems)
    config, how = built
    table = study.run(config, how)
    if how.out:
        _report(StudyFolder(Path(how.out)), sys.stderr if how.json else sys.stdout)
    if how.json:
        print(json.dumps({"study": name, "settings": asdict(config), "rows": json_rows(table)}, indent=1))
    else:
        print(short_table(table))
    return 0


def _read_flags(given: Sequence[str], options_class: type[Any]) -> tuple[Pairs, Pairs, list[str]]:
    """Settings (file first, then flags), run options, and what is wrong with them."""
    from_file: Pairs = []
    flags: Pairs = []
    problems: list[str] = []
    texts = {name for name, hint in get_type_hints(options_class).items() if hint in (str, str | None)}
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
            elif name in texts:
                flags.append((name, text))
            else:
                try:
                    flags.append((name, yaml.safe_load(text)))
                except yaml.YAMLError:
                    problems.append(f"`{name}` must be a YAML value; got '{text}'")
    is_option = set(options_class.__dataclass_fields__).__contains__
    pairs = from_file + flags
    return [p for p in pairs if not is_option(p[0])], [p for p in pairs if is_option(p[0])], problems


def _report(folder: StudyFolder, stream: Any = None) -> None:
    table = folder.read_table()
    for path in write_report(folder.path, table, folder.settings(), folder.environment()):
        if path.suffix == ".html":
            print(f"report: {path}", file=stream)


def _redraw(parsed: Any) -> int:
    _report(StudyFolder(Path(parsed.dir)))
    return 0


def _list(parsed: Any) -> int:
    root = Path(parsed.dir)
    if not root.is_dir():
        raise FolderError(f"`dir` must be an existing folder; got '{root}'")
    for folder in find_studies(root):
        try:
            study = folder.settings().get("study", "?")
        except FolderError:
            study = "unreadable"
        print(f"{folder.path}\t{study}\t{'finished' if folder.finished else 'not finished'}")
    return 0


def _validate(parsed: Any) -> int:
    pairs = read_yaml(parsed.file)
    name = str(dict(pairs).get("study"))
    load_settings(find_study(name).config, pairs)
    print(f"{parsed.file}: valid settings of `{name}`")
    return 0


_COMMANDS: dict[str, Callable[[Any], int]] = {"report": _redraw, "ls": _list, "validate": _validate}
