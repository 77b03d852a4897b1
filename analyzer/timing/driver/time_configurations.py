"""Times models at configurations: returns records with both counts and times."""

from __future__ import annotations

import os
import random
import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from itertools import product
from pathlib import Path
from typing import Any

from analyzer.core.errors import AnalyzerError, quoted
from analyzer.core.frozen import Frozen
from analyzer.core.parse_inputs import image_shape, parse_input
from analyzer.core.version import commit
from analyzer.networks.variants import Variant, variant
from analyzer.records.record import Record
from analyzer.records.record_json import record_from_json
from analyzer.records.rows import Count
from analyzer.records.timings import Configuration
from analyzer.timing.driver.build_measurement import build_measurement
from analyzer.timing.driver.flop_rates import missing_rate_reason
from analyzer.timing.driver.processes import RunWorker, run_worker, run_workers
from analyzer.timing.load_options import parse_limit, parse_load
from analyzer.timing.request import Request
from analyzer.worker.reply import Reply

PROCESSES, MIN_PROCESSES = 10, 3  # Ten make a second run agree with the first; a model with long passes gets fewer.
MIN_SAMPLES = 15  # Per configuration, over all its processes; at most MAX_MIN_SAMPLES of them from one process.
MAX_MIN_SAMPLES = 5
ITEM_BYTES = {"float32": 4, "float64": 8, "float16": 2, "bfloat16": 2}
LAYOUTS = ("contiguous", "channels_last")
DEVICES = re.compile(r"cpu|mps|cuda(:[0-9]{1,3})?")


class TimedRun(Frozen):
    """Records in the order of the requests; `complete` is False for an interrupted run."""

    records: tuple[Record, ...]
    complete: bool


def now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def usable_processors() -> int:
    """How many processors this process may use: its affinity, limited by a container's CPU quota."""
    count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text(encoding="ascii").split()
        return max(min(count, round(int(quota) / int(period))), 1)
    except (OSError, ValueError):
        return max(count, 1)


