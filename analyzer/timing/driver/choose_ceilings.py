"""Chooses the roofline of each timed record: peaks measured on this machine, or a device's published specification."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from analyzer.records.record import Record
from analyzer.records.run_files import load_peaks
from analyzer.timing.machine.roofline import Ceilings, device_of, measured_ceilings, published_ceilings


def find_ceilings(
    records: Sequence[Record], device: Mapping[str, Any] | None
) -> tuple[Callable[[Record], Ceilings | None], str]:
    """A function from a record to its ceilings, and why there are none for any record ("" if there are).

    `device` is the specification of a named device, or None for this machine.
    """
    peaks = next((load_peaks(record.environment) for record in records if record.environment), [])

    def ceilings(record: Record) -> Ceilings | None:
        if record.mode != "inference" or record.measurement is None:
            return None
        if device:
            return published_ceilings(device, record.dtype)
        return measured_ceilings(peaks, record.environment, record.measurement.configuration)

    timed = [record for record in records if record.measurement and record.measurement.pass_timing]
    instrumented = [record for record in timed if record.measurement and record.measurement.operator_times_s]
    if any(ceilings(record) for record in instrumented):
        return ceilings, ""
    if instrumented:
        return ceilings, _missing(instrumented[0], peaks, device)
    return ceilings, "no pass was split into operators" if device and timed else ""


def _missing(record: Record, peaks: Sequence[Mapping[str, Any]], device: Mapping[str, Any] | None) -> str:
    """The missing data for a roofline, and the command that measures it."""
    assert record.measurement is not None
    configuration = record.measurement.configuration
    if configuration.training:
        return "memory traffic of a backward pass is not counted"
    if device:
        return f"{device['name']} has no specification for {configuration.dtype}"
    alternative = "pass --against DEVICE"
    if not configuration.device.startswith(("cpu", "cuda")):
        return f"peaks of {configuration.device} cannot be measured; {alternative}"
    on_cpu = configuration.device == "cpu"
    chip = "cpu" if on_cpu else (record.environment.get("gpu") or {}).get("name")
    kept = [peak for peak in peaks if device_of(peak) == chip]
    if not kept:
        return f"run `analyze machine` once, or {alternative}"
    threads = configuration.threads if on_cpu else 0
    dtypes = (configuration.dtype, "tf32") if configuration.dtype == "float32" else (configuration.dtype,)
    has_flops = any(peak["name"] in dtypes and peak["threads"] == threads for peak in kept)
    quantity = "memory" if has_flops else configuration.dtype
    if not on_cpu:
        return f"the saved peaks of {chip} lack {quantity}; run `analyze machine`, or {alternative}"
    counts = ",".join(map(str, sorted({threads, *(peak["threads"] for peak in kept)})))
    plural = "s" if threads != 1 else ""
    return (
        f"the saved peaks lack {quantity} on {threads} thread{plural}; run `analyze machine --threads {counts}`, or "
        f"{alternative}"
    )
