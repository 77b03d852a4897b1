"""A user's own `analyzer` or `reports`, which the model's code imports while macscope runs it.

Python knows modules by name in `sys.modules`, where macscope's are. While the model's code imports a package of one of
these names, its modules take the place of macscope's. Whose import it is follows from the file that imports.
"""

from __future__ import annotations

import builtins
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from types import ModuleType
from typing import Any

from analyzer.worker.run_task import is_worker

ROOT = Path(__file__).parents[2]
NAMES = ("analyzer", "reports")
_import = builtins.__import__


def find_user_packages(folder: str) -> dict[str, ModuleSpec]:
    """The user's packages with macscope's names that a file in this folder imports when Python runs it."""
    packages = {}
    for name in NAMES:
        # The path has what PYTHONPATH adds, and macscope.
        specs = (PathFinder.find_spec(name, path) for path in ([folder], sys.path))
        spec = next((spec for spec in specs if spec and (spec.origin or _has_source(spec))), None)
        if spec and not is_ours(spec.origin or ""):
            packages[name] = spec
    return packages


def _has_source(spec: ModuleSpec) -> bool:
    """Whether a folder without `__init__.py` is a package, and not one of results."""
    return any(next(Path(folder).glob("*.py"), None) for folder in spec.submodule_search_locations or ())


def is_ours(file: str) -> bool:
    return any(ROOT / name in Path(file).parents for name in NAMES)


class UserPackages:
    """Imports for the model's code. `active` makes the user's modules visible also to `importlib.import_module`."""

    def __init__(self, packages: Mapping[str, ModuleSpec]) -> None:
        self.packages = packages
        self.shown = False  # Whether sys.modules has the user's modules.
        self.hidden: dict[str, ModuleType] = {}

    def install(self) -> None:
        builtins.__import__ = self
        sys.meta_path.insert(0, self)

    def find_spec(self, name: str, path: Sequence[str] | None = None, target: Any = None) -> ModuleSpec | None:
        """Of the protocol of `sys.meta_path`."""
        return self.packages.get(name) if self.shown else None

    @contextmanager
    def active(self, shown: bool = True) -> Iterator[None]:
        before = self.shown
        self._show(shown)
        try:
            yield
        finally:
            self._show(before)

    def _show(self, shown: bool) -> None:
        if shown == self.shown:
            return
        visible = {name: module for name, module in sys.modules.items() if name.partition(".")[0] in self.packages}
        for name in visible:
            del sys.modules[name]
        sys.modules.update(self.hidden)
        self.hidden, self.shown = visible, shown

    def __call__(
        self,
        name: str,
        globals: Mapping[str, Any] | None = None,
        locals: Mapping[str, Any] | None = None,
        fromlist: Sequence[str] | None = (),
        level: int = 0,
    ) -> ModuleType:
        """Of the protocol of `builtins.__import__`."""
        importer = globals or {}
        package = str(importer.get("__package__")) if level else name
        if package.partition(".")[0] not in self.packages:
            return _import(name, globals, locals, fromlist or (), level)
        with self.active(not is_ours(str(importer.get("__file__")))):
            return _import(name, globals, locals, fromlist or (), level)


def let_user_packages_be_imported(folder: str) -> UserPackages | None:
    """For the rest of this process, if it is a worker: another process keeps Python's own imports. None if no package
    of the user has such a name."""
    packages = find_user_packages(folder) if is_worker() else {}
    if not packages:
        return None
    imports = UserPackages(packages)
    imports.install()
    return imports
