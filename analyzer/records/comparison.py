"""Compares several records: modules aligned by role, every metric relative to the first record."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from analyzer.core.errors import AnalyzerError, one_line
from analyzer.core.frozen import Frozen
from analyzer.core.printable_results import Displayed, View, renderer
from analyzer.records.record import Record
from analyzer.records.rows import STEP_KEYS, TOTAL_KEYS, Row, Totals, prefixes, total

if TYPE_CHECKING:
    import pandas

TOTAL = "total"


class ComparedMetric(Frozen):
    """One metric of one module in the first record and in another; None, never 0, in a record without the module."""

    path: str
    metric: str
    values: Mapping[str, int | None]

    @property
    def pair(self) -> tuple[int | None, int | None]:
        first, other = self.values.values()
        return first, other

    @property
    def difference(self) -> int | None:
        first, other = self.pair
        return None if first is None or other is None else other - first

    @property
    def ratio(self) -> float | None:
        """Other ÷ first; None if either is missing or the first is 0."""
        first, other = self.pair
        return None if other is None or not first else other / first


class Comparison(Displayed, Frozen):
    """Records side by side. `print` shows them as tables, a notebook as HTML.

    `modules` maps each role to its totals by record, None in a record without it. `labels`
    are the names of the records, all different.
    """

    records: tuple[Record, ...]
    modules: Mapping[str, tuple[Totals | None, ...]]
    labels: tuple[str, ...]

    @property
    def metrics(self) -> tuple[ComparedMetric, ...]:
        """Every module and metric, the first record compared with each of the others. The network has the path
        `total`. Recomputed MACs are compared if any record has them."""
        recomputed = any(record.totals.recomputed_macs for record in self.records)
        metrics = [key for key in (*TOTAL_KEYS, *STEP_KEYS) if recomputed or key != "recomputed_macs"]
        return tuple(
            ComparedMetric(path, metric, {self.labels[0]: _value(totals[0], metric), label: _value(other, metric)})
            for path, totals in self.modules.items()
            for metric in metrics
            if any(_value(record_totals, metric) is not None for record_totals in totals)
            for label, other in zip(self.labels[1:], totals[1:], strict=True)
        )

    @property
    def totals(self) -> Mapping[str, ComparedMetric]:
        """The whole networks by metric, the first against the second."""
        return {compared.metric: compared for compared in reversed(self.metrics) if compared.path == TOTAL}

    def _summary(self) -> str:
        return one_line(" against ".join(self.labels))

    def table(self, *, metric: str = "macs", depth: int | None = None, fold: bool = True) -> View:
        """The networks as a whole, then one `metric` by module, down to `depth`; with `fold`, equal blocks in one row.

        Without a depth, modules that have nearly everything are divided.
        """
        return self._view(metric=metric, depth=depth, fold=fold)

    def figure(self, name: str = "compute") -> Any:
        """A `plotly` figure with the networks as bars of their parts, by "compute" (MACs), "params" or
        "activations"."""
        return renderer().figure(self, name)

    def frame(self) -> pandas.DataFrame:
        """One row per module, metric and other record."""
        import pandas

        rows = [
            (metric.path, metric.metric, first, before, model, after, metric.difference, metric.ratio)
            for metric in self.metrics
            for (first, before), (model, after) in [metric.values.items()]
        ]
        columns = ["path", "metric", "first", "first_value", "model", "value", "difference", "ratio"]
        return pandas.DataFrame(rows, columns=columns)


def compare_records(records: Sequence[Record], labels: Sequence[str] | None = None) -> Comparison:
    """Aligns the modules of records. Raises AnalyzerError for fewer than two records or two with the same label.

    `labels` replace those of the records.
    """
    if len(records) < 2:
        raise AnalyzerError(f"a comparison needs at least two models, got {len(records)}")
    labels = labels or [record.label for record in records]
    twice = next((label for label in labels if labels.count(label) > 1), None)
    if twice:
        raise AnalyzerError(f"{one_line(twice)} is given twice; change one with {one_line(twice)}@PATH.KEY=NUMBER")
    by_role = [_totals_by_role(record.rows) for record in records]
    # A module named `total` gets a dot, so that it is not mistaken for the whole network.
    modules = {TOTAL: tuple(record.totals if record.rows else None for record in records)}
    for role in _merged_order([list(totals) for totals in by_role]):
        modules[role if role != TOTAL else f"{TOTAL}."] = tuple(totals.get(role) for totals in by_role)
    return Comparison(tuple(records), modules, tuple(labels))


def _value(totals: Totals | None, metric: str) -> int | None:
    return None if totals is None else totals.value(metric)


def _totals_by_role(rows: Sequence[Row]) -> dict[str, Totals]:
    members: dict[str, list[Row]] = {}
    for row in rows:
        for role in prefixes(row.role):
            members.setdefault(role, []).append(row)
    return {role: total(role_rows) for role, role_rows in members.items()}


def _merged_order(orders: Sequence[Sequence[str]]) -> list[str]:
    """Merges lists of names. A name missing from earlier lists is placed after its predecessor in its own list."""
    merged: list[str] = []
    for order in orders:
        position = 0
        for name in order:
            if name in merged:
                position = merged.index(name) + 1
            else:
                merged.insert(position, name)
                position += 1
    return merged
