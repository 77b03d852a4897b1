"""A result as a row of the database and back. Columns are computed from the record, which stays whole as JSON."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from math import isfinite
from types import NoneType
from typing import Any

from analyzer.core.errors import AnalyzerError, one_line, quoted
from analyzer.core.parse_inputs import overrides_text
from analyzer.core.serialize import from_json, to_json
from analyzer.core.shapes import shape_text
from analyzer.database.columns import COLUMNS, DOCUMENTS, Kind
from analyzer.records.record import Record
from analyzer.records.record_json import compact, record_from_json
from analyzer.records.sweep_result import Case, Result
from analyzer.records.timings import Measurement
from analyzer.records.validate import use_record

BATCH = 500  # Rows per transaction, and per row group of a file.
MACHINE_DIGITS = 12
RESULT_KEYS = ("key", "status", "reason", "run", "host", "started", "ended", "attempts")


def encode(result: Result) -> dict[str, Any]:
    """The row: one value per column, and the documents `record` (None if there is none) and `case` as JSON text."""
    case, record = result.case, result.record
    configuration = case.configuration
    row: dict[str, Any] = {
        "key": result.key,
        "run": result.run,
        "status": result.status,
        "reason": result.reason,
        "model": case.model,
        "overrides": overrides_text(case.overrides),
        "device": configuration.device,
        "dtype": configuration.dtype,
        "layout": configuration.layout,
        "mode": configuration.mode,
        "input": ",".join(case.inputs),
        "measure": ",".join(case.measure),
        "host": result.host,
        "created": result.ended,
        "started": result.started,
        "ended": result.ended,
        **NO_RECORD,
    }
    if record:
        row |= _counts(record) | _machine(record.environment)
        row["input"] = ",".join(_without_batch(shape, configuration.batch) for shape in record.input) or row["input"]
        row["commit"] = record.commit or ""
        row["created"] = record.created or result.ended
        if record.measurement:
            row |= _times(record.measurement)
    row = {name: value if type(value) is not str or value.isprintable() else one_line(value)
           for name, value in row.items()}  # fmt: skip
    return row | {
        "batch": configuration.batch,
        "threads": configuration.threads,
        "compiled": configuration.compiled,
        "flushed": configuration.flushed,
        "attempts": result.attempts,
        "record": compact(record) if record else None,
        "case": json.dumps(to_json(case), separators=(",", ":")),
    }


# Of the values in a column, or a document as text. SQLite keeps a whole number of more than 63 bits as a float.
KINDS: dict[Kind, tuple[type, ...]] = {
    "text": (str,),
    "integer": (int, float, NoneType),
    "number": (int, float, NoneType),
    "boolean": (bool,),
}
CLASSES = {column.name: KINDS[column.kind] for column in COLUMNS} | dict.fromkeys(DOCUMENTS, (str, NoneType))
# The columns that are computed from a record.
NO_RECORD: dict[str, Any] = {
    **dict.fromkeys(("params", "macs", "flops", "activations", "traffic", "peak_memory")),
    **dict.fromkeys(("time_s", "time_low_s", "time_high_s")),
    **dict.fromkeys(("quality", "machine", "processor", "gpu", "torch", "commit"), ""),
}


def _counts(record: Record) -> dict[str, int | None]:
    totals, memory = record.totals, record.memory
    return {
        "params": totals.params,
        "macs": totals.macs,
        "flops": totals.flops,
        "activations": totals.activations,
        "traffic": totals.traffic,
        "peak_memory": memory.total(memory.optimizer) if memory else None,
    }


def _without_batch(shape: tuple[int, ...], batch: int) -> str:
    return shape_text(shape[1:] if len(shape) > 1 and shape[0] == batch else shape)


def _machine(environment: Mapping[str, Any]) -> dict[str, str]:
    """What a machine is called, and the hash of what its times depend on besides torch and the configuration."""
    if not environment:
        return {}
    processor, gpu = environment.get("processor", {}), environment.get("gpu")
    model = str(processor.get("model") or "")
    parts = [model, processor.get("family"), processor.get("flags"), len(processor.get("affinity") or ())]
    if gpu:
        parts = [gpu["name"], gpu.get("driver")]
    digest = hashlib.sha256(json.dumps(parts).encode()).hexdigest()
    return {
        "machine": digest[:MACHINE_DIGITS],
        "processor": model,
        "gpu": str(gpu["name"]) if gpu else "",
        "torch": str(environment.get("torch", {}).get("version") or ""),
    }


def _times(measurement: Measurement) -> dict[str, Any]:
    """The median pass in seconds with its 95 % confidence interval; without ends if one process has one sample."""
    timing = measurement.pass_timing
    if timing is None or not timing.samples_s:
        return {}
    from analyzer.timing.statistics import confidence_interval  # Imports numpy: not for counts.

    low, high = confidence_interval(timing)
    return {
        "time_s": timing.median_s,
        "time_low_s": low if isfinite(low) else None,
        "time_high_s": high if isfinite(high) else None,
        "quality": measurement.quality,
    }


def row_of(names: Sequence[str], values: Sequence[Any]) -> dict[str, Any]:
    """The row of a search. Raises AnalyzerError for a value of another type than its column: SQLite stores any type."""
    row = dict(zip(names, values, strict=True))
    if not all(map(isinstance, values, map(CLASSES.__getitem__, names))):
        name, value = next((name, row[name]) for name in names if not isinstance(row[name], CLASSES[name]))
        problem = f"the column {name} is {quoted(repr(value)[:80])}; analyze history prune deletes it"
        raise AnalyzerError(f"the result {quoted(str(row.get('key'))[:80])} is damaged: {problem}")
    return row


def decode(row: Mapping[str, Any]) -> Result:
    """The result that `encode` wrote; its documents may be parsed. Raises AnalyzerError if the row is damaged."""
    try:
        case = from_json(Case, _parsed(row["case"]))
        result = from_json(Result, {name: row[name] for name in RESULT_KEYS} | {"case": to_json(case)})
        if not row["record"]:
            return result
        record = record_from_json(_parsed(row["record"]))
        return result.replace(record=use_record(record, "its record", lambda record: record))
    except (AnalyzerError, AttributeError, KeyError, TypeError, ValueError, RecursionError) as error:
        name = quoted(str(row.get("key"))[:80])
        raise AnalyzerError(f"the result {name} is damaged ({type(error).__name__}: {one_line(error)[:200]})") from None


def _parsed(document: Any) -> Any:
    return json.loads(document) if isinstance(document, str) else document


def batches(rows: Iterable[Mapping[str, Any]]) -> Iterator[list[Mapping[str, Any]]]:
    """Lists of BATCH rows, the last one of those that are left."""
    remaining = iter(rows)
    while batch := list(islice(remaining, BATCH)):
        yield batch
