"""Moves from rest to rest in closed form."""

from math import isfinite, sqrt

from numba import njit

from motion.limits import Result, limits_valid
from motion.trajectory_roots import cube_root

OK = int(Result.OK)
LIMITS_INVALID = int(Result.LIMITS_INVALID)
START_NOT_FINITE = int(Result.START_NOT_FINITE)
TARGET_NOT_FINITE = int(Result.TARGET_NOT_FINITE)


@njit(cache=True, nogil=True, error_model="numpy")
def rest_shape(distance, v, a):
    """Durations of the jerk, of the held acceleration and of the cruise.

    In units where the jerk limit is 1, distance >= 0. Touching no limit the distance is 2·jerk³;
    with the acceleration a held its top velocity w solves w²/a + a·w = distance.
    """
    plateau = v > a * a
    ramp = a if plateau else sqrt(v)
    hold = v / a - a if plateau else 0.0
    at_limit = v * (2.0 * ramp + hold)
    if distance >= at_limit:
        return ramp, hold, (distance - at_limit) / v
    if distance >= 2.0 * a * a * a:
        top = 2.0 * distance / (a + sqrt(a * a + 4.0 * distance / a))
        return a, top / a - a, 0.0
    return cube_root(0.5 * distance), 0.0, 0.0


@njit(cache=True, nogil=True, error_model="numpy")
def write_phase(trajectory, index, start_s, position, velocity, acceleration, jerk, lasts):
    """Set one phase; the next index, which is the same if this phase has no duration."""
    phase = trajectory.phases[index]
    phase.start_s = start_s
    phase.position = position
    phase.velocity = velocity
    phase.acceleration = acceleration
    phase.jerk = jerk
    return index + 1 if lasts else index


@njit(cache=True, nogil=True, error_model="numpy")
def plan_mirrored(trajectory, position, target_position, limits):
    """The move for equal acceleration and deceleration: its second half mirrors the first."""
    jerk = limits.jerk if target_position >= position else -limits.jerk
    ramp, hold, cruise = rest_shape(
        (target_position - position) / jerk,
        limits.velocity / limits.jerk,
        limits.acceleration / limits.jerk,
    )
    acceleration, rise = jerk * ramp, ramp + hold
    v1 = 0.5 * acceleration * ramp
    v2, v3 = v1 + acceleration * hold, acceleration * rise
    p1 = v1 * ramp / 3.0
    p2, p3 = p1 + 0.5 * (v1 + v2) * hold, v3 * (ramp + 0.5 * hold)
    t3 = rise + ramp
    t4, end = t3 + cruise, target_position
    moves, holds, cruises = ramp > 0.0, hold > 0.0, cruise > 0.0
    i = write_phase(trajectory, 0, 0.0, position, 0.0, 0.0, jerk, moves)
    i = write_phase(trajectory, i, ramp, position + p1, v1, acceleration, 0.0, holds)
    i = write_phase(trajectory, i, rise, position + p2, v2, acceleration, -jerk, moves)
    i = write_phase(trajectory, i, t3, position + p3, v3, 0.0, 0.0, cruises)
    i = write_phase(trajectory, i, t4, end - p3, v3, 0.0, -jerk, moves)
    i = write_phase(trajectory, i, t4 + ramp, end - p2, v2, -acceleration, 0.0, holds)
    i = write_phase(trajectory, i, t4 + rise, end - p1, v1, -acceleration, jerk, moves)
    write_phase(trajectory, i, t4 + t3, end, 0.0, 0.0, 0.0, True)
    trajectory.count = i
    trajectory.duration_s = t4 + t3


@njit(cache=True, nogil=True, error_model="numpy")
def plan_rest_to_rest(trajectory, position, target_position, limits):
    """The fastest move between two positions for equal acceleration and deceleration.

    Writes the TRAJECTORY_DTYPE record and answers a `Result`. `plan_move` chooses this form by
    itself; here the two bounds must be equal, or the limits count as invalid.
    """
    if not limits_valid(limits) or limits.acceleration != limits.deceleration:
        return LIMITS_INVALID
    if not isfinite(position):
        return START_NOT_FINITE
    if not isfinite(target_position):
        return TARGET_NOT_FINITE
    plan_mirrored(trajectory, position, target_position, limits)
    return OK
