"""Names in error messages: on one line, quoted, with the nearest known names."""

from __future__ import annotations

import pytest

from analyzer.core.errors import InputError, error_text, nearest, one_line, quoted

NAMES = [f"name_{number:02}" for number in range(30)]


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("conv1", "'conv1'"),
        ("it's", "'it's'"),
        ("", "''"),
        ("a\nb\x1b[31m", r"'a\nb\x1b[31m'"),
        ("\u202e", r"'\u202e'"),
        ("é 數", "'é 數'"),
        ("a\\nb", "'a\\nb'"),
    ],
)
def test_quoted(name, shown):
    assert quoted(name) == shown
    assert one_line(name) == shown[1:-1]


def test_at_most_three_nearest_names():
    assert nearest("name_07", NAMES).startswith("nearest: name_07, ")
    assert nearest("name_07", NAMES).count(",") == 2
    assert nearest("conv", ["conv1", "pool"]) == "nearest: conv1"


@pytest.mark.parametrize("count", [1, 8, 9, 12])
def test_up_to_twelve_known_names_are_all_listed(count):
    assert nearest("???", NAMES[:count]) == f"known: {', '.join(NAMES[:count])}"


@pytest.mark.parametrize("count", [13, 30])
def test_of_more_than_twelve_the_first_eight(count):
    assert nearest("???", NAMES[:count]) == f"known: {', '.join(NAMES[:8])}, …"


def test_known_names_are_shown_on_one_line():
    assert nearest("???", ["a\nb"]) == r"known: a\nb"


def test_without_known_names():
    assert nearest("conv1", []) == "none exists"


def test_a_text_of_megabytes_is_cut_before_it_is_escaped():
    assert error_text(ValueError("\x00" * 50_000_000)) == (r"\x00" * 50)[:200]


@pytest.mark.parametrize(
    ("advice", "keywords"),
    [
        ("give --input 3x8x8 --batch 2", "give input='3x8x8', batch=2"),
        ("several values per channel, so use --batch 2", "several values per channel, so use batch=2"),
        ("add --input 128:int64 --input mask=SIZES (without it)", "add input=['128:int64', 'mask=SIZES'] (without it)"),
        ("for another input use --input", "give input"),
    ],
)
def test_advice_for_python_names_parameters(advice, keywords):
    error = InputError(f"Net does not run; {advice}", advice)
    assert str(error.with_keywords("give input")) == f"Net does not run; {keywords}"
    assert str(InputError("Net does not run", "").with_keywords("give input")) == "Net does not run"
