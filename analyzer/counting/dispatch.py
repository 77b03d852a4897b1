"""Dispatch: what really runs, operator by operator, each put under the module whose forward called it.

A dispatch mode sees every operator; global forward hooks say where the pass is. The model itself is not touched. In
inference mode torch hands over the operators that the user called, before it takes them apart: an operator with a
formula is counted whole, one without is watched while it is taken apart, under its own name.

A call of one of torch.nn's leaf modules is one row, whatever it is made of; an operator that runs outside them, such
as a concatenation, is a row of its own under its owner's path.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.modules.module import register_module_forward_hook, register_module_forward_pre_hook
from torch.utils._python_dispatch import TorchDispatchMode

from analyzer.counting.guard import made_of_others
from analyzer.counting.higher_order import CHOICES, name_of
from analyzer.counting.operations import MODULES
from analyzer.counting.registry import Kind, as_if_dense, lookup
from analyzer.counting.shapes import infer
from analyzer.counting.work import Call, Work
from analyzer.record import Count, Row, Shapes

# Names that the rule of `_op_name` would take apart in the wrong place.
OP_NAMES = {
    name: name.lower() for name in ("ReLU", "ReLU6", "GELU", "SiLU", "ELU", "SELU", "CELU", "GLU", "PReLU", "RReLU")
} | {"LeakyReLU": "leaky_relu"}


class Dispatched(NamedTuple):
    """A count, and where its unknown operators ran: operator → paths of the modules that called it."""

    counted: Count
    unknown_in: Mapping[str, Sequence[str]]


def count(
    model: nn.Module,
    args: Sequence[Any] = (),
    kwargs: Mapping[str, Any] | None = None,
    *,
    roles: Mapping[str, str] | None = None,
) -> Count:
    """The dispatch count of one forward pass, on whatever device the model and its arguments are, in its own mode.

    `roles` gives a path its canonical role; a path that is not in it is its own role.
    """
    return watched(model, args, kwargs, roles=roles).counted


def watched(
    model: nn.Module,
    args: Sequence[Any] = (),
    kwargs: Mapping[str, Any] | None = None,
    *,
    roles: Mapping[str, str] | None = None,
    autograd: bool = False,
) -> Dispatched:
    """As `count`. `autograd` is for a model whose forward pass takes gradients, such as forces from an energy: torch
    then hands over operators taken apart (`linear` as `addmm`), with the same multiply-adds."""
    ledger = _Ledger(model, roles or {})
    before = register_module_forward_pre_hook(ledger.enter)
    after = register_module_forward_hook(ledger.leave, with_kwargs=True, always_call=True)
    try:
        with torch.enable_grad() if autograd else torch.inference_mode(), _Watch(ledger):
            model(*args, **(kwargs or {}))
    finally:
        before.remove()
        after.remove()
    ledger.unused()
    unknown = {name: paths.total() for name, paths in ledger.unknown.items()}
    counted = Count("dispatch", tuple(ledger.rows), unknown, dict(ledger.as_if_dense))
    return Dispatched(counted, {name: tuple(paths) for name, paths in ledger.unknown.items()})


class _Watch(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Runs every operator, or on meta tensors infers its result where a rule is sure, and tells the ledger."""

    supports_higher_order_operators = True

    def __init__(self, ledger: _Ledger) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.ledger = ledger

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False  # torch's default wraps the method in a guard that imports torch._dynamo: a second, for nothing.

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if types and made_of_others(types):
            return NotImplemented  # A tensor made of others, such as a nested one: theirs are the operators that run.
        kind, formula = lookup(func)
        if kind is Kind.VIEW:
            return func(*args, **kwargs)
        name = name_of(func)
        if name in CHOICES:
            with self:
                return CHOICES[name](*args, **kwargs)
        if kind is Kind.COMPOSITE:
            with self.ledger.inside(name, args, kwargs) as result, self:
                return result.of(func.decompose(*args, **kwargs))
        result = infer(name, args, kwargs)
        if result is NotImplemented:
            result = func(*args, **kwargs)
        if args and result is args[0] and not func._schema.is_mutable:
            return result  # Dropout at inference hands its input on: nothing ran.
        self.ledger.operator(name, kind, formula, args, kwargs, result)
        return result


