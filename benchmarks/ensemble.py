"""Replica-steps per second of the paper's Transformer, beside a plain PyTorch loop and the matrix-product ceiling.

    python benchmarks/ensemble.py            # about two minutes, on an otherwise idle machine

Everything is measured in one process, in turns, and the medians over the turns are printed as a Markdown table.
`train` is the ensemble with data generation; `data` is generation alone; `ceiling` is the time of the batched matrix
products of one step (forward, and two backward for each) with nothing between them, in the same groups of replicas;
`plain` is one `torch.nn` model trained by the usual loop with the same data. The ceiling leaves out the products inside
attention, and counts an input gradient of the label map that training does not need; both are small.
"""

import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

from gating.models.layers import generators
from gating.models.transformer import Transformer, sinusoidal_positions
from gating.runs.ensemble import Ensemble
from gating.runs.executor import Resources
from gating.runs.resources import free_cores
from gating.runs.store import Place, opened
from gating.tasks.class_mixture import ClassMixtureSampler
from gating.tasks.sequences import Sequences
from gating.training.schedule import TrainSettings
from gating.training.trainer import Trainer
from theory.distribution import ClassMixture

SPEC = ClassMixture()
BATCH, WIDTH, HIDDEN, TOKENS = 32, 64, 256, 3
SIZES = (1, 8, 32, 128)
TURNS = 5
SECONDS = 0.5


def sampler(seeds: list[int]) -> ClassMixtureSampler:
    return ClassMixtureSampler([SPEC] * len(seeds), [2**16] * len(seeds), seeds)


class PlainBlock(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(WIDTH), nn.LayerNorm(WIDTH)
        self.qkv, self.out = nn.Linear(WIDTH, 3 * WIDTH), nn.Linear(WIDTH, WIDTH)
        self.mlp = nn.Sequential(nn.Linear(WIDTH, HIDDEN), nn.GELU(), nn.Linear(HIDDEN, WIDTH))

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = self.qkv(self.norm1(x)).unsqueeze(1).chunk(3, dim=-1)
        x = x + self.out(functional.scaled_dot_product_attention(q, k, v, is_causal=True).squeeze(1))
        return x + self.mlp(self.norm2(x))


class PlainTransformer(nn.Module):
    """The same model as one would write it for a single one."""

    positions: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.labels = nn.Embedding(SPEC.n_classes, WIDTH)
        self.blocks = nn.Sequential(PlainBlock(), PlainBlock())
        self.norm, self.read_out = nn.LayerNorm(WIDTH), nn.Linear(WIDTH, SPEC.n_classes)
        self.register_buffer("positions", sinusoidal_positions(2, WIDTH))

    def forward(self, s: Sequences) -> Tensor:
        x = s.x + self.positions
        label = self.labels(s.context_y) + self.positions[:-1]
        tokens = torch.stack([x[:, 0], label[:, 0], x[:, 1]], dim=1)
        return self.read_out(self.norm(self.blocks(tokens))[:, -1])


def plain_loop() -> Callable[[int], None]:
    model = PlainTransformer()
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-4)
    source = sampler([0])
    state = {"step": 0}

    def steps(count: int) -> None:
        done = 0
        while done < count:  # sixteen batches are drawn at a time, as the ensemble of one does
            drawn = min(16, count - done)
            block = source.batches(state["step"], drawn, BATCH)
            for k in range(drawn):
                batch = Sequences(*(field[0, k * BATCH : (k + 1) * BATCH] for field in block))
                loss = functional.cross_entropy(model(batch), batch.target)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
            state["step"] += drawn
            done += drawn

    return steps


def on_threads(count: int, job: Callable[[int], None]) -> Callable[[int], None]:
    """The job with `count` threads inside each operation."""

    def steps(n: int) -> None:
        torch.set_num_threads(count)
        job(n)
        torch.set_num_threads(1)

    return steps


def training(place: Place, size: int, workers: int) -> Callable[[int], None]:
    """Groups of an ensemble, as parts of a run train them."""

    def trainer(place: Place, resources: Resources, seeds: Sequence[int]) -> Trainer[int]:
        made = Trainer(
            place,
            seeds,
            lambda mine: Transformer(SPEC.dim, SPEC.n_classes, SPEC.context_length, rngs=generators(list(mine))),
            lambda mine: sampler(list(mine)),
            TrainSettings(steps=1),
        )
        made.start()
        return made

    groups = [trainer(place, Resources(), group) for group in Ensemble("", range(size), trainer, {}).groups("cpu")]
    state = {"step": 0}

    def steps(count: int) -> None:
        state["step"] += count
        with ThreadPoolExecutor(workers, initializer=torch.set_num_threads, initargs=(1,)) as pool:
            list(pool.map(lambda group: group.advance(state["step"]), groups))

    return steps


