"""Makes the rows of a pass: numbers calls, gives each parameter to the first row that uses it, and adds up bytes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from torch import Tensor, nn

from analyzer.counting.dispatch.module_names import is_bias
from analyzer.counting.dispatch.open_calls import RowCalls
from analyzer.counting.dispatch.packed_weights import NOT_PACKED, Packed, logical_elements
from analyzer.counting.dispatch.row_producers import NO_WINDOW, Producers, Window
from analyzer.counting.dispatch.tensors import shapes_of, storage_id
from analyzer.counting.dispatch.traffic import NO_PARTS, Part, bytes_read, bytes_written
from analyzer.counting.operators.call import Work
from analyzer.records.rows import Row


class RowBuilder:
    """Appends rows to the calls of a thread, and puts the rows of all threads in order at the end."""

    def __init__(self, modules: Iterable[tuple[str, nn.Module]], roles: Mapping[str, str]) -> None:
        self.roles = roles
        self.producers = Producers()
        # By storage, since an operator may read a view of a parameter, and a storage may hold several parameters.
        self.parameters: dict[int, dict[str, Tensor]] = {}
        named: set[int] = set()
        for path, module in modules:
            for name, parameter in module._parameters.items():
                if parameter is not None and id(parameter) not in named:  # A tied parameter has its first name.
                    named.add(id(parameter))
                    names = self.parameters.setdefault(storage_id(parameter), {})
                    names[f"{path}.{name}" if path else name] = parameter
        self.calls_of: Counter[tuple[str, str]] = Counter()
        self.counted: set[int] = set()
        # Storages and packed weights, by the row's id.
        self.parameters_of_row: dict[int, tuple[list[int], Packed]] = {}

    def append(
        self,
        calls: RowCalls,
        path: str,
        op: str,
        inputs: list[Tensor],
        outputs: list[Tensor],
        parameters: Sequence[Tensor] | None,
        work: Work,
        read: list[Tensor],
        written: list[Tensor],
        parts: dict[int, Part] = NO_PARTS,
        packed: Packed = NOT_PACKED,
        window: Window = NO_WINDOW,
    ) -> None:
        """A row of the operator `op` in the module at `path`, which made `outputs` if it wrote anything.

        `parameters` are those of the module; None for an operator whose parameters are among the inputs.
        """
        self.calls_of[path, op] = call = self.calls_of.get((path, op), 0) + 1
        read_storages = list(map(storage_id, inputs))
        if parameters is None:
            storages = [storage for storage in read_storages if storage in self.parameters]
        else:
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
            activations=sum([tensor.numel() for tensor in outputs]) if work.macs else 0,
            bytes_read=bytes_read(read, parts) + packed.nbytes,
            bytes_written=bytes_written(written, parts),
            backward_macs=None,
            recomputed_macs=None,
            kernel=window.kernel,
            stride=window.stride,
            padding=window.padding,
            groups=window.groups,
            sources=self.producers.sources(read_storages),
        )
        if storages or packed.weights:
            self.parameters_of_row[id(row)] = storages, packed
        calls.rows.append(row)
        if written:
            self.producers.add(outputs, len(calls.rows) - 1)

    def all_rows(self, main: RowCalls) -> tuple[Row, ...]:
        """The rows of all threads in the order in which work was given to them, then a row per module with parameters
        that no operator read, such as those of heads that did not run."""
        if main.tasks:
            self._renumber(main)
        unused: dict[str, list[Tensor]] = {}
        for storage, names in self.parameters.items():
            if storage not in self.counted:
                for name, parameter in names.items():
                    unused.setdefault(name.rpartition(".")[0], []).append(parameter)
        for path, parameters in unused.items():
            self.append(main, path, "unused", [], [], parameters, Work(), [], [])
        return tuple(main.rows)

    def _renumber(self, main: RowCalls) -> None:
        """Merges the rows of all threads, and counts calls and parameters again in that order."""
        self.calls_of.clear()
        self.counted.clear()
        rows = main.all_rows()
        main.rows, main.tasks = [], []
        for row in rows:
            self.calls_of[row.path, row.op] = call = self.calls_of[row.path, row.op] + 1
            storages, packed = self.parameters_of_row.get(id(row), ([], NOT_PACKED))
            params, biases = self._count_parameters(storages, packed if call == 1 else NOT_PACKED)
            main.rows.append(
                row.replace(call=call, params=params, weights=params - biases, biases=biases, sources=None)
            )

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
