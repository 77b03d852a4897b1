"""What a formula is fitted to: exact counts of one model at any sizes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Protocol

from analyzer.core.errors import AnalyzerError, CannotMeasure, one_line
from analyzer.core.parse_inputs import Input, image_shape
from analyzer.counting.api import count_variant
from analyzer.networks.overrides import apply_overrides, full_key, hyperparameters
from analyzer.networks.variants import Variant
from analyzer.records.metric_values import values_of
from analyzer.records.record import Record
from analyzer.records.record_json import record_from_json
from analyzer.scaling.axes import Sized
from analyzer.scaling.fit import Values
from analyzer.worker import client
from analyzer.worker.reply import Reply

TASK = "analyzer.scaling.sizes_task"


class Source(Sized, Protocol):
    """A model that can be counted at any of its sizes."""

    label: str

    def count(self, *, memory: bool = False) -> Record:
        """The record at the present sizes. Raises AnalyzerError if the model does not run."""
        ...

    def values(self, sizes: Mapping[str, int], *, module: str | None = None, memory: bool = False) -> Values:
        """All metrics at the given sizes, all others as they are. Raises AnalyzerError if the model does not fit."""
        ...

    def cache_bytes(self, sizes: Mapping[str, int]) -> int:
        """Bytes of the KV cache after a text of these sizes. Raises AnalyzerError if the model keeps none."""
        ...


class VariantSource:
    """A built-in network, counted in closed form. Its sizes are those of the input, and every number of its table."""

    def __init__(self, chosen: Variant, inputs: list[Input], batch: int, train: bool) -> None:
        self.variant, self.train = chosen, train
        channels, height, width = image_shape(inputs, batch) or chosen.network.input
        self.channels, self.label = channels, chosen.network.name
        numbers = {f"{number.path}.{number.key}": number.value for number in hyperparameters(chosen.network)}
        self.sizes: dict[str, int] = {"batch": batch, "height": height, "width": width, **numbers}

    def full_name(self, name: str) -> str:
        """`conv1.out` → `conv1.conv.out`; names of the input stay as they are."""
        return name if name in self.sizes else full_key(self.variant.network, name) or name

    def count(self, *, memory: bool = False) -> Record:
        return self._count({}, memory=memory)

    def values(self, sizes: Mapping[str, int], *, module: str | None = None, memory: bool = False) -> Values:
        return values_of(self._count(sizes, memory=memory), module)

    def _count(self, sizes: Mapping[str, int], *, memory: bool) -> Record:
        values = {**{name: self.sizes[name] for name in ("batch", "height", "width")}, **sizes}
        batch, height, width = (values.pop(name) for name in ("batch", "height", "width"))
        changes = {name: value for name, value in values.items() if value != self.sizes[name]}
        network, overrides = apply_overrides(self.variant.network, changes)
        changed = Variant(network, {**self.variant.overrides, **overrides})
        return count_variant(
            changed, input=(self.channels, height, width), batch=batch, train=self.train, memory=memory
        )

    def cache_bytes(self, sizes: Mapping[str, int]) -> int:
        raise AnalyzerError(f"{self.label} keeps no KV cache; it is no language model")


class ReferenceSource:
    """A model by reference, counted in a worker that keeps it loaded."""

    def __init__(
        self, reference: str, inputs: tuple[str, ...], batch: int, train: bool, limit_s: float | None = None
    ) -> None:
        self.label, self.train, self.limit_s = reference, train, limit_s or client.LIMIT_S
        self.request = {"reference": reference, "inputs": list(inputs), "batch": batch, "train": train}
        reply = client.ask(TASK, {**self.request, "memory": False, "sizes": None}, self.limit_s, model=reference)
        if reply.end != "done":
            raise reply.error(one_line(reference))
        self.sizes: dict[str, int] = {str(name): int(size) for name, size in reply.last("done")["sizes"].items()}

    def full_name(self, name: str) -> str:
        return name

    def count(self, *, memory: bool = False) -> Record:
        reply = self._ask({"memory": memory, "sizes": {}, "cache": False})
        with self._readable():
            return record_from_json(reply.last("record")["record"])

    def values(self, sizes: Mapping[str, int], *, module: str | None = None, memory: bool = False) -> Values:
        """The worker sends the values alone: records would be half of the time."""
        reply = self._ask({"memory": memory, "sizes": dict(sizes), "cache": False, "module": module, "record": False})
        with self._readable():
            return {str(name): int(value) for name, value in reply.last("done")["values"].items()}

    def cache_bytes(self, sizes: Mapping[str, int]) -> int:
        reply = self._ask({"memory": False, "sizes": {**self.sizes, **sizes}, "cache": True})
        with self._readable():
            return int(reply.last("done")["cache_bytes"])

    def _ask(self, request: Mapping[str, Any]) -> Reply:
        reply = client.ask(TASK, {**self.request, **request}, self.limit_s, model=self.label)
        if reply.end != "done":
            raise reply.error(one_line(self.label))
        return reply

    @contextmanager
    def _readable(self) -> Iterator[None]:
        try:
            yield
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise CannotMeasure(
                f"{one_line(self.label)}: its worker's reply cannot be read: {one_line(error)}"
            ) from None
