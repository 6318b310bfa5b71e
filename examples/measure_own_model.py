"""Measure a model of your own
===========================

A torch model of one's own, trained on the class mixture for some seconds and measured as `gating compare` does.

python examples/measure_own_model.py
"""

import torch
from torch.nn.functional import nll_loss, one_hot

from gating import Axis, Figure, Layer, Panel, System, plot
from gating.checks import check_predictor
from gating.evaluation.measure import measure
from gating.tasks.class_mixture import ClassMixtureSampler
from theory.distribution import ClassMixture


class Tiny(torch.nn.Module):
    """A perceptron that reads the context with its labels, and the query."""

    def __init__(self, spec):
        super().__init__()
        pairs, self.n_labels = spec.context_length, spec.n_classes
        first = torch.nn.Linear(spec.dim * (pairs + 1) + pairs * self.n_labels, 64)
        self.layers = torch.nn.Sequential(first, torch.nn.ReLU(), torch.nn.Linear(64, self.n_labels))

    def forward(self, sequences):
        labels = one_hot(sequences.context_y, self.n_labels).flatten(-2)
        return self.layers(torch.cat([sequences.x.flatten(-2), labels], -1)).log_softmax(-1)


if __name__ == "__main__":
    spec, n = ClassMixture(dim=16), 1024
    torch.manual_seed(0)
    model, task = Tiny(spec), ClassMixtureSampler([spec], [n], [0], cover_classes=False)
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    for step in range(500):
        batch = task.batches(step, 1, 32)
        optimizer.zero_grad()
        nll_loss(model(batch)[0], batch.target[0]).backward()
        optimizer.step()
    check_predictor(model, task.batches(0, 1, 32))
    table = measure(model, spec, n=n, system="tiny")
    found = table[table["answer"] & table["measure"].isin(["error", "effective_gate"]) & (table["group"] != "all")]
    columns = ["distribution", "context", "group", "measure", "value", "low", "high"]
    print(found[columns].round(3).to_string(index=False))
    moved = found[(found["distribution"] == "oobd") & (found["measure"] == "error")].reset_index()
    kinds = {"relevant": 1, "irrelevant": 2, "as_trained": 3}
    layers = [
        Layer(System(name, "", colour), rows.assign(x=rows["context"].map(kinds), line="0"), "points")
        for (group, name, colour) in (("high", "frequent", "#0072b2"), ("low", "rare", "#d55e00"))
        for rows in [moved[moved["group"] == group]]
    ]
    axis = Axis("context: 1 relevant, 2 irrelevant, 3 as trained", 0.5, 3.5, ticks=(1, 2, 3))
    panel = Panel("", "labels moved", Axis("error", 0, 1), tuple(layers))
    chart = plot(Figure("own", "A perceptron does not copy", (), axis, (panel,), columns=1))
