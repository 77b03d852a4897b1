"""Every package that the installed code imports is declared, and code outside of extras needs no extra."""

from __future__ import annotations

import ast
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
# Installed with a declared package: jinja2 needs markupsafe, and torch needs sympy.
WITH_OTHERS = {"markupsafe": "jinja2", "sympy": "torch"}
# Imported only by these files, which look for the package first and otherwise say what to install or go without it.
OPTIONAL = {
    "ruptures": ("analyzer/trends/change_points.py",),
    "psycopg": ("analyzer/database/connection.py",),
    "pyarrow": ("analyzer/database/export_and_import.py",),
    "pynvml": ("analyzer/timing/machine/gpu.py",),
    "distributed": ("analyzer/sweeps/cluster/",),
    "pytest": ("analyzer/pytest_plugin.py", "analyzer/plugin/macscope_pytest.py"),
    "_pytest": ("analyzer/pytest_plugin.py",),
    "pytest_benchmark": ("analyzer/pytest_plugin.py",),
    **dict.fromkeys(("calflops", "deepspeed", "ptflops", "thop", "torchinfo"), ("analyzer/reconcile/adapters.py",)),
}
# Files beside the script that a server of a paired check runs, not packages.
BESIDE_SCRIPT = {"channel", "isolation", "timed_call"}


def imports() -> Iterator[tuple[str, str]]:
    """(top-level package, file) for every import of the installed code, also inside functions."""
    for folder in ("analyzer", "reports"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
                if isinstance(node, ast.ImportFrom) and not node.level:
                    names = [node.module or ""]
                for name in names:
                    yield name.partition(".")[0], path.relative_to(ROOT).as_posix()


def test_imported_packages_are_dependencies():
    declared = {line.partition(">")[0].partition("[")[0] for line in PROJECT["dependencies"]}
    ours = {"analyzer", "reports", "macscope", *BESIDE_SCRIPT}
    undeclared = {
        (package, file)
        for package, file in imports()
        if package not in sys.stdlib_module_names | ours
        and WITH_OTHERS.get(package, package) not in declared
        and not file.startswith(OPTIONAL.get(package, ("-",)))
    }
    assert not undeclared
