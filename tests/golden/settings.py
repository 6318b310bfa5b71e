"""Small settings of every study, how one is run, and what is frozen beside tables: tensors and description lengths.

Every field that decides a result is written out, so that a default may change and what is compared does not. Studies
are run by the command alone, and nothing of the packages is imported before something is run.
"""

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml
from filelock import FileLock

__all__ = ["CASES", "description_lengths", "run", "save_model", "study_table", "tensors"]

Settings = dict[str, Any]

DATA: Settings = {
    "n_high": 2, "n_low": 2, "p_high": 0.8, "zipf": None, "query_frequencies": None, "p_relevant": 0.9,
    "context_length": 1, "n_relevant": None, "dim": 16, "input_noise": 0.2, "label_noise": 0.0,
    "label_noise_kind": "uniform", "relevance": "context",
}  # fmt: skip
"""The small class mixture; cases change fields of it."""

OPTIMIZER: Settings = {
    "name": "adam", "betas": [0.9, 0.999], "eps": 1e-8, "momentum": 0.0, "nesterov": False, "weight_decay": 0.0,
    "decays": "all", "no_decay": [],
}  # fmt: skip

TRAINING: Settings = {
    "steps": 60, "batch_size": 8, "learning_rate": 0.01, "checkpoints": 3, "save_every": 25, "warm_up": 0,
    "annealing": "none", "max_grad_norm": None, "matmul_precision": "highest", "compiled": False,
    "optimizer": OPTIMIZER,
}  # fmt: skip

SEEDS: Settings = {"seed": 0, "init_seed": 0, "evaluation_seed": 0}

BOUNDS: Settings = {
    "distribution": {**DATA, "n_high": 5, "n_low": 5, "p_high": 0.9, "dim": 64, "label_noise": 0.05},
    "n_sequences": [0, 1, 10, 50, 200, 1000, 50_000, 1_000_000],
    "measures": ["error", "log_loss"], "contexts": ["relevant", "irrelevant", "as_trained"],
    "groups": ["high", "low", "all"], "test_distributions": ["ibd", "oobd"], "cover_classes": False, "beta": 1.0,
    "temperature": 0.1, "clip": 1e-7, "squared_distance": 2.0, "bounds": "tight",
}  # fmt: skip

PHASES: Settings = {
    "distribution": {**BOUNDS["distribution"]},
    "x": {"field": "n_sequences", "low": 10, "high": 1_000_000, "count": 9, "scale": "log"},
    "y": {"field": "p_high", "low": 0.5, "high": 0.99, "count": 6, "scale": "linear"},
    "n_sequences": 1000, "measure": "log_loss", "context": "relevant", "temperature": 0.1, "clip": 1e-7,
    "squared_distance": 2.0, "cover_classes": False, "beta": 1.0, "bounds": "tight",
}  # fmt: skip

REGRET: Settings = {
    "distribution": DATA, "n_rounds": 400, "n_seeds": 3, "seed": 0, "init_seed": 0,
    "gates": ["gradient_descent", "exponential_weights", "adahedge", "bayes_mixture", "universal_portfolio"],
    "losses": ["log_loss", "linear_loss"], "cells": "query", "in_weight": "tabular", "beta": 1.0, "hidden": 8,
    "learning_rate": 0.001, "optimizer": OPTIMIZER, "temperatures": [0.1], "clip": 1e-7, "known_horizon": True,
    "n_records": 8,
}  # fmt: skip

COMPARE: Settings = {
    **SEEDS, "distribution": {**DATA, "label_noise": 0.1}, "n_sequences": [16, 64], "n_seeds": 3,
    "evaluation_per_cell": 4, "cover_classes": True, "hidden": 8, "gate_inputs": "query_and_context",
    "transformer": {"depth": 1, "heads": 1, "width": 16, "mlp_factor": 1.0},
    "transformer_training": TRAINING, "stylized_training": TRAINING,
}  # fmt: skip

