"""The cost of a snapshot of the system, taken before and after each sample: part of a run, but not of its samples."""

from __future__ import annotations

from typing import TYPE_CHECKING

from analyzer.timing.machine.contention import Contention
from analyzer.timing.machine.fingerprint import fingerprint

if TYPE_CHECKING:
    from pytest_benchmark.fixture import BenchmarkFixture


def test_snapshot(benchmark: BenchmarkFixture) -> None:
    watch = Contention(1)
    benchmark.extra_info |= {"environment": fingerprint(), "signals": watch.signals()}
    assert benchmark(watch.snapshot).at_s > 0
