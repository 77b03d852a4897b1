"""Records the rows of a count while the pass runs.

A call of a leaf module of torch.nn is a row that adds up the operators it runs. Any other operator, such as a
concatenation, is a row under the path of the module whose forward called it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, Self

import torch
from torch import Tensor, nn

from analyzer.counting.dispatch import hidden_operators
from analyzer.counting.dispatch.module_names import is_leaf, op_name
from analyzer.counting.dispatch.open_calls import Frame, RowCalls
from analyzer.counting.dispatch.operator_tracker import OperatorTracker, add_note, run_on_torch
from analyzer.counting.dispatch.packed_weights import NOT_PACKED, Packed, packed_weights
from analyzer.counting.dispatch.repeated_calls import find, key_of, remember
from analyzer.counting.dispatch.row_builder import RowBuilder
from analyzer.counting.dispatch.row_producers import NO_WINDOW, WINDOWED, Window, window
from analyzer.counting.dispatch.tensors import any_sparse, replace_by_shapes, shapes_of, tensors_of
from analyzer.counting.dispatch.tensors_of_other_threads import Origins
from analyzer.counting.dispatch.traffic import Part, parts_of
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
from analyzer.counting.operators.classify import Operator
from analyzer.counting.operators.flops_without_macs import MODULES
from analyzer.counting.shape_rules.infer import infer, rules_enabled
from analyzer.records.rows import Count, Row

_NO_WORK = Work()


class RowRecorder(OperatorTracker):
    """The rows of a pass."""

    def __init__(self, model: nn.Module, roles: Mapping[str, str], arrays: Sequence[Any] = ()) -> None:
        super().__init__(model)
        self.builder = RowBuilder(self.modules, roles)
        # A method of the recorder would be a reference cycle, which keeps the model until the next garbage collection.
        note = partial(add_note, self.notes)
        self.values = LeavingValues(note, arrays)
        self.origins = Origins(note, [module for _, module in self.modules])
        self.unknown: dict[str, Counter[str]] = {}
        self.as_if_dense: Counter[str] = Counter()
        self.read_values = False
        self.drew_from_generator = False  # Of the model's own: others are compared after the pass.

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
        calls = self.calls
        frame = calls.frames.pop()
        if not frame.folds or output is None:
            return
        inputs, outputs = tensors_of((args, kwargs) if kwargs else args), tensors_of(output)
        work = frame.total()
        if frame.has_formula:
            work = MODULES[type(module).__name__](module, tuple(inputs[0].shape), tuple(outputs[0].shape))
        parameters = [parameter for parameter in module._parameters.values() if parameter is not None]
        read: list[Tensor] = []
        written: list[Tensor] = []
        if frame.ran:
            statistics = [
                buffer for buffer in module._buffers.values() if buffer is not None and buffer.is_floating_point()
            ]
            read = [*inputs, *parameters, *statistics]
            written = [*outputs, *statistics] if module.training else outputs
        self.builder.append(
            calls, path, frame.op, inputs, outputs, parameters, work, read, written, frame.parts, window=frame.window
        )

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
        if self.values.empty or self.values.shared:
            self.values.check_memory(func, known, args, kwargs, self.path)
        if self.origins.active:
            self.origins.check(tensors_of((args, kwargs)), self.path)
        repeatable = known.kind == "formula" and not known.as_if_dense and rules_enabled()
        key = key_of(known, args, kwargs) if repeatable else None
        past = find(key)
        result = infer(known.name, args, kwargs) if past is None else past.result(args)
        by_rule = result is not NotImplemented
        if not by_rule:
            result = run_on_torch(func, args, kwargs)
        if self.origins.active:
            # Under `torch.func.grad` and in `inference_mode(False)` results are not inference tensors.
            self.origins.learn(tensor for tensor in tensors_of(result) if not tensor.is_inference())
        if past is not None:
            self._add(known, past.work, args, kwargs, result, [result], past.window)
            return result
        if known.kind == "free":
            self._note_free(known.name, args, result)
        if args and result is args[0] and not known.mutable and known.kind != "unknown":
            return result  # Dropout at inference returns its input: nothing ran.
        outputs = tensors_of(result)
        work = self._work(known, args, kwargs, outputs)
        size = window(func, known.name, args, kwargs) if known.name in WINDOWED else NO_WINDOW
        if by_rule and key is not None:
            remember(key, known, args, result, work, size)
        self._add(known, work, args, kwargs, result, outputs, size)
        return result

    def _note_free(self, name: str, args: tuple[Any, ...], result: Any) -> None:
        """Memory without values, and reads of values."""
        if name in EMPTY:
            self.values.allocate(result)
        elif name == "aten::_local_scalar_dense":
            self.values.read_scalar(args[0], self.path)
            self.read_values = True
        elif name in READERS or (name == "aten::index" and any_mask(args[1])):
            self.read_values = True

    def _run_composite(self, func: Any, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        frame = Frame(name, folds=True)
        frames = self.calls.frames
        frames.append(frame)
        try:
            result = self.decompose(func, args, kwargs)
        finally:
            frames.pop()
        if frame.ran:
            caller = frames[-1]
            if caller.folds:
                caller.add(frame.total(), frame.parts)
            else:
                self._append(name, frame.total(), args, kwargs, tensors_of(result), frame.parts)
        return result

    def _work(self, known: Operator, args: Any, kwargs: Any, outputs: list[Tensor]) -> Work:
        """Applies the operator's formula; without one, records it as unknown unless its module has a formula for the
        call."""
        if known.formula is not None:
            shapes = replace_by_shapes(kwargs) if kwargs else kwargs
            work = known.formula(Call(replace_by_shapes(args), shapes, shapes_of(outputs)))
            # Integer arithmetic, such as batch norm's counter of batches, has no FLOPs; integer products have MACs.
            if not work.macs and outputs and not (outputs[0].is_floating_point() or outputs[0].is_complex()):
                work = _NO_WORK
            if known.as_if_dense or (work.macs and any_sparse(args)):
                self.as_if_dense[known.name] += 1
            return work
        if known.kind == "unknown" and not any(frame.folds and frame.has_formula for frame in self.calls.frames):
            self.unknown.setdefault(known.name, Counter())[self.path] += 1
        return _NO_WORK

    def _add(
        self,
        known: Operator,
        work: Work,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        result: Any,
        outputs: list[Tensor],
        size: Window,
    ) -> None:
        """Adds an operator's work to the call that folds it, or else appends a row."""
        name = known.name
        parts = parts_of(name, args, result)
        frame = self.calls.frames[-1]
        if frame.folds:
            frame.add(work, parts, size)
            return
        packed = packed_weights(args) if known.as_if_dense else NOT_PACKED
        self._append(name, work, args, kwargs, outputs, parts, packed, size)

    def _append(
        self,
        name: str,
        work: Work,
        args: Any,
        kwargs: Any,
        outputs: list[Tensor],
        parts: dict[int, Part],
        packed: Packed = NOT_PACKED,
        size: Window = NO_WINDOW,
    ) -> None:
        """A row of an operator outside the calls of leaf modules."""
        inputs = tensors_of((args, kwargs) if kwargs else args)
        if not inputs and not outputs:
            return  # A mark for a profiler, or a query of the machine.
        calls = self.calls
        op = name.removeprefix("aten::").removeprefix("higher_order::")
        self.builder.append(
            calls, calls.paths[-1], op, inputs, outputs, None, work, inputs, outputs, parts, packed, size
        )

    def count(self) -> Count:
        """The count, once the pass has ended."""
        unknown = {name: paths.total() for name, paths in self.unknown.items()}
        unknown_in = {name: dict(paths) for name, paths in self.unknown.items()}
        return Count("dispatch", self.builder.all_rows(self.main), unknown, dict(self.as_if_dense), unknown_in)
