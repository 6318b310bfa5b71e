"""A figure of your own
====================

A figure of one's own from a result table: the exact risks of the rare classes over N, as own_figure.svg."""

from gating import Axis, Figure, Layer, Panel, System, bounds, save_plot, select

table = bounds(n_sequences=[2**k for k in range(4, 15)], distribution={"label_noise": 0.1}, measures="error")
save_plot(table, "error-by-n", "bounds.png")  # as the study draws it
rows = select(table, {"group": "low", "kind": "exact", "measure": "error", "context": "relevant"})
looks = {"tabular": System("from weights", "", "#0072b2", "square"),
         "copying": System("from the context", "", "#d55e00", "diamond")}  # fmt: skip
curves = [Layer(look, select(rows, {"system": key}).rename(columns={"n": "x"}), "curve") for key, look in looks.items()]
panel = Panel("", "Rare classes", Axis("error", 0, 1), tuple(curves))
figure = Figure("own", "Weights or context?", (), Axis("training sequences N", scale="log"), (panel,), columns=1)
save_plot(figure, "", "own_figure.svg")
