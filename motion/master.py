"""The virtual master: path time run at a jerk-limited speed, 1.0 being 100 % override.

Every slave follows cams over `position`, so a stop, a restart and a reverse stay on the path. A
plan of at most seven constant-jerk phases is made when the target or the hold changes; a cycle
only evaluates it.
"""

from __future__ import annotations

from math import inf, isfinite, isnan, sqrt
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

Records = NDArray[np.void]
# one record: its fields are beyond the type checker
Record = Any

MASTER_RUNNING = 0
MASTER_HELD = 1
MASTER_HOLD_MISSED = 2
MASTER_INPUT_INVALID = 3

_PHASES = 8

MASTER_DTYPE = np.dtype(
    [
        # position in seconds of path time, its derivatives over real time
        ("position", np.float64),
        ("speed", np.float64),
        ("acceleration", np.float64),
        ("jerk", np.float64),
        ("acceleration_max", np.float64),
        ("jerk_max", np.float64),
        # the plan in force
        ("target_speed", np.float64),
        ("hold_position", np.float64),
        ("durations", np.float64, (_PHASES,)),
        ("jerks", np.float64, (_PHASES,)),
        ("phase_position", np.float64),
        ("phase_speed", np.float64),
        ("phase_acceleration", np.float64),
        ("phase_time_s", np.float64),
        ("phase", np.int32),
        ("code", np.int32),
        ("planned", np.uint8),
        ("lands_on_hold", np.uint8),
    ],
    align=True,
)


def new_master(acceleration_max: float, jerk_max: float, position: float = 0.0) -> Records:
    """A standing master, an array (1,) of MASTER_DTYPE; limits in 1/s and 1/s2."""
    for name, value in (("acceleration_max", acceleration_max), ("jerk_max", jerk_max)):
        if not (isfinite(value) and value > 0.0):
            raise ValueError(f"master: {name} = {value:g}: must be finite and above 0")
    if not isfinite(position):
        raise ValueError(f"master: position = {position:g}: must be finite")
    masters = np.zeros(1, MASTER_DTYPE)
    masters["acceleration_max"], masters["jerk_max"] = acceleration_max, jerk_max
    masters["position"] = position
    return masters


@njit(cache=True, nogil=True, error_model="numpy")
def _speed_change(
    speed: float, acceleration: float, target: float, acceleration_max: float, jerk_max: float
) -> tuple[float, float, float, float, float, float]:
    """Fastest change to `target` at zero acceleration: three durations, jerks of the first and the
    last phase (the middle one has none) and the distance.
    """
    level = speed + acceleration * abs(acceleration) / (2.0 * jerk_max)
    side = 1.0 if target >= level else -1.0
    v, a, wanted = side * speed, side * acceleration, side * target
    peak = sqrt(max(0.0, jerk_max * (wanted - v) + 0.5 * a * a))
    peak = min(peak, acceleration_max)
    t1 = abs(peak - a) / jerk_max
    t3 = peak / jerk_max
    gained = 0.5 * (peak + a) * t1 + 0.5 * peak * t3
    t2 = max(0.0, (wanted - v - gained) / peak) if peak > 0.0 else 0.0
    j1 = jerk_max if peak >= a else -jerk_max
    v1 = v + t1 * (a + 0.5 * t1 * j1)
    v2 = v1 + t2 * peak
    distance = t1 * (v + t1 * (0.5 * a + t1 * j1 / 6.0)) + t2 * (v1 + 0.5 * t2 * peak)
    distance += t3 * (v2 + t3 * (0.5 * peak - t3 * jerk_max / 6.0))
    return t1, t2, t3, side * j1, -side * jerk_max, side * distance


@njit(cache=True, nogil=True, error_model="numpy")
def stopping_distance(master: Record) -> float:
    """Signed path the master still needs to stop from its state, in closed form."""
    change = _speed_change(
        master.speed, master.acceleration, 0.0, master.acceleration_max, master.jerk_max
    )
    return change[5]


@njit(cache=True, nogil=True, error_model="numpy")
def _furthest(speed: float, acceleration: float, a_max: float, jerk_max: float) -> float:
    """Furthest point forward that a stop begun now cannot avoid."""
    stop = _speed_change(speed, acceleration, 0.0, a_max, jerk_max)[5]
    swing = acceleration * acceleration - 2.0 * jerk_max * speed
    if speed > 0.0 and acceleration < 0.0 and swing > 0.0:
        t = (-acceleration - sqrt(swing)) / jerk_max
        return max(stop, t * (speed + t * (0.5 * acceleration + t * jerk_max / 6.0)))
    return stop


@njit(cache=True, nogil=True, error_model="numpy")
def _put_change(
    master: Record, first: int, speed: float, acceleration: float, target: float, side: float
) -> None:
    t1, t2, t3, j1, j3, _ = _speed_change(
        speed, acceleration, target, master.acceleration_max, master.jerk_max
    )
    master.durations[first] = t1
    master.durations[first + 1] = t2
    master.durations[first + 2] = t3
    master.jerks[first] = side * j1
    master.jerks[first + 1] = 0.0
    master.jerks[first + 2] = side * j3


@njit(cache=True, nogil=True, error_model="numpy")
def _peak_speed(
    v: float, a: float, target: float, distance: float, a_max: float, j: float
) -> float:
    """Largest speed up to `target` from which a stop still fits into `distance`, by bisection."""
    low, high = 0.0, target
    for _ in range(60):
        peak = 0.5 * (low + high)
        reach = _speed_change(v, a, peak, a_max, j)[5] + _speed_change(peak, 0.0, 0.0, a_max, j)[5]
        if reach <= distance:
            low = peak
        else:
            high = peak
    return low


