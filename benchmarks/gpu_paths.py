"""The paths of training and evaluation that `gpu.py` compares, each prepared for a device."""

import tempfile
from collections.abc import Callable, Iterator, Sequence
from functools import cache, partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from gating.evaluation.measure import measure
from gating.evaluation.relative_distance import relative_distance
from gating.gates.effective import effective_gate, effective_gate_squared
from gating.gates.effective_weights import effective_weights
from gating.gates.learned import MLPGate
from gating.gates.stylized import StylizedModel
from gating.models.layers import generators
from gating.models.transformer import Transformer
from gating.pictures.sampler import ImageMixtureSampler
from gating.predictors.in_context import SoftmaxSimilarity
from gating.predictors.in_weight import InWeightMLP
from gating.runs.store import Place, opened
from gating.studies.strategies.cells import BEST_MIXTURE
from gating.studies.strategies.config import StrategiesConfig
from gating.studies.strategies.ensemble import build, sampler_of
from gating.studies.strategies.families import FAMILIES
from gating.tasks.class_mixture import ClassMixtureSampler
from gating.tasks.item_labels import ItemLabels
from gating.tasks.linear_regression import LinearRegression
from gating.tasks.sequences import Sequences
from gating.tasks.urns import Urns
from gating.training.group import Loss, target_log_loss
from gating.training.schedule import TrainSettings
from gating.training.trainer import Trainer
from theory.distribution import ClassMixture

__all__ = ["Check", "Made", "Sizes", "paths"]

COMPARED_STEPS = 5
MODES: dict[str, tuple[dict[str, Any], float]] = {
    "float32": ({}, 1e-4),
    "high": ({"matmul_precision": "high"}, 0.01),
    "medium": ({"matmul_precision": "medium"}, 0.02),
    "bfloat16": ({"matmul_precision": "bfloat16"}, 0.03),
    "compiled": ({"compiled": True}, 1e-4),
}
"""Settings of each mode, and how far the losses of the first steps may be from those of float32 on the CPU."""

TUNED: dict[str, tuple[dict[str, Any], float]] = {
    "float32": ({}, 1e-3),
    "bf16": ({"precision": "bf16"}, 0.05),
    "adapters": ({"lora_rank": 4, "learning_rate": 0.01}, 1e-3),
}
"""Settings of the fine-tuning of language models, and tolerances of losses and scores."""


class Sizes(NamedTuple):
    """How large each path is: replicas, batch, timed steps, test sequences, width of the language model, turns."""

    replicas: int
    batch: int
    steps: int
    tests: int
    width: int
    turns: int


class Made(NamedTuple):
    """A path on a device: its results, what is timed, and how many steps that takes."""

    results: list[Tensor]
    again: Callable[[], object]
    steps: int = 1


class Check(NamedTuple):
    """One row: `make` computes the path on a device, `reference` what it is compared with."""

    path: str
    mode: str
    tolerance: float
    make: Callable[[str], Made]
    reference: Callable[[str], Made]


def transformer(seeds: Sequence[int]) -> nn.Module:
    return Transformer(64, 10, 1, rngs=generators(seeds))


def stylized(seeds: Sequence[int]) -> nn.Module:
    rngs = generators(seeds)
    gate = MLPGate(64, 1, inputs="query_and_context", rngs=rngs)
    return StylizedModel(InWeightMLP(64, 10, rngs=rngs), SoftmaxSimilarity(10, len(seeds)), gate)


def mixture(seeds: Sequence[int], device: str) -> ClassMixtureSampler:
    return ClassMixtureSampler([ClassMixture(label_noise=0.1)] * len(seeds), 2**16, seeds, device=device)


def strategies(task: str) -> StrategiesConfig:
    """The settings of a task family, of 16 pairs in place of 128 draws where answers are numbers."""
    return StrategiesConfig(task=task, length=16 if task == "linear_regression" else 128)  # type: ignore[arg-type]


def systems() -> Iterator[tuple[str, Callable[..., nn.Module], Callable[..., Any], Loss]]:
    """What is trained: name, models and batches of seeds, and loss."""
    yield "Transformers", transformer, mixture, target_log_loss
    yield "stylized models", stylized, mixture, target_log_loss
    for task, family in FAMILIES.items():
        config = strategies(task)

        def some(seeds: Sequence[int], config: StrategiesConfig = config) -> Any:
            return [config.replicas[0]._replace(seed=seed, init_seed=seed, n_tasks=64) for seed in seeds]

        def models(seeds: Sequence[int], config: StrategiesConfig = config, some: Any = some) -> nn.Module:
            return build(config, some(seeds))

        def batches(seeds: Sequence[int], device: str, config: StrategiesConfig = config, some: Any = some) -> Any:
            return sampler_of(config, some(seeds), device)

        yield task.replace("_", " "), models, batches, family.objective


