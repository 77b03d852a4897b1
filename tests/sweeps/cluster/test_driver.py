"""Sweeps on a Dask cluster whose workers differ, wait, die and come back."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

import analyzer
from analyzer.core.errors import CannotMeasure
from analyzer.core.lock import exclusive, lock_path
from analyzer.records.sweep_result import Case
from analyzer.records.timings import Configuration
from analyzer.sweeps.cluster import run
from analyzer.sweeps.run_locally import MAX_KILLED
from tests.sweeps.cluster.fleets import Fleet, kill, wait_for

pytest.importorskip("distributed")
pytestmark = pytest.mark.slow

Job = tuple[str, Case]


def counted(number: int, model: str = "nin") -> list[Job]:
    inputs = () if model == "nin" else ("2",)
    return [
        (f"{model}-{batch}", Case(model, inputs=inputs, configuration=Configuration(batch=batch)))
        for batch in range(1, number + 1)
    ]


def timed(number: int, **changes: Any) -> list[Job]:
    case = Case("nin", inputs=("3x64x64",), measure=("time",), budget_s=0.1, processes=1)
    configurations = [Configuration(batch=batch) for batch in range(1, number + 1)]
    return [(f"timed-{one.batch}", case.replace(configuration=one, **changes)) for one in configurations]


class Sweep:
    """Runs jobs in a thread, as a driver that a test watches. A driver that fails keeps its error."""

    def __init__(self, fleet: Fleet, jobs: list[Job]) -> None:
        self.rows: list[Mapping[str, Any]] = []
        self.messages: list[str] = []
        self.labels: list[str] = []
        self.error: BaseException | None = None
        self.fleet, self.jobs = fleet, jobs
        self.thread = threading.Thread(target=self.run, daemon=True)

    def run(self) -> None:
        try:
            run(
                self.jobs, self.fleet.address, run="test", on_row=self.rows.append,
                notify=self.messages.append, progress=self.labels.append,
            )  # fmt: skip
        except BaseException as error:
            self.error = error

    def __enter__(self) -> Sweep:
        self.thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.thread.join(60)
        assert not self.thread.is_alive()

    @property
    def keys(self) -> list[str]:
        return sorted(row["key"] for row in self.rows)


def sleeping_model(folder: Path, seconds: float = 60) -> str:
    """A model that takes long to load, so that its worker can be killed meanwhile."""
    (folder / "sleeping.py").write_text(f"import time, torch\ntime.sleep({seconds})\nnet = torch.nn.Linear(2, 2)\n")
    return "sleeping.py:net"


def test_workers_of_another_version_are_named_and_get_nothing(fleet: Fleet, tmp_path: Path) -> None:
    other, none = tmp_path / "other", tmp_path / "none"
    package = Path(analyzer.__file__).parent
    shutil.copytree(package, other / "analyzer", ignore=shutil.ignore_patterns("__pycache__"))
    with (other / "analyzer" / "core" / "units.py").open("a") as file:
        file.write("# another version\n")
    (none / "analyzer").mkdir(parents=True)
    (none / "analyzer" / "__init__.py").touch()
    for folder in (other, none):
        fleet.start_worker(PYTHONPATH=str(folder))
    wait_for(lambda: fleet.joined() == 2)
    with Sweep(fleet, counted(1)) as sweep:
        pass
    assert isinstance(sweep.error, CannotMeasure)
    assert "none of the 2 workers can be used" in str(sweep.error)
    assert sorted("has no macscope" in message for message in sweep.messages) == [False, True]
    assert sum("wanted" in message for message in sweep.messages) == 1


def test_a_case_waits_for_a_worker_that_fits_and_gets_it_when_it_joins(fleet: Fleet) -> None:
    jobs = [*counted(3), ("gpu", Case("nin", needs={"gpu": "H100"})), ("cpu", Case("nin", needs={"cpu": "*"}))]
    with Sweep(fleet, jobs) as sweep:
        wait_for(lambda: any("no worker has joined yet" in message for message in sweep.messages))
        fleet.start_worker()
        wait_for(lambda: len(sweep.rows) == 4)
        assert any("gpu = 'H100'" in message for message in sweep.messages)
        tools = fleet.folder / "bin"
        tools.mkdir()
        (tools / "nvidia-smi").write_text("#!/bin/sh\necho NVIDIA H100 80GB HBM3\n")
        (tools / "nvidia-smi").chmod(0o700)
        fleet.start_worker(PATH=f"{tools}:/usr/bin:/bin")
    assert sweep.error is None
    assert sweep.keys == ["cpu", "gpu", "nin-1", "nin-2", "nin-3"]


def test_a_worker_is_found_though_dask_does_not_say_that_it_joined(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker that joins between the question for workers and the subscription to events is in neither."""
    monkeypatch.setattr("distributed.Client.subscribe_topic", lambda client, topic, handler: None)
    monkeypatch.setattr("distributed.Client.unsubscribe_topic", lambda client, topic: None)
    with Sweep(fleet, counted(2)) as sweep:
        wait_for(lambda: any("no worker has joined yet" in message for message in sweep.messages))
        fleet.start_worker()
    assert sweep.error is None
    assert sweep.keys == ["nin-1", "nin-2"]


