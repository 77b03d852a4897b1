from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analyzer.scaling.polynomial import Polynomial, Unit, evaluate, newton, through_grid


def test_newton_finds_the_polynomial_through_its_points():
    # 3 - 2x + x²/2 at 0, 2, 4, 10: 3, 1, 3, 33.
    assert newton([0, 2, 4, 10], [3, 1, 3, 33]) == [3, -2, Fraction(1, 2)]
    assert newton([7], [5]) == [5]


@given(st.lists(st.integers(-(10**12), 10**12), min_size=1, max_size=5), st.integers(-50, 50), st.integers(1, 9))
def test_newton_recovers_any_coefficients(coefficients, first, step):
    points = [first + step * number for number in range(len(coefficients))]
    values = [sum(c * x**n for n, c in enumerate(coefficients)) for x in points]
    found = newton(points, values)
    assert [evaluate(found, x) for x in range(-3, 4)] == [
        sum(c * x**n for n, c in enumerate(coefficients)) for x in range(-3, 4)
    ]


@given(st.dictionaries(st.tuples(st.integers(0, 2), st.integers(0, 1)), st.integers(-(10**9), 10**9)))
def test_a_grid_recovers_a_polynomial_in_two_variables(terms):
    wanted = Polynomial(("x", "y"), {powers: Fraction(value) for powers, value in terms.items() if value})
    found = through_grid(("x", "y"), [[3, 5, 9], [2, 4]], lambda point: wanted.at({"x": point[0], "y": point[1]}))
    assert found.terms == wanted.terms


def test_texts_of_gpt2():
    # MACs of hf:gpt2: 12 layers of 12 · 768² weights, and 2 · 12 · 768 per pair of tokens.
    layers, width = 12, 768
    formula = Polynomial(
        ("batch", "sequence"),
        {(1, 1): Fraction(layers * 12 * width**2), (1, 2): Fraction(layers * 2 * width)},
    )
    assert formula.text() == "batch·sequence · (84,934,656 + 18,432·sequence)"
    assert formula.markdown() == "`batch`·`sequence` · (84,934,656 + 18,432·`sequence`)"
    assert formula.python() == "batch*sequence * (84934656 + 18432*sequence)"
    assert formula.latex() == (
        r"\mathrm{batch} \, \mathrm{sequence} \cdot (84{,}934{,}656 + 18{,}432 \, \mathrm{sequence})"
    )
    assert formula.at({"batch": 2, "sequence": 128}) == 2 * (84_934_656 * 128 + 18_432 * 128**2)


@pytest.mark.parametrize("unit", [Unit(), Unit(32), Unit(32, 3)])
@pytest.mark.parametrize("size", [35, 67, 227])
def test_a_unit_changes_the_text_but_not_the_value(unit, size):
    formula = Polynomial(("height",), {(2,): Fraction(7, 4), (1,): Fraction(-1, 2), (0,): Fraction(19, 4)}, (unit,))
    value = Fraction(7, 4) * size**2 - Fraction(1, 2) * size + Fraction(19, 4)
    assert formula.at({"height": size}) == value
    if size % unit.step == unit.offset:
        assert eval(formula.python(), {"height": size}) == value


def test_a_fraction_is_written_over_one_denominator_in_python():
    triangle = Polynomial(("n",), {(2,): Fraction(1, 2), (1,): Fraction(1, 2)})
    assert triangle.python() == "(n * (1 + n)) // 2"
    assert triangle.text() == "n · ((1/2) + (1/2)·n)"
    assert [eval(triangle.python(), {"n": n}) for n in (1, 2, 3, 100)] == [1, 3, 6, 5050]


def test_constants_and_zero():
    assert Polynomial(("x",), {}).text() == "0"
    assert Polynomial(("x",), {(0,): Fraction(5)}).text() == "5"
    assert Polynomial(("x",), {(1,): Fraction(1)}).text() == "x"
    assert not Polynomial(("x",), {(0,): Fraction(5)}).depends_on("x")


def test_sympy_has_the_same_value():
    formula = Polynomial(("batch", "conv1.out"), {(1, 1): Fraction(3, 2), (0, 2): Fraction(-7)})
    values = {"batch": 4, "conv1.out": 6}
    expression = formula.expression()
    assert expression.subs({symbol: values[symbol.name] for symbol in expression.free_symbols}) == formula.at(values)
