"""Time-optimal moves from any state to any state the limits allow."""

from math import isfinite

import numpy as np
from numba import njit

from motion.limits import Result, limits_valid
from motion.rest_to_rest import plan_mirrored
from motion.trajectory import append, begin, finish
from motion.trajectory_brake import brake
from motion.trajectory_rounding import fastest_but_rounding, without_crossing
from motion.trajectory_solver import shape_duration

OK = int(Result.OK)
LIMITS_INVALID = int(Result.LIMITS_INVALID)
START_NOT_FINITE = int(Result.START_NOT_FINITE)
TARGET_NOT_FINITE = int(Result.TARGET_NOT_FINITE)
TARGET_VELOCITY_BEYOND_LIMIT = int(Result.TARGET_VELOCITY_BEYOND_LIMIT)
TARGET_ACCELERATION_BEYOND_LIMIT = int(Result.TARGET_ACCELERATION_BEYOND_LIMIT)
TARGET_NOT_APPROACHABLE = int(Result.TARGET_NOT_APPROACHABLE)
NO_SOLUTION = int(Result.NO_SOLUTION)
ROUNDING = 1e-14
RESIDUAL = 1e-12


@njit(cache=True, nogil=True, error_model="numpy")
def state_finite(state):
    """True if the three numbers of a STATE_DTYPE record are finite."""
    return isfinite(state.position) and isfinite(state.velocity) and isfinite(state.acceleration)


@njit(cache=True, nogil=True, error_model="numpy")
def at_rest(state):
    """True if a state has neither velocity nor acceleration."""
    return state.velocity == 0.0 and state.acceleration == 0.0


@njit(cache=True, nogil=True, error_model="numpy")
def directed_bounds(start, target, limits):
    """Bounds of positive and of negative acceleration, for the direction of this move."""
    if target.position >= start.position:
        return limits.acceleration, limits.deceleration
    return limits.deceleration, limits.acceleration


@njit(cache=True, nogil=True, error_model="numpy")
def check_move(start, target, limits):
    """OK, or why no move from start to target can be planned."""
    if not limits_valid(limits):
        return LIMITS_INVALID
    if not state_finite(start):
        return START_NOT_FINITE
    if not state_finite(target):
        return TARGET_NOT_FINITE
    v = limits.velocity * (1.0 + ROUNDING)
    if not abs(target.velocity) <= v:
        return TARGET_VELOCITY_BEYOND_LIMIT
    a, b = directed_bounds(start, target, limits)
    acceleration = target.acceleration
    if not -b * (1.0 + ROUNDING) <= acceleration <= a * (1.0 + ROUNDING):
        return TARGET_ACCELERATION_BEYOND_LIMIT
    dip = 0.5 * acceleration * acceleration / limits.jerk
    if (acceleration > 0.0 and target.velocity - dip < -v) or (
        acceleration < 0.0 and target.velocity + dip > v
    ):
        return TARGET_NOT_APPROACHABLE
    return OK


@njit(cache=True, nogil=True, error_model="numpy")
def append_shape(trajectory, jerk, first, last, shape):
    """Add the phases of a shape between two accelerations (in units of the jerk)."""
    _, peak, peak_hold, trough, trough_hold, cruise = shape
    peak, trough = max(peak, first), min(trough, last)
    append(trajectory, jerk, peak - first, jerk * peak)
    append(trajectory, 0.0, peak_hold, jerk * peak)
    if cruise > 0.0:
        append(trajectory, -jerk, peak, 0.0)
        append(trajectory, 0.0, cruise, 0.0)
        append(trajectory, -jerk, -trough, jerk * trough)
    else:
        append(trajectory, -jerk, peak - trough, jerk * trough)
    append(trajectory, 0.0, trough_hold, jerk * trough)
    append(trajectory, jerk, last - trough, jerk * last)


@njit(cache=True, nogil=True, error_model="numpy")
def on_target(trajectory, target, limits):
    """True if the last phase ends on the target, but for rounding of the largest values met."""
    end, first = trajectory.phases[trajectory.count], trajectory.phases[0]
    acceleration = abs(first.acceleration) + limits.acceleration + limits.deceleration
    shed = 0.5 * first.acceleration * first.acceleration / limits.jerk
    velocity = abs(first.velocity) + limits.velocity + shed
    position = velocity * end.start_s + abs(first.position) + abs(target.position)
    return (
        abs(end.position - target.position) <= RESIDUAL * position
        and abs(end.velocity - target.velocity) <= RESIDUAL * velocity
        and abs(end.acceleration - target.acceleration) <= RESIDUAL * acceleration
    )


@njit(cache=True, nogil=True, error_model="numpy")
def plan_general(trajectory, target, v, a, b, jerk):
    """Fill a trajectory that has its first state, for bounds in units of the jerk."""
    state = trajectory.phases[0]
    velocity, first = state.velocity / jerk, state.acceleration / jerk
    target_velocity, last = target.velocity / jerk, target.acceleration / jerk
    distance = (target.position - state.position) / jerk
    reach = (abs(state.position) + abs(target.position)) / jerk
    brake_sign, ramp, hold = brake(velocity, first, v, a, b)
    if brake_sign != 0.0:
        if abs(velocity) <= v and -b <= first <= a:
            sign, shape = without_crossing(
                velocity, first, target_velocity, last, distance, v, a, b, reach
            )
            if shape_duration(sign * first, sign * last, shape) < np.inf:
                append_shape(trajectory, sign * jerk, sign * first, sign * last, shape)
                return
        first += brake_sign * ramp
        append(trajectory, brake_sign * jerk, ramp, jerk * first)
        append(trajectory, 0.0, hold, jerk * first)
        state = trajectory.phases[trajectory.count]
        velocity = state.velocity / jerk
        distance = (target.position - state.position) / jerk
    sign, shape = fastest_but_rounding(
        velocity, first, target_velocity, last, distance, v, a, b, reach
    )
    append_shape(trajectory, sign * jerk, sign * first, sign * last, shape)


@njit(cache=True, nogil=True, error_model="numpy")
def plan_move(trajectory, start, target, limits):
    """The fastest move between two STATE_DTYPE records under a LIMITS_DTYPE record.

    Writes the TRAJECTORY_DTYPE record and answers a `Result`. A start outside the limits is
    brought back first, by the shortest way at full jerk.
    """
    code = check_move(start, target, limits)
    if code != OK:
        return code
    if at_rest(start) and at_rest(target) and limits.acceleration == limits.deceleration:
        plan_mirrored(trajectory, start.position, target.position, limits)
        return OK
    a, b = directed_bounds(start, target, limits)
    jerk = limits.jerk
    begin(trajectory, start)
    plan_general(trajectory, target, limits.velocity / jerk, a / jerk, b / jerk, jerk)
    if not on_target(trajectory, target, limits):
        return NO_SOLUTION
    finish(trajectory, target)
    return OK