def test_a_case_whose_workers_die_is_given_up_and_the_others_complete(fleet: Fleet, tmp_path: Path) -> None:
    jobs = [("poison", Case(sleeping_model(tmp_path))), *counted(4)]
    fleet.start_worker()
    fleet.start_worker()
    with Sweep(fleet, jobs) as sweep:
        for _ in range(MAX_KILLED):
            wait_for(fleet.loading)
            kill(fleet.loading()[0])
            wait_for(lambda: not fleet.loading())
    assert sweep.error is None
    rows = {row["key"]: row for row in sweep.rows}
    assert len(sweep.rows) == len(rows) == 5
    assert rows["poison"]["status"] == "failed"
    assert f"given up after {MAX_KILLED} lost workers" in rows["poison"]["reason"]
    assert {row["status"] for key, row in rows.items() if key != "poison"} == {"ok"}


def test_a_timing_that_waits_for_the_lock_leaves_its_slot(fleet: Fleet) -> None:
    fleet.start_worker()  # It has one thread.
    with ExitStack() as lock:
        lock.enter_context(exclusive(lock_path()))
        with Sweep(fleet, timed(1)) as waiting:
            wait_for(lambda: any("waiting" in label for label in waiting.labels))
            with Sweep(fleet, counted(3)) as other:
                pass
            assert other.keys == ["nin-1", "nin-2", "nin-3"]
            assert waiting.rows == []
            lock.close()
    assert [row["status"] for row in waiting.rows] == ["ok"]


def test_rows_stay_when_the_scheduler_is_lost(fleet: Fleet, tmp_path: Path) -> None:
    fleet.start_worker()
    jobs = [*counted(2), ("sleeping", Case(sleeping_model(tmp_path)))]
    with Sweep(fleet, jobs) as sweep:
        wait_for(lambda: len(sweep.rows) == 2)
        kill(fleet.processes[0].pid)
    assert isinstance(sweep.error, CannotMeasure)
    assert "--resume" in str(sweep.error)
    assert sweep.keys == ["nin-1", "nin-2"]


def test_an_interrupt_ends_what_runs_on_the_workers(fleet: Fleet, tmp_path: Path) -> None:
    fleet.start_worker()
    jobs = [*counted(1), ("sleeping", Case(sleeping_model(tmp_path)))]

    def interrupt(row: Mapping[str, Any]) -> None:
        wait_for(fleet.loading)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(jobs, fleet.address, run="test", on_row=interrupt)
    wait_for(lambda: not fleet.loading(), limit_s=20)
