"""Fits polynomials to exact counts: the degree along each axis, where they hold, and the grid of all axes together.

Along an axis, points are added until two more than the polynomial needs agree to the last unit. Strides and pools make
a count a polynomial only on sizes of one residue (quasi-polynomial): `step` is that period, 1 without strides.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from fractions import Fraction
from itertools import product
from math import prod
from typing import TypeAlias

from analyzer.core.frozen import Frozen
from analyzer.scaling.polynomial import Polynomial, Unit, evaluate, newton, through_grid

MAX_DEGREE = 4
HELD_OUT = 2  # Points along an axis that a polynomial must predict.
HELD_OUT_OF_GRID = 3
MAX_STEP = 256
PROBE_FACTOR = 8  # How far above its present value a size is tried, unless values are asked for.
SEED = 20140917  # Of the points off the grid; the day of the paper.

Values: TypeAlias = Mapping[str, int]
Evaluate: TypeAlias = Callable[[Mapping[str, int]], Values | None]  # Axis → size; None if the model refuses it.


class Domain(Frozen):
    """Where a formula was verified: `low`, `low + step`, … up to `high`."""

    low: int
    high: int
    step: int

    def __contains__(self, size: int) -> bool:
        return self.low <= size <= self.high and (size - self.low) % self.step == 0


class AxisFit(Frozen):
    """One axis with the others at their present values: `degrees` by metric, for metrics that are polynomials in it.

    `bounded`: beyond `domain.high` the formula was tried, and does not hold.
    """

    domain: Domain
    degrees: Mapping[str, int]
    bounded: bool = False


class Fit(Frozen):
    """`formulas` by metric; `reasons` for metrics without formula."""

    axes: Mapping[str, AxisFit]
    formulas: Mapping[str, Polynomial]
    reasons: Mapping[str, str]


def fit_axis(
    along: Callable[[int], Values | None], base: int, *, guesses: Sequence[int] = (), limit: int | None = None
) -> AxisFit | None:
    """The fit along one axis from its present value upwards; None if no metric is a polynomial, whatever the step.

    `guesses` are likely steps. `limit` is the largest size of interest.
    """
    best: tuple[int, dict[str, list[Fraction]]] | None = None
    for step in dict.fromkeys((*guesses, *(1 << power for power in range(MAX_STEP.bit_length())))):
        fitted = _degrees(along, base, step)
        if fitted and (best is None or len(fitted) > len(best[1])):
            best = step, fitted
        if fitted and len(fitted) == len(along(base) or ()) and _holds_further(along, base, step, fitted):
            best = step, fitted
            break
    if best is None:
        return None
    step, polynomials = best
    step = _smallest_step(along, base, step, polynomials)

    def holds(size: int) -> bool:
        values = along(size)
        return values is not None and all(evaluate(p, size) == values[name] for name, p in polynomials.items())

    top = max(limit or 0, base * PROBE_FACTOR)
    confirmed = base + step * (max(map(len, polynomials.values())) - 1 + HELD_OUT)
    high, bounded = _last(holds, confirmed, top, step)
    low, _ = _last(holds, base, 1, -step)
    degrees = {name: len(p) - 1 for name, p in polynomials.items()}
    return AxisFit(Domain(low, high, step), degrees, bounded)


def _degrees(along: Callable[[int], Values | None], base: int, step: int) -> dict[str, list[Fraction]]:
    """The metrics that are polynomials on base, base + step, …: name → coefficients by rising power."""
    sizes: list[int] = []
    values: list[Values] = []
    pending: set[str] | None = None
    fitted: dict[str, list[Fraction]] = {}
    for number in range(MAX_DEGREE + 1 + HELD_OUT):
        sizes.append(base + number * step)
        at_size = along(sizes[-1])
        if at_size is None:
            break
        values.append(at_size)
        pending = set(at_size) if pending is None else pending
        degree = number - HELD_OUT
        for name in sorted(pending if degree >= 0 else ()):
            coefficients = newton(sizes[: degree + 1], [point[name] for point in values[: degree + 1]])
            held_out = zip(sizes[degree + 1 :], values[degree + 1 :], strict=True)
            if all(evaluate(coefficients, size) == point[name] for size, point in held_out):
                fitted[name] = coefficients
                pending.discard(name)
        if not pending:
            break
    return fitted


def _holds_further(
    along: Callable[[int], Values | None], base: int, step: int, polynomials: Mapping[str, list[Fraction]]
) -> bool:
    """Whether the polynomials hold far from the base as well: rounding may leave some sizes in a row without effect."""
    further = (base + 13 * step, base + max(29, base // step) * step)
    return all(
        values is None or all(evaluate(p, size) == values[name] for name, p in polynomials.items())
        for size in further
        for values in [along(size)]
    )


def _smallest_step(
    along: Callable[[int], Values | None], base: int, step: int, polynomials: Mapping[str, list[Fraction]]
) -> int:
    """A guessed step may be a multiple of the period: divides it by its prime factors while the formula holds."""
    for prime in (2, 3, 5, 7):
        while step % prime == 0:
            smaller = step // prime
            between = [base + smaller * number for number in range(1, 2 * prime) if number % prime]
            points = [(size, along(size)) for size in between]
            if not all(
                values is not None and all(evaluate(p, size) == values[name] for name, p in polynomials.items())
                for size, values in points
            ):
                break
            step = smaller
    return step


def _last(holds: Callable[[int], bool], start: int, end: int, step: int) -> tuple[int, bool]:
    """The last of start, start + step, … towards `end` for which it holds, and whether it ends before `end`.

    Tries growing distances, then bisects: it is taken to hold between two sizes at which it holds.
    """
    steps = max((end - start) // step, 0)
    good, distance = 0, 1
    while good < steps:
        trial = min(good + distance, steps)
        if holds(start + trial * step):
            good, distance = trial, distance * 4
            continue
        bad = trial
        while bad - good > 1:
            middle = (good + bad) // 2
            good, bad = (middle, bad) if holds(start + middle * step) else (good, middle)
        return start + good * step, True
    return start + good * step, False


def fit_grid(evaluate_at: Evaluate, fits: Mapping[str, AxisFit], bases: Mapping[str, int]) -> Fit:
    """Formulas in all axes: interpolated on the grid of the degrees along each axis, and held against points off it."""
    names = list(fits)
    units = tuple(Unit(fit.domain.step, bases[name] % fit.domain.step) for name, fit in fits.items())
    formulas: dict[str, Polynomial] = {}
    reasons: dict[str, str] = {}

    def at(point: Sequence[int]) -> Values | None:
        return evaluate_at(dict(zip(names, point, strict=True)))

    held_out = [(point, at(point)) for point in _off_grid(fits, bases)]
    for metric in at([bases[name] for name in names]) or {}:
        lacking = [name for name, fit in fits.items() if metric not in fit.degrees]
        if lacking:
            reasons[metric] = f"no polynomial in {', '.join(lacking)}"
            continue
        axes = [
            [bases[name] + fit.domain.step * number for number in range(fit.degrees[metric] + 1)]
            for name, fit in fits.items()
        ]
        grid = {point: at(point) for point in product(*axes)}
        if any(values is None for values in grid.values()):
            reasons[metric] = "the model does not take some of the sizes together"
            continue
        formula = through_grid(names, axes, lambda point: (grid[point] or {})[metric]).replace(units=units)  # noqa: B023
        if all(values is None or formula.at(dict(zip(names, point, strict=True))) == values[metric]
               for point, values in held_out):  # fmt: skip
            formulas[metric] = formula
        else:
            reasons[metric] = f"no polynomial in {', '.join(names)} together"
    return Fit(dict(fits), formulas, reasons)


def _off_grid(fits: Mapping[str, AxisFit], bases: Mapping[str, int]) -> Iterator[tuple[int, ...]]:
    """Some points of the domain off the grid, chosen by a fixed seed, not larger than needed."""
    choice = random.Random(SEED)
    for _ in range(HELD_OUT_OF_GRID if prod(fit.domain.high > fit.domain.low for fit in fits.values()) else 1):
        point = []
        for name, fit in fits.items():
            steps = min((fit.domain.high - bases[name]) // fit.domain.step, 4 * (MAX_DEGREE + 1))
            point.append(bases[name] + fit.domain.step * choice.randint(min(2, max(steps, 0)), max(steps, 0)))
        yield tuple(point)
