"""Small runs of every study, each made once."""

from typing import Any, NamedTuple

import pandas as pd
import pytest

from gating.runs.catalogue import find_study
from gating.runs.engine import texts_beside
from gating.runs.folder import TABLE, RunFolder
from gating.runs.study import Study
from tests.golden.settings import run
from theory.settings import build


class Held(NamedTuple):
    """What a finished run holds."""

    study: Study[Any]
    plain: dict[str, Any]
    table: pd.DataFrame
    beside: dict[str, str]

    @property
    def config(self) -> Any:
        """Its settings."""
        return build(self.study.config, self.plain)


@pytest.fixture(scope="session")
def held(tmp_path_factory):
    """What the run of a case of a study holds; it is run where it is asked for first."""
    root, known = tmp_path_factory.mktemp("runs"), dict[tuple[str, str], Held]()

    def of(study: str, case: str) -> Held:
        if (study, case) not in known:
            folder = RunFolder(run(study, case, root))
            plain = folder.manifest["identity"]["config"]
            table = pd.read_parquet(folder.path / TABLE)
            known[study, case] = Held(find_study(study), plain, table, dict(texts_beside(folder)))
        return known[study, case]

    return of
