"""Moves to a velocity, wherever they end, and the stop among them."""

from math import isfinite, sqrt

from numba import njit

from motion.limits import limits_valid
from motion.move import (
    LIMITS_INVALID,
    OK,
    START_NOT_FINITE,
    TARGET_NOT_FINITE,
    TARGET_VELOCITY_BEYOND_LIMIT,
    append_shape,
    state_finite,
)
from motion.trajectory import append, begin
from motion.trajectory_solver import FOUND


@njit(cache=True, nogil=True, error_model="numpy")
def velocity_shape(v0, a0, v1, a):
    """Rising, holding at most a, and falling to zero acceleration; v1 >= where a0 ends alone."""
    rise = max(v1 - v0 + 0.5 * a0 * a0, 0.0)
    if rise > a * a:
        return FOUND, a, rise / a - a, 0.0, 0.0, 0.0
    return FOUND, sqrt(rise), 0.0, 0.0, 0.0, 0.0


@njit(cache=True, nogil=True, error_model="numpy")
def append_velocity(trajectory, target_velocity, a, b, jerk):
    """Add the fastest way from the last state to a velocity, bounds in units of the jerk."""
    state = trajectory.phases[0]
    a0 = state.acceleration / jerk
    if not -b <= a0 <= a:
        bound = a if a0 > a else -b
        append(trajectory, jerk if a0 < bound else -jerk, abs(a0 - bound), jerk * bound)
        state = trajectory.phases[trajectory.count]
        a0 = bound
    v0, v1 = state.velocity / jerk, target_velocity / jerk
    if v1 >= v0 + 0.5 * a0 * abs(a0):
        append_shape(trajectory, jerk, a0, 0.0, velocity_shape(v0, a0, v1, a))
    else:
        append_shape(trajectory, -jerk, -a0, -0.0, velocity_shape(-v0, -a0, -v1, b))


@njit(cache=True, nogil=True, error_model="numpy")
def plan_velocity(trajectory, start, target_velocity, limits):
    """The fastest change to a velocity at zero acceleration; answers a `Result`.

    The direction that tells acceleration from deceleration is that of the start's velocity, or of
    the target velocity if the start has none.
    """
    if not limits_valid(limits):
        return LIMITS_INVALID
    if not state_finite(start):
        return START_NOT_FINITE
    if not isfinite(target_velocity):
        return TARGET_NOT_FINITE
    if abs(target_velocity) > limits.velocity:
        return TARGET_VELOCITY_BEYOND_LIMIT
    direction = start.velocity if start.velocity != 0.0 else target_velocity
    a, b = limits.acceleration, limits.deceleration
    if direction < 0.0:
        a, b = b, a
    jerk = limits.jerk
    begin(trajectory, start)
    append_velocity(trajectory, target_velocity, a / jerk, b / jerk, jerk)
    end = trajectory.phases[trajectory.count]
    trajectory.duration_s = end.start_s
    end.velocity = target_velocity
    end.acceleration = 0.0
    end.jerk = 0.0
    return OK


@njit(cache=True, nogil=True, error_model="numpy")
def plan_stop(trajectory, start, limits):
    """The fastest stop; the position where it ends is that of the last phase."""
    return plan_velocity(trajectory, start, 0.0, limits)
