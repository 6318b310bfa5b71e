"""Numbers from mathematics alone: exact risks, bounds, gates in hindsight (no torch).

What a user looks for first is imported from here, as in ``from theory import ClassMixture, crossover``; the names, and
the module that each comes from, are in ``__init__.pyi``.
"""

from theory.on_demand import on_demand

__getattr__, __dir__, __all__ = on_demand(__name__)
