"""One run of a sweep: loads its models, goes on where an unfinished run ended, and stores each result as it arrives."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from analyzer.core.errors import one_line
from analyzer.core.frozen import Frozen
from analyzer.records.sweep_result import Case
from analyzer.sweeps.code_hashes import source_of
from analyzer.sweeps.keys import case_key, grid_key, result_key
from analyzer.sweeps.load_models import Loaded, load_error, load_errors, loaded
from analyzer.sweeps.run_configuration import Limits, failed_row, ignore
from analyzer.sweeps.run_locally import Job, run_local

if TYPE_CHECKING:
    from analyzer.database.store import Store

FLUSH_S, FLUSH_ROWS = 0.5, 100  # Counts are stored together; a time is stored at once.


class Settings(Frozen):
    """How a sweep runs: on this machine in up to `processes` processes, or on the Dask cluster at an address."""

    resume: bool = False
    keep_going: bool = False
    retries: int = 1
    limits: Limits = Limits()
    processes: int = 1
    cluster: str | None = None


class Outcome(Frozen):
    """The run, the keys of its results in the order of the grid, how many of them it had before, and whether it ended.

    `complete` is False after an interrupt.
    """

    run: str
    keys: tuple[str, ...]
    before: int
    complete: bool


def run_sweep(
    cases: Sequence[Case],
    store: Store,
    settings: Settings,
    *,
    notify: Callable[[str], None] = ignore,
    progress: Callable[[int, int, str], None] = lambda done, total, label: None,
) -> Outcome:
    """Executes the cases that the run lacks. With `resume` it is the last run of the same cases, else a new one.

    Raises AnalyzerError if a model does not load, unless `keep_going`, before anything is measured, and CannotMeasure
    if results cannot be stored: those before stay.
    """
    grid = grid_key(cases)
    run, stored = _begin(grid, store, notify) if settings.resume else (_new_run(grid), set())
    sources = {model: source_of(model) for model in dict.fromkeys(case.model for case in cases)}
    jobs = [(result_key(run, case_key(case, sources[case.model])), case) for case in cases]
    pending = [job for job in jobs if job[0] not in stored]
    known = {loaded(case) for key, case in jobs if key in stored}
    keys, before = tuple(key for key, _ in jobs), len(jobs) - len(pending)
    writer = _Writer(store, before, len(jobs), progress)
    complete = True
    try:
        placed = _placed(pending, run, settings, writer)
        pending = _without_broken(placed, known, run, settings, writer, notify)
        _execute(pending, run, settings, writer, notify)
    except KeyboardInterrupt:
        complete = False
    finally:
        writer.flush()
    return Outcome(run, keys, before, complete)


def _begin(grid: str, store: Store, notify: Callable[[str], None]) -> tuple[str, set[str]]:
    last = next((row["run"] for row in store.runs() if row["run"].endswith(f"-{grid}")), None)
    if last is None:
        notify("no run of this grid is stored; a new one begins")
        return _new_run(grid), set()
    return last, store.keys(last)


def _new_run(grid: str) -> str:
    return f"{datetime.now(UTC):%Y%m%dT%H%M%S.%f}"[:-3] + f"Z-{grid}"


def _execute(jobs: Sequence[Job], run: str, settings: Settings, writer: _Writer, notify: Callable[[str], None]) -> None:
    if not jobs:
        return
    common: dict[str, Any] = {
        "run": run,
        "retries": settings.retries,
        "limits": settings.limits,
        "on_row": writer.add,
        "progress": writer.report,
    }
    if settings.cluster:
        from analyzer.sweeps.cluster import run as run_on_cluster

        run_on_cluster(jobs, settings.cluster, notify=notify, **common)
    else:
        run_local(jobs, processes=settings.processes, **common)


def _placed(jobs: Sequence[Job], run: str, settings: Settings, writer: _Writer) -> list[Job]:
    """The jobs whose needs this machine meets, unless they run on a cluster; the others get failed results."""
    if settings.cluster or not any(case.needs for _, case in jobs):
        return list(jobs)
    from analyzer.sweeps.cluster.placement import this_machine, unmet

    machine = this_machine()
    reasons = [unmet(case, machine) for _, case in jobs]
    for job, reason in zip(jobs, reasons, strict=True):
        if reason:
            refused = f"{one_line(job[1].label)}: this machine does not fit, {reason}; --cluster finds others"
            writer.add(failed_row(job, run, refused))
    return [job for job, reason in zip(jobs, reasons, strict=True) if not reason]


def _without_broken(
    jobs: Sequence[Job],
    known: Collection[Loaded],
    run: str,
    settings: Settings,
    writer: _Writer,
    notify: Callable[[str], None],
) -> list[Job]:
    """The jobs whose models load, without those that loading has finished; with `keep_going` the others fail."""
    done: set[str] = set()

    def keep(row: Mapping[str, Any]) -> None:
        done.add(row["key"])
        writer.add(row)

    errors = load_errors(
        [job for job in jobs if loaded(job[1]) not in known], run=run, retries=settings.retries,
        limits=settings.limits, processes=settings.processes, on_row=keep, progress=writer.report,
    )  # fmt: skip
    if errors and not settings.keep_going:
        raise load_error(errors, models=len({loaded(case) for _, case in jobs}))
    for (model, _), reason in errors.items():
        notify(reason if model in reason else f"{one_line(model)}: {reason}")
    for job in jobs:
        if loaded(job[1]) in errors:
            keep(failed_row(job, run, errors[loaded(job[1])]))
    return [job for job in jobs if job[0] not in done]


class _Writer:
    """Stores rows: a time at once, counts together within half a second."""

    def __init__(self, store: Store, done: int, total: int, progress: Callable[[int, int, str], None]) -> None:
        self.store, self.done, self.total, self.progress = store, done, total, progress
        self.rows: list[Mapping[str, Any]] = []
        self.stored_at = time.monotonic()
        self.label = ""

    def add(self, row: Mapping[str, Any]) -> None:
        self.rows.append(row)
        self.done += 1
        late = time.monotonic() - self.stored_at > FLUSH_S
        if late or len(self.rows) >= FLUSH_ROWS or "time" in row["measure"]:
            self.flush()
        self.report(self.label)

    def flush(self) -> None:
        rows, self.rows = self.rows, []  # Rows that cannot be stored are not tried again.
        if rows:
            self.store.insert(rows)
        self.stored_at = time.monotonic()

    def report(self, label: str) -> None:
        self.label = label
        if self.rows and time.monotonic() - self.stored_at > FLUSH_S:
            self.flush()
        self.progress(self.done, self.total, label)


def rows_of(outcome: Outcome, store: Store) -> list[dict[str, Any]]:
    """The columns of the results in the order of the grid, without those of earlier sources of its models."""
    by_key = {row["key"]: row for row in store.select(f'run == "{outcome.run}"')}
    return [by_key[key] for key in outcome.keys if key in by_key]
