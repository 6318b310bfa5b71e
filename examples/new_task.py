"""A task of your own
==================

A task of one's own, in one file: checked against the contract of tasks, then trained on for some steps.

python examples/new_task.py
"""

import tempfile

import torch

from gating import Axis, Figure, Layer, Panel, System, plot
from gating.checks import check_task
from gating.models.decoder import UrnDecoder
from gating.models.layers import generators
from gating.runs.store import opened
from gating.studies.strategies.families import every_draw_log_loss
from gating.tasks import counter
from gating.tasks.sequences import Sequences
from gating.tasks.task_sampler import TaskSampler
from gating.training.schedule import TrainSettings
from gating.training.trainer import Trainer

PERIOD, SYMBOLS, LENGTH = 4, 5, 12


class Patterns(TaskSampler):
    """Sequences that repeat a pattern of `PERIOD` symbols from a random place on: one of D, or an unseen one."""

    def __init__(self, data_seeds, n_tasks=8):
        super().__init__([n_tasks] * len(data_seeds), data_seeds, dim=SYMBOLS, length=LENGTH)

    def _tabulate(self):
        self.patterns = (counter.uniforms(self._task_keys, 0, PERIOD) * self.dim).long()

    def _draw(self, keys, *, unseen):
        u = counter.uniforms(keys, 0, 2 + PERIOD)
        task = torch.full_like(keys, -1) if unseen else self._pick(u[..., 0])
        pattern = (u[..., 2:] * self.dim).long() if unseen else self._of_task(self.patterns, task)
        place = ((u[..., 1:2] * PERIOD).long() + torch.arange(self.length)) % PERIOD
        return Sequences(torch.empty(*place.shape, 0), pattern.gather(-1, place), self._expanded(task))


if __name__ == "__main__":
    check_task(Patterns, n_labels=SYMBOLS)
    shape = {"depth": 1, "heads": 1, "width": 16, "mlp_factor": 2.0}
    seeds, settings = [0, 1], TrainSettings(steps=60, batch_size=16, learning_rate=1e-2)
    with tempfile.TemporaryDirectory() as folder, opened(folder, {}) as place:
        trainer = Trainer(
            place, seeds, lambda mine: UrnDecoder(SYMBOLS, LENGTH, rngs=generators(mine), **shape), Patterns, settings,
            loss=every_draw_log_loss,
        )  # fmt: skip
        trainer.run()
        log = trainer.kept.load_state()[2]
    print(log.to_string(index=False))
    looks = {0: System("data seed 0", "", "#0072b2"), 1: System("data seed 1", "", "#d55e00")}
    columns = {"step": "x", "train_loss": "value", "replica": "line"}
    curves = [Layer(looks[seed], rows.rename(columns=columns), "line") for seed, rows in log.groupby("replica")]
    panel = Panel("", "", Axis("training loss, nats", 0), tuple(curves))
    chart = plot(Figure("patterns", "Learning patterns that repeat", (), Axis("steps"), (panel,), columns=1))