def training(place: Place, sizes: Sizes) -> Iterator[Check]:
    for name, models, batches, loss in systems():

        def make(device: str, mode: str, models: Any = models, batches: Any = batches, loss: Loss = loss) -> Made:
            told = TrainSettings(10**6, sizes.batch, 1e-3, max_grad_norm=1.0, **MODES[mode][0])
            seeds, source = list(range(sizes.replicas)), lambda mine: batches(mine, device)
            group = Trainer(place, seeds, models, source, told, device=device, loss=loss)
            group.start()
            losses, state = group.advance(COMPARED_STEPS), {"step": COMPARED_STEPS}

            def again() -> Tensor:
                state["step"] += sizes.steps
                return group.advance(state["step"])

            return Made([losses], again, sizes.steps)

        plain = cache(partial(make, mode="float32"))
        for mode, (_, tolerance) in MODES.items():
            yield Check(f"train {name}", mode, tolerance, partial(make, mode=mode), plain)


def passes(path: str, tolerance: float, work: Callable[[str], Callable[[], list[Tensor]]]) -> Check:
    """A path without steps: `work` prepares it on a device, and what that gives computes it once."""

    def make(device: str) -> Made:
        once = work(device)
        return Made(once(), once)

    return Check(path, "", tolerance, make, make)


def samplers(sizes: Sizes) -> Iterator[Check]:
    seeds, chance = list(range(sizes.replicas)), torch.Generator().manual_seed(0)
    exemplars = torch.randn(10, 5, 64, generator=chance) / 8
    spec = ClassMixture(context_length=4, label_noise=0.1)

    def classes(kind: Any, *given: Any) -> Callable[[str], Callable[[], list[Tensor]]]:
        def work(device: str) -> Callable[[], list[Tensor]]:
            made = kind(*given, [spec] * len(seeds), 2**30, seeds, device=device)
            query, relevant = torch.arange(10).repeat(sizes.tests), torch.arange(10 * sizes.tests) % 3 > 0
            return lambda: [*made.batches(3, 4, sizes.batch), *made.fresh(1, query, relevant)]

        return work

    def tasks(kind: Any, **shape: int) -> Callable[[str], Callable[[], list[Tensor]]]:
        def work(device: str) -> Callable[[], list[Tensor]]:
            made = kind([64] * len(seeds), seeds, device=device, **shape)
            return lambda: [*made.batches(3, 4, sizes.batch), *made.fresh(1, sizes.tests, unseen=True)]

        return work

    yield passes("sample the class mixture", 1e-5, classes(ClassMixtureSampler))
    yield passes("sample images", 1e-5, classes(ImageMixtureSampler, exemplars))
    yield passes("sample urns", 1e-5, tasks(Urns, dim=8, length=128))
    yield passes("sample linear regression", 1e-5, tasks(LinearRegression, dim=8, length=16))
    yield passes("sample item labels", 1e-5, tasks(ItemLabels, dim=8, length=128))


