"""What the field calls things, and the one colour and marker that each system has in every plot."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

__all__ = [
    "CONDITIONS",
    "CONTEXTS",
    "GATE_LEARNERS",
    "GROUPS",
    "INK",
    "MEASURES",
    "MIXTURE_TERMS",
    "STRATEGY_GATES",
    "SYSTEMS",
    "THEORY",
    "System",
    "condition_name",
    "context_of",
    "group_of",
    "in_order",
    "system_of",
]


@dataclass(frozen=True)
class System:
    """A predictor as plots and tables show it.

    Args:
        name: what a legend calls it.
        role: one sentence for the page.
        colour: hexadecimal; the palette is Okabe and Ito's, told apart by colour-blind readers.
        marker: matplotlib's marker.
        filled: whether the marker is filled; reference models have open markers.
    """

    name: str
    role: str
    colour: str
    marker: str
    filled: bool = True


INK = "#1b1b1f"
"""Colour of text, axes and the Transformer."""

SYSTEMS: dict[str, System] = {
    "transformer": System("Transformer", "Small decoder-only Transformer, trained from random weights.", INK, "o"),
    "stylized": System(
        "Stylized model, end to end", "Gate, in-weight g and in-context h trained together.", "#009e73", "^"
    ),
    "stylized_frozen": System(
        "Stylized model, gate over frozen g and h", "The gate alone, over g and h trained before.", "#cc79a7", "v"
    ),
    "in_weight": System("In-weight g (MLP)", "Sees the query, never the context.", "#0072b2", "s"),
    "in_context": System(
        "In-context h (softmax similarity)", "Copies labels of similar context inputs.", "#d55e00", "D"
    ),
    "tabular": System("In-weight, tabular (add-beta counts)", "Label counts of each class.", "#7f6fbf", "P"),
    "transformer_iw": System(
        "Reference Transformer, in-weight", "The same Transformer, no context ever relevant.", "#56b4e9", "s", False
    ),
    "transformer_ic": System(
        "Reference Transformer, in-context", "The same Transformer, every context relevant.", "#e69f00", "D", False
    ),
}
"""Systems in the order of legends and tables. Blue answers from weights, orange from context."""

LANGUAGE_MODELS = {"llm": System("Language model", "A pretrained model, fine-tuned on the prompts.", "#882255", "p")}
"""What the study `finetune` lays beside the systems."""

CONTEXTS: dict[str, System] = {
    "no_context": System("No context", "Trained subjects: recall.", INK, "o"),
    "paraphrased": System(
        "No context, question reworded", "Recall, asked as training never does.", "#56b4e9", "s", False
    ),
    "agreeing": System("Context agrees", "The context states the memorised answer.", "#7f6fbf", "P"),
    "someone_else": System("Someone else's fact", "A context about another subject: copy or recall?", "#cc79a7", "v"),
    "contradicting": System("Context contradicts", "The context states another trained answer.", "#d55e00", "D"),
    "contradicting_new": System("Context contradicts, new answer", "An answer never trained.", "#e69f00", "D", False),
    "unseen": System("New subject", "A subject never trained, with a trained answer.", "#009e73", "^"),
    "unseen_new": System("New subject, new answer", "Neither was ever trained.", "#44aa99", "^", False),
    "unrelated": System("Another relation", "Colours of things: reading at large.", "#0072b2", "s"),
}
"""Test conditions of language models in the order of legends and tables."""

GATE_LEARNERS: dict[str, System] = {
    "gradient_descent": System(
        "Gradient descent", "Moves the weight against the last difference of losses.", "#0072b2", "o"
    ),
    "exponential_weights": System(
        "Exponential weights", "Odds that fall with the summed difference of losses.", "#d55e00", "s"
    ),
    "adahedge": System("AdaHedge", "Exponential weights that tune their own rate.", "#009e73", "^"),
    "bayes_mixture": System("Bayes mixture", "Posterior that g is right; log loss only.", "#cc79a7", "v"),
    "universal_portfolio": System(
        "Universal portfolio", "Average of all fixed mixtures by their success; log loss only.", "#7f6fbf", "D"
    ),
    "best_partition": System("Better predictor of each cell", "Chosen in hindsight, cell by cell.", INK, "*"),
}
"""Online gates in the order of legends and tables, and what they are measured against."""

STRATEGY_GATES: dict[str, System] = {
    "posterior": System("Posterior", "Weighs what M and G lose against how long they are to describe.", "#009e73", "^"),
    "posterior, alpha = 0": System("Posterior, alpha = 0", "Evidence counts in full at every step.", "#44aa99", "v"),
    "posterior, beta = 1": System("Posterior, beta = 1", "Complexity counts in full bits.", "#999933", "<"),
    "posterior, gamma = 1": System("Posterior, gamma = 1", "A nat of loss counts as one.", "#117733", ">"),
    "posterior, no complexity": System("Posterior, no complexity", "Equal prior for M and G.", "#88ccee", "P"),
    "posterior with context": System("Posterior with context", "Goes on updating along each context.", "#cc79a7", "X"),
    "memorizing": System("Memorizing M", "Bayesian predictor that knows the D training tasks.", "#0072b2", "s"),
    "generalizing": System("Generalizing G", "Bayesian predictor for the distribution of all tasks.", "#d55e00", "D"),
    "step in time": System("Step in time", "G up to the best step for each D, then M.", "#7f6fbf", "p"),
    "free in every cell": System("Free in every cell", "Best constant mixture of each cell: the floor.", INK, "*"),
}
"""Gates between the two strategies in the order of tables, their ablations and the controls."""

THEORY = {"in_weight": "tabular in-weight", "in_context": "softmax copying"}
"""Which predictor the theory of a system is about; both on clean inputs, with the query's class known."""

