from __future__ import annotations

import pytest

from benchmarks.pass_time_accuracy import turn_ratio


def test_a_processor_that_slows_down_does_not_change_the_ratio():
    """The worker has the first turn, then each has one; every turn takes 1 % longer than the one before."""
    times = [1.01**turn for turn in range(21)]
    worker = [[taken, taken] for taken in times[::2]]
    assert turn_ratio(times[1::2], worker) == pytest.approx(1, abs=1e-4)
    assert turn_ratio([taken / 1.5 for taken in times[1::2]], worker) == pytest.approx(1.5, abs=1e-4)


def test_a_disturbed_turn_does_not_change_the_ratio():
    plain, worker = [1.0] * 10, [[1.0, 1.0] for _ in range(11)]
    plain[3], worker[7] = 9.0, [9.0, 9.0]
    assert turn_ratio(plain, worker) == 1.0


def test_disturbed_samples_count_as_little_as_disturbed_passes_of_the_loop():
    """Every fourth sample takes twice the time: the mean of a turn's two would be 1 or 1.5."""
    assert turn_ratio([1.0] * 20, [[1.0, 1.0 + turn % 2] for turn in range(21)]) == 1.0


def test_turns_of_the_plain_loop_after_the_workers_last_one_are_left_out():
    assert turn_ratio([1.0, 1.0, 9.0, 9.0], [[2.0], [2.0]]) == 2.0
