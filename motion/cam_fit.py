"""Quintic pieces through points: the derivatives left open follow from continuity."""

from __future__ import annotations

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
# third and fourth derivative at the start and at the end, from the same six
_DERIVATIVE = {
    (3, 0): 6.0 * _HERMITE[3],
    (4, 0): 24.0 * _HERMITE[4],
    (3, 1): 6.0 * _HERMITE[3] + 24.0 * _HERMITE[4] + 60.0 * _HERMITE[5],
    (4, 1): 24.0 * _HERMITE[4] + 120.0 * _HERMITE[5],
}


def hermite(knots: Array, states: Array) -> Array:
    """Quintic coefficients (n, 6) between knots (n+1,) with position, velocity and acceleration
    (n+1, 3) given at each: C2.
    """
    h = np.diff(knots)[:, None]
    unit = np.hstack([states[:-1], states[1:]]) * np.hstack([h**0, h, h**2] * 2)
    return (unit @ _HERMITE.T) / h ** np.arange(6.0)


def complete(
    knots: Array,
    states: Array,
    orders: tuple[int, ...],
    periodic: bool = False,
    end_jerks: tuple[float, float] | None = None,
) -> Array:
    """States (n+1, 3) with the open ones, given as NaN, chosen so that the derivatives `orders`
    (3, 4) are continuous at the joints, and the third is `end_jerks` at the ends if given.

    There must be as many conditions as open values; a periodic curve closes with equal states.
    """
    rows, right = _joint_rows(knots, orders, periodic)
    if end_jerks is not None:
        rows += [_row(knots, 0, 3, 0), _row(knots, knots.size - 2, 3, 1)]
        right += list(end_jerks)
    matrix, known = np.array(rows), ~np.isnan(states).ravel()
    values = np.where(known, states.ravel(), 0.0)
    # rows of different orders differ by many powers of ten
    scale = np.abs(matrix).max(axis=1)
    open_part = matrix[:, ~known] / scale[:, None]
    values[~known] = np.linalg.solve(open_part, (np.array(right) - matrix @ values) / scale)
    return values.reshape(states.shape)


def _joint_rows(
    knots: Array, orders: tuple[int, ...], periodic: bool
) -> tuple[list[Array], list[float]]:
    last = knots.size - 1
    joints = [(i, i + 1) for i in range(last - 1)] + ([(last - 1, 0)] if periodic else [])
    rows = [
        _row(knots, left, order, 1) - _row(knots, right, order, 0)
        for order in orders
        for left, right in joints
    ]
    if periodic:
        for power in range(3 - len(orders), 3):
            closing = np.zeros((knots.size, 3))
            closing[0, power], closing[last, power] = 1.0, -1.0
            rows.append(closing.ravel())
    return rows, [0.0] * len(rows)


def _row(knots: Array, segment: int, order: int, at_end: int) -> Array:
    """Derivative `order` of a segment at its start or end, as weights of all states."""
    h = knots[segment + 1] - knots[segment]
    row = np.zeros((knots.size, 3))
    powers = h ** (np.arange(3.0) - order)
    row[segment : segment + 2] = _DERIVATIVE[order, at_end].reshape(2, 3) * powers
    return row.ravel()
