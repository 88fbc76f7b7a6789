"""The laws of VDI 2143 have the coefficients that integration by hand gives."""

from math import factorial, pi, sqrt

import numpy as np
import pytest

from motion.cam_laws import (
    CYCLOID,
    LAWS,
    MODIFIED_SINE,
    MODIFIED_TRAPEZOID,
    POLYNOMIAL_345,
    POLYNOMIAL_4567,
    POLYNOMIAL_56789,
    SIMPLE_SINE,
    CamLaw,
    blend_polynomial,
)


def beta(n: int) -> float:
    """Integral of (u (1 - u))**n over 0..1."""
    return factorial(n) ** 2 / factorial(2 * n + 1)


MODIFIED_SINE_CA = 4.0 * pi**2 / (pi + 4.0)
MODIFIED_TRAPEZOID_CA = 8.0 * pi / (pi + 2.0)
EXPECTED = {
    POLYNOMIAL_345: (15.0 / 8.0, 10.0 / sqrt(3.0), 60.0, sqrt(120.0 / 7.0)),
    POLYNOMIAL_4567: (35.0 / 16.0, 84.0 * sqrt(5.0) / 25.0, 52.5, sqrt(280.0 / 11.0)),
    POLYNOMIAL_56789: (
        315.0 / 128.0,
        2520.0 * (3.0 / 14.0) ** 3 / sqrt(7.0),
        78.75,
        2520.0 * sqrt(beta(6) - 4.0 * beta(7)),
    ),
    MODIFIED_SINE: (
        4.0 * pi / (pi + 4.0),
        MODIFIED_SINE_CA,
        4.0 * pi * MODIFIED_SINE_CA,
        MODIFIED_SINE_CA / sqrt(2.0),
    ),
    MODIFIED_TRAPEZOID: (
        2.0,
        MODIFIED_TRAPEZOID_CA,
        4.0 * pi * MODIFIED_TRAPEZOID_CA,
        MODIFIED_TRAPEZOID_CA * sqrt(0.75),
    ),
    CYCLOID: (2.0, 2.0 * pi, 4.0 * pi**2, pi * sqrt(2.0)),
    SIMPLE_SINE: (pi / 2.0, pi**2 / 2.0, pi**3 / 2.0, pi**2 / sqrt(8.0)),
}


@pytest.mark.parametrize("law", LAWS, ids=lambda law: law.name)
def test_coefficients_are_those_of_the_closed_form(law: CamLaw) -> None:
    c = law.coefficients
    found = (c.velocity, c.acceleration, c.jerk, c.acceleration_rms)
    np.testing.assert_allclose(found, EXPECTED[law], rtol=1e-12)


@pytest.mark.parametrize("law", LAWS, ids=lambda law: law.name)
def test_a_law_rises_from_rest_to_rest_symmetrically(law: CamLaw) -> None:
    u = np.linspace(0.0, 1.0, 201)
    s = law.evaluate(u)
    np.testing.assert_allclose(s[[0, -1], :2], [[0.0, 0.0], [1.0, 0.0]], atol=1e-13)
    np.testing.assert_allclose(s[:, 0] + s[::-1, 0], 1.0, atol=1e-13)
    assert (s[1:-1, 1] > 0.0).all()


@pytest.mark.parametrize("law", LAWS, ids=lambda law: law.name)
def test_each_derivative_is_the_slope_of_the_one_before(law: CamLaw) -> None:
    h = 1e-5
    u = np.linspace(0.01, 0.99, 173)
    centre = law.evaluate(u)
    slope = (law.evaluate(u + h) - law.evaluate(u - h)) / (2.0 * h)
    np.testing.assert_allclose(slope[:, :3], centre[:, 1:], rtol=1e-5, atol=1e-3)


@pytest.mark.parametrize("order", [3, 4])
def test_a_blend_meets_both_states(order: int) -> None:
    first, last, length = [1.0, -2.0, 3.0, 40.0][:order], [-1.0, 0.5, 7.0, -90.0][:order], 0.3
    curve = np.polynomial.Polynomial(blend_polynomial(first, last, length))
    for u, state in ((0.0, first), (length, last)):
        found = [curve.deriv(k)(u) if k else curve(u) for k in range(order)]
        np.testing.assert_allclose(found, state, rtol=1e-9)


def test_a_blend_refuses_states_of_different_order() -> None:
    with pytest.raises(ValueError, match="3 and 4 end conditions"):
        blend_polynomial([0.0, 0.0, 0.0], [0.0, 0.0, 0.0, 0.0], 1.0)
