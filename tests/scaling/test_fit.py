from __future__ import annotations

from analyzer.scaling.fit import Domain, fit_axis, fit_grid


def test_strides_make_a_polynomial_on_multiples_only():
    def along(size):
        half = (size + 1) // 2
        return {"macs": 9 * half * half, "params": 12}

    fit = fit_axis(along, 16, guesses=[8])
    # The guess 8 is a multiple of the period 2. At 2 the formula holds as well.
    assert fit is not None
    assert fit.domain.step == 2
    assert fit.domain.low == 2
    assert fit.degrees == {"macs": 2, "params": 0}


def test_without_a_guess_the_period_is_a_power_of_two():
    fit = fit_axis(lambda size: {"macs": (size // 4) ** 3}, 32)
    assert fit is not None
    assert (fit.domain.step, fit.degrees["macs"]) == (4, 3)


def test_a_bound_ends_the_domain():
    fit = fit_axis(lambda size: {"macs": size * min(size, 100)}, 32)
    assert fit is not None
    assert fit.domain == Domain(1, 100, 1)
    assert fit.bounded


def test_a_refused_size_ends_the_domain():
    fit = fit_axis(lambda size: {"macs": 3 * size} if 20 <= size <= 70 else None, 32)
    assert fit is not None
    assert fit.domain == Domain(20, 70, 1)


def test_one_metric_without_a_formula_leaves_the_others():
    fit = fit_axis(lambda size: {"macs": 5 * size, "peak": size.bit_count()}, 32)
    assert fit is not None
    assert fit.degrees == {"macs": 1}


def test_nothing_fits_a_function_that_is_no_polynomial():
    assert fit_axis(lambda size: {"macs": 2**size}, 5, limit=9) is None


def test_a_grid_is_held_against_points_off_it():
    def macs(batch, height):
        return 3 * batch * height * height + 7 * height

    def evaluate(point):
        # `kink` is linear along each axis through the base (2, 4), but not a polynomial of these degrees off them.
        batch, height = point["batch"], point["height"]
        return {"macs": macs(batch, height), "kink": batch + height + max(batch - 3, 0) * max(height - 6, 0)}

    fits = {
        "batch": fit_axis(lambda size: evaluate({"batch": size, "height": 4}), 2),
        "height": fit_axis(lambda size: evaluate({"batch": 2, "height": size}), 4),
    }
    assert all(fits.values())
    fit = fit_grid(evaluate, fits, {"batch": 2, "height": 4})
    assert fit.formulas["macs"].at({"batch": 1000, "height": 77}) == macs(1000, 77)
    assert "kink" in fit.reasons
