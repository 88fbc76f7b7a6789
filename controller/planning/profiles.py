"""Moves as the planner sees them: the fastest rest-to-rest profile, and when it passes a point."""

from math import sqrt

import numpy as np
from numba import njit
from numpy.typing import NDArray

from controller.settings.axes import AxisValues
from motion.cam_table import CamTable
from motion.limits import MotionLimits, Result
from motion.move import plan_move
from motion.trajectory import motion_state, new_trajectory

Array = NDArray[np.float64]
SAMPLES = 20_001


def limits_of(axis: AxisValues, share: float = 1.0) -> MotionLimits:
    """The axis's limits, at a share of them, its peak force included."""
    force = (axis.force_peak_n - axis.friction_n) / axis.mass_kg
    acceleration = min(axis.acceleration_max_m_s2 * share, force)
    return MotionLimits.symmetric(
        axis.velocity_max_m_s * share, acceleration, axis.jerk_max_m_s3 * share
    )


def fastest_move(distance_m: float, limits: MotionLimits) -> CamTable:
    """The time-optimal jerk-limited move from 0 to `distance_m`, exact phases, as a cam."""
    trajectory = new_trajectory()
    code = plan_move(trajectory, motion_state(0.0), motion_state(distance_m), limits.record())
    if code != Result.OK:
        raise ValueError(f"no move over {distance_m:g} m: {Result(code).name}")
    phases = trajectory["phases"][: int(trajectory["count"])]
    ends = np.append(phases["start_s"][1:], trajectory["duration_s"])
    return CamTable.from_phases(ends - phases["start_s"], phases["jerk"])


def time_to_cover(cam: CamTable, distance_m: float) -> float:
    """Time from the start of a monotonic cam until it has covered `distance_m`."""
    times = np.linspace(cam.start, cam.end, SAMPLES)
    covered = np.abs(cam.sample(times)[:, 0] - cam.sample([cam.start])[0, 0])
    return float(np.interp(distance_m, covered, times) - cam.start)


def time_within(speed_m_s: float, limits: MotionLimits) -> float:
    """How long a move is slower than `speed_m_s`, from its start and to its end."""
    return sqrt(2.0 * speed_m_s / limits.jerk)


@njit(cache=True, error_model="numpy")
def _load_path(
    position: Array, velocity: Array, step_s: float, omega: float, damping: float
) -> Array:
    """Load position behind a base-excited mode, semi-implicit Euler at a fine step."""
    load = np.empty_like(position)
    x, v = position[0], 0.0
    for index in range(position.size):
        pull = omega * omega * (position[index] - x) + 2.0 * damping * omega * (velocity[index] - v)
        v += step_s * pull
        x += step_s * v
        load[index] = x
    return load


def load_window_times(
    cam: CamTable, window_m: float, frequencies_hz: Array, damping: float
) -> tuple[float, float]:
    """When the load leaves the start's window and enters the end's for good, worst of the modes and
    of the rigid table, which is what a low speed makes of it.

    Returns (seconds after the start until it has left, seconds before the end from which it stays).
    """
    step = 2e-5
    times = np.arange(cam.start, cam.end + 0.02, step)
    inside = np.minimum(times, cam.end)
    states = cam.sample(inside)
    leave = time_to_cover(cam, window_m)
    stay = cam.length - time_to_cover(cam, abs(states[-1, 0] - states[0, 0]) - window_m)
    for frequency in frequencies_hz:
        omega = 2.0 * np.pi * float(frequency)
        velocity = np.where(times <= cam.end, states[:, 1], 0.0)
        load = _load_path(states[:, 0], velocity, step, omega, damping)
        gone = np.flatnonzero(np.abs(load - states[0, 0]) > window_m)
        away = np.flatnonzero(np.abs(load - states[-1, 0]) > window_m)
        leave = min(leave, times[gone[0]] - cam.start)
        stay = min(stay, cam.end - times[away[-1]])
    return float(leave), float(stay)
