"""Records as JSON, both ways, in one envelope. Another schema version, or what is no record, is refused by name."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from analyzer.core.errors import AnalyzerError
from analyzer.records.agreement import Agreement, Difference
from analyzer.records.comparison import Comparison
from analyzer.records.record import ROW_KEYS, TOTAL_KEYS, Count, Memory, ModuleMemory, Record, Row, Totals
from analyzer.records.timings import Measurement
from analyzer.records.upgrade import upgrade_from_1

SCHEMA_VERSION = 2
READABLE_VERSIONS = (1, 2)
# Every other field of a row is a whole number.
ROW_TYPES = {"path": str, "role": str, "op": str, "inputs": tuple, "outputs": tuple}


def dump(records: Sequence[Record], comparison: Comparison | None = None, *, status: str = "ok") -> str:
    """The envelope as text, with a final newline."""
    envelope: dict[str, Any] = {
        "schema_version": SCHEMA_VERSION,
        "status": status,
        "records": [record_to_json(record) for record in records],
    }
    if comparison:
        envelope["comparison"] = [
            {
                "path": line.path,
                "metric": line.metric,
                "values": dict(line.values),
                "difference": line.difference,
                "ratio": line.ratio,
            }
            for line in comparison.lines
        ]
    return pretty(envelope) + "\n"


def listing(records: Mapping[str, Record], titles: Mapping[str, str]) -> str:
    """`analyze list` as JSON: a line a variant, totals only."""
    variants = [
        {"model": name, "title": titles[name], "input": _lists(record.input), "totals": totals_to_json(record.totals)}
        for name, record in records.items()
    ]
    return pretty({"schema_version": SCHEMA_VERSION, "status": "ok", "variants": variants}) + "\n"


def pretty(value: Any, indent: int = 0, depth: int = 4) -> str:
    """JSON in ASCII that a person can read and diff: the outer levels a line an item, a row or a module on one line."""
    if depth == 0 or not value or not isinstance(value, dict | list):
        return json.dumps(value)
    inside = (
        [f"{json.dumps(key)}: {pretty(item, indent + 1, depth - 1)}" for key, item in value.items()]
        if isinstance(value, dict)
        else [pretty(item, indent + 1, depth - 1) for item in value]
    )
    start, end = "{}" if isinstance(value, dict) else "[]"
    margin = " " * (indent + 1)
    return f"{start}\n{margin}" + f",\n{margin}".join(inside) + f"\n{' ' * indent}{end}"


def load(text: str, *, name: str = "input") -> list[Record]:
    """The records of an envelope. Raises AnalyzerError, naming `name`, for text that is not one of ours."""
    try:
        envelope = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise AnalyzerError(f"{name} is not JSON ({error}); wanted a file written by analyze --format json") from None
    if not isinstance(envelope, dict) or "schema_version" not in envelope or "records" not in envelope:
        raise AnalyzerError(f"{name} is not a record of ours; wanted a file written by analyze --format json")
    version = envelope["schema_version"]
    if version not in READABLE_VERSIONS:
        raise AnalyzerError(
            f"{name} has schema version {version!r}; this analyze reads 1 to {SCHEMA_VERSION}: "
            "write it again with this version"
        )
    try:
        upgrade = upgrade_from_1 if version == 1 else dict
        return [record_from_json(upgrade(record)) for record in envelope["records"]]
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise AnalyzerError(f"{name} is damaged ({type(error).__name__}: {error}); write it again") from None


def record_to_json(record: Record) -> dict[str, Any]:
    agreement = record.agreement
    data: dict[str, Any] = {
        "model": record.model,
        "input": _lists(record.input),
        "mode": record.mode,
        "dtype": record.dtype,
        "counter": record.count.counter,
        "overrides": dict(record.overrides),
        "totals": totals_to_json(record.totals),
        "rows": [row_to_json(row) for row in record.rows],
        "modules": [
            {
                "path": module.path,
                "role": module.role,
                "inputs": _lists(module.inputs),
                "outputs": _lists(module.outputs),
                **totals_to_json(module.totals),
            }
            for module in record.modules
        ],
        "unknown_ops": dict(record.unknown_ops),
        "agreement": agreement
        and {
            "counters": list(agreement.counters),
            "differences": [
                {"path": difference.path, "metric": difference.metric, "values": dict(difference.values)}
                for difference in agreement.differences
            ],
            "lacks": dict(agreement.lacks),
        },
    }
    if record.count.unknown_in:
        data["unknown_in"] = {op: dict(calls) for op, calls in record.count.unknown_in.items()}
    if record.count.as_if_dense:
        data["as_if_dense"] = dict(record.count.as_if_dense)
    if record.memory:
        data["memory"] = memory_to_json(record.memory)
    if record.notes:
        data["notes"] = list(record.notes)
    if record.module is not None:
        data["module"] = record.module
    if record.network_totals is not None:
        data["network_totals"] = totals_to_json(record.network_totals)
    if record.measurement:
        data |= record.measurement.to_json()
    data |= {key: value for key in ("environment", "commit", "created") if (value := getattr(record, key))}
    return data


def memory_to_json(memory: Memory) -> dict[str, Any]:
    """Bytes, the peak among them, and a line a module."""
    figures = {key: value for key, value in vars(memory).items() if key != "modules"}
    return {**figures, "peak": memory.peak, "modules": [dict(vars(module)) for module in memory.modules]}


def memory_from_json(data: Mapping[str, Any]) -> Memory:
    figures = {key: data[key] for key in Memory.fields if key != "modules"}
    return Memory(**figures, modules=tuple(ModuleMemory(**module) for module in data["modules"]))


def row_to_json(row: Row) -> dict[str, Any]:
    """A row's fields in order; shapes as lists."""
    data = {key: getattr(row, key) for key in ROW_KEYS if getattr(row, key) is not None}
    return {**data, "inputs": _lists(row.inputs), "outputs": _lists(row.outputs)}