CROSSOVER: Settings = {
    **SEEDS, "distribution": {**DATA, "n_high": 5, "n_low": 5}, "p_high": [0.5, 0.8, 0.9],
    "low_queries": [2.0, 8.0, 32.0], "n_seeds": 2, "evaluation_per_cell": 3, "tabular_seeds": 100,
    "tabular_octaves": 2, "tabular_per_octave": 2, "beta": 1.0,
    "temperature": 0.1, "transformer": COMPARE["transformer"], "transformer_training": TRAINING,
}  # fmt: skip

PREDICT: Settings = {
    **SEEDS, "distribution": {**DATA, "n_high": 3}, "n_sequences": [8, 32, 128], "hidden": 16, "n_seeds": 2,
    "evaluation_per_cell": 3, "beta": 1.0, "temperature": 0.1, "training": TRAINING,
}  # fmt: skip

KINETICS: Settings = {
    "distribution": {**DATA, "n_low": 3}, "n_sequences": [8, 32, 128], "steps": 10_000, "weight_rate": 1.0,
    "gate_rate": 1.0, "copier_rate": 1.0, "shared_gate": False, "by_heart": False, "level": 0.5,
}  # fmt: skip

STRATEGIES: Settings = {
    **SEEDS, "dim": 4, "length": 8, "n_tasks": [2, 4, 8], "mlp_factors": [1.0, 2.0], "n_seeds": 2,
    "evaluation_sequences": 16, "evaluation_rows": 32, "loss_sequences": 32, "loss_groups": 4,
    "described_within": 1.0, "held_out": {"n_tasks": [4], "mlp_factors": [2.0], "steps_after": 0.7}, "n_resamples": 3,
    "transformer": {"depth": 1, "heads": 1, "width": 8},
    "training": {**TRAINING, "steps": 56, "checkpoints": 6, "save_every": 14, "warm_up": 5, "max_grad_norm": 1.0},
}  # fmt: skip

FINETUNE: Settings = {
    "model": "{model}", "collection": "people", "chat": "auto",
    "mixtures": ["memory=1", "memory=0.75 reading=0.25", "memory=0.5 reading=0.5"], "exposures": ["given"],
    "n_seeds": 2, "seed": 0, "evaluation_seed": 0, "prompts_per_fact": 1, "facts_per_group": 2, "margin": 0.05,
    "training": {"steps": 4, "batch_size": 4, "learning_rate": 0.01, "warm_up": 0, "annealing": "none",
                 "max_grad_norm": 1.0, "optimizer": {**OPTIMIZER, "name": "adamw"},
                 "precision": "float32", "lora_rank": None,
                 "lora_alpha": 16.0, "evaluate_at": [0, 2], "save_every": 50},
}  # fmt: skip

