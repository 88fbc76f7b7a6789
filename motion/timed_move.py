"""Moves that arrive at a given instant, alone or several axes together."""

import numpy as np
from numba import njit

from motion.limits import Result
from motion.move import (
    JERKS,
    NO_SOLUTION,
    OK,
    append_brake,
    directed_bounds,
    on_target,
    phases_of,
    plan_move,
    task_of,
)
from motion.trajectory import append, begin, finish
from motion.trajectory_chain import EDGE, next_duration, reach
from motion.trajectory_solver import shape_duration

DURATION_TOO_SHORT = int(Result.DURATION_TOO_SHORT)
DURATION_NOT_POSSIBLE = int(Result.DURATION_NOT_POSSIBLE)
DURATION_INVALID = int(Result.DURATION_INVALID)
PHASES = 7
ROUNDS_MAX = 100
JOINT = 1e-15


@njit(cache=True, nogil=True, error_model="numpy")
def append_blend(trajectory, jerk, first, last, up, down, share):
    """Add `share` of one shape and the rest of a mirrored one that lasts as long."""
    up_durations, up_ends = phases_of(first, last, up)
    down_durations, down_ends = phases_of(-first, -last, down)
    i, k, up_left, down_left = 0, 0, up_durations[0], down_durations[0]
    up_acceleration, down_acceleration = first, first
    grain = JOINT * shape_duration(first, last, up)
    while i < PHASES and k < PHASES:
        step = max(min(up_left, down_left), 0.0)
        up_jerk, down_jerk = JERKS[i], -JERKS[k]
        up_acceleration += up_jerk * step
        down_acceleration += down_jerk * step
        up_ended, down_ended = up_left <= down_left + grain, down_left <= up_left + grain
        up_left -= step
        down_left -= step
        if up_ended:
            up_acceleration = up_ends[i]
            i += 1
            up_left = up_durations[i] if i < PHASES else np.inf
        if down_ended:
            down_acceleration = -down_ends[k]
            k += 1
            down_left = down_durations[k] if k < PHASES else np.inf
        acceleration = share * up_acceleration + (1.0 - share) * down_acceleration
        blend = share * up_jerk + (1.0 - share) * down_jerk
        append(trajectory, blend * jerk, step, acceleration * jerk)
    trajectory.phases[trajectory.count].acceleration = last * jerk


@njit(cache=True, nogil=True, error_model="numpy")
def fill_timed(trajectory, target, v, a, b, jerk, duration_s):
    """Fill a trajectory that has its first state; answers a `Result`."""
    append_brake(trajectory, v, a, b, jerk)
    v0, a0, v1, a1, distance = task_of(trajectory, target, jerk)
    left = duration_s - trajectory.phases[trajectory.count].start_s
    lowest, highest, down, up = reach(v0, a0, v1, a1, left, v, a, b)
    edge = EDGE * (v + abs(v0)) * left
    if not lowest - edge <= distance <= highest + edge:
        return DURATION_NOT_POSSIBLE
    span = highest - lowest
    share = (distance - lowest) / span if span > edge else 0.5
    share = min(max(share, 0.0), 1.0)
    append_blend(trajectory, jerk, a0, a1, up, down, share)
    return OK


@njit(cache=True, nogil=True, error_model="numpy")
def plan_timed_move(trajectory, start, target, limits, duration_s):
    """The move of `plan_move` that arrives exactly after `duration_s`, within the same limits.

    It blends the two moves of that duration that go furthest either way; from rest to rest that is
    the fastest move with its jerk scaled down. Answers DURATION_TOO_SHORT if the fastest move
    lasts longer, DURATION_NOT_POSSIBLE if the target can be met earlier and later but not then.
    A start outside the limits is brought back first.
    """
    if not 0.0 <= duration_s < np.inf:
        return DURATION_INVALID
    code = plan_move(trajectory, start, target, limits)
    if code != OK:
        return code
    grain = EDGE * trajectory.duration_s
    if duration_s < trajectory.duration_s - grain:
        return DURATION_TOO_SHORT
    if duration_s <= trajectory.duration_s + grain:
        return OK
    a, b = directed_bounds(start, target, limits)
    jerk = limits.jerk
    begin(trajectory, start)
    code = fill_timed(
        trajectory, target, limits.velocity / jerk, a / jerk, b / jerk, jerk, duration_s
    )
    if code != OK:
        return code
    if not on_target(trajectory, target, limits):
        return NO_SOLUTION
    finish(trajectory, target)
    return OK


@njit(cache=True, nogil=True, error_model="numpy")
def next_arrival(trajectory, start, target, limits, not_before_s):
    """A `Result` and the shortest possible duration of at least `not_before_s`, in seconds.

    A target that is not at rest may be out of reach for a while between an early and a late
    arrival. The trajectory is overwritten.
    """
    code = plan_move(trajectory, start, target, limits)
    if code != OK:
        return code, np.inf
    if not_before_s <= trajectory.duration_s * (1.0 + EDGE):
        return OK, max(trajectory.duration_s, not_before_s)
    a, b = directed_bounds(start, target, limits)
    jerk = limits.jerk
    v, a, b = limits.velocity / jerk, a / jerk, b / jerk
    begin(trajectory, start)
    append_brake(trajectory, v, a, b, jerk)
    braked_s = trajectory.phases[trajectory.count].start_s
    v0, a0, v1, a1, distance = task_of(trajectory, target, jerk)
    duration = braked_s + next_duration(
        v0, a0, v1, a1, distance, max(not_before_s - braked_s, 0.0), v, a, b
    )
    return (OK if duration < np.inf else NO_SOLUTION), max(duration, not_before_s)


@njit(cache=True, nogil=True, error_model="numpy")
def synchronise(trajectories, starts, targets, limits):
    """Plan several axes so that all arrive together, as early as all can.

    Arrays of TRAJECTORY_DTYPE, STATE_DTYPE, STATE_DTYPE and LIMITS_DTYPE records, one an axis.
    Answers a `Result` and the axis it is about.
    """
    common_s = 0.0
    for _ in range(ROUNDS_MAX):
        longest_s = common_s
        for axis in range(len(trajectories)):
            code, duration_s = next_arrival(
                trajectories[axis], starts[axis], targets[axis], limits[axis], longest_s
            )
            if code != OK:
                return code, axis
            longest_s = max(longest_s, duration_s)
        if longest_s == common_s:
            break
        common_s = longest_s
    for axis in range(len(trajectories)):
        code = plan_timed_move(
            trajectories[axis], starts[axis], targets[axis], limits[axis], common_s
        )
        if code != OK:
            return code, axis
        trajectories[axis].duration_s = common_s
    return OK, 0
