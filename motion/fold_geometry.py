"""Fold geometry: how much web lies between the guide rollers and the fold, and how fast it grows.

x is measured from the machine centre, where the web comes down between a pair of guide rollers,
z from the top of the stack. The stack spans table_x +- fold_pitch / 2. While the next sheet goes
to the end `side` (+1 or -1), the web runs from the fold on the stack's edge on that side, under
that sheet's inner edge where the sheet pushes it down, to the roller it wraps.
"""

from __future__ import annotations

from math import isfinite, sqrt
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from motion.polynomials import arctangent

Records = NDArray[np.void]
# one record: its fields are beyond the type checker
Record = Any

FOLD_GEOMETRY_DTYPE = np.dtype(
    [
        ("fold_pitch_m", np.float64),
        ("stroke_m", np.float64),
        ("roller_height_m", np.float64),
        ("roller_radius_m", np.float64),
    ],
    align=True,
)


def fold_geometry(
    fold_pitch_m: float, stroke_m: float, roller_height_m: float, roller_radius_m: float = 0.0
) -> Records:
    """An array (1,) of FOLD_GEOMETRY_DTYPE: pitch between folds, table stroke between the two
    ends, height of the rollers' lowest point above the stack and their radius (0 for an edge).
    """
    values = (fold_pitch_m, stroke_m, roller_height_m, roller_radius_m)
    names = FOLD_GEOMETRY_DTYPE.names or ()
    for name, value in zip(names, values, strict=True):
        low = value < 0.0 if name == "roller_radius_m" else value <= 0.0
        if low or not isfinite(value):
            raise ValueError(f"fold geometry: {name} = {value:g}: must be finite and above 0")
    return np.array([values], FOLD_GEOMETRY_DTYPE)


@njit(cache=True, nogil=True, error_model="numpy")
def _from_roller(geometry: Record, x: float, z: float) -> tuple[float, float, float, float]:
    """Web from between the rollers to a point: its length, the unit vector of its straight part
    towards the point and the length of that part.

    The point sees a circle about (+-radius, height + radius); at the centre line both agree, so
    the length has two continuous derivatives everywhere.
    """
    radius = geometry.roller_radius_m
    side = 1.0 if x >= 0.0 else -1.0
    across = side * x - radius
    down = geometry.roller_height_m + radius - z
    straight = sqrt(max(across * across + down * down - radius * radius, 1e-12))
    # the tangent leaves the vertical by `lean`; tan(lean / 2) is free of cancellation
    lean_half_tangent = side * x / (straight + down) if straight + down > 0.0 else 1.0
    square = lean_half_tangent * lean_half_tangent
    sine_lean = 2.0 * lean_half_tangent / (1.0 + square)
    cosine_lean = (1.0 - square) / (1.0 + square)
    wrap = 2.0 * radius * arctangent(lean_half_tangent)
    return straight + wrap, side * sine_lean, -cosine_lean, straight


@njit(cache=True, nogil=True, error_model="numpy")
def web_length_derivatives(
    geometry: Record, side: float, table_x: float, arm_height: float
) -> tuple[float, float, float, float, float, float]:
    """Web length and its derivatives: (length, dL/dx, dL/dh, d2L/dx2, d2L/dxdh, d2L/dh2).

    table_x and arm_height (underside of the next sheet above the stack) in metres. The first
    derivatives are continuous, also where the sheet meets the web; the second jump there, and
    nowhere else. The web is the shortest path; a fold at z = 0 cannot rise to the sheet's outer
    edge, so only the inner one bends it.
    """
    half_pitch = 0.5 * geometry.fold_pitch_m
    x = side * table_x + half_pitch
    edge = 0.5 * geometry.stroke_m - half_pitch
    length, ux, _, straight = _from_roller(geometry, x, 0.0)
    if x > edge:
        to_edge, ex, ez, edge_straight = _from_roller(geometry, edge, arm_height)
        # the sheet bends the web if the fold lies above the line from the roller through its edge
        if ez * (x - edge) + ex * arm_height < 0.0 and arm_height < geometry.roller_height_m:
            run = x - edge
            flat = sqrt(run * run + arm_height * arm_height)
            fx, fz = run / flat, arm_height / flat
            dxx, dxh, dhh = fz * fz / flat, -fz * fx / flat, fx * fx / flat
            dhh += ex * ex / edge_straight
            return to_edge + flat, side * fx, ez + fz, dxx, side * dxh, dhh
    uz2 = 1.0 - ux * ux
    return length, side * ux, 0.0, uz2 / straight, 0.0, 0.0


