r"""Reference texts: the shortest clear program of each strategy, which its description length is taken of.

A file beside this one holds one function, ``predict``, and is the counted text from its first byte to its last: nothing
is checked in it, explained or made fast. Its arguments are what the strategy has stored, then the context, then the
query, all of a single sequence and as float64 tensors (labels: int64); it returns what the class of the strategy
predicts next, as probabilities where that gives their logarithms. The tests run every text beside its class and hold
its bytes, since an edit of one changes K and with it every fit.

============================== ======================== ===========================================================
file                           class                    numbers that stand in it
============================== ======================== ===========================================================
urns_memorizing                `UrnMemorizer`           none
urns_generalizing              `UrnGeneralizer`         concentration c = 1
linear_regression_memorizing   `RegressionMemorizer`    :math:`1 / (2\sigma^2) = 128 / m`
linear_regression_generalizing `RegressionGeneralizer`  :math:`\sigma^2 = m / 256`
item_labels_memorizing         `ItemMemorizer`          v = 0.5: 1 + v = 1.5 and (1 + v) / 2v = 1.5; label noise 1e-6
item_labels_generalizing       `ItemGeneralizer`        :math:`\rho` = 1 / 1.5, :math:`1 / 2(1 - \rho^2)` = 0.9; 1e-6
============================== ======================== ===========================================================

These are the numbers that the study plays, so that they are told to the decoder and counted. The number of colours of
an urn is told from outside, as that of features is by the query.
"""

from importlib.resources import files

from theory.validation import require_choice

__all__ = ["STRATEGIES", "TASKS", "reference_text"]

TASKS = ("urns", "linear_regression", "item_labels")
STRATEGIES = ("memorizing", "generalizing")


def reference_text(task: str, strategy: str) -> str:
    """The program of a strategy, as its description length counts it.

    Args:
        task: task family, of `TASKS`.
        strategy: of `STRATEGIES`: M or G.

    Raises:
        ValueError: naming the argument, the allowed set and the value.

    Example:
        >>> print(reference_text("urns", "memorizing"), end="")
        def predict(urns, y):
            return urns[:, y].log().sum(1).softmax(0) @ urns
    """
    name = f"{require_choice('task', task, TASKS)}_{require_choice('strategy', strategy, STRATEGIES)}.py"
    return files(__name__).joinpath(name).read_text(encoding="utf-8")
