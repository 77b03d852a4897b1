"""The jobs of a sweep on a cluster: which of them wait, which Dask has, and how often each lost its worker."""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Collection, Hashable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from analyzer.records.sweep_result import Case
from analyzer.sweeps.keys import is_builtin
from analyzer.sweeps.run_locally import CHUNK, MAX_KILLED, Job

if TYPE_CHECKING:
    from distributed import Future


class Group:
    """Jobs that the same workers may run."""

    def __init__(self, timed: bool) -> None:
        self.timed = timed
        self.waiting: deque[Job] = deque()
        self.sent = 0  # Tasks that Dask has.
        self.complained = ""


class Task:
    """What Dask has: a job, or several counts of a built-in network, each of which takes less time than a task."""

    def __init__(self, jobs: Sequence[Job], group: Group, future: Future[Any], addresses: Collection[str]) -> None:
        self.jobs, self.group, self.future, self.addresses = jobs, group, future, addresses
        self.worker = ""  # The address of the worker that has started it.
        self.waits = ""  # For the machine's lock: the message.

    @property
    def case(self) -> Case:
        return self.jobs[0][1]


class Tasks:
    """`sent` has the tasks by name."""

    def __init__(self, jobs: Iterable[Job], run: str) -> None:
        self.groups = _groups(jobs, random.Random(run))
        self.sent: dict[str, Task] = {}
        self._killed: dict[str, int] = {}  # By the key of a job.
        self._alone: set[str] = set()  # Keys of jobs that may have ended a worker.

    @property
    def unfinished(self) -> bool:
        return bool(self.sent) or any(group.waiting for group in self.groups)

    @property
    def waiting(self) -> int:
        return sum(len(group.waiting) for group in self.groups)

    def to_send(self) -> Iterator[Group]:
        """The groups with jobs that wait. Times begin when nothing is left to count."""
        counting = False
        for group in self.groups:
            if group.waiting and not (group.timed and counting):
                yield group
            counting = counting or (not group.timed and bool(group.sent))

    def take(self, group: Group, slots: int) -> list[Job]:
        """The next jobs of a group for one task, of as many tasks as there are slots."""
        jobs = [group.waiting.popleft()]
        key, case = jobs[0]
        share = len(group.waiting) // (2 * slots)
        most = 1 if group.timed or key in self._alone or not is_builtin(case.model) else min(CHUNK, share)
        while len(jobs) < most and group.waiting[0][1].model == case.model and group.waiting[0][0] not in self._alone:
            jobs.append(group.waiting.popleft())
        return jobs

    def add(self, name: str, task: Task) -> None:
        self.sent[name] = task
        task.group.sent += 1

    def remove(self, name: str) -> None:
        self.sent.pop(name).group.sent -= 1

    def wait_again(self, name: str, jobs: Sequence[Job]) -> None:
        """Removes a task, of which these jobs have no result."""
        group = self.sent[name].group
        self.remove(name)
        group.waiting.extendleft(reversed(jobs))

    def suspect(self, jobs: Iterable[Job]) -> None:
        """Any of the jobs may have ended its worker: each is then sent alone."""
        self._alone.update(key for key, _ in jobs)

    def gives_up(self, key: str) -> bool:
        """Counts that a job lost its worker or process, and returns whether it has too often."""
        self._killed[key] = self._killed.get(key, 0) + 1
        return self._killed[key] >= MAX_KILLED


def _groups(jobs: Iterable[Job], order: random.Random) -> list[Group]:
    """Counts first. Times are in random order: a drift of a machine then affects all configurations alike."""
    groups: dict[Hashable, Group] = {}
    for job in jobs:
        case = job[1]
        timed = "time" in case.measure
        kind = (timed, case.configuration.device, tuple(sorted(case.needs.items())))
        groups.setdefault(kind, Group(timed)).waiting.append(job)
    for group in groups.values():
        if group.timed:
            shuffled = list(group.waiting)
            order.shuffle(shuffled)
            group.waiting = deque(shuffled)
    return sorted(groups.values(), key=lambda group: group.timed)
