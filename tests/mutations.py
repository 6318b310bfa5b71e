"""Breaks single lines at random and looks whether the tests notice: ``python -m tests.mutations --count 60 --seed 0``.

Each mutation changes one expression of one line in a copy of the project (an operator, a comparison, a number, a truth
value, a condition, a call that is left out) and runs the tests of its package until one fails. What survives is listed
with its line: each survivor wants a test, or an argument that the line may well be so.
"""

import argparse
import ast
import os
import random
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
TESTS = {
    "gating/runs": ["gating/runs", "tests/gating/runs", "tests/gating/test_cli.py", "tests/gating/test_cli_theory.py"],
    "gating/results": ["gating/results", "tests/gating/results", "tests/gating/test_cli_theory.py"],
    "gating/training": ["gating/training", "tests/gating/training"],
    "gating/evaluation": ["gating/evaluation", "tests/gating/evaluation", "tests/gating/studies"],
    "gating/pictures": ["gating/pictures", "tests/gating/pictures", "tests/gating/studies/images"],
    "gating/studies/images": ["gating/studies/images", "tests/gating/studies/images"],
    "gating/models": ["gating/models", "tests/gating/models", "tests/gating/training"],
    "llm_finetune": ["llm_finetune", "tests/llm_finetune"],
}
"""Packages that are broken, and the tests that look after each; the golden tables look after all."""

LAST = ["tests/golden"]
SWAPPED = {
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult, ast.FloorDiv: ast.Mult, ast.Pow: ast.Mult,
    ast.Lt: ast.GtE, ast.GtE: ast.Lt, ast.Gt: ast.LtE, ast.LtE: ast.Gt, ast.Eq: ast.NotEq, ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot, ast.IsNot: ast.Is, ast.In: ast.NotIn, ast.NotIn: ast.In, ast.And: ast.Or, ast.Or: ast.And,
    ast.BitOr: ast.BitAnd, ast.BitAnd: ast.BitOr,
}  # fmt: skip


def mutations(text: str) -> Iterator[tuple[int, str, str]]:
    """Line, its text, and the broken text, of everything that can be broken in a source."""
    tree, lines = ast.parse(text), text.split("\n")
    annotations = {id(part) for node in ast.walk(tree) for part in _annotations(node)}
    for node in ast.walk(tree):
        line = getattr(node, "lineno", 0)
        if not line or node.end_lineno != line or id(node) in annotations:
            continue
        for broken in _broken(node):
            before = lines[line - 1].encode()
            start, end = node.col_offset, node.end_col_offset
            after = (before[:start] + broken.encode() + before[end:]).decode()
            if after.strip() != lines[line - 1].strip():
                yield line, lines[line - 1], after


def _annotations(node: ast.AST) -> Iterator[ast.AST]:
    for name in ("annotation", "returns"):
        part = getattr(node, name, None)
        if isinstance(part, ast.AST):
            yield from ast.walk(part)
    if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "__all__":
        yield from ast.walk(node)
    if isinstance(node, ast.JoinedStr | ast.Raise):  # words of messages
        yield from ast.walk(node)
    if isinstance(node, ast.keyword) and node.arg == "strict":  # of `zip`: no input makes lists of one source differ
        yield from ast.walk(node)


def _broken(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.BinOp) and type(node.op) in SWAPPED:
        yield ast.unparse(ast.BinOp(node.left, SWAPPED[type(node.op)](), node.right))
    elif isinstance(node, ast.Compare) and len(node.ops) == 1 and type(node.ops[0]) in SWAPPED:
        yield ast.unparse(ast.Compare(node.left, [SWAPPED[type(node.ops[0])]()], node.comparators))
    elif isinstance(node, ast.BoolOp):
        yield f"({ast.unparse(ast.BoolOp(SWAPPED[type(node.op)](), node.values))})"
    elif isinstance(node, ast.Constant) and isinstance(node.value, bool):
        yield str(not node.value)
    elif isinstance(node, ast.Constant) and isinstance(node.value, int | float):
        yield repr(node.value + 1)
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not | ast.USub | ast.Invert):
        yield ast.unparse(node.operand)
    elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
        yield "pass"
    elif isinstance(node, ast.Return) and node.value is not None and not isinstance(node.value, ast.Constant):
        yield "return None"


def drawn(packages: list[str], count: int, seed: int) -> list[tuple[Path, int, str, str]]:
    """Mutations drawn without replacement, as many of each package as its share of what can be broken."""
    every = [
        (file.relative_to(ROOT), *broken)
        for package in packages
        for file in sorted((ROOT / package).rglob("*.py"))
        for broken in mutations(file.read_text(encoding="utf-8"))
    ]
    return random.Random(seed).sample(every, min(count, len(every)))


def survives(copy: Path, file: Path, line: int, after: str) -> bool:
    """Whether all tests pass in spite of it."""
    whole = (copy / file).read_text(encoding="utf-8")
    lines = whole.split("\n")
    lines[line - 1] = after
    (copy / file).write_text("\n".join(lines), encoding="utf-8")
    tests = next(tests for package, tests in TESTS.items() if str(file).startswith(package))
    environment = {**os.environ, "PYTHONPATH": str(copy), "OMP_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": "1"}
    try:
        for chosen in (tests, LAST):
            there = [name for name in chosen if (copy / name).exists()]
            command = [sys.executable, "-m", "pytest", "-q", "-x", "-n0", "-p", "no:cacheprovider", *there]
            done = subprocess.run(command, cwd=copy, env=environment, capture_output=True, timeout=600)
            if done.returncode:
                return False
    except subprocess.TimeoutExpired:
        return False
    finally:
        (copy / file).write_text(whole, encoding="utf-8")
    return True


def _left_out(folder: str, names: list[str]) -> set[str]:
    """What a copy does without."""
    top = {".git", ".venv", "runs", "build"} if Path(folder) == ROOT else set()
    return {name for name in names if name in top or name == "__pycache__" or name.endswith("_cache")}


def main() -> int:
    """Prints each mutation and what became of it; the exit status is the number of survivors."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--count", type=int, default=60)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--packages", nargs="*", default=list(TESTS), choices=list(TESTS))
    parser.add_argument("--only", type=int, nargs="*", help="numbers of the mutations to try again")
    given = parser.parse_args()
    survivors = 0
    with tempfile.TemporaryDirectory() as place:
        copy = Path(place) / "project"
        shutil.copytree(ROOT, copy, ignore=_left_out)
        for number, (file, line, before, after) in enumerate(drawn(given.packages, given.count, given.seed)):
            if given.only and number not in given.only:
                continue
            lives = survives(copy, file, line, after)
            survivors += lives
            print(f"{number:3} {'SURVIVED' if lives else 'killed  '} {file}:{line}", flush=True)
            print(f"      - {before.strip()}\n      + {after.strip()}", flush=True)
    print(f"{survivors} survived")
    return survivors


if __name__ == "__main__":
    sys.exit(main())
