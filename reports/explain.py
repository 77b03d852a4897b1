"""The table of `analyze explain`: how the number of a module comes about, operator by operator."""

from __future__ import annotations

import json

from analyzer.core.errors import one_line
from analyzer.core.units import METRICS
from analyzer.records.record import Record
from analyzer.scaling.derivation import Derivation, derive, number
from reports.table import Table, columns


def derivations(record: Record, metric: str) -> list[Derivation]:
    """The derivation of every row that contributes, in the order of execution."""
    return [derive(row, metric) for row in record.rows if number(row, metric)]


def table(record: Record, metric: str) -> Table:
    """A row per operator, and the sum."""
    explained = derivations(record, metric)
    rows = [
        (f"{one_line(item.row.path) or 'model'} ({one_line(item.row.op)})", derivation_text(item)) for item in explained
    ]
    total = sum(item.value for item in explained)
    if len(explained) > 1:
        rows.append(("sum", f"{total:,}"))
    notes = [f"{METRICS[metric].title}: {METRICS[metric].meaning}."]
    if record.network_totals is not None and total:
        whole = record.network_totals.value(metric) or 0
        notes.append(f"{total / whole:.1%} of the {whole:,} of the whole network.".replace("%", " %"))
    if lacking := [item for item in explained if not item.terms]:
        notes.append(f"{len(lacking)} numbers cannot be derived from the operator's shapes alone; they are counted.")
    shapes = ", ".join("x".join(map(str, shape)) for shape in record.input)
    title = f"{record.label}{f', {record.module}' if record.module else ''}: {METRICS[metric].title}, input {shapes}"
    return Table(title, columns("operator", "derivation", left={"derivation"}), tuple(rows), prose=True,
                 notes=tuple(notes))  # fmt: skip


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
    """JSON: the value and terms of every row."""
    rows = [
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
        for item in derivations(record, metric)
    ]
    data = {
        "schema_version": 1,
        "status": "ok",
        "model": record.label,
        "module": record.module,
        "metric": metric,
        "value": sum(row["value"] for row in rows),  # type: ignore[misc]
        "rows": rows,
    }
    return json.dumps(data, indent=1, ensure_ascii=False) + "\n"
