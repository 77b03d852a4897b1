"""`analyze machine`: shows the fingerprint, measures peaks and keeps them for later runs on the same machine."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from analyzer.cli.messages import print_message
from analyzer.cli.output import emit
from analyzer.core.errors import AnalyzerError, one_line
from analyzer.records.run_files import PEAKS_VERSION, load_peaks, save_peaks
from analyzer.timing.machine.roofline import device_of


def run_machine(
    *, peaks: bool, threads: Sequence[int] | None, device: str | None, keep: bool, form: str, output: str | None
) -> int:
    """Returns 0, or 3 if a peak is void or a device could not be measured.

    Trusted peaks replace saved peaks of the same name, unit, thread count and device; other saved peaks are kept.
    Without `device`, measures the CPU and one GPU of each model. Raises AnalyzerError for a device that this machine
    lacks.
    """
    from analyzer.timing.driver.time_configurations import usable_processors
    from analyzer.timing.machine.contention import Contention
    from analyzer.timing.machine.fingerprint import fingerprint
    from analyzer.timing.machine.gpu import gpus
    from reports.timing.machine import tables

    counts = threads or sorted({1, usable_processors()})
    environment = {**fingerprint(), "gpus": gpus(), "signals": Contention(counts[-1]).signals()}
    devices = _devices(device, threads, environment["gpus"])
    measured, complete = _measure(devices, counts, environment["processor"]["caches"]) if peaks else ([], True)
    void = [peak for peak in measured if peak["quality"] == "void"]
    trusted = [peak for peak in measured if peak["quality"] != "void"]
    status = "failed" if void or not complete else "ok"
    envelope = {"schema_version": PEAKS_VERSION, "status": status, "environment": environment, "peaks": measured}
    emit(
        form, output, lambda: tables(environment, measured, wrapped=form == "table"),
        json=lambda: json.dumps(envelope, indent=1) + "\n",
    )  # fmt: skip
    if keep and trusted:
        merged = {_identity(peak): peak for peak in [*load_peaks(environment), *trusted]}
        print_message(f"kept in {save_peaks({**envelope, 'status': 'ok', 'peaks': list(merged.values())})}")
    if void:
        reason = void[0]["reason"]
        advice = "stop other processes and run again"
        print_message(f"{len(void)} of {len(measured)} peaks are void and not kept: {reason}; {advice}")
    return 0 if status == "ok" else 3


def _identity(peak: Mapping[str, Any]) -> tuple[Any, ...]:
    return peak["name"], peak["unit"], peak["threads"], device_of(peak)


def _devices(device: str | None, threads: Sequence[int] | None, gpus: Sequence[Mapping[str, Any]]) -> list[str]:
    """torch's names of the devices to measure: one GPU of each model."""
    from analyzer.timing.clock.clocks import clock_of

    if device is None:
        first = {gpu["name"]: f"cuda:{index}" for index, gpu in reversed(list(enumerate(gpus)))}
        return ["cpu", *sorted(first.values())]
    if device != "cpu" and threads:
        raise AnalyzerError(f"--threads is for the CPU; leave it out with --device {one_line(device)}")
    clock_of(device)
    return [device]


def _measure(
    devices: Sequence[str], counts: Sequence[int], caches: Sequence[Mapping[str, Any]]
) -> tuple[list[dict[str, Any]], bool]:
    """The peaks, and whether every device was measured: a device that fails does not stop the others."""
    from analyzer.cli.progress import progress_bar
    from analyzer.timing.peaks import cpu, gpu

    peaks, complete = [], True
    for device in devices:
        try:
            with progress_bar("measuring peaks") as report:
                if device == "cpu":
                    peaks += cpu.measure(counts, caches, report)
                else:
                    peaks += gpu.measure(device, report)
        except AnalyzerError as error:
            if len(devices) == 1:
                raise
            print_message(str(error))
            complete = False
    return [dict(vars(peak)) for peak in peaks], complete
