"""Runs of a sweep on this machine: order, killed workers, failures, interruption, and going on after SIGKILL."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from analyzer.core.errors import AnalyzerError, CannotMeasure
from analyzer.database.result_rows import decode
from analyzer.database.store import open_store
from analyzer.records.sweep_result import Case
from analyzer.sweeps import run_locally
from analyzer.sweeps.api import settings_of
from analyzer.sweeps.grid import cases
from analyzer.sweeps.grid_file import parse_grid
from analyzer.sweeps.run_locally import run_local
from analyzer.sweeps.run_sweep import rows_of, run_sweep
from analyzer.sweeps.sweep_worker_client import Process

NET = Path(__file__).with_name("net.py")


def settings(**changes):
    defaults = {"resume": False, "keep_going": False, "retries": 0, "timeout_s": 60.0, "jobs": 2, "cluster": None}
    return settings_of(**{**defaults, **changes})


def grid(**data) -> list[Case]:
    return cases(parse_grid(data))


def test_every_job_has_one_row():
    jobs = [(str(number), case) for number, case in enumerate(grid(models=["nin", "alexnet"], batch="1..40"))]
    rows: dict[str, dict] = {}

    def keep(row):
        assert row["key"] not in rows
        rows[row["key"]] = row

    run_local(jobs, run="r", processes=2, on_row=keep)
    assert {key: decode(row).case for key, row in rows.items()} == dict(jobs)
    assert {row["status"] for row in rows.values()} == {"ok"}


def test_an_error_of_the_store_ends_the_workers():
    started: list[int] = []

    def refuse(row):
        started.extend(worker.popen.pid for worker in _workers())
        raise CannotMeasure("the disk is full")

    with pytest.raises(CannotMeasure, match="the disk is full"):
        run_local([(str(batch), case) for batch, case in enumerate(grid(models=["nin"], batch="1..300"))],
                  run="r", processes=2, on_row=refuse)  # fmt: skip
    assert started
    for process in started:
        with pytest.raises(ProcessLookupError):
            os.kill(process, 0)


def _workers() -> list[Process]:
    import gc

    return [thing for thing in gc.get_objects() if issubclass(type(thing), Process)]


@pytest.mark.slow
def test_a_job_that_kills_its_worker_three_times_has_failed(monkeypatch):
    """The others are executed once; those sent with it may be tried again, too."""
    send = Process.send

    def kill_and_send(process, jobs, settings):
        jobs = list(jobs)
        if any(key == "5" for key, _ in jobs):
            process.popen.kill()
            process.popen.wait()
        send(process, jobs, settings)

    monkeypatch.setattr(Process, "send", kill_and_send)
    rows: list[dict] = []
    jobs = [(str(number), case) for number, case in enumerate(grid(models=["nin"], batch="1..8"))]
    run_local(jobs, run="r", processes=1, on_row=rows.append)
    assert sorted(row["key"] for row in rows) == sorted(key for key, _ in jobs)
    failed = [row for row in rows if row["status"] == "failed"]
    assert failed
    assert all(run_locally.GIVEN_UP in row["reason"] for row in failed)


def test_a_run_goes_on_where_it_ended():
    chosen = grid(models=["nin", "alexnet"], batch="1..10")
    with open_store("results.sqlite") as store:
        first = run_sweep(chosen, store, settings())
        again = run_sweep(chosen, store, settings(resume=True))
        assert (again.run, again.before, len(again.keys)) == (first.run, 20, 20)
        store.delete('model == "nin" and batch > 3')
        third = run_sweep(chosen, store, settings(resume=True))
        assert (third.run, third.before) == (first.run, 13)
        fourth = run_sweep(chosen, store, settings())
        assert (fourth.before, store.count()) == (0, 40)
        assert [row["batch"] for row in rows_of(third, store)] == [*range(1, 11)] * 2


def test_an_interrupted_run_keeps_its_results(monkeypatch):
    chosen = grid(models=["nin"], batch="1..60")
    seen: list[int] = []

    def interrupt(done: int, total: int, label: str) -> None:
        seen.append(done)
        if done >= 20:
            raise KeyboardInterrupt

    with open_store("results.sqlite") as store:
        outcome = run_sweep(chosen, store, settings(), progress=interrupt)
        assert not outcome.complete
        assert store.count() == max(seen) < 60
        assert run_sweep(chosen, store, settings(resume=True)).before == max(seen)


def test_a_model_that_loaded_before_is_not_loaded_again(monkeypatch):
    """One of its configurations may fail, which must not end a run that goes on."""
    chosen = grid(models=["nin", "alexnet"], batch=[1, 2])
    with open_store("results.sqlite") as store:
        run_sweep(chosen, store, settings())
        store.delete('batch == 2 or model == "alexnet"')
        tried: list[str] = []

        def load_errors(jobs, **options):
            tried.extend(case.model for _, case in jobs)
            return {}

        monkeypatch.setattr("analyzer.sweeps.run_sweep.load_errors", load_errors)
        run_sweep(chosen, store, settings(resume=True))
    assert set(tried) == {"alexnet"}


@pytest.mark.slow
def test_a_model_that_does_not_load_ends_the_sweep_before_it_starts(project):
    shutil.copy(NET, project / "net.py")
    broken = {"model": "net.py:Net('raise')", "input": "8"}
    chosen = grid(models=["nin", {"model": "net.py:Net", "input": "8"}, broken, "no.py:Net"], batch=[1, 2])
    messages: list[str] = []
    with open_store("results.sqlite") as store:
        with pytest.raises(AnalyzerError, match="2 of 4 models do not load; --keep-going runs the others") as raised:
            run_sweep(chosen, store, settings(jobs=1))
        reasons = "\n".join(raised.value.details)
        assert "no file no.py" in reasons
        assert "this model is broken" in reasons
        assert {row["model"] for row in store.select()} == {"net.py:Net"}  # Loading it was its first result.
        outcome = run_sweep(chosen, store, settings(keep_going=True, jobs=1), notify=messages.append)
        rows = rows_of(outcome, store)
    assert [row["status"] for row in rows] == ["ok"] * 4 + ["failed"] * 4
    assert len(messages) == 2
    assert "this model is broken" in rows[4]["reason"]


def test_needs_that_this_machine_lacks_are_failed_results():
    chosen = grid(models=["nin"], needs={"host": "no-such-host"})
    with open_store("results.sqlite") as store:
        (row,) = rows_of(run_sweep(chosen, store, settings()), store)
    assert row["status"] == "failed"
    assert "no-such-host" in row["reason"]


@pytest.mark.slow
def test_a_sweep_killed_at_random_moments_has_every_result_once(project):
    """SIGKILL to the command, a worker or a process of a worker; there are as many retries as kills."""
    shutil.copy(NET, project / "net.py")
    Path("grid.toml").write_text(
        'models = ["nin", "alexnet", { model = "net.py:Net", input = "8" }]\nbatch = "1..20"\n', encoding="utf-8"
    )
    command = [sys.executable, "-m", "analyzer", "sweep", "grid.toml", "--resume", "--jobs", "2", "--retries", "5"]
    order, killed, status = random.Random(0), 0, None
    while status is None:
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        while process.poll() is None:
            time.sleep(order.uniform(0.1, 1.0))
            if killed < 5 and process.poll() is None:
                killed += _kill(order.choice(_tree(process.pid)))
        status = process.returncode if process.returncode >= 0 else None
    assert status in (0, 3)
    with open_store() as store:
        rows = list(store.select())
    assert len({(row["model"], row["batch"]) for row in rows}) == len(rows) == 60
    assert len({row["run"] for row in rows}) == 1
    assert all(row["status"] == "ok" or run_locally.GIVEN_UP in row["reason"] for row in rows)


def _tree(process: int) -> list[int]:
    """A process and its descendants."""
    parents: dict[int, list[int]] = {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdecimal():
            try:
                parent = int((folder / "stat").read_bytes().rpartition(b")")[2].split()[1])
            except OSError:
                continue
            parents.setdefault(parent, []).append(int(folder.name))
    found = [process]
    for number in found:
        found += parents.get(number, [])
    return found


def _kill(process: int) -> bool:
    try:
        os.kill(process, signal.SIGKILL)
    except ProcessLookupError:
        return False
    return True
