"""Names that a package gives out and imports only when one is asked for (PEP 562)."""

import ast
import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

__all__ = ["on_demand"]

DISTRIBUTION = "icl-gating"


def on_demand(package: str) -> tuple[Callable[[str], Any], Callable[[], list[str]], list[str]]:
    """``__getattr__``, ``__dir__`` and ``__all__`` of a package, from the imports in its ``__init__.pyi``.

    That file is the one table of names and their homes: type checkers read it, and so does this function. Beside them
    every package has ``__version__``.

    Args:
        package: its name.

    Example:
        >>> import theory
        >>> theory.ClassMixture.__module__, "crossover" in dir(theory)
        ('theory.distribution', True)
        >>> theory.crosover
        Traceback (most recent call last):
        ...
        AttributeError: module 'theory' has no attribute 'crosover'
    """
    module = sys.modules[package]
    table = ast.parse(Path(str(module.__file__)).with_name("__init__.pyi").read_text(encoding="utf-8"))
    imports = [node for node in table.body if isinstance(node, ast.ImportFrom)]
    homes = {name.name: str(node.module) for node in imports for name in node.names}

    def attribute(name: str) -> Any:
        if name == "__version__":
            from importlib.metadata import version

            found: Any = version(DISTRIBUTION)
        elif name in homes:
            found = getattr(import_module(homes[name]), name)
        else:
            raise AttributeError(f"module {package!r} has no attribute {name!r}", name=name, obj=module)
        setattr(module, name, found)  # found at once the next time
        return found

    names = sorted([*homes, "__version__"])
    return attribute, lambda: sorted({*names, *vars(module)}), names
