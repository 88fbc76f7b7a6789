"""Jerk-limited trajectories: planned on events, evaluated in each cycle.

A trajectory is a list of phases of constant jerk. Time counts in seconds from the instant of
planning; positions are in the axis's own unit (m or rad).
"""

import numpy as np
from numba import njit

PHASES_MAX = 16
STATE_DTYPE = np.dtype([("position", "f8"), ("velocity", "f8"), ("acceleration", "f8")], align=True)
PHASE_DTYPE = np.dtype(
    [
        ("start_s", "f8"),
        ("position", "f8"),
        ("velocity", "f8"),
        ("acceleration", "f8"),
        ("jerk", "f8"),
    ],
    align=True,
)
TRAJECTORY_DTYPE = np.dtype(
    [("duration_s", "f8"), ("count", "i8"), ("phases", PHASE_DTYPE, (PHASES_MAX,))], align=True
)


def motion_state(position: float, velocity: float = 0.0, acceleration: float = 0.0) -> np.void:
    """One record of STATE_DTYPE."""
    return np.array([(position, velocity, acceleration)], dtype=STATE_DTYPE)[0]


def new_trajectory() -> np.void:
    """One record of TRAJECTORY_DTYPE, at rest at position 0."""
    return np.zeros(1, dtype=TRAJECTORY_DTYPE)[0]


@njit(cache=True, nogil=True, error_model="numpy")
def evaluate(trajectory, time_s):
    """Position, velocity, acceleration and jerk at an instant.

    Before 0 s the start state; after the end the final state goes on without jerk.
    """
    index = 0
    time_s = max(time_s, 0.0)
    while index < trajectory.count and trajectory.phases[index + 1].start_s <= time_s:
        index += 1
    phase = trajectory.phases[index]
    t = time_s - phase.start_s
    acceleration = phase.acceleration + phase.jerk * t
    velocity = phase.velocity + 0.5 * t * (phase.acceleration + acceleration)
    rise = phase.velocity + t * (0.5 * phase.acceleration + phase.jerk * t / 6.0)
    return phase.position + t * rise, velocity, acceleration, phase.jerk


@njit(cache=True, nogil=True, error_model="numpy")
def begin(trajectory, start):
    """Empty a trajectory; its first phase begins at the start state."""
    trajectory.count = 0
    trajectory.duration_s = 0.0
    phase = trajectory.phases[0]
    phase.start_s = 0.0
    phase.position = start.position
    phase.velocity = start.velocity
    phase.acceleration = start.acceleration
    phase.jerk = 0.0


@njit(cache=True, nogil=True, error_model="numpy")
def append(trajectory, jerk, duration_s, acceleration):
    """Add a phase of constant jerk that ends at an acceleration; none if no time is left for it.

    Stating the acceleration keeps rounding out of long phases without jerk.
    """
    if not duration_s > 0.0:
        return
    phase = trajectory.phases[trajectory.count]
    phase.jerk = jerk
    following = trajectory.phases[trajectory.count + 1]
    trajectory.count += 1
    rise = phase.velocity + duration_s * (0.5 * phase.acceleration + jerk * duration_s / 6.0)
    following.start_s = phase.start_s + duration_s
    following.position = phase.position + duration_s * rise
    following.velocity = phase.velocity + 0.5 * duration_s * (phase.acceleration + acceleration)
    following.acceleration = acceleration
    following.jerk = 0.0


@njit(cache=True, nogil=True, error_model="numpy")
def finish(trajectory, target):
    """Close a trajectory exactly on its target."""
    phase = trajectory.phases[trajectory.count]
    trajectory.duration_s = phase.start_s
    phase.position = target.position
    phase.velocity = target.velocity
    phase.acceleration = target.acceleration
    phase.jerk = 0.0
