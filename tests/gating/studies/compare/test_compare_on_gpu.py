"""The comparison with ``--device cuda``: all of it, to its table and page."""

import json

import numpy as np
import pandas as pd
import pytest
import torch

from gating.cli import main


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU that torch can use")
def test_a_tiny_comparison_ends_on_a_gpu(tmp_path):
    training = {"steps": 40, "batch_size": 8, "learning_rate": 0.01, "checkpoints": 2, "save_every": 20}
    config = {
        "study": "compare",
        "distribution": {"dim": 16, "n_high": 2, "n_low": 2},
        "n_sequences": [16, 64],
        "n_seeds": 2,
        "transformer": {"width": 16, "depth": 1, "mlp_factor": 1.0},
        "evaluation_per_cell": 4,
        "hidden": 8,
        "transformer_training": training,
        "stylized_training": training,
    }
    (tmp_path / "tiny.yaml").write_text(json.dumps(config), encoding="utf-8")
    out = tmp_path / "out"
    assert main(["compare", "--config", str(tmp_path / "tiny.yaml"), "--out", str(out), "--device", "cuda"]) == 0
    table = pd.read_parquet(next(out.glob("*.parquet")))
    gates = table[table["measure"] == "effective_gate"]["value"]
    assert len(gates) > 0
    assert np.isfinite(gates).all()
    assert gates.between(0, 1).all()
