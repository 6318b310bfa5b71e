"""Run folders: checkpoints, the state that a run resumes from, and its metrics; every file is written atomically."""

from __future__ import annotations

import platform
import re
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from gating.files import atomic_path, reading

__all__ = ["RunFolder", "environment"]


def environment() -> dict[str, str]:
    """Versions and machine of this process, as a run folder keeps them."""
    return {
        "icl-gating": version("icl-gating"),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "numpy": np.__version__,
        "platform": platform.platform(),
        "processor": platform.machine(),
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else "none",
    }


class RunFolder:
    """Files of one trained ensemble.

    ``step-00000100.safetensors``: parameters of a checkpoint; ``state.safetensors``: parameters and optimizer at the
    last saved step, from which training goes on; ``metrics.parquet``: training loss by replica and step.
    """

    def __init__(self, path: Path):
        self.path = path

    @property
    def checkpoints(self) -> list[int]:
        """Steps of the checkpoints on disk, ascending."""
        found = (re.fullmatch(r"step-(\d+)\.safetensors", file.name) for file in self.path.glob("step-*"))
        return sorted(int(match.group(1)) for match in found if match)

    def save_checkpoint(self, step: int, parameters: dict[str, Tensor]) -> None:
        """Writes the parameters of a checkpoint."""
        self._save(f"step-{step:08d}.safetensors", parameters, {})

    def load_checkpoint(self, step: int, replica: int | None = None) -> dict[str, Tensor]:
        """Parameters of a checkpoint, each stacked over replicas.

        Args:
            step: step of the checkpoint.
            replica: the only replica to read, stacked as one; all when None.

        Raises:
            FolderError: when the file is missing or damaged.
        """
        return self._load(f"step-{step:08d}.safetensors", replica)[0]

    def save_state(self, step: int, tensors: dict[str, Tensor], metrics: pd.DataFrame) -> None:
        """Writes the metrics, then the state: the state's file is what commits the step."""
        with atomic_path(self.path / "metrics.parquet") as draft:
            metrics.to_parquet(draft, index=False)
        self._save("state.safetensors", tensors, {"step": str(step)})

    def load_state(self) -> tuple[int, dict[str, Tensor], pd.DataFrame] | None:
        """Last saved step, its tensors, and the metrics up to it; None for a folder without a state.

        Raises:
            FolderError: when a file is damaged, or the metrics are missing.
        """
        if not self.step:
            return None
        tensors, metadata = self._load("state.safetensors")
        step = int(metadata["step"])
        with reading(self.path / "metrics.parquet", self._remedy):
            metrics = pd.read_parquet(self.path / "metrics.parquet")
            return step, tensors, metrics[metrics["step"] <= step]

    @property
    def step(self) -> int:
        """Last saved step, 0 for a folder without a state.

        Raises:
            FolderError: when the state is damaged.
        """
        path = self.path / "state.safetensors"
        if not path.exists():
            return 0
        with reading(path, self._remedy), safe_open(path, framework="pt") as file:
            return int(file.metadata()["step"])

    @property
    def _remedy(self) -> str:
        return f"remove the folder '{self.path}' to train these models again"

    def _save(self, name: str, tensors: dict[str, Tensor], metadata: dict[str, str]) -> None:
        held = {key: value.detach().cpu().contiguous() for key, value in tensors.items()}
        with atomic_path(self.path / name) as draft:
            save_file(held, draft, metadata)

    def _load(self, name: str, replica: int | None = None) -> tuple[dict[str, Tensor], dict[str, str]]:
        path, rows = self.path / name, slice(None) if replica is None else slice(replica, replica + 1)
        with reading(path, self._remedy), safe_open(path, framework="pt") as file:
            return {key: file.get_slice(key)[rows] for key in file.keys()}, file.metadata() or {}  # noqa: SIM118
