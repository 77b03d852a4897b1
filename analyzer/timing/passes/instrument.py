"""Instruments a forward pass: a mark where each operator starts and ends, so that operators and overhead add up.

A call of a leaf module of torch.nn is one operator, and so is a call of a torch function outside of one, such as a
concatenation. A TorchScript module is one operator, too: its code runs outside of Python. Each leaf's `forward` is
wrapped; a TorchFunctionMode records the other calls. Both cost about a microsecond per operator, which is measured and
subtracted. Module hooks would cost more, and torch.profiler up to a tenth of a short pass.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn
from torch.overrides import TorchFunctionMode

from analyzer.counting.dispatch.module_names import is_leaf, op_name

_dispatch_modes = torch._C._len_torch_dispatch_stack
_function_modes = torch._C._len_torch_function_stack
_pop, _push = torch._C._pop_torch_function_stack, torch._C._push_on_torch_function_stack


# Queries, getters and setters of a tensor's attributes: not operators.
PROPERTIES = frozenset(
    "__get__ __set__ __len__ size dim ndimension numel nelement stride storage_offset untyped_storage data_ptr "
    "element_size is_contiguous is_floating_point is_complex is_inference".split()
)


class Instrument(TorchFunctionMode):
    """`with instrument.installed(model), instrument:` each operator appends two marks to `marks`, and to `ran` the id
    of its leaf or the name of its function. `on_operator(op, leaf)` runs before the first mark, to name operators once.
    """

    def __init__(
        self, mark: Callable[[], Any], on_operator: Callable[[str, nn.Module | None], None] | None = None
    ) -> None:
        super().__init__()
        self.mark, self.on_operator = mark, on_operator
        self.marks: list[Any] = []
        self.ran: list[int | str] = []
        self.inside = False

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        name = getattr(func, "__name__", "")
        if self.inside or name in PROPERTIES:
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
    def installed(self, model: nn.Module) -> Iterator[None]:
        """Wraps the `forward` of every leaf, as an attribute of the module, and restores it afterwards."""
        leaves = list(_leaves(model))
        originals = [vars(leaf).get("forward") for leaf in leaves]
        for leaf in leaves:
            vars(leaf)["forward"] = self._timed(leaf)
        try:
            yield
        finally:
            for leaf, forward in zip(leaves, originals, strict=True):
                if forward is None:
                    del vars(leaf)["forward"]
                else:
                    vars(leaf)["forward"] = forward

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

        return timed


def _leaves(model: nn.Module) -> Iterator[nn.Module]:
    """Layers of torch.nn without children, and TorchScript modules, whose children are not called from Python."""
    seen: set[int] = set()
    pending = [model]
    while pending:
        module = pending.pop()
        if id(module) in seen:
            continue
        seen.add(id(module))
        if is_leaf(module) or isinstance(module, torch.jit.ScriptModule):
            yield module
        else:
            pending += [child for child in module.children() if child is not None]


def _name(module: nn.Module) -> str:
    return "torchscript" if isinstance(module, torch.jit.ScriptModule) else op_name(module)
