"""The largest batch that fits: for linear and piecewise linear peaks, and on the command line."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from analyzer.counting.closed_form.max_batch import MAX_BATCH, largest_batches


@given(
    st.lists(st.tuples(st.integers(1, 50), st.integers(0, 500)), min_size=1, max_size=3),
    st.lists(st.integers(1, 5_000), min_size=1, max_size=4),
)
def test_the_result_is_that_of_trying_every_batch(lines, capacities):
    def peak(batch: int) -> int:
        return max(slope * batch + constant for slope, constant in lines)

    tried = [max((batch for batch in range(1, 5_001) if peak(batch) <= capacity), default=0) for capacity in capacities]
    assert largest_batches(peak, capacities) == tried


def test_a_linear_peak_takes_three_evaluations():
    """The slope, then the first power of two beyond 2 + (10,000 - 107) // 7 = 1,415."""
    evaluated = []

    def peak(batch: int) -> int:
        evaluated.append(batch)
        return 100 + 7 * batch

    assert largest_batches(peak, [106, 107, 1_000, 10_000]) == [0, 1, (1_000 - 100) // 7, (10_000 - 100) // 7]
    assert sorted(evaluated) == [1, 2, 2_048]


def test_a_bend_below_the_capacities_takes_two_more():
    """Up to batch 100 the parameters' gradients are the peak. The line beyond it reaches 10,500 at 136."""
    evaluated = []

    def peak(batch: int) -> int:
        evaluated.append(batch)
        return max(10_000 + batch, 9_000 + 11 * batch)

    assert largest_batches(peak, [10_500, 20_000]) == [(10_500 - 9_000) // 11, 1_000]
    assert sorted(evaluated) == [1, 2, 136, 16_383, 16_384]


def test_a_bend_between_the_capacities_is_where_the_lines_meet():
    evaluated = []

    def peak(batch: int) -> int:
        evaluated.append(batch)
        return max(10_000 + batch, 9_000 + 11 * batch)

    assert largest_batches(peak, [10_050, 10_500, 20_000]) == [50, (10_500 - 9_000) // 11, 1_000]
    assert sorted(evaluated) == [1, 2, 100, 16_383, 16_384]


def test_the_largest_batch_is_bounded():
    assert largest_batches(lambda batch: batch, [2**40]) == [MAX_BATCH]


def test_the_command_shows_it(analyze):
    shown = analyze("--variant", "googlenet", "--memory")
    assert shown.status == 0
    # At norm2: the sum of four tensors of 192x56x56.
    assert f"{4 * 4 * 192 * 56 * 56:,}" in shown.out
    # Parameters apart, all else grows with the batch: (8 GiB - 27,994,208) / (9,633,792 + 602,112).
    assert f"8 GiB    {(8 * 2**30 - 27_994_208) // (9_633_792 + 602_112)}" in shown.out
    (record,) = json.loads(analyze("--variant", "googlenet", "--memory", "--format", "json").out)["records"]
    assert record["memory"]["peak"] == 27_994_208 + 9_633_792 + 602_112
    assert record["memory"]["modules"][0] == {
        "path": "conv1",
        "allocated": 4 * 64 * 112 * 112,
        "peak": 4 * 64 * 112 * 112,
    }