def build_requests(
    variants: Sequence[Variant],
    references: Sequence[str],
    inputs: Sequence[str],
    *,
    batches: Sequence[int] = (1,),
    threads: Sequence[int] | None = None,
    dtypes: Sequence[str] = ("float32",),
    layouts: Sequence[str] = ("contiguous",),
    training: bool = False,
    compiled: bool = False,
    device: str = "cpu",
    flushed: bool = False,
    budget_s: float = 20.0,
    processes: int | None = None,
    **options: Any,
) -> list[Request]:
    """A request per model and combination, batch slowest. Without `threads`, all processors of this process.

    `budget_s` is for all processes of a configuration; `options` are further fields of every request. Raises
    AnalyzerError for an unknown dtype, layout or device, and for options that exclude each other.
    """
    for name, values, known in (("dtype", dtypes, tuple(ITEM_BYTES)), ("layout", layouts, LAYOUTS)):
        if unknown := [value for value in values if value not in known]:
            raise AnalyzerError(f"unknown {name} {quoted(unknown[0])}; wanted one of: {', '.join(known)}")
    if not isinstance(device, str) or not DEVICES.fullmatch(device):
        raise AnalyzerError(f"unknown device {quoted(device)}; wanted cpu, cuda, cuda:1 or mps")
    if isinstance(limit := options.get("limit"), str):
        options["limit"] = parse_limit(limit)
    options["loads"] = tuple(parse_load(str(load)) for load in options.get("loads", ()))
    if options.get("replay") and compiled:
        raise AnalyzerError("replay needs separate modules, which compilation removes; leave out one of the two")
    models: list[dict[str, Any]] = [
        {"variant": variant.network.name, "overrides": dict(variant.overrides)} for variant in variants
    ]
    models += [{"reference": reference} for reference in references]
    mode, count = "training" if training else "inference", processes or PROCESSES
    options |= {"budget_s": budget_s / count, "min_samples": min(MAX_MIN_SAMPLES, -(-MIN_SAMPLES // count))}
    chosen = product(models, batches, threads or [usable_processors()], dtypes, layouts)
    return [
        Request(
            configuration=Configuration(device, dtype, batch, number, layout, mode, compiled, flushed),
            inputs=tuple(inputs), **model, **options,
        )
        for model, batch, number, dtype, layout in chosen
    ]  # fmt: skip


def time_requests(
    requests: Sequence[Request],
    *,
    processes: int | None = None,
    progress: Callable[[int, int, str], None] = lambda done, total, label: None,
    journal: Callable[[Sequence[Record]], None] = lambda records: None,
    run_worker: RunWorker = run_worker,
) -> TimedRun:
    """Times every request in `processes` fresh processes and adds the times to the model's counts.

    Without `processes` there are PROCESSES, and at least MIN_PROCESSES where these take too long. A request that fails
    has a record without timings; its measurement has the reason. `journal` receives the records so far after each
    process. `run_worker` runs one process. Raises AnalyzerError before timing anything if a named network cannot take
    the input, and afterwards if every request was refused.
    """
    counts = [_count_variant(request) if request.variant else None for request in requests]

    def records(replies: Sequence[Sequence[Reply]]) -> tuple[Record, ...]:
        return tuple(map(build_record, requests, counts, replies, [now()] * len(requests)))

    replies, complete = run_workers(
        requests,
        processes=processes or PROCESSES,
        min_processes=processes or MIN_PROCESSES,
        order=random.Random(0),
        run_worker=run_worker,
        progress=progress,
        journal=lambda replies: journal(records(replies)),
    )
    first = [request_replies[0] for request_replies in replies if request_replies]
    if first and all(reply.end == "refused" for reply in first):
        raise first[0].error(requests[0].label)
    return TimedRun(records(replies), complete)


def build_record(request: Request, count: Record | None, replies: Sequence[Reply], created: str) -> Record:
    """A model by reference was counted by the worker that ran it; if none did, the record has no counts."""
    ready = next((line for reply in replies if (line := reply.last("ready"))), {})
    if count is None:
        empty = Record(request.label, (), request.configuration.mode, Count("dispatch", ()))
        count = record_from_json(ready["record"]) if ready else empty
    record = count.replace(
        dtype=request.configuration.dtype,
        notes=(*count.notes, *_batch_notes(count, request.configuration)),
        measurement=build_measurement(request, replies),
        environment=ready.get("environment", {}),
        commit=commit(),
        created=created,
    )
    if (measurement := record.measurement) and (reason := missing_rate_reason(record, replies)):
        record = record.replace(measurement=measurement.replace(rate_reason=reason))
    return record


def _batch_notes(record: Record, configuration: Configuration) -> tuple[str, ...]:
    """A note if the inputs do not have the requested batch: a function made them, or they have no batch dimension."""
    sizes = {shape[0] for shape in record.input if shape}
    if not sizes or configuration.batch in sizes:
        return ()
    shapes = ", ".join("x".join(map(str, shape)) for shape in record.input)
    return (f"the input is {shapes}, not batch {configuration.batch}: samples per second are passes per second",)


def _count_variant(request: Request) -> Record:
    """A built-in network's count, with memory traffic at the configuration's dtype."""
    from analyzer.counting.api import count_variant

    configuration = request.configuration
    record = count_variant(
        variant(request.variant or "", request.overrides),
        input=image_shape([parse_input(text) for text in request.inputs], configuration.batch),
        batch=configuration.batch,
        train=configuration.mode == "training",
    )
    item_bytes = ITEM_BYTES[configuration.dtype]
    rows = tuple(
        row.replace(bytes_read=row.bytes_read * item_bytes // 4, bytes_written=row.bytes_written * item_bytes // 4)
        for row in record.rows
    )
    return record.replace(count=record.count.replace(rows=rows))
