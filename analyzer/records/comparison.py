"""Records side by side: modules aligned by role, every figure against the first record's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from analyzer.core.errors import AnalyzerError, one_line
from analyzer.core.frozen import Frozen
from analyzer.records.record import TOTAL_KEYS, Record, Row, Totals, prefixes, total

if TYPE_CHECKING:
    import pandas

TOTAL = "total"


class Line(Frozen):
    """One figure of one module in the first record and in another. A side without the module has None, never 0."""

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
        """Other ÷ first; None where either is missing or the first is 0."""
        first, other = self.pair
        return None if other is None or not first else other / first


class Comparison(Frozen):
    """Records side by side. `modules` maps each role to its sums, record by record, None where it does not exist."""

    records: tuple[Record, ...]
    modules: Mapping[str, tuple[Totals | None, ...]]

    @property
    def labels(self) -> tuple[str, ...]:
        return tuple(record.label for record in self.records)

    @property
    def lines(self) -> tuple[Line, ...]:
        """Every module and metric, first against each other record in turn; the whole under the path `total`."""
        return tuple(
            Line(path, metric, {self.labels[0]: _figure(sums[0], metric), label: _figure(other, metric)})
            for path, sums in self.modules.items()
            for metric in TOTAL_KEYS
            if any(_figure(totals, metric) is not None for totals in sums)
            for label, other in zip(self.labels[1:], sums[1:], strict=True)
        )

    @property
    def totals(self) -> Mapping[str, Line]:
        """The whole networks, by metric: the first against the second."""
        return {line.metric: line for line in reversed(self.lines) if line.path == TOTAL}

    def frame(self) -> pandas.DataFrame:
        """A row a module, metric and other record."""
        import pandas

        rows = []
        for line in self.lines:
            (first, before), (model, after) = line.values.items()
            rows.append((line.path, line.metric, first, before, model, after, line.difference, line.ratio))
        columns = ["path", "metric", "first", "first_value", "model", "value", "difference", "ratio"]
        return pandas.DataFrame(rows, columns=columns)


def compare_records(records: Sequence[Record]) -> Comparison:
    """Sets records side by side. Raises AnalyzerError for fewer than two, or two of the same name."""
    if len(records) < 2:
        raise AnalyzerError(f"a comparison needs at least two models, got {len(records)}")
    labels = [record.label for record in records]
    twice = next((label for label in labels if labels.count(label) > 1), None)
    if twice:
        raise AnalyzerError(f"{one_line(twice)} is given twice; change one with {one_line(twice)}@PATH.KEY=NUMBER")
    by_role = [_sums(record.rows) for record in records]
    order = _merged([list(sums) for sums in by_role])
    wholes = tuple(record.totals if record.rows else None for record in records)
    # A module that happens to be called `total` would be taken for the whole.
    modules: dict[str, tuple[Totals | None, ...]] = {TOTAL: wholes}
    for role in order:
        modules[role if role != TOTAL else f"{TOTAL}."] = tuple(sums.get(role) for sums in by_role)
    return Comparison(tuple(records), modules)


def _figure(totals: Totals | None, metric: str) -> int | None:
    value: int | None = None if totals is None else getattr(totals, metric)
    return value


def _sums(rows: Sequence[Row]) -> dict[str, Totals]:
    members: dict[str, list[Row]] = {}
    for row in rows:
        for role in prefixes(row.role):
            members.setdefault(role, []).append(row)
    return {role: total(own) for role, own in members.items()}


def _merged(orders: Sequence[Sequence[str]]) -> list[str]:
    """One order of all names: a name that only a later list has comes after what precedes it there."""
    merged: list[str] = []
    for order in orders:
        at = 0
        for name in order:
            if name in merged:
                at = merged.index(name) + 1
            else:
                merged.insert(at, name)
                at += 1
    return merged
