"""Reference texts predict what their classes do, and are held to the byte: K is taken of them, and of nothing else."""

import hashlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from gating.evaluation.description_length import describe, messages, strategy_complexity
from gating.predictors import references
from gating.predictors.item_labels import ItemGeneralizer, ItemMemorizer
from gating.predictors.linear_regression import RegressionGeneralizer, RegressionMemorizer
from gating.predictors.references import STRATEGIES, TASKS, reference_text
from gating.predictors.urns import UrnGeneralizer, UrnMemorizer
from gating.runs import identity
from gating.studies.strategies import outputs
from gating.studies.strategies.config import StrategiesConfig
from gating.studies.strategies.ensemble import build, sampler_of
from gating.studies.strategies.families import FAMILIES
from gating.tasks.sequences import Sequences
from gating.training.schedule import TrainSettings

EACH = [(task, strategy) for task in TASKS for strategy in STRATEGIES]

FROZEN = {
    ("urns", "memorizing"): (
        "cfb81b294aabbec74beeddd3a89082e67c34b8e13f9d40a2309b96734894c358",
        {"none": 672, "lzma": 688, "bz2": 952, "brotli": 680, "zstandard": 712},
    ),
    ("urns", "generalizing"): (
        "b2ee97baf1548df744601ba24c1d1ac907e75e617bbd22d3f3fc9ef497ef3f7a",
        {"none": 864, "lzma": 816, "bz2": 976, "brotli": 792, "zstandard": 784},
    ),
    ("linear_regression", "memorizing"): (
        "ad15691054617abeabd16f84cdd0d90b399587e763da4959e3d1777f8c764db3",
        {"none": 1280, "lzma": 1080, "bz2": 1288, "brotli": 1056, "zstandard": 1056},
    ),
    ("linear_regression", "generalizing"): (
        "82aeb8bfc6d89686c81378208c184481d71e9f4168c229686e5ce09fbfb34c91",
        {"none": 1336, "lzma": 1096, "bz2": 1320, "brotli": 1024, "zstandard": 1056},
    ),
    ("item_labels", "memorizing"): (
        "8a521cd944feccbb1405eb7ed36af2e7687be1b413f5d94698d71152344a8ce7",
        {"none": 1896, "lzma": 1472, "bz2": 1712, "brotli": 1216, "zstandard": 1424},
    ),
    ("item_labels", "generalizing"): (
        "fa8d87338a2309a6eba591460067ee78b8b0b8ed88a1191b6bd8835937541c3c",
        {"none": 1712, "lzma": 1368, "bz2": 1512, "brotli": 1176, "zstandard": 1312},
    ),
}
"""Of every text: SHA-256 of its bytes, and the bits of its message with each compressor. The same with brotli 1.1.0 and
zstandard 0.22.0 as with 1.2.1 and 0.25.0."""


def _played(task: str, strategy: str, tables: tuple[Tensor, ...], sequences: Sequences) -> Tensor:
    """What the counted text predicts of a batch of sequences: probabilities of every draw (B, T, m), means of every
    answer (B, T), or probabilities of the query's label (B, 2)."""
    namespace: dict[str, Any] = {}
    exec(reference_text(task, strategy), namespace)
    predict: Callable[..., Any] = namespace["predict"]
    stored = tables if strategy == "memorizing" else ()
    answers = []
    for x, y in zip(sequences.x.double(), sequences.y, strict=True):
        if task == "urns":
            known = stored or (tables[0].shape[1],)
            answers.append(torch.stack([predict(*known, y[:t]) for t in range(len(y))]))
        elif task == "linear_regression":
            given = ((x[:t], y[:t].double(), x[t]) for t in range(len(y)))
            answers.append(torch.stack([predict(*stored, *context) for context in given]))
        else:
            context = (x[-1],) if stored else (x[:-1], y[:-1], x[-1])
            answers.append(torch.stack(predict(*stored, *context)))
    return torch.stack(answers)


