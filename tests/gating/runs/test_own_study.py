"""The study that the documentation shows runs as it stands there."""

import re
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from gating.runs.engine import run

PAGE = Path(__file__).parents[3] / "docs" / "own-study.md"


def test_the_study_of_the_documentation_runs(monkeypatch):
    code = re.search(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)[1]
    module = ModuleType("my_package_study")
    monkeypatch.setitem(sys.modules, module.__name__, module)
    exec(compile(code, str(PAGE), "exec"), module.__dict__)
    study = module.Coin()
    table = run(study, study.config(tosses=50, n_seeds=2), None)
    answer = table[table["answer"]].iloc[0]
    heads = [np.random.default_rng(seed).integers(2, size=50).mean() for seed in range(2)]
    assert answer["value"] == pytest.approx(np.mean(heads))
    assert 0 <= answer["low"] < answer["value"] < answer["high"] <= 1
    assert study.text(study.config(), table) == str(answer["value"])
