"""The figures of a run, as files
==============================

A run's folder holds its table, its page and its settings. Every figure of the page has a name: ``plot`` gives it as a
chart that a notebook shows, ``save_plot`` as a file for a paper (``.svg``, ``.png``, or ``.json``, the Vega-Lite
specification of both). On the command line this is ``gating plot RUN NAME FILE``.
"""

import tempfile
from pathlib import Path

from gating import bounds, plot, read_results, save_plot

with tempfile.TemporaryDirectory() as folder:
    run = Path(folder) / "run"
    bounds(out=run, n_sequences=[16, 64, 256, 1024, 4096], distribution={"label_noise": 0.1})
    print("\n".join(sorted(str(file.relative_to(run)) for file in run.iterdir())))
    print(len(read_results(run)), "rows in its table")
    save_plot(run, "error-by-n", Path(folder) / "figure.png")
    chart = plot(run, "log-loss-by-n")
