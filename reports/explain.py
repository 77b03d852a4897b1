"""The table of `analyze explain`: how the number of a module comes about, operator by operator."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from analyzer.core.errors import AnalyzerError, CannotMeasure, one_line
from analyzer.core.units import METRICS
from analyzer.records.record import Record
from analyzer.records.record_json import envelope
from analyzer.scaling.derivation import IN_TRAINING, Derivation, derive, number
from reports.table import Table, columns


def derivations(record: Record, metric: str) -> list[Derivation]:
    """The derivation of every row that contributes, in the order of execution."""
    return [derive(row, metric) for row in record.rows if number(row, metric)]


def table(record: Record, metric: str) -> Table:
    """A row per operator, and the sum. Memory: a row per term of the peak. Raises AnalyzerError as `require`."""
    require(record, metric)
    shapes = ", ".join("x".join(map(str, shape)) for shape in record.input)
    name = f"{record.label}{f', {record.module}' if record.module else ''}"
    title = f"{name}: {METRICS[metric].title}, input {shapes}"
    notes = [f"{METRICS[metric].title}: {METRICS[metric].meaning}."]
    titles = columns("operator", "derivation", left={"derivation"})
    if metric == "peak_memory":
        return _memory(record, title, notes)
    explained = derivations(record, metric)
    rows = [
        (f"{one_line(item.row.path) or 'model'} ({one_line(item.row.op)})", derivation_text(item)) for item in explained
    ]
    total = sum(item.value for item in explained)
    if len(explained) != 1:
        rows.append(("sum", f"{total:,}"))
    if record.network_totals is not None and total:
        whole = record.network_totals.value(metric) or 0
        notes.append(f"{total / whole:.1%} of the {whole:,} of the whole network.".replace("%", " %"))
    if lacking := [item for item in explained if not item.terms]:
        numbers = "1 number" if len(lacking) == 1 else f"{len(lacking)} numbers"
        notes.append(f"Counted, not derived from an operator's shapes alone: {numbers}.")
    return Table(title, titles, tuple(rows), prose=True, notes=tuple(notes))


def require(record: Record, metric: str) -> None:
    """Raises AnalyzerError if the record has no such number: no backward pass, or memory of one module."""
    if metric in IN_TRAINING and record.totals.backward_macs is None:
        raise AnalyzerError(f"{metric} is counted in training only; add --train")
    if metric == "peak_memory" and record.module is not None:
        raise AnalyzerError("peak_memory applies to the whole model; leave out the module")
    if metric == "peak_memory" and record.memory is None:
        raise CannotMeasure(f"{one_line(record.label)}: its memory could not be counted; see analyze --memory")


def _memory(record: Record, title: str, notes: Sequence[str]) -> Table:
    assert record.memory is not None
    terms = record.memory.terms()
    rows = [(name, f"{value:,}") for name, value in terms.items() if value]
    rows.append(("sum", f"{sum(terms.values()):,}"))
    where = f"The activations peak in {one_line(record.memory.peak_path)}." if record.memory.peak_path else ""
    return Table(title, columns("part", "bytes"), tuple(rows), notes=(*notes, *([where] if where else [])))


def derivation_text(item: Derivation) -> str:
    """`batch · out channels · … = 1 · 48 · … = 3,763,200`; several terms as a sum."""
    if not item.terms:
        return f"{item.value:,}"
    symbols = " + ".join(term.symbols for term in item.terms)
    numbers = " + ".join(term.numbers for term in item.terms)
    if numbers == f"{item.value:,}":
        return f"{symbols} = {numbers}"
    return f"{symbols} = {numbers} = {item.value:,}"


def dump(record: Record, metric: str) -> str:
    """JSON: the value and terms of every row; of memory, the terms of the peak. Raises AnalyzerError as `table`."""
    require(record, metric)
    rows: list[dict[str, Any]] = [
        {
            "path": item.row.path,
            "op": item.row.op,
            "call": item.row.call,
            "value": item.value,
            "terms": [
                {"name": term.name, "factors": [[factor.name, factor.value] for factor in term.factors]}
                for term in item.terms
            ],
        }
        for item in (derivations(record, metric) if metric != "peak_memory" else ())
    ]
    if metric == "peak_memory" and record.memory is not None:
        rows = [{"name": name, "value": value} for name, value in record.memory.terms().items() if value]
    value = sum(row["value"] for row in rows)
    return envelope("ok", version=1, model=record.label, module=record.module, metric=metric, value=value, rows=rows)