@njit(cache=True, nogil=True, error_model="numpy")
def _plan(master: Record, target: float, hold: float) -> None:
    """Write the phases that reach the target speed and, if a hold is ahead, stop exactly on it."""
    side = -1.0 if target < 0.0 else 1.0
    v, a, wanted = side * master.speed, side * master.acceleration, side * target
    distance = side * (hold - master.position)
    a_max, j = master.acceleration_max, master.jerk_max
    master.target_speed, master.hold_position = target, hold
    master.planned, master.lands_on_hold, master.code = 1, 0, MASTER_RUNNING
    _restart_phase(master, 0)
    cruise = inf
    if wanted > 0.0 and distance < inf:
        master.lands_on_hold = 1
        if distance < _furthest(v, a, a_max, j) - 1e-12 * max(1.0, abs(hold)):
            master.lands_on_hold, master.code, wanted = 0, MASTER_HOLD_MISSED, 0.0
        else:
            braking = _speed_change(wanted, 0.0, 0.0, a_max, j)[5]
            spare = distance - _speed_change(v, a, wanted, a_max, j)[5] - braking
            if spare < 0.0:
                wanted = _peak_speed(v, a, wanted, distance, a_max, j)
                spare = 0.0
            cruise = spare / wanted if wanted > 0.0 else 0.0
    _put_change(master, 0, v, a, wanted, side)
    master.durations[3], master.jerks[3] = cruise, 0.0
    _put_change(master, 4, wanted, 0.0, 0.0, side)
    # past the last phase the master stands
    master.durations[7], master.jerks[7] = inf, 0.0


@njit(cache=True, nogil=True, error_model="numpy")
def _restart_phase(master: Record, phase: int) -> None:
    master.phase = phase
    master.phase_position = master.position
    master.phase_speed = master.speed
    master.phase_acceleration = master.acceleration
    master.phase_time_s = 0.0


@njit(cache=True, nogil=True, error_model="numpy")
def _evaluate(master: Record, t: float) -> None:
    v, a, j = master.phase_speed, master.phase_acceleration, master.jerks[master.phase]
    master.position = master.phase_position + t * (v + t * (0.5 * a + t * j / 6.0))
    master.speed = v + t * (a + 0.5 * t * j)
    master.acceleration = a + t * j
    master.jerk = j
    master.phase_time_s = t


@njit(cache=True, nogil=True, error_model="numpy")
def _enter_next_phase(master: Record) -> None:
    """Take up the next phase, setting exactly what rounding left beside its mark."""
    _evaluate(master, master.durations[master.phase])
    phase = master.phase + 1
    if phase == 3:
        master.acceleration = 0.0
        if master.durations[3] == inf and master.code == MASTER_RUNNING:
            master.speed = master.target_speed
        elif master.code == MASTER_HOLD_MISSED:
            master.speed = 0.0
    if phase == 7:
        master.speed, master.acceleration = 0.0, 0.0
        if master.lands_on_hold:
            master.position, master.code = master.hold_position, MASTER_HELD
    _restart_phase(master, phase)


@njit(cache=True, nogil=True, error_model="numpy")
def step_master_towards(
    master: Record, target_speed: float, hold_position: float, period_s: float
) -> int:
    """Advance by `period_s` towards `target_speed`, never past `hold_position`, stopping on it.

    The hold lies ahead in the target's direction, +-inf for none. A target of 0 stops at once.
    Answers MASTER_RUNNING, MASTER_HELD (stands exactly on the hold), MASTER_HOLD_MISSED (the hold
    is nearer than the stopping distance: stops as soon as it can) or MASTER_INPUT_INVALID (a NaN,
    an infinite target or a limit not above zero: the master does not move). Who changes a limit on
    the way clears `planned`, and the next step plans anew.
    """
    if not (abs(target_speed) < inf and not isnan(hold_position) and 0.0 <= period_s < inf):
        return MASTER_INPUT_INVALID
    if not (master.acceleration_max > 0.0 and master.jerk_max > 0.0):
        return MASTER_INPUT_INVALID
    fresh = target_speed == master.target_speed and hold_position == master.hold_position
    if master.planned == 0 or not fresh:
        _plan(master, target_speed, hold_position)
    remaining = period_s
    while master.phase_time_s + remaining >= master.durations[master.phase]:
        remaining -= master.durations[master.phase] - master.phase_time_s
        _enter_next_phase(master)
    _evaluate(master, master.phase_time_s + max(remaining, 0.0))
    return master.code


@njit(cache=True, nogil=True, error_model="numpy")
def step_master(master: Record, target_speed: float, period_s: float) -> int:
    """Advance by `period_s` towards `target_speed` (1.0 is 100 %, below zero reverses)."""
    hold = -inf if target_speed < 0.0 else inf
    return step_master_towards(master, target_speed, hold, period_s)


@njit(cache=True, nogil=True, error_model="numpy")
def shift_master(master: Record, distance: float) -> None:
    """Move the origin: positions grow by `distance`, the motion goes on unchanged.

    Subtract whole periods with it, so that the position keeps its resolution for ever.
    """
    master.position += distance
    master.phase_position += distance
    master.hold_position += distance


@njit(cache=True, nogil=True, error_model="numpy")
def place_master(master: Record, position: float, speed: float) -> None:
    """Put the master on a point where every slave is at rest; a jump of speed is harmless there."""
    master.position = position
    master.speed = speed
    master.acceleration = 0.0
    master.jerk = 0.0
    master.planned = 0
