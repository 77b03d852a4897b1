"""A module on its way to timing workers: `analyzer.measure` writes it, and each worker reads it.

It is pickled: its classes by their names, its state as it is. Only this file is unpickled, which the user's own process
has just written into a folder that nobody else can read, so it runs no code but that of the user's module.
"""

from __future__ import annotations

import pickle
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from analyzer.core.errors import AnalyzerError, error_text, one_line

if TYPE_CHECKING:
    from torch import nn

UNREADABLE = "a fresh process cannot load"  # Starts the error of a worker.


def write_module(path: Path, model: nn.Module, args: Sequence[Any], kwargs: Mapping[str, Any]) -> str:
    """Writes a module and its inputs. Returns why they cannot be sent; empty if they can."""
    name = one_line(type(model).__name__)
    if mine := [type(module).__name__ for module in model.modules() if type(module).__module__ == "__main__"]:
        return f"{UNREADABLE} {one_line(mine[0])}, which is defined in __main__: move it to a module"
    try:
        path.write_bytes(pickle.dumps((model, tuple(args), dict(kwargs)), protocol=pickle.HIGHEST_PROTOCOL))
    except Exception as error:  # Whatever a class of the user raises.
        return f"{UNREADABLE} a {name} ({type(error).__name__}: {error_text(error)})"
    return ""


def read_module(path: Path) -> tuple[nn.Module, tuple[Any, ...], dict[str, Any]]:
    """Raises AnalyzerError that starts with UNREADABLE, such as for a class that this process cannot import."""
    try:
        model, args, kwargs = pickle.loads(path.read_bytes())
    except Exception as error:
        raise AnalyzerError(f"{UNREADABLE} it ({type(error).__name__}: {error_text(error)})") from None
    return model, args, kwargs
