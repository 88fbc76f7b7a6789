"""Moves of one or two ramps, which a state read off a running move hits only but for rounding.

A move being replanned in its last ramps has its target exactly at the edge of what it can still
reach. One bit beyond, and the exact answer may be a long detour. So a move of at most two ramps
that ends within rounding of the target is preferred to one that takes longer than rounding can
explain. Units as in the solver: the jerk limit is 1.
"""

from math import sqrt

import numpy as np
from numba import njit

from motion.trajectory_roots import cube_root
from motion.trajectory_solver import (
    FOUND,
    chain,
    climb_island,
    fastest,
    leg,
    shape_duration,
)

POSITION_GRAIN = 2e-15
TRAVEL_GRAIN = 1e-14
VELOCITY_GRAIN = 1e-14
EXPLAINED = 3.0
NOWHERE = (FOUND, np.inf, 0.0, 0.0, 0.0, 0.0)


@njit(cache=True, nogil=True, error_model="numpy")
def two_ramps(u, e, first, last, span, a, grain, velocity_grain):
    """The shape of a rising and at most one falling ramp, if it ends within rounding.

    Time spent longer or shorter at the peak moves the end by the velocity there: it is allowed as
    far as it changes the final velocity by no more than rounding.
    """
    if abs(e - u) <= velocity_grain and abs(span) <= grain and last >= first:
        return FOUND, last, 0.0, last, 0.0, 0.0
    top = e + last * last
    rise = top - u
    if rise < 0.0:
        return NOWHERE
    peak, fall, highest = sqrt(rise), (2.0 * e + last * last) * last, max(first, last)
    if rise > a * a:
        shift = stay(leg(u, top, a) - fall - span, top, a, grain, velocity_grain)
        hold = rise / a - a + shift
        return (FOUND, a, hold, last, 0.0, 0.0) if 0.0 <= hold < np.inf else NOWHERE
    excess = (u + top) * peak
    raised = peak + 0.5 * stay(excess - fall - span, top, peak, grain, velocity_grain)
    if highest <= min(peak, raised) and raised < np.inf:
        return FOUND, raised, 0.0, last, 0.0, 0.0
    raised = 0.5 * stay(-excess - fall - span, top, peak, grain, velocity_grain) - peak
    if highest <= min(-peak, raised) and raised < np.inf:
        return FOUND, raised, 0.0, last, 0.0, 0.0
    return NOWHERE


@njit(cache=True, nogil=True, error_model="numpy")
def stay(excess, velocity, peak, grain, velocity_grain):
    """How much longer to stay at the peak to lose an excess of distance; inf if too long."""
    if abs(excess) <= grain:
        return 0.0
    shift = -excess / velocity
    if (peak + 0.25 * abs(shift)) * abs(shift) <= velocity_grain:
        return shift
    return np.inf


@njit(cache=True, nogil=True, error_model="numpy")
def grains(v0, a0, a1, v, a, b, reach):
    """Rounding of a distance and of a velocity; `reach` is the largest position met."""
    speed = v + abs(v0) + a0 * a0
    travel = speed * (abs(a0) + abs(a1) + a + b + speed / min(a, b))
    return POSITION_GRAIN * reach + TRAVEL_GRAIN * travel, VELOCITY_GRAIN * speed


@njit(cache=True, nogil=True, error_model="numpy")
def fastest_but_rounding(v0, a0, v1, a1, distance, v, a, b, reach):
    """`fastest`, or a shorter move that misses the target by no more than rounding."""
    sign, shape = fastest(v0, a0, v1, a1, distance, v, a, b)
    exact = shape_duration(sign * a0, sign * a1, shape)
    grain, velocity_grain = grains(v0, a0, a1, v, a, b, reach)
    u, e, span = chain(v0, a0, v1, a1, distance)
    up = two_ramps(u, e, a0, a1, span, a, grain, velocity_grain)
    u, e, span = chain(-v0, -a0, -v1, -a1, -distance)
    down = two_ramps(u, e, -a0, -a1, span, b, grain, velocity_grain)
    up_duration, down_duration = shape_duration(a0, a1, up), shape_duration(-a0, -a1, down)
    simple = min(up_duration, down_duration)
    explained = EXPLAINED * (cube_root(4.0 * grain) + sqrt(velocity_grain))
    if simple == np.inf or (shape[0] == FOUND and exact - simple <= explained):
        return sign, shape
    if up_duration <= down_duration:
        return 1.0, up
    return -1.0, down


@njit(cache=True, nogil=True, error_model="numpy")
def without_crossing(v0, a0, v1, a1, distance, v, a, b, reach):
    """The fastest move whose acceleration keeps its sign; its duration is infinite if none does.

    For a start within its limits whose velocity would leave them before the acceleration is gone.
    """
    grain, velocity_grain = grains(v0, a0, a1, v, a, b, reach)
    best_sign, best, shortest = 1.0, NOWHERE, np.inf
    for index in range(2):
        sign = 1.0 - 2.0 * index
        top, bottom = (a, b) if index == 0 else (b, a)
        first, last = sign * a0, sign * a1
        u, e, span = chain(sign * v0, first, sign * v1, last, sign * distance)
        island = climb_island(u, e, first, last, span, top, bottom)
        if island[0] == FOUND and shape_duration(first, last, island) < shortest:
            best_sign, best, shortest = sign, island, shape_duration(first, last, island)
        simple = two_ramps(u, e, first, last, span, top, grain, velocity_grain)
        keeps_sign = max(simple[1], first) <= 0.0 or min(simple[3], first) >= 0.0
        if keeps_sign and shape_duration(first, last, simple) < shortest:
            best_sign, best, shortest = sign, simple, shape_duration(first, last, simple)
    return best_sign, best
