"""Steps per second of balls-and-urns Transformers, beside the same model of `transformers` in a plain loop.

    python benchmarks/strategies.py [--turns 7] [--steps 32] [--draws 128] [--batch 64]

The model has the paper's shape (51,008 parameters with 8 colours) and all start from the same weights. `one` is the
trainer with a single model, `ensemble` with one for each of 11 task diversities, and `plain` is GPT-NeoX with AdamW
(fused, as the trainer's Adam is), clipping and the same batches, with either attention that `transformers` offers on a
CPU. Data generation is part of all. Everything runs on one thread, in turns, in one process; each float32 precision of
matrix products is set for both sides alike. Prints medians, with the range in brackets, as Markdown tables; ratios are
to the faster plain loop, by the clock and by the processor's time, which does not grow when the machine is shared.
"""

import argparse
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from torch.nn.functional import cross_entropy, pad
from transformers import AutoModelForCausalLM, logging

from gating.models.decoder import UrnDecoder
from gating.models.gpt_neox import save_gpt_neox
from gating.models.layers import generators
from gating.runs.store import opened
from gating.studies.strategies.families import every_draw_log_loss
from gating.tasks.urns import Urns
from gating.training.schedule import MatmulPrecision, TrainSettings
from gating.training.trainer import Trainer

COLOURS, RATE, CLIP = 8, 5e-4, 1.0
ALONE = [64]
DIVERSITIES = [2**k for k in range(1, 12)]
PRECISIONS: tuple[MatmulPrecision, ...] = ("highest", "medium")
DRAWN_AT_ONCE = 16
"""Steps whose batches are drawn together, as the trainer does for a group of one."""

Steps = Callable[[int], list[float]]
"""Takes so many steps and returns the losses of the first model."""


def decoder(draws: int) -> UrnDecoder:
    return UrnDecoder(COLOURS, draws, rngs=generators([0]))


def trained(diversities: list[int], draws: int, batch: int, precision: MatmulPrecision) -> Steps:
    settings = TrainSettings(
        steps=1, batch_size=batch, learning_rate=RATE, max_grad_norm=CLIP, matmul_precision=precision
    )
    with TemporaryDirectory() as folder, opened(folder, {}) as place:  # nothing is saved
        groups = [
            Trainer(
                place,
                [diversity],
                lambda mine: decoder(draws),
                lambda mine: Urns(mine, [0], dim=COLOURS, length=draws),
                settings,
                loss=every_draw_log_loss,
            )
            for diversity in diversities
        ]
        for group in groups:
            group.start()
    done = 0

    def steps(count: int) -> list[float]:
        nonlocal done
        done += count
        return next(group.advance(done)[:, 0].tolist() for group in groups)

    return steps


def plain(attention: str, draws: int, batch: int, precision: MatmulPrecision) -> Steps:
    with TemporaryDirectory() as folder:
        save_gpt_neox(decoder(draws), 0, Path(folder) / "model")
        model = AutoModelForCausalLM.from_pretrained(Path(folder) / "model", attn_implementation=attention).train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=RATE, weight_decay=0.0, fused=True)
    source, done = Urns(ALONE, [0], dim=COLOURS, length=draws), 0

    def steps(count: int) -> list[float]:
        nonlocal done
        torch.set_float32_matmul_precision(precision)
        losses = []
        for first in range(done, done + count, DRAWN_AT_ONCE):
            drawn = source.batches(first, min(DRAWN_AT_ONCE, done + count - first), batch)
            for y in drawn.y[0].split(batch):
                tokens = pad(y[:, :-1], (1, 0), value=COLOURS)
                logits = model(input_ids=tokens, use_cache=False).logits[..., :COLOURS]
                loss = cross_entropy(logits.flatten(0, 1), y.flatten())
                optimizer.zero_grad()
                loss.backward()
                torch.nn.utils.clip_grad_norm_(model.parameters(), CLIP)
                optimizer.step()
                losses.append(loss.item())
        done += count
        torch.set_float32_matmul_precision("highest")
        return losses

    return steps


def measure(jobs: dict[str, Steps], count: int, turns: int) -> dict[str, list[tuple[float, float]]]:
    """Seconds and processor seconds of `count` steps of each job, turn by turn."""
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in jobs}
    for _ in range(turns):
        for name, steps in jobs.items():
            start, start_cpu = time.perf_counter(), time.process_time()
            steps(count)
            found[name].append((time.perf_counter() - start, time.process_time() - start_cpu))
    return found


def main() -> None:
    """Runs the measurements and prints the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, default in (("turns", 7), ("steps", 32), ("draws", 128), ("batch", 64)):
        parser.add_argument(f"--{name}", type=int, default=default)
    options = parser.parse_args()
    torch.set_num_threads(1)
    logging.disable_progress_bar()
    size = sum(parameter.numel() for parameter in decoder(options.draws).parameters())
    print(f"{size:,} parameters, batch {options.batch}, {options.draws} draws, one thread, torch {torch.__version__};")
    print(f"medians of {options.turns} turns of {options.steps} steps (range in brackets).")
    for precision in PRECISIONS:
        shape = (options.draws, options.batch, precision)
        jobs = {f"plain, {kind}": plain(kind, *shape) for kind in ("sdpa", "eager")}
        jobs |= {"one": trained(ALONE, *shape), "ensemble": trained(DIVERSITIES, *shape)}
        first = {name: steps(4) for name, steps in jobs.items() if name != "ensemble"}  # also warms up
        jobs["ensemble"](1)
        apart = max(abs(a - b) for name in first for a, b in zip(first[name], first["one"], strict=True))
        print(f"\nMatrix products: {precision}. Losses of the first steps differ by at most {apart:.0e}.\n")
        print_table(measure(jobs, options.steps, options.turns), options.steps)


def print_table(found: dict[str, list[tuple[float, float]]], steps: int) -> None:
    """Replica-steps per second of each system, and its ratios to the faster plain loop."""
    rates = {}
    for name, pairs in found.items():
        taken = steps * (len(DIVERSITIES) if name == "ensemble" else 1)
        rates[name] = [[taken / seconds for seconds in kind] for kind in zip(*pairs, strict=True)]
    medians = {name: [statistics.median(values) for values in kinds] for name, kinds in rates.items()}
    best = [max(medians[name][kind] for name in rates if name.startswith("plain")) for kind in (0, 1)]
    print("| system | replica-steps/s | by processor time | speed / plain | by processor time |")
    print("| --- | ---: | ---: | ---: | ---: |")
    for name, kinds in rates.items():
        cells = [f"{statistics.median(values):.1f} ({min(values):.1f} to {max(values):.1f})" for values in kinds]
        cells += [f"{value / reference:.2f}" for value, reference in zip(medians[name], best, strict=True)]
        print("|", " | ".join([name, *cells]), "|")


if __name__ == "__main__":
    main()
