"""What a worker must have in common with the driver: macscope, torch, and the sources of the models."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

from analyzer.core.errors import AnalyzerError, one_line
from analyzer.core.frozen import Frozen
from analyzer.core.serialize import from_json, to_json
from analyzer.core.version import commit, torch_build
from analyzer.sweeps.cluster.placement import Machine, this_machine
from analyzer.sweeps.code_hashes import MISSING, source_of

SUFFIXES = (".py", ".json")
NOT_MEASURING = ("cli", "plugin")  # Folders whose code counts and times nothing.


class Software(Frozen):
    """`content` is a hash of macscope's files: two checkouts of one version may differ. torch is without its build,
    since machines with and without a GPU have other builds. `sources` are those of models that are not in a file.
    """

    macscope: str
    commit: str
    content: str
    torch: str
    sources: Mapping[str, str]


class Description(Frozen):
    """A worker, as it describes itself."""

    software: Software
    machine: Machine


def describe(models: Iterable[str]) -> dict[str, Any]:
    """A `Description` as JSON: of this process, and of the models as they are found here."""
    return dict(to_json(Description(software(models), this_machine())))


def description(data: Any) -> Description:
    """Raises TypeError if it is not that of this version."""
    return from_json(Description, data)


def software(models: Iterable[str]) -> Software:
    sources = {model: _source(model) for model in models}
    return Software(metadata.version("macscope"), commit(), content_hash(), _without_build(torch_build()), sources)


def difference(ours: Software, theirs: Software) -> str:
    """Why a worker with that software may not be used; empty if it may."""
    if theirs.content != ours.content:
        return f"macscope {_version(theirs)}; wanted {_version(ours)}"
    if theirs.torch != ours.torch:
        return f"torch {one_line(theirs.torch)}; wanted {one_line(ours.torch)}"
    for model, source in ours.sources.items():
        if (other := theirs.sources.get(model, MISSING)) != source:
            return f"{one_line(model)} is from {one_line(other)}; wanted {one_line(source)}"
    return ""


@cache
def content_hash() -> str:
    """A hash of the files of our package that count and time, when this process first asks."""
    folder = Path(__file__).parents[2]
    digest = hashlib.sha256()
    for path in sorted(path for path in folder.rglob("*") if path.suffix in SUFFIXES):
        name = path.relative_to(folder)
        if name.parts[0] not in NOT_MEASURING:
            digest.update(f"{name.as_posix()}\0".encode() + path.read_bytes() + b"\0")
    return digest.hexdigest()[:12]


def _version(software: Software) -> str:
    return one_line(f"{software.macscope} (commit {software.commit}, content {software.content})")


def _without_build(version: str) -> str:
    return version.partition("+")[0]


def _source(model: str) -> str:
    try:
        return source_of(model)
    except AnalyzerError as error:  # There is no such model here.
        return one_line(error)
