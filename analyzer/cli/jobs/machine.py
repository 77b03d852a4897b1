"""`analyze machine`: the fingerprint, and peaks that are kept for later runs on the same machine."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from analyzer.cli.messages import print_message
from analyzer.cli.output import emit_tables, write
from analyzer.core.errors import AnalyzerError, one_line
from analyzer.records.store import PEAKS_VERSION, keep_peaks, kept_peaks
from analyzer.timing.machine.roofline import on_device


def run(
    *, peaks: bool, threads: Sequence[int] | None, device: str | None, keep: bool, form: str, output: str | None
) -> int:
    """Measures the peaks, prints them below the fingerprint, keeps those that can be trusted; if not all can, status 3.

    What was kept of this machine before stays, where it was not measured anew. Without `device` the processor is
    measured, and of GPUs one of each name. Raises AnalyzerError for a device that is not here.
    """
    from analyzer.timing.driver.measure import processors
    from analyzer.timing.machine.contention import Contention
    from analyzer.timing.machine.fingerprint import fingerprint
    from analyzer.timing.machine.gpu import gpus

    counts = threads or sorted({1, processors()})
    found = {**fingerprint(), "gpus": gpus(), "signals": Contention(counts[-1]).signals()}
    chosen = _chosen(device, threads, found["gpus"])
    measured, complete = _measured(chosen, counts, found) if peaks else ([], True)
    void = [peak for peak in measured if peak["quality"] == "void"]
    status = "failed" if void or not complete else "ok"
    data = {"schema_version": PEAKS_VERSION, "status": status, "environment": found, "peaks": measured}
    if form == "json":
        write(json.dumps(data, indent=1) + "\n", output)
    else:
        from reports.timing.machine import tables

        emit_tables(tables(found, measured, wrapped=form == "table"), form, output)
    clean = [peak for peak in measured if peak["quality"] != "void"]
    if keep and clean:
        together = {_what(peak): peak for peak in [*kept_peaks(found), *clean]}
        print_message(f"kept in {keep_peaks({**data, 'status': 'ok', 'peaks': list(together.values())})}")
    if void:
        print_message(f"{len(void)} of {len(measured)} peaks are void, and not kept: {void[0]['reason']}; run it again alone")
    return 0 if status == "ok" else 3


def _what(peak: Mapping[str, Any]) -> tuple[Any, ...]:
    return peak["name"], peak["unit"], peak["threads"], on_device(peak)


def _chosen(device: str | None, threads: Sequence[int] | None, gpus: Sequence[Mapping[str, Any]]) -> list[str]:
    """What to measure, by torch's names: one GPU stands for all of its name."""
    from analyzer.timing.clock.clocks import clock_of

    if device is None:
        first = {gpu["name"]: f"cuda:{index}" for index, gpu in reversed(list(enumerate(gpus)))}
        return ["cpu", *sorted(first.values())]
    if device != "cpu" and threads:
        raise AnalyzerError(f"--threads is for the processor; leave it out with --device {one_line(device)}")
    clock_of(device)
    return [device]


def _measured(
    devices: Sequence[str], counts: Sequence[int], found: Mapping[str, Any]
) -> tuple[list[dict[str, Any]], bool]:
    """The peaks, and whether every device was measured: one that cannot be takes nothing from the others."""
    from analyzer.cli.progress import progress_bar
    from analyzer.timing.peaks import cpu as peaks
    from analyzer.timing.peaks import gpu as gpu_peaks

    measured, complete = [], True
    for device in devices:
        try:
            with progress_bar("measuring peaks") as tell:
                if device == "cpu":
                    measured += peaks.measure(counts, found["processor"]["caches"], tell)
                else:
                    measured += gpu_peaks.measure(device, tell)
        except AnalyzerError as error:
            if len(devices) == 1:
                raise
            print_message(str(error))
            complete = False
    return [dict(vars(peak)) for peak in measured], complete
