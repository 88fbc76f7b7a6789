"""Check a move without the planner's formulas: sample the cam, integrate the mode step by step."""

from __future__ import annotations

from dataclasses import dataclass
from math import pi, sqrt
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from motion.cam_table import CamTable, pack, sample_cam
from motion.fold_geometry import web_motion
from motion.optimise_problem import MoveProblem

Array = NDArray[np.float64]
_WINDOW_FREQUENCIES = 41
# one record: its fields are beyond the type checker
Record = Any


@dataclass(frozen=True)
class MoveCheck:
    """Extremes of a move as found by dense sampling; None where nothing was asked."""

    duration_s: float
    velocity_max_m_s: float
    acceleration_max_m_s2: float
    deceleration_max_m_s2: float
    jerk_max_m_s3: float
    residual_max_m: float | None
    residual_frequency_hz: float | None
    force_peak_n: float | None
    force_rms_n: float | None
    web_acceleration_max_m_s2: float | None
    window_max_m: float | None
    checkpoint_m: float | None

    def keeps(self, problem: MoveProblem, tolerance: float = 1e-6) -> bool:
        """True if no bound of the problem is exceeded by more than `tolerance` of itself."""
        limits, share = problem.limits, 1.0 + tolerance
        pairs = [
            (self.velocity_max_m_s, limits.velocity),
            (self.acceleration_max_m_s2, limits.acceleration),
            (self.deceleration_max_m_s2, limits.deceleration),
            (self.jerk_max_m_s3, limits.jerk),
        ]
        if problem.mode and self.residual_max_m is not None:
            pairs.append((self.residual_max_m, problem.mode.residual_m))
        if problem.force and self.force_peak_n is not None and self.force_rms_n is not None:
            pairs.append((self.force_peak_n, problem.force.peak_n))
            pairs.append((self.force_rms_n, problem.force.rms_n))
        if problem.web and self.web_acceleration_max_m_s2 is not None:
            pairs.append((self.web_acceleration_max_m_s2, problem.web.acceleration_m_s2))
        if problem.window and self.window_max_m is not None:
            pairs.append((self.window_max_m, problem.window.width_m))
        if problem.checkpoint and self.checkpoint_m is not None:
            pairs.append((self.checkpoint_m, problem.checkpoint.position_max_m))
        return all(value <= limit * share for value, limit in pairs)


def check_move(
    cam: CamTable, problem: MoveProblem, step_s: float = 1e-5, frequencies: int = 401
) -> MoveCheck:
    """Sample a forward move every `step_s` and at its knots, and integrate the mode at
    `frequencies` points of its band.
    """
    grid = np.linspace(cam.start, cam.end, int(np.ceil(cam.length / step_s)) + 1)
    times = np.union1d(grid, cam.knots)
    states = cam.sample(times)
    inside = states[:-1]
    residual, worst_hz = None, None
    if problem.mode is not None:
        band = problem.mode.frequencies(frequencies)
        amplitudes = residual_vibration(cam, band, problem.mode.damping, step_s)
        residual, worst_hz = float(amplitudes.max()), float(band[amplitudes.argmax()])
    peak, rms = _forces(times, states, problem)
    return MoveCheck(
        cam.length,
        float(np.abs(inside[:, 1]).max()),
        float(inside[:, 2].max()),
        float(-inside[:, 2].min()),
        float(np.abs(inside[:, 3]).max()),
        residual,
        worst_hz,
        peak,
        rms,
        _web_peak(states, problem),
        _window_peak(cam, problem, step_s) if problem.window else None,
        float(cam.sample(problem.checkpoint.time_s)[0, 0]) if problem.checkpoint else None,
    )


def _forces(times: Array, states: Array, problem: MoveProblem) -> tuple[float | None, float | None]:
    force = problem.force
    if force is None:
        return None, None
    newtons = force.mass_kg * states[:, 2] + force.friction_n * np.sign(states[:, 1])
    period = float(times[-1] - times[0]) + force.rest_s
    return float(np.abs(newtons).max()), sqrt(float(np.trapezoid(newtons**2, times)) / period)


