r"""Accuracy, gates, and what demonstrations do, from the table of all answers, with bootstrap intervals.

Every test text is asked after every draw of demonstrations, and all kinds of labels share both. Answers to one text are
alike, and so are answers after one draw: a bootstrap sample draws texts, as many of each label, and draws of
demonstrations, each with replacement, and an answer counts as often as its text times as often as its draw (Owen 2007).
The same samples serve every kind of labels, so differences are paired. Ends are percentiles; where all samples agree
they are those of as many outcomes as there are texts or draws, the fewer.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import log_softmax

from gating.gates.effective import effective_gate
from gating.results.bootstrap import percentile_interval
from gating.results.intervals import mean_interval
from llm_finetune.demonstrations.config import DemonstrationsConfig
from llm_finetune.demonstrations.interventions import label_law

__all__ = ["Answers", "Estimate", "answers_in", "example_lines", "report_rows", "resampled"]

Row = dict[str, Any]
Values = NDArray[np.float64]

BOOTSTRAP = 1000
"""Number of bootstrap samples."""

SAME = 1e-9  # samples that differ by no more agree
EACH = 2  # test texts of each label among the examples, from the first draw


class Answers(NamedTuple):
    """What a model answers after D draws to Q test texts with C labels, or abstract words.

    Attributes:
        log_law: log-probability of each, given that the answer is one of them, shape (D, Q, C), in nats.
        calibrated: likewise, divided by that of the text without content; NaN without calibration.
        right: whether each is the right one, shape (D, Q, C).
        counts: how many demonstrations of the text's class show it, shape (D, Q, C).
    """

    log_law: Values
    calibrated: Values
    right: NDArray[np.bool_]
    counts: NDArray[np.int64]

    def measures(self) -> dict[str, Values]:
        """One value for each draw and text, shape (D, Q), by measure."""
        found = {"accuracy": self._hits(self.log_law), "softmax": np.exp(np.where(self.right, self.log_law, 0).sum(-1))}
        if not np.isnan(self.calibrated).any():
            found["accuracy_calibrated"] = self._hits(self.calibrated)
        if self.counts.any():
            most = self.counts == self.counts.max(-1, keepdims=True)
            chosen = np.take_along_axis(most / most.sum(-1, keepdims=True), self.log_law.argmax(-1)[..., None], -1)
            shown = self.counts.sum(-1) > 0
            found["accuracy_shown"] = np.where(shown, chosen[..., 0], np.nan)
        return found

    def _hits(self, law: Values) -> Values:
        return np.take_along_axis(self.right, law.argmax(-1)[..., None], -1)[..., 0].astype(np.float64)


class Estimate(NamedTuple):
    """A value, that of each bootstrap sample, how many texts or draws, the fewer, it is made from, and its range."""

    value: float
    samples: Values
    clusters: int
    range: tuple[float, float] = (0.0, 1.0)

    def __sub__(self, other: Estimate) -> Estimate:
        """The paired difference."""
        return Estimate(self.value - other.value, self.samples - other.samples, self.clusters, (-1.0, 1.0))

    def less(self, number: float) -> Estimate:
        """The difference from a number."""
        low, high = self.range
        return Estimate(self.value - number, self.samples - number, self.clusters, (low - number, high - number))

    def row(self, measure: str) -> Row:
        """Measure, value and ends of the 95% interval."""
        low, high = percentile_interval(self.samples)
        value = float(np.clip(self.value, *self.range))
        if not high - low > SAME and np.isfinite(value) and np.isfinite(self.range).all():
            ends = mean_interval([value], tests=self.clusters, low=self.range[0], high=self.range[1])
            low, high = ends.low, ends.high
        return {"measure": measure, "value": value, "low": min(float(low), value), "high": max(float(high), value)}


def resampled(n_draws: int, labels: NDArray[np.int64], seed: int, samples: int = BOOTSTRAP) -> Values:
    """How often each answer counts in each bootstrap sample, shape (1 + samples, D, Q); once in the first.

    Args:
        n_draws: number D of draws.
        labels: label of each of Q test texts.
        seed: seed of the samples.
        samples: number of samples.

    Example:
        >>> resampled(2, np.array([0, 0, 1]), 0, samples=500)[:, :, 2].sum(1).tolist() == [2.0] * 501
        True
    """
    rng = np.random.default_rng([seed, n_draws, len(labels)])
    draws = rng.multinomial(n_draws, np.full(n_draws, 1 / n_draws), size=samples)
    texts = np.zeros((samples, len(labels)))
    for label in np.unique(labels):
        own = np.flatnonzero(labels == label)
        texts[:, own] = rng.multinomial(len(own), np.full(len(own), 1 / len(own)), size=samples)
    return np.concatenate([np.ones((1, n_draws, len(labels))), draws[:, :, None] * texts[:, None, :]])


def answers_in(rows: pd.DataFrame) -> Answers:
    """The answers that rows of one kind of labels and number of demonstrations hold, in the order of the samples."""
    shape = (rows["draw"].nunique(), rows["query"].nunique(), -1)
    log_prob, blank = (rows[name].to_numpy().reshape(shape) for name in ("log_prob", "blank"))
    return Answers(
        log_softmax(log_prob, axis=-1),
        log_softmax(log_prob - blank, axis=-1),
        rows["right"].to_numpy().reshape(shape),
        rows["count"].to_numpy().reshape(shape),
    )


def report_rows(config: DemonstrationsConfig, samples: pd.DataFrame) -> Iterator[Row]:
    """Rows of every model and task.

    Args:
        config: settings of the run.
        samples: rows of `llm_finetune.demonstrations.bench.ask` of all models and tasks.
    """
    for (model, task), rows in samples.groupby(["model", "task"], sort=False):
        shared = {"study": "demonstrations", "system": "llm", "model": model, "task": task, "kind": "measured"}
        for row in _task_rows(config, rows):
            yield {**shared, **row}


def _task_rows(config: DemonstrationsConfig, rows: pd.DataFrame) -> Iterator[Row]:
    labels = rows.drop_duplicates("query").sort_values("query")["gold"].to_numpy()
    weights = resampled(rows["draw"].nunique(), labels, config.seed)
    cells: dict[tuple[str, float, int], Answers] = {}
    for _, cell in rows.groupby(["labels", "flipped", "shots"], sort=False):
        first = cell.iloc[0]
        cells[str(first["labels"]), float(first["flipped"]), int(first["shots"])] = answers_in(cell)
    accuracy: dict[tuple[str, float, int], Estimate] = {}
    for (kind, flipped, shots), answers in cells.items():
        context = "none" if kind == "gold" and not shots else kind
        where = {"context": context, "shots": shots, "flipped": flipped if kind == "flipped" else np.nan}
        for name, values in answers.measures().items():
            found = _mean(values, weights)
            yield {**where, **found.row(name)}
            if name == "accuracy":
                accuracy[kind, flipped, shots] = found
        if shots:
            before = cells["abstract" if kind == "abstract" else "gold", 0.0, 0]
            for name, found in _gate(answers, before, weights, config.beta).items():
                yield {**where, **found.row(name)}
    for row in _effects(config, accuracy, len({*labels})):
        yield {**row, "answer": True}


def _mean(values: Values, weights: Values) -> Estimate:
    """Weighted means over draws and texts; a value that is missing does not count."""
    known = weights * ~np.isnan(values)
    total = known.sum((1, 2))
    with np.errstate(invalid="ignore"):
        means = (known * np.nan_to_num(values)).sum((1, 2)) / total
    return Estimate(float(means[0]), means[1:], min(values.shape))


def _gate(answers: Answers, before: Answers, weights: Values, beta: float) -> dict[str, Estimate]:
    """Effective gate between the model's law without demonstrations, g, and the law of the labels shown, h."""
    log_h = np.log(label_law(answers.counts, beta))
    n, n_labels = weights[0].size, answers.log_law.shape[-1]
    model, g, h = (law.reshape(n, n_labels) for law in (answers.log_law, before.log_law, log_h))
    spread = (len(weights), n, n_labels)
    found = effective_gate(
        np.broadcast_to(model, spread), np.broadcast_to(g, spread), np.broadcast_to(h, spread), weights.reshape(-1, n)
    )
    if np.isnan(found.alpha[0]):
        return {}
    clusters = min(weights.shape[1:])
    residual = Estimate(float(found.residual[0]), found.residual[1:], clusters, (0.0, np.inf))
    return {"effective_gate": Estimate(float(found.alpha[0]), found.alpha[1:], clusters),
            "effective_gate_residual": residual}  # fmt: skip


