"""Dispatch: what really runs, operator by operator, each put under the module whose forward called it.

A dispatch mode sees every aten operator; global forward hooks say where the pass is. The model itself is not touched.
A call of one of torch.nn's leaf modules is one row, whatever operators it is made of; an operator that runs outside
them, such as a concatenation, is a row of its own under its owner's path.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.module import register_module_forward_hook, register_module_forward_pre_hook
from torch.utils._python_dispatch import TorchDispatchMode

from analyzer.counting.formulas import COPIES, FORMULAS, MODULES, VIEWS, Call, Work
from analyzer.counting.shapes import infer
from analyzer.record import Count, Row, Shapes

OP_NAMES = {"ReLU": "relu", "BatchNorm2d": "batch_norm"}


def count(model: nn.Module, args: Sequence[Any], *, roles: Mapping[str, str] | None = None) -> Count:
    """The dispatch count of one forward pass, on whatever device the model and its arguments are, in its own mode.

    `roles` gives a path its canonical role; a path that is not in it is its own role.
    """
    ledger = _Ledger(model, roles or {})
    before = register_module_forward_pre_hook(ledger.enter)
    after = register_module_forward_hook(ledger.leave, with_kwargs=True, always_call=True)
    try:
        with torch.no_grad(), _Watch(ledger.operator):
            model(*args)
    finally:
        before.remove()
        after.remove()
    return Count("dispatch", tuple(ledger.rows), dict(ledger.unknown))


class _Watch(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Runs every operator, or on meta tensors infers its result where a rule is sure, and tells of it."""

    def __init__(self, tell: Callable[[Any, tuple[Any, ...], dict[str, Any], Any], None]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.tell = tell

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False  # torch's default wraps the method in a guard that imports torch._dynamo: a second, for nothing.

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        result = infer(func._schema.name, args, kwargs)
        if result is NotImplemented:
            result = func(*args, **kwargs)
        self.tell(func, args, kwargs, result)
        return result


@dataclass
class _Frame:
    """A module call under way. A leaf's operators add up here; others' make rows."""

    module: nn.Module
    path: str
    leaf: bool
    works: list[Work] = field(default_factory=list)
    moves: bool = False


class _Ledger:
    """The rows so far, and the stack of module calls that says whose operator the next one is."""

    def __init__(self, model: nn.Module, roles: Mapping[str, str]) -> None:
        self.roles = roles
        self.paths = {id(module): path for path, module in model.named_modules()}
        self.parameters = {_storage(parameter): name for name, parameter in model.named_parameters()}
        self.stack: list[_Frame] = []
        self.rows: list[Row] = []
        self.unknown: Counter[str] = Counter()
        self.calls: Counter[tuple[str, str]] = Counter()
        self.counted: set[int] = set()

    def enter(self, module: nn.Module, args: Any) -> None:
        path = self.paths.get(id(module), self.stack[-1].path if self.stack else "")
        leaf = type(module).__module__.startswith("torch.nn.") and next(module.children(), None) is None
        self.stack.append(_Frame(module, path, leaf))

    def leave(self, module: nn.Module, args: Any, kwargs: Any, output: Any) -> None:
        frame = self.stack.pop()
        if not frame.leaf or output is None:
            return
        inputs, outputs = list(_tensors((args, kwargs))), list(_tensors(output))
        whole = MODULES.get(type(module).__name__)
        if whole:
            work = whole(module, tuple(inputs[0].shape), tuple(outputs[0].shape))
        else:
            work = Work(*(sum(figures) for figures in zip(Work(), *frame.works, strict=True)))
        statistics = [buffer for buffer in module.buffers() if buffer.is_floating_point()]
        read = [*inputs, *module.parameters(), *statistics] if frame.moves else []
        written = [*outputs, *(statistics if module.training else ())] if frame.moves else []
        self.row(frame.path, _op_name(module), inputs, outputs, list(module.parameters()), work, read, written)

    def operator(self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any], result: Any) -> None:
        name = func._schema.name
        if name in VIEWS:
            return
        outputs = list(_tensors(result))
        frame = self.stack[-1]
        frame.moves = True
        if name in FORMULAS:
            # Operations are of floating point: batch norm's counter of batches is bookkeeping.
            counted = not outputs or outputs[0].is_floating_point()
            shapes = Call(_shaped(args), _shaped(kwargs), _shapes(outputs))
            work = FORMULAS[name](shapes) if counted else Work()
        else:
            work = Work()
            if name not in COPIES and not (frame.leaf and type(frame.module).__name__ in MODULES):
                self.unknown[name] += 1
        if frame.leaf:
            frame.works.append(work)
        else:
            inputs = list(_tensors((args, kwargs)))
            parameters = [tensor for tensor in inputs if _storage(tensor) in self.parameters]
            op = name.removeprefix("aten::")
            self.row(frame.path, op, inputs, outputs, parameters, work, inputs, outputs)

    def row(
        self,
        path: str,
        op: str,
        inputs: list[Tensor],
        outputs: list[Tensor],
        parameters: list[Tensor],
        work: Work,
        read: list[Tensor],
        written: list[Tensor],
    ) -> None:
        self.calls[path, op] += 1
        new = [tensor for tensor in parameters if _storage(tensor) not in self.counted]
        self.counted.update(map(_storage, new))
        biases = sum(tensor.numel() for tensor in new if self.parameters[_storage(tensor)].endswith("bias"))
        params = sum(tensor.numel() for tensor in new)
        self.rows.append(
            Row(
                path=path,
                role=self.roles.get(path, path),
                op=op,
                call=self.calls[path, op],
                inputs=_shapes(inputs),
                outputs=_shapes(outputs),
                params=params,
                weights=params - biases,
                biases=biases,
                macs=work.macs,
                flops=work.flops,
                activations=sum(tensor.numel() for tensor in outputs) if work.macs else 0,
                bytes_read=sum(tensor.nbytes for tensor in read),
                bytes_written=sum(tensor.nbytes for tensor in written),
            )
        )


def _op_name(module: nn.Module) -> str:
    """`MaxPool2d` → `max_pool2d`: the functional name of a leaf module."""
    name = type(module).__name__
    return OP_NAMES.get(name) or re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()


def _storage(tensor: Tensor) -> int:
    """What a parameter and its views share."""
    return int(tensor.untyped_storage()._cdata)


def _tensors(value: Any) -> Iterable[Tensor]:
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _tensors(item)
    elif isinstance(value, dict):
        yield from _tensors(list(value.values()))


def _shapes(tensors: Iterable[Tensor]) -> Shapes:
    return tuple(tuple(tensor.shape) for tensor in tensors)


def _shaped(value: Any) -> Any:
    """The same structure with every tensor as its shape."""
    if isinstance(value, Tensor):
        return tuple(value.shape)
    if isinstance(value, list | tuple):
        return tuple(_shaped(item) for item in value)
    if isinstance(value, dict):
        return {key: _shaped(item) for key, item in value.items()}
    return value
