"""Instruments a forward pass: a mark where each operator starts and ends, so that operators and overhead add up.

A call of a leaf module of torch.nn is one operator, and so is a call of a torch function outside of one, such as a
concatenation. A TorchScript module is one operator, too: its code runs outside of Python. Each leaf's `forward` is
wrapped; a TorchFunctionMode records the other calls. On a CPU, modules with a forward of their own have a mark where
they are entered and left. All of these cost about a microsecond each, which is measured and subtracted. Module hooks
would cost more, and torch.profiler up to a tenth of a short pass.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from typing import Any, TypeAlias

import torch
from torch import nn
from torch.overrides import TorchFunctionMode

from analyzer.counting.dispatch.module_names import is_leaf, op_name

_dispatch_modes = torch._C._len_torch_dispatch_stack
_function_modes = torch._C._len_torch_function_stack
_pop, _push = torch._C._pop_torch_function_stack, torch._C._push_on_torch_function_stack


# Queries, getters and setters of a tensor's attributes, and the guards of an exported program: not operators.
PROPERTIES = frozenset(
    "__get__ __set__ __len__ size dim ndimension numel nelement stride storage_offset untyped_storage data_ptr "
    "element_size is_contiguous is_floating_point is_complex is_inference _assert".split()
)

GUARDS = "GuardsFn"  # Checks an exported program's inputs by assertions, which the function mode would slow down.
LEFT = None
Ran: TypeAlias = int | str | None  # The id of a leaf, the name of a function, ~id of a module entered, or LEFT.


class Instrument(TorchFunctionMode):
    """`with instrument.installed(model), instrument:` each operator appends two marks to `marks`, and to `ran` the id
    of its leaf or the name of its function. `on_operator(op, leaf)` runs before the first mark, to name operators once.

    Modules with an id in `fused` are leaves, too. If `installed` with modules, entering a module that is no leaf
    appends a mark and ~id, leaving it a mark and LEFT. `passed_on` has the number of marks before each call that is
    neither, which costs time, too.
    """

    def __init__(
        self,
        mark: Callable[[], Any],
        on_operator: Callable[[str, nn.Module | None], None] | None = None,
        fused: Collection[int] = (),
    ) -> None:
        super().__init__()
        self.mark, self.on_operator, self.fused = mark, on_operator, fused
        self.marks: list[Any] = []
        self.ran: list[Ran] = []
        self.passed_on: list[int] = []
        self.inside = False

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        name = getattr(func, "__name__", "")
        if self.inside or name in PROPERTIES:
            self.passed_on.append(len(self.marks))
            return func(*args, **kwargs)
        if self.on_operator:
            if not _dispatch_modes():  # The counter's own call, for TorchScript code that Python does not see.
                return func(*args, **kwargs)
            self.on_operator(name.strip("_"), None)
        self.ran.append(name)
        self.inside = True
        marks, mark = self.marks, self.mark
        marks.append(mark())
        try:
            return func(*args, **kwargs)
        finally:
            marks.append(mark())
            self.inside = False

    @contextmanager
    def installed(self, model: nn.Module, *, modules: bool = False) -> Iterator[None]:
        """Wraps the `forward` of every leaf, as an attribute of the module, and restores it afterwards. `modules`: also
        of every other module below `model`."""
        wrapped: list[tuple[nn.Module, Any]] = []
        for module, leaf in _marked_modules(model, self.fused):
            if leaf or (modules and module is not model):
                wrapped.append((module, vars(module).get("forward")))
                vars(module)["forward"] = self._timed(module) if leaf else self._bracketed(module)
        try:
            yield
        finally:
            for module, forward in wrapped:
                if forward is None:
                    del vars(module)["forward"]
                else:
                    vars(module)["forward"] = forward

    def clear(self) -> None:
        self.ran.clear()
        self.passed_on.clear()
        self.marks = []

    def _bracketed(self, module: nn.Module) -> Callable[..., Any]:
        instrument, mark, forward, entered = self, self.mark, module.forward, ~id(module)
        guards = type(module).__name__ == GUARDS

        def bracketed(*args: Any, **kwargs: Any) -> Any:
            if instrument.inside or not _function_modes():
                return forward(*args, **kwargs)
            marks, ran = instrument.marks, instrument.ran
            ran.append(entered)
            mode = _pop() if guards else None
            marks.append(mark())
            try:
                return forward(*args, **kwargs)
            finally:
                marks.append(mark())
                ran.append(LEFT)
                if mode is not None:
                    _push(mode)

        bracketed.__wrapped__ = forward  # type: ignore[attr-defined]  # For models that read signatures.
        return bracketed

    def _timed(self, module: nn.Module) -> Callable[..., Any]:
        instrument, mark, on_operator, forward, number = self, self.mark, self.on_operator, module.forward, id(module)

        def timed(*args: Any, **kwargs: Any) -> Any:
            # Modes do not reach threads that the model starts; their time is overhead.
            if instrument.inside or not _function_modes():
                return forward(*args, **kwargs)
            if on_operator:
                on_operator(_name(module), module)
            marks = instrument.marks
            instrument.ran.append(number)
            mode = _pop()  # The functions that a leaf calls are part of it.
            marks.append(mark())
            try:
                return forward(*args, **kwargs)
            finally:
                marks.append(mark())
                _push(mode)

        timed.__wrapped__ = forward  # type: ignore[attr-defined]
        return timed


def is_operator(event: Ran) -> bool:
    """Whether an entry of `Instrument.ran` is an operator, which has two marks; others have one."""
    return isinstance(event, str) or (event is not LEFT and event >= 0)


def _marked_modules(model: nn.Module, fused: Collection[int]) -> Iterator[tuple[nn.Module, bool]]:
    """Every module that is called from Python, and whether it is a leaf: a layer of torch.nn without children, a
    TorchScript module, or one of `fused`."""
    seen: set[int] = set()
    pending = [model]
    while pending:
        module = pending.pop()
        if id(module) in seen:
            continue
        seen.add(id(module))
        leaf = is_leaf(module) or isinstance(module, torch.jit.ScriptModule) or id(module) in fused
        yield module, leaf
        if not leaf:
            pending += [child for child in module.children() if child is not None]


def _name(module: nn.Module) -> str:
    return "torchscript" if isinstance(module, torch.jit.ScriptModule) else op_name(module)
