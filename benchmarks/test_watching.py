"""What a look at the system costs beside every sample: outside of it, but in what a run takes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from analyzer.timing.machine.contention import Contention
from analyzer.timing.machine.fingerprint import fingerprint

if TYPE_CHECKING:
    from pytest_benchmark.fixture import BenchmarkFixture


def test_look(benchmark: BenchmarkFixture) -> None:
    watch = Contention(1)
    benchmark.extra_info |= {"environment": fingerprint(), "signals": watch.signals()}
    assert benchmark(watch.look).at_s > 0
