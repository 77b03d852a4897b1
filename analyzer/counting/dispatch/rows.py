"""Records the rows of a count while the pass runs.

A call of a leaf module of torch.nn is a row that adds up the operators it runs. Any other operator, such as a
concatenation, is a row under the path of the module whose forward called it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Self

import torch
from torch import Tensor, nn

from analyzer.counting.dispatch import hidden_operators
from analyzer.counting.dispatch.module_names import is_bias, is_leaf, op_name
from analyzer.counting.dispatch.operator_tracker import OperatorTracker
from analyzer.counting.dispatch.packed_weights import NOT_PACKED, Packed, logical_elements, packed_weights
from analyzer.counting.dispatch.producers import NO_WINDOW, Producers, Window, window
from analyzer.counting.dispatch.row_calls import Frame, RowCalls
from analyzer.counting.dispatch.tensors import (
    any_sparse,
    replace_by_shapes,
    shapes_of,
    storage_id,
    tensors_of,
)
from analyzer.counting.dispatch.tensors_of_other_threads import Origins
from analyzer.counting.dispatch.traffic import NO_PARTS, Part, bytes_read, bytes_written, parts_of
from analyzer.counting.dispatch.values_leaving_torch import (
    EMPTY,
    LITERALS,
    READERS,
    LeavingValues,
    any_mask,
    end_watch,
    watch,
)
from analyzer.counting.operators.call import Call, Work
from analyzer.counting.operators.classify import Operator, as_if_dense
from analyzer.counting.operators.elementwise import MODULES
from analyzer.records.rows import Count, Row


class RowRecorder(OperatorTracker):
    """The rows of a pass."""

    def __init__(self, model: nn.Module, roles: Mapping[str, str], arrays: Sequence[Any] = ()) -> None:
        super().__init__(model)
        self.roles = roles
        self.values = LeavingValues(self.note, arrays)
        self.origins = Origins(self.note, [module for _, module in self.modules])
        # By storage, since an operator may read a view of a parameter, and a storage may hold several parameters.
        self.parameters: dict[int, dict[str, Tensor]] = {}
        named: set[int] = set()
        for path, module in self.modules:
            for name, parameter in module._parameters.items():
                if parameter is not None and id(parameter) not in named:  # A tied parameter has its first name.
                    named.add(id(parameter))
                    names = self.parameters.setdefault(storage_id(parameter), {})
                    names[f"{path}.{name}" if path else name] = parameter
        self.producers = Producers()
        self.unknown: dict[str, Counter[str]] = {}
        self.as_if_dense: Counter[str] = Counter()
        self.calls_of: Counter[tuple[str, str]] = Counter()
        self.counted: set[int] = set()
        self.read_values = False
        self.drew_from_generator = False  # Of the model's own: others are compared after the pass.
        # Storages and packed weights, by the row's id.
        self.parameters_of_row: dict[int, tuple[list[int], Packed]] = {}

    @property
    def rows(self) -> list[Row]:
        """The rows of the thread that runs the model."""
        rows: list[Row] = self.main.rows
        return rows

    def new_calls(self, path: str, *, foreign: bool = False) -> RowCalls:
        return RowCalls(path, foreign=foreign)

    def new_task(self) -> RowCalls:
        task: RowCalls = super().new_task()
        self.calls.tasks.append((len(self.calls.rows), task))
        return task

    def join_thread(self, path: str) -> None:
        super().join_thread(path)
        self.main.tasks.append((len(self.main.rows), self.calls))

    def __enter__(self) -> Self:
        super().__enter__()
        watch(self)
        hidden_operators.watch(self)
        return self

    def __exit__(self, *error: object) -> None:
        hidden_operators.end_watch(self)
        end_watch(self)
        self.origins.close()
        super().__exit__(*error)

    def finish(self, output: Any) -> None:
        """Adds notes on values that left torch; `output` is what the model returned."""
        tensors = tensors_of(output)
        for tensor in tensors:
            if tensor.layout == torch.strided and not (tensor.is_meta or tensor.untyped_storage().resizable()):
                self.values.come_back(tensor, "")
        self.values.read_memory(tensors, "", returned=True)
        if self.origins.active:
            self.origins.check(tensors, "")
        self.values.finish()
        self.read_values |= bool(self.values.left)

    def entered(self, module: nn.Module) -> None:
        self.calls.frames.append(Frame(op_name(module), is_leaf(module), type(module).__name__ in MODULES))

    def left(self, module: nn.Module, path: str, args: Any, kwargs: Mapping[str, Any], output: Any) -> None:
        frame = self.calls.frames.pop()
        if not frame.folds or output is None:
            return
        inputs, outputs = tensors_of((args, kwargs) if kwargs else args), tensors_of(output)
        work = frame.total()
        if frame.has_formula:
            work = MODULES[type(module).__name__](module, tuple(inputs[0].shape), tuple(outputs[0].shape))
        parameters = [parameter for parameter in module._parameters.values() if parameter is not None]
        statistics = [
            buffer for buffer in module._buffers.values() if buffer is not None and buffer.is_floating_point()
        ]
        read = [*inputs, *parameters, *statistics] if frame.ran else []
        written = [*outputs, *(statistics if module.training else ())] if frame.ran else []
        self._append(path, frame.op, inputs, outputs, parameters, work, read, written, frame.parts, window=frame.window)
        if frame.ran:
            self.producers.add(outputs, len(self.calls.rows) - 1)

    def run_operator(self, func: Any, known: Operator, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if known.kind == "view":
            result = func(*args, **kwargs)
            if known.name in LITERALS:
                self.values.come_back(result, self.path)
            return result
        if known.kind == "composite":
            return self._run_composite(func, known.name, args, kwargs)
        if kwargs and kwargs.get("generator") is not None:
            self.drew_from_generator = True
        if self.values.empty:
            self.values.check_memory(func, known, args, kwargs, self.path)
        if self.origins.active:
            self.origins.check(tensors_of((args, kwargs)), self.path)
        result = super().run_operator(func, known, args, kwargs)
        if self.origins.active:
            # Under `torch.func.grad` and in `inference_mode(False)` results are not inference tensors.
            self.origins.learn(tensor for tensor in tensors_of(result) if not tensor.is_inference())
        if known.kind == "free":
            if known.name in EMPTY:
                self.values.allocate(result)
            elif known.name == "aten::_local_scalar_dense":
                self.values.read_scalar(args[0], self.path)
                self.read_values = True
            elif known.name in READERS or (known.name == "aten::index" and any_mask(args[1])):
                self.read_values = True
        if args and result is args[0] and not known.mutable and known.kind != "unknown":
            return result  # Dropout at inference returns its input: nothing ran.
        parts = parts_of(known.name, args, result)
        packed = packed_weights(args) if as_if_dense(known.name) else NOT_PACKED
        work = self._work(known, args, kwargs, result)
        self._add(known.name, work, args, kwargs, result, parts, packed, window(func, known.name, args, kwargs))
        return result

    def _run_composite(self, func: Any, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        frame = Frame(name, folds=True)
        frames = self.calls.frames
        frames.append(frame)
        try:
            result = self.decompose(func, args, kwargs)
        finally:
            frames.pop()
        if frame.ran:
            self._add(name, frame.total(), args, kwargs, result, frame.parts)
        return result

    def _work(self, known: Operator, args: Any, kwargs: Any, result: Any) -> Work:
        """Applies the operator's formula; without one, records it as unknown unless its module has a formula for the
        call."""
        work = Work()
        if known.formula is not None:
            outputs = tensors_of(result)
            work = known.formula(Call(replace_by_shapes(args), replace_by_shapes(kwargs), shapes_of(outputs)))
            # Integer arithmetic, such as batch norm's counter of batches, has no FLOPs; integer products have MACs.
            if not work.macs and outputs and not (outputs[0].is_floating_point() or outputs[0].is_complex()):
                work = Work()
            if as_if_dense(known.name) or (work.macs and any_sparse(args)):
                self.as_if_dense[known.name] += 1
        elif known.kind == "unknown" and not any(frame.folds and frame.has_formula for frame in self.calls.frames):
            self.unknown.setdefault(known.name, Counter())[self.path] += 1
        return work

    def _add(
        self,
        name: str,
        work: Work,
        args: Any,
        kwargs: Any,
        result: Any,
        parts: dict[int, Part],
        packed: Packed = NOT_PACKED,
        window: Window = NO_WINDOW,
    ) -> None:
        """Adds an operator's work to the call that folds it, or else appends a row."""
        frame = self.calls.frames[-1]
        if frame.folds:
            frame.ran = True
            frame.works.append(work)
            if window.kernel and frame.op.startswith(("conv", "avg_pool", "max_pool")):
                frame.window = window
            if parts:
                frame.add_parts(parts)
            return
        inputs, outputs = tensors_of((args, kwargs)), tensors_of(result)
        if not inputs and not outputs:
            return  # A mark for a profiler, or a query of the machine.
        parameters = [tensor for tensor in inputs if storage_id(tensor) in self.parameters]
        op = name.removeprefix("aten::").removeprefix("higher_order::")
        self._append(self.path, op, inputs, outputs, parameters, work, inputs, outputs, parts, packed, window)
        self.producers.add(outputs, len(self.calls.rows) - 1)

    def count(self) -> Count:
        """The count, once the pass has ended."""
        if self.tasks or self.main.tasks:
            self._order_rows()
        self._append_unused()
        unknown = {name: paths.total() for name, paths in self.unknown.items()}
        unknown_in = {name: dict(paths) for name, paths in self.unknown.items()}
        return Count("dispatch", tuple(self.rows), unknown, dict(self.as_if_dense), unknown_in)

    def _order_rows(self) -> None:
        """Puts the rows of all threads in the order in which work was given to them, and numbers calls again."""
        self.calls_of.clear()
        self.counted.clear()
        rows = self.main.all_rows()
        self.main.rows, self.main.tasks = [], []
        for row in rows:
            self.calls_of[row.path, row.op] = call = self.calls_of[row.path, row.op] + 1
            storages, packed = self.parameters_of_row.get(id(row), ([], NOT_PACKED))
            params, biases = self._count_parameters(storages, packed if call == 1 else NOT_PACKED)
            self.rows.append(
                row.replace(call=call, params=params, weights=params - biases, biases=biases, sources=None)
            )

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
        parts: dict[int, Part] = NO_PARTS,
        packed: Packed = NOT_PACKED,
        window: Window = NO_WINDOW,
    ) -> None:
        self.calls_of[path, op] = call = self.calls_of.get((path, op), 0) + 1
        storages = list(map(storage_id, parameters))
        params, biases = self._count_parameters(storages, packed if call == 1 else NOT_PACKED)
        row = Row(
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
            bytes_read=bytes_read(read, parts) + packed.nbytes,
            bytes_written=bytes_written(written, parts),
            backward_macs=None,
            recomputed_macs=None,
            kernel=window.kernel,
            stride=window.stride,
            padding=window.padding,
            groups=window.groups,
            sources=self.producers.sources(inputs),
        )
        if parameters or packed.weights:
            self.parameters_of_row[id(row)] = storages, packed
        self.calls.rows.append(row)

    def _count_parameters(self, storages: Sequence[int], packed: Packed) -> tuple[int, int]:
        """Packed weights, and parameters in these storages that no row has yet: all elements, and those of biases."""
        params, biases = packed.weights + packed.biases, packed.biases
        for storage in storages:
            if storage in self.parameters and storage not in self.counted:
                self.counted.add(storage)
                for name, tensor in self.parameters[storage].items():
                    elements = logical_elements(tensor)
                    params += elements
                    biases += elements if is_bias(name) else 0
        return params, biases
