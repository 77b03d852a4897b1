"""The dispatch counter: counts every operator that runs, under the module whose forward called it.

A TorchDispatchMode receives every operator; global forward hooks give the current module. The model is not changed. In
inference mode torch dispatches operators as the user called them: an operator with a formula is counted whole, a
composite one without is decomposed and its parts are added up under its name.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, nullcontext
from functools import cache
from typing import Any

import torch
import torch.utils.checkpoint
import torch.utils.hooks
from torch import nn
from torch._functorch import eager_transforms
from torch.utils._python_dispatch import _disable_current_modes

from analyzer.core.frozen import Frozen
from analyzer.counting.dispatch.assign_operators_to_rows import RowRecorder
from analyzer.counting.dispatch.patched_functions import Replacement, Replacements
from analyzer.counting.dispatch.run_to_the_end import any_function, run_model
from analyzer.counting.dispatch.tensors import tensors_of
from analyzer.counting.dispatch.unused_parameters import unused_notes
from analyzer.counting.operators.einsum_as_matmul import EinsumAsMatmul
from analyzer.records.note import Note
from analyzer.records.rows import Count


def count_operators(
    model: nn.Module,
    args: Sequence[Any] = (),
    kwargs: Mapping[str, Any] | None = None,
    *,
    roles: Mapping[str, str] | None = None,
    autograd: bool = False,
    grad_enabled: bool = False,
) -> Count:
    """The dispatch count of one forward pass, on the device of the model and its arguments, in the model's mode.

    `roles` maps a path to its canonical role; any other path is its own role. `autograd` is for a model whose forward
    takes gradients, such as forces from an energy: torch then dispatches operators decomposed (`linear` as `addmm`),
    with the same MACs. `grad_enabled`: the model finds gradients enabled, as in training, although there are none.
    """
    return count_pass(model, args, kwargs, roles=roles, autograd=autograd, grad_enabled=grad_enabled).count


class CountedPass(Frozen):
    """`notes` are on work that was not dispatched and on parameters that were not used.

    `read_values`: the pass read values of tensors, which may have decided what ran. `drew_from_generator`: an operator
    drew random numbers from a generator other than torch's own.
    """

    count: Count
    notes: tuple[Note, ...]
    read_values: bool
    drew_from_generator: bool


def count_pass(
    model: nn.Module,
    args: Sequence[Any] = (),
    kwargs: Mapping[str, Any] | None = None,
    *,
    roles: Mapping[str, str] | None = None,
    autograd: bool = False,
    grad_enabled: bool = False,
    arrays: Sequence[Any] = (),
) -> CountedPass:
    """Like `count_operators`, plus notes and whether the pass read tensor values.

    `arrays` are the NumPy arrays that the model holds.
    """
    with record_rows(model, roles=roles, autograd=autograd, grad_enabled=grad_enabled, arrays=arrays) as recorder:
        if recorder.origins.active:
            recorder.origins.learn(tensors_of((args, kwargs)))
        output = run_model(model, args, kwargs)
        if any_function(output):
            recorder.note("", " returns a function or module, whose work is not counted")
        recorder.finish(output)
    count = recorder.count()
    notes = (*recorder.notes, *unused_notes(count))
    return CountedPass(count, notes, recorder.read_values, recorder.drew_from_generator)


@contextmanager
def record_rows(
    model: nn.Module,
    *,
    roles: Mapping[str, str] | None = None,
    autograd: bool = False,
    grad_enabled: bool = False,
    arrays: Sequence[Any] = (),
) -> Iterator[RowRecorder]:
    """Records the rows of everything that runs in the `with` block, while it runs."""
    with ExitStack() as stack:
        stack.enter_context(torch.enable_grad() if autograd else torch.inference_mode())
        stack.enter_context(_gradients_refused())
        if autograd:
            stack.enter_context(EinsumAsMatmul())
        elif grad_enabled:
            stack.enter_context(torch.enable_grad())
            stack.enter_context(_without_graph())
        yield stack.enter_context(RowRecorder(model, roles or {}, arrays))


@contextmanager
def _gradients_refused() -> Iterator[None]:
    """`torch.autograd.functional.jacobian` and kin return zeros in inference mode, and dual numbers no tangents, where
    they shall raise."""
    _functional.add(None)
    try:
        yield
    finally:
        _functional.remove(None)


def _refusing(function: Any) -> Any:
    def checked(*args: Any, **kwargs: Any) -> Any:
        if torch.is_inference_mode_enabled():
            raise RuntimeError("gradients do not exist in inference mode")
        return function(*args, **kwargs)

    return checked


def _make_dual(make_dual: Any) -> Any:
    """`torch.func.jvp` has tangents in inference mode too."""

    def checked(*args: Any, **kwargs: Any) -> Any:
        caller = str(sys._getframe(1).f_globals.get("__name__", ""))
        return (make_dual if caller.startswith("torch._functorch") else _refusing(make_dual))(*args, **kwargs)

    return checked


@cache
def _is_zero_in_inference_mode(vjp: Any) -> bool:
    """Whether the gradients of `torch.func.vjp` are zeros in inference mode, as up to torch 2.11."""
    with _disable_current_modes(), torch.inference_mode():
        _, pull = vjp(torch.sin, torch.zeros(1))
        return not pull(torch.ones(1))[0].item()


def _vjp(vjp: Any) -> Any:
    def checked(*args: Any, **kwargs: Any) -> Any:
        return (_refusing(vjp) if _is_zero_in_inference_mode(vjp) else vjp)(*args, **kwargs)

    return checked


@contextmanager
def _without_graph() -> Iterator[None]:
    """Custom functions, checkpoints and backward hooks would save inference tensors for a graph, which raises."""
    _replacements.add(None)
    try:
        yield
    finally:
        _replacements.remove(None)


def _apply(apply: Any) -> Any:
    unbound = vars(torch.autograd.Function)["apply"]  # A class method of Python up to torch 2.13, then of C.

    def apply_without_graph(function: Any, *args: Any, **kwargs: Any) -> Any:
        with torch.no_grad() if torch.is_inference_mode_enabled() else nullcontext():
            return unbound.__get__(None, function)(*args, **kwargs)

    return classmethod(apply_without_graph)


def _hook_setup(setup: Any) -> Any:
    """Full backward hooks need nodes of a graph around the module."""

    def setup_with_graph(hook: Any, values: Any) -> Any:
        return values if torch.is_inference_mode_enabled() else setup(hook, values)

    return setup_with_graph


def _checkpoint(checkpoint: Any) -> Any:
    """Wraps the generator around a checkpoint's function, which runs between the generator's two steps."""

    def checkpoint_without_graph(*args: Any, **kwargs: Any) -> Iterator[None]:
        if torch.is_inference_mode_enabled():
            yield
        else:
            yield from checkpoint(*args, **kwargs)

    return checkpoint_without_graph


def _inference_mode(enabled: Callable[[], bool]) -> Callable[[], bool]:
    """The model finds inference mode off, as in training."""

    def is_inference_mode_enabled() -> bool:
        caller = sys._getframe(1).f_globals.get("__name__", "")
        return enabled() and caller.partition(".")[0] in ("torch", "analyzer")

    return is_inference_mode_enabled


def _is_inference(is_inference: Any) -> Any:
    """The model finds no inference tensors, as in training."""

    def is_inference_tensor(tensor: torch.Tensor) -> bool:
        caller = sys._getframe(1).f_globals.get("__name__", "")
        return is_inference(tensor) and caller.partition(".")[0] in ("torch", "analyzer")

    return is_inference_tensor


def _all_replacements() -> Iterator[Replacement]:
    yield torch, "is_inference_mode_enabled", _inference_mode
    yield torch, "is_inference", _is_inference
    yield torch.Tensor, "is_inference", _is_inference
    yield torch.autograd.Function, "apply", _apply
    name = "_checkpoint_without_reentrant_generator"
    after_2_13 = f"{name}_impl"
    for name_of_setup in ("setup_input_hook", "setup_output_hook"):
        yield torch.utils.hooks.BackwardHook, name_of_setup, _hook_setup
    yield torch.utils.checkpoint, after_2_13 if hasattr(torch.utils.checkpoint, after_2_13) else name, _checkpoint


_replacements = Replacements(_all_replacements)
_functional = Replacements(
    lambda: [
        (torch.autograd.functional, "_grad_preprocess", _refusing),
        (torch.autograd.forward_ad, "make_dual", _make_dual),
        (eager_transforms, "_vjp_with_argnums", _vjp),
    ]
)
