"""Speed of training small models, alone and 32 at a time, beside a jitted step of JAX, a plain loop and the ceiling.

    pip install jax
    python -m benchmarks.ensemble [--shorter 1.0]     # about four minutes, on an otherwise idle machine

The paper's Transformer and the gated model are trained on one thread as a run trains them: an ensemble of 32 is two
groups of 16, one after the other. Drawing the data is part of our time and of the plain loop's, not of the jitted
step's (see jitted_step.py). All systems take turns, window by window, and ratios are taken within each round.

`ceiling` is the time of the batched matrix products of one step (forward, and two backward for each) with nothing
between them, in the same groups of replicas, in whichever library is fastest at the precision: torch with either name
of float32 precision (on a processor without short formats the second only chooses another library), or XLA. It leaves
out the products inside attention, and counts an input gradient of the label map that training does not need; both are
small.
"""

import argparse
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from benchmarks.jitted_step import (
    BATCH,
    SPEC,
    differences,
    gated,
    jax_on_one_thread,
    jitted_steps,
    ours,
    sampler,
    transformer,
)
from benchmarks.windows import Rates, Steps, System, alternating, table
from gating.models.transformer import sinusoidal_positions
from gating.runs.precision import matmul_precision
from gating.runs.resources import free_cores
from gating.tasks.sequences import Sequences
from gating.training.schedule import TrainSettings

WIDTH, HIDDEN, TOKENS = 64, 256, 3
SIZES = (1, 32)
IN_GROUPS = {1: (1,), 32: (16, 16)}
PLAIN = TrainSettings(steps=1, batch_size=BATCH)
MODES = {
    "float32": PLAIN,
    "float32, compiled": replace(PLAIN, compiled=True),
    "bfloat16, compiled": replace(PLAIN, matmul_precision="bfloat16", compiled=True),
}
CEILING_SECONDS = 0.4


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


def plain_loop() -> Steps:
    """The usual loop over one model."""
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


def shapes() -> list[tuple[int, int, int]]:
    """Rows, width and answers of the matrix products of one step, forward."""
    found = [(BATCH, SPEC.n_classes, WIDTH)]
    for tokens in (TOKENS, 1):  # the last block answers for the query alone
        found += [
            (BATCH * TOKENS, WIDTH, 3 * WIDTH),
            (BATCH * tokens, WIDTH, WIDTH),
            (BATCH * tokens, WIDTH, HIDDEN),
            (BATCH * tokens, HIDDEN, WIDTH),
        ]
    return [*found, (BATCH, WIDTH, SPEC.n_classes)]


def operands(size: int) -> list[tuple[Tensor, Tensor, Tensor]]:
    """Inputs, weights and gradients of each product, of so many replicas."""
    return [(torch.randn(size, a, b), torch.randn(size, b, c), torch.randn(size, a, c)) for a, b, c in shapes()]


def torch_products(size: int, dtype: torch.dtype, precision: str) -> Steps:
    """Matrix products of a step in torch, group by group."""
    groups = [[tuple(x.to(dtype) for x in three) for three in operands(n)] for n in IN_GROUPS[size]]

    def steps(count: int) -> None:
        with matmul_precision(precision):
            for _ in range(count):
                for group in groups:
                    for x, weight, gradient in group:
                        torch.bmm(x, weight)
                        torch.bmm(gradient, weight.mT)
                        torch.bmm(x.mT, gradient)

    return steps


def jax_products(size: int, dtype: str) -> Steps:
    """The same in one compiled program of JAX, group by group."""
    jax = jax_on_one_thread()
    jnp = jax.numpy
    groups = [[[jnp.array(x.numpy(), dtype) for x in three] for three in operands(n)] for n in IN_GROUPS[size]]

    @jax.jit
    def products(group: list[list[Any]]) -> list[Any]:
        found = []
        for x, weight, gradient in group:
            found.append(jnp.einsum("rij,rjk->rik", x, weight))
            found.append(jnp.einsum("rik,rjk->rij", gradient, weight))
            found.append(jnp.einsum("rij,rik->rjk", x, gradient))
        return found

    def steps(count: int) -> None:
        for _ in range(count):
            for group in groups:
                found = products(group)
        jax.block_until_ready(found)

    return steps


