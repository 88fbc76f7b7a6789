"""Time-optimal moves from any state to any state the limits allow."""

from math import isfinite

import numpy as np
from numba import njit

from motion.limits import Result, limits_valid
from motion.rest_to_rest import plan_mirrored
from motion.trajectory import PHASES_MAX, append, begin, evaluate, finish
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
EDGE = 1.0 + 1e-12
RESIDUAL = 1e-12
CLOCK = 1e-14
JERKS = (1.0, 0.0, -1.0, 0.0, -1.0, 0.0, 1.0)


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
def phases_of(first, last, shape):
    """Durations of a shape's seven phases and the accelerations at their ends.

    The signs of their jerks are those of JERKS.
    """
    _, peak, peak_hold, trough, trough_hold, cruise = shape
    peak, trough = max(peak, first), min(trough, last)
    middle = 0.0 if cruise > 0.0 else trough
    durations = (
        peak - first,
        peak_hold,
        peak - middle,
        cruise,
        middle - trough,
        trough_hold,
        last - trough,
    )
    return durations, (peak, peak, middle, middle, trough, trough, last)


@njit(cache=True, nogil=True, error_model="numpy")
def append_shape(trajectory, jerk, first, last, shape):
    """Add the phases of a shape between two accelerations (in units of the jerk)."""
    durations, accelerations = phases_of(first, last, shape)
    for index in range(7):
        append(trajectory, JERKS[index] * jerk, durations[index], jerk * accelerations[index])


@njit(cache=True, nogil=True, error_model="numpy")
def append_brake(trajectory, velocity, a, b, jerk):
    """Bring the last state within the limits, if it is not; answers whether it was not."""
    state = trajectory.phases[trajectory.count]
    acceleration = state.acceleration / jerk
    sign, ramp, hold = brake(state.velocity / jerk, acceleration, velocity, a, b)
    acceleration = jerk * (acceleration + sign * ramp)
    if sign != 0.0:
        append(trajectory, sign * jerk, ramp, acceleration)
        append(trajectory, 0.0, hold, acceleration)
    return sign != 0.0


@njit(cache=True, nogil=True, error_model="numpy")
def on_target(trajectory, target, limits):
    """True if the last phase ends on the target, but for rounding of the largest values met."""
    end, first = trajectory.phases[trajectory.count], trajectory.phases[0]
    acceleration = abs(first.acceleration) + limits.acceleration + limits.deceleration
    shed = 0.5 * first.acceleration * first.acceleration / limits.jerk
    velocity = RESIDUAL * (abs(first.velocity) + limits.velocity + shed)
    velocity += CLOCK * acceleration * end.start_s
    slowest = min(limits.acceleration, limits.deceleration)
    position = velocity * (end.start_s + acceleration / limits.jerk + limits.velocity / slowest)
    position += RESIDUAL * (abs(first.position) + abs(target.position))
    return (
        abs(end.position - target.position) <= position
        and abs(end.velocity - target.velocity) <= velocity
        and abs(end.acceleration - target.acceleration) <= RESIDUAL * acceleration
    )


@njit(cache=True, nogil=True, error_model="numpy")
def task_of(trajectory, target, jerk):
    """From the last state to the target, in units of the jerk.

    Velocity and acceleration of both, and the distance.
    """
    state = trajectory.phases[trajectory.count]
    return (
        state.velocity / jerk,
        state.acceleration / jerk,
        target.velocity / jerk,
        target.acceleration / jerk,
        (target.position - state.position) / jerk,
    )


@njit(cache=True, nogil=True, error_model="numpy")
def plan_general(trajectory, target, v, a, b, jerk):
    """Fill a trajectory that has its first state, for bounds in units of the jerk."""
    v0, a0, v1, a1, distance = task_of(trajectory, target, jerk)
    reach = (abs(trajectory.phases[0].position) + abs(target.position)) / jerk
    if append_brake(trajectory, v, a, b, jerk):
        if abs(v0) <= v * EDGE and -b * EDGE <= a0 <= a * EDGE:
            sign, shape = without_crossing(v0, a0, v1, a1, distance, v, a, b, reach)
            if shape_duration(sign * a0, sign * a1, shape) < np.inf:
                trajectory.count = 0
                append_shape(trajectory, sign * jerk, sign * a0, sign * a1, shape)
                return
        v0, a0, v1, a1, distance = task_of(trajectory, target, jerk)
    sign, shape = fastest_but_rounding(v0, a0, v1, a1, distance, v, a, b, reach)
    append_shape(trajectory, sign * jerk, sign * a0, sign * a1, shape)


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


@njit(cache=True, nogil=True, error_model="numpy")
def retarget(trajectory, time_s, target, limits):
    """Replan a running trajectory at an instant; its time then counts from there.

    Continuous in position, velocity and acceleration. Answers a `Result`; with bad input the
    running trajectory stays as it was.
    """
    state = trajectory.phases[PHASES_MAX - 1]
    state.position, state.velocity, state.acceleration, _ = evaluate(trajectory, time_s)
    return plan_move(trajectory, state, target, limits)
