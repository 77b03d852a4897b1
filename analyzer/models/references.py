"""Models by reference: a class in a file, a factory in a package, an architecture of a library, an exported program.

Loading a reference runs its code. Nothing is downloaded or unpickled.
"""

from __future__ import annotations

import ast
import importlib
import importlib.util
import inspect
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from functools import partial
from importlib import metadata
from importlib.machinery import SourceFileLoader
from importlib.metadata import EntryPoint
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any, NamedTuple

import torch
from torch import nn

from analyzer.core.errors import (
    AnalyzerError,
    CannotMeasure,
    UnknownModel,
    error_text,
    is_bad_input,
    nearest,
    one_line,
    quoted,
)
from analyzer.core.parse_inputs import LIBRARIES, Input
from analyzer.models.exported import load_program
from analyzer.models.failing_forward_errors import user_frames
from analyzer.models.incomplete_references import FORMS, library_of, no_file, only_model, with_arguments
from analyzer.models.library_models import BY_NAME
from analyzer.models.skip_init import initialized, skip_init
from analyzer.models.user_packages import let_user_packages_be_imported
from analyzer.models.zero_inputs import input_zeros

GROUP = "analyzer.models"


class Reference(NamedTuple):
    """A model with its inputs.

    `real` builds it again with storage, in case it cannot run on meta. `at_batch` makes the inputs of another batch.
    `deployed` is the module that users run, where `model` is one with the same modules as when it was exported.
    """

    label: str
    model: nn.Module
    args: Sequence[Any]
    kwargs: Mapping[str, Any]
    real: Callable[[], nn.Module] | None
    at_batch: Callable[[int], tuple[Sequence[Any], Mapping[str, Any]]]
    notes: tuple[str, ...] = ()
    deployed: nn.Module | None = None


def resolve(reference: str, inputs: Sequence[Input] = (), batch: int = 1) -> Reference:
    """The model of a reference, with the given inputs or its default ones.

    Raises AnalyzerError if the reference does not exist, does not import or is not a module.
    """
    location, constructor_args, constructor_kwargs = split_call(reference)
    if location.endswith(".py"):
        location = f"{location}:{only_model(location, _file(reference, Path(location)))}"
    elif ":" not in location and not location.endswith(".pt2"):
        location = location if location in _entry_points() else library_of(location, _entry_points())
    label = location + reference.removeprefix(reference.partition("(")[0])
    scheme, colon, name = location.rpartition(":")
    if reference.endswith(".pt2"):
        if not Path(reference).is_file():
            raise no_file(Path(reference))
        model, deployed, args, kwargs = load_program(Path(reference))
        if inputs or batch != 1:
            raise AnalyzerError(f"{one_line(reference)} runs on its example inputs; leave out input and batch")
        return Reference(reference, model, args, kwargs, None, lambda batch: (args, kwargs), deployed=deployed)
    if scheme in LIBRARIES:
        library = BY_NAME[scheme]
        factory, default_inputs = _call(reference, lambda: library(name))
        factory = with_arguments(reference, factory, constructor_args, constructor_kwargs)
        model = _build(reference, factory)

        def library_inputs(batch: int) -> tuple[Sequence[Any], Mapping[str, Any]]:
            return input_zeros(inputs, batch) if inputs else _call(reference, lambda: default_inputs(model, batch))

        rebuild = partial(_build, reference, factory, meta=False)
        return Reference(label, model, *library_inputs(batch), rebuild, library_inputs)
    target, inputs_function = (
        _lookup(reference, scheme, name) if colon else (_call(location, _entry_points()[location].load), None)
    )
    target = with_arguments(reference, target, constructor_args, constructor_kwargs)
    real: Callable[[], nn.Module] | None = None
    if isinstance(target, nn.Module):
        model = target
    elif callable(target):
        model, real = _build(reference, target), partial(_build, reference, target, meta=False)
    else:
        raise AnalyzerError(f"{one_line(reference)} is a {type(target).__name__}; wanted an nn.Module or a factory")

    def own_inputs(batch: int) -> tuple[Sequence[Any], Mapping[str, Any]]:
        if inputs or inputs_function is None:
            return input_zeros(inputs, batch)
        returned = _call(reference, _with_batch(reference, inputs_function, batch))
        return _args_and_kwargs(reference, returned)

    return Reference(label, model, *own_inputs(batch), real, own_inputs)


def split_call(reference: str) -> tuple[str, tuple[Any, ...], dict[str, Any]]:
    """`net.py:Net(3, width=64)` → `net.py:Net`, its arguments by position and by name; they are literals."""
    name, bracket, text = reference.partition("(")
    if not bracket:
        return reference, (), {}
    try:
        call = ast.parse(f"f({text}", mode="eval").body
        if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Name):
            raise ValueError
        keywords = {str(keyword.arg): ast.literal_eval(keyword.value) for keyword in call.keywords if keyword.arg}
        if len(keywords) < len(call.keywords):  # `**`
            raise ValueError
        return name, tuple(map(ast.literal_eval, call.args)), keywords
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        raise AnalyzerError(
            f"malformed arguments in {quoted(reference)}; wanted literals, such as {one_line(name)}(3, width=64)"
        ) from None


