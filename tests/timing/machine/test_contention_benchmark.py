"""The benchmark of contention: its intervals, its words, and the witness that says whether a window was quiet."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from analyzer.timing.driver.quality import contention_quality
from benchmarks.contention import FLOOR, interval, neighbour, others_s, summary


def test_intervals_are_those_of_the_tables():
    # No hit in n: 1 - (α/2)^(1/n).
    assert interval(0, 100) == (0.0, pytest.approx(1 - 0.025 ** (1 / 100)))
    assert interval(100, 100) == (pytest.approx(0.025 ** (1 / 100)), 1.0)
    # Published for 3 in 100: 0.62 to 8.52 %.
    assert interval(3, 100) == (pytest.approx(0.0062, abs=1e-4), pytest.approx(0.0852, abs=1e-4))


def window(quality, others=0.0):
    return {"quality": quality, "others": others}


def test_a_missed_neighbour_is_a_window_that_was_trusted():
    lines = summary(2, True, [window("void"), window("noisy"), window("trusted"), window("void")])
    assert lines == ["2 threads: busy loop missed 1 times in 4 (95 % interval 0.6 to 80.6 %)"]


def test_a_window_with_one_slow_sample_is_accused_only_for_what_was_seen():
    assert contention_quality([[(1.9, None)]], FLOOR)[0] == "trusted"
    assert contention_quality([[(1.9, "another process was running")]], FLOOR)[0] == "void"


def test_windows_that_were_not_quiet_are_told_apart():
    windows = [
        window("trusted"),
        window("void", 0.01),
        window("void", 0.9),
        window("trusted", 0.03),
        window("void", -0.5),
    ]
    first, second = summary(1, False, windows)
    assert first.startswith("1 thread : quiet machine accused 1 times in 2 (")
    assert second.split() == "3 more windows were not quiet (others above 2%); 2 accused".split()
    assert (
        summary(1, False, [window("void", 1.0)])[0] == "1 thread : quiet machine accused in no window: there was none"
    )


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="there is no /proc")
def test_the_witness_sees_a_neighbour_and_forgets_nothing_when_it_ends():
    before = others_s([])
    with neighbour(max(os.sched_getaffinity(0))):
        time.sleep(0.5)
    assert others_s([]) - before >= 0.1
    before = others_s([os.getpid()])
    subprocess.run([sys.executable, "-c", "pass"], check=True)
    assert others_s([os.getpid()]) >= before - 0.05
