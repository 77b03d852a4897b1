"""Which records may be held against each other: those of one machine and configuration, and of one kind of pass."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from analyzer.records.record import Record
from analyzer.records.timings import Configuration

# What a stable key is made of, in its order.
PARTS = ("processor", "instructions or driver", "threads", "dtype", "layout", "compilation", "torch build")


def stable_key(found: Mapping[str, Any], configuration: Configuration) -> tuple[str, ...]:
    """What two timed records must have in common to be compared. Clock speed is recorded, not matched.

    Empty where the fingerprint is: such a record compares with none.
    """
    if not found:
        return ()
    processor, gpu = found.get("processor", {}), found.get("gpu")
    chip = gpu["name"] if gpu else f"{processor.get('model')} {' '.join(processor.get('family', []))}"
    torch = found.get("torch", {})
    return (
        str(chip),
        " ".join(processor.get("flags", [])) if not gpu else str(gpu.get("driver")),
        f"{configuration.threads} threads of {len(processor.get('affinity') or []) or processor.get('count')}",
        configuration.dtype,
        configuration.layout,
        "compiled" if configuration.compiled else "eager",
        f"torch {torch.get('version')} {torch.get('capability')}",
    )


def why_not(first: Record, other: Record) -> str | None:
    """Why one record must not be subtracted from another, or None if it may be. Of times and counts alike."""
    pairs = [("mode", first.mode, other.mode), ("dtype", first.dtype, other.dtype)]
    pairs.append(("batch", batch(first), batch(other)))
    if first.measurement and other.measurement:
        ours, theirs = (
            stable_key(one.environment, one.measurement.configuration) for one in (first, other) if one.measurement
        )
        if not ours or not theirs:
            return "the machine of one of them is unknown"
        caches = {False: "warm", True: "flushed"}
        pairs.append(
            ("caches", caches[first.measurement.configuration.flushed], caches[other.measurement.configuration.flushed])
        )
        pairs += [(part, one, two) for part, one, two in zip(PARTS, ours, theirs, strict=True)]
    apart = [f"{name} {one} against {two}" for name, one, two in pairs if one != two]
    return "; ".join(dict.fromkeys(apart)) or None


def batch(record: Record) -> str:
    """The batch that a record was counted at: the first size of its first input."""
    if record.measurement:
        return str(record.measurement.configuration.batch)
    return str(record.input[0][0]) if record.input and record.input[0] else "unknown"
