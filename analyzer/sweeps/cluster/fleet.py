"""The workers of a cluster: which may be used, and for which cases. They come and go."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import TYPE_CHECKING, Any

from analyzer.core.errors import CannotMeasure, one_line
from analyzer.core.frozen import Frozen
from analyzer.records.result import Case
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
    """`changed` counts the changes, so that what was derived from the workers can be kept until the next one."""

    def __init__(self, client: Client, software: Software, notify: Callable[[str], None]) -> None:
        self.client, self.software, self.notify = client, software, notify
        self.workers: dict[str, Worker] = {}
        self.refused: dict[str, str] = {}  # By address: the reason.
        self.changed = 0

    def update(self) -> None:
        """Asks the workers that have joined what they run, and names those that cannot be used."""
        present = self.client.scheduler_info(n_workers=-1)["workers"]
        left = (self.workers.keys() | self.refused.keys()) - present.keys()
        joined = present.keys() - self.workers.keys() - self.refused.keys()
        for address in left:
            self.workers.pop(address, None)
            self.refused.pop(address, None)
        for address, answer in self._ask(sorted(joined)).items():
            described = _understood(answer)
            reason = described if isinstance(described, str) else difference(self.software, described.software)
            if reason or isinstance(described, str):
                self.refused[address] = reason
                self.notify(f"worker {one_line(address)} is not used: {reason}")
            else:
                self.workers[address] = Worker(address, described.machine, int(present[address]["nthreads"]))
        self.changed += bool(left or joined)

    def _ask(self, addresses: Collection[str]) -> dict[str, Any]:
        """The answer of each worker that still runs, an exception if it has no such function."""
        if not addresses:
            return {}
        models = list(self.software.sources)
        answers = self.client.run(describe, models, workers=list(addresses), on_error="return")
        present = self.client.scheduler_info(n_workers=-1)["workers"]
        return {address: answer for address, answer in answers.items() if address in present}

    def suitable(self, case: Case) -> list[Worker]:
        return [worker for worker in self.workers.values() if not unmet(case, worker.machine)]

    def why_none(self, case: Case) -> str:
        """Why no worker may run a case, for those that are here."""
        if not self.workers:
            return "no worker has joined yet" if not self.refused else "no worker can be used"
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
