"""Trained models of an ensemble, found by what they are."""

import json
from collections.abc import Hashable, Sequence
from functools import cached_property
from itertools import groupby
from typing import Generic, TypeVar

import torch
from torch import Tensor

from gating.runs.ensemble import REPLICAS, Ensemble
from gating.runs.store import Place
from gating.training.checkpoints import Checkpoints
from theory.validation import require_instances

__all__ = ["Trained"]

Replica = TypeVar("Replica", bound=Hashable)


class Trained(Generic[Replica]):
    """Trained models of an ensemble, found by what they are.

    Args:
        place: a place of the run, whatever its part.
        ensemble: the ensemble; the run may have trained it together with others.

    Raises:
        ValueError: naming the argument that is of another class.
    """

    def __init__(self, place: Place, ensemble: Ensemble[Replica]):
        require_instances(place=(place, Place), ensemble=(ensemble, Ensemble))
        self._place, self._ensemble = place, ensemble

    def load(self, step: int, replicas: Sequence[Replica]) -> dict[str, Tensor]:
        """Parameters of replicas at a checkpoint, each stacked in the order of `replicas`.

        Raises:
            KeyError: one of them is not of the ensemble.
            Damaged: a checkpoint is missing, or not as it was written.
        """
        where = [self._where[self._ensemble.record(replica)] for replica in replicas]
        read = []
        for part, rows in groupby(where, lambda found: found[0]):
            numbers = [row for _, row in rows]
            first = min(numbers)
            kept = Checkpoints(self._group(part)).load(step, slice(first, max(numbers) + 1))
            read.append({name: value[[row - first for row in numbers]] for name, value in kept.items()})
        return {name: torch.cat([part[name] for part in read]) for name in read[0]}

    @cached_property
    def _where(self) -> dict[str, tuple[int, int]]:
        """Group and row of each replica, by its record."""
        found, number = {}, 0
        while (group := self._group(number)).has_records(REPLICAS):
            for row, record in enumerate(group.records(REPLICAS)):
                found[json.dumps(record, sort_keys=True)] = (number, row)
            number += 1
        return found

    def _group(self, number: int) -> Place:
        return Place(self._place.folder, f"train/{self._ensemble.name}/{number}")