OTHER_COLOURS = ("#8c564b", "#4d4d4d", "#999933", "#882255", "#44aa99", "#aa4499")
OTHER_MARKERS = ("X", "p", "h", "*", "<", ">")

CONDITIONS: dict[tuple[str, str], str] = {
    ("ibd", "relevant"): "IBD, relevant",
    ("ibd", "irrelevant"): "IBD, irrelevant",
    ("oobd", "relevant"): "OOBD, relevant",
    ("ibd", "as_trained"): "IBD, as trained",
    ("oobd", "irrelevant"): "OOBD, irrelevant",
    ("oobd", "as_trained"): "OOBD, as trained",
}
"""Test conditions, (distribution, context), in the order of columns."""

GROUP_COLOURS = {"high": "#0072b2", "low": "#d55e00", "all": INK}
"""Where groups of classes are told apart in place of systems: frequent blue, rare orange."""

GROUPS = {"high": "frequent classes", "low": "rare classes", "all": "all classes"}

MEASURES = {
    "error": "error (0-1)",
    "log_loss": "log loss (nats)",
    "expected_error": "expected error",
    "expected_log_loss": "expected log loss (nats)",
    "effective_gate": "effective gate",
    "effective_gate_residual": "gate residual (nats)",
    "effective_gate_reference": "gate between reference Transformers",
    "effective_gate_reference_residual": "its residual (nats)",
    "mean_gate": "own mean gate",
    "linear_loss": "linear loss",
    "regret_log_loss": "regret, log loss (nats)",
    "regret_linear_loss": "regret, linear loss",
    "regret_ratio_log_loss": "regret over bound, log loss",
    "regret_ratio_linear_loss": "regret over bound, linear loss",
    "total_log_loss": "total log loss (nats)",
    "total_linear_loss": "total linear loss",
    "gate_log_loss": "gate, log loss",
    "gate_linear_loss": "gate, linear loss",
    "correlation": "correlation",
    "total_variation": "total variation",
    "rank_correlation": "rank correlation",
    "argmax_agreement": "arg-max agreement",
    "r_squared": "R²",
    "discrepancy": "discrepancy",
}


MIXTURE_TERMS = (
    (
        "IBD, OOBD",
        "In-base: test sequences follow the training distribution. Out-of-base: the labels of context and target are"
        " moved to the next class of the same frequency group, so that only the context tells the answer; a model that"
        " answers from its weights alone errs every time.",
    ),
    (
        "Relevant, irrelevant, as trained",
        "The context shows the query's class; it does not; it does as often as in training.",
    ),
    (
        "Frequent and rare classes",
        "The group of the query's class. Frequent classes share most of the training queries.",
    ),
    (
        "Error, log loss",
        "0-1 error and negative log-probability (nats) of the label that was drawn, on fresh sequences.",
    ),
    (
        "Gate",
        "The weight, from 0 to 1, of the in-weight predictor g in the mixture with the in-context predictor h. The"
        " effective gate is the one whose mixture is nearest to a model's answers; its residual is the KL divergence"
        " (nats) left.",
    ),
)
"""Words that a reader of results on the class mixture needs."""


def system_of(key: str) -> System:
    """How a system is shown; one that is not known gets a look that depends on its key alone.

    Example:
        >>> system_of("transformer").name, system_of("my_model").name
        ('Transformer', 'My model')
    """
    known = {**SYSTEMS, **GATE_LEARNERS, **LANGUAGE_MODELS, **STRATEGY_GATES}
    if key in known:
        return known[key]
    turn = sum(key.encode()) % len(OTHER_COLOURS)
    name = key.replace("_", " ")
    return System(name[:1].upper() + name[1:], "", OTHER_COLOURS[turn], OTHER_MARKERS[turn])


def group_of(key: str) -> System:
    """How a group, or a class of it, is shown where colours tell groups apart.

    Example:
        >>> group_of("low_7").name, group_of("low_7").colour == group_of("low").colour
        ('rare classes', True)
    """
    group = key.partition("_")[0]
    return System(GROUPS.get(group, group), "", GROUP_COLOURS.get(group, INK), "")


def context_of(key: str) -> System:
    """How a test condition of a language model is shown.

    Example:
        >>> context_of("unseen").name
        'New subject'
    """
    return CONTEXTS.get(key, System(key.replace("_", " "), "", INK, ""))


def in_order(keys: Iterable[str], order: Iterable[str]) -> list[str]:
    """The distinct `keys`, those of `order` first and the others by name.

    Example:
        >>> in_order(["my_model", "in_context", "transformer"], SYSTEMS)
        ['transformer', 'in_context', 'my_model']
    """
    rank = {key: place for place, key in enumerate(order)}
    return sorted(set(keys), key=lambda key: (rank.get(key, len(rank)), key))


def condition_name(distribution: str, context: str) -> str:
    """A test condition in words.

    Example:
        >>> condition_name("oobd", "relevant")
        'OOBD, relevant'
    """
    return CONDITIONS.get((distribution, context), f"{distribution}, {context}".replace("_", " "))
