"""Keys: hashes of what a configuration is and measures, so that a sweep that goes on repeats none of them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from functools import cache
from importlib import metadata
from importlib.machinery import PathFinder
from pathlib import Path

from analyzer.core.inputs import is_reference
from analyzer.networks import GROUP, VARIANTS, find
from analyzer.records.result import Case

METHODS = {"counts": 1, "memory": 1, "time": 1}  # Raise the number of a method whose results change.
LIBRARIES = {"torchvision": ("torchvision",), "timm": ("timm",), "hf": ("transformers",)}
MISSING = "missing"  # The source of a model that is not here; counting it gives the error.


def identity(case: Case) -> str:
    """All that a case is but its model's source, as text."""
    fields = {**vars(case), "configuration": vars(case.configuration)}
    return json.dumps(fields, sort_keys=True, separators=(",", ":"))


def case_key(case: Case, source: str) -> str:
    """The key of a case: its settings, what is measured by which version of the method, and its model's `source_of`."""
    methods = ",".join(f"{measure}={METHODS[measure]}" for measure in case.measure)
    return _hash(f"{identity(case)}\n{methods}\n{source}")


def result_key(run: str, key: str) -> str:
    """The key under which a database stores the result of a case in a run, once."""
    return _hash(f"{run}\n{key}")


def grid_key(cases: Iterable[Case]) -> str:
    """The key of a grid: its cases in any order, whatever the sources of the models."""
    return _hash("\n".join(sorted(map(identity, cases))))[:8]


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:32]


@cache
def is_builtin(model: str) -> bool:
    """Whether a case's model is a built-in network or one of the entry points, and not a reference to code."""
    return model in VARIANTS or (
        not is_reference(model) and any(point.name == model for point in metadata.entry_points(group=GROUP))
    )


def source_of(model: str) -> str:
    """Where a model comes from: a hash of its network spec or file, or its library's version. Runs no code of it.

    Of a file only its own text counts, not that of the files it imports.
    """
    if is_builtin(model):
        return f"spec:{_hash(repr(find(model)))}"
    location = model.partition("(")[0]
    scheme, _, _ = location.partition(":")
    if scheme in LIBRARIES:
        return _versions(LIBRARIES[scheme])
    file, colon, _ = location.rpartition(":")
    file = file if colon else location
    if file.endswith((".py", ".pt2")):
        return _file_hash(Path(file))
    if colon:
        return _module_hash(file)
    points = [point for point in metadata.entry_points(group="analyzer.models") if point.name == location]
    if points:
        return _module_hash(points[0].module)
    return _versions(("torchvision", "timm"))


def _versions(names: Sequence[str]) -> str:
    versions = []
    for name in names:
        try:
            versions.append(f"{name}=={metadata.version(name)}")
        except metadata.PackageNotFoundError:
            versions.append(f"{name}:{MISSING}")
    return ",".join(versions)


def _file_hash(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return f"file:{hashlib.file_digest(file, 'sha256').hexdigest()[:32]}"
    except OSError:
        return MISSING


def _module_hash(name: str) -> str:
    """The hash of a module's file, which is found without importing the packages above it."""
    locations: Sequence[str] | None = None
    spec = None
    for length in range(1, name.count(".") + 2):
        module = ".".join(name.split(".")[:length])
        paths = locations if locations is not None else [str(Path.cwd()), *_import_path()]
        spec = PathFinder.find_spec(module, paths)
        if spec is None:
            return MISSING
        locations = list(spec.submodule_search_locations or ())
    return _file_hash(Path(spec.origin)) if spec and spec.origin else MISSING


def _import_path() -> list[str]:
    import sys

    return sys.path
