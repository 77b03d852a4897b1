"""Runs the cases of a sweep on this machine: counts on all cores, then times, on each device one case at a time."""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack
from multiprocessing.connection import Connection, wait
from typing import Any, TypeAlias

from analyzer.core.errors import CannotMeasure, one_line
from analyzer.core.serialize import to_json
from analyzer.records.sweep_result import Case
from analyzer.sweeps.run_configuration import Limits, failed_row
from analyzer.sweeps.sweep_worker import receive
from analyzer.sweeps.sweep_worker_client import Process

Job: TypeAlias = tuple[str, Case]  # The key of the result, and the case.

MAX_KILLED = 3  # A case whose worker was killed so often has failed.
GIVEN_UP = f"its worker ended {MAX_KILLED} times"
MAX_STARTS = 20  # Workers killed in a row before they were ready.
CHUNK = 32  # Cases sent to a worker at once, if they are quick.
TICK_S = 2.0


def run_local(
    jobs: Sequence[Job],
    *,
    run: str,
    retries: int = 0,
    limits: Limits = Limits(),  # noqa: B008 – frozen
    processes: int = 1,
    on_row: Callable[[Mapping[str, Any]], None],
    progress: Callable[[str], None] = lambda label: None,
) -> None:
    """Executes every job once and passes its row to `on_row`, in any order.

    Counts run in `processes` workers. Times begin when all is counted, one at a time on each device and in random
    order, so that a drift of the machine affects all configurations alike. A job whose worker is killed runs again, at
    most MAX_KILLED times. `progress` receives the case that runs, or that it waits, and is called every two seconds.
    Raises CannotMeasure if workers do not start, KeyboardInterrupt, and what `on_row` raises; all workers end.
    """
    settings = {"run": run, "retries": retries, "limits": to_json(limits)}
    counted = [job for job in jobs if "time" not in job[1].measure]
    timed: dict[str, list[Job]] = {}
    for job in jobs:
        if "time" in job[1].measure:
            timed.setdefault(job[1].configuration.device, []).append(job)
    order = random.Random(run)
    for lane in timed.values():
        order.shuffle(lane)
    pool = _Pool(settings, on_row, progress)
    pool.run([_Lane(counted, processes)])
    pool.run([_Lane(timed.pop("cpu", []), 1)])
    pool.run([_Lane(lane, 1) for lane in timed.values()])


class _Lane:
    """Jobs that wait, for at most `processes` workers. Quick jobs are sent in chunks."""

    def __init__(self, jobs: Iterable[Job], processes: int) -> None:
        self.waiting, self.processes = deque(jobs), processes

    def take(self) -> deque[Job]:
        chunk = deque([self.waiting.popleft()])
        first = chunk[0][1]
        share = len(self.waiting) // (2 * self.processes)
        most = 1 if "time" in first.measure else min(CHUNK, share)
        while len(chunk) < most and self.waiting[0][1].model == first.model:
            chunk.append(self.waiting.popleft())
        return chunk


class _Worker(Process):
    """A process and the jobs that it has not finished."""

    def __init__(self, lane: _Lane) -> None:
        super().__init__()
        self.lane, self.ready = lane, False
        self.jobs: deque[Job] = deque()

    def start(self, jobs: deque[Job], settings: Mapping[str, Any]) -> None:
        self.jobs = jobs
        self.send(jobs, settings)


class _Pool:
    def __init__(
        self,
        settings: Mapping[str, Any],
        on_row: Callable[[Mapping[str, Any]], None],
        progress: Callable[[str], None],
    ) -> None:
        self.settings, self.on_row, self.progress = settings, on_row, progress
        self.workers: dict[Connection, _Worker] = {}
        self.killed: dict[str, int] = {}  # By key: how often the worker of that job was killed.
        self.starts = 0
        self.label = ""

    def run(self, lanes: Sequence[_Lane]) -> None:
        with ExitStack() as stack:
            stack.callback(self._close)
            for lane in lanes:
                for _ in range(min(lane.processes, len(lane.waiting))):
                    self._start(lane)
            while self.workers:
                for connection in wait(list(self.workers), TICK_S):
                    assert isinstance(connection, Connection)
                    self._receive(self.workers[connection])
                self.progress(self.label)

    def _start(self, lane: _Lane) -> None:
        worker = _Worker(lane)
        self.workers[worker.connection] = worker

    def _receive(self, worker: _Worker) -> None:
        try:
            kind, content = receive(worker.connection)
        except (EOFError, OSError):
            return self._ended(worker)
        if kind == "waiting":
            self.label = content["waiting"]
            return None
        if kind == "row":
            worker.jobs.popleft()
            worker.forget_output()
            self.on_row(content)
            worker.confirm(content)
        worker.ready, self.starts = True, 0
        if not worker.jobs and worker.lane.waiting:
            worker.start(worker.lane.take(), self.settings)
        if worker.jobs:
            case = worker.jobs[0][1]
            self.label = f"{case.label}, {case.configuration.label}"
            return None
        del self.workers[worker.connection]
        return worker.close(busy=False)

    def _ended(self, worker: _Worker) -> None:
        """The first of its jobs may be what ended the worker; it is tried again, at most MAX_KILLED times."""
        del self.workers[worker.connection]
        status = worker.popen.wait()
        if not worker.ready:
            self.starts += 1
            if status >= 0 or self.starts == MAX_STARTS:
                reason = worker.last_line() or f"status {status}"
                raise CannotMeasure(f"a worker of the sweep ended before it was ready: {reason}")
        if worker.jobs:
            key, case = worker.jobs.popleft()
            self.killed[key] = self.killed.get(key, 0) + 1
            worker.lane.waiting.extendleft(reversed(worker.jobs))
            if self.killed[key] < MAX_KILLED:
                worker.lane.waiting.appendleft((key, case))
            else:
                reason = f"{one_line(case.label)}: {GIVEN_UP}: {worker.last_line() or f'status {status}'}"
                self.on_row(failed_row((key, case), self.settings["run"], reason, attempts=MAX_KILLED))
        worker.close(busy=False)
        if worker.lane.waiting:
            self._start(worker.lane)

    def _close(self) -> None:
        for worker in self.workers.values():
            if worker.jobs:
                worker.popen.terminate()  # All at once; `close` then waits for each.
        for worker in self.workers.values():
            worker.close(busy=bool(worker.jobs))
        self.workers = {}
