"""Models by reference: a file's class, a package's factory, another library's architecture, an exported program.

Loading a reference runs the code it names. Nothing is downloaded, and nothing is unpickled.
"""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import logging
import os
import pickle
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any, NamedTuple

import torch
from torch import nn

from analyzer.core.errors import AnalyzerError, nearest, one_line, quoted
from analyzer.core.inputs import Input
from analyzer.models import libraries
from analyzer.models.failures import own_frames
from analyzer.models.skip_init import sketched

GROUP = "analyzer.models"
FORMS = "wanted FILE.py:NAME, PACKAGE.MODULE:NAME, torchvision:NAME, timm:NAME, hf:NAME or FILE.pt2"


class Reference(NamedTuple):
    """A model ready to be counted. `real` builds it again with storage, for where it cannot run on meta."""

    label: str
    model: nn.Module
    args: Sequence[Any]
    kwargs: Mapping[str, Any]
    real: Callable[[], nn.Module] | None


def resolve(reference: str, inputs: Sequence[Input] = (), batch: int = 1) -> Reference:
    """The model that a reference names, with the inputs asked for or those that it is known to take.

    Raises AnalyzerError for a reference that names nothing, does not import or is no module.
    """
    scheme, colon, name = reference.rpartition(":")
    if reference.endswith(".pt2"):
        model, args, kwargs = _exported(Path(reference))
        if inputs or batch != 1:
            raise AnalyzerError(f"{one_line(reference)} runs on its example inputs; leave out --input and --batch")
        return Reference(reference, model, args, kwargs, None)
    if scheme in libraries.LIBRARIES:
        library = libraries.LIBRARIES[scheme]
        make, known = _asked(reference, lambda: library(name))
        model = _built(reference, make)
        args, kwargs = _fed(inputs, batch) if inputs else _asked(reference, lambda: known(model, batch))
        return Reference(reference, model, args, kwargs, lambda: _built(reference, make, meta=False))
    made, beside = _named(reference, scheme, name) if colon else (_entry_point(reference), None)
    if isinstance(made, nn.Module):
        model, again = made, None
    elif callable(made):
        model = _built(reference, made)
        again = lambda: _built(reference, made, meta=False)  # noqa: E731 – a def would shadow the branch above
    else:
        raise AnalyzerError(f"{one_line(reference)} is a {type(made).__name__}; wanted an nn.Module, or what makes one")
    if inputs or beside is None:
        args, kwargs = _fed(inputs, batch)
    else:
        args, kwargs = _returned(reference, _asked(reference, _of_batch(reference, beside, batch)))
    return Reference(reference, model, args, kwargs, again)


def _named(reference: str, place: str, name: str) -> tuple[Any, Callable[[], Any] | None]:
    """What stands under a name in a file or a module, and the function beside it that gives its inputs."""
    module = _file(reference, Path(place)) if place.endswith(".py") else _module(reference, place)
    found: Any = module
    for part in name.split("."):
        if not hasattr(found, part):
            known = [key for key, value in vars(module).items() if callable(value) or isinstance(value, nn.Module)]
            raise AnalyzerError(f"{one_line(place)} has no {quoted(name)}; {one_line(nearest(name, known))}")
        found = getattr(found, part)
    beside = getattr(module, f"{name}_inputs", None) or getattr(module, "inputs", None)
    return found, beside if callable(beside) else None


class _Source(SourceFileLoader):
    """Compiles what the file says now, and leaves no `__pycache__` beside it: Python's cache takes a file of the same
    size, changed within the same second, for the one before."""

    def get_code(self, fullname: str) -> CodeType:
        code: CodeType = self.source_to_code(self.get_data(self.path), self.path)
        return code


def _file(reference: str, path: Path) -> ModuleType:
    if not path.is_file():
        raise AnalyzerError(f"no file {one_line(path)}; {FORMS}")
    # A file may be called as a module that is there already, such as random.py.
    name = path.stem if path.stem not in sys.modules else str(path.resolve())
    place = path.absolute()
    spec = importlib.util.spec_from_file_location(name, place, loader=_Source(name, str(place)))
    assert spec is not None
    loader = spec.loader
    assert loader is not None
    module = importlib.util.module_from_spec(spec)
    folder = str(path.resolve().parent)
    sys.path.insert(0, folder)  # What stands beside the file can be imported, as when it is run.
    sys.modules[name] = module
    try:
        _asked(reference, lambda: loader.exec_module(module))
    finally:
        sys.path.remove(folder)
        sys.path.append(folder)  # A forward pass may import too; by then nothing of ours is shadowed.
    return module


def _module(reference: str, name: str) -> ModuleType:
    if "/" in name or "\\" in name:
        raise AnalyzerError(f"{one_line(name)} is no Python file; {FORMS}")
    sys.path.insert(0, "")
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name and name.startswith(error.name):
            raise AnalyzerError(f"no module {quoted(name)} for {one_line(reference)}; {FORMS}") from None
        raise _raised(reference, error) from error
    except (Exception, SystemExit) as error:
        raise _raised(reference, error) from error
    finally:
        sys.path.pop(0)


