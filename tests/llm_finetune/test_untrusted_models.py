"""The folder of a model, whoever wrote it, runs no code of its own and writes nothing outside the places it is kept in.

Versions of transformers fail here, each for another hole; the least one that ``pyproject.toml`` asks for does not.
"""

import json
from contextlib import suppress

import pytest
from local_model import save_local_model

from llm_finetune.models import load_model
from theory.settings import SpecError


def rewritten(file, **changes):
    file.write_text(json.dumps({**json.loads(file.read_text()), **changes}))


def test_no_code_for_attention_is_fetched(tmp_path):  # CVE-2026-4372, before transformers 5.3
    folder = save_local_model(tmp_path / "model")
    rewritten(folder / "config.json", _attn_implementation_internal="somebody/attention")
    assert load_model(str(folder)).model.config._attn_implementation != "somebody/attention"


def test_no_code_of_a_part_is_run(tmp_path):  # CVE-2026-5241, before transformers 5.5
    part, folder = tmp_path / "part", save_local_model(tmp_path / "model")
    part.mkdir()
    (part / "config.json").write_text(json.dumps({"model_type": "own", "auto_map": {"AutoConfig": "code.Own"}}))
    (part / "code.py").write_text(
        f"from pathlib import Path\nPath({str(tmp_path / 'ran')!r}).touch()\nclass Own: pass\n"
    )
    detector = {"model_type": "own", "_name_or_path": str(part)}
    rewritten(folder / "config.json", model_type="lightglue", trust_remote_code=True, keypoint_detector_config=detector)
    with pytest.raises(SpecError, match="`model` must be a model that can be read"):
        load_model(str(folder))
    assert not (tmp_path / "ran").exists()


def test_no_template_is_written_elsewhere(tmp_path):  # CVE-2026-9856, before transformers 5.10
    folder = save_local_model(tmp_path / "model")
    rewritten(folder / "tokenizer_config.json", chat_template=[{"name": "../../outside", "template": "written"}])
    (folder / "chat_template.jinja").unlink()
    before = set(tmp_path.iterdir())
    with suppress(ValueError):
        load_model(str(folder)).tokenizer.save_pretrained(tmp_path / "kept")
    assert set(tmp_path.iterdir()) - before == {tmp_path / "kept"}
