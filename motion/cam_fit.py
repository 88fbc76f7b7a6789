"""Quintic pieces through points: the derivatives left open follow from continuity."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

# powers of u on 0..1 from (p0, v0, a0, p1, v1, a1), by inverting the six end conditions
_HERMITE = np.array(
    [
        [1.0, 0.0, 0.0, 0.0, 0.0, 0.0],
        [0.0, 1.0, 0.0, 0.0, 0.0, 0.0],
        [0.0, 0.0, 0.5, 0.0, 0.0, 0.0],
        [-10.0, -6.0, -1.5, 10.0, -4.0, 0.5],
        [15.0, 8.0, 1.5, -15.0, 7.0, -1.0],
        [-6.0, -3.0, -0.5, 6.0, -3.0, 0.5],
    ]
)
_START = {3: 6.0 * _HERMITE[3], 4: 24.0 * _HERMITE[4]}
_END = {
    3: 6.0 * _HERMITE[3] + 24.0 * _HERMITE[4] + 60.0 * _HERMITE[5],
    4: 24.0 * _HERMITE[4] + 120.0 * _HERMITE[5],
}


def hermite(knots: Array, position: Array, velocity: Array, acceleration: Array) -> Array:
    """Quintic coefficients (n, 6) between knots (n+1,) with all three given at each: C2."""
    h = np.diff(knots)[:, None]
    states = np.stack([position, velocity, acceleration], axis=1)
    unit = np.hstack([states[:-1], states[1:]]) * np.hstack([h**0, h, h**2] * 2)
    return (unit @ _HERMITE.T) / h ** np.arange(6.0)


def fit_quintics(knots: Array, given: Sequence[Array], periodic: bool) -> Array:
    """Quintic coefficients (n, 6) through knots (n+1,) with position, velocity and acceleration
    given as far as `given` goes; the rest follows from continuity of the third derivative (and of
    the fourth), with the open derivatives zero at both ends, or periodic.
    """
    known = len(given)
    if known == 3:
        return hermite(knots, *given)
    matrix, right = _continuity_rows(knots, given, periodic)
    values = np.linalg.solve(matrix, right).reshape(knots.size, 3 - known)
    return hermite(knots, *given, *values.T)


def accelerations(
    knots: Array, position: Array, velocity: Array, ends: tuple[float, float]
) -> Array:
    """Accelerations (n+1,) that make the quintics C3, the first and the last being `ends`."""
    matrix, right = _continuity_rows(knots, [position, velocity], False)
    right[-2:] = ends
    return np.linalg.solve(matrix, right)


def _continuity_rows(knots: Array, given: Sequence[Array], periodic: bool) -> tuple[Array, Array]:
    """Linear system for the open derivatives: joints first, the ends' conditions last."""
    count, known = knots.size, len(given)
    unknown = 3 - known
    orders = (3, 4)[:unknown]
    joints = [(i, i + 1) for i in range(count - 2)] + ([(count - 2, 0)] if periodic else [])
    rows = []
    for order in orders:
        for left, right in joints:
            rows.append(_joint_row(knots, given, left, right, order))
    ends = np.zeros((2, unknown, count * unknown + 1))
    for k in range(unknown):
        ends[0, k, k] = 1.0
        ends[1, k, (count - 1) * unknown + k] = -1.0 if periodic else 1.0
    closing = ends.sum(axis=0) if periodic else ends.reshape(2 * unknown, -1)
    system = np.vstack([np.array(rows).reshape(-1, count * unknown + 1), closing])
    return system[:, :-1], -system[:, -1]


def _joint_row(knots: Array, given: Sequence[Array], left: int, right: int, order: int) -> Array:
    """One equation: derivative `order` at the end of segment `left` minus at the start of `right`;
    the last column is the part already known.
    """
    known = len(given)
    unknown = 3 - known
    row = np.zeros(knots.size * unknown + 1)
    h_scale = min(knots[left + 1] - knots[left], knots[right + 1] - knots[right]) ** order
    for segment, weights, sign in ((left, _END[order], 1.0), (right, _START[order], -1.0)):
        h = knots[segment + 1] - knots[segment]
        for k in range(6):
            knot, power = segment + k // 3, k % 3
            weight = sign * weights[k] * h**power / h**order * h_scale
            if power < known:
                row[-1] += weight * given[power][knot]
            else:
                row[knot * unknown + power - known] += weight
    return row
