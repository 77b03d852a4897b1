"""Keys: hashes of what a configuration is and measures, so that a sweep that goes on repeats none of them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from functools import cache
from importlib import metadata

from analyzer.core.parse_inputs import is_reference
from analyzer.networks import GROUP, VARIANTS
from analyzer.records.sweep_result import Case

METHODS = {"counts": 1, "memory": 1, "time": 1}  # Raise the number of a method whose results change.


def identity(case: Case) -> str:
    """All that a case is but its model's source, as text."""
    fields = {**vars(case), "configuration": vars(case.configuration)}
    return json.dumps(fields, sort_keys=True, separators=(",", ":"))


def case_key(case: Case, source: str) -> str:
    """The key of a case: its settings, what is measured by which version of the method, and its model's `source_of`."""
    methods = ",".join(f"{measure}={METHODS[measure]}" for measure in case.measure)
    return text_hash(f"{identity(case)}\n{methods}\n{source}")


def result_key(run: str, key: str) -> str:
    """The key under which a database stores the result of a case in a run, once."""
    return text_hash(f"{run}\n{key}")


def grid_key(cases: Iterable[Case]) -> str:
    """The key of a grid: its cases in any order, whatever the sources of the models."""
    return text_hash("\n".join(sorted(map(identity, cases))))[:8]


def text_hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:32]


@cache
def is_builtin(model: str) -> bool:
    """Whether a case's model is a built-in network or one of the entry points, and not a reference to code."""
    return model in VARIANTS or (
        not is_reference(model) and any(point.name == model for point in metadata.entry_points(group=GROUP))
    )
