"""Imports between folders run one way: no folder of a package needs, by any way round, one that needs it."""

import ast
from collections import defaultdict
from pathlib import Path

ROOT = Path(__file__).parents[1]
PACKAGES = ("theory", "gating", "llm_finetune")


def _folder(module: str) -> str:
    place = ROOT.joinpath(*module.split("."))
    return module if place.is_dir() else module.rpartition(".")[0]


def _arrows() -> dict[str, set[str]]:
    arrows = defaultdict(set)
    for package in PACKAGES:
        for file in (ROOT / package).rglob("*.py"):
            own = ".".join(file.parent.relative_to(ROOT).parts)
            for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
                if isinstance(node, ast.ImportFrom) and str(node.module).partition(".")[0] in PACKAGES:
                    arrows[own].add(_folder(str(node.module)))
    return {own: others - {own} for own, others in arrows.items()}


def test_no_circle_of_imports_between_folders():
    arrows = _arrows()
    assert len(arrows) > 10
    while arrows:
        free = [folder for folder, others in arrows.items() if not others & set(arrows)]
        assert free, f"a circle among {sorted(arrows)}"
        arrows = {folder: others for folder, others in arrows.items() if folder not in free}


def test_packages_are_imported_one_way_and_the_engine_names_no_study():
    arrows = _arrows()
    assert not [other for other in arrows["theory"] if not other.startswith("theory")]
    assert not any(
        other.startswith("llm_finetune") for own in arrows if own.startswith("gating") for other in arrows[own]
    )
    engine = [ROOT / "gating" / "cli.py", *(file for part in ("runs", "results", "page", "settings")
                                           for file in (ROOT / "gating" / part).rglob("*.py"))]  # fmt: skip
    for file in engine:
        imported = [node.module for node in ast.walk(ast.parse(file.read_text())) if isinstance(node, ast.ImportFrom)]
        assert not [module for module in imported if str(module).startswith("gating.studies")], file
