"""Trends, leaks and modes in the samples of a pass; noise shows none of them."""

from __future__ import annotations

import numpy as np
import pytest

from analyzer.timing.driver.sample_patterns import PassLog, find_patterns, longer_mode, mann_kendall, theil_sen

RANDOM = np.random.default_rng(1)
MIB = 2**20


def log(seconds, memory=None, repeats=1, step=2):
    numbers = tuple(range(3, 3 + step * len(seconds), step))
    return PassLog(numbers, tuple(map(float, seconds)), tuple(memory if memory is not None else ()), repeats)


def noise(count=100):
    return 1e-3 * (1 + 0.02 * RANDOM.standard_normal(count))


def test_mann_kendall_agrees_with_kendalls_tau():
    from scipy.stats import kendalltau

    values = np.arange(60) * 0.1 + RANDOM.standard_normal(60)
    # tau of the values against time is the same statistic; scipy's p-value has no continuity correction.
    expected = kendalltau(np.arange(60), values, method="asymptotic").pvalue
    assert mann_kendall(values) == pytest.approx(expected, rel=0.1)
    assert mann_kendall(np.ones(20)) == 1.0


def test_theil_sen_ignores_a_single_step():
    assert theil_sen(np.arange(9.0), np.array([0, 0, 50, 50, 50, 50, 50, 50, 50.0])) == 0.0
    assert theil_sen(np.array([1.0, 3.0, 5.0]), np.array([2.0, 6.0, 10.0])) == 2.0


def test_noise_has_no_pattern():
    for _ in range(20):
        patterns = find_patterns([log(noise(), RANDOM.integers(0, 9, 100) * 4096) for _ in range(5)])
        assert (patterns.trend, patterns.notes, patterns.leaks) == ("", (), False)


def test_a_growing_cache_is_a_trend():
    growing = [log(noise(60) * np.linspace(1, 2, 60)) for _ in range(3)]
    patterns = find_patterns([*growing, log(noise())])
    assert "longer" in patterns.trend
    assert "3 of 4 processes" in patterns.trend
    # 59 steps of two passes.
    assert "118 passes" in patterns.trend
    assert find_patterns([growing[0], log(noise()), log(noise())]).trend == ""
    # A third of a percent in each pass is a trend of the test, but of no consequence.
    assert find_patterns([log(1 + 1e-4 * np.arange(60))]).trend == ""


def test_a_leak_is_named_with_its_bytes_per_pass():
    memory = 300 * MIB + MIB // 2 * np.arange(100) * 2  # Half a MiB per pass, a sample every second pass.
    patterns = find_patterns([log(noise(), memory), log(noise(), memory)], disturbed=True)
    assert patterns.leaks
    assert "524 kB per pass" in patterns.notes[0]
    # Half a MiB may be the measurement's own samples, of 8,192 operators.
    assert not find_patterns([log(noise(), memory).replace(own_bytes=64 * 8192)]).leaks
    warming = np.concatenate([np.linspace(100, 300, 20), np.full(80, 300)]) * MIB
    assert not find_patterns([log(noise(), warming)]).leaks


@pytest.mark.parametrize(("step", "period"), [(1, 10), (3, 10)])
def test_every_tenth_pass_is_a_mode_with_its_period(step, period):
    numbers = np.arange(3, 3 + step * 200, step)
    seconds = np.where(numbers % period == 0, 5e-3, 2e-3) * (1 + 0.001 * RANDOM.standard_normal(200))
    note = find_patterns([log(seconds, step=step)]).notes[0]
    assert "one in every 10" in note
    assert "2.50×" in note


def test_modes_without_a_period_have_a_share():
    long = RANDOM.random(200) < 0.2
    note = find_patterns([log(np.where(long, 2e-3, 1e-3) * noise(200) * 1e3)]).notes[0]
    assert "% of them take" in note
    assert longer_mode(noise(200)) is None
    assert longer_mode(np.concatenate([noise(199), [1.0]])) is None  # A single outlier is no mode.
