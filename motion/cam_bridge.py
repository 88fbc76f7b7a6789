"""Slaves of the master: a cam and a gear at once, changed in motion over a jerk-bounded bridge.

A coupling is offset + ratio * master + scale * cam(master - phase). A follower holds the coupling
it comes from, the one it goes to and the bridge between, all over the master, so that a stop or a
reverse inside the bridge stays on its path.
"""

from __future__ import annotations

from math import isfinite, isnan, sqrt
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from motion.cam_table import evaluate_cam

Records = NDArray[np.void]
# one record: its fields are beyond the type checker
Record = Any
State = tuple[float, float, float, float]

BRIDGE_OK = 0
BRIDGE_IMPOSSIBLE = 1
BRIDGE_INPUT_INVALID = 2

COUPLING_DTYPE = np.dtype(
    [
        ("scale", np.float64),
        ("phase", np.float64),
        ("offset", np.float64),
        ("ratio", np.float64),
        ("cam", np.int32),
    ],
    align=True,
)
FOLLOWER_DTYPE = np.dtype(
    [
        ("source", COUPLING_DTYPE),
        ("destination", COUPLING_DTYPE),
        ("bridge_start", np.float64),
        ("bridge_length", np.float64),
        ("bridge", np.float64, (6,)),
    ],
    align=True,
)
BRIDGE_LIMITS_DTYPE = np.dtype(
    [
        ("velocity", np.float64),
        ("acceleration", np.float64),
        ("jerk", np.float64),
        ("length_max", np.float64),
    ],
    align=True,
)


def bridge_limits(velocity: float, acceleration: float, jerk: float, length_max: float) -> Records:
    """Limits (1,) of a bridge at 100 % override and the longest master range it may take."""
    values = (velocity, acceleration, jerk, length_max)
    for name, value in zip(BRIDGE_LIMITS_DTYPE.names or (), values, strict=True):
        if not (isfinite(value) and value > 0.0):
            raise ValueError(f"bridge: {name} = {value:g}: must be finite and above 0")
    return np.array([values], BRIDGE_LIMITS_DTYPE)


def new_follower(
    cam: int, scale: float = 1.0, phase: float = 0.0, offset: float = 0.0, ratio: float = 0.0
) -> Records:
    """A follower (1,) engaged on a cam of the pool (-1 for the gear alone)."""
    followers = np.zeros(1, FOLLOWER_DTYPE)
    followers["destination"] = followers["source"] = (scale, phase, offset, ratio, cam)
    return followers


@njit(cache=True, nogil=True, error_model="numpy", forceinline=True)
def evaluate_coupling(segments: Records, cams: Records, coupling: Record, master: float) -> State:
    """Position and three derivatives over the master of a coupling."""
    p, d1, d2, d3 = 0.0, 0.0, 0.0, 0.0
    if 0 <= coupling.cam < cams.shape[0]:
        p, d1, d2, d3 = evaluate_cam(segments, cams[coupling.cam], master - coupling.phase)
    k, ratio = coupling.scale, coupling.ratio
    return coupling.offset + ratio * master + k * p, ratio + k * d1, k * d2, k * d3


@njit(cache=True, nogil=True, error_model="numpy", forceinline=True)
def evaluate_follower(segments: Records, cams: Records, follower: Record, master: float) -> State:
    """Position and three derivatives over the master of a follower, on the bridge or beside it."""
    u = master - follower.bridge_start
    if 0.0 <= u < follower.bridge_length:
        c = follower.bridge
        position = c[0] + u * (c[1] + u * (c[2] + u * (c[3] + u * (c[4] + u * c[5]))))
        d1 = c[1] + u * (2.0 * c[2] + u * (3.0 * c[3] + u * (4.0 * c[4] + u * 5.0 * c[5])))
        d2 = 2.0 * c[2] + u * (6.0 * c[3] + u * (12.0 * c[4] + u * 20.0 * c[5]))
        return position, d1, d2, 6.0 * c[3] + u * (24.0 * c[4] + u * 60.0 * c[5])
    coupling = follower.source if u < 0.0 else follower.destination
    return evaluate_coupling(segments, cams, coupling, master)


@njit(cache=True, nogil=True, error_model="numpy", forceinline=True)
def slave_setpoint(
    segments: Records, cams: Records, follower: Record, master: Record, superimposed: State
) -> State:
    """Position, velocity, acceleration and jerk over real time of a follower of the virtual
    master, with a superimposed move (its own four values) added.
    """
    p, d1, d2, d3 = evaluate_follower(segments, cams, follower, master.position)
    s1, s2, s3 = master.speed, master.acceleration, master.jerk
    velocity = d1 * s1 + superimposed[1]
    acceleration = d2 * s1 * s1 + d1 * s2 + superimposed[2]
    jerk = d3 * s1 * s1 * s1 + 3.0 * d2 * s1 * s2 + d1 * s3 + superimposed[3]
    return p + superimposed[0], velocity, acceleration, jerk


