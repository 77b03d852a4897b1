"""Series can be told apart: CIEDE2000 under three color vision deficiencies, contrast, dashes, symbols and ticks."""

from __future__ import annotations

from itertools import combinations
from math import atan2, cos, degrees, exp, hypot, log10, radians, sin, sqrt

import pytest

from reports.page.figures import scatter
from reports.page.figures.base import legend
from reports.page.figures.palette import DARK, DASHES, LIGHT, MUTED, SERIES, SYMBOLS, color, text_on, variables
from reports.page.figures.ticks import linear_axis, log_axis

# Machado, Oliveira and Fernandes 2009, severity 1.0, for linear RGB.
VISION = {
    "normal": ((1, 0, 0), (0, 1, 0), (0, 0, 1)),
    "protanopia": ((0.152286, 1.052583, -0.204868), (0.114503, 0.786281, 0.099216), (-0.003882, -0.048116, 1.051998)),
    "deuteranopia": ((0.367322, 0.860646, -0.227968), (0.280085, 0.672501, 0.047413), (-0.011820, 0.042940, 0.968881)),
    "tritanopia": ((1.255528, -0.076749, -0.178779), (-0.078411, 0.930809, 0.147602), (0.004733, 0.691367, 0.303900)),
}
XYZ = ((0.4124564, 0.3575761, 0.1804375), (0.2126729, 0.7151522, 0.0721750), (0.0193339, 0.1191920, 0.9503041))
WHITE_POINT = (0.95047, 1.0, 1.08883)
GROUNDS = {"light": ("#ffffff", LIGHT), "dark": ("#13161b", DARK)}


def linear(text: str) -> list[float]:
    parts = (int(text[start : start + 2], 16) / 255 for start in (1, 3, 5))
    return [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]


def times(matrix, vector) -> list[float]:
    return [sum(a * b for a, b in zip(row, vector, strict=True)) for row in matrix]


def lab(rgb) -> tuple[float, float, float]:
    def f(t: float) -> float:
        return t ** (1 / 3) if t > (6 / 29) ** 3 else t / (3 * (6 / 29) ** 2) + 4 / 29

    x, y, z = (
        f(part / white) for part, white in zip(times(XYZ, [min(max(c, 0), 1) for c in rgb]), WHITE_POINT, strict=True)
    )
    return 116 * y - 16, 500 * (x - y), 200 * (y - z)


def ciede2000(first, second) -> float:
    """Sharma, Wu and Dalal 2005."""
    (l1, a1, b1), (l2, a2, b2) = first, second
    mean = (hypot(a1, b1) + hypot(a2, b2)) / 2
    g = (1 - sqrt(mean**7 / (mean**7 + 25**7))) / 2
    a1, a2 = a1 * (1 + g), a2 * (1 + g)
    c1, c2 = hypot(a1, b1), hypot(a2, b2)
    h1, h2 = degrees(atan2(b1, a1)) % 360, degrees(atan2(b2, a2)) % 360
    dh = (h2 - h1 + 180) % 360 - 180 if c1 * c2 else 0
    d_hue = 2 * sqrt(c1 * c2) * sin(radians(dh / 2))
    lm, cm = (l1 + l2) / 2, (c1 + c2) / 2
    hm = h1 + h2 if not c1 * c2 else (h1 + dh / 2) % 360
    t = (1 - 0.17 * cos(radians(hm - 30)) + 0.24 * cos(radians(2 * hm)) + 0.32 * cos(radians(3 * hm + 6))
         - 0.2 * cos(radians(4 * hm - 63)))  # fmt: skip
    sl = 1 + 0.015 * (lm - 50) ** 2 / sqrt(20 + (lm - 50) ** 2)
    sc, sh = 1 + 0.045 * cm, 1 + 0.015 * cm * t
    turn = -sin(radians(60 * exp(-(((hm - 275) / 25) ** 2)))) * 2 * sqrt(cm**7 / (cm**7 + 25**7))
    dl, dc, dhue = (l2 - l1) / sl, (c2 - c1) / sc, d_hue / sh
    return sqrt(dl**2 + dc**2 + dhue**2 + turn * dc * dhue)


def contrast(first: str, second: str) -> float:
    high, low = sorted((times(XYZ, linear(text))[1] for text in (first, second)), reverse=True)
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize(
    ("first", "second", "difference"),
    [
        ((50, 2.6772, -79.7751), (50, 0, -82.7485), 2.0425),
        ((22.7233, 20.0904, -46.694), (23.0331, 14.973, -42.5619), 2.0373),
    ],
)
def test_the_formula_has_the_values_of_its_paper(first, second, difference):
    """Pairs 1 and 31 of Sharma et al.'s test data."""
    assert ciede2000(first, second) == pytest.approx(difference, abs=1e-4)


@pytest.mark.parametrize("vision", VISION)
@pytest.mark.parametrize("theme", GROUNDS)
def test_any_two_colors_differ_in_every_vision(theme, vision):
    colors = {text: lab(times(VISION[vision], linear(text))) for text in GROUNDS[theme][1]}
    assert min(ciede2000(a, b) for a, b in combinations(colors.values(), 2)) >= 11


@pytest.mark.parametrize("theme", GROUNDS)
def test_colors_have_contrast_with_the_page_and_with_text_on_them(theme):
    ground, colors = GROUNDS[theme]
    assert min(contrast(tint, ground) for tint in colors) >= 3
    assert min(contrast(tint, text_on(tint)) for tint in colors) >= 4.5
    assert all(f"--s{index}: {tint};" in variables() for index, tint in enumerate(colors))


def test_a_ninth_series_is_muted_and_no_two_of_eight_look_the_same():
    assert [color(index) for index in range(8)] == list(SERIES)
    assert color(8) == color(20) == MUTED
    assert len({*SYMBOLS}) == len(SYMBOLS) == 8
    assert len({*zip(SERIES, DASHES, strict=True)}) == 8
    lines = {f"n{index}": ([1.0, 2.0], [1.0, index + 1.0], ["a", "b"]) for index in range(11)}
    keys = legend(scatter.lines(lines, x="x", y="y"))
    assert [key.name for key in keys][7:] == ["n7", "n8, n9, n10"]


@pytest.mark.parametrize(
    "values", [(3, 4), (1e6, 5e8), (2, 2), (1e-6, 3e-3), (100, 104), (0.05, 300), (1e3, 1e12), (0, None)]
)
def test_a_logarithmic_axis_has_three_to_seven_ticks_in_range(values):
    axis = log_axis(values)
    low, high = axis["range"]
    assert 3 <= len(axis["tickvals"]) <= 7
    assert len({*axis["ticktext"]}) == len(axis["tickvals"])
    assert all(low <= log10(tick) <= high for tick in axis["tickvals"])


@pytest.mark.parametrize(("values", "unit", "first", "last"), [
    ((1.58e9,), "", "0", "1.5 G"), ((3e6, 9.6e6), "B", "0 B", "7.5 MB"), ((-5e7, 2e7), "", "-40 M", "20 M"),
    ((0.00042,), "s", "0 s", "400 µs"), ((0,), "", "0", "0"), ((7,), "", "0", "6"),
    ((1e25,), "", "0", "1e+07 E"), ((1e-13,), "", "0", "1e-13"),
])  # fmt: skip
def test_a_linear_axis_has_three_to_five_ticks_in_units(values, unit, first, last):
    axis = linear_axis(values, unit)
    assert (axis["ticktext"][0], axis["ticktext"][-1]) == (first, last)
    assert 3 <= len(axis["tickvals"]) <= 5 or not any(values)