def _require_equal(
    task: str, strategy: str, predictor: Callable[[Sequences], Tensor], tables: tuple[Tensor, ...], sequences: Sequences
) -> None:
    """Equal to 1e-12 as probabilities; to 1e-9 as means, since ridge regression solves with noise of m / 256."""
    found, wanted = _played(task, strategy, tables, sequences), predictor(sequences)
    within = 1e-9 if task == "linear_regression" else 1e-12
    assert found.dtype == wanted.dtype == torch.float64
    torch.testing.assert_close(found, wanted if task == "linear_regression" else wanted.exp(), rtol=within, atol=within)


@pytest.mark.parametrize(("task", "strategy"), EACH)
@pytest.mark.parametrize(("n_tasks", "dim", "length"), [(1, 2, 2), (2, 5, 3), (40, 8, 17), (200, 3, 40)])
def test_a_text_predicts_what_the_study_plays(task: str, strategy: str, n_tasks: int, dim: int, length: int) -> None:
    """M and G as the study makes them, on sequences of training tasks and others, at every position from the first."""
    family = FAMILIES[task]
    sampler = family.sampler([n_tasks], [3], dim=dim, length=length)
    (m, tables), g = family.memorizer(sampler, 0), family.generalizer(sampler)
    tables = (tables[0].double(), *tables[1:])
    if task == "urns":
        tables = (tables[0] / tables[0].sum(-1, keepdim=True),)  # they sum to 1 in float32
    for number, arguments in enumerate(family.kinds.values()):
        if n_tasks > 1 or not arguments.get("absent"):
            sequences = Sequences(*(part[0] for part in sampler.fresh(number, 6, **arguments)))
            _require_equal(task, strategy, m if strategy == "memorizing" else g, tables, sequences)


CLASSES: dict[tuple[str, str], Callable[..., Callable[[Sequences], Tensor]]] = {
    ("urns", "memorizing"): UrnMemorizer,
    ("urns", "generalizing"): lambda urns: UrnGeneralizer(urns.shape[1]),
    ("linear_regression", "memorizing"): RegressionMemorizer,
    ("linear_regression", "generalizing"): lambda weights: RegressionGeneralizer(weights.shape[1]),
    ("item_labels", "memorizing"): ItemMemorizer,
    ("item_labels", "generalizing"): lambda items, labels: ItemGeneralizer(items.shape[1]),
}


def _drawn(*y: int) -> Sequences:
    draws = torch.tensor([y])
    return Sequences(torch.empty(*draws.shape, 0), draws, draws)


def _pairs(x: Tensor, y: Tensor) -> Sequences:
    return Sequences(x[None], y[None], y[None])


SOME = torch.tensor([[0.5, -1.0], [2.0, 0.25], [0.5, -1.0], [0.0, 0.0]], dtype=torch.float64)
LABELS = torch.tensor([1, 0, 0, 1])
EDGES = {
    "a single draw": ("urns", (torch.tensor([[0.25, 0.75]]),), _drawn(1)),
    "one colour again and again": ("urns", (torch.tensor([[0.25, 0.75], [0.5, 0.5]]),), _drawn(*[1] * 40)),
    "colours that some urns lack": ("urns", (torch.tensor([[1.0, 0.0, 0], [0.25, 0.75, 0]]),), _drawn(0, 1, 0, 0, 1)),
    "an urn ruled out by 1000 nats that comes back": (
        "urns", (torch.tensor([[1023, 1, 0], [1, 1, 1022]], dtype=torch.float64) / 1024,), _drawn(*[0] * 160, 2, 1, 0),
    ),
    "equal urns": ("urns", (torch.tensor([[0.25, 0.75], [0.25, 0.75], [0.5, 0.5]]),), _drawn(0, 1, 1)),
    "one pair": ("linear_regression", (SOME,), _pairs(SOME[:1], torch.tensor([2.0]))),
    "one input with two answers": ("linear_regression", (SOME,), _pairs(SOME, torch.tensor([1.0, 2.0, -1.0, 0.0]))),
    "an item twice, with both labels": ("item_labels", (SOME, LABELS), _pairs(SOME, LABELS)),
    "one context pair": ("item_labels", (SOME, LABELS), _pairs(SOME[:2], LABELS[:2])),
    "items of one label": ("item_labels", (SOME[:2], LABELS[[0, 0]]), _pairs(SOME[1:], LABELS[1:])),
    "far from every item": ("item_labels", (SOME, LABELS), _pairs(30 * SOME[:3], LABELS[:3])),
}  # fmt: skip


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("case", EDGES)
def test_a_text_predicts_what_its_class_does_at_the_edges(case: str, strategy: str) -> None:
    task, tables, sequences = EDGES[case]
    tables = (tables[0].double(), *tables[1:])
    _require_equal(task, strategy, CLASSES[task, strategy](*tables), tables, sequences)


