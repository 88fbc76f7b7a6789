"""What comes first if a state breaks the limits: the shortest way back, at full jerk.

In units where the jerk limit is 1. A state is allowed if its acceleration is within its limits
and its velocity is, now and when the acceleration has been taken to zero at full jerk.
"""

from math import sqrt

from numba import njit

ROUNDING = 1.0 + 1e-14


@njit(cache=True, nogil=True, error_model="numpy")
def brake_velocity(velocity, acceleration, v, b):
    """Two durations at jerk -1 and 0 that bring a velocity down to v, or as far towards -v as
    still leaves room to take the acceleration away."""
    square = acceleration * acceleration
    to_limit = acceleration + b
    to_v = acceleration + sqrt(max(square + 2.0 * (velocity - v), 0.0))
    to_turn = acceleration + sqrt(max(0.5 * square + velocity + v, 0.0))
    ramp = min(to_v, to_turn)
    if to_limit >= ramp:
        return max(ramp, 0.0), 0.0
    at_limit = velocity + 0.5 * (square - b * b)
    return max(to_limit, 0.0), max(min((at_limit - v) / b, (at_limit + v) / b - 0.5 * b), 0.0)


@njit(cache=True, nogil=True, error_model="numpy")
def brake_acceleration(velocity, acceleration, v, a, b):
    """Two durations at jerk -1 and 0 that bring an acceleration down to a, and a velocity that is
    then still below -v up to it."""
    square = acceleration * acceleration
    if velocity + 0.5 * square > v:
        return brake_velocity(velocity, acceleration, v, b)
    at_limit = velocity + 0.5 * (square - a * a)
    hold = min((-v - at_limit) / a, (v - at_limit) / a - 0.5 * a)
    return acceleration - a, max(hold, 0.0)


@njit(cache=True, nogil=True, error_model="numpy")
def brake(velocity, acceleration, v, a, b):
    """Jerk sign and its duration, then the duration at no jerk, before the limits hold."""
    half = 0.5 * acceleration * acceleration
    limit = v * ROUNDING
    if acceleration > a * ROUNDING:
        ramp, hold = brake_acceleration(velocity, acceleration, v, a, b)
        return -1.0, ramp, hold
    if acceleration < -b * ROUNDING:
        ramp, hold = brake_acceleration(-velocity, -acceleration, v, b, a)
        return 1.0, ramp, hold
    rising, falling = acceleration > 0.0, acceleration < 0.0
    if (velocity > limit and velocity - half > -v) or (rising and velocity + half > limit):
        ramp, hold = brake_velocity(velocity, acceleration, v, b)
        return -1.0, ramp, hold
    if (velocity < -limit and velocity + half < v) or (falling and velocity - half < -limit):
        ramp, hold = brake_velocity(-velocity, -acceleration, v, a)
        return 1.0, ramp, hold
    return 0.0, 0.0, 0.0
