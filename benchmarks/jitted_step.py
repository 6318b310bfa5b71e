"""A jitted training step of JAX, written for one model: of the paper's Transformer and of the gated model.

    pip install jax
    python -m benchmarks.jitted_step [--shorter 1.0]     # half a minute

The function, its initial weights and Adam are those of our models; parameters are a dictionary of arrays, the step is
one compiled program that is given its state to overwrite, and XLA runs on one thread. The Transformer is written
plainly, with every position through both blocks, and once more with the last block for the query alone, as ours.
Batches are drawn beforehand and lie in JAX's memory, which favours it: ours draws them as it goes, and that is part of
its time. Each step is computed by the thread that asks for it (`jax_cpu_enable_async_dispatch` is off). Prints by how
much the losses of the first three steps differ at most, and steps per second in alternating windows.
"""

import argparse
import os
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from torch import nn

from benchmarks.windows import Groups, System, alternating, table
from gating.models.layers import generators
from gating.models.transformer import Transformer, sinusoidal_positions
from gating.runs.ensemble import Ensemble
from gating.runs.store import opened
from gating.studies.replicas import Replica
from gating.studies.stylized import stylized_model
from gating.tasks.class_mixture import ClassMixtureSampler
from gating.training.schedule import TrainSettings
from gating.training.trainer import Trainer
from theory.distribution import ClassMixture

SPEC, N = ClassMixture(), 2**16
BATCH, HIDDEN = 32, 64
SETTINGS = TrainSettings(steps=1, batch_size=BATCH)
HELD = 64
"""Batches that are drawn beforehand."""

Forward = Callable[..., Any]


def jax_on_one_thread() -> Any:
    """JAX on the CPU, told before its import to use one thread.

    Raises:
        SystemExit: it is not installed.
    """
    os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
    os.environ["JAX_PLATFORMS"] = "cpu"
    try:
        import jax
    except ImportError as error:
        raise SystemExit(
            "the jitted step needs JAX, which is no dependency of this project: pip install jax"
        ) from error
    jax.config.update("jax_cpu_enable_async_dispatch", False)
    return jax


def transformer(seeds: Sequence[int]) -> Transformer:
    """The paper's Transformer, one for each seed."""
    return Transformer(SPEC.dim, SPEC.n_classes, SPEC.context_length, rngs=generators(seeds))


def gated(seeds: Sequence[int]) -> nn.Module:
    """The gated model, one for each seed."""
    return stylized_model([Replica(SPEC, N, seed, seed) for seed in seeds], HIDDEN)


def sampler(seeds: Sequence[int]) -> ClassMixtureSampler:
    """Training batches, of one replica for each seed."""
    return ClassMixtureSampler([SPEC] * len(seeds), [N] * len(seeds), seeds)


def ours(build: Callable[[Sequence[int]], nn.Module], size: int, settings: TrainSettings = SETTINGS) -> Groups:
    """So many replicas, in the groups of a run."""
    with TemporaryDirectory() as root, opened(Path(root) / "run", {}) as place:
        groups = Ensemble("", range(size), print, {}).groups("cpu")  # type: ignore[arg-type]
        return Groups([Trainer(place, group, build, sampler, settings) for group in groups])


def norm(x: Any, scale: Any = 1.0, shift: Any = 0.0) -> Any:
    """Layer normalisation."""
    jax = jax_on_one_thread()
    centred = x - x.mean(-1, keepdims=True)
    return centred * jax.lax.rsqrt((centred**2).mean(-1, keepdims=True) + 1e-5) * scale + shift


def transformer_forward(p: dict[str, Any], x: Any, y: Any, *, last_only: bool) -> Any:
    """Log-probabilities of the query's labels, (B, C); `last_only` has the last block answer for the query alone."""
    jax = jax_on_one_thread()
    jnp, (batch, tokens, width) = jax.numpy, x.shape
    positions = jnp.asarray(sinusoidal_positions(tokens, width).numpy())
    x = x + positions
    labels = jax.nn.one_hot(y[:, :-1], SPEC.n_classes) @ p["embed_label.weight"] + positions[:-1]
    pairs = jnp.stack([x[:, :-1], labels], 2).reshape(batch, 2 * tokens - 2, width)
    stream = jnp.concatenate([pairs, x[:, -1:]], 1)
    for number in range(2):
        q = {name.removeprefix(f"blocks.{number}."): value for name, value in p.items()}
        z = norm(stream, q["norm_attention.scale"], q["norm_attention.shift"])
        query, key, value = jnp.split(z @ q["attention.query_key_value.weight"], 3, -1)
        query, value = query + q["attention.query_bias"], value + q["attention.value_bias"]
        if last_only and number == 1:
            stream, query = stream[:, -1:], query[:, -1:]
        scores = jnp.einsum("bqd,bkd->bqk", query, key) * width**-0.5
        seen = jnp.tril(jnp.ones(scores.shape[1:]), scores.shape[2] - scores.shape[1])
        weights = jax.nn.softmax(jnp.where(seen == 1, scores, -jnp.inf))
        mixed = jnp.einsum("bqk,bkd->bqd", weights, value)
        stream = stream + mixed @ q["attention.out.weight"] + q["attention.out.bias"]
        z = norm(stream, q["norm_mlp.scale"], q["norm_mlp.shift"])
        hidden = jax.nn.gelu(z @ q["up.weight"] + q["up.bias"], approximate=False)
        stream = stream + hidden @ q["down.weight"] + q["down.bias"]
    z = norm(stream[:, -1], p["norm.scale"], p["norm.shift"])
    return jax.nn.log_softmax(z @ p["read_out.weight"] + p["read_out.bias"])


