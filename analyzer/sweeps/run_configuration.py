"""Counts or times one configuration, for workers here and on a cluster. Failures of a model become failed results."""

from __future__ import annotations

import os
import socket
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext, suppress
from datetime import UTC, datetime
from math import inf
from pathlib import Path
from typing import Any, TypeAlias

from analyzer.core.errors import AnalyzerError, error_text, one_line
from analyzer.core.frozen import Frozen
from analyzer.core.lock import timing_lock
from analyzer.core.parse_inputs import image_shape, parse_input
from analyzer.core.units import seconds
from analyzer.database.result_rows import encode
from analyzer.networks.variants import variant
from analyzer.records.record import Record
from analyzer.records.sweep_result import Case, Result
from analyzer.sweeps.keys import is_builtin

Journal: TypeAlias = Callable[[Sequence[Record]], None]


class Limits(Frozen):
    """Limits of each attempt at a configuration: seconds in total, and bytes of each of its processes.

    Memory is not limited on a GPU, since its driver maps more than a process uses.
    """

    time_s: float = 600.0
    memory_bytes: int | None = None


class Failure(Frozen):
    """Why a configuration cannot be measured; `again` if another attempt may succeed."""

    reason: str
    again: bool
    record: Record | None = None


def ignore(message: str) -> None:
    """For callers that need not know of waiting."""


def no_journal(records: Sequence[Record]) -> None:
    """For callers that need not keep the times of an unfinished configuration."""


def execute(
    case: Case,
    *,
    key: str,
    run: str = "",
    retries: int = 0,
    limits: Limits = Limits(),  # noqa: B008 – frozen
    notify: Callable[[str], None] = ignore,
    journal: Journal = no_journal,
) -> Mapping[str, Any]:
    """The row of a result for the database. Never raises for a configuration that fails.

    What the model printed goes to standard error. A failure is tried again up to `retries` times, unless the model or
    its input is wrong. A timed configuration waits for the machine's lock, of which `notify` is told once; the result's
    times of start and end lie within the lock. `journal` receives the record so far after each process. Raises
    KeyboardInterrupt.
    """
    attempts = 0
    while True:
        attempts += 1
        locked = timing_lock(case.configuration.device, notify, inf) if "time" in case.measure else nullcontext()
        with locked, _memory_limited(case, limits.memory_bytes):
            started = now()
            outcome = _attempt(case, limits.time_s, journal)
            ended = now()
        if isinstance(outcome, Record) or not outcome.again or attempts > retries:
            break
    result = Result(
        key, case, "ok", run=run, host=socket.gethostname(), started=started, ended=ended, attempts=attempts
    )
    if isinstance(outcome, Failure):
        return encode(result.replace(status="failed", reason=outcome.reason, record=outcome.record))
    return encode(result.replace(record=outcome))


def failed_row(
    job: tuple[str, Case], run: str, reason: str, *, host: str | None = None, attempts: int = 1
) -> Mapping[str, Any]:
    """The row of a case that ended without a result: it was not executed, or its workers were lost."""
    key, case = job
    time_now, host = now(), socket.gethostname() if host is None else host
    return encode(Result(key, case, "failed", reason, None, run, host, time_now, time_now, attempts))


def now() -> str:
    """The time in UTC, with milliseconds."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _attempt(case: Case, limit_s: float, journal: Journal) -> Record | Failure:
    try:
        return _timed(case, limit_s, journal) if "time" in case.measure else _counted(case, limit_s)
    except AnalyzerError as error:
        return Failure(str(error), again=error.exit_status != AnalyzerError.exit_status)
    except MemoryError:
        return Failure(f"out of memory at batch {case.configuration.batch}", again=True)
    except Exception as error:
        return Failure(f"defect in macscope: {type(error).__name__}: {error_text(error)}", again=False)


def _counted(case: Case, limit_s: float, *, memory: bool | None = None) -> Record:
    configuration = case.configuration
    train = configuration.training
    memory = "memory" in case.measure if memory is None else memory
    if is_builtin(case.model):
        from analyzer.counting.api import count_variant

        size = image_shape([parse_input(text) for text in case.inputs], configuration.batch)
        chosen = variant(case.model, case.overrides)
        return count_variant(chosen, input=size, batch=configuration.batch, train=train, memory=memory)
    from analyzer.counting.count_in_worker import count_in_worker

    return count_in_worker(
        case.model, inputs=case.inputs, batch=configuration.batch, train=train, memory=memory, limit_s=limit_s
    )


def _timed(case: Case, limit_s: float, journal: Journal) -> Record | Failure:
    """The record with times, and if wanted with memory, which is counted apart."""
    from analyzer.timing.driver.processes import OnLine, run_worker
    from analyzer.timing.driver.time_configurations import build_requests, time_requests
    from analyzer.timing.request import Request
    from analyzer.worker.reply import Reply

    deadline = time.monotonic() + limit_s
    late = f"its time limit of {seconds(limit_s)} ended"

    def run_limited(request: Request, on_line: OnLine) -> Reply:
        left_s = deadline - time.monotonic()
        reply = run_worker(request, on_line, limit_s=left_s) if left_s > 0 else Reply((), "hung")
        return reply.replace(reason=late) if reply.end == "hung" and time.monotonic() >= deadline else reply

    builtin, configuration = is_builtin(case.model), case.configuration
    requests = build_requests(
        [variant(case.model, case.overrides)] if builtin else [],
        [] if builtin else [case.model],
        case.inputs,
        batches=[configuration.batch],
        threads=[configuration.threads],
        dtypes=[configuration.dtype],
        layouts=[configuration.layout],
        training=configuration.training,
        compiled=configuration.compiled,
        flushed=configuration.flushed,
        device=configuration.device,
        budget_s=case.budget_s,
        processes=case.processes,
    )
    run = time_requests(requests, processes=case.processes, run_worker=run_limited, journal=journal)
    if not run.complete:
        raise KeyboardInterrupt
    (record,) = run.records
    measurement = record.measurement
    if measurement is None or measurement.status != "ok":
        reason = measurement.reason if measurement else "it was not measured"
        named = reason if reason.startswith(case.model) else f"{one_line(case.label)}: {reason}"
        return Failure(named, again=True, record=record if measurement and measurement.timings else None)
    if "memory" in case.measure:
        record = record.replace(memory=_counted(case, limit_s, memory=True).memory)
    return record


@contextmanager
def _memory_limited(case: Case, limit_bytes: int | None) -> Iterator[None]:
    """Limits the private memory of this process and of those that it starts meanwhile, on Linux."""
    if limit_bytes is None or not sys.platform.startswith("linux") or case.configuration.device != "cpu":
        yield
        return
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_DATA)
    limits = [limit for limit in (limit_bytes, soft, hard) if limit != resource.RLIM_INFINITY]
    resource.setrlimit(resource.RLIMIT_DATA, (min(limits), hard))
    try:
        yield
    finally:
        with suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_DATA, (soft, hard))


def machine_memory() -> int | None:
    """The bytes of memory that this machine or its container has; None where the system does not tell."""
    try:
        total = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (ValueError, OSError, AttributeError):
        return None
    try:
        return min(total, int(Path("/sys/fs/cgroup/memory.max").read_text(encoding="ascii")))
    except (OSError, ValueError):
        return total
