"""`analyze time`: times the selected models, shows the tables and saves the run, even if an error interrupts it."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import Any

from analyzer.cli.messages import print_message
from analyzer.cli.output import emit, write
from analyzer.cli.selection import Selection
from analyzer.core.errors import AnalyzerError
from analyzer.core.lock import timing_lock
from analyzer.core.signals import ignore_sigint, termination_as_interrupt
from analyzer.records.record import Record
from analyzer.records.run_files import journal, load_peaks, save
from analyzer.records.timings import Measurement
from analyzer.timing.driver.choose_ceilings import find_ceilings
from analyzer.timing.driver.configuration_notes import advice
from analyzer.timing.driver.time_configurations import TimedRun, build_requests, time_requests, usable_processors
from analyzer.timing.load_options import LatencyLimit
from analyzer.timing.peaks import published
from analyzer.timing.request import Request

MAX_THREADS_PER_PROCESSOR = 8  # More wait for each other only, and thousands would not end.


def _requests(selection: Selection, *, budget_s: float, trace: str | None, **options: Any) -> list[Request]:
    """One request per model and configuration. Raises AnalyzerError for a bad or contradictory value."""
    selection.require_models("time")
    selection.parse_inputs()
    if trace == "-":
        raise AnalyzerError("--trace needs a file name, not -")
    requests = build_requests(
        selection.resolve_variants(), selection.references, selection.inputs, training=selection.training,
        budget_s=budget_s, trace=str(Path(trace).resolve()) if trace else None, **options,
    )  # fmt: skip
    most = MAX_THREADS_PER_PROCESSOR * usable_processors()
    if any(request.configuration.threads > most for request in requests):
        raise AnalyzerError(f"--threads is at most {most}: this process may use {usable_processors()} processors")
    if trace and len(requests) > 1:
        raise AnalyzerError(f"--trace takes one model at one configuration; these options select {len(requests)}")
    return requests


def run_time(
    selection: Selection,
    *,
    keep: bool,
    against: str | None,
    depth: int,
    show_void: bool,
    form: str,
    output: str | None,
    trace: str | None,
    processes: int | None,
    **options: Any,
) -> int:
    """Times the selected models; `options` are further parameters of `build_requests`.

    Returns 0, 3 if a measurement failed or is void, or 130 if interrupted; whatever was measured is shown.
    """
    if against in ("list", "?"):
        known = published.devices().values()
        write("".join(f"{device['name']} ({device['confidence']})\n" for device in known), output)
        return 0
    if against is not None:
        published.device(against)
    requests = _requests(selection, trace=trace, processes=processes, **options)
    with journal() if keep else nullcontext(lambda records: None) as keep_unfinished:
        time_all = partial(time_requests, requests, processes=processes, journal=keep_unfinished)
        shown = {"depth": depth, "against": against, "show_void": show_void, "limit": options["limit"]}
        show = partial(_emit, **shown, form=form, output=output)
        return _time_and_show(time_all, show, keep=keep, trace=trace, device=options["device"])


def _time_and_show(
    time_all: Callable[..., TimedRun], show: Callable[..., None], *, keep: bool, trace: str | None, device: str
) -> int:
    from analyzer.cli.progress import progress_bar

    trace_before = _modified_ns(trace)
    with termination_as_interrupt(), timing_lock(device, print_message), progress_bar("timing") as progress:
        run = time_all(progress=progress)
    records = [_annotate(record, run.records) for record in run.records]
    if trace and _modified_ns(trace) != trace_before:
        print_message(f"wrote {trace}")
    measurements = [record.measurement for record in records if record.measurement]
    timed = any(measurement.timings for measurement in measurements)
    if not run.complete and not timed:
        print_message("interrupted before the first measurement: nothing is written")
        return 130
    if not run.complete and keep:
        with ignore_sigint():  # Before the tables, during which an impatient user may interrupt again.
            _keep_despite_error(records)
        keep = False
    try:
        show(records, run.complete)
        sys.stdout.flush()  # A full disk must show while the run can still be kept.
    except BaseException as error:
        unwritten = isinstance(error, AnalyzerError | OSError) and not isinstance(error, BrokenPipeError)
        if timed and (keep or unwritten):
            _keep_despite_error(records)
        raise
    if timed and keep:
        _keep(records)  # After the tables: a full disk loses no result.
    if not run.complete:
        print_message("interrupted: showing what was measured, marked partial")
        return 130
    void = any("void" in (measurement.quality, measurement.operator_quality[0]) for measurement in measurements)
    return 3 if void else 0


def _modified_ns(trace: str | None) -> int | None:
    return Path(trace).stat().st_mtime_ns if trace and Path(trace).exists() else None


def _annotate(record: Record, records: Sequence[Record]) -> Record:
    """Adds the run's advice, and this machine's kept peaks, from which a report draws the roofline."""
    environment = record.environment
    if environment and (peaks := load_peaks(environment)):
        environment = {**environment, "peaks": peaks}
    return record.replace(notes=(*record.notes, *advice(record, records)), environment=environment)


def _keep(records: Sequence[Record]) -> None:
    """Writes the run's file, which `analyze history` reads."""
    print_message(f"kept in {save(records)}")


