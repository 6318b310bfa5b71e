"""The gating question put to pretrained language models.

What a user looks for first is imported from here, as in ``from llm_finetune import finetune_study``; the names, and the
module that each comes from, are in ``__init__.pyi``.
"""

from theory.on_demand import on_demand

__getattr__, __dir__, __all__ = on_demand(__name__)
