"""Sends the jobs of a sweep to Dask and passes their rows on, until each has one, while workers come and go.

Few tasks are on their way, so that workers that join get some, and so that the death of a worker is blamed on the case
that ran there.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any, TypeAlias

from analyzer.core.errors import CannotMeasure, one_line
from analyzer.core.serialize import to_json
from analyzer.core.units import counted
from analyzer.sweeps.cluster.dask_worker import Request, run_cases, stop
from analyzer.sweeps.cluster.fleet import Fleet
from analyzer.sweeps.cluster.job_queue import Group, Task, Tasks
from analyzer.sweeps.cluster.model_files import Shipment, as_asked
from analyzer.sweeps.run_configuration import failed_row
from analyzer.sweeps.run_locally import MAX_KILLED, TICK_S, Job

if TYPE_CHECKING:
    from distributed import Client, Future

MAX_DEMAND = 200  # Enough for an adaptive cluster to see that much is left.
DEMAND = {"macscope demand": 1}  # A resource that no worker has.
STOP_S = 5.0
RESULT_S = 20.0  # For rows that a worker has.
UPDATE_S = 5.0  # Dask does not tell us of a worker that joins before our subscription has arrived.

Event: TypeAlias = tuple[str, Any]


class Dispatch:
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
        self.tasks = Tasks((), "")
        self.submitted = 0
        self.demand: list[Future[Any]] = []
        self.events: SimpleQueue[Event] = SimpleQueue()
        self.updated_at = 0.0
        self.topic = f"macscope {settings['run']} {random.getrandbits(64):x}"

    def run(self, jobs: Sequence[Job]) -> None:
        self.tasks = Tasks(jobs, self.settings["run"])
        # Handlers run in the client's thread.
        self.client.subscribe_topic(self.topic, lambda event: self.events.put(("task", event[1])))
        self.client.subscribe_topic("all", lambda event: self.events.put(("worker", event[1])))
        self._update_fleet()  # For workers that joined before the subscription.
        while self.tasks.unfinished:
            self._submit()
            self._handle_events()
            self.progress(self._label())

    def close(self) -> None:
        """Takes back what Dask has, and ends the processes of the run on the workers."""
        if self.client.status != "running":
            return
        with suppress(Exception):  # The scheduler may be lost meanwhile; what matters is stored.
            self.client.cancel([*(task.future for task in self.tasks.sent.values()), *self.demand], force=True)
            for topic in (self.topic, "all"):
                self.client.unsubscribe_topic(topic)
            if self.fleet.workers:
                self.client.run(
                    stop, self.settings["run"], workers=list(self.fleet.workers), on_error="ignore",
                    callback_timeout=STOP_S,
                )  # fmt: skip

    def _submit(self) -> None:
        """Sends jobs until every worker has one task more than it can run."""
        for group in self.tasks.to_send():
            workers = self.fleet.suitable(group.waiting[0][1])
            self._complain(group, bool(workers))
            hosts = len({worker.machine.host for worker in workers})
            slots = len(workers) + hosts if group.timed else 2 * sum(worker.threads for worker in workers)
            while group.waiting and group.sent < slots:
                self._send(self.tasks.take(group, slots), group, [worker.address for worker in workers])
        self._show_demand()

    def _complain(self, group: Group, served: bool) -> None:
        """Says once that jobs wait for a worker, and why."""
        reason = "" if served else self.fleet.why_none(group.waiting[0][1])
        if reason and reason != group.complained:
            self.notify(f"{counted(len(group.waiting), 'configuration')} wait: {reason}")
        group.complained = reason

    def _show_demand(self) -> None:
        """Keeps as many tasks that no worker can run as jobs wait: an adaptive cluster starts workers for tasks."""
        waiting = min(self.tasks.waiting, MAX_DEMAND)
        if waiting > len(self.demand):
            names = [f"macscope-demand-{self.topic}-{self._number()}" for _ in range(waiting - len(self.demand))]
            self.demand += self.client.map(abs, range(len(names)), key=names, resources=DEMAND, pure=False)
        elif waiting < len(self.demand):
            extra, self.demand = self.demand[waiting:], self.demand[:waiting]
            self.client.cancel(extra)

    def _number(self) -> int:
        self.submitted += 1
        return self.submitted

    def _send(self, jobs: Sequence[Job], group: Group, addresses: list[str]) -> None:
        """Jobs of one task have one model, and so the same files."""
        sent = self.shipments.get(jobs[0][1].model)
        cases = [(key, case.replace(model=sent.model) if sent else case) for key, case in jobs]
        name = f"macscope-{jobs[0][0]}-{self._number()}"  # Dask counts the deaths of workers by name.
        files = (sent.files, sent.digest) if sent else ((), "")
        request = Request(self.topic, name, [(key, to_json(case)) for key, case in cases], self.settings, *files)
        future = self.client.submit(run_cases, tuple(request), key=name, workers=addresses, pure=False)
        self.tasks.add(name, Task(jobs, group, future, addresses))
        future.add_done_callback(partial(self._done, name))

    def _done(self, name: str, future: Future[Any]) -> None:
        self.events.put(("done", (name, future)))

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
            elif kind == "task":
                self._hear(content)
            elif isinstance(content, Mapping) and content.get("action") in ("add-worker", "remove-worker"):
                changed = True  # Others may write to that topic, too.
                if content["action"] == "remove-worker":
                    self._lose(content)
        if self.client.status != "running":
            raise self._lost_scheduler()
        if changed or time.monotonic() > self.updated_at + UPDATE_S:
            self._update_fleet()
        self.fleet.collect()

    def _update_fleet(self) -> None:
        self.updated_at = time.monotonic()
        try:
            self.fleet.update(lambda: self.events.put(("answer", {})))
        except (OSError, TimeoutError):
            raise self._lost_scheduler() from None
        for name, task in list(self.tasks.sent.items()):
            if self.fleet.workers.keys().isdisjoint(task.addresses):  # Dask would wait for those that have left.
                self._send_again(name)

    def _hear(self, message: Mapping[str, Any]) -> None:
        task = self.tasks.sent.get(message.get("started") or message.get("waiting") or "")
        if task is None:
            return
        if "started" in message:
            task.worker = message["worker"]
        else:
            task.waits = one_line(message["message"])

    def _label(self) -> str:
        """What runs; if nothing does, what it waits for."""
        started = [task for task in self.tasks.sent.values() if task.worker]
        for task in started:
            if not task.waits:
                return f"{task.case.label}, {task.case.configuration.label}"
        return started[0].waits if started else "waiting for workers"

    def _lose(self, message: Mapping[str, Any]) -> None:
        """What ran on a lost worker may be what killed it. Dask runs a task of a lost worker again."""
        if message.get("expected"):
            return
        for name, task in list(self.tasks.sent.items()):
            if task.worker == message["worker"]:
                task.worker = ""
                if len(task.jobs) > 1:
                    self._send_again(name)
                elif self._gives_up(task.jobs[0], f"the worker {one_line(message['worker'])} was lost"):
                    self.tasks.remove(name)
                    self.client.cancel([task.future], force=True)

    def _send_again(self, name: str) -> None:
        """Takes a task back from Dask. Each of several jobs is then sent alone."""
        task = self.tasks.sent[name]
        if len(task.jobs) > 1:
            self.tasks.suspect(task.jobs)
        self.tasks.wait_again(name, task.jobs)
        self.client.cancel([task.future], force=True)

    def _gives_up(self, job: Job, reason: str) -> bool:
        """Counts the death of a job's worker or process; whether it has failed, for this reason."""
        key, case = job
        if not self.tasks.gives_up(key):
            return False
        reason = f"{one_line(case.label)}: given up after {MAX_KILLED} lost workers; at last {reason}"
        self.on_row(failed_row(job, self.settings["run"], reason, host="", attempts=MAX_KILLED))
        return True

    def _finish(self, name: str, future: Future[Any]) -> None:
        task = self.tasks.sent.get(name)
        if task is None:
            return  # It was given up, or sent again under another name.
        if future.status == "cancelled":
            raise self._lost_scheduler()
        try:
            answer = future.result(timeout=RESULT_S)
        except TimeoutError:  # The worker was lost with the rows.
            self._send_again(name)
            return
        except OSError:
            raise self._lost_scheduler() from None
        except Exception as error:
            self._raised(name, task, error)
            return
        for other in self.tasks.sent.values():
            other.waits = ""  # One of them has the lock now.
        rows = answer["rows"]
        for row, (_, case) in zip(rows, task.jobs, strict=False):
            sent = self.shipments.get(case.model)
            self.on_row(as_asked(row, case, sent) if sent else row)
        left = list(task.jobs[len(rows) :])
        if left and self._gives_up(left[0], f"its process ended ({one_line(answer['killed'])})"):
            left = left[1:]
        self.tasks.wait_again(name, left)

    def _raised(self, name: str, task: Task, error: Exception) -> None:
        """Of a task that raised itself a job is to blame. Dask also gives up one that only waited on lost workers."""
        from distributed import KilledWorker
        from distributed.client import FutureCancelledError

        if isinstance(error, FutureCancelledError):
            raise self._lost_scheduler() from None
        single = len(task.jobs) == 1 and not isinstance(error, KilledWorker)
        if single and self._gives_up(task.jobs[0], f"{type(error).__name__}: {error}"):
            self.tasks.remove(name)
        else:
            self._send_again(name)

    def _lost_scheduler(self) -> CannotMeasure:
        return CannotMeasure(
            f"the scheduler at {one_line(self.address)} was lost; results until now are stored, and "
            "--resume continues the sweep"
        )
