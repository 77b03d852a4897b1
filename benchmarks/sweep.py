"""Speed of sweeps: `python -m benchmarks.sweep counted|overhead|overlaps [--configurations N] [--cluster local:2]`.

`counted`: configurations of GoogLeNet with changed widths, counted and stored per second. `overhead`: timed
configurations whose measurement is a sleep of one second; the share of the run's time beyond these seconds.
`overlaps`: 200 configurations of NiN, each timed in one short process, with four Dask workers on this machine; how many
overlap in time, by the recorded times of start and end.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

from analyzer.database.store import Store, open_store
from analyzer.records.sweep_result import Case
from analyzer.sweeps import sweep_worker_client
from analyzer.sweeps.api import settings_of
from analyzer.sweeps.grid import cases
from analyzer.sweeps.grid_file import parse_grid
from analyzer.sweeps.run_sweep import rows_of, run_sweep
from benchmarks.common import parse_options, seconds_of

WIDTHS = 100  # Of the second of two layers.
SLEEP = """
import time
import analyzer
from analyzer.sweeps import run_configuration
record = analyzer.count("nin")
def sleep(case, *others):
    time.sleep(1)
    return record
run_configuration._timed = sleep
"""


def run(chosen: Sequence[Case], store: Store, cluster: str | None) -> tuple[float, list[Mapping[str, Any]]]:
    """Seconds of the whole run, with the start of its workers and the storage, and its rows."""
    settings = settings_of(
        resume=False, keep_going=False, retries=0, timeout_s=600.0, jobs=None, cluster=cluster, memory_bytes=None
    )
    start = time.perf_counter()
    outcome = run_sweep(chosen, store, settings)
    taken_s = time.perf_counter() - start
    rows = rows_of(outcome, store)
    assert len(rows) == len(chosen)
    assert all(row["status"] == "ok" for row in rows)
    return taken_s, list(rows)


def counted(configurations: int, store: Store, cluster: str | None) -> None:
    first = -(-configurations // WIDTHS)
    settings = {"inception_4a.reduce_5x5": f"1..{first}", "inception_4b.reduce_5x5": f"1..{WIDTHS}"}
    chosen = cases(parse_grid({"models": ["googlenet"], "set": settings}))[:configurations]
    before = os.times()
    taken_s, _ = run(chosen, store, cluster)
    after = os.times()
    cpu_s = sum(after[:4]) - sum(before[:4])
    print(f"{len(chosen):,} counted and stored in {taken_s:.1f} s: {len(chosen) / taken_s:,.0f} per second; "
          f"{1e3 * cpu_s / len(chosen):.2f} ms of CPU time each, {2 * len(chosen) / cpu_s:,.0f} per second on 2 idle "
          "processors at most")  # fmt: skip


def overhead(configurations: int, store: Store, cluster: str | None) -> None:
    sweep_worker_client.MAIN = SLEEP + sweep_worker_client.MAIN
    grid = {"models": ["nin"], "batch": f"1..{configurations}", "measure": "time", "threads": 1}
    taken_s, rows = run(cases(parse_grid(grid)), store, cluster)
    measured_s = sum(seconds_of(row["ended"]) - seconds_of(row["started"]) for row in rows)
    share = (taken_s - measured_s) / measured_s
    print(f"{len(rows)} configurations of one second: {taken_s:.2f} s, of which {measured_s:.2f} s measured; "
          f"overhead {100 * share:.1f} %")  # fmt: skip


def overlaps(configurations: int, store: Store, cluster: str | None) -> None:
    grid = {
        "models": ["nin"], "input": "3x64x64", "set": {"conv2.out": f"1..{configurations}"}, "measure": "time",
        "threads": 1, "budget": 0.1, "processes": 1,
    }  # fmt: skip
    taken_s, rows = run(cases(parse_grid(grid)), store, cluster or "local:4")
    spans = sorted((seconds_of(row["started"]), seconds_of(row["ended"])) for row in rows)
    between = [started - ended for (_, ended), (started, _) in pairwise(spans)]
    overlapping, keys = sum(between_s < 0 for between_s in between), len({row["key"] for row in rows})
    print(f"{len(spans)} timed in {taken_s:.0f} s by {cluster or 'local:4'}, {keys} keys: {overlapping} overlap; "
          f"least time between two {1e3 * min(between):.0f} ms")  # fmt: skip


def main() -> None:
    benchmarks = {"counted": (counted, 10_000), "overhead": (overhead, 60), "overlaps": (overlaps, 200)}
    options = parse_options(__doc__, what=tuple(benchmarks), configurations=int, cluster=str)
    measure, configurations = benchmarks[options.what]
    with tempfile.TemporaryDirectory() as folder, open_store(str(Path(folder) / "results.sqlite")) as store:
        measure(options.configurations or configurations, store, options.cluster)


if __name__ == "__main__":
    main()
