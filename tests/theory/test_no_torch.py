import pkgutil
import subprocess
import sys

import theory


def test_theory_never_imports_torch_or_pandas() -> None:
    """Every module of the package, in a fresh interpreter."""
    modules = [f"theory.{module.name}" for module in pkgutil.iter_modules(theory.__path__)]
    assert "theory.phases" in modules
    code = f"import sys, {', '.join(modules)}; print({{'torch', 'pandas', 'gating'}} & set(sys.modules))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "set()"