@njit(cache=True, nogil=True, error_model="numpy")
def web_length(
    geometry: Record, side: float, table_x: float, arm_height: float
) -> tuple[float, float, float]:
    """Web length in metres and its first derivatives (length, dL/dx, dL/dh)."""
    d = web_length_derivatives(geometry, side, table_x, arm_height)
    return d[0], d[1], d[2]


@njit(cache=True, nogil=True, error_model="numpy")
def web_motion(
    geometry: Record,
    side: float,
    table: tuple[float, float, float],
    arm: tuple[float, float, float],
) -> tuple[float, float, float]:
    """Web length, speed and acceleration from the (position, velocity, acceleration) of the table
    and of the arm's height, by the chain rule: the feed-forward of the feed roller.
    """
    x, vx, ax = table
    h, vh, ah = arm
    length, lx, lh, lxx, lxh, lhh = web_length_derivatives(geometry, side, x, h)
    speed = lx * vx + lh * vh
    acceleration = lx * ax + lh * ah + lxx * vx * vx + 2.0 * lxh * vx * vh + lhh * vh * vh
    return length, speed, acceleration


@njit(cache=True, nogil=True, error_model="numpy")
def _passes_above(x1: float, z1: float, x2: float, z2: float, x: float, z: float) -> bool:
    """Does the line from (x1, z1) to (x2, z2), x2 < x < x1, pass above the point?"""
    return z1 + (z2 - z1) * (x1 - x) / (x1 - x2) > z


@njit(cache=True, nogil=True, error_model="numpy")
def taut_length(
    geometry: Record, fold_x: float, edge_x: float, edge_z: float, finger_x: float, finger_z: float
) -> float:
    """Web from the fold at (fold_x, 0) to the rollers, pushed down by a sheet's inner edge and,
    nearer the rollers, by a finger: the shortest path under both. Metres; x grows from the machine
    centre towards the fold; a point beyond the fold or above the rollers pushes nothing.
    """
    top = geometry.roller_height_m
    by_edge = 0.0 < edge_x < fold_x and edge_z < top
    by_finger = 0.0 < finger_x < fold_x and finger_z < top
    if by_edge:
        by_edge = _passes_above(fold_x, 0.0, 0.0, top, edge_x, edge_z)
    last_x, last_z = (edge_x, edge_z) if by_edge else (fold_x, 0.0)
    if by_finger and finger_x < last_x:
        by_finger = _passes_above(last_x, last_z, 0.0, top, finger_x, finger_z)
    if by_finger and by_edge:
        # the finger may hold the web away from the edge it lay under before
        by_edge = _passes_above(fold_x, 0.0, finger_x, finger_z, edge_x, edge_z)
    x, z, length = fold_x, 0.0, 0.0
    if by_edge:
        length += sqrt((x - edge_x) * (x - edge_x) + (z - edge_z) * (z - edge_z))
        x, z = edge_x, edge_z
    if by_finger:
        length += sqrt((x - finger_x) * (x - finger_x) + (z - finger_z) * (z - finger_z))
        x, z = finger_x, finger_z
    return length + _from_roller(geometry, x, z)[0]


def web_at_swap(geometry: Record) -> float:
    """Web a laid sheet keeps: the length just before the fold changes sides less the length just
    after, both at the end of the stroke with the arm down; add it once a sheet for the total.
    """
    record = geometry[0] if geometry.ndim else geometry
    end = 0.5 * float(record["stroke_m"])
    before, after = web_length(record, 1.0, end, 0.0), web_length(record, -1.0, end, 0.0)
    return float(before[0] - after[0])
