"""What is kept of an ensemble in training: checkpoints, the state that training goes on from, and its metrics."""

import re
from dataclasses import dataclass

import pandas as pd
from torch import Tensor

from gating.runs.store import Place

__all__ = ["Checkpoints"]

STATE, METRICS = "state", "metrics"


@dataclass(frozen=True)
class Checkpoints:
    """Kept work of one ensemble.

    ``step-00000100``: parameters of a checkpoint; ``state``: parameters and optimizer at the last saved step, from
    which training goes on; ``metrics``: training loss by replica and step.

    Args:
        place: where they are kept.
    """

    place: Place

    @property
    def steps(self) -> list[int]:
        """Steps of the checkpoints that are kept, ascending."""
        found = (re.fullmatch(r"step-(\d+)\.safetensors", name) for name in self.place.names)
        return sorted(int(match.group(1)) for match in found if match)

    def save(self, step: int, parameters: dict[str, Tensor]) -> None:
        """Keeps the parameters of a checkpoint."""
        self.place.save_tensors(f"step-{step:08d}", parameters)

    def load(self, step: int, rows: slice = slice(None)) -> dict[str, Tensor]:
        """Parameters of a checkpoint, each stacked over replicas.

        Args:
            step: step of the checkpoint.
            rows: the replicas to read.

        Raises:
            Damaged: its file is missing, or not as it was written.
        """
        return self.place.tensors(f"step-{step:08d}", rows)

    def save_state(self, step: int, tensors: dict[str, Tensor], metrics: pd.DataFrame) -> None:
        """Keeps the metrics, then the state, which is what commits the step."""
        self.place.save_table(METRICS, metrics)
        self.place.save_tensors(STATE, tensors, {"step": step})

    def load_state(self) -> tuple[int, dict[str, Tensor], pd.DataFrame] | None:
        """Last saved step, its tensors, and the metrics up to it; None where nothing is saved.

        Raises:
            Damaged: a file is missing, or not as it was written.
        """
        if not self.step:
            return None
        metrics = self.place.table(METRICS)
        return self.step, self.place.tensors(STATE), metrics[metrics["step"] <= self.step]

    @property
    def step(self) -> int:
        """Last saved step, 0 where nothing is saved."""
        return self.place.numbers(STATE)["step"] if self.place.has_tensors(STATE) else 0