def in_groups(size: int, workers: int, work: Callable[[int], Callable[[], object]]) -> Callable[[int], None]:
    """Repeats `work(group size)` on worker threads, one group after the other on each."""
    jobs = [work(len(group)) for group in Ensemble("", range(size), print, {}).groups("cpu")]  # type: ignore[arg-type]

    def steps(count: int) -> None:
        with ThreadPoolExecutor(workers, initializer=torch.set_num_threads, initargs=(1,)) as pool:
            list(pool.map(lambda job: [job() for _ in range(count)], jobs))

    return steps


def products(size: int) -> Callable[[], object]:
    """Matrix products of one step of `size` replicas."""
    shapes = [(BATCH, SPEC.n_classes, WIDTH)]
    for tokens in (TOKENS, 1):  # the last block answers for the query alone
        shapes += [
            (BATCH * TOKENS, WIDTH, 3 * WIDTH),
            (BATCH * tokens, WIDTH, WIDTH),
            (BATCH * tokens, WIDTH, HIDDEN),
            (BATCH * tokens, HIDDEN, WIDTH),
        ]
    shapes.append((BATCH, WIDTH, SPEC.n_classes))
    data = [(torch.randn(size, a, b), torch.randn(size, b, c), torch.randn(size, a, c)) for a, b, c in shapes]

    def run() -> None:
        for x, weight, gradient in data:
            torch.bmm(x, weight)
            torch.bmm(gradient, weight.mT)
            torch.bmm(x.mT, gradient)

    return run


def generation(size: int) -> Callable[[], object]:
    source = sampler(list(range(size)))
    per_draw = max(1, 16 // size)
    calls = {"n": 0}

    def run() -> None:
        if calls["n"] % per_draw == 0:
            source.batches(calls["n"], per_draw, BATCH)
        calls["n"] += 1

    return run


def rate(steps: Callable[[int], None], size: int, count: int) -> float:
    start = time.perf_counter()
    steps(count)
    return size * count / (time.perf_counter() - start)


def main() -> None:
    with tempfile.TemporaryDirectory() as root, opened(Path(root) / "run", {}) as place:
        measure(place)


def measure(place: Place) -> None:
    """Measures and prints; ensembles take turns without saving anything in the place."""
    torch.set_num_threads(1)
    threads = [1, 2]
    print(f"free cores: {free_cores()}; torch {torch.__version__}; batch {BATCH}, Adam; median of {TURNS} turns\n")
    jobs: dict[tuple[str, int, int], Callable[[int], None]] = {
        ("plain", 1, workers): on_threads(workers, plain_loop()) for workers in threads
    }
    for size in SIZES:
        for workers in threads:
            jobs["train", size, workers] = training(place, size, workers)
            jobs["ceiling", size, workers] = in_groups(size, workers, products)
            jobs["data", size, workers] = in_groups(size, workers, generation)
    counts = {key: max(8, round(SECONDS * rate(job, key[1], 8) / key[1])) for key, job in jobs.items()}
    rates: dict[tuple[str, int, int], list[float]] = {key: [] for key in jobs}
    for _ in range(TURNS):
        for key, job in jobs.items():
            rates[key].append(rate(job, key[1], counts[key]))
    median = {key: statistics.median(values) for key, values in rates.items()}
    plain = median["plain", 1, 1]
    print(f"plain loop, one model: {plain:,.0f} steps/s on one thread, {median['plain', 1, 2]:,.0f} on two")
    print("ratios are to the plain loop on one thread; ensembles of 1 and 8 are one group, which one thread trains\n")
    print("| replicas | threads | train (replica-steps/s) | ceiling | train / ceiling | train / plain | data alone |")
    print("| ---: | ---: | ---: | ---: | ---: | ---: | ---: |")
    for (what, size, workers), train in median.items():
        if what == "train":
            ceiling, data = median["ceiling", size, workers], median["data", size, workers]
            print(
                f"| {size} | {workers} | {train:,.0f} | {ceiling:,.0f} | {train / ceiling:.0%} | {train / plain:.2f} |"
                f" {data:,.0f} |"
            )


if __name__ == "__main__":
    main()
