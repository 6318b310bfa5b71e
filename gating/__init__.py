"""Models that answer from weights or from context, and what is measured on them.

What a user looks for first is imported from here, as in ``from gating import compare, effective_gate``; the names, and
the module that each comes from, are in ``__init__.pyi``.
"""

from theory.on_demand import on_demand

__getattr__, __dir__, __all__ = on_demand(__name__)