def evaluation(sizes: Sizes) -> Iterator[Check]:
    seeds, chance = list(range(sizes.replicas)), torch.Generator().manual_seed(0)
    for name, models in (("Transformers", transformer), ("stylized models", stylized)):

        def measured(device: str, models: Any = models) -> Callable[[], list[Tensor]]:
            model = models(seeds).to(device)
            how = {"n": 4096, "seeds": seeds, "evaluation_per_cell": max(4, sizes.tests // 20), "device": device}
            return lambda: [torch.tensor(measure(model, ClassMixture(), **how)["value"].to_numpy(float))]

        yield passes(f"measure {name}", 1e-4, measured)
    made = torch.randn(4, 2 * sizes.replicas, sizes.tests, 10, generator=chance, dtype=torch.float64).log_softmax(-1)

    def gates(device: str) -> Callable[[], list[Tensor]]:
        t, *known = made.to(device)
        g, h, _ = known
        return lambda: [*effective_gate(t, g, h), *effective_gate_squared(t, g, h), *effective_weights(t, known)]

    yield passes("effective gates and weights", 1e-6, gates)
    for task in FAMILIES:
        yield passes(f"answers and distances of {task.replace('_', ' ')}", 1e-4, strategy(task, sizes.tests))


def strategy(task: str, tests: int) -> Callable[[str], Callable[[], list[Tensor]]]:
    """Answers of a Transformer, M and G to the same sequences, their losses, evidence, distances and best mixture."""
    config, family = strategies(task), FAMILIES[task]
    replica = config.replicas[-1]
    sampler = sampler_of(config, [replica])
    (m, _), g, drawn = family.memorizer(sampler, 0), family.generalizer(sampler), sampler.fresh(1, tests)

    def work(device: str) -> Callable[[], list[Tensor]]:
        model, sequences = build(config, [replica]).to(device), Sequences(*(part.to(device) for part in drawn))
        alone = Sequences(*(part[0] for part in sequences))

        @torch.no_grad()
        def once() -> list[Tensor]:
            three = [model(sequences)[0], m(alone), g(alone)]
            lost = [family.losses(sampler, answer, alone) for answer in three]
            rows = [a.flatten(0, -2) if family.distance == "kl" else a.flatten().unsqueeze(-1) for a in three]
            best = BEST_MIXTURE[family.distance](*rows)
            told = family.evidence(sampler, m, g, alone)
            return [*three, *lost, told, relative_distance(*rows, distance=family.distance), *best]

        return once

    return work


def language_models(root: Path, sizes: Sizes) -> Iterator[Check]:
    """Fine-tuning, and scores of what was tuned, of a GPT-2 with random weights and a tokenizer of bytes."""
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import GPT2Config, GPT2LMHeadModel, PreTrainedTokenizerFast

    from llm_finetune.finetune import LOSSES, finetune
    from llm_finetune.prompts import Example
    from llm_finetune.score import score_candidates
    from llm_finetune.settings import FinetuneSettings

    signs = sorted(pre_tokenizers.ByteLevel.alphabet())
    core = Tokenizer(models.BPE({sign: k for k, sign in enumerate([*signs, "<end>"])}, []))
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=core, eos_token="<end>")
    shape = {"n_positions": 64, "n_embd": sizes.width, "n_layer": 2, "n_head": 2, "eos_token_id": len(signs)}
    config = GPT2Config(
        vocab_size=len(signs) + 1, bos_token_id=None, embd_pdrop=0.0, attn_pdrop=0.0, resid_pdrop=0.0, **shape
    )
    examples = [Example(f"Where is {name}?", name.lower()) for name in ("Ann", "Liz", "Tom", "Wiesa")]
    asked, candidates = [e.prompt for e in examples], [e.answer for e in examples]

    def tuned(device: str, how: dict[str, Any]) -> list[Tensor]:
        told: Any = {"batch_size": 4, "learning_rate": 1e-3, "precision": "float32", **how}
        with torch.random.fork_rng([]), tempfile.TemporaryDirectory(dir=root) as room:
            torch.manual_seed(0)
            model = GPT2LMHeadModel(config).to(device)  # type: ignore[arg-type]
            with opened(Path(room) / "run", {}) as place:
                settings = FinetuneSettings(COMPARED_STEPS, **told)
                how_kept: Any = {"seed": 0, "folder": place, "keep": False, "say": lambda line: None}
                model = finetune(model, tokenizer, examples, settings, **how_kept)
                losses = torch.tensor(place.table(LOSSES)["loss"].to_numpy())
        return [losses, torch.from_numpy(score_candidates(model, tokenizer, asked, candidates).log_prob)]

    for mode, (how, tolerance) in TUNED.items():

        def make(device: str, how: dict[str, Any] = how) -> Made:
            return Made(tuned(device, how), lambda: tuned(device, how))

        def plain(device: str, how: dict[str, Any] = how if "lora_rank" in how else {}) -> Made:
            return Made(tuned(device, how), lambda: tuned(device, how))

        yield Check("fine-tune and score", mode, tolerance, make, plain)


def paths(place: Place, root: Path, sizes: Sizes) -> list[Check]:
    """All paths; a place for training, and a folder for language models, where what they need is installed."""
    found = [*training(place, sizes), *samplers(sizes), *evaluation(sizes)]
    return [*found, *(language_models(root, sizes) if find_spec("transformers") and find_spec("peft") else ())]
