"""Time of effective weights of four predictors in many cells, beside one call of scipy's SLSQP for each cell.

    OMP_NUM_THREADS=1 python benchmarks/effective_weights.py [--cells 100000] [--alone 300]

A cell is four sequences of eight labels. *mixtures*: the model is a mixture of the four; *other models*: it is not. The
ratio is that of the time per cell, "apart" the largest difference of the residual, in nats, on cells solved by both.
"""

import argparse
import time

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from gating.gates.effective_weights import effective_weights

Floats = NDArray[np.float64]


def one_by_one(model: Floats, predictors: Floats) -> float:
    """Residual of one cell, (n, C) beside (m, n, C), in a straightforward way."""
    t, p = np.exp(model).ravel() / len(model), np.exp(predictors).reshape(len(predictors), -1)
    found = minimize(
        lambda w: -t @ np.log(w @ p),
        np.full(len(p), 1 / len(p)),
        jac=lambda w: -p @ (t / (w @ p)),
        bounds=[(0, 1)] * len(p),
        constraints={"type": "eq", "fun": lambda w: w.sum() - 1, "jac": np.ones_like},
        method="SLSQP",
        options={"ftol": 1e-12, "maxiter": 200},
    )
    return float(found.fun + t @ model.ravel())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cells", type=int, default=100_000)
    parser.add_argument("--alone", type=int, default=300)
    options = parser.parse_args()
    generator = np.random.default_rng(0)
    p = generator.dirichlet(np.full(8, 0.5), (4, options.cells, 4)) * 0.99 + 0.01 / 8
    w = generator.dirichlet(np.ones(4), options.cells)
    mixtures = np.einsum("cj,jcnk->cnk", w, p)
    others = generator.dirichlet(np.full(8, 0.5), (options.cells, 4)) * 0.99 + 0.01 / 8
    log_p = list(np.log(p))
    print(
        "| model | cells | seconds | seconds of scipy for as many | ratio | apart | largest violation | weights apart |"
    )
    print("| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |")
    for name, model in (("mixtures", np.log(mixtures)), ("other models", np.log(others))):
        start = time.perf_counter()
        found = effective_weights(model, log_p)
        taken = time.perf_counter() - start
        start = time.perf_counter()
        alone = [one_by_one(model[i], np.log(p[:, i])) for i in range(options.alone)]
        as_many = (time.perf_counter() - start) * options.cells / options.alone
        apart = np.abs(found.residual[: options.alone] - alone).max()
        known = f"{np.abs(found.weights - w).max():.0e}" if name == "mixtures" else "-"
        print(
            f"| {name} | {options.cells} | {taken:.1f} | {as_many:.0f} | {as_many / taken:.0f} | {apart:.0e}"
            f" | {found.violation.max():.0e} | {known} |"
        )


if __name__ == "__main__":
    main()