def _effects(
    config: DemonstrationsConfig, accuracy: dict[tuple[str, float, int], Estimate], n_labels: int
) -> Iterator[Row]:
    """What demonstrations do: Pan et al.'s recognition and learning, and the difference that right labels make."""
    none = accuracy["gold", 0.0, 0]
    for shots in config.shots:
        gold = accuracy["gold", 0.0, shots]
        found = {
            "demonstration_gain": gold - none,
            "task_recognition": accuracy["random", 0.0, shots] - none,
            "task_learning": accuracy["abstract", 0.0, shots].less(1 / n_labels),
            "flip_effect": gold - accuracy["flipped", config.flips[-1], shots],
        }
        for name, estimate in found.items():
            yield {"shots": shots, **estimate.row(name)}


def example_lines(config: DemonstrationsConfig, samples: pd.DataFrame) -> Iterator[Row]:
    """A line for each model, task, kind of labels and of a few test texts, after most demonstrations and after none.

    Args:
        config: settings of the run.
        samples: rows of `llm_finetune.demonstrations.bench.ask` of all models and tasks.
    """
    before = (samples["shots"] == 0) & (samples["labels"] == "gold")  # words that mean nothing are not known yet
    first = samples[(samples["draw"] == 0) & (before | (samples["shots"] == config.shots[-1]))]
    places = first.drop_duplicates(["model", "task", "query"]).groupby(["model", "task", "gold"]).head(EACH)
    chosen = first.merge(places[["model", "task", "query"]])
    keys = ["model", "task", "labels", "flipped", "shots", "query"]
    for _, rows in chosen.groupby(keys, sort=False):
        law = np.exp(rows["log_prob"] - np.logaddexp.reduce(rows["log_prob"]))
        best = rows.loc[law.idxmax()]
        yield {
            **best[["model", "task", "flipped", "shots", "text", "prompt"]].to_dict(),
            "labels": best["labels"] if best["shots"] else "none",
            "right": rows.loc[rows["right"], "candidate"].iloc[0],
            "chosen": best["candidate"],
            "probability": float(law.max()),
        }
