"""The one polynomial the time-optimal moves need, and its root in a bracket."""

from math import sqrt

from numba import njit

ITERATIONS_MAX = 200
STEP_TOLERANCE = 4.5e-16


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
def root_of_rest(distance):
    """Cube root of 4·distance (>= 0), by square roots for the start and Halley's iteration."""
    value = 4.0 * distance
    if value <= 0.0:
        return 0.0
    fourth = sqrt(sqrt(value))
    x = fourth * sqrt(sqrt(fourth))
    for _ in range(ITERATIONS_MAX):
        cube = x * x * x
        step = x * (value - cube) / (value + 2.0 * cube)
        x = x + step
        if abs(step) <= STEP_TOLERANCE * x:
            return x
    return x
