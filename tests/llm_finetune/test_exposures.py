"""How often training asks for a fact."""

import pytest

from llm_finetune.config import FinetuneConfig
from llm_finetune.exposures import exposure_rows


def test_a_fact_is_asked_for_by_every_prompt_with_its_own_answer():
    config = FinetuneConfig(
        collection="frequency",
        mixtures=["memory=0.5 reading=0.5", "memory=1", "memory=0.25 random=0.5 irrelevant=0.25"],
        exposures=["given", "equal"],
        training={"steps": 120, "batch_size": 8},
    )
    rows = list(exposure_rows(config))
    found = {(row["mixture"], row["exposure"], row["step"], row["group"]): row["value"] for row in rows}
    assert len(found) == len(rows) == 3 * 2 * 2 * 3
    mixed = ("memory=0.5 reading=0.5", "given", 120)
    assert found[*mixed, "high"] == pytest.approx(480 * 0.9 / 16)
    assert found[*mixed, "low"] == pytest.approx(480 * 0.1 / 48)
    assert found[*mixed, "all"] == pytest.approx(480 / 64)
    assert found["memory=0.25 random=0.5 irrelevant=0.25", "given", 120, "all"] == pytest.approx(480 / 64)
    assert found["memory=1", "equal", 120, "high"] == pytest.approx(960 / 64)
    assert {value for (_, _, step, _), value in found.items() if step == 0} == {0.0}
