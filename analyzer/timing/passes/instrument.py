"""A forward pass cut into op, gap, op, gap: marks where every operator starts and ends, so that the parts add up.

A call of a leaf module of torch.nn is one tile, and so is a call of a torch function outside of those, such as a
concatenation. A leaf's own `forward` is wrapped, which costs half a microsecond, and a torch function mode sees the
calls between. Hooks would cost a microsecond a module, and torch.profiler up to a tenth of a short pass.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn
from torch.overrides import TorchFunctionMode

from analyzer.counting.dispatch.module_names import is_leaf, op_name

_watching = torch._C._len_torch_dispatch_stack
_modes = torch._C._len_torch_function_stack
_pop, _push = torch._C._pop_torch_function_stack, torch._C._push_on_torch_function_stack


# Questions about a tensor, and the getters and setters of its attributes: no operators.
PROPERTIES = frozenset(
    "__get__ __set__ __len__ size dim ndimension numel nelement stride storage_offset untyped_storage data_ptr "
    "element_size is_contiguous is_floating_point is_complex is_inference".split()
)


class Cut(TorchFunctionMode):
    """`with cut.installed(model):` every pass in `with cut:` leaves two marks a tile in `cut.marks`.

    `cut.ran` says what each was: the id of the leaf, or the name of the function. `noted(op, leaf)` is told of each
    before it is marked; it is for the pass that learns what the tiles are.
    """

    def __init__(self, mark: Callable[[], Any], noted: Callable[[str, nn.Module | None], None] | None = None) -> None:
        super().__init__()
        self.mark, self.noted = mark, noted
        self.marks: list[Any] = []
        self.ran: list[int | str] = []
        self.inside = False

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        name = getattr(func, "__name__", "")
        if self.inside or name in PROPERTIES:
            return func(*args, **kwargs)
        if self.noted and not _watching():
            return func(*args, **kwargs)  # The counter itself calls it, for what ran outside of Python: TorchScript.
        if self.noted:
            self.noted(name.strip("_"), None)
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
        """Wraps the `forward` of every leaf, as an attribute of the module itself, and takes it off again."""
        wrapped = [module for module in model.modules() if is_leaf(module)]
        before = [vars(module).get("forward") for module in wrapped]
        for module in wrapped:
            vars(module)["forward"] = self._timed(module)
        try:
            yield
        finally:
            for module, forward in zip(wrapped, before, strict=True):
                if forward is None:
                    del vars(module)["forward"]
                else:
                    vars(module)["forward"] = forward

    def _timed(self, module: nn.Module) -> Callable[..., Any]:
        cut, mark, noted, forward, number = self, self.mark, self.noted, module.forward, id(module)

        def timed(*args: Any, **kwargs: Any) -> Any:
            # In a thread of the model's own there are no modes: its time is in the gap.
            if cut.inside or not _modes():
                return forward(*args, **kwargs)
            if noted:
                noted(op_name(module), module)
            marks = cut.marks
            cut.ran.append(number)
            # What a leaf calls is its own: the mode steps aside.
            mode = _pop()
            marks.append(mark())
            try:
                return forward(*args, **kwargs)
            finally:
                marks.append(mark())
                _push(mode)

        return timed
