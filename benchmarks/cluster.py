"""What Dask costs a sweep, whether times through Dask are those without, and whether killed processes lose a result.

    python -m benchmarks.cluster overhead|times|kills [--count N]

overhead: the time of a worker between two counted configurations of about a second each, relative to their own time.
times: NiN at batch 1, timed through Dask and directly, interleaved; the ratio with its 95 % interval.
kills: ten processes (driver, scheduler, worker, child, in random order) are killed during a sweep of 60.
"""

from __future__ import annotations

import os
import random
import tempfile
from collections.abc import Mapping
from contextlib import chdir
from math import exp, log, sqrt
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

from analyzer.records.sweep_result import Case
from analyzer.records.timings import Configuration
from analyzer.sweeps import cluster
from analyzer.sweeps.run_locally import Job, run_local
from benchmarks.common import parse_options, seconds_of

SECOND = "import time, torch\ndef net():\n    time.sleep({0})\n    return torch.nn.Linear(2, 2)\n"
KINDS = ("driver", "scheduler", "worker", "child")


def overhead(count: int) -> float:
    """Relative; of the first configuration, which starts the processes, only the end counts."""
    Path("net.py").write_text(SECOND.format(1), encoding="utf-8")
    rows: list[Mapping[str, Any]] = []
    cases = [
        Case("net.py:net", inputs=("2",), configuration=Configuration(batch=number + 1)) for number in range(count)
    ]
    jobs = [(str(number), case) for number, case in enumerate(cases)]
    cluster.run(jobs, "local:1", run="overhead", on_row=rows.append)
    spans = sorted((seconds_of(row["started"]), seconds_of(row["ended"])) for row in rows)
    busy = sum(ended - started for started, ended in spans[1:])
    print(f"{len(spans)} configurations of {busy / (len(spans) - 1):.3f} s")
    return (spans[-1][1] - spans[0][1]) / busy - 1


def times(count: int) -> tuple[float, float]:
    """The ratio Dask ÷ direct, geometric mean over the pairs, and the half width of its interval, as logarithms."""
    from distributed import LocalCluster
    from scipy.stats import t

    case = Case("nin", configuration=Configuration(threads=1), measure=("time",), budget_s=2.0, processes=3)
    with LocalCluster(n_workers=1, threads_per_worker=1, dashboard_address="127.0.0.1:0") as started:
        logs = []
        for number in range(count):
            job, seconds = [(str(number), case)], {}
            for way in random.Random(number).sample(["dask", "direct"], 2):
                seconds[way] = _timed(way, job, started.scheduler_address)
            logs.append(log(seconds["dask"] / seconds["direct"]))
            print(f"pair {number + 1}: {seconds['dask'] * 1e3:.2f} ms / {seconds['direct'] * 1e3:.2f} ms", flush=True)
    return fmean(logs), float(t.ppf(0.975, count - 1)) * stdev(logs) / sqrt(count)


def _timed(way: str, jobs: list[Job], address: str) -> float:
    rows: list[Mapping[str, Any]] = []
    if way == "dask":
        cluster.run(jobs, address, run="times", on_row=rows.append)
    else:
        run_local(jobs, run="times", on_row=rows.append)
    return float(rows[0]["time_s"])


def kills(count: int) -> str:
    from analyzer.database.store import open_store
    from tests.sweeps.cluster.chaos import sweep_under_fire

    kinds = [random.Random(number).choice(KINDS) for number in range(10)]
    path = Path("results.sqlite").resolve()
    drivers = sweep_under_fire(Path.cwd(), count, kinds, 0, path)
    with open_store(str(path)) as store:
        rows = list(store.select())
    keys = {row["key"] for row in rows}
    failed = sum(row["status"] != "ok" for row in rows)
    killed = ", ".join(kinds)
    return f"killed {killed}: {len(drivers)} drivers, {len(rows)} results, {len(keys)} keys, {failed} failed"


def main() -> None:
    options = parse_options(__doc__, what=("overhead", "times", "kills"), count=0)
    with tempfile.TemporaryDirectory() as folder, chdir(folder):
        if options.what == "overhead":
            print(f"scheduling overhead {overhead(options.count or 20):.1%}")
        elif options.what == "times":
            mean, half = times(options.count or 20)
            print(f"Dask ÷ direct: {exp(mean):.4f} ({exp(mean - half):.4f} to {exp(mean + half):.4f})")
        else:
            os.environ["XDG_RUNTIME_DIR"] = folder
            print(kills(options.count or 60))


if __name__ == "__main__":
    main()