def gated_forward(p: dict[str, Any], x: Any, y: Any) -> Any:
    """Log-probabilities of the query's labels, (B, C)."""
    jax = jax_on_one_thread()
    jnp = jax.numpy

    def perceptron(name: str, z: Any) -> Any:
        first, second = f"{name}.layers.0", f"{name}.layers.2"
        hidden = jax.nn.relu(z @ p[f"{first}.weight"] + p[f"{first}.bias"])
        return hidden @ p[f"{second}.weight"] + p[f"{second}.bias"]

    seen = norm(x)
    in_weight = jax.nn.log_softmax(perceptron("g", seen[:, -1]))
    distance = ((x[:, -1:] - x[:, :-1]) ** 2).sum(-1)
    weights = jax.nn.softmax(-distance * jnp.exp(-p["h.log_temperature"]))
    votes = (weights[..., None] * jax.nn.one_hot(y[:, :-1], SPEC.n_classes)).sum(1)
    in_context = jnp.log(jnp.maximum(votes, 1e-7))
    logit = perceptron("gate", seen.reshape(len(x), -1))
    return jnp.logaddexp(jax.nn.log_sigmoid(logit) + in_weight, jax.nn.log_sigmoid(-logit) + in_context)


def jitted(forward: Forward, model: nn.Module) -> Callable[[int], list[Any]]:
    """Steps of one model from its weights, on batches that are drawn beforehand; returns their losses."""
    jax = jax_on_one_thread()
    jnp, (first, second), eps = jax.numpy, SETTINGS.optimizer.betas, SETTINGS.optimizer.eps

    def loss(p: dict[str, Any], x: Any, y: Any) -> Any:
        return -jnp.take_along_axis(forward(p, x, y), y[:, -1:], 1).mean()

    def step(state: tuple[Any, ...], x: Any, y: Any) -> tuple[tuple[Any, ...], Any]:
        p, mean, square, t = state
        value, gradient = jax.value_and_grad(loss)(p, x, y)
        t = t + 1
        mean = jax.tree.map(lambda m, g: first * m + (1 - first) * g, mean, gradient)
        square = jax.tree.map(lambda v, g: second * v + (1 - second) * g * g, square, gradient)
        rate, root = SETTINGS.learning_rate / (1 - first**t), jnp.sqrt(1 - second**t)
        p = jax.tree.map(lambda w, m, v: w - rate * m / (jnp.sqrt(v) / root + eps), p, mean, square)
        return (p, mean, square, t), value

    run = jax.jit(step, donate_argnums=0)
    weights = {name: value.detach()[0] for name, value in model.named_parameters()}
    p = {name: jnp.array((w.squeeze(0) if len(w) == 1 else w).numpy()) for name, w in weights.items()}
    state = (p, jax.tree.map(jnp.zeros_like, p), jax.tree.map(jnp.zeros_like, p), jnp.zeros(()))
    drawn = sampler([0]).batches(0, HELD, BATCH)
    batches = [
        (jnp.array(x.numpy()), jnp.array(y.int().numpy()))
        for x, y in zip(drawn.x[0].split(BATCH), drawn.y[0].split(BATCH), strict=True)
    ]
    done = 0

    def steps(count: int) -> list[Any]:
        nonlocal state, done
        losses = []
        for number in range(done, done + count):
            state, value = run(state, *batches[number % HELD])
            losses.append(value)
        jax.block_until_ready((state, losses))
        done += count
        return losses

    return steps


def jitted_steps() -> dict[str, Callable[[int], list[Any]]]:
    """Every jitted step, by its name."""
    return {
        "Transformer, jitted": jitted(partial(transformer_forward, last_only=False), transformer([0])),
        "Transformer, jitted, query alone": jitted(partial(transformer_forward, last_only=True), transformer([0])),
        "gated, jitted": jitted(gated_forward, gated([0])),
    }


def differences(steps: dict[str, Callable[[int], list[Any]]]) -> str:
    """By how much the first losses of new jitted steps differ from ours at most, in words.

    Raises:
        AssertionError: by more than 1e-5.
    """
    said = []
    for name, jitted_one in steps.items():
        own = ours(gated if name.startswith("gated") else transformer, 1)(3)
        apart = max(abs(a - float(b)) for a, b in zip(own, jitted_one(3), strict=True))
        assert apart < 1e-5, f"{name}: the losses differ by {apart:.1e}"
        said.append(f"{name}: {apart:.0e}")
    return f"Losses of the first three steps differ from ours at most by: {'; '.join(said)}."


def main() -> None:
    """Compares the losses, times the steps and prints both."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shorter", type=float, default=1.0, help="share of the windows' length, for a quick look")
    options = parser.parse_args()
    torch.set_num_threads(1)
    steps = jitted_steps()
    print(differences(steps), end="\n\n")
    systems = {name: System(job) for name, job in steps.items()}
    systems |= {"Transformer, ours": System(ours(transformer, 1)), "gated, ours": System(ours(gated, 1))}
    rates = alternating(systems, options.shorter)
    print(table(["one model, float32", "steps/s"], ([name, rates.rate(name)] for name in systems)))


if __name__ == "__main__":
    main()
