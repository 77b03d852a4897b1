"""Speed of the history database: `python -m benchmarks.database [--results 100000]`.

Fills SQLite and a PostgreSQL server on this machine with whole records of NiN under different names and
configurations, then searches and lists them; then two processes write 5,000 results each, 1,000 of them the same.
"""

from __future__ import annotations

import multiprocessing
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from analyzer.counting.api import count_variant
from analyzer.database.result_rows import encode
from analyzer.database.store import Store, open_store
from analyzer.networks.variants import variant
from analyzer.records.sweep_result import Case, Result
from analyzer.records.timings import Configuration
from benchmarks.common import parse_options

WHERE = 'model ~ "inception*" and batch == 8 and device == "cuda"'
MODELS = ("googlenet", "inception_v3", "inception_resnet", "alexnet", "vgg16", "nin", "resnet50", "inception_v4")
WRITTEN, SHARED = 5000, 1000
REPETITIONS = 5


def rows(count: int, first: int = 0) -> Iterator[dict[str, Any]]:
    """Rows with the documents of a real record."""
    record = count_variant(variant("nin"), memory=True)
    case = Case(model="nin", configuration=Configuration(batch=1))
    base = encode(Result(key="", case=case, status="ok", record=record, run="benchmark", host="alpha"))
    for number in range(first, first + count):
        yield {
            **base,
            "key": f"{number * 2654435761 % 2**32:08x}{number:08x}",
            "model": MODELS[number % 8],
            "batch": 2 ** (number // 8 % 6),
            "device": ("cpu", "cuda")[number // 48 % 2],
            "time_s": 0.001 + number % 997 / 1e5,
            "quality": "trusted",
            "created": f"2026-01-{1 + number // 4000 % 28:02}T{number // 60 % 24:02}:{number % 60:02}:00Z",
        }


def median_s(work: Callable[[], Any]) -> tuple[float, Any]:
    """The median wall time of the work, which a cold cache makes slower in its first repetition."""
    times, value = [], None
    for _ in range(REPETITIONS):
        start = time.perf_counter()
        value = work()
        times.append(time.perf_counter() - start)
    return sorted(times)[REPETITIONS // 2], value


def search(store: Store) -> Iterator[tuple[str, float, Any]]:
    yield "count the selected", *median_s(lambda: store.count(WHERE))
    yield "list the newest 50 of them", *median_s(lambda: len(list(store.select(WHERE, limit=50))))
    yield "list all of them", *median_s(lambda: len(list(store.select(WHERE))))
    yield "list every result", *median_s(lambda: len(list(store.select())))


def command(url: str) -> tuple[float, int]:
    """`analyze history list` in a new process."""
    program = [sys.executable, "-m", "analyzer", "history", "list", "--where", WHERE, "--store", url]
    time_s, done = median_s(lambda: subprocess.run(program, capture_output=True, text=True, check=True))
    return time_s, len(done.stdout.splitlines())


def write(url: str, first: int) -> None:
    with open_store(url) as store:
        batch: list[dict[str, Any]] = []
        for row in [*rows(WRITTEN - SHARED, first), *rows(SHARED, 10**6)]:
            batch.append(row)
            if len(batch) == 20:
                store.insert(batch)
                batch = []


def write_at_once(url: str) -> tuple[float, int]:
    """Two processes, which also create the tables: seconds, and the number of results."""
    context = multiprocessing.get_context("spawn")
    workers = [context.Process(target=write, args=(url, first)) for first in (0, WRITTEN)]
    start = time.perf_counter()
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    time_s = time.perf_counter() - start
    assert [worker.exitcode for worker in workers] == [0, 0]
    with open_store(url) as store:
        return time_s, len(store.keys("benchmark"))


def measure(name: str, url: str, second_url: str, count: int) -> None:
    print(f"{name}, {count:,} results")
    with open_store(url) as store:
        start = time.perf_counter()
        inserted = store.insert(rows(count))
        time_s = time.perf_counter() - start
        print(f"  insert {inserted:,} in batches of 500: {time_s:.1f} s, {inserted / time_s:,.0f} a second")
        for label, time_s, value in search(store):
            print(f"  {label}: {time_s:.3f} s ({value:,})")
    print("  analyze history list in a new process: {:.2f} s ({} lines)".format(*command(url)))
    time_s, stored = write_at_once(second_url)
    expected = 2 * WRITTEN - SHARED
    print(
        f"  two processes write {WRITTEN:,} each, {SHARED:,} the same: {time_s:.1f} s, "
        f"{stored:,} of {expected:,} stored"
    )


@contextmanager
def postgresql() -> Iterator[tuple[str, str]]:
    from tests.database import servers

    if reason := servers.unavailable():
        raise SystemExit(f"PostgreSQL: {reason}")
    with servers.running() as server:
        yield server.create("first"), server.create("second")


def main() -> None:
    count = parse_options(__doc__, results=100_000).results
    with tempfile.TemporaryDirectory() as name:
        measure("SQLite", str(Path(name) / "first.sqlite"), str(Path(name) / "second.sqlite"), count)
    with postgresql() as urls:
        measure("PostgreSQL", *urls, count)


if __name__ == "__main__":
    main()
