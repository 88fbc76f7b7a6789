"""Moves of single axes: the time-optimal trajectories of `motion`, over path time or a station's clock."""

from controller.station.kernel import kernel
from controller.station.state import MoveClock
from motion import move as solver
from motion.limits import Result
from motion.trajectory import evaluate

_solve = solver.plan_move


@kernel
def plan_move(move, start_m, target_m, limits, now_s):
    """Fill a MOVE_DTYPE record with the fastest move from rest to rest; `now_s` on its clock.

    limits: AXIS_PARAMETERS_DTYPE record. Returns a motion Result; the move is active when it is OK.
    """
    share = limits.move_speed
    move.limits.velocity = limits.velocity_max_m_s * share
    move.limits.acceleration = limits.acceleration_max_m_s2 * share
    move.limits.deceleration = move.limits.acceleration
    move.limits.jerk = limits.jerk_max_m_s3 * share
    move.start.position = start_m
    move.start.velocity = 0.0
    move.start.acceleration = 0.0
    move.target.position = target_m
    move.target.velocity = 0.0
    move.target.acceleration = 0.0
    code = _solve(move.trajectory, move.start, move.target, move.limits)
    move.started_s = now_s
    move.clock = MoveClock.ROUTINE
    move.active = 1 if code == Result.OK else 0
    return code


@kernel
def evaluate_move(move, now_s):
    """Return position, velocity and acceleration of a move at `now_s`; at rest at its ends outside."""
    t = now_s - move.started_s
    if t <= 0.0:
        return move.start.position, 0.0, 0.0
    if t >= move.trajectory.duration_s:
        return move.target.position, 0.0, 0.0
    position, velocity, acceleration, _ = evaluate(move.trajectory, t)
    return position, velocity, acceleration


@kernel
def move_ended(move, now_s):
    """True when the move has no way left at `now_s`."""
    return now_s - move.started_s >= move.trajectory.duration_s
