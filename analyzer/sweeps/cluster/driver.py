"""Hands the cases of a sweep to Dask and their rows to the caller, until each has one.

Dask distributes. The driver decides which workers a case may go to and how many cases are on their way: few, so that
workers that join get some, and so that the death of a worker is blamed on the case that ran there.
"""

from __future__ import annotations

import random
import time
from collections import deque
from collections.abc import Callable, Collection, Hashable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any, TypeAlias

from analyzer.core.errors import CannotMeasure, one_line
from analyzer.core.serialize import to_json
from analyzer.core.signals import ignore_sigint
from analyzer.database.rows import decode, encode
from analyzer.records.result import Case, Result
from analyzer.sweeps.cluster.connection import connect
from analyzer.sweeps.cluster.files import Shipment, model_file, shipment
from analyzer.sweeps.cluster.fleet import Fleet
from analyzer.sweeps.cluster.placement import check_needs
from analyzer.sweeps.cluster.software import software
from analyzer.sweeps.cluster.worker import OWN_MEMORY, Request, run_case, stop
from analyzer.sweeps.execute import Limits, ignore, machine_memory, now
from analyzer.sweeps.local import MAX_KILLED, TICK_S, Job

if TYPE_CHECKING:
    from distributed import Client, Future

MAX_DEMAND = 200  # Enough for an adaptive cluster to see that much is left.
DEMAND = {"macscope demand": 1}  # A resource that no worker has.
ANSWER_S = 15.0  # For workers that are there at the start.
STOP_S = 5.0
RESULT_S = 20.0  # For a row that a worker has.

Event: TypeAlias = tuple[str, Any]


def run(
    jobs: Sequence[Job],
    address: str,
    *,
    run: str,
    retries: int = 0,
    limits: Limits = Limits(),  # noqa: B008 – frozen
    on_row: Callable[[Mapping[str, Any]], None],
    progress: Callable[[str], None] = ignore,
    notify: Callable[[str], None] = ignore,
) -> None:
    """Executes every job on the cluster at `address` and passes its row to `on_row`, in any order, as `run_local` does.

    Counts come first, then times in random order, one at a time on each machine. A job whose worker is lost runs again
    elsewhere, at most MAX_KILLED times. `notify` receives which workers are not used and which jobs wait for another
    worker. Raises AnalyzerError for a model that cannot be sent, CannotMeasure if the scheduler does not answer or is
    lost and if no worker can be used, and KeyboardInterrupt; what ran then is stopped.
    """
    models = dict.fromkeys(case.model for _, case in jobs)
    shipments = {model: shipment(model) for model in models if model_file(model)}
    for _, case in jobs:
        check_needs(case.needs)
    if limits.memory_bytes == machine_memory():
        limits = limits.replace(memory_bytes=OWN_MEMORY)
    settings = {"run": run, "retries": retries, "limits": to_json(limits)}
    ours = software(model for model in models if model not in shipments)
    with connect(address, notify) as client:
        fleet = Fleet(client, ours, notify)
        fleet.update()
        fleet.collect(ANSWER_S)
        fleet.require_usable()
        dispatch = _Dispatch(client, fleet, address, settings, shipments, on_row, progress, notify)
        try:
            dispatch.run(jobs)
        finally:
            with ignore_sigint():
                dispatch.close()


class _Group:
    """Jobs that the same workers may run."""

    def __init__(self, timed: bool) -> None:
        self.timed = timed
        self.waiting: deque[Job] = deque()
        self.on_their_way = 0
        self.complained = ""


class _Task:
    """A job that Dask has."""

    def __init__(self, job: Job, group: _Group, future: Future[Any], addresses: Collection[str]) -> None:
        self.job, self.group, self.future, self.addresses = job, group, future, addresses
        self.worker = ""  # The address of the worker that has started it.
        self.waits = ""  # For the machine's lock: the message.