@njit(cache=True, nogil=True, error_model="numpy")
def plan_bridge(
    segments: Records, cams: Records, follower: Record, target: Record, start: float, limits: Record
) -> int:
    """Lead a follower from its present coupling to `target` from master `start` on, over the
    shortest bridge found that keeps the limits over the master at 100 % override.

    Answers BRIDGE_OK, BRIDGE_IMPOSSIBLE (none within limits.length_max) or BRIDGE_INPUT_INVALID;
    the follower changes only on BRIDGE_OK. A follower still on an earlier bridge is refused too.
    """
    if isnan(start) or not (limits.jerk > 0.0 and limits.length_max > 0.0):
        return BRIDGE_INPUT_INVALID
    if start < follower.bridge_start + follower.bridge_length and follower.bridge_length > 0.0:
        return BRIDGE_INPUT_INVALID
    here = evaluate_coupling(segments, cams, follower.destination, start)
    # a bridge shorter still would only be rounding
    length = limits.length_max / 1024.0
    too_short = length
    while not _bridge_keeps(segments, cams, here, target, start, length, limits):
        if length >= limits.length_max:
            return BRIDGE_IMPOSSIBLE
        too_short = length
        length = min(1.05 * length, limits.length_max)
    for _ in range(12):
        middle = 0.5 * (too_short + length)
        if _bridge_keeps(segments, cams, here, target, start, middle, limits):
            length = middle
        else:
            too_short = middle
    there = evaluate_coupling(segments, cams, target, start + length)
    c = _quintic(here, there, length)
    for k in range(6):
        follower.bridge[k] = c[k]
    follower.bridge_start, follower.bridge_length = start, length
    _copy_coupling(follower.destination, follower.source)
    _copy_coupling(target, follower.destination)
    return BRIDGE_OK


@njit(cache=True, nogil=True, error_model="numpy")
def _copy_coupling(source: Record, destination: Record) -> None:
    destination.scale, destination.phase = source.scale, source.phase
    destination.offset, destination.ratio = source.offset, source.ratio
    destination.cam = source.cam


@njit(cache=True, nogil=True, error_model="numpy")
def _bridge_keeps(
    segments: Records,
    cams: Records,
    here: State,
    target: Record,
    start: float,
    length: float,
    limits: Record,
) -> bool:
    there = evaluate_coupling(segments, cams, target, start + length)
    c = _quintic(here, there, length)
    v, a, j = quintic_peaks(c, length)
    return v <= limits.velocity and a <= limits.acceleration and j <= limits.jerk


@njit(cache=True, nogil=True, error_model="numpy")
def _quintic(
    here: State, there: State, h: float
) -> tuple[float, float, float, float, float, float]:
    """Ascending coefficients of the quintic between two states (their jerks unused)."""
    p, v1, a1 = here[0], here[1] * h, here[2] * h * h
    d, v2, a2 = there[0] - p, there[1] * h, there[2] * h * h
    c3 = 10.0 * d - 6.0 * v1 - 4.0 * v2 - 1.5 * a1 + 0.5 * a2
    c4 = -15.0 * d + 8.0 * v1 + 7.0 * v2 + 1.5 * a1 - a2
    c5 = 6.0 * d - 3.0 * v1 - 3.0 * v2 - 0.5 * a1 + 0.5 * a2
    h3 = h * h * h
    return p, here[1], 0.5 * here[2], c3 / h3, c4 / (h3 * h), c5 / (h3 * h * h)


@njit(cache=True, nogil=True, error_model="numpy")
def quintic_peaks(
    c: tuple[float, float, float, float, float, float], length: float
) -> tuple[float, float, float]:
    """Largest |velocity|, |acceleration| and |jerk| of a quintic over 0..length, to rounding."""
    j0, j1, j2 = 6.0 * c[3], 24.0 * c[4], 60.0 * c[5]
    turn = _clamped(-0.5 * j1 / j2, length) if j2 != 0.0 else 0.0
    jerk = max(abs(j0), abs(j0 + length * (j1 + length * j2)), abs(j0 + turn * (j1 + turn * j2)))
    low, high = _quadratic_roots(j0, j1, j2, length)
    acceleration, velocity = 0.0, 0.0
    ends = (0.0, low, high, length)
    for i in range(4):
        acceleration = max(acceleration, abs(_acceleration(c, ends[i])))
        velocity = max(velocity, abs(_velocity(c, ends[i])))
    for i in range(3):
        # between turning points the acceleration is monotonic: at most one velocity peak
        left, right = ends[i], ends[i + 1]
        if _acceleration(c, left) * _acceleration(c, right) < 0.0:
            rising = _acceleration(c, left) < 0.0
            for _ in range(50):
                middle = 0.5 * (left + right)
                if (_acceleration(c, middle) < 0.0) == rising:
                    left = middle
                else:
                    right = middle
            velocity = max(velocity, abs(_velocity(c, left)))
    return velocity, acceleration, jerk


@njit(cache=True, nogil=True, error_model="numpy")
def _velocity(c: tuple[float, float, float, float, float, float], u: float) -> float:
    return c[1] + u * (2.0 * c[2] + u * (3.0 * c[3] + u * (4.0 * c[4] + u * 5.0 * c[5])))


@njit(cache=True, nogil=True, error_model="numpy")
def _acceleration(c: tuple[float, float, float, float, float, float], u: float) -> float:
    return 2.0 * c[2] + u * (6.0 * c[3] + u * (12.0 * c[4] + u * 20.0 * c[5]))


@njit(cache=True, nogil=True, error_model="numpy")
def _clamped(u: float, length: float) -> float:
    return min(max(u, 0.0), length)


@njit(cache=True, nogil=True, error_model="numpy")
def _quadratic_roots(c0: float, c1: float, c2: float, length: float) -> tuple[float, float]:
    """The real roots of c0 + c1 u + c2 u2 clamped to 0..length, in order; 0 where there is none."""
    discriminant = c1 * c1 - 4.0 * c2 * c0
    if discriminant < 0.0:
        return 0.0, 0.0
    q = -0.5 * (c1 + sqrt(discriminant) if c1 >= 0.0 else c1 - sqrt(discriminant))
    first = _clamped(q / c2, length) if c2 != 0.0 else 0.0
    second = _clamped(c0 / q, length) if q != 0.0 else 0.0
    return min(first, second), max(first, second)