def totals_to_json(totals: Totals) -> dict[str, int]:
    return {key: getattr(totals, key) for key in TOTAL_KEYS if getattr(totals, key) is not None}


def record_from_json(data: Mapping[str, Any]) -> Record:
    """The record that `record_to_json` wrote; sums are computed again from its rows, never read."""
    agreement, network = data["agreement"], data.get("network_totals")
    return Record(
        model=data["model"],
        input=_tuples(data["input"]),
        mode=data["mode"],
        dtype=data["dtype"],
        overrides=dict(data["overrides"].items()),
        count=Count(
            data["counter"],
            tuple(map(_row_from_json, data["rows"])),
            dict(data["unknown_ops"].items()),
            dict(data.get("as_if_dense", {}).items()),
            {op: dict(calls.items()) for op, calls in data.get("unknown_in", {}).items()},
        ),
        memory=memory_from_json(data["memory"]) if "memory" in data else None,
        notes=tuple(data.get("notes", ())),
        agreement=agreement
        and Agreement(
            tuple(agreement["counters"]),
            tuple(Difference(**difference) for difference in _deep(agreement["differences"])),
            agreement.get("lacks", {}),
        ),
        module=data.get("module"),
        network_totals=network and Totals(**network),
        measurement=Measurement.from_json(data) if "timings" in data else None,
        environment=dict(data.get("environment", {}).items()),
        commit=data.get("commit"),
        created=data.get("created"),
    )


def _deep(value: Any) -> Any:
    if isinstance(value, list):
        return tuple(map(_deep, value))
    return {key: _deep(item) for key, item in value.items()} if isinstance(value, dict) else value


def _row_from_json(data: Mapping[str, Any]) -> Row:
    row = Row(**{**data, "inputs": _tuples(data["inputs"]), "outputs": _tuples(data["outputs"])})
    for key in ROW_KEYS:
        value = getattr(row, key)
        if type(value) is not ROW_TYPES.get(key, int) and not (key == "backward_macs" and value is None):
            raise TypeError(f"{key} is {value!r}")
    return row


def _lists(shapes: Sequence[Sequence[int]]) -> list[list[int]]:
    return [list(shape) for shape in shapes]


def _tuples(shapes: Sequence[Sequence[int]]) -> tuple[tuple[int, ...], ...]:
    return tuple(tuple(shape) for shape in shapes)
