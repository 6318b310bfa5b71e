"""Every block of code in README and docs is run, in a quick form where it is long, or stands here with the reason."""

import doctest
import json
import re
import shlex
import shutil
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
import yaml

from gating.cli import main
from gating.runs.catalogue import study_names
from tests.golden.settings import CASES, run

ROOT = Path(__file__).parents[1]
GENERATED = ("_build", "api", "files", "gallery")
DOCUMENTS = [
    ROOT / "README.md",
    *(
        file
        for file in sorted((ROOT / "docs").rglob("*.md"))
        if file.relative_to(ROOT / "docs").parts[0] not in GENERATED
    ),
]

RUN = r"gating (bounds|phases)\b.*|gating (ls|report|validate|plot)\b.*|gating \S+ --(help|version)"
"""Commands that are run as they stand, beside a small run of `compare` that stands for those they name."""

NOT_RUN = {
    r"make (demo|llm|test)\b.*": "installs; the commands behind it are checked where they stand by themselves",
    r"(#!|#SBATCH|set |cd |source |export |first=|address=|srun |ray ).*": "of a cluster, which is not here",
    r"torchrun .*": "several processes: tests/llm_finetune/test_processes.py runs them",
    r"pip install 'icl-gating\[[a-z]+\]'|tensorboard --logdir .*": "of other packages",
    r"gating explore\b.*": "a server: tests/browser/test_explorer.py asks it, and writes the file",
    r"pip install ./examples/new_study": "tests/test_new_study.py installs it, and runs the commands that follow",
    r"gating (sweep )?temperature\b.*|gating report runs/temperature": "of that study: tests/test_new_study.py",
    r"gating regret --gates .*my_gate.*": "a gate of another package: tests/test_own_examples.py plays one by its name",
    r"gating probe .*mine\.jsonl.*": "prompts of one's own: tests/llm_finetune/test_suites.py reads such files",
    r"gating demonstrations .*my-suite.*": "texts of one's own: tests/llm_finetune/test_demonstrations.py reads such",
    r"gating conflict .*their-file.*": "a file of others: tests/llm_finetune/test_conflict_suite.py reads such",
    r"python (benchmarks/|-m benchmarks\.).*": "takes minutes; the script is there",
    r"python examples/.*": "tests/test_examples.py runs every script",
    r"python -m docs\..*": "tests/test_docs.py and tests/test_papers.py hold what it writes to what is there",
    r'python -c "from gating import read_results.*': "reads a run of hours; its imports are run",
}
"""Commands that are not run, and why."""


class Code(NamedTuple):
    """A block of a document."""

    document: Path
    line: int
    language: str
    text: str

    @property
    def name(self) -> str:
        return f"{self.document.relative_to(ROOT)}:{self.line}"


def blocks(document: Path) -> Iterator[Code]:
    text = document.read_text(encoding="utf-8")
    for found in re.finditer(r"^( *)```([^\n]*)\n(.*?)^\1```", text, flags=re.MULTILINE | re.DOTALL):
        yield Code(document, text.count("\n", 0, found.start()) + 1, found[2], found[3])


BLOCKS = [block for document in DOCUMENTS for block in blocks(document)]


def commands(text: str) -> list[str]:
    """Commands of a shell block, without comments and continued lines put together."""
    lines = re.sub(r"\\\n\s*", " ", text).splitlines()
    bare = (line if line.startswith("#") else re.sub(r"(^|\s)#(?![^']*'[^']*$).*", "", line) for line in lines)
    return [line.strip().removeprefix(".venv/bin/") for line in bare if line.strip()]


SHELL = [(block.name, line) for block in BLOCKS if block.language in ("", "bash") for line in commands(block.text)]
INLINE = [
    (f"{document.relative_to(ROOT)}", found.replace("\n", " "))
    for document in DOCUMENTS
    for found in re.findall(
        r"`(gating [a-z]+ --[^`]* [^-`][^`]*)`", re.sub(r"```.*?```", "", document.read_text("utf-8"), flags=re.S)
    )
]


@pytest.fixture(scope="module")
def workplace(small_runs, tmp_path_factory):
    """A folder with a finished run under the names that documents use, and files that they name."""
    place = tmp_path_factory.mktemp("documents")
    done = run("compare", next(iter(CASES["compare"])), small_runs)
    for name in ("quick", "noisy", "sweep"):
        shutil.copytree(done, place / "runs" / name)
    (place / "my.yaml").write_text("study: bounds\nn_sequences: [10, 100]\n", encoding="utf-8")
    shutil.copy2(ROOT / "llm_finetune" / "data" / "people.jsonl", place / "mine.jsonl")
    return place


def quick(command: str) -> list[str]:
    """Arguments of the command in its quick form: as it stands, or with its settings checked and printed."""
    words = shlex.split(re.sub(r"\[[A-Z]+ \.\.\.\]", "", command))[1:]
    return words if re.fullmatch(RUN, command) else [*words, "--print_config"]


@pytest.mark.parametrize(("where", "command"), [*SHELL, *INLINE], ids=lambda value: str(value)[:60])
def test_a_command_runs(where, command, workplace, monkeypatch, capsys):
    reason = next((why for rule, why in NOT_RUN.items() if re.fullmatch(rule, command)), None)
    if reason is not None:
        script = re.match(r"python (?:-m (benchmarks)\.(\w+)|(benchmarks|examples)/(\w+)\.py)", command)
        assert script is None or (ROOT / (script[1] or script[3]) / f"{script[2] or script[4]}.py").is_file()
        pytest.skip(f"{command}: {reason}")
    assert command.startswith("gating "), f"{where}: neither run nor listed with a reason: {command}"
    monkeypatch.chdir(workplace)
    status = main(quick(command))
    assert status == 0, capsys.readouterr().err


def test_every_study_is_shown_in_a_command():
    shown = {shlex.split(command)[1] for _, command in SHELL if command.startswith("gating ")}
    assert set(study_names()) <= shown


@pytest.mark.parametrize("block", [b for b in BLOCKS if b.language == "python"], ids=lambda block: block.name)
def test_python_runs_where_it_needs_no_more_than_a_run(block, workplace, monkeypatch):
    """Blocks that need a model, or are part of a file, are compiled, and what they import is there."""
    monkeypatch.chdir(workplace)
    if ">>>" in block.text:
        pytest.skip("run with the other blocks of its document, below")
    compile(block.text, block.name, "exec")
    whole = "runs/quick" in block.text and block.document.name != "README.md"  # that one: tests/test_examples.py
    code = block.text if whole else "\n".join(re.findall(r"^(?:from|import) .*$", block.text, flags=re.MULTILINE))
    exec(code, {})


@pytest.mark.parametrize(
    "document",
    sorted({b.document for b in BLOCKS if b.language == "python" and ">>>" in b.text}),
    ids=lambda file: file.name,
)
def test_examples_with_answers_give_them(document):
    told = doctest.DocTestParser().get_doctest(
        document.read_text(encoding="utf-8"), {}, document.name, str(document), 0
    )
    assert told.examples
    assert doctest.DocTestRunner().run(told).failed == 0


@pytest.mark.parametrize("block", [b for b in BLOCKS if b.language not in ("", "bash", "python")], ids=lambda b: b.name)
def test_other_blocks_are_of_their_language(block):
    if block.language == "json":
        assert all(json.loads(line) for line in block.text.splitlines() if line.strip().startswith("{"))
    elif block.language in ("yaml", "toml"):
        assert yaml.safe_load(block.text) if block.language == "yaml" else tomllib.loads(block.text)
    else:
        assert block.language.startswith("{"), f"a language that no test knows: {block.language!r}"
