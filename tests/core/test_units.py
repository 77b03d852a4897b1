"""Numbers as text: significant digits and prefixes at every edge, percentages, factors and relative changes."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analyzer.core.units import (
    METRICS,
    PREFIXES,
    change,
    intensity,
    percent,
    plain,
    rate,
    relative_change,
    relative_change_phrase,
    scaled,
    seconds,
    signed,
    times,
)
from analyzer.records.rows import STEP_KEYS, TOTAL_KEYS, Totals

SCALED = {
    0: "0",
    1: "1",
    -5: "-5",
    999: "999",
    -999: "-999",
    1_000: "1.000 k",
    -1_000: "-1.000 k",
    1_234: "1.234 k",
    9_999: "9.999 k",
    10_000: "10.00 k",
    99_994: "99.99 k",
    99_996: "100.0 k",
    999_949: "999.9 k",
    999_950: "1.000 M",
    999_999: "1.000 M",
    -999_999: "-1.000 M",
    1_000_000: "1.000 M",
    # Rounding up adds a digit before the point: one fewer after it.
    9_999_600: "10.00 M",
    99_996_000: "100.0 M",
    112_896_000: "112.9 M",
    1_582_671_872: "1.583 G",
    999_999_999_999: "1.000 T",
    10**18: "1.000 E",
    # Below a thousand, fractions have four digits too.
    999.94: "999.9",
    999.95: "1.000 k",
    999.949: "999.9",
    3.0: "3",
    9.9996: "10.00",
    -9.9996: "-10.00",
}


@pytest.mark.parametrize(("value", "text"), SCALED.items())
def test_scaled(value, text):
    assert scaled(value) == text


def test_scaled_with_a_unit():
    assert scaled(0, "B") == "0 B"
    assert scaled(999, "B") == "999 B"
    assert scaled(1_536, "B") == "1.536 kB"
    assert scaled(1_500_000, "B") == "1.500 MB"
    assert scaled(12_345, digits=3) == "12.3 k"
    assert scaled(999_500, digits=3) == "1.00 M"


# Anywhere, and close below a power of ten, where rounding adds a digit.
COUNTS = st.integers(1_000, 10**20) | st.integers(4, 20).flatmap(lambda k: st.integers(10**k - 10 ** (k - 4), 10**k))


@given(COUNTS)
def test_scaled_has_four_digits_and_is_within_half_of_the_last(value):
    text = scaled(value)
    number, prefix = text.split(" ")
    assert re.fullmatch(r"\d\.\d{3}|\d\d\.\d\d|\d{3}\.\d", number), text
    unit = 1000 ** PREFIXES.index(prefix)
    last = 10 ** -len(number.partition(".")[2])
    assert abs(float(number) * unit - value) <= 0.5000001 * last * unit


@given(COUNTS | st.integers(0, 1_000))
def test_scaled_is_symmetric(value):
    assert scaled(-value) == (f"-{scaled(value)}" if value else "0")


@given(COUNTS, COUNTS)
def test_scaled_keeps_the_order(first, second):
    def read(value: int) -> float:
        number, _, prefix = scaled(value).partition(" ")
        return float(number) * 1000 ** PREFIXES.index(prefix)

    assert (read(first) <= read(second)) or first > second


# --- relative changes ------------------------------------------------------------------------------------------------
CHANGES = [
    (5, 5, "same"),
    (0, 0, "same"),
    (5, 0, "none"),
    (0, 5, "new"),
    # From a factor of 2 up, either way, as a factor.
    (112_896_000, 5_268_480, "21.4× fewer"),  # 112,896,000 / 5,268,480 = 21.43
    (5_268_480, 112_896_000, "21.4× more"),
    (1_582_671_872, 4_426_547_200, "2.80× more"),
    (60_965_224, 6_998_552, "8.71× fewer"),
    (1, 2, "2.00× more"),
    (2, 1, "2.00× fewer"),
    (1, 123_456, "123,456× more"),
    # Below it in percent of the first number.
    (7_595_176, 6_998_552, "-7.9 %"),  # 1 - 6,998,552 / 7,595,176 = 0.0786
    (6_998_552, 7_595_176, "+8.5 %"),  # 7,595,176 / 6,998,552 - 1 = 0.0852
    (1_000, 501, "-49.9 %"),
    (1_000, 1_999, "+99.9 %"),
    (1_000, 1_070, "+7 %"),
    (1_000, 1_010, "+1 %"),
    (6_998_552, 7_025_448, "+0.38 %"),
    (7_025_448, 6_998_552, "-0.38 %"),
    (10**9, 10**9 + 5, "+0.0000005 %"),
    # Whole numbers are compared exactly, floats to 12 significant digits.
    (10**13, 10**13 + 1, "+0.00000000001 %"),
    (0.5, 0.5 * (1 + 1e-13), "same"),
    (0.5, 0.5 * (1 + 1e-11), "+0.000000001 %"),
]


@pytest.mark.parametrize(("before", "after", "text"), CHANGES)
def test_relative_change(before, after, text):
    assert relative_change(before, after) == text


# Anywhere, and within a few percent of each other.
PAIRS = st.tuples(st.integers(1, 10**12), st.integers(1, 10**12)) | st.integers(1, 10**12).flatmap(
    lambda value: st.tuples(st.just(value), st.integers(max(value - value // 50, 1), value + value // 50))
)


@given(PAIRS)
def test_a_relative_change_has_a_direction_and_is_a_factor_from_2_up(pair):
    before, after = pair
    text = relative_change(before, after)
    if before == after:
        assert text == "same"
        return
    assert re.fullmatch(r"[\d,]+(\.\d+)?× (more|fewer)|[+-]\d+(\.\d+)? %", text), text
    assert ("×" in text) == (max(pair) >= 2 * min(pair))
    assert (text.endswith("more") or text.startswith("+")) == (after > before)


@given(PAIRS.filter(lambda pair: pair[0] != pair[1] and max(pair) < 2 * min(pair)))
def test_a_percentage_is_a_share_of_the_number_before(pair):
    before, after = pair
    exact = 100 * (after - before) / before
    shown = float(relative_change(before, after).removesuffix(" %"))
    # One decimal from 1 % up, two significant digits below.
    assert abs(shown - exact) <= (0.0501 if abs(exact) >= 0.95 else 0.0501 * abs(exact))
    assert shown != 0


@given(PAIRS.filter(lambda pair: max(pair) >= 2 * min(pair)))
def test_a_factor_is_within_half_a_unit_of_its_third_digit(pair):
    exact = max(pair) / min(pair)
    shown = float(relative_change(*pair).partition("×")[0].replace(",", ""))
    assert abs(shown - exact) <= 0.00501 * exact


PHRASES = [
    (7_595_176, 6_998_552, "7.9 % fewer MACs"),
    (1_000, 1_070, "7 % more MACs"),
    (60_965_224, 6_998_552, "8.71× fewer MACs"),
    (1, 3, "3.00× more MACs"),
    (5, 5, "the same number of MACs"),
    (0.1 + 0.2, 0.3, "the same number of MACs"),
    (5, 0, "no MACs"),
    (0, 5, "MACs where the other has none"),
]


@pytest.mark.parametrize(("before", "after", "text"), PHRASES)
def test_relative_change_phrase(before, after, text):
    assert relative_change_phrase(before, after, "MACs") == text


def test_memory_is_less_and_not_fewer():
    assert relative_change(3, 1, fewer="less") == "3.00× less"
    assert relative_change_phrase(4, 3, "memory", fewer="less") == "25 % less memory"
    assert relative_change_phrase(3, 3, "memory", fewer="less") == "the same memory"


@pytest.mark.parametrize(
    ("ratio", "text"),
    [(2.5, "2.50×"), (9.994, "9.99×"), (9.996, "10.0×"), (21.43, "21.4×"), (99.94, "99.9×"), (99.96, "100×"),
     (123.4, "123×"), (1234.5, "1,234×")],
)  # fmt: skip
def test_times(ratio, text):
    assert times(ratio) == text


# --- other formats ---------------------------------------------------------------------------------------------------
def test_percent_and_intensity():
    assert [percent(share) for share in (0, 0.0746, 0.5, 1)] == ["0.0 %", "7.5 %", "50.0 %", "100 %"]
    assert [intensity(value) for value in (0, 0.25, 1.2345, 12.345, 123.45)] == ["0", "0.25", "1.23", "12.3", "123"]


def test_signed_and_change():
    assert [signed(value, "macs") for value in (5_268_480, -1, 0)] == ["+5.268 M", "-1", "0"]
    assert change(1_000, 1_010, "macs") == "+1.00 %"
    assert change(1_000, 990, "macs") == "-1.00 %"
    assert change(10**9, 10**9 + 1, "macs") == "+1", "two decimals of a percent do not show it"
    assert change(1, 12, "macs") == "+11", "more than ten times as many"
    assert change(0, 5, "macs") == "+5"


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0 s"), (1.5, "1.500 s"), (0.0041925, "4.192 ms"), (0.99996, "1.000 s"), (3.2e-05, "32.00 µs"),
     (4.2e-10, "0.420 ns")],
)  # fmt: skip
def test_seconds(value, text):
    assert seconds(value) == text


def test_rates():
    assert rate(82.34e9, "FLOP") == "82.3 GFLOP/s"
    assert rate(12.34, "B") == "12.3 B/s"


def test_every_total_has_a_metric():
    """`traffic` is the sum of two totals."""
    assert set(METRICS) == {*TOTAL_KEYS, *STEP_KEYS, "traffic", "peak_memory", "cache_bytes", "calls"}
    totals = Totals(*range(1_000, 9_000, 1_000))
    for name, metric in METRICS.items():
        assert metric.name == name
        assert metric.better == "lower"
        assert metric.title
        assert metric.meaning
        text = metric.text(getattr(totals, name, 8_000))
        assert text.endswith("kB" if metric.unit == "bytes" else "k")


@pytest.mark.parametrize(
    ("value", "text"), [(0.5339, "0.534"), (53.42, "53.4"), (999.4, "999"), (999.6, "1,000"), (15998.2, "15,998")]
)
def test_plain_never_uses_powers_of_ten(value, text):
    assert plain(value) == text
