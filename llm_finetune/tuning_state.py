"""Folder of one fine-tuned model: settings, the state from which a killed run goes on, losses, and the model itself."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from os import getpid
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from gating.files import FolderError, atomic_path, reading, write_text

__all__ = ["TuningFolder"]


class TuningFolder:
    """Files of one fine-tuned model.

    ``settings.json``: what decides the result; ``state.safetensors``: trained parameters, optimizer and losses at the
    last saved step, there while the run is not finished; ``losses.parquet``: training loss of each step; ``model/``:
    the fine-tuned model or adapter and the tokenizer, for `from_pretrained` to open.
    """

    def __init__(self, path: Path):
        self.path = path

    def claim(self, settings: Mapping[str, Any]) -> None:
        """Writes the settings into a new folder, or compares them with those of the run that the folder holds.

        Raises:
            FolderError: when the folder holds a run with other settings, or its settings are damaged.
        """
        file = self.path / "settings.json"
        wanted = json.loads(json.dumps(settings))
        if not file.exists():
            write_text(file, json.dumps(wanted, indent=1) + "\n")
            return
        with reading(file, self._remedy):
            held = json.loads(file.read_text(encoding="utf-8"))
        differing = sorted(key for key in {*wanted, *held} if wanted.get(key) != held.get(key))
        if differing:
            key = differing[0]
            raise FolderError(
                f"`{self.path}` must hold a run with these settings; its `{key}` is {held.get(key)!r}, "
                f"and {wanted.get(key)!r} is asked for; choose another folder, or remove this one"
            )

    def save_state(self, trained: Mapping[str, nn.Parameter], optimizer: torch.optim.Optimizer, losses: Tensor) -> None:
        """Writes parameters, optimizer and the losses up to now in one file."""
        tensors = {f"parameters.{name}": parameter.detach() for name, parameter in trained.items()}
        for name, parameter in trained.items():
            tensors |= {f"optimizer.{key}.{name}": value for key, value in optimizer.state[parameter].items()}
        tensors["losses"] = losses
        with atomic_path(self.path / "state.safetensors") as draft:
            save_file({key: value.cpu().contiguous() for key, value in tensors.items()}, draft)

    def load_state(self, trained: Mapping[str, nn.Parameter], optimizer: torch.optim.Optimizer) -> Tensor:
        """Puts the saved state, if there is one, into parameters and optimizer; returns the losses up to it.

        Raises:
            FolderError: when the state is damaged, or that of another model.
        """
        file = self.path / "state.safetensors"
        if not file.exists():
            return torch.zeros(0, dtype=torch.float64)
        with reading(file, self._remedy), safe_open(file, framework="pt") as held:
            with torch.no_grad():
                for name, parameter in trained.items():
                    parameter.copy_(held.get_tensor(f"parameters.{name}"))
            for key in held.keys():  # noqa: SIM118
                part, _, rest = key.partition(".")
                if part == "optimizer":
                    field, _, name = rest.partition(".")
                    optimizer.state[trained[name]][field] = held.get_tensor(key).to(trained[name].device)
            return held.get_tensor("losses")

    def finish(self, model: Any, tokenizer: Any, losses: Tensor, *, keep: bool) -> None:
        """Writes the losses and, if it is to be kept, the model; the state has done its service."""
        with atomic_path(self.path / "losses.parquet") as draft:
            pd.DataFrame({"step": range(1, len(losses) + 1), "loss": losses.numpy()}).to_parquet(draft, index=False)
        if keep:
            with _whole_folder(self.path / "model") as draft:
                model.save_pretrained(draft)
                tokenizer.save_pretrained(draft)
        (self.path / "state.safetensors").unlink(missing_ok=True)

    @property
    def step(self) -> int:
        """Last saved step, 0 for a folder without a state."""
        file = self.path / "state.safetensors"
        if not file.exists():
            return 0
        with reading(file, self._remedy), safe_open(file, framework="pt") as held:
            return len(held.get_tensor("losses"))

    @property
    def _remedy(self) -> str:
        return f"remove the folder '{self.path}' to fine-tune this model again"


@contextmanager
def _whole_folder(path: Path) -> Iterator[Path]:
    """A folder to write into; it takes the place of `path` when the block ends without an error."""
    draft = path.with_name(f".{path.name}.{getpid()}.part")
    try:
        yield draft
        shutil.rmtree(path, ignore_errors=True)
        draft.replace(path)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
