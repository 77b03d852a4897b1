"""`analyze time`: from the command line to records, tables and a file, with nothing lost on the way."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Any

from analyzer.cli.messages import print_message
from analyzer.cli.output import emit_tables, write
from analyzer.core.errors import AnalyzerError
from analyzer.core.inputs import parse_input
from analyzer.core.signals import ended_as_interrupted, uninterrupted
from analyzer.networks.variants import variants
from analyzer.records.record import Record
from analyzer.records.store import kept_peaks, save
from analyzer.timing.driver.advice import advice
from analyzer.timing.driver.measure import configurations, measured, processors, requests, shares
from analyzer.timing.machine.devices import device as known_device
from analyzer.timing.machine.devices import devices
from analyzer.timing.machine.roofline import on_device

if TYPE_CHECKING:
    from analyzer.timing.machine.roofline import Ceilings


def run(
    *,
    names: Sequence[str],
    references: Sequence[str],
    changes: Sequence[str],
    inputs: Sequence[str],
    batches: Sequence[int],
    threads: Sequence[int] | None,
    dtypes: Sequence[str],
    layouts: Sequence[str],
    training: bool,
    compiled: bool,
    device: str,
    budget_s: float,
    processes: int | None,
    kernels: bool,
    replay: bool,
    flush: bool,
    trace: str | None,
    keep: bool,
    against: str | None,
    depth: int,
    form: str,
    output: str | None,
) -> int:
    """Returns 3 if a measurement could not be measured or is void, 130 if it was interrupted; what was measured is shown."""
    from analyzer.cli.progress import progress_bar

    if against == "?":
        write("".join(f"{one['name']} ({one['confidence']})\n" for one in devices().values()), output)
        return 0
    if not names and not references:
        raise AnalyzerError("nothing to time: give --variant NAME or --model REF; see analyze list")
    for text in inputs:
        parse_input(text)
    if not isfinite(budget_s):
        raise AnalyzerError(f"--budget {budget_s} is no number of seconds; wanted 1 to 3600")
    chosen = variants(names, changes)
    if against is not None:
        known_device(against)
    mode = "training" if training else "inference"
    everywhere: dict[str, Any] = {"mode": mode, "compiled": compiled, "device": device, "flushed": flush}
    measurements = configurations(batches, threads or [processors()], dtypes, layouts, **everywhere)
    how = {"kernels": kernels, "replay": replay, "trace": str(Path(trace).resolve()) if trace else None}
    wanted = requests(chosen, references, inputs, measurements, **shares(budget_s, processes), **how)
    if trace == "-":
        raise AnalyzerError("--trace writes a file, not to the terminal; give it a name")
    if trace and len(wanted) > 1:
        raise AnalyzerError(f"--trace takes one model at one configuration; this asks for {len(wanted)}")
    before = _written(trace)
    with ended_as_interrupted(), progress_bar("timing") as tell:
        found = measured(wanted, processes=processes, tell=tell)
    records = [_told(record, found.records) for record in found.records]
    if trace and _written(trace) != before:
        print_message(f"wrote {trace}")
    timed = any(record.measurement and record.measurement.timings for record in records)
    if not found.complete and timed and keep:
        with uninterrupted():  # First of all: somebody impatient may interrupt the tables too.
            _keep_at_least(records)
        keep = False
    try:
        _emit(records, found.complete, depth, against, form, output)
        sys.stdout.flush()  # Whether it fits is to be known now, while it can be kept.
    except BaseException as error:
        unwritten = isinstance(error, AnalyzerError | OSError) and not isinstance(error, BrokenPipeError)
        if timed and (keep or unwritten):  # It could not be written where it was wanted, and took long.
            _keep_at_least(records)
        raise
    if timed and keep:
        _keep(records)  # After it was shown: a full disk loses no result.
    if not found.complete:
        print_message("interrupted: what was measured is shown, marked partial")
        return 130
    return (
        3
        if any(
            record.measurement and "void" in (record.measurement.quality, record.measurement.operator_quality[0])
            for record in records
        )
        else 0
    )


def _written(trace: str | None) -> int | None:
    """When the trace was last written."""
    return Path(trace).stat().st_mtime_ns if trace and Path(trace).exists() else None


def _told(record: Record, records: Sequence[Record]) -> Record:
    """With what the run teaches, and the peaks of this machine where they are kept: a report draws its roofline."""
    environment = record.environment
    if environment and (peaks := kept_peaks(environment)):
        environment = {**environment, "peaks": peaks}
    return record.replace(notes=(*record.notes, *advice(record, records)), environment=environment)


def _keep(records: Sequence[Record]) -> None:
    """A file, and its place in the index of `analyze history`, which finds the file all the same where that fails."""
    from analyzer.history import index as database

    path = save(records)
    print_message(f"kept in {path}")
    try:
        database.index(path, path.parents[2])
    except AnalyzerError as error:
        print_message(f"{error}; the run is kept, and analyze history reads its file")


def _keep_at_least(records: Sequence[Record]) -> None:
    """While another error is on its way: one of our own must not take its place."""
    try:
        _keep(records)
    except AnalyzerError as error:
        print_message(str(error))


def _emit(
    records: Sequence[Record], complete: bool, depth: int, device: str | None, form: str, output: str | None
) -> None:
    if form == "json":
        from analyzer.records.envelope import dump

        whole = complete and all(record.measurement and record.measurement.status == "ok" for record in records)
        return write(dump(records, status="ok" if whole else "partial"), output)
    if form == "csv":
        from reports.timing.csv import timings_csv

        return write(timings_csv(records), output)
    from reports.timing.passes import tables

    return emit_tables(tables(records, depth, _ceilings(records, device)), form, output)


def _ceilings(records: Sequence[Record], device: str | None) -> Callable[[Record], Ceilings | None]:
    """What bounds a record's parts: a named device's published ceilings, or those kept of this machine."""
    from analyzer.timing.machine.roofline import measured, of_device

    peaks = next((kept_peaks(record.environment) for record in records if record.environment), [])
    named = known_device(device) if device is not None else None

    def ceilings(record: Record) -> Ceilings | None:
        assert record.measurement is not None
        if record.mode != "inference":
            return None
        if named:
            return of_device(named, record.dtype)
        return measured(peaks, record.environment, record.measurement.configuration)

    cut = [record for record in records if record.measurement and record.measurement.operator_times_s]
    found = next((limits for record in cut if (limits := ceilings(record))), None)
    if found:
        return ceilings
    if cut:
        print_message(f"no bounds: {_lack(cut[0], peaks, named)}")
    elif named and any(record.measurement and record.measurement.pass_timing for record in records):
        print_message("no bounds: no pass was cut into parts")
    return ceilings


def _lack(record: Record, peaks: Sequence[Mapping[str, Any]], named: Mapping[str, Any] | None) -> str:
    """Why there are no bounds, and what measures them."""
    assert record.measurement is not None
    configuration = record.measurement.configuration
    if configuration.training:
        return "the bytes of a backward pass are not counted"
    if named:
        return f"{named['name']} has no published figure for {configuration.dtype}"
    others = "--against DEVICE names another's"
    if not configuration.device.startswith(("cpu", "cuda")):
        return f"the peaks of {configuration.device} cannot be measured; {others}"
    on = "cpu" if configuration.device == "cpu" else (record.environment.get("gpu") or {}).get("name")
    if not any(on_device(peak) == on for peak in peaks):
        return f"analyze machine measures this machine's peaks; {others}"
    own = [peak for peak in peaks if on_device(peak) == on]
    threads = configuration.threads if on == "cpu" else 0
    types = (configuration.dtype, "tf32") if configuration.dtype == "float32" else (configuration.dtype,)
    have = any(peak["name"] in types and peak["threads"] == threads for peak in own)
    lacking = "memory" if have else configuration.dtype
    if on != "cpu":
        return f"the peaks kept of {on} have none of {lacking}; analyze machine measures them; {others}"
    wanted = f"{lacking} on {configuration.threads} thread{'s' if configuration.threads != 1 else ''}"
    counts = ",".join(map(str, sorted({configuration.threads, *(peak["threads"] for peak in own)})))
    return f"the peaks kept have none of {wanted}; analyze machine --threads {counts} measures them; {others}"
