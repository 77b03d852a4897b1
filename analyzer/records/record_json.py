"""Writes records as JSON and reads them. Reading a damaged file or another schema version raises an error with its
name."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from analyzer.core.errors import AnalyzerError
from analyzer.core.frozen import Frozen
from analyzer.core.serialize import from_json, to_json
from analyzer.records.comparison import Comparison
from analyzer.records.memory import Memory
from analyzer.records.note import Note
from analyzer.records.record import Record
from analyzer.records.timings import Measurement
from analyzer.records.upgrade import upgrade_from_1

SCHEMA_VERSION = 2
READABLE_VERSIONS = (1, 2)
# Optional keys of a record's JSON, left out when empty: fields of the record and of its count. `strict_notes` are the
# notes that make `--strict` fail.
RECORD_KEYS = ("notes", "strict_notes", "module", "network_totals", "environment", "commit", "created")
WANTED = "wanted a file written by analyze --format json or Record.save"
NOTE_KEYS = RECORD_KEYS[:2]
COUNT_KEYS = ("unknown_in", "as_if_dense", "types")


def dump(
    records: Sequence[Record],
    comparison: Comparison | None = None,
    *,
    status: str = "ok",
    more: Callable[[Record], Mapping[str, Any]] = lambda record: {},
) -> str:
    """The envelope as text, with a final newline. `more` gives further keys of a record, which `load` ignores."""
    content: dict[str, Any] = {"records": [{**record_to_json(record), **more(record)} for record in records]}
    if comparison:
        content["comparison"] = [
            {**to_json(compared), "difference": compared.difference, "ratio": compared.ratio}
            for compared in comparison.metrics
        ]
    return envelope(status, **content)


def listing(records: Mapping[str, Record], titles: Mapping[str, str]) -> str:
    """`analyze list` as JSON: the totals of every variant."""
    variants = [
        {"model": name, "title": titles[name], "input": to_json(record.input), "totals": to_json(record.totals)}
        for name, record in records.items()
    ]
    return envelope("ok", variants=variants)


def envelope(status: str, *, version: int = SCHEMA_VERSION, **content: Any) -> str:
    """A result as JSON text with a final newline: the version of its schema, its status, its content."""
    return pretty({"schema_version": version, "status": status, **content}) + "\n"


def pretty(value: Any, indent: int = 0, depth: int = 4) -> str:
    """JSON in ASCII to read and diff: items of the `depth` outer levels on lines of their own, deeper ones inline."""
    if depth == 0 or not value or not isinstance(value, dict | list):
        return json.dumps(value)
    items = (
        [f"{json.dumps(key)}: {pretty(item, indent + 1, depth - 1)}" for key, item in value.items()]
        if isinstance(value, dict)
        else [pretty(item, indent + 1, depth - 1) for item in value]
    )
    start, end = "{}" if isinstance(value, dict) else "[]"
    margin = " " * (indent + 1)
    return f"{start}\n{margin}" + f",\n{margin}".join(items) + f"\n{' ' * indent}{end}"


def load(text: str, *, name: str = "input") -> list[Record]:
    """The records of an envelope. Raises AnalyzerError, naming `name`, for text that is not such an envelope."""
    try:
        data = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise AnalyzerError(f"{name} is not JSON ({error}); {WANTED}") from None
    if not isinstance(data, dict) or "schema_version" not in data or "records" not in data:
        raise AnalyzerError(f"{name} is not a record; {WANTED}")
    version = data["schema_version"]
    if version not in READABLE_VERSIONS:
        raise AnalyzerError(
            f"{name} has schema version {version!r:.40}; this analyze reads 1 to {SCHEMA_VERSION}: "
            "write it again with this version"
        )
    try:
        upgrade = upgrade_from_1 if version == 1 else dict
        return [record_from_json(upgrade(record)) for record in data["records"]]
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise AnalyzerError(f"{name} is damaged ({type(error).__name__}: {str(error)[:200]}); write it again") from None


def record_to_json(record: Record) -> dict[str, Any]:
    content = _content(record)
    sums = {
        "totals": {**to_json(record.totals), **record.totals.step},
        "modules": [_with_totals(to_json(module)) | module.totals.step for module in record.modules],
    }
    data: dict[str, Any] = {}
    for key, value in content.items():
        if key == "rows":
            data |= {"totals": sums["totals"], "rows": to_json(value), "modules": sums["modules"]}
        else:
            data[key] = value
    return data


def compact(record: Record) -> str:
    """The record in one line, without the totals and modules that `record_from_json` computes: a tenth of the time."""
    return _ENCODER.encode(_content(record))


def _content(record: Record) -> dict[str, Any]:
    """What `record_from_json` reads: JSON values, and the rows as they are."""
    count = record.count
    data: dict[str, Any] = {
        "model": record.model,
        "input": to_json(record.input),
        "mode": record.mode,
        "dtype": record.dtype,
        "counter": count.counter,
        "overrides": dict(record.overrides),
        "rows": count.rows,
        "unknown_ops": dict(count.unknown_ops),
        "agreement": record.agreement and _without(to_json(record.agreement), "rows"),
    }
    data |= {key: to_json(value) for key in COUNT_KEYS if (value := getattr(count, key))}
    if record.memory:
        data["memory"] = memory_to_json(record.memory)
    data |= {key: to_json(value) for key in RECORD_KEYS if (value := getattr(record, key))}
    if record.measurement:
        measurement = to_json(record.measurement)
        data |= {"measurement": measurement, "timings": measurement.pop("timings")}
    return data


def _fields(data: Frozen) -> dict[str, Any]:
    """A row for the encoder, as `to_json` writes it: its shapes are tuples, which the encoder writes as lists."""
    return {name: value for name, value in vars(data).items() if value is not None}


_ENCODER = json.JSONEncoder(separators=(",", ":"), default=_fields)


def _with_totals(module: dict[str, Any]) -> dict[str, Any]:
    totals: dict[str, Any] = module.pop("totals")
    return module | totals


def _without(data: Mapping[str, Any], *keys: str) -> dict[str, Any]:
    return {name: value for name, value in data.items() if name not in keys}


def memory_to_json(memory: Memory) -> dict[str, Any]:
    """Bytes, with the terms of the peak, their sum, the peak with each optimizer, and one entry per module."""
    data = to_json(memory)
    terms = memory.terms(memory.optimizer)
    peaks = {name: memory.total(name) for name in memory.optimizers}
    return {**data, "terms": terms, "peak": sum(terms.values()), "peak_with": peaks, "modules": data["modules"]}


def record_from_json(data: Mapping[str, Any]) -> Record:
    """The record that `record_to_json` wrote. Sums are computed from the rows and not read."""
    memory = data.get("memory")
    count = {key: data[key] for key in ("counter", "rows", "unknown_ops")}
    fields = {key: data[key] for key in ("model", "input", "mode", "dtype", "overrides", "agreement")}
    record = from_json(
        Record,
        {
            **fields,
            **{key: data[key] for key in RECORD_KEYS if key in data and key not in NOTE_KEYS},
            "count": {**count, **{key: data[key] for key in COUNT_KEYS if key in data}},
            "memory": memory and _without(memory, "terms", "peak", "peak_with"),
        },
    )
    record = record.replace(notes=_notes(*(data.get(key, []) for key in NOTE_KEYS)))
    if "timings" not in data:
        return record
    measurement = from_json(Measurement, {**data["measurement"], "timings": data["timings"]})
    if any(not sample >= 0 for timing in measurement.timings for sample in timing.samples_s):
        raise ValueError("a sample is not a number of seconds")
    return record.replace(measurement=measurement)


def _notes(texts: Any, strict: Any) -> tuple[Note, ...]:
    if not all(isinstance(values, list) and all(type(value) is str for value in values) for values in (texts, strict)):
        raise TypeError("notes are not a list of texts")
    return tuple(Note(text, strict=text in strict) for text in texts)
