"""Time of an exact risk at N = 1e12 and of a 100 x 100 certified phase diagram; medians of several runs.

Run on one core: OMP_NUM_THREADS=1 python -m benchmarks.theory_risk
"""

import statistics
import time
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from theory import in_weight
from theory.distribution import ClassMixture
from theory.labels import label_law
from theory.phases import Comparison, phase_diagram, risk_bounds
from theory.plug_in import miss_table

REPEATS = 7


def median_seconds(run: Callable[[], object], before: Callable[[], object] = lambda: None) -> float:
    seconds = []
    for _ in range(REPEATS):
        before()
        start = time.perf_counter()
        run()
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds)


def main() -> None:
    law, huge = label_law(10, 0.05), 10**12
    sizes, p_high = np.unique(np.logspace(1, 7, 100).round()).tolist(), np.linspace(0.5, 0.99, 100).tolist()
    print("| what | median of 7, ms |")
    print("| --- | --- |")
    rows = [
        ("exact log loss, N = 1e12", lambda: in_weight.exact_log_loss(huge, 0.18, law)),
        ("exact linear loss, N = 1e12", lambda: in_weight.exact_linear_loss(huge, 0.18, law)),
        ("exact 0-1 risk, N = 1e12, table of the noise level included", lambda: in_weight.exact_error(huge, 0.18, law)),
    ]
    for name, run in rows:
        print(f"| {name} | {1e3 * median_seconds(run, miss_table.cache_clear):.1f} |")
    for length in (1, 4):
        for measure in ("error", "log_loss"):
            spec = ClassMixture(label_noise=0.05, context_length=length, input_noise=0.0)
            compare = Comparison(measure=measure)
            seconds = median_seconds(
                lambda s=spec, c=compare: phase_diagram(s, "n_sequences", sizes, "p_high", p_high, compare=c)
            )
            print(f"| 100 x {len(sizes)} certified phases, {measure}, L = {length}, 3 groups | {1e3 * seconds:.0f} |")
    for count in (60, 100):
        sizes, p_high = np.unique(np.logspace(1, 7, count).round()).tolist(), np.linspace(0.5, 0.99, count).tolist()
        spec, compare = ClassMixture(), Comparison(inputs="noisy", squared_distance=None, context="as_trained")
        plane = {"x": "n_sequences", "x_values": sizes, "y": "p_high", "y_values": p_high}
        seconds = median_seconds(lambda s=spec, c=compare, p=plane: phase_diagram(s, **p, compare=c))
        print(f"| {count} x {len(sizes)} certified phases, noisy inputs, error, 3 groups | {1e3 * seconds:.0f} |")
        specs = [replace(spec, p_high=p) for p in p_high]
        seconds = median_seconds(lambda s=specs, n=sizes, c=compare: risk_bounds(s, n, c))
        print(f"| the same, every point worked out | {1e3 * seconds:.0f} |")


if __name__ == "__main__":
    main()
