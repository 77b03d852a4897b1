"""`torch.export` programs (.pt2). Loading one runs none of its code: the archive is checked, and pickle is disabled."""

from __future__ import annotations

import logging
import os
import pickle
import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.utils import _pytree as pytree

from analyzer.core.errors import AnalyzerError, one_line
from analyzer.models.exported_checks import read_programs


def load_program(path: Path) -> tuple[nn.Module, nn.Module, Sequence[Any], Mapping[str, Any]]:
    """The module of a program with the submodules that it was exported from, the flat one that users run, and the
    example inputs. The first runs 1.3 to 1.7 times as long.

    Raises AnalyzerError for a file that is not a program, that needs pickle, or whose inputs or outputs are of classes
    that no import has registered with torch's pytree.
    """
    classes = _classes(read_programs(path))
    missing = [name for name in classes if name not in pytree.SERIALIZED_TYPE_TO_PYTHON_TYPE]
    if missing:
        module = missing[0].rpartition(".")[0] or missing[0]
        raise AnalyzerError(
            f"{one_line(path)} uses {one_line(', '.join(missing))}, which torch's pytree has not registered; write a "
            f"FILE.py that imports {one_line(module)}, which should register it, and builds the model"
        )
    known: list[Any] = [pytree.SERIALIZED_TYPE_TO_PYTHON_TYPE[name] for name in classes]
    try:
        with warnings.catch_warnings(), _weights_only(), torch.serialization.safe_globals(known):
            warnings.simplefilter("ignore")  # torch warns about its own code.
            program = torch.export.load(path)
            if hasattr(program, "_guards_code"):
                program._guards_code.clear()  # Python source that torch would execute; the example inputs fulfil it.
            args, kwargs = program.example_inputs or ((), {})
            return torch.export.unflatten(program), program.module(), args, kwargs
    except Exception as error:
        raise AnalyzerError(
            f"{one_line(path)} cannot be read as a torch.export program by this torch version "
            f"({type(error).__name__}: {one_line(error)[:120]}); write it again with torch.export.save"
        ) from error


def _classes(programs: Sequence[Mapping[str, Any]]) -> list[str]:
    """The classes that programs take or return, by the names in their pytree specs; empty if a program is malformed."""
    try:
        calls = [call for program in programs for call in program["graph_module"]["module_call_graph"]]
        specs = [(call["signature"] or {}).get(key) or "" for call in calls for key in ("in_spec", "out_spec")]
        return list(dict.fromkeys(re.findall(r'"type": "([^"]+)"', " ".join(specs))))
    except (TypeError, KeyError, AttributeError):
        return []  # torch's own error has more details.


@contextmanager
def _weights_only() -> Iterator[None]:
    """Disables unpickling: torch falls back to it for anything in a program that is not a plain tensor."""
    loads, log_level, variable = pickle.loads, logging.root.manager.disable, "TORCH_FORCE_WEIGHTS_ONLY_LOAD"
    previous = os.environ.get(variable)

    def refuse(*args: Any, **kwargs: Any) -> Any:
        raise pickle.UnpicklingError("the file contains pickled objects, which could run any code")

    pickle.loads, os.environ[variable] = refuse, "1"
    logging.disable(logging.WARNING)  # torch logs the traceback of an error before it raises it.
    try:
        yield
    finally:
        logging.disable(log_level)
        pickle.loads = loads
        os.environ.pop(variable)
        os.environ.update({variable: previous} if previous is not None else {})