@pytest.mark.parametrize(("task", "strategy"), EACH)
def test_texts_and_their_lengths_are_the_frozen_ones(task: str, strategy: str) -> None:
    text, (sha, bits) = reference_text(task, strategy), FROZEN[task, strategy]
    assert hashlib.sha256(text.encode()).hexdigest() == sha
    assert {found.codec: found.bits for found in messages(text) if not found.delta} == bits
    assert strategy_complexity(text) == min(bits.values())


class _Wordy:
    """A predictor that answers what another does, from a class with a longer source."""

    def __init__(self, plain: Callable[[Sequences], Tensor]):
        self.plain = plain

    def __call__(self, sequences: Sequences) -> Tensor:
        if not isinstance(sequences, Sequences):
            raise TypeError(f"`sequences` must be sequences, which is said here at length; got {sequences!r}")
        return self.plain(sequences)


@pytest.mark.parametrize("task", TASKS)
def test_k_is_that_of_text_and_tables_whatever_the_source_of_the_class(
    task: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = StrategiesConfig(task=task, dim=2, length=4, n_tasks=(2, 64), evaluation_sequences=8, evaluation_rows=8,
                              loss_sequences=10, training=TrainSettings(steps=1, checkpoints=1))  # fmt: skip
    monkeypatch.setattr(outputs, "checkpoints", lambda config, *_: [build(config, config.replicas[:1])])
    family = FAMILIES[task]
    wordy = replace(family, remember=lambda *of: _Wordy(family.remember(*of)),
                    generalizer=lambda sampler: _Wordy(family.generalizer(sampler)))  # fmt: skip
    text_m, text_g = (describe(reference_text(task, strategy)).bits for strategy in STRATEGIES)
    for index, replica in enumerate(config.replicas):
        _, tables = family.memorizer(sampler_of(config, [replica]), 0)
        wanted = (text_m + sum(describe(table.numpy()).bits for table in tables), text_g)
        assert wanted[0] > wanted[1]  # what memorizes is the longer one even with the least table
        for played in (family, wordy):
            monkeypatch.setitem(FAMILIES, task, played)
            found = outputs.measure_run(config, None, index)  # type: ignore[arg-type]
            assert (found.complexity_m, found.complexity_g) == wanted


@pytest.mark.parametrize(("task", "strategy"), EACH)
def test_another_text_is_another_run(task: str, strategy: str, monkeypatch: pytest.MonkeyPatch) -> None:
    before, plain = identity._source("gating"), identity.digest
    edited = Path(str(references.__file__)).with_name(f"{task}_{strategy}.py")
    monkeypatch.setattr(identity, "digest", lambda file: "edited" if file == edited else plain(file))
    assert identity._source("gating") != before


def test_another_name_is_refused() -> None:
    with pytest.raises(ValueError, match=r"^`task` must be one of \('urns', 'linear_regression', 'item_labels'\); got"):
        reference_text("urn", "memorizing")
    with pytest.raises(ValueError, match=r"^`strategy` must be one of \('memorizing', 'generalizing'\); got 'M'$"):
        reference_text("urns", "M")
    assert set(TASKS) == set(FAMILIES)