@dataclass
class _Frame:
    """A call under way: of a module, whose leaf's operators add up here, or of an operator being taken apart."""

    path: str
    op: str
    module: nn.Module | None = None
    folds: bool = False
    works: list[Work] = field(default_factory=list)
    moves: bool = False


class _Inside:
    """An operator being taken apart: what it is made of adds up to one row of its own name."""

    def __init__(self, ledger: _Ledger, frame: _Frame, args: Any, kwargs: Any) -> None:
        self.ledger, self.frame, self.args, self.kwargs = ledger, frame, args, kwargs
        self.result: Any = None

    def of(self, result: Any) -> Any:
        self.result = result
        return result

    def __enter__(self) -> _Inside:
        self.ledger.stack.append(self.frame)
        return self

    def __exit__(self, kind: Any, *rest: Any) -> None:
        self.ledger.stack.pop()
        if kind is None and self.frame.moves:
            work = _sum(self.frame.works)
            self.ledger.ran(self.frame.op, work, self.args, self.kwargs, self.result)


class _Ledger:
    """The rows so far, and the stack of calls that says whose operator the next one is."""

    def __init__(self, model: nn.Module, roles: Mapping[str, str]) -> None:
        self.roles = roles
        self.paths = paths_of(model)
        # By storage, since an operator may read a view of a parameter, and a storage may hold several.
        self.parameters: dict[int, dict[str, Tensor]] = {}
        for name, parameter in model.named_parameters():
            self.parameters.setdefault(_storage(parameter), {})[as_eager(name)] = parameter
        self.stack: list[_Frame] = []
        self.rows: list[Row] = []
        self.unknown: dict[str, Counter[str]] = {}
        self.as_if_dense: Counter[str] = Counter()
        self.calls: Counter[tuple[str, str]] = Counter()
        self.counted: set[int] = set()

    def enter(self, module: nn.Module, args: Any) -> None:
        path = self.paths.get(id(module), self.stack[-1].path if self.stack else "")
        own = type(module).__module__.startswith("torch.nn.modules.") and not isinstance(module, nn.Sequential)
        leaf = own and next(module.children(), None) is None
        self.stack.append(_Frame(path, _op_name(module), module, leaf))

    def leave(self, module: nn.Module, args: Any, *rest: Any) -> None:
        frame = self.stack.pop()
        kwargs, output = rest if len(rest) == 2 else ({}, None)  # A call that raised has neither.
        if not frame.folds or output is None:
            return
        inputs, outputs = tensors_of((args, kwargs)), tensors_of(output)
        whole = MODULES.get(type(module).__name__)
        work = whole(module, tuple(inputs[0].shape), tuple(outputs[0].shape)) if whole else _sum(frame.works)
        parameters: list[Tensor] = list(module.parameters())
        statistics = [buffer for buffer in module.buffers() if buffer.is_floating_point()]
        read = [*inputs, *parameters, *statistics] if frame.moves else []
        written = [*outputs, *(statistics if module.training else ())] if frame.moves else []
        self.row(frame.path, frame.op, inputs, outputs, parameters, work, read, written)

    def inside(self, name: str, args: Any, kwargs: Any) -> _Inside:
        path = self.stack[-1].path if self.stack else ""
        return _Inside(self, _Frame(path, name, folds=True), args, kwargs)

    def operator(self, name: str, kind: Kind, formula: Any, args: Any, kwargs: Any, result: Any) -> None:
        if kind is Kind.FORMULA:
            made = tensors_of(result)
            work = formula(Call(shaped(args), shaped(kwargs), shapes_of(made)))
            first = next(iter(made), None)
            # Operations are of floating point: batch norm's counter of batches is bookkeeping. Products are products.
            if not work.macs and first is not None and not (first.is_floating_point() or first.is_complex()):
                work = Work()
            if as_if_dense(name) or (work.macs and _sparse(args)):
                self.as_if_dense[name] += 1
        else:
            work = Work()
            if kind is Kind.UNKNOWN and not self._hidden():
                path = self.stack[-1].path if self.stack else ""
                self.unknown.setdefault(name, Counter())[path] += 1
        self.ran(name, work, args, kwargs, result)

    def _hidden(self) -> bool:
        """Whether the call under way has a formula for the whole of it."""
        return any(type(frame.module).__name__ in MODULES for frame in self.stack if frame.folds)

    def ran(self, name: str, work: Work, args: Any, kwargs: Any, result: Any) -> None:
        """An operator has run: it adds to the call that folds it, or is a row."""
        frame = self.stack[-1] if self.stack else _Frame("", "")
        if frame.folds:
            frame.moves = True
            frame.works.append(work)
            return
        inputs, outputs = tensors_of((args, kwargs)), tensors_of(result)
        if not inputs and not outputs:
            return  # A mark for a profiler, or a question about the machine.
        parameters = [tensor for tensor in inputs if _storage(tensor) in self.parameters]
        op = name.removeprefix("aten::").removeprefix("higher_order::")
        self.row(frame.path, op, inputs, outputs, parameters, work, inputs, outputs)

    def unused(self) -> None:
        """Parameters that no operator read, such as those of heads that are silent: a row a module, all else 0."""
        owners: dict[str, list[Tensor]] = {}
        for storage, named in self.parameters.items():
            if storage not in self.counted:
                for name, parameter in named.items():
                    owners.setdefault(name.rpartition(".")[0], []).append(parameter)
        for path, parameters in owners.items():
            self.row(path, "unused", [], [], parameters, Work(), [], [])

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
        new = {storage for storage in map(_storage, parameters) if storage in self.parameters} - self.counted
        self.counted |= new
        named = {name: tensor.numel() for storage in new for name, tensor in self.parameters[storage].items()}
        params, biases = sum(named.values()), sum(n for name, n in named.items() if name.endswith("bias"))
        self.rows.append(
            Row(
                path=path,
                role=self.roles.get(path, path),
                op=op,
                call=self.calls[path, op],
                inputs=shapes_of(inputs),
                outputs=shapes_of(outputs),
                params=params,
                weights=params - biases,
                biases=biases,
                macs=work.macs,
                flops=work.flops,
                activations=sum(tensor.numel() for tensor in outputs) if work.macs else 0,
                bytes_read=sum(map(_bytes, read)),
                bytes_written=sum(map(_bytes, written)),
            )
        )


