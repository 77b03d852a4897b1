"""Where in a model something happens, what its modules are called, and its arguments as a peer takes them."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from torch import nn
from torch.nn.modules.module import register_module_forward_hook, register_module_forward_pre_hook

from analyzer.counting.dispatch.module_names import op_name, paths_of


@contextmanager
def watched(model: nn.Module, enter: Callable[[str], None], leave: Callable[[str], None]) -> Iterator[None]:
    """Tells of each module's call before it begins and after it ends, by the module's path in our rows."""
    paths = paths_of(model)
    stack: list[str] = []

    def before(module: nn.Module, args: Any) -> None:
        # A module that was made on the way belongs to the one that made it.
        stack.append(paths.get(id(module), stack[-1] if stack else ""))
        enter(stack[-1])

    def after(module: nn.Module, args: Any, output: Any) -> None:
        leave(stack.pop())

    handles = register_module_forward_pre_hook(before), register_module_forward_hook(after, always_call=True)
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


@contextmanager
def running(model: nn.Module) -> Iterator[Callable[[], str]]:
    """A function that says which module is running, by path; "" outside any."""
    stack = [""]
    with watched(model, stack.append, lambda path: stack.__delitem__(-1)):
        yield lambda: stack[-1]


def visits(module: nn.Module, path: str = "") -> Iterator[tuple[str, nn.Module]]:
    """Every module under every parent that holds it: how peers sum over a model, which meets shared modules again."""
    yield path, module
    for name, child in module.named_children():
        yield from visits(child, f"{path}.{name}" if path else name)


def leaf_op(module: nn.Module) -> str:
    """A leaf layer's operator as our rows name it; "" for what a module with others inside does itself."""
    whole = next(module.children(), None) is None or isinstance(module, nn.MultiheadAttention)
    return op_name(module) if whole else ""


def positional(model: nn.Module, args: Sequence[Any], kwargs: Mapping[str, Any]) -> tuple[Any, ...]:
    """All arguments in order, for a peer that takes no named ones. Raises TypeError where that cannot be."""
    if not kwargs:
        return tuple(args)
    bound = inspect.signature(model.forward).bind(*args, **kwargs)
    named = ", ".join(bound.kwargs)
    ahead = [p for p in bound.signature.parameters.values() if p.kind is p.POSITIONAL_OR_KEYWORD]
    given = {p.name for p in ahead} & set(bound.arguments)
    last = max((index for index, p in enumerate(ahead) if p.name in given), default=-1)
    if set(kwargs) - given:
        raise TypeError(f"it takes positional arguments only, and the model has named ones: {named}")
    return tuple(bound.arguments.get(p.name, p.default) for p in ahead[: last + 1])


def by_name(model: nn.Module, args: Sequence[Any], kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """All arguments by name. Raises TypeError where one has none."""
    bound = inspect.signature(model.forward).bind(*args, **kwargs)
    if any(p.kind is p.VAR_POSITIONAL and p.name in bound.arguments for p in bound.signature.parameters.values()):
        raise TypeError("it takes one argument or named ones, and the model's have no names")
    return {**{name: value for name, value in bound.arguments.items() if name != "kwargs"}, **bound.kwargs}
