"""Polynomials in several variables with exact rational coefficients, and their texts."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from math import lcm, prod
from typing import TYPE_CHECKING, Any, TypeAlias

from analyzer.core.frozen import Frozen

if TYPE_CHECKING:
    import sympy

Exponents: TypeAlias = tuple[int, ...]
Coefficients: TypeAlias = Mapping[Exponents, Fraction]
SUPERSCRIPTS = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")


class Unit(Frozen):
    """How texts write a variable that is `offset` + a multiple of `step`: `(height/32)`, `((height - 3)/32)`."""

    step: int = 1
    offset: int = 0


class Polynomial(Frozen):
    """`terms`: exponents of the variables, in their order → coefficient; no coefficient is 0.

    Texts write variable i in `units[i]`, which keeps the coefficients of a network with strides whole.
    """

    variables: tuple[str, ...]
    terms: Coefficients
    units: tuple[Unit, ...] = ()

    def at(self, values: Mapping[str, int]) -> int | Fraction:
        """The exact value: an int where it is whole."""
        point = [values[name] for name in self.variables]
        value = sum(
            (factor * prod(x**n for x, n in zip(point, powers, strict=True)) for powers, factor in self.terms.items()),
            Fraction(0),
        )
        return value.numerator if value.denominator == 1 else value

    def depends_on(self, variable: str) -> bool:
        index = self.variables.index(variable)
        return any(powers[index] for powers in self.terms)

    def text(self) -> str:
        """`batch · (1,024,000 + 32,278,528·(height/32)²)`."""
        return self._written(TEXT)

    def markdown(self) -> str:
        """As `text`, with names as code."""
        return self._written(TEXT.replace(name=lambda name: f"`{name}`"))

    def latex(self) -> str:
        return self._written(LATEX)

    def python(self) -> str:
        """An expression of Python over the variables, with `_` for dots; exact in integers where the formula holds."""
        denominator = lcm(*(factor.denominator for factor in self._in_units().values()))
        if denominator == 1:
            return self._written(PYTHON)
        whole = self.replace(terms={powers: factor * denominator for powers, factor in self.terms.items()})
        return f"({whole._written(PYTHON)}) // {denominator}"

    def expression(self) -> sympy.Expr:
        """The polynomial in SymPy, over positive integers."""
        import sympy

        symbols = [sympy.Symbol(name, integer=True, positive=True) for name in self.variables]
        terms = [
            sympy.Rational(factor.numerator, factor.denominator)
            * sympy.Mul(*(symbol**n for symbol, n in zip(symbols, powers, strict=True)))
            for powers, factor in self.terms.items()
        ]
        return sympy.Add(*terms)

    def _in_units(self) -> Coefficients:
        """The coefficients of the same polynomial in the variables' units."""
        if all(unit == Unit() for unit in self.units):
            return self.terms
        degrees = [max(column) for column in zip(*self.terms, strict=True)]

        def value(multiples: tuple[int, ...]) -> int | Fraction:
            parts = zip(self.variables, self.units, multiples, strict=True)
            return self.at({name: unit.offset + unit.step * multiple for name, unit, multiple in parts})

        return through_grid(self.variables, [range(degree + 1) for degree in degrees], value).terms

    def _written(self, style: Style) -> str:
        """The sum of terms by rising degree, behind the variables that all of them have."""
        terms = self._in_units()
        if not terms:
            return "0"
        units = self.units or (Unit(),) * len(self.variables)
        names = [style.in_unit(name, unit) for name, unit in zip(self.variables, units, strict=True)]
        common = tuple(map(min, zip(*terms, strict=True)))
        rest = {tuple(n - m for n, m in zip(powers, common, strict=True)): value for powers, value in terms.items()}
        front = style.monomial(names, common)
        text = ""
        for powers, value in sorted(rest.items(), key=lambda term: (sum(term[0]), [-n for n in term[0]])):
            sign = (" - " if value < 0 else " + ") if text else "-" if value < 0 else ""
            text += sign + style.term(abs(value), style.monomial(names, powers))
        if not front:
            return text
        if len(rest) > 1:
            return f"{front}{style.outer}({text})"
        return front if text == "1" else f"{text}{style.times}{front}"


