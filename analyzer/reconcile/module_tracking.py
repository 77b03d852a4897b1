"""Tracks which module of a model runs, names its modules, and converts its arguments to the form a peer takes."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from torch import nn

from analyzer.counting.dispatch.module_names import op_name
from analyzer.counting.dispatch.module_tracker import ModuleTracker


class CallbackTracker(ModuleTracker):
    """Calls `enter` before and `leave` after each module's forward pass, with the module's path in our rows."""

    def __init__(self, model: nn.Module, enter: Callable[[str], None], leave: Callable[[str], None]) -> None:
        super().__init__(model)
        self.enter, self.leave = enter, leave

    def entered(self, module: nn.Module) -> None:
        self.enter(self.path)

    def left(self, module: nn.Module, path: str, *rest: Any) -> None:
        self.leave(path)


def named_modules_with_repeats(module: nn.Module, path: str = "") -> Iterator[tuple[str, nn.Module]]:
    """Every module under each of its parents, once per parent: the order in which peers sum over `children()`."""
    yield path, module
    for name, child in module.named_children():
        yield from named_modules_with_repeats(child, f"{path}.{name}" if path else name)


def leaf_op(module: nn.Module) -> str:
    """A leaf layer's operator as our rows name it; "" for a module that contains others."""
    is_leaf = next(module.children(), None) is None or isinstance(module, nn.MultiheadAttention)
    return op_name(module) if is_leaf else ""


def positional_arguments(model: nn.Module, args: Sequence[Any], kwargs: Mapping[str, Any]) -> tuple[Any, ...]:
    """All arguments in order, for a peer without keyword arguments. Raises TypeError for keyword-only ones."""
    if not kwargs:
        return tuple(args)
    bound = inspect.signature(model.forward).bind(*args, **kwargs)
    parameters = [p for p in bound.signature.parameters.values() if p.kind is p.POSITIONAL_OR_KEYWORD]
    given = {p.name for p in parameters} & set(bound.arguments)
    if set(kwargs) - given:
        names = ", ".join(bound.kwargs)
        raise TypeError(f"the tool accepts only positional arguments; the model has keyword arguments: {names}")
    last = max((index for index, p in enumerate(parameters) if p.name in given), default=-1)
    return tuple(bound.arguments.get(p.name, p.default) for p in parameters[: last + 1])


def named_arguments(model: nn.Module, args: Sequence[Any], kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """All arguments by name. Raises TypeError for variable positional arguments, which have no names."""
    bound = inspect.signature(model.forward).bind(*args, **kwargs)
    if any(p.kind is p.VAR_POSITIONAL and p.name in bound.arguments for p in bound.signature.parameters.values()):
        raise TypeError("it takes one argument or keyword arguments, and the model's arguments have no names")
    return {**{name: value for name, value in bound.arguments.items() if name != "kwargs"}, **bound.kwargs}
