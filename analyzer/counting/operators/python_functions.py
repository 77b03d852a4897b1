"""Python functions of torch and of libraries under a function mode.

A function that calls `handle_torch_function` reaches a mode as a whole, and torch switches the mode off for its body.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import FunctionType
from typing import Any

from torch import Tensor
from torch._ops import HigherOrderOperator
from torch.overrides import TorchFunctionMode

from analyzer.counting.operators.higher_order import CHOICES, name_of

CHECKS = ("has_torch_function", "has_torch_function_unary", "has_torch_function_variadic")


class ModeOfFunctions(TorchFunctionMode):
    """A mode that also applies within Python functions. Subclasses end `__torch_function__` with `run`.

    What an operator such as `torch.cond` chooses runs as if it were called directly, so that its graph has the
    parameters of the chosen function.
    """

    def __init__(self) -> None:
        super().__init__()
        self.running: list[Any] = []

    def run(self, func: Any, types: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        if isinstance(func, HigherOrderOperator) and (choice := CHOICES.get(name_of(func))):
            with self:
                return choice(*args, **kwargs)
        if not isinstance(func, FunctionType) or func in self.running or any(kind is not Tensor for kind in types):
            return func(*args, **kwargs)  # A tensor of a subclass may handle the function itself.
        checks = [name for name in CHECKS if name in func.__globals__]
        if not checks:
            return func(*args, **kwargs)
        # Without its own check, which would call the mode again.
        names = func.__globals__ | dict.fromkeys(checks, _no_override)
        body = FunctionType(func.__code__, names, func.__name__, func.__defaults__, func.__closure__)
        body.__kwdefaults__ = func.__kwdefaults__
        self.running.append(func)
        try:
            with self:
                return body(*args, **kwargs)
        finally:
            self.running.remove(func)


def _no_override(*args: Any) -> bool:
    return False