def _sum(works: Sequence[Work]) -> Work:
    return Work(sum(work.macs for work in works), sum(work.flops for work in works))


def _op_name(module: nn.Module) -> str:
    """`MaxPool2d` → `max_pool2d`: the functional name of a leaf module."""
    name = type(module).__name__
    for norm in ("BatchNorm", "InstanceNorm"):
        if name.startswith(norm):
            name = norm  # One operator for every number of axes.
    return OP_NAMES.get(name) or re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name).lower()


def paths_of(model: nn.Module) -> dict[int, str]:
    """Module → path."""
    return {id(module): as_eager(path) for path, module in model.named_modules()}


def as_eager(path: str) -> str:
    """A compiled module stands under its own name, with what it compiles in `_orig_mod` below it."""
    return ".".join(part for part in path.split(".") if part != "_orig_mod")


def _storage(tensor: Tensor) -> int:
    """What a parameter and its views share; a sparse tensor has no one storage and shares it with nobody."""
    return int(tensor.untyped_storage()._cdata) if tensor.layout == torch.strided else id(tensor)


def _bytes(tensor: Tensor) -> int:
    """A sparse tensor takes what it holds: its values and where they stand."""
    if tensor.layout == torch.strided:
        return tensor.nbytes
    coo = tensor if tensor.layout == torch.sparse_coo else tensor.to_sparse_coo()  # type: ignore[no-untyped-call]
    return coo._values().nbytes + coo._indices().nbytes


def _sparse(args: Any) -> bool:
    return any(tensor.layout != torch.strided for tensor in tensors_of(args))


def tensors_of(value: Any) -> list[Tensor]:
    """Every tensor in nested lists, tuples and dicts; of a nested tensor, the one that holds its elements."""
    if isinstance(value, Tensor):
        return [value.values() if value.is_nested else value]
    if isinstance(value, dict):
        value = value.values()
    elif not isinstance(value, list | tuple):
        return []
    return [tensor for item in value for tensor in tensors_of(item)]


def shapes_of(tensors: Iterable[Tensor]) -> Shapes:
    return tuple(tuple(tensor.shape) for tensor in tensors)


def shaped(value: Any) -> Any:
    """The same structure with every tensor as its shape."""
    if isinstance(value, Tensor):
        return tuple(value.shape)
    if isinstance(value, list | tuple):
        return tuple(shaped(item) for item in value)
    if isinstance(value, dict):
        return {key: shaped(item) for key, item in value.items()}
    return value
