"""The workers of a cluster: which may be used, and for which cases. They come and go."""

from __future__ import annotations

from asyncio import run_coroutine_threadsafe
from collections.abc import Callable
from concurrent.futures import Future, wait
from typing import TYPE_CHECKING, Any

from analyzer.core.errors import CannotMeasure, one_line
from analyzer.core.frozen import Frozen
from analyzer.records.sweep_result import Case
from analyzer.sweeps.cluster.placement import Machine, unmet
from analyzer.sweeps.cluster.software import Description, Software, describe, description, difference

if TYPE_CHECKING:
    from distributed import Client

RESTARTED = "restart a worker after an update"


class Worker(Frozen):
    """A Dask worker process that may be used."""

    address: str
    machine: Machine
    threads: int


class Fleet:
    """Asks the workers that join what they run, without waiting for it: Dask tries for long to reach one that died."""

    def __init__(self, client: Client, software: Software, notify: Callable[[str], None]) -> None:
        self.client, self.software, self.notify = client, software, notify
        self.workers: dict[str, Worker] = {}
        self.refused: dict[str, str] = {}  # By address: the reason.
        self.asked: dict[str, Future[Any]] = {}
        self.threads: dict[str, int] = {}

    def update(self, answered: Callable[[], None] = lambda: None) -> None:
        """Asks the workers that have joined. `answered` is called in another thread for each that answers."""
        present = self.client.scheduler_info(n_workers=-1)["workers"]
        self.threads = {address: int(worker["nthreads"]) for address, worker in present.items()}
        for known in (self.workers, self.refused, self.asked):
            for address in known.keys() - present.keys():
                del known[address]
        loop = getattr(self.client.loop, "asyncio_loop")  # noqa: B009 – tornado does not declare it.
        for address in present.keys() - self.workers.keys() - self.refused.keys() - self.asked.keys():
            question = self.client.run(
                describe, list(self.software.sources), workers=[address], on_error="return", asynchronous=True
            )
            self.asked[address] = run_coroutine_threadsafe(question, loop)
            self.asked[address].add_done_callback(lambda _: answered())

    def collect(self, limit_s: float = 0.0) -> None:
        """Takes the answers; waits for them at most `limit_s`. Names the workers that cannot be used."""
        wait(self.asked.values(), limit_s)
        for address, future in list(self.asked.items()):
            if not future.done():
                continue
            del self.asked[address]
            described = _understood(future.exception() or future.result().get(address))
            reason = described if isinstance(described, str) else difference(self.software, described.software)
            if isinstance(described, str) or reason:
                self.refused[address] = reason
                self.notify(f"worker {one_line(address)} is not used: {reason}")
            else:
                self.workers[address] = Worker(address, described.machine, self.threads.get(address, 1))

    def suitable(self, case: Case) -> list[Worker]:
        return [worker for worker in self.workers.values() if not unmet(case, worker.machine)]

    def why_none(self, case: Case) -> str:
        """Why no worker may run a case, for those that are here."""
        if not self.workers:
            return "no worker can be used" if self.refused else "no worker has joined yet"
        reasons = dict.fromkeys(unmet(case, worker.machine) for worker in self.workers.values())
        return f"no worker fits ({'; '.join(reasons)})"

    def require_usable(self) -> None:
        """Raises CannotMeasure if there are workers but none may be used."""
        if self.workers or not self.refused:
            return
        raise CannotMeasure(f"none of the {len(self.refused)} workers can be used: {next(iter(self.refused.values()))}")


def _understood(answer: Any) -> Description | str:
    """The description, or the reason why there is none."""
    if isinstance(answer, BaseException):
        text = one_line(answer)
        if "ModuleNotFoundError" in text or "AttributeError" in text:
            return f"it has no macscope of this version ({text[:120]}); {RESTARTED}"
        return f"it cannot describe itself ({text[:120]})"
    try:
        return description(answer)
    except TypeError as error:
        return f"it has another version of macscope ({error}); {RESTARTED}"