def _web_peak(states: Array, problem: MoveProblem) -> float | None:
    web = problem.web
    if web is None:
        return None
    record, arm_up = web.geometry[0], (float("inf"), 0.0, 0.0)
    return max(
        abs(web_motion(record, web.side, (web.start_m + x, v, a), arm_up)[2])
        for x, v, a in states[:, :3]
    )


def _window_peak(cam: CamTable, problem: MoveProblem, step_s: float) -> float:
    """Farthest that the load, or a rigid table, is from an end while it must be near it."""
    window, mode = problem.window, problem.mode
    assert window is not None
    steps = int(np.ceil(cam.length / step_s))
    states = cam.sample(np.linspace(cam.start, cam.end, steps + 1))
    times = np.linspace(0.0, cam.length, steps + 1)
    first, last = times <= window.lead_s, times >= cam.length - window.trail_s

    def away(load: Array) -> float:
        start, end = np.abs(load[first]), np.abs(load[last] - problem.distance_m)
        return float(max(start.max(initial=0.0), end.max(initial=0.0)))

    paths = [states[:, 0]]
    if mode is not None:
        swings = load_deflections(cam, mode.frequencies(_WINDOW_FREQUENCIES), mode.damping, steps)
        paths += list(states[:, 0] + swings)
    return max(away(path) for path in paths)


def residual_vibration(
    cam: CamTable, frequencies_hz: Array, damping: float, step_s: float = 1e-5
) -> Array:
    """Amplitude (n,) that a mode at each of `frequencies_hz` (n,) is left with after the cam, by
    Runge-Kutta integration of the load's deflection q'' + 2 d w q' + w2 q = -acceleration.
    """
    steps = int(np.ceil(cam.length / step_s))
    return _integrated(cam, frequencies_hz, damping, steps, False)[0]


def load_deflections(cam: CamTable, frequencies_hz: Array, damping: float, steps: int) -> Array:
    """Deflection (n, steps + 1) of a mode at each of `frequencies_hz` (n,), evenly over the cam."""
    return _integrated(cam, frequencies_hz, damping, steps, True)[1]


def _integrated(
    cam: CamTable, frequencies_hz: Array, damping: float, steps: int, with_path: bool
) -> tuple[Array, Array]:
    """Amplitudes left (n,) and deflections on the way (n, steps + 1), or (n, 0) if not wanted."""
    halves = np.linspace(cam.start, cam.end, 2 * steps + 1)
    cams, segments = pack([cam])
    states = np.empty((halves.size, 4))
    sample_cam(segments, cams[0], halves, states)
    count = np.size(frequencies_hz)
    left, path = np.empty(count), np.zeros((count, steps + 1 if with_path else 0))
    accelerations = np.ascontiguousarray(states[:, 2])
    omegas = 2.0 * pi * frequencies_hz
    _integrate(accelerations, cam.length / steps, omegas, damping, left, path)
    return left, path


@njit(cache=True, nogil=True, error_model="numpy")
def _integrate(
    halves: Array, h: float, omegas: Array, damping: float, left: Array, path: Array
) -> None:
    for i in range(omegas.shape[0]):
        w = omegas[i]
        spring, damper = w * w, 2.0 * damping * w
        q, r = 0.0, 0.0
        for k in range(0, halves.shape[0] - 1, 2):
            k1 = -halves[k] - damper * r - spring * q
            q2, r2 = q + 0.5 * h * r, r + 0.5 * h * k1
            k2 = -halves[k + 1] - damper * r2 - spring * q2
            q3, r3 = q + 0.5 * h * r2, r + 0.5 * h * k2
            k3 = -halves[k + 1] - damper * r3 - spring * q3
            q4, r4 = q + h * r3, r + h * k3
            k4 = -halves[k + 2] - damper * r4 - spring * q4
            q += h / 6.0 * (r + 2.0 * r2 + 2.0 * r3 + r4)
            r += h / 6.0 * (k1 + 2.0 * k2 + 2.0 * k3 + k4)
            if path.shape[1] > 0:
                path[i, k // 2 + 1] = q
        ringing = (r + damping * w * q) / (w * sqrt(1.0 - damping * damping))
        left[i] = sqrt(q * q + ringing * ringing)