def ceilings(size: int) -> dict[str, System]:
    """What may be the fastest, named by the precision first."""
    jobs = {
        "float32: torch": torch_products(size, torch.float32, "highest"),
        "float32: torch, medium": torch_products(size, torch.float32, "medium"),
        "float32: XLA": jax_products(size, "float32"),
        "bfloat16: torch": torch_products(size, torch.bfloat16, "highest"),
        "bfloat16: XLA": jax_products(size, "bfloat16"),
    }
    return {f"{size}, {name}": System(job, size, CEILING_SECONDS) for name, job in jobs.items()}


def systems() -> dict[str, System]:
    """All that is timed, by its name."""
    found = {name: System(steps) for name, steps in jitted_steps().items()}
    found["Transformer, plain loop"] = System(plain_loop())
    for size in SIZES:
        for mode, settings in MODES.items():
            groups = ours(transformer, size, settings)
            found[f"Transformer, {mode}, {size}"] = System(groups, size)
            if size > 1:
                found[f"Transformer, {mode}, {size} on two threads"] = System(partial(groups, threads=2), size)
            if not mode.startswith("bfloat16"):
                found[f"gated, {mode}, {size}"] = System(ours(gated, size, settings), size)
        found |= ceilings(size)
    return found


def rows(kind: str, names: list[str], rates: Rates) -> Iterator[list[str]]:
    """Rows of a model's table: speeds beside the fastest jitted step, and the Transformer's beside the plain loop."""
    mine = [name for name in names if name.startswith(kind)]
    jitted = rates.fastest(name for name in mine if "jitted" in name)
    for name in mine:
        row = [name, rates.rate(name), *rates.ratios(name, jitted)]
        yield row + (rates.ratios(name, "Transformer, plain loop") if kind == "Transformer" else [])


def shares(names: list[str], rates: Rates) -> Iterator[list[str]]:
    """Rows of the Transformers' shares of the ceiling, of those on one thread."""
    for name in names:
        if name.startswith("Transformer") and not name.endswith("threads"):
            size = "32" if name.endswith(", 32") else "1"
            precision = "bfloat16" if "bfloat16" in name else "float32"
            best = rates.fastest(other for other in names if other.startswith(f"{size}, {precision}: "))
            yield [name, rates.rate(best), best.partition(": ")[2], *rates.ratios(name, best, ".0%")]


def main() -> None:
    """Times the systems and prints the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shorter", type=float, default=1.0, help="share of the windows' length, for a quick look")
    options = parser.parse_args()
    torch.set_num_threads(1)
    print(f"Free cores: {free_cores()}; torch {torch.__version__}, JAX {jax_on_one_thread().__version__};")
    print(f"batch {BATCH}, Adam, one thread; medians (range), ratios by the clock and by the processor's time.")
    print(differences(jitted_steps()), flush=True)
    timed = systems()
    rates, names = alternating(timed, options.shorter), list(timed)
    head = ["system", "model-steps/s", "/ jitted", "by processor"]
    print(f"\n{table([*head, '/ plain loop', 'by processor'], rows('Transformer', names, rates))}")
    print(f"\n{table(head, rows('gated', names, rates))}")
    beside = ["ceiling, model-steps/s", "reached by", "share", "by processor"]
    print(f"\n{table(['system', *beside], shares(names, rates))}")
    products = [name for name in names if name[0].isdigit()]
    print(f"\n{table(['matrix products', 'model-steps/s'], ([name, rates.rate(name)] for name in products))}")


if __name__ == "__main__":
    main()
