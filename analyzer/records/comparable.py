"""Decides whether two records may be compared: same machine, same configuration, same mode."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from analyzer.core.shapes import shape_text
from analyzer.records.record import Record
from analyzer.records.timings import Configuration

MAX_VALUES = 4  # Of a condition that differs between records.
# Names of the fields of a stable key, in order.
KEY_FIELDS = ("processor", "instructions or driver", "threads", "dtype", "layout", "compilation", "torch build",
              "interpreter", "allocator")  # fmt: skip


def stable_key(environment: Mapping[str, Any], configuration: Configuration) -> tuple[str, ...]:
    """The fields in which two timed records must agree, since they change speed. Clock speed and the patch release of
    Python are recorded but not matched.

    Empty for an empty environment: such a record cannot be compared with any other.
    """
    if not environment:
        return ()
    processor, gpu = environment.get("processor", {}), environment.get("gpu")
    chip = gpu["name"] if gpu else f"{processor.get('model')} {' '.join(processor.get('family', []))}"
    torch = environment.get("torch", {})
    return (
        str(chip),
        " ".join(processor.get("flags", [])) if not gpu else str(gpu.get("driver")),
        f"{configuration.threads} threads of {len(processor.get('affinity') or []) or processor.get('count')}",
        configuration.dtype,
        configuration.layout,
        "compiled" if configuration.compiled else "eager",
        f"torch {torch.get('version')} {torch.get('capability')}",
        "Python " + ".".join(str(environment.get("python", "unknown")).split(".")[:2]),
        str(environment.get("allocator", "unknown")),
    )


def incompatibility(first: Record, second: Record) -> str | None:
    """Why the times or counts of two records must not be subtracted, or None if they may be."""
    fields = [("mode", first.mode, second.mode), ("dtype", first.dtype, second.dtype)]
    fields.append(("batch", batch(first), batch(second)))
    if first.measurement and second.measurement:
        configurations = first.measurement.configuration, second.measurement.configuration
        first_key = stable_key(first.environment, configurations[0])
        second_key = stable_key(second.environment, configurations[1])
        if not first_key or not second_key:
            return "the machine of at least one record is unknown"
        first_caches, second_caches = ("flushed" if each.flushed else "warm" for each in configurations)
        fields += [("caches", first_caches, second_caches), *zip(KEY_FIELDS, first_key, second_key, strict=True)]
    differences = [f"{name} {before} against {after}" for name, before, after in fields if before != after]
    return "; ".join(dict.fromkeys(differences)) or None


def differences(records: Sequence[Record]) -> tuple[str, ...]:
    """The conditions in which counts differ, each with its values: `inputs differ: 8x3x224x224, 1x3x224x224`."""
    conditions = {
        "inputs": [_input_text(record) for record in records],
        "modes": [record.mode_text for record in records],
        "types": [record.dtype for record in records],
    }
    return tuple(
        f"{name} differ: {_some(list(dict.fromkeys(texts)))}" for name, texts in conditions.items() if len({*texts}) > 1
    )


def _input_text(record: Record) -> str:
    text = ", ".join(map(shape_text, record.input)) or "unknown"
    return f"({text})" if len(record.input) > 1 else text


def _some(texts: Sequence[str]) -> str:
    more = len(texts) - MAX_VALUES
    return ", ".join(texts[:MAX_VALUES]) + (f" and {more} more" if more > 0 else "")


def batch(record: Record) -> str:
    """The batch size at which a record was counted: the first dimension of its first input."""
    if record.measurement:
        return str(record.measurement.configuration.batch)
    return str(record.input[0][0]) if record.input and record.input[0] else "unknown"


def unique_names(records: Sequence[Record]) -> list[str]:
    """Unique labels: equal labels are extended by their differences, and finally by a number."""
    names = [record.label or "(no name)" for record in records]
    for texts in (
        [record.mode for record in records],
        [record.dtype for record in records],
        [f"batch {batch(record)}" for record in records],
        [", ".join(map(shape_text, record.input)) for record in records],
        [record.created or "" for record in records],
    ):
        for name in {name for name in names if names.count(name) > 1}:
            equal = [index for index, other in enumerate(names) if other == name]
            if len({texts[index] for index in equal}) > 1:
                for index in equal:
                    names[index] = f"{name} ({texts[index]})" if texts[index] else name
    return [
        f"{name} #{names[:index].count(name) + 1}" if names.count(name) > 1 else name
        for index, name in enumerate(names)
    ]