def _entry_point(name: str) -> Any:
    from importlib.metadata import entry_points

    points = {point.name: point for point in entry_points(group=GROUP)}
    if name not in points:
        raise AnalyzerError(f"unknown model {quoted(name)}; {nearest(name, points) if points else FORMS}")
    return _asked(name, points[name].load)


def _exported(path: Path) -> tuple[nn.Module, Sequence[Any], Mapping[str, Any]]:
    """A `torch.export` program: its modules unfolded again, its example inputs; a file that needs pickle is refused."""
    if not path.is_file():
        raise AnalyzerError(f"no file {one_line(path)}; {FORMS}")
    try:
        with warnings.catch_warnings(), _weights_only():
            warnings.simplefilter("ignore")  # Of torch's own making.
            program = torch.export.load(path)
            args, kwargs = program.example_inputs or ((), {})
            return torch.export.unflatten(program), args, kwargs
    except Exception as error:
        raise AnalyzerError(
            f"{one_line(path)} is no torch.export program that this torch reads "
            f"({type(error).__name__}: {one_line(error)[:120]}); write it again with torch.export.save"
        ) from error


@contextmanager
def _weights_only() -> Iterator[None]:
    """Left to itself torch unpickles whatever a program's file holds, when it cannot read it as tensors alone."""
    loads, logged, variable = pickle.loads, logging.root.manager.disable, "TORCH_FORCE_WEIGHTS_ONLY_LOAD"
    before = os.environ.get(variable)

    def refuse(*data: Any, **settings: Any) -> Any:
        raise pickle.UnpicklingError("it holds pickled objects, which could run any code")

    pickle.loads, os.environ[variable] = refuse, "1"
    logging.disable(logging.WARNING)  # torch logs the traceback of what it then raises.
    try:
        yield
    finally:
        logging.disable(logged)
        pickle.loads = loads
        os.environ.pop(variable)
        os.environ.update({variable: before} if before is not None else {})


def _built(reference: str, make: Callable[[], Any], *, meta: bool = True) -> nn.Module:
    """Calls a factory, with nothing allocated where it can do without. Raises AnalyzerError if it makes no module."""
    model = _asked(reference, lambda: sketched(make) if meta else make())
    if not isinstance(model, nn.Module):
        raise AnalyzerError(f"{one_line(reference)} makes a {type(model).__name__}; wanted a torch.nn.Module")
    if type(model).forward is nn.Module.forward:
        raise AnalyzerError(f"{one_line(reference)}: {type(model).__name__} has no forward to count")
    return model


def _fed(inputs: Sequence[Input], batch: int) -> tuple[list[Any], dict[str, Any]]:
    """Zeros of the shapes asked for; integers are zeros too, which every vocabulary has."""
    made = [(one.name, torch.zeros(one.batched(batch), dtype=getattr(torch, one.dtype))) for one in inputs]
    return [value for name, value in made if name is None], {name: value for name, value in made if name is not None}


def _of_batch(reference: str, beside: Callable[..., Any], batch: int) -> Callable[[], Any]:
    """A function of inputs may take the batch. Raises AnalyzerError if it does not and one is asked for."""
    if "batch" in inspect.signature(beside).parameters:
        return lambda: beside(batch=batch)
    if batch != 1:
        name = one_line(getattr(beside, "__name__", "inputs"))
        raise AnalyzerError(
            f"{name} beside {one_line(reference)} makes inputs of its own batch; let it take one, {name}(batch), or "
            "leave out --batch"
        )
    return beside


def _returned(reference: str, value: Any) -> tuple[Sequence[Any], Mapping[str, Any]]:
    """What an inputs function may return: (args, kwargs), a tuple of args, a dict of kwargs, one tensor."""
    if isinstance(value, dict):
        return (), value
    if isinstance(value, tuple) and len(value) == 2 and isinstance(value[1], dict):
        return value
    if isinstance(value, tuple | list):
        return value, {}
    if isinstance(value, torch.Tensor):
        return (value,), {}
    raise AnalyzerError(f"the inputs of {one_line(reference)} are a {type(value).__name__}; wanted (args, kwargs)")


def _asked(reference: str, call: Callable[[], Any]) -> Any:
    """Another's code runs here: whatever it raises is its error, shown with its own frames only."""
    try:
        return call()
    except AnalyzerError:
        raise
    except (Exception, SystemExit) as error:
        raise _raised(reference, error) from error


def _raised(reference: str, error: BaseException) -> AnalyzerError:
    first = str(error).strip().splitlines()[0] if str(error).strip() else inspect.getdoc(type(error)) or ""
    failed = AnalyzerError(f"{one_line(reference)} raised {type(error).__name__}: {one_line(first)}")
    failed.details = own_frames(error)
    return failed
