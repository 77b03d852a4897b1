"""Intercepts and classifies every operator that torch runs: the dispatch mode that all counters share."""

from __future__ import annotations

import threading
from contextlib import ExitStack
from functools import partial
from typing import Any, Self

import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode, _get_current_dispatch_mode_stack

from analyzer.counting.dispatch import threads
from analyzer.counting.dispatch.module_tracker import ModuleTracker
from analyzer.counting.dispatch.swallowed_errors import check_index, record
from analyzer.counting.dispatch.tensors import dispatches_itself
from analyzer.counting.operators.classify import Operator, lookup
from analyzer.counting.operators.higher_order import CHOICES
from analyzer.counting.shape_rules.infer import infer
from analyzer.counting.shape_rules.refused_types import check_types
from analyzer.records.note import Note

_RUNS_HIGHER_ORDER_OPERATORS = hasattr(TorchDispatchMode, "supports_higher_order_operators")
if not _RUNS_HIGHER_ORDER_OPERATORS:  # Before torch 2.9.
    # Some operators on meta import it, which fails while a mode runs. Workers inherit the import from their server.
    import torch._dynamo


class DispatchMode(TorchDispatchMode):  # type: ignore[no-untyped-call]
    supports_higher_order_operators = True

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False  # torch's default guards the method with torch._dynamo, whose import takes a second.

    def __enter__(self) -> Self:
        if not _RUNS_HIGHER_ORDER_OPERATORS:
            _register_for_higher_order_operators(type(self))
        super().__enter__()  # type: ignore[no-untyped-call]
        return self


def _register_for_higher_order_operators(mode: type[DispatchMode]) -> None:
    """Before torch 2.9 an operator such as `cond` runs only under modes in its own table."""
    for operator in torch._ops._higher_order_ops.values():
        operator.python_key_table.setdefault(mode, partial(_call_mode, operator))


def _call_mode(operator: Any, mode: DispatchMode, *args: Any, **kwargs: Any) -> Any:
    return mode.__torch_dispatch__(operator, (), args, kwargs)  # type: ignore[no-untyped-call]


def add_note(notes: list[Note], path: str, text: str, *, strict: bool = True) -> None:
    """Adds a note on a module to the notes once."""
    note = Note(f"{path or 'the model itself'}{text}", strict=strict)
    if note not in notes:
        notes.append(note)


def run_on_torch(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Raises for what torch's CPU kernels refuse and its meta kernels do not."""
    check_types(func, args, kwargs)
    return func(*args, **kwargs)


class OperatorTracker(ModuleTracker):
    """`with tracker:` runs every operator through `run_operator`, which subclasses override.

    It follows the threads to which the model gives work. Raises the error of such a thread when the pass ends.
    """

    mode: Any = None  # Set while the pass runs, during which modules of other threads call the tracker too.

    def __init__(self, model: nn.Module) -> None:
        super().__init__(model)
        self.notes: list[Note] = []
        self.tasks: list[Any] = []  # The calls of each task given to another thread, in the order given.
        self.threads: list[tuple[threading.Thread, Any, str]] = []
        self.thread_errors: list[Exception] = []

    def note(self, path: str, text: str, *, strict: bool = True) -> None:
        """Adds a note on a module once."""
        add_note(self.notes, path, text, strict=strict)

    def new_task(self) -> Any:
        """The calls of work that the current thread gives to another thread."""
        calls = self.new_calls(self.path)
        self.tasks.append(calls)
        return calls

    def is_torch_thread(self) -> bool:
        return any(mode is self.mode for mode in _get_current_dispatch_mode_stack())

    def join_thread(self, path: str) -> None:
        super().join_thread(path)
        stack = ExitStack()
        stack.enter_context(self.modes.entered())
        self.calls.exit = stack.close
        self.note(path, " runs in a thread older than the pass, in which only modules are counted")

    def leave_thread(self) -> None:
        self.calls.exit()
        super().leave_thread()

    def run_operator(self, func: Any, known: Operator, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Runs the operator and returns its result: on meta from a shape rule if one applies, otherwise from torch."""
        if known.kind == "view":
            return func(*args, **kwargs)
        result = infer(known.name, args, kwargs)
        return run_on_torch(func, args, kwargs) if result is NotImplemented else result

    def decompose(self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Runs a composite operator as its parts, each through `run_operator`."""
        with self.mode:
            return func.decompose(*args, **kwargs)

    def __enter__(self) -> Self:
        super().__enter__()
        self.mode = _OperatorMode(self)
        self.mode.__enter__()
        self.modes = threads.Modes()
        threads.follow(self)
        return self

    def __exit__(self, *error: object) -> None:
        if error[0] is None:
            threads.join(self)
        threads.end(self)
        self.mode.__exit__(*error)
        del self.mode, self.modes  # A reference cycle would keep the model's tensors until the next garbage collection.
        super().__exit__(*error)
        if self.thread_errors and error[0] is None:
            raise self.thread_errors[0]


class _OperatorMode(DispatchMode):  # type: ignore[no-untyped-call]
    def __init__(self, tracker: OperatorTracker) -> None:
        super().__init__()
        self.tracker = tracker

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if types and dispatches_itself(types):
            return NotImplemented  # E.g. a nested tensor; its operators on plain tensors are counted next.
        known = lookup(func)
        if known.name in CHOICES:
            with self:
                return CHOICES[known.name](*args, **(kwargs or {}))
        if func is _INDEX:
            check_index(args)
        try:
            if not torch._C._is_torch_function_mode_enabled():
                return self.tracker.run_operator(func, known, args, kwargs or {})
            with torch._C.DisableTorchFunction():  # A mode may report another device of meta tensors.
                return self.tracker.run_operator(func, known, args, kwargs or {})
        except Exception as error:
            record(error)
            raise


_INDEX = torch.ops.aten.index.Tensor
