"""The Python front of the trajectories: a trajectory, or an error that says what to do."""

import numpy as np

from motion.limits import REMEDIES, MotionError, MotionLimits, Result
from motion.move import plan_move
from motion.timed_move import plan_timed_move
from motion.trajectory import new_trajectory
from motion.velocity_move import plan_stop

State = np.void
Trajectory = np.void


def move(start: State, target: State, limits: MotionLimits) -> Trajectory:
    """The fastest move between two STATE_DTYPE records, as a TRAJECTORY_DTYPE record."""
    trajectory = new_trajectory()
    code = plan_move(trajectory, start, target, limits.record())
    return _accepted(trajectory, code, start, target, limits)


def timed_move(start: State, target: State, limits: MotionLimits, duration_s: float) -> Trajectory:
    """The move that arrives exactly after `duration_s`, as a TRAJECTORY_DTYPE record."""
    trajectory = new_trajectory()
    code = plan_timed_move(trajectory, start, target, limits.record(), duration_s)
    if code in (Result.DURATION_TOO_SHORT, Result.DURATION_NOT_POSSIBLE, Result.DURATION_INVALID):
        fastest_s = float(move(start, target, limits)["duration_s"])
        raise MotionError(
            f"duration_s = {duration_s}: the fastest move takes {fastest_s:.6g}; "
            f"{REMEDIES[Result(code)]}"
        )
    return _accepted(trajectory, code, start, target, limits)


def stop(start: State, limits: MotionLimits) -> Trajectory:
    """The fastest stop from a STATE_DTYPE record, wherever it ends."""
    trajectory = new_trajectory()
    code = plan_stop(trajectory, start, limits.record())
    return _accepted(trajectory, code, start, start, limits)


def sample(trajectory: Trajectory, times_s: np.ndarray) -> np.ndarray:
    """Position, velocity, acceleration and jerk at times, as columns of an (n, 4) array."""
    phases = trajectory["phases"][: int(trajectory["count"]) + 1]
    times = np.maximum(times_s, 0.0)
    phase = phases[np.searchsorted(phases["start_s"], times, side="right") - 1]
    t, jerk = times - phase["start_s"], phase["jerk"]
    acceleration = phase["acceleration"] + jerk * t
    velocity = phase["velocity"] + 0.5 * t * (phase["acceleration"] + acceleration)
    rise = phase["velocity"] + t * (0.5 * phase["acceleration"] + jerk * t / 6.0)
    return np.column_stack((phase["position"] + t * rise, velocity, acceleration, jerk))


def explain(code: int, start: State, target: State, limits: MotionLimits) -> str:
    """What a `Result` means for this problem: name, value, limit and remedy."""
    result = Result(code)
    forward = target["position"] >= start["position"]
    ends = (limits.acceleration, limits.deceleration)
    most, least = ends if forward else ends[::-1]
    details = {
        Result.START_NOT_FINITE: f"start = {tuple(start.tolist())}: must be finite",
        Result.TARGET_NOT_FINITE: f"target = {tuple(target.tolist())}: must be finite",
        Result.TARGET_VELOCITY_BEYOND_LIMIT: (
            f"target.velocity = {float(target['velocity'])}: beyond limits.velocity {limits.velocity}"
        ),
        Result.TARGET_ACCELERATION_BEYOND_LIMIT: (
            f"target.acceleration = {float(target['acceleration'])}: outside {-least} to {most}"
        ),
        Result.TARGET_NOT_APPROACHABLE: (
            f"target.velocity = {float(target['velocity'])} with target.acceleration = "
            f"{float(target['acceleration'])}: beyond limits.velocity {limits.velocity} just before"
        ),
    }
    return f"{details.get(result, result.name)}; {REMEDIES[result]}"


def _accepted(
    trajectory: Trajectory, code: int, start: State, target: State, limits: MotionLimits
) -> Trajectory:
    if code != Result.OK:
        raise MotionError(explain(code, start, target, limits))
    return trajectory
