"""Answers of each Transformer's checkpoints beside those of M and G, and the losses and lengths of M and G."""

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from gating.evaluation.description_length import strategy_complexity
from gating.models.decoder import Decoder
from gating.predictors.references import reference_text
from gating.runs.executor import Resources
from gating.runs.store import Place
from gating.studies.replicas import combined_seed
from gating.studies.strategies.config import StrategiesConfig
from gating.studies.strategies.ensemble import checkpoints, sampler_of
from gating.studies.strategies.families import FAMILIES
from gating.tasks.sequences import Sequences

__all__ = ["Answers", "RunOutputs", "keep_outputs", "kept_outputs", "measure_run", "median_of_means"]

OUTPUTS = "outputs"
AT_ONCE = {"cpu": 64, "cuda": 1024}
"""Sequences that a Transformer answers at once: so many as fit a core's cache, or keep a GPU busy."""


class Answers(NamedTuple):
    """Answers to n rows, each a position of a test sequence.

    Attributes:
        transformer: of the c checkpoints, (c, n, C): log-probabilities, or numbers with C = 1.
        m: of the memorizing predictor, (n, C), float64.
        g: of the generalizing predictor, (n, C), float64.
        evidence: nats for M that the context of each row holds, (n,).
        losses: mean loss of each checkpoint, over all positions of all sequences, nats, (c,).
        errors: standard errors of these over the sequences, (c,).
    """

    transformer: Tensor
    m: Tensor
    g: Tensor
    evidence: Tensor
    losses: Tensor
    errors: Tensor


class RunOutputs(NamedTuple):
    """What is kept of one trained model.

    Attributes:
        answers: by kind of test sequences.
        loss_m: mean loss of M on sequences of training tasks, nats per answer.
        loss_g: the same of G.
        complexity_m: description length of M, bits.
        complexity_g: the same of G.
    """

    answers: dict[str, Answers]
    loss_m: float
    loss_g: float
    complexity_m: float
    complexity_g: float


def median_of_means(values: Tensor, groups: int, *, seed: int) -> float:
    """Median of the means of equally large random groups of values: a mean that few huge values do not move.

    Args:
        values: shape (n,).
        groups: number of groups, 1 .. n; values that are left over are left out.
        seed: seed of the grouping.

    Example:
        >>> median_of_means(torch.tensor([1.0, 2.0, 3.0, 1e9]), 4, seed=0)
        2.5
    """
    order = torch.from_numpy(np.random.default_rng(seed).permutation(len(values))).to(values.device)
    size = len(values) // groups
    return values[order[: size * groups]].double().view(groups, size).mean(1).quantile(0.5).item()


def measure_run(config: StrategiesConfig, place: Place, index: int, device: torch.device | str = "cpu") -> RunOutputs:
    """Answers of one model at its checkpoints, and losses and lengths of its M and G.

    Args:
        config: settings of the study.
        place: a place of the run, whatever its part.
        index: which replica.
        device: where answers are computed, and where they are left.
    """
    family, replica = FAMILIES[config.task], config.replicas[index]
    sampler = sampler_of(config, [replica], device)
    (m, _), g = family.memorizer(sampler, 0), family.generalizer(sampler)
    seed = combined_seed(config.evaluation_seed, replica.seed)
    models = checkpoints(config, place, replica, device)

    def answers_to(sequences: Sequences) -> Answers:
        """Rows are positions drawn without replacement; all kinds of sequences of one run have the same ones."""
        alone = _single(sequences)
        answer_m, answer_g = (_as_rows(predictor(alone), family.distance) for predictor in (m, g))
        order = np.random.default_rng(seed).permutation(len(answer_m))
        rows = torch.from_numpy(np.sort(order[: config.evaluation_rows])).to(device)
        found, losses, errors = [], [], []
        for model in models:
            answer = _answer(model, sequences)
            lost = family.losses(sampler, answer, alone)
            losses.append(lost.mean())
            errors.append(lost.double().mean(-1).std() / len(lost) ** 0.5)
            found.append(_as_rows(answer, family.distance)[rows])
        evidence = family.evidence(sampler, m, g, alone).flatten()[rows].double()
        of_models = torch.stack(losses).float().double(), torch.stack(errors)
        return Answers(torch.stack(found), answer_m[rows], answer_g[rows], evidence, *of_models)

    answers = {
        kind: answers_to(sampler.fresh(combined_seed(seed, number), config.evaluation_sequences, **arguments))
        for number, (kind, arguments) in enumerate(family.kinds.items())
    }
    many = _single(sampler.fresh(combined_seed(seed, len(family.kinds)), config.loss_sequences))
    lost = (family.losses(sampler, predictor(many), many).mean(-1) for predictor in (m, g))
    losses = [median_of_means(of_each, config.loss_groups, seed=seed) for of_each in lost]
    _, tables = family.memorizer(sampler_of(config, [replica]), 0)  # of the CPU: lengths do not depend on the device
    stored = [table.float().numpy() if table.is_floating_point() else table.numpy() for table in tables]
    lengths = (
        strategy_complexity(reference_text(config.task, "memorizing"), stored),
        strategy_complexity(reference_text(config.task, "generalizing")),
    )
    return RunOutputs(answers, *losses, *map(float, lengths))


def _answer(model: Decoder, sequences: Sequences) -> Tensor:
    """Answers of a single model to sequences of leading shape (1, B), in blocks."""
    size = AT_ONCE.get(sequences.y.device.type, 64)
    blocks = range(0, sequences.y.shape[1], size)
    with torch.no_grad():
        return torch.cat([model(Sequences(*(part[:, k : k + size] for part in sequences)))[0] for k in blocks])


def _single(sequences: Sequences) -> Sequences:
    """Sequences of the one replica, (1, B, ...) -> (B, ...)."""
    return Sequences(*(part[0] for part in sequences))


def _as_rows(answers: Tensor, distance: str) -> Tensor:
    """(B, T, C), (B, C) or numbers (B, T) -> (n, C)."""
    return answers.flatten(0, -2) if distance == "kl" else answers.flatten().unsqueeze(-1)


def keep_outputs(config: StrategiesConfig, index: int, place: Place, resources: Resources) -> None:
    """Keeps the outputs of one model."""
    run = measure_run(config, place, index, resources.device)
    tensors = {f"{kind}.{name}": part for kind, answers in run.answers.items()
               for name, part in answers._asdict().items()}  # fmt: skip
    place.save_tensors(OUTPUTS, {**tensors, "numbers": torch.tensor(run[1:], dtype=torch.float64)})


def kept_outputs(config: StrategiesConfig, place: Place) -> RunOutputs:
    """The outputs that are kept in a place.

    Raises:
        Damaged: their file is missing, or not as it was written.
    """
    tensors, kinds = place.tensors(OUTPUTS), FAMILIES[config.task].kinds
    answers = {kind: Answers(*(tensors[f"{kind}.{name}"] for name in Answers._fields)) for kind in kinds}
    return RunOutputs(answers, *tensors["numbers"].tolist())
