"""Operators with one operation per output element, by functional name.

The lists are explicit because torch tags more operators as pointwise in each release: 2.6 to 2.8 tag neither `elu` nor
`leaky_relu`. A test names operators that the installed release tags and that no list has.
"""

from __future__ import annotations

ATEN = (
    "__lshift__ __rshift__ abs acos acosh add addcdiv addcmul angle asin asinh atan atan2 atanh bitwise_and "
    "bitwise_left_shift bitwise_not bitwise_or bitwise_right_shift bitwise_xor ceil celu clamp clamp_max clamp_min "
    "conj_physical copysign cos cosh deg2rad digamma div elu erf erfc erfinv exp exp2 expm1 floor fmax fmin fmod frac "
    "frexp gcd gelu hardshrink hardsigmoid hardtanh heaviside hypot i0 igamma igammac lcm leaky_relu lerp "
    "lgamma log log10 log1p log2 logaddexp logaddexp2 logical_and logical_not logical_or logical_xor logit "
    "logit_backward maximum minimum mish mul mvlgamma nan_to_num neg nextafter polygamma pow rad2deg reciprocal relu "
    "remainder round rsqrt rsub sgn sigmoid sigmoid_backward sign silu silu_backward sin sinc sinh softplus "
    "softshrink sqrt sub tan tanh tanh_backward threshold trunc xlogy"
)
SPECIAL = (
    "special_airy_ai special_bessel_j0 special_bessel_j1 special_bessel_y0 special_bessel_y1 "
    "special_chebyshev_polynomial_t special_chebyshev_polynomial_u special_chebyshev_polynomial_v "
    "special_chebyshev_polynomial_w special_entr special_erfcx special_hermite_polynomial_h "
    "special_hermite_polynomial_he special_i0e special_i1 special_i1e special_laguerre_polynomial_l "
    "special_legendre_polynomial_p special_log_ndtr special_modified_bessel_i0 special_modified_bessel_i1 "
    "special_modified_bessel_k0 special_modified_bessel_k1 special_ndtri special_scaled_modified_bessel_k0 "
    "special_scaled_modified_bessel_k1 special_shifted_chebyshev_polynomial_t special_shifted_chebyshev_polynomial_u "
    "special_shifted_chebyshev_polynomial_v special_shifted_chebyshev_polynomial_w special_spherical_bessel_j0 "
    "special_xlog1py special_zeta"
)
PRIMS = (
    "abs acos acosh add asin asinh atan atan2 atanh bessel_i0 bessel_i0e bessel_i1 bessel_i1e bessel_j0 bessel_j1 "
    "bitwise_and bitwise_not bitwise_or bitwise_xor cbrt ceil conj_physical convert_element_type cos cosh digamma div "
    "erf erf_inv erfc erfcx exp exp2 expm1 floor fma fmax fmin fmod frexp gcd hypot igamma igammac lgamma log log10 "
    "log1p log2 maximum minimum mul ndtri neg nextafter pow reciprocal remainder round rsqrt shift_left "
    "shift_right_arithmetic sign signbit sin sinh spherical_bessel_j0 sqrt sub tan tanh trunc zeta"
)
POINTWISE = frozenset(
    [f"aten::{name}" for name in f"{ATEN} {SPECIAL}".split()] + [f"prims::{name}" for name in PRIMS.split()]
)
