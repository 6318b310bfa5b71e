"""Two choices of the Transformers on a CPU: torch's `medium` matrix products, and attention by plain products.

    python benchmarks/matmul.py

One thread. Prints Markdown: time of a 2048 x 2048 product by setting and its largest error against float64, in standard
deviations of the result; and time of attention forward and backward, fused and by products, by number of tokens.
"""

import statistics
import time
from collections.abc import Callable

import torch
from torch.nn.functional import scaled_dot_product_attention

from gating.models.attention import causal_attention

TURNS = 9


def milliseconds(work: Callable[[], object]) -> float:
    """Median time of some turns, after one that warms up."""
    work()
    found = []
    for _ in range(TURNS):
        start = time.perf_counter()
        work()
        found.append(1e3 * (time.perf_counter() - start))
    return statistics.median(found)


def main() -> None:
    """Prints both tables."""
    torch.set_num_threads(1)
    rng = torch.Generator().manual_seed(0)
    a = torch.randn(2048, 2048, generator=rng)
    exact = a.double() @ a.double()
    print("| matrix products | ms | largest error |\n| --- | ---: | ---: |")
    for setting in ("highest", "medium"):
        torch.set_float32_matmul_precision(setting)
        error = ((a @ a - exact).abs().max() / exact.std()).item()
        print(f"| {setting} | {milliseconds(lambda: a @ a):.0f} | {error:.1e} |")
    print("\n| matrix products | tokens | fused, ms | products, ms | products / fused |")
    print("| --- | ---: | ---: | ---: | ---: |")
    for setting in ("highest", "medium"):
        torch.set_float32_matmul_precision(setting)
        for tokens, batch in ((31, 128), (128, 64), (512, 8)):
            parts = [torch.randn(batch, 1, tokens, 64, generator=rng).requires_grad_() for _ in range(3)]

            def both(attend: Callable[..., torch.Tensor], parts: list[torch.Tensor] = parts) -> object:
                return torch.autograd.grad(attend(*parts).sum(), parts)

            fused = milliseconds(lambda run=both: run(lambda *p: scaled_dot_product_attention(*p, is_causal=True)))
            plain = milliseconds(lambda run=both: run(causal_attention))
            print(f"| {setting} | {tokens} | {fused:.1f} | {plain:.1f} | {plain / fused:.2f} |")


if __name__ == "__main__":
    main()
