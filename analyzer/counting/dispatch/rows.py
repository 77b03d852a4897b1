"""The rows of a count as they come about: every operator under the module whose forward called it.

A call of one of torch.nn's leaf modules is one row, whatever it is made of; an operator that runs outside them, such
as a concatenation, is a row of its own under its owner's path.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor, nn

from analyzer.counting.dispatch.module_names import as_eager, is_bias, is_leaf, op_name
from analyzer.counting.dispatch.tensors import bytes_of, is_sparse, shaped, shapes_of, storage_of, tensors_of
from analyzer.counting.operators.call import Call, Work
from analyzer.counting.operators.elementwise import MODULES
from analyzer.counting.operators.registry import Kind, as_if_dense
from analyzer.records.record import Count, Row


@dataclass
class Frame:
    """A call under way: of a module, whose leaf's operators add up here, or of an operator being taken apart."""

    path: str
    op: str
    module: nn.Module | None = None
    folds: bool = False
    works: list[Work] = field(default_factory=list)
    moves: bool = False


class Inside:
    """An operator being taken apart: what it is made of adds up to one row of its own name."""

    def __init__(self, ledger: Ledger, frame: Frame, args: Any, kwargs: Any) -> None:
        self.ledger, self.frame, self.args, self.kwargs = ledger, frame, args, kwargs
        self.result: Any = None

    def of(self, result: Any) -> Any:
        self.result = result
        return result

    def __enter__(self) -> Inside:
        self.ledger.stack.append(self.frame)
        return self

    def __exit__(self, kind: Any, *rest: Any) -> None:
        self.ledger.stack.pop()
        if kind is None and self.frame.moves:
            work = _sum(self.frame.works)
            self.ledger.ran(self.frame.op, work, self.args, self.kwargs, self.result)


class Ledger:
    """The rows so far, and the stack of calls that says whose operator the next one is."""

    def __init__(self, model: nn.Module, roles: Mapping[str, str]) -> None:
        self.roles = roles
        self.paths: dict[int, str] = {}
        # By storage, since an operator may read a view of a parameter, and a storage may hold several.
        self.parameters: dict[int, dict[str, Tensor]] = {}
        for path, module in model.named_modules():
            self.paths[id(module)] = path = as_eager(path)
            for name, parameter in module._parameters.items():
                if parameter is not None:
                    named = self.parameters.setdefault(storage_of(parameter), {})
                    if not any(one is parameter for one in named.values()):  # A tied one has its first name.
                        named[f"{path}.{name}" if path else name] = parameter
        self.stack: list[Frame] = []
        self.rows: list[Row] = []
        self.unknown: dict[str, Counter[str]] = {}
        self.as_if_dense: Counter[str] = Counter()
        self.calls: Counter[tuple[str, str]] = Counter()
        self.counted: set[int] = set()

    def enter(self, module: nn.Module, args: Any) -> None:
        path = self.paths.get(id(module), self.stack[-1].path if self.stack else "")
        self.stack.append(Frame(path, op_name(module), module, is_leaf(module)))

    def leave(self, module: nn.Module, args: Any, *rest: Any) -> None:
        frame = self.stack.pop()
        kwargs, output = rest if len(rest) == 2 else ({}, None)  # A call that raised has neither.
        if not frame.folds or output is None:
            return
        inputs, outputs = tensors_of((args, kwargs)), tensors_of(output)
        whole = MODULES.get(type(module).__name__)
        work = whole(module, tuple(inputs[0].shape), tuple(outputs[0].shape)) if whole else _sum(frame.works)
        parameters = [parameter for parameter in module._parameters.values() if parameter is not None]
        statistics = [
            buffer for buffer in module._buffers.values() if buffer is not None and buffer.is_floating_point()
        ]
        read = [*inputs, *parameters, *statistics] if frame.moves else []
        written = [*outputs, *(statistics if module.training else ())] if frame.moves else []
        self.row(frame.path, frame.op, inputs, outputs, parameters, work, read, written)

    def inside(self, name: str, args: Any, kwargs: Any) -> Inside:
        path = self.stack[-1].path if self.stack else ""
        return Inside(self, Frame(path, name, folds=True), args, kwargs)

    def operator(self, name: str, kind: Kind, formula: Any, args: Any, kwargs: Any, result: Any) -> None:
        if kind is Kind.FORMULA:
            made = tensors_of(result)
            work = formula(Call(shaped(args), shaped(kwargs), shapes_of(made)))
            first = next(iter(made), None)
            # Operations are of floating point: batch norm's counter of batches is bookkeeping. Products are products.
            if not work.macs and first is not None and not (first.is_floating_point() or first.is_complex()):
                work = Work()
            if as_if_dense(name) or (work.macs and is_sparse(args)):
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
        frame = self.stack[-1] if self.stack else Frame("", "")
        if frame.folds:
            frame.moves = True
            frame.works.append(work)
            return
        inputs, outputs = tensors_of((args, kwargs)), tensors_of(result)
        if not inputs and not outputs:
            return  # A mark for a profiler, or a question about the machine.
        parameters = [tensor for tensor in inputs if storage_of(tensor) in self.parameters]
        op = name.removeprefix("aten::").removeprefix("higher_order::")
        self.row(frame.path, op, inputs, outputs, parameters, work, inputs, outputs)

    def count(self) -> Count:
        """All of it, once the pass is over."""
        self._unused()
        unknown = {name: paths.total() for name, paths in self.unknown.items()}
        unknown_in = {name: dict(paths) for name, paths in self.unknown.items()}
        return Count("dispatch", tuple(self.rows), unknown, dict(self.as_if_dense), unknown_in)

    def _unused(self) -> None:
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
        parameters: Sequence[Tensor],
        work: Work,
        read: list[Tensor],
        written: list[Tensor],
    ) -> None:
        self.calls[path, op] = call = self.calls[path, op] + 1
        params = biases = 0
        for storage in map(storage_of, parameters):
            if storage in self.parameters and storage not in self.counted:
                self.counted.add(storage)
                for name, tensor in self.parameters[storage].items():
                    params += tensor.numel()
                    biases += tensor.numel() if is_bias(name) else 0
        self.rows.append(
            Row(
                path=path,
                role=self.roles.get(path, path),
                op=op,
                call=call,
                inputs=shapes_of(inputs),
                outputs=shapes_of(outputs),
                params=params,
                weights=params - biases,
                biases=biases,
                macs=work.macs,
                flops=work.flops,
                activations=sum(tensor.numel() for tensor in outputs) if work.macs else 0,
                bytes_read=sum(map(bytes_of, read)),
                bytes_written=sum(map(bytes_of, written)),
                backward_macs=None,
            )
        )


def _sum(works: Sequence[Work]) -> Work:
    if len(works) == 1:
        return works[0]
    return Work(sum(work.macs for work in works), sum(work.flops for work in works))
