"""Scripts in `examples` run as they stand; short ones import what the packages give out.

Those that write files are run here, those of one's own gate, task and model by test_own_examples.py, and all of them by
`make docs`, whose gallery they are.
"""

import ast
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SCRIPTS = sorted((ROOT / "examples").glob("*.py"))
WRITES = {"own_figure": ["own_figure.svg", "bounds.png"], "bounds_for_theorist": [], "sweep": []}
"""Files that a short script leaves."""
PICTURES = {"published_bounds": ["published_bounds.svg"]}
"""Files that a longer script leaves."""


def run(code: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    """A fresh interpreter in a folder of its own."""
    paths = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    there = {**os.environ, "PYTHONPATH": paths, "OMP_NUM_THREADS": "1"}
    return subprocess.run([sys.executable, "-W", "error", *code], cwd=folder, env=there, capture_output=True, text=True)


def test_there_are_scripts():
    assert {*WRITES, *PICTURES} <= {script.stem for script in SCRIPTS}


@pytest.mark.parametrize("script", [s for s in SCRIPTS if s.stem in WRITES], ids=lambda script: script.stem)
def test_a_short_script_is_of_twenty_lines_and_imports_no_deeper_than_two_names(script):
    text = script.read_text(encoding="utf-8")
    tree = ast.parse(text)
    assert len(text.splitlines()) <= 20
    assert ast.get_docstring(tree)
    own = [
        node.module if isinstance(node, ast.ImportFrom) else name.name
        for node in ast.walk(tree)
        if isinstance(node, (ast.Import, ast.ImportFrom))
        for name in node.names
    ]
    assert {str(module) for module in own if str(module).partition(".")[0] in ("theory", "gating", "llm_finetune")}
    assert not [
        module
        for module in own
        if str(module).count(".") and str(module).startswith(("theory", "gating", "llm_finetune"))
    ]


@pytest.mark.parametrize("script", [s for s in SCRIPTS if s.stem in WRITES | PICTURES], ids=lambda script: script.stem)
def test_a_script_runs_in_a_folder_of_its_own(script, tmp_path):
    done = run([str(script)], tmp_path)
    assert done.returncode == 0, done.stderr
    assert {*(WRITES | PICTURES).get(script.stem, [])} <= {file.name for file in tmp_path.iterdir()}


def test_the_readme_s_python_runs(tmp_path):
    code = re.search(r"```python\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), re.DOTALL)[1]
    shown = re.search(r"^(crossover\(.*\)\.exact)  # ([\d.]+),", code, re.MULTILINE)
    done = run(["-c", f"{code}\nprint({shown[1]})"], tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split()[-1] == shown[2]


def test_the_theorist_s_bounds_hold_the_exact_crossover(tmp_path):
    lines = run([str(ROOT / "examples" / "bounds_for_theorist.py")], tmp_path).stdout.splitlines()[1:]
    assert len(lines) == 5
    for line in lines:
        exact, low, high = (
            float(text) for text in line.replace("(", "").replace(")", "").replace("to ", "").split()[1:4]
        )
        assert low <= exact <= high