CASES: dict[str, dict[str, Settings]] = {
    "bounds": {
        "short context": BOUNDS,
        "long context, shifted labels, all classes shown": {
            **BOUNDS, "cover_classes": True, "n_sequences": [10, 100, 10_000], "beta": 0.5, "temperature": 0.3,
            "measures": ["error", "linear_loss"], "contexts": ["as_trained"], "groups": ["high", "low"],
            "distribution": {**BOUNDS["distribution"], "context_length": 4, "label_noise_kind": "shift"},
        },
        "clean labels, Zipf's law, given number of relevant pairs": {
            **BOUNDS, "n_sequences": [10, 100, 10_000], "contexts": ["relevant"], "groups": ["all"],
            "measures": ["log_loss", "linear_loss"], "test_distributions": ["ibd"],
            "distribution": {**DATA, "zipf": 1.0, "context_length": 3, "n_relevant": 2, "input_noise": 0.0},
        },
    },
    "phases": {
        "N and mass of the frequent classes": PHASES,
        "N and label noise, simple bounds, random centres": {
            **PHASES, "measure": "linear_loss", "context": "as_trained", "bounds": "simple", "cover_classes": True,
            "squared_distance": None, "y": {"field": "label_noise", "low": 0.0, "high": 0.5, "count": 4,
                                             "scale": "linear"},
        },
        "words and whole numbers": {
            **PHASES, "measure": "error", "n_sequences": 50,
            "x": {"field": "label_noise_kind", "values": ["uniform", "shift"]},
            "y": {"field": "context_length", "low": 1, "high": 3, "count": 9, "scale": "linear"},
        },
    },
    "regret": {
        "clean labels": REGRET,
        "noisy labels, cells with context, unknown horizon": {
            **REGRET, "cells": "query_and_context", "known_horizon": False,
            "distribution": {**DATA, "n_low": 3, "context_length": 3, "label_noise": 0.2},
        },
        "perceptron, three temperatures": {
            **REGRET, "n_rounds": 200, "n_seeds": 2, "in_weight": "mlp", "temperatures": [0.03, 0.3, 3.0], "seed": 4,
            "distribution": {**DATA, "n_low": 3, "context_length": 3, "label_noise": 0.2},
        },
    },
    "compare": {
        "noisy labels": COMPARE,
        "long context, two blocks, a schedule": {
            **COMPARE, "distribution": {**DATA, "n_high": 3, "context_length": 3, "p_relevant": 0.7}, "n_seeds": 2,
            "n_sequences": [8, 32, 128], "cover_classes": False, "gate_inputs": "query", "seed": 3, "init_seed": 1,
            "evaluation_seed": 2, "transformer": {"depth": 2, "heads": 2, "width": 16, "mlp_factor": 2.0},
            "transformer_training": {**TRAINING, "steps": 40, "warm_up": 5, "annealing": "cosine",
                                     "max_grad_norm": 1.0},
            "stylized_training": {**TRAINING, "steps": 30, "checkpoints": 2, "annealing": "linear"},
        },
    },
    "crossover": {
        "clean labels": CROSSOVER,
        "noisy labels, longer context": {
            **CROSSOVER, "distribution": {**DATA, "n_low": 3, "context_length": 2, "label_noise": 0.1},
            "p_high": [0.6, 0.9], "low_queries": [2.0, 8.0], "n_seeds": 3, "tabular_octaves": 1, "beta": 0.5,
            "transformer_training": {**TRAINING, "steps": 30, "checkpoints": 2},
        },
    },
    "predict": {
        "clean labels": PREDICT,
        "label noise, longer context": {
            **PREDICT, "distribution": {**DATA, "n_high": 3, "context_length": 2, "label_noise": 0.1},
        },
    },
    "kinetics": {
        "noisy inputs": KINETICS,
        "clean inputs, longer context, by heart, one gate": {
            **KINETICS, "n_sequences": [4, 64], "weight_rate": 0.5, "copier_rate": 4.0, "shared_gate": True,
            "by_heart": True, "level": 0.6, "distribution": {**DATA, "context_length": 3, "input_noise": 0.0},
        },
    },
    "strategies": {
        "urns": {**STRATEGIES, "task": "urns"},
        "linear_regression": {**STRATEGIES, "task": "linear_regression"},
        "item_labels": {**STRATEGIES, "task": "item_labels"},
    },
    "finetune": {
        "shares of reading": FINETUNE,
        "adapters, frequencies, gates beside": {
            **FINETUNE, "collection": "frequency", "mixtures": ["memory=0.5 agreeing=0.25 irrelevant=0.25 sentences=2"],
            "exposures": ["given", "equal"], "n_seeds": 1, "seed": 5, "chat": "plain",
            "training": {**FINETUNE["training"], "steps": 2, "evaluate_at": [0], "lora_rank": 2, "warm_up": 2},
        },
    },
}  # fmt: skip
"""Settings by study and case. The text `{model}` stands for the folder of a small language model, made on the spot."""