def _keep_despite_error(records: Sequence[Record]) -> None:
    """While another error propagates: an error in keeping the run must not replace it."""
    try:
        _keep(records)
    except AnalyzerError as error:
        print_message(str(error))


def _emit(
    records: Sequence[Record],
    complete: bool,
    *,
    depth: int,
    against: str | None,
    show_void: bool,
    limit: LatencyLimit | None,
    form: str,
    output: str | None,
) -> None:
    if form in ("json", "csv"):
        return write(_values(records, complete, against, form), output)
    from reports.timing.pass_tables import tables

    records = records if show_void else _without_void(records)
    if not records:
        return None
    ceilings, missing = find_ceilings(records, published.device(against) if against else None)
    if missing:
        print_message(f"No roofline: {missing}.")
    return emit(form, output, lambda: tables(records, depth, ceilings, limit))


def _values(records: Sequence[Record], complete: bool, against: str | None, form: str) -> str:
    """JSON or CSV, with the bounds on a device if there is `against`."""
    ceilings_of, missing = find_ceilings(records, published.device(against)) if against else (None, "")
    if missing and ceilings_of and not any(map(ceilings_of, records)):
        print_message(f"No bounds: {missing}.")
    if form == "csv":
        from reports.timing.csv import timings_csv

        return timings_csv(records, ceilings_of)
    from analyzer.records.record_json import dump
    from analyzer.timing.machine.operator_bounds import bounds_json
    from reports.timing.latency import figures

    def more(record: Record) -> dict[str, Any]:
        ceilings = ceilings_of(record) if ceilings_of else None
        latency = {"latency": figures(record.measurement)} if record.measurement else {}
        return {**latency, **({"bounds": bounds_json(record, ceilings)} if ceilings else {})}

    ok = complete and all(record.measurement and record.measurement.status == "ok" for record in records)
    return dump(records, status="ok" if ok else "partial", more=more)


def _advice(measurement: Measurement) -> str:
    fewer = "--threads 1 or " if measurement.configuration.threads > 1 else ""
    return f"stop other processes, or try {fewer}a longer --budget; --show-void shows the times anyway"


def _without_void(records: Sequence[Record]) -> list[Record]:
    """The records to show. A sentence says for each void one why, and what to do; its times would mislead."""
    shown = []
    for record in records:
        measurement = record.measurement
        if measurement and measurement.pass_timing and measurement.quality == "void":
            print_message(
                f"{record.label}, {measurement.configuration.label}: void, {measurement.reason}; {_advice(measurement)}"
            )
        else:
            shown.append(record)
    return shown
