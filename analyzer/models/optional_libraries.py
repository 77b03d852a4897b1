"""Imports optional libraries, with an error that contains the installation command, and lists their models. No torch of
its own."""

from __future__ import annotations

from fnmatch import fnmatchcase
from importlib import import_module
from typing import Any

from analyzer.core.errors import AnalyzerError, UnknownModel, nearest, one_line, quoted
from analyzer.core.parse_inputs import LIBRARIES
from analyzer.networks import VARIANTS


def imported(module: str) -> Any:
    """A module of an optional library. Raises AnalyzerError with the command that installs it."""
    try:
        return import_module(module)
    except ImportError as error:
        library = module.partition(".")[0]
        raise AnalyzerError(
            f"{library} does not import here ({one_line(error)}); pip install '.[zoo]' from a checkout"
        ) from None


def library_names(library: str, pattern: str = "*") -> list[str]:
    """The models of `torchvision`, `timm` or `hf` (transformers) that match a pattern such as `resnet*`.

    Importing the library takes seconds. Raises AnalyzerError if it is not installed or nothing matches.
    """
    if library not in LIBRARIES:
        raise AnalyzerError(f"no library {quoted(library)}; wanted one of: {', '.join(LIBRARIES)}")
    if library == "hf":
        names = list(imported("transformers").CONFIG_MAPPING.keys())
    else:
        names = imported("torchvision.models" if library == "torchvision" else library).list_models()
    matching = sorted(name for name in names if fnmatchcase(name.lower(), pattern.lower()))
    if not matching:
        raise UnknownModel(f"{library} has no model {quoted(pattern)}; {nearest(pattern.strip('*').lower(), names)}")
    return matching


def matching_models(name: str) -> list[str]:
    """The models that a pattern means, such as `timm:resnet*` or `googlenet-*`; a name without `*` is itself."""
    if "*" not in name or "(" in name:
        return [name]
    library, colon, pattern = name.partition(":")
    if colon:
        return [f"{library}:{match}" for match in library_names(library, pattern)]
    matches = [variant for variant in VARIANTS if fnmatchcase(variant, name)]
    if not matches:
        raise AnalyzerError(f"no built-in network matches {quoted(name)}; {nearest(name.strip('*'), VARIANTS)}")
    return matches
