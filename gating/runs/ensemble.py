"""Ensembles: models that differ in their data and seeds alone, trained in groups, each a part of a run of its own."""

import json
import threading
import time
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, is_dataclass, replace
from functools import partial
from itertools import groupby, pairwise
from typing import Any, Generic, Protocol, TypeVar

from gating.runs.executor import Part, Resources
from gating.runs.store import Place
from gating.settings.text import flat

__all__ = ["REPLICAS", "Ensemble", "Training"]

Replica = TypeVar("Replica", bound=Hashable)

REPLICAS = "replicas"
"""What a group keeps beside its checkpoints: a record of each of its replicas, by which they are found."""


class Training(Protocol):
    """What trains a group, such as `gating.training.trainer.Trainer`."""

    @property
    def left(self) -> int:
        """Steps that are left."""

    def run(self, label: str, stop: threading.Event | None, log: Callable[[Sequence[float], int], None]) -> None:
        """Trains to the last step, or to the one at which `stop` is set; `log` receives the mean loss of each replica
        since the last save, and the step."""

    def advance(self, last: int) -> Any:
        """Trains up to a step and keeps nothing, for a look at how long it takes."""


@dataclass(frozen=True)
class Ensemble(Generic[Replica]):
    """Models that are trained alike.

    Args:
        name: its name; its groups are the parts ``train/NAME/0``, ``train/NAME/1`` ...
        replicas: what differs between the models, one value each: a dataclass or a named tuple.
        trainer: makes what trains some of the replicas: a function of place, resources and replicas.
        shared: all else that decides what they learn, as JSON takes it. Ensembles of one name that share the same may
            be trained together, whichever settings they are of.
        after: ensembles whose trained models these are built from.
        per_group: how many replicas train together on a core: about 16 share its cache well where sequences are short.
        shape: replicas of one group have the same; by default all may train together.
    """

    name: str
    replicas: Sequence[Replica]
    trainer: Callable[[Place, Resources, Sequence[Replica]], Training]
    shared: Mapping[str, Any]
    after: tuple[str, ...] = ()
    per_group: int = 16
    shape: Callable[[Replica], Hashable] = type

    def groups(self, device: str) -> list[Sequence[Replica]]:
        """Consecutive replicas that train as one.

        On a GPU all of one shape; on a CPU at most about `per_group`, in an even number of groups where there are
        several, so that two workers finish together.

        Example:
            >>> sixty = Ensemble("e", range(60), print, {})
            >>> [len(group) for group in sixty.groups("cpu")], len(sixty.groups("cuda"))
            ([15, 15, 15, 15], 1)
        """
        found: list[Sequence[Replica]] = []
        for _, same in groupby(self.replicas, self.shape):
            alike = list(same)
            n = 1 if device == "cuda" else max(1, 2 * round(len(alike) / (2 * self.per_group)))
            n = len(alike) if self.per_group == 1 and device != "cuda" else n
            bounds = [round(number * len(alike) / n) for number in range(n + 1)]
            found += [alike[first:last] for first, last in pairwise(bounds)]
        return found

    def parts(self, device: str, first: int = 0) -> Iterator[Part]:
        """A part for each group, numbered from `first` on."""
        after = tuple(f"train/{name}" for name in self.after)
        for number, group in enumerate(self.groups(device), first):
            work = partial(_train, replace(self, replicas=group))  # a part carries its own replicas alone
            yield Part(f"train/{self.name}/{number}", work, after=after, kept=True)

    def record(self, replica: Replica) -> str:
        """What a replica is, as JSON: two models with the same are the same model."""
        described = asdict(replica) if is_dataclass(replica) else replica._asdict()  # type: ignore[call-overload,attr-defined]
        return json.dumps({"shared": self.shared, "replica": described}, sort_keys=True)


def _train(ensemble: Ensemble[Replica], place: Place, resources: Resources) -> None:
    """Trains the replicas of one group from their last saved step on."""
    group = ensemble.replicas
    records, start = [json.loads(ensemble.record(replica)) for replica in group], time.perf_counter()
    if place.names and place.records(REPLICAS) != records:  # of another device, whose groups are others
        place.discard(*place.names)
    if not place.names:
        place.save_records(REPLICAS, records)
    names = _names([record["replica"] for record in records])

    def log(losses: Sequence[float], step: int) -> None:
        resources.log(place.part, dict(zip(names, losses, strict=True)), step)

    trainer = ensemble.trainer(place, resources, group)
    left = trainer.left
    trainer.run(place.part.removeprefix("train/"), resources.stop, log)
    seconds = time.perf_counter() - start
    resources.say(f"{place.part}: {len(group)} replicas, {left} steps in {seconds:.0f} s")


def _names(described: Sequence[Mapping[str, Any]]) -> list[str]:
    """Names of the losses of replicas, by the values that differ between them; by no more seeds than that needs.

    Example:
        >>> _names([{"n": 16, "init_seed": 7}, {"n": 64, "init_seed": 9}])
        ['train_loss/n=16', 'train_loss/n=64']
    """
    each = [dict(flat(values)) for values in described]
    differ = [key for key in each[0] if len({str(values.get(key)) for values in each}) > 1]
    for key in [key for key in differ if key.endswith("seed")][::-1]:
        others = [other for other in differ if other != key]
        if len({tuple(str(values.get(other)) for other in others) for values in each}) == len(each):
            differ = others
    return ["/".join(["train_loss", *(f"{key}={values.get(key)}" for key in differ)]) for values in each]