def _lookup(reference: str, location: str, name: str) -> tuple[Any, Callable[[], Any] | None]:
    """The object of that name in a file or module, and the function there that returns its inputs, if any."""
    module = _file(reference, Path(location)) if location.endswith(".py") else _module(reference, location)
    target: Any = module
    for part in name.split("."):
        if not hasattr(target, part):
            known = [key for key, value in vars(module).items() if callable(value) or isinstance(value, nn.Module)]
            raise UnknownModel(f"{one_line(location)} has no {quoted(name)}; {one_line(nearest(name, known))}")
        target = getattr(target, part)
    inputs_function = getattr(module, f"{name}_inputs", None) or getattr(module, "inputs", None)
    return target, inputs_function if callable(inputs_function) else None


class _Source(SourceFileLoader):
    """Always compiles the file and writes no `__pycache__`. Python's cache does not notice a change within one second
    that keeps the file's size."""

    def get_code(self, fullname: str) -> CodeType:
        code: CodeType = self.source_to_code(self.get_data(self.path), self.path)
        return code


def _file(reference: str, path: Path) -> ModuleType:
    try:
        exists = path.is_file()
    except OSError as error:  # The name is too long.
        raise UnknownModel(f"cannot read {one_line(path)[:200]}: {error.strerror}; {FORMS}") from None
    if not exists:
        raise no_file(path)
    # The name may be that of an imported module, such as random.py.
    name = path.stem if path.stem not in sys.modules else str(path.resolve())
    absolute = path.absolute()
    loader = _Source(name, str(absolute))
    spec = importlib.util.spec_from_file_location(name, absolute, loader=loader)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    folder = str(path.resolve().parent)
    let_user_packages_be_imported(folder)
    sys.path.insert(0, folder)  # The file can import other files of its folder, as when it is run.
    sys.modules[name] = module
    try:
        _call(reference, lambda: loader.exec_module(module))
    finally:
        sys.path.remove(folder)
        sys.path.append(folder)  # For imports during a forward pass; at the end nothing else is shadowed.
    return module


def _module(reference: str, name: str) -> ModuleType:
    if "/" in name or "\\" in name:
        raise AnalyzerError(f"{one_line(name)} is not a Python file; {FORMS}")
    sys.path.insert(0, "")
    packages = let_user_packages_be_imported(str(Path.cwd()))
    try:
        with packages.active() if packages else nullcontext():
            return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name and name.startswith(error.name):
            raise UnknownModel(f"no module {quoted(name)} for {one_line(reference)}; {FORMS}") from None
        raise _wrapped(reference, error) from error
    except (Exception, SystemExit) as error:
        raise _wrapped(reference, error) from error
    finally:
        sys.path.pop(0)


def _entry_points() -> dict[str, EntryPoint]:
    return {point.name: point for point in metadata.entry_points(group=GROUP)}


def _build(reference: str, factory: Callable[[], Any], *, meta: bool = True) -> nn.Module:
    """Calls a factory, on meta if possible. Raises AnalyzerError if the result is not a module with a forward."""
    model = _call(reference, lambda: skip_init(factory) if meta else initialized(factory))
    if not isinstance(model, nn.Module):
        raise AnalyzerError(f"{one_line(reference)} returns a {type(model).__name__}; wanted a torch.nn.Module")
    # Not `type(model).forward`: that of a TorchScript class is a descriptor that fails on the class.
    if inspect.getattr_static(type(model), "forward") is nn.Module.forward:
        raise AnalyzerError(f"{one_line(reference)}: {type(model).__name__} has no forward to count")
    return model


def _with_batch(reference: str, inputs_function: Callable[..., Any], batch: int) -> Callable[[], Any]:
    """An inputs function may take the batch. Raises AnalyzerError if it does not and the batch is not 1."""
    if "batch" in inspect.signature(inputs_function).parameters:
        return lambda: inputs_function(batch=batch)
    if batch != 1:
        name = one_line(getattr(inputs_function, "__name__", "inputs"))
        raise AnalyzerError(
            f"{name}() of {one_line(reference)} sets the batch itself; write {name}(batch), or leave out batch"
        )
    return inputs_function


def _args_and_kwargs(reference: str, value: Any) -> tuple[Sequence[Any], Mapping[str, Any]]:
    """An inputs function may return (args, kwargs), a tuple or list of args, a dict of kwargs, or one tensor."""
    if isinstance(value, dict):
        return (), value
    if isinstance(value, tuple) and len(value) == 2 and isinstance(value[1], dict):
        return value
    if isinstance(value, tuple | list):
        return value, {}
    if isinstance(value, torch.Tensor):
        return (value,), {}
    raise AnalyzerError(f"the inputs of {one_line(reference)} are a {type(value).__name__}; wanted (args, kwargs)")


def _call(reference: str, call: Callable[[], Any]) -> Any:
    """Runs the user's code. Its exceptions become an AnalyzerError with frames of that code only."""
    try:
        return call()
    except AnalyzerError:
        raise
    except (Exception, SystemExit) as error:
        raise _wrapped(reference, error) from error


def _wrapped(reference: str, error: BaseException) -> AnalyzerError:
    text = error_text(error) or one_line(inspect.getdoc(type(error)) or "")
    kind = AnalyzerError if is_bad_input(error) else CannotMeasure
    wrapped = kind(f"{one_line(reference)} raised {type(error).__name__}: {text}".rstrip(": "))
    wrapped.details = user_frames(error)
    return wrapped
