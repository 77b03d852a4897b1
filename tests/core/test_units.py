"""Numbers as people read them: four significant digits and a prefix, at every edge; ratios in words."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analyzer.core.units import METRICS, PREFIXES, factor, intensity, percent, plain, ratio, scaled
from analyzer.records.record import TOTAL_KEYS, Totals

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
    # Below a thousand, what is no whole number has its four digits too.
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
def test_scaled_keeps_the_order(one, other):
    def read(value: int) -> float:
        number, _, prefix = scaled(value).partition(" ")
        return float(number) * 1000 ** PREFIXES.index(prefix)

    assert (read(one) <= read(other)) or one > other


RATIOS = [
    (5, 5, "same"),
    (0, 0, "same"),
    (0, 5, "all gone"),
    (5, 0, "new"),
    (112_896_000, 5_268_480, "21.4x more"),
    (5_268_480, 112_896_000, "21.4x fewer"),
    (4_426_547_200, 1_582_671_872, "2.80x more"),
    (6_998_552, 60_965_224, "8.71x fewer"),
    (2, 1, "2.00x more"),
    (123_456, 1, "123,456x more"),
    # Close to 1 in percent: the figure is how much of the smaller one was added.
    (1_009, 1_000, "0.9 % more"),
    (1_010, 1_000, "1.01x more"),
    (7_025_448, 6_998_552, "0.38 % more"),
    (6_998_552, 7_025_448, "0.38 % fewer"),
    (1_004, 1_000, "0.4 % more"),
    (1_000, 1_004, "0.4 % fewer"),
    # Three digits also where rounding adds one.
    (9_996, 1_000, "10.0x more"),
    (9_994, 1_000, "9.99x more"),
    (99_960, 1_000, "100x more"),
    (99_940, 1_000, "99.9x more"),
]


@pytest.mark.parametrize(("value", "reference", "text"), RATIOS)
def test_ratio(value, reference, text):
    assert ratio(value, reference) == text


# Anywhere, and within a few percent of each other.
PAIRS = st.tuples(st.integers(1, 10**12), st.integers(1, 10**12)) | st.integers(1, 10**12).flatmap(
    lambda one: st.tuples(st.just(one), st.integers(max(one - one // 50, 1), one + one // 50))
)


@given(PAIRS)
def test_a_ratio_in_words_is_a_number_the_factor_and_a_direction(pair):
    value, reference = pair
    text = ratio(value, reference)
    if value == reference:
        assert text == "same"
    else:
        assert re.fullmatch(r"([\d,]+(\.\d+)?x|\d+(\.\d+)?(e-\d+)? %) (more|fewer)", text), text
        assert ("%" in text) == (max(pair) / min(pair) < 1.01)
        assert text.endswith("more") == (value > reference)


@given(st.integers(10**9, 10**12), st.integers(1, 10_000))
def test_unequal_things_never_read_as_once_as_many(reference, more):
    """Close to 1 a factor is in percent, and never 0 of them."""
    text = ratio(reference + more, reference)
    figure, sign, word = text.split(" ")
    assert (sign, word) == ("%", "more")
    assert float(figure) == float(f"{100 * more / reference:.2g}") > 0


def test_factor():
    assert [factor(value) for value in (2.5, 21.43, 123.4, 1234.5)] == ["2.50x", "21.4x", "123x", "1,234x"]


def test_percent_and_intensity():
    assert [percent(share) for share in (0, 0.0746, 0.5, 1)] == ["0.0 %", "7.5 %", "50.0 %", "100 %"]
    assert [intensity(value) for value in (0, 0.25, 1.2345, 12.345, 123.45)] == ["0", "0.25", "1.23", "12.3", "123"]


def test_every_total_has_a_metric():
    """What a record sums up has a unit, a title and a text; `traffic` is a sum of two of them."""
    assert set(METRICS) == {*TOTAL_KEYS, "traffic", "peak_memory", "calls"}
    totals = Totals(*range(1_000, 8_000, 1_000))
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
def test_a_figure_under_a_heading_is_never_in_powers_of_ten(value, text):
    assert plain(value) == text