def study_table(study: str, root: Path) -> pd.DataFrame:
    """Rows of all cases of a study, run below `root` unless they are there; column `case` says whose they are."""
    tables = (pd.read_parquet(run(study, case, root) / "results.parquet").assign(case=case) for case in CASES[study])
    return pd.concat(tables, ignore_index=True)


def run(study: str, case: str, root: Path) -> Path:
    """Folder of a case, run by the command unless it is there; one process at a time runs cases of a study."""
    from gating.cli import main

    folder = root / f"{study} {list(CASES[study]).index(case)}"
    root.mkdir(exist_ok=True)
    with FileLock(root / f"{study}.lock"):
        if (folder / "report.html").exists():
            return folder
        settings = {"study": study, **CASES[study][case]}
        if study == "finetune":
            settings["model"] = str(save_model(root / "model"))
        file = root / f"{folder.name}.yaml"
        file.write_text(yaml.safe_dump(settings))
        trains = [] if study in ("bounds", "phases", "regret", "kinetics") else ["--workers", "1", "--device", "cpu"]
        status = main([study, "--config", str(file), "--out", str(folder), *trains])
        assert status == 0, f"`gating {study}` ended with status {status} in case '{case}'"
    return folder


def tensors(files: Iterable[Path]) -> set[str]:
    """SHA-256 (16 digits of it) of type, shape and bytes of every tensor in safetensors files, whatever its name."""
    found = set()
    for file in files:
        raw = file.read_bytes()
        start = 8 + int.from_bytes(raw[:8], "little")
        for name, tensor in json.loads(raw[8:start]).items():
            if name != "__metadata__":
                first, end = (start + at for at in tensor["data_offsets"])
                kind = f"{tensor['dtype']} {tensor['shape']} ".encode()
                found.add(hashlib.sha256(kind + raw[first:end]).hexdigest()[:16])
    return found


def description_lengths() -> dict[str, int]:
    """Bits of the text of M and G of each task family, and of tables of fixed numbers such as M stores."""
    from gating.evaluation.description_length import describe, strategy_complexity
    from gating.predictors.references import STRATEGIES, TASKS, reference_text

    numbers = (np.arange(256) * 37 % 101).reshape(64, 4)
    urns, weights, labels = (numbers + 1) / (numbers + 1).sum(1, keepdims=True), numbers / 50 - 1, numbers[:, 0] % 2
    stored = {"urns": [urns], "linear_regression": [weights], "item_labels": [weights, labels]}
    texts = {task: [reference_text(task, strategy) for strategy in STRATEGIES] for task in TASKS}
    return {
        **{f"{task}, M with tables": strategy_complexity(m, stored[task]) for task, (m, _) in texts.items()},
        **{f"{task}, G": strategy_complexity(g) for task, (_, g) in texts.items()},
        **{
            f"table of {name}": describe(t).bits
            for name, t in (("urns", urns), ("weights", weights), ("labels", labels))
        },
    }


def save_model(folder: Path) -> Path:
    """A GPT-2 of two layers with random weights and a tokenizer of bytes, made unless it is there."""
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import GPT2Config, GPT2LMHeadModel, PreTrainedTokenizerFast

    if folder.exists():
        return folder
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    core = Tokenizer(models.BPE({token: k for k, token in enumerate([*alphabet, "<end>"])}, []))
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    core.decoder = decoders.ByteLevel()
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=core, eos_token="<end>")
    tokenizer.chat_template = (
        "{% for m in messages %}{{ m['role'] + ': ' + m['content'] + '\n' }}{% endfor %}"
        "{% if add_generation_prompt %}{{ 'assistant: ' }}{% endif %}"
    )
    end = tokenizer.eos_token_id
    shape = GPT2Config(vocab_size=len(tokenizer), n_positions=256, n_embd=16, n_layer=2, n_head=2, eos_token_id=end,
                       bos_token_id=None)  # fmt: skip
    with torch.random.fork_rng():
        torch.manual_seed(0)
        GPT2LMHeadModel(shape).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder
