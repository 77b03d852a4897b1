"""The contention benchmark: its summary, its limits, and the processor time of other processes."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from analyzer.timing.driver.quality import contention_quality
from benchmarks.common import binomial_interval
from benchmarks.contention import MIN_CLEAN, busy_loop, summary, used_by_others_s


def test_binomial_intervals():
    # No hit in n: 1 - (α/2)^(1/n). Published for 3 in 100: 0.62 to 8.52 %.
    assert binomial_interval(0, 100) == (0.0, pytest.approx(1 - 0.025 ** (1 / 100)))
    assert binomial_interval(3, 100) == (pytest.approx(0.0062, abs=1e-4), pytest.approx(0.0852, abs=1e-4))


def window(quality, others=0.0):
    return {"quality": quality, "others": others}


def test_a_missed_busy_loop_is_a_trusted_window():
    lines = summary(2, True, [window("void"), window("noisy"), window("trusted"), window("void")])
    assert lines == ["2 threads: busy loop missed 1 of 4, 25.0 % (0.6 to 80.6)"]


def test_quiet_windows_are_reported_without_the_loud_ones():
    windows = [
        window("trusted"),
        window("void", 0.01),
        window("void", 0.9),
        window("trusted", 0.03),
        window("void", -0.5),
    ]
    quiet, loud = summary(1, False, windows)
    assert "accused 1 of 2, " in quiet
    assert loud.split()[0] == "3"
    assert loud.endswith("; 2 accused")
    assert "accused 0 of 0" in summary(1, False, [window("void", 1.0)])[0]


def test_a_slow_window_is_accused_only_of_disturbances():
    assert contention_quality([[(1.9, None)]], MIN_CLEAN)[0] == "trusted"
    assert contention_quality([[(1.9, "another process was running")]], MIN_CLEAN)[0] == "void"


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="there is no /proc")
def test_processor_time_of_others_includes_ended_processes():
    before = used_by_others_s([])
    with busy_loop(max(os.sched_getaffinity(0))):
        time.sleep(0.5)
    assert used_by_others_s([]) - before >= 0.1
    before = used_by_others_s([os.getpid()])
    subprocess.run([sys.executable, "-c", "pass"], check=True)
    assert used_by_others_s([os.getpid()]) >= before - 0.05