class Style(Frozen):
    """A notation: `outer` is the product with a sum in parentheses, `times` that inside of terms."""

    outer: str
    times: str
    name: Callable[[str], str]
    number: Callable[[int], str]
    fraction: Callable[[str, str], str]
    shifted: Callable[[str, int], str]
    power: Callable[[int], str]

    def in_unit(self, name: str, unit: Unit) -> str:
        written = self.name(name)
        if unit == Unit():
            return written
        return self.fraction(self.shifted(written, unit.offset) if unit.offset else written, str(unit.step))

    def monomial(self, names: Sequence[str], powers: Exponents) -> str:
        factors = [name + (self.power(n) if n > 1 else "") for name, n in zip(names, powers, strict=True) if n]
        return self.times.join(factors)

    def term(self, value: Fraction, monomial: str) -> str:
        number = self.number(value.numerator)
        if value.denominator > 1:
            number = self.fraction(number, self.number(value.denominator))
        return number if not monomial else monomial if number == "1" else f"{number}{self.times}{monomial}"


TEXT = Style(
    outer=" · ",
    times="·",
    name=str,
    number="{:,}".format,
    fraction="({}/{})".format,
    shifted="({} - {})".format,
    power=lambda n: str(n).translate(SUPERSCRIPTS),
)
PYTHON = Style(
    outer=" * ",
    times="*",
    name=lambda name: "".join(char if char.isalnum() else "_" for char in name),
    number=str,
    fraction="({} // {})".format,
    shifted="({} - {})".format,
    power="**{}".format,
)
LATEX = Style(
    outer=r" \cdot ",
    times=r" \, ",
    name=lambda name: r"\mathrm{" + name.replace("_", r"\_") + "}",
    number=lambda n: f"{n:,}".replace(",", "{,}"),
    fraction=r"\left(\tfrac{{{}}}{{{}}}\right)".format,
    shifted="{} - {}".format,
    power="^{{{}}}".format,
)


def newton(points: Sequence[int], values: Sequence[int | Fraction]) -> list[Fraction]:
    """Coefficients by rising power of the polynomial through the points (Newton's divided differences)."""
    table = [Fraction(value) for value in values]
    for order in range(1, len(points)):
        for index in range(len(points) - 1, order - 1, -1):
            table[index] = (table[index] - table[index - 1]) / (points[index] - points[index - order])
    coefficients: list[Fraction] = []
    for point, difference in zip(reversed(points), reversed(table), strict=True):
        shifted = [Fraction(0), *coefficients]  # The polynomial so far, times x …
        for index, value in enumerate(coefficients):
            shifted[index] -= point * value  # … minus the point.
        shifted[0] += difference
        coefficients = shifted
    while len(coefficients) > 1 and not coefficients[-1]:
        coefficients.pop()
    return coefficients


def evaluate(coefficients: Sequence[Fraction], x: int) -> Fraction:
    """The value of a polynomial in one variable (Horner)."""
    value = Fraction(0)
    for coefficient in reversed(coefficients):
        value = value * x + coefficient
    return value


def through_grid(
    variables: Sequence[str], axes: Sequence[Sequence[int]], value: Callable[[tuple[int, ...]], Any]
) -> Polynomial:
    """The polynomial with degree `len(axes[i]) - 1` in variable i that equals `value` at each point of the grid.

    It interpolates along the first variable the coefficients of the polynomials in the others.
    """
    return Polynomial(tuple(variables), {powers: c for powers, c in _interpolate(axes, value, ()).items() if c})


def _interpolate(
    axes: Sequence[Sequence[int]], value: Callable[[tuple[int, ...]], Any], fixed: tuple[int, ...]
) -> dict[Exponents, Fraction]:
    if not axes:
        return {(): Fraction(value(fixed))}
    first, *others = axes
    inner = [_interpolate(others, value, (*fixed, point)) for point in first]
    terms: dict[Exponents, Fraction] = {}
    for powers in sorted({powers for polynomial in inner for powers in polynomial}):
        along = newton(first, [polynomial.get(powers, Fraction(0)) for polynomial in inner])
        for power, coefficient in enumerate(along):
            if coefficient:
                terms[power, *powers] = coefficient
    return terms
