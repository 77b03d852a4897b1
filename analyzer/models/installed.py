"""Imports optional libraries, with an error that contains the installation command."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from analyzer.core.errors import AnalyzerError, one_line


def imported(module: str) -> Any:
    """A module of an optional library. Raises AnalyzerError with the command that installs it."""
    try:
        return import_module(module)
    except ImportError as error:
        library = module.partition(".")[0]
        raise AnalyzerError(
            f"{library} does not import here ({one_line(error)}); pip install '.[zoo]' from a checkout"
        ) from None
