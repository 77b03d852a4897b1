"""The rows of a count, recorded while the pass runs.

A call of a leaf module of torch.nn is a row that adds up the operators it runs. Any other operator, such as a
concatenation, is a row under the path of the module whose forward called it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor, nn

from analyzer.counting.dispatch.module_names import is_bias, is_leaf, op_name
from analyzer.counting.dispatch.operator_tracker import OperatorTracker
from analyzer.counting.dispatch.tensors import (
    any_sparse,
    bytes_of,
    replace_by_shapes,
    shapes_of,
    storage_id,
    tensors_of,
)
from analyzer.counting.operators.call import Call, Work
from analyzer.counting.operators.elementwise import MODULES
from analyzer.counting.operators.registry import Kind, Operator, as_if_dense
from analyzer.records.record import Count, Row


@dataclass(slots=True)
class Frame:
    """A call in progress, of a module or of a composite operator. If it `folds`, its operators add up to one row."""

    op: str
    folds: bool
    has_formula: bool = False
    ran: bool = False  # Views alone leave it False: they move no data.
    works: list[Work] = field(default_factory=list)

    def total(self) -> Work:
        if len(self.works) == 1:
            return self.works[0]
        return Work(sum(work.macs for work in self.works), sum(work.flops for work in self.works))


class RowRecorder(OperatorTracker):
    """The rows so far, and the stack of calls that decides which row the next operator belongs to."""

    def __init__(self, model: nn.Module, roles: Mapping[str, str]) -> None:
        super().__init__(model)
        self.roles = roles
        # By storage, since an operator may read a view of a parameter, and a storage may hold several parameters.
        self.parameters: dict[int, dict[str, Tensor]] = {}
        for path, module in self.modules:
            for name, parameter in module._parameters.items():
                if parameter is not None:
                    names = self.parameters.setdefault(storage_id(parameter), {})
                    if not any(known is parameter for known in names.values()):  # A tied parameter has its first name.
                        names[f"{path}.{name}" if path else name] = parameter
        self.frames = [Frame("", folds=False)]
        self.rows: list[Row] = []
        self.unknown: dict[str, Counter[str]] = {}
        self.as_if_dense: Counter[str] = Counter()
        self.calls: Counter[tuple[str, str]] = Counter()
        self.counted: set[int] = set()

    def entered(self, module: nn.Module) -> None:
        has_formula = type(module).__name__ in MODULES
        self.frames.append(Frame(op_name(module), is_leaf(module), has_formula))

    def left(self, module: nn.Module, path: str, args: Any, kwargs: Mapping[str, Any], output: Any) -> None:
        frame = self.frames.pop()
        if not frame.folds or output is None:
            return
        inputs, outputs = tensors_of((args, kwargs)), tensors_of(output)
        work = frame.total()
        if frame.has_formula:
            work = MODULES[type(module).__name__](module, tuple(inputs[0].shape), tuple(outputs[0].shape))
        parameters = [parameter for parameter in module._parameters.values() if parameter is not None]
        statistics = [
            buffer for buffer in module._buffers.values() if buffer is not None and buffer.is_floating_point()
        ]
        read = [*inputs, *parameters, *statistics] if frame.ran else []
        written = [*outputs, *(statistics if module.training else ())] if frame.ran else []
        self._append(path, frame.op, inputs, outputs, parameters, work, read, written)

    def run_operator(self, func: Any, known: Operator, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if known.kind is Kind.VIEW:
            return func(*args, **kwargs)
        if known.kind is Kind.COMPOSITE:
            return self._run_composite(func, known.name, args, kwargs)
        result = super().run_operator(func, known, args, kwargs)
        if args and result is args[0] and not known.mutable and known.kind is not Kind.UNKNOWN:
            return result  # Dropout at inference returns its input: nothing ran.
        self._add(known.name, self._work(known, args, kwargs, result), args, kwargs, result)
        return result

    def _run_composite(self, func: Any, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        frame = Frame(name, folds=True)
        self.frames.append(frame)
        try:
            result = self.decompose(func, args, kwargs)
        finally:
            self.frames.pop()
        if frame.ran:
            self._add(name, frame.total(), args, kwargs, result)
        return result

    def _work(self, known: Operator, args: Any, kwargs: Any, result: Any) -> Work:
        """By the operator's formula; names an unknown operator, unless its module has a formula for the whole call."""
        work = Work()
        if known.formula is not None:
            outputs = tensors_of(result)
            work = known.formula(Call(replace_by_shapes(args), replace_by_shapes(kwargs), shapes_of(outputs)))
            # Integer arithmetic, such as batch norm's counter of batches, has no FLOPs; integer products have MACs.
            if not work.macs and outputs and not (outputs[0].is_floating_point() or outputs[0].is_complex()):
                work = Work()
            if as_if_dense(known.name) or (work.macs and any_sparse(args)):
                self.as_if_dense[known.name] += 1
        elif known.kind is Kind.UNKNOWN and not any(frame.folds and frame.has_formula for frame in self.frames):
            self.unknown.setdefault(known.name, Counter())[self.path] += 1
        return work

    def _add(self, name: str, work: Work, args: Any, kwargs: Any, result: Any) -> None:
        """Adds an operator's work to the call that folds it, or else appends a row."""
        frame = self.frames[-1]
        if frame.folds:
            frame.ran = True
            frame.works.append(work)
            return
        inputs, outputs = tensors_of((args, kwargs)), tensors_of(result)
        if not inputs and not outputs:
            return  # A mark for a profiler, or a query of the machine.
        parameters = [tensor for tensor in inputs if storage_id(tensor) in self.parameters]
        op = name.removeprefix("aten::").removeprefix("higher_order::")
        self._append(self.path, op, inputs, outputs, parameters, work, inputs, outputs)

    def count(self) -> Count:
        """The count, once the pass has ended."""
        self._append_unused()
        unknown = {name: paths.total() for name, paths in self.unknown.items()}
        unknown_in = {name: dict(paths) for name, paths in self.unknown.items()}
        return Count("dispatch", tuple(self.rows), unknown, dict(self.as_if_dense), unknown_in)

    def _append_unused(self) -> None:
        """Parameters that no operator read, such as those of heads that did not run: a row per module."""
        unused: dict[str, list[Tensor]] = {}
        for storage, names in self.parameters.items():
            if storage not in self.counted:
                for name, parameter in names.items():
                    unused.setdefault(name.rpartition(".")[0], []).append(parameter)
        for path, parameters in unused.items():
            self._append(path, "unused", [], [], parameters, Work(), [], [])

    def _append(
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
        for storage in map(storage_id, parameters):
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
