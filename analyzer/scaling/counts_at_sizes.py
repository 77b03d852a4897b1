"""Exact counts of a model at sizes, each made once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from analyzer.core.errors import AnalyzerError
from analyzer.records.metric_values import values_of
from analyzer.records.record import Record, restrict, unknown_module_error
from analyzer.scaling.countable_model import Source
from analyzer.scaling.fit import Values


class Counts:
    """All metrics of a model, or of one of its modules, by sizes. `base` is the record at the present sizes.

    `memory` and `cache`: also the peak of memory and the bytes of a KV cache.
    """

    def __init__(self, source: Source, *, module: str | None, memory: bool, cache: bool) -> None:
        """Raises AnalyzerError for an unknown module, and if the model does not run at its present sizes."""
        self._source, self._module, self._memory, self._cache = source, module, memory, cache
        self._known: dict[tuple[tuple[str, int], ...], Values | None] = {}
        self._errors: list[AnalyzerError] = []
        record = source.count(memory=memory)
        self.base: Record = record if module is None else restrict(record, module)
        if module is not None and not self.base.rows:
            raise unknown_module_error(module, [record])
        self.present: Values = self._with_cache(values_of(record, module), {})

    @property
    def sizes(self) -> Iterable[Mapping[str, int]]:
        """The sizes that were counted, or tried."""
        return map(dict, self._known)

    def keep_base(self, sizes: Mapping[str, int]) -> None:
        """Under these sizes, which are the present ones, the counts at the present sizes are known."""
        self._known[tuple(sorted(sizes.items()))] = self.present

    def values(self, sizes: Mapping[str, int]) -> Values:
        """Raises AnalyzerError if the model does not take the sizes."""
        values = self.find(sizes)
        if values is None:
            raise self._errors[-1]
        return values

    def find(self, sizes: Mapping[str, int]) -> Values | None:
        """As `values`; None if the model does not take the sizes."""
        key = tuple(sorted(sizes.items()))
        if key not in self._known:
            try:
                values = self._source.values(sizes, module=self._module, memory=self._memory)
            except AnalyzerError as error:
                self._errors.append(error)
                self._known[key] = None
            else:
                self._known[key] = self._with_cache(values, sizes)
        return self._known[key]

    def _with_cache(self, values: Mapping[str, int], sizes: Mapping[str, int]) -> Values:
        return {**values, "cache_bytes": self._source.cache_bytes(sizes)} if self._cache else values