class _Dispatch:
    def __init__(
        self,
        client: Client,
        fleet: Fleet,
        address: str,
        settings: Mapping[str, Any],
        shipments: Mapping[str, Shipment],
        on_row: Callable[[Mapping[str, Any]], None],
        progress: Callable[[str], None],
        notify: Callable[[str], None],
    ) -> None:
        self.client, self.fleet, self.address = client, fleet, address
        self.settings, self.shipments = settings, shipments
        self.on_row, self.progress, self.notify = on_row, progress, notify
        self.groups: dict[Hashable, _Group] = {}
        self.tasks: dict[str, _Task] = {}  # By the key of the job.
        self.killed: dict[str, int] = {}
        self.submitted = 0
        self.demand: list[Future[Any]] = []
        self.events: SimpleQueue[Event] = SimpleQueue()
        self.topic = f"macscope {settings['run']} {random.getrandbits(64):x}"

    def run(self, jobs: Sequence[Job]) -> None:
        self._add(jobs)
        # Handlers run in the client's thread.
        self.client.subscribe_topic(self.topic, lambda event: self.events.put(("case", event[1])))
        self.client.subscribe_topic("all", lambda event: self.events.put(("worker", event[1])))
        self._update_fleet()  # For workers that joined before the subscription.
        while self.tasks or any(group.waiting for group in self.groups.values()):
            self._submit()
            self._handle_events()
            self.progress(self._label())

    def close(self) -> None:
        """Takes back what Dask has, and ends the processes of the run on the workers."""
        if self.client.status != "running":
            return
        with suppress(Exception):  # The scheduler may be lost meanwhile; what matters is stored.
            self.client.cancel([*(task.future for task in self.tasks.values()), *self.demand], force=True)
            for topic in (self.topic, "all"):
                self.client.unsubscribe_topic(topic)
            if self.fleet.workers:
                self.client.run(
                    stop,
                    self.settings["run"],
                    workers=list(self.fleet.workers),
                    on_error="ignore",
                    callback_timeout=STOP_S,
                )

    def _add(self, jobs: Sequence[Job]) -> None:
        for job in jobs:
            case = job[1]
            timed = "time" in case.measure
            kind = (timed, case.configuration.device, tuple(sorted(case.needs.items())))
            self.groups.setdefault(kind, _Group(timed)).waiting.append(job)
        order = random.Random(self.settings["run"])
        for group in self.groups.values():
            if group.timed:  # A drift of a machine then affects all configurations alike.
                jobs = list(group.waiting)
                order.shuffle(jobs)
                group.waiting = deque(jobs)

    def _submit(self) -> None:
        """Sends jobs until every worker has one more than it can run. Times begin when nothing is left to count."""
        counting = False
        for group in sorted(self.groups.values(), key=lambda group: group.timed):
            if not group.waiting or (group.timed and counting):
                counting = counting or (not group.timed and bool(group.on_their_way))
                continue
            workers = self.fleet.suitable(group.waiting[0][1])
            self._complain(group, bool(workers))
            hosts = len({worker.machine.host for worker in workers})
            slots = len(workers) + hosts if group.timed else 2 * sum(worker.threads for worker in workers)
            while group.waiting and group.on_their_way < slots:
                self._send(group.waiting.popleft(), group, [worker.address for worker in workers])
            counting = counting or (not group.timed and bool(group.on_their_way))
        self._show_demand()

    def _complain(self, group: _Group, served: bool) -> None:
        """Says once that jobs wait for a worker, and why."""
        reason = "" if served else self.fleet.why_none(group.waiting[0][1])
        if reason and reason != group.complained:
            number = len(group.waiting)
            self.notify(f"{number} configuration{'s' * (number != 1)} wait: {reason}")
        group.complained = reason

    def _show_demand(self) -> None:
        """Keeps as many tasks that no worker can run as jobs wait: an adaptive cluster starts workers for tasks."""
        waiting = min(sum(len(group.waiting) for group in self.groups.values()), MAX_DEMAND)
        if waiting > len(self.demand):
            names = [f"macscope-demand-{self.topic}-{self._number()}" for _ in range(waiting - len(self.demand))]
            self.demand += self.client.map(abs, range(len(names)), key=names, resources=DEMAND, pure=False)
        elif waiting < len(self.demand):
            extra, self.demand = self.demand[waiting:], self.demand[:waiting]
            self.client.cancel(extra)

    def _number(self) -> int:
        self.submitted += 1
        return self.submitted

    def _send(self, job: Job, group: _Group, addresses: list[str]) -> None:
        key, case = job
        sent = self.shipments.get(case.model)
        if sent:
            case = case.replace(model=sent.model)
        files = (sent.files, sent.digest) if sent else ((), "")
        request = Request(self.topic, key, to_json(case), self.settings, *files)
        future = self.client.submit(
            run_case,
            tuple(request),
            key=f"macscope-{key}-{self._number()}",  # Dask counts the deaths of workers by key.
            workers=addresses,
            pure=False,
        )
        self.tasks[key] = _Task(job, group, future, addresses)
        group.on_their_way += 1
        future.add_done_callback(partial(self._done, key))

    def _done(self, key: str, future: Future[Any]) -> None:
        self.events.put(("done", (key, future)))

    def _handle_events(self) -> None:
        """All that have arrived, or the next one within TICK_S."""
        deadline = time.monotonic() + TICK_S
        changed = False
        while True:
            try:
                kind, content = self.events.get(timeout=max(deadline - time.monotonic(), 0))
            except Empty:
                break
            deadline = 0.0
            if kind == "done":
                self._finish(*content)
            elif kind == "case":
                self._hear(content)
            elif isinstance(content, Mapping) and content.get("action") in ("add-worker", "remove-worker"):
                changed = True  # Others may write to that topic, too.
                if content["action"] == "remove-worker":
                    self._lose(content)
        if self.client.status != "running":
            raise self._lost_scheduler()
        if changed:
            self._update_fleet()
        self.fleet.collect()

    def _update_fleet(self) -> None:
        try:
            self.fleet.update(lambda: self.events.put(("answer", {})))
        except (OSError, TimeoutError):
            raise self._lost_scheduler() from None
        for key, task in list(self.tasks.items()):
            if self.fleet.workers.keys().isdisjoint(task.addresses):  # Dask would wait for those that have left.
                self.client.cancel([task.future], force=True)
                self._again(key, task)

    def _hear(self, message: Mapping[str, Any]) -> None:
        task = self.tasks.get(message.get("started") or message.get("waiting") or "")
        if task is None:
            return
        if "started" in message:
            task.worker = message["worker"]
        else:
            task.waits = one_line(message["message"])

    def _label(self) -> str:
        """What runs; if nothing does, what it waits for."""
        started = [task for task in self.tasks.values() if task.worker]
        for task in started:
            if not task.waits:
                case = task.job[1]
                return f"{case.label}, {case.configuration.label}"
        return started[0].waits if started else "waiting for workers"

    def _lose(self, message: Mapping[str, Any]) -> None:
        """Dask runs the tasks of a lost worker again; the one that ran there may be what killed the worker."""
        if message.get("expected"):
            return
        for key, task in list(self.tasks.items()):
            if task.worker == message["worker"]:
                task.worker = ""
                self._blame(key, task, f"the worker {one_line(message['worker'])} was lost")

    def _blame(self, key: str, task: _Task, reason: str) -> bool:
        """Counts the death of a worker or process; whether the job is given up."""
        self.killed[key] = self.killed.get(key, 0) + 1
        if self.killed[key] < MAX_KILLED:
            return False
        self._remove(key, task)
        self.client.cancel([task.future], force=True)
        case = task.job[1]
        reason = f"{one_line(case.label)}: given up after {MAX_KILLED} lost workers; at last {reason}"
        time_now = now()
        result = Result(key, case, "failed", reason, None, self.settings["run"], "", time_now, time_now, MAX_KILLED)
        self.on_row(encode(result))
        return True

    def _remove(self, key: str, task: _Task) -> None:
        del self.tasks[key]
        task.group.on_their_way -= 1

    def _again(self, key: str, task: _Task) -> None:
        self._remove(key, task)
        task.group.waiting.appendleft(task.job)

    def _finish(self, key: str, future: Future[Any]) -> None:
        task = self.tasks.get(key)
        if task is None or task.future is not future:
            return  # It was given up, or sent again.
        if future.status == "cancelled":
            raise self._lost_scheduler()
        try:
            answer = future.result(timeout=RESULT_S)
        except TimeoutError:  # The worker was lost with the row.
            self.client.cancel([future], force=True)
            self._again(key, task)
            return
        except OSError:
            raise self._lost_scheduler() from None
        except Exception as error:
            from distributed import KilledWorker
            from distributed.client import FutureCancelledError

            if isinstance(error, FutureCancelledError):
                raise self._lost_scheduler() from None
            # Dask gives a task up after its own number of deaths, also one that only waited on those workers.
            if isinstance(error, KilledWorker) or not self._blame(key, task, f"{type(error).__name__}: {error}"):
                self._again(key, task)
            return
        for other in self.tasks.values():
            other.waits = ""  # One of them has the lock now.
        if "row" in answer:
            self._remove(key, task)
            self.on_row(self._as_asked(answer["row"], task.job))
        elif not self._blame(key, task, f"its process ended ({one_line(answer['killed'])})"):
            self._again(key, task)

    def _as_asked(self, row: Mapping[str, Any], job: Job) -> Mapping[str, Any]:
        """The row with the model's name as in the sweep, not as in the worker's folder."""
        case: Case = job[1]
        sent = self.shipments.get(case.model)
        if sent is None or sent.model == case.model:
            return row
        result = decode(row)
        record = result.record
        renamed = record and record.replace(model=record.model.replace(sent.model, case.model, 1))
        return encode(result.replace(case=case, record=renamed))

    def _lost_scheduler(self) -> CannotMeasure:
        return CannotMeasure(
            f"the scheduler at {one_line(self.address)} was lost; results until now are stored, and --resume goes on"
        )
