"""The one polynomial the time-optimal moves need, and its root in a bracket."""

import numpy as np
from numba import njit

ITERATIONS_MAX = 200
STEP_TOLERANCE = 4.5e-16
SMALLEST = 1e-300
THIRD_OF_BIAS = 0x2A9F7893782DA1CE


@njit(cache=True, nogil=True, error_model="numpy")
def quartic_root(cubic, quadratic, linear, constant, low, high):
    """The root in [low, high] of x⁴ + cubic·x³ + quadratic·x² + linear·x + constant.

    The caller guarantees a single sign change from minus at low to plus at high. Newton's method,
    with bisection whenever a step would leave the shrinking bracket, so the root cannot be missed.
    """
    x = high
    for _ in range(ITERATIONS_MAX):
        value = (((x + cubic) * x + quadratic) * x + linear) * x + constant
        slope = ((4.0 * x + 3.0 * cubic) * x + 2.0 * quadratic) * x + linear
        if value > 0.0:
            high = x
        else:
            low = x
        step = x - value / slope
        if not low < step < high:
            step = 0.5 * (low + high)
        if abs(step - x) <= STEP_TOLERANCE * abs(step):
            return step
        x = step
    return x


@njit(cache=True, nogil=True, error_model="numpy")
def cube_root(value):
    """The cube root of a number >= 0, to the last digit or two.

    A third of the exponent and mantissa bits is right to 4 %; Halley's step cubes that error.
    """
    if value < SMALLEST:
        return 0.0
    x = np.int64(np.float64(value).view(np.int64) // 3 + THIRD_OF_BIAS).view(np.float64)
    for _ in range(3):
        cube = x * x * x
        x += x * ((value - cube) / (value + 2.0 * cube))
    return x
