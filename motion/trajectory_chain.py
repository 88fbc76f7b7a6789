"""Shapes of a given duration: the ends of what can be reached at one instant, and all between.

Units as in the solver: the jerk limit is 1. The states reachable at an instant are a convex set;
for a given final velocity and acceleration its highest and lowest positions are those of the two
chains of shapes. What lies between is a blend of the two shapes: limits are kept, since they are
convex too.
"""

from math import sqrt

import numpy as np
from numba import njit

from motion.trajectory_solver import (
    BELOW,
    FOUND,
    chain,
    climb,
    distance_of,
    shape_duration,
    shape_from,
    shape_of_top,
)

EDGE = 1e-12


@njit(cache=True, nogil=True, error_model="numpy")
def extrema_lasting(c, virtual, a, b):
    """Peak and trough of the chain's shape of a duration between its zero accelerations.

    Both infinite if both limits are held.
    """
    width = 0.5 * virtual
    skew = c / width if width > 0.0 else 0.0
    peak, trough = 0.5 * (skew + width), 0.5 * (skew - width)
    if peak <= a and -trough <= b:
        return peak, trough
    held = a - sqrt(max(virtual * a - c, 0.0))
    if peak > a and held >= -b and held * held + c >= a * a:
        return a, held
    held = sqrt(max(virtual * b + c, 0.0)) - b
    if -trough > b and held <= a and held * held - c >= b * b:
        return held, -b
    return np.inf, -np.inf


@njit(cache=True, nogil=True, error_model="numpy")
def shape_lasting(u, e, first, last, duration, v, a, b):
    """The shape of the chain that lasts `duration`; BELOW if none does."""
    virtual = duration + first - last
    peak, trough = extrema_lasting(e - u, virtual, a, b)
    both = peak > a
    top_u, top_e = u + peak * peak, e + trough * trough
    top = max(top_u, top_e)
    if both:
        top = (virtual - a - b + u / a + e / b) / (1.0 / a + 1.0 / b)
    if trough < 0.0 < peak and top > v:
        shape = shape_from(u, e, v, first, last, a, b)
        cruise = duration - shape_duration(first, last, shape)
        return FOUND, shape[1], shape[2], shape[3], shape[4], cruise
    if both:
        return shape_of_top(u, e, top, 0.0, a, b)
    peak_hold = (top_e - top_u) / a if peak == a else 0.0
    trough_hold = (top_u - top_e) / b if trough == -b else 0.0
    shape = FOUND, peak, peak_hold, trough, trough_hold, 0.0
    edge = EDGE * (a + b + abs(first) + abs(last))
    least = min(peak - first, last - trough, peak_hold, trough_hold, peak - trough)
    if least < -edge or abs(shape_duration(first, last, shape) - duration) > edge + EDGE * duration:
        return BELOW, peak, peak_hold, trough, trough_hold, 0.0
    return shape


@njit(cache=True, nogil=True, error_model="numpy")
def reach(v0, a0, v1, a1, duration, v, a, b):
    """Lowest and highest distance that arrives at v1, a1 after `duration`, with their shapes.

    Lowest above highest if nothing arrives just then.
    """
    u, e, offset = chain(v0, a0, v1, a1, 0.0)
    up = shape_lasting(u, e, a0, a1, duration, v, a, b)
    highest = (distance_of(u, e, up) + up[5] * v) - offset
    u, e, offset = chain(-v0, -a0, -v1, -a1, 0.0)
    down = shape_lasting(u, e, -a0, -a1, duration, v, b, a)
    lowest = offset - (distance_of(u, e, down) + down[5] * v)
    if up[0] != FOUND or down[0] != FOUND:
        return np.inf, -np.inf, down, up
    return lowest, highest, down, up


@njit(cache=True, nogil=True, error_model="numpy")
def cut(u, e, first, last, duration, v, a, b):
    """Final acceleration to give to `climb` so that its chain starts at `duration`."""
    if duration + first - last <= 0.0:
        return first, last
    _, peak, peak_hold, trough, trough_hold, cruise = shape_lasting(
        u, e, first, last, duration, v, a, b
    )
    if trough_hold > 0.0 or cruise > 0.0:
        trough = -sqrt(max(trough * trough - trough * trough_hold, 0.0))
    if u <= e:
        return first, min(last, trough)
    if peak_hold > 0.0 or cruise > 0.0:
        peak = sqrt(max(peak * peak + peak * peak_hold, 0.0))
    return max(first, peak), last


@njit(cache=True, nogil=True, error_model="numpy")
def next_duration(v0, a0, v1, a1, distance, not_before, v, a, b):
    """The shortest duration >= not_before that arrives; inf if rounding hides it."""
    lowest, highest, _, _ = reach(v0, a0, v1, a1, not_before, v, a, b)
    edge = EDGE * (v + abs(v0)) * not_before
    if lowest - edge <= distance <= highest + edge:
        return not_before
    shortest = np.inf
    for index in range(2):
        sign = 1.0 - 2.0 * index
        top, bottom = (a, b) if index == 0 else (b, a)
        first, last = sign * a0, sign * a1
        u, e, span = chain(sign * v0, first, sign * v1, last, sign * distance)
        cut_first, cut_last = cut(u, e, first, last, not_before, v, top, bottom)
        shape = climb(u, e, cut_first, cut_last, span, v, top, bottom)
        duration = shape_duration(first, last, shape)
        if shape[0] == FOUND and duration >= not_before:
            shortest = min(shortest, duration)
    return shortest
