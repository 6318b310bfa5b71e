"""Settings of the study `handover`."""

from typing import Literal

from gating.results.columns import declare_from
from theory.fields import PathText, Probability, Several
from theory.settings import settings

__all__ = ["BASELINES", "CLASSES", "COPIED", "LLM", "READ", "TEACHING", "HandoverConfig"]

declare_from("gating.studies")
declare_from("llm_finetune")
declare_from("llm_finetune.handover")

LLM, CLASSES = "llm", ("transformer", "stylized")
"""The language model, and models of classes."""

READ = {LLM: ("oobd", "contradicting"), **dict.fromkeys(CLASSES, ("oobd", "relevant"))}
"""By system, distribution and context in which its gate is measured: the context answers, weights say otherwise."""

COPIED = {LLM: ("ibd", "someone_else"), **dict.fromkeys(CLASSES, ("ibd", "irrelevant"))}
"""By system, where the context does not answer, and copying it is wrong."""

TEACHING = ("every", "unanswered")
"""Which training rows teach the weights: every row, or those that the context does not answer."""

BASELINES = ("constant", "memory", "other_share")
"""What predictions are compared with: the constant gate that fits best, the gate of memory alone, another share's."""


@settings
class HandoverConfig:
    """Settings of the study `handover`.

    Args:
        runs: folders of finished runs of `gating compare` and `gating finetune`. Of each kind one, or several that
            differ in their shares, sizes and seeds alone, and among them a memory-only one: a distribution with
            ``p_relevant`` 0, or the mixture ``memory=1``.
        study: name of the study.
        tolerance: mean absolute error of the gate up to which the prediction is said to hold, in (0, 1).
    """

    runs: Several[PathText]
    study: Literal["handover"] = "handover"
    tolerance: Probability = 0.1
