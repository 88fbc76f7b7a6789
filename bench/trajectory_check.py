"""Trajectories checked without the code that made them: phase by phase, in extended precision."""

from typing import Any

import numpy as np
from numba import njit

from motion.move import plan_move

Array = np.ndarray[Any, Any]
EXTENDED = np.longdouble
ROUNDING = 1e-12
CLOCK = 3e-15


@njit(cache=True, nogil=True, error_model="numpy")
def plan_all(trajectories, problems, codes):
    """`plan_move` for each PROBLEM_DTYPE record; trajectories may be one record for all."""
    last = len(trajectories) - 1
    for i in range(len(problems)):
        problem = problems[i]
        codes[i] = plan_move(
            trajectories[min(i, last)], problem.start, problem.target, problem.limits
        )


def _phases(trajectories: Array) -> tuple[Array, Array]:
    """Phases with their durations; rows beyond the count last no time."""
    phases = trajectories["phases"]
    rows = np.arange(phases.shape[1] - 1)
    durations = np.diff(phases["start_s"].astype(EXTENDED), axis=1)
    return phases, np.where(rows < trajectories["count"][:, None], durations, 0)


def _scales(problems: Array, trajectories: Array) -> tuple[Array, Array, Array]:
    """What rounding is a share of: the largest position, velocity and acceleration met, and what
    the last bits of a long trajectory's clock are worth."""
    start, limits = problems["start"], problems["limits"]
    clock = CLOCK / ROUNDING * trajectories["duration_s"]
    acceleration = np.maximum(limits["acceleration"], limits["deceleration"])
    acceleration = acceleration + np.abs(start["acceleration"]) + clock * limits["jerk"]
    shed = 0.5 * start["acceleration"] ** 2 / limits["jerk"]
    velocity = limits["velocity"] + np.abs(start["velocity"]) + shed
    velocity = velocity + clock * acceleration
    position = np.abs(start["position"]) + np.abs(problems["target"]["position"])
    slowest = np.minimum(limits["acceleration"], limits["deceleration"])
    natural = acceleration / limits["jerk"] + limits["velocity"] / slowest
    return position + velocity * (trajectories["duration_s"] + natural), velocity, acceleration


def misses(problems: Array, trajectories: Array) -> Array:
    """True where a phase does not lead to the next, or the last not to the target."""
    phases, t = _phases(trajectories)
    start, jerk = phases[:, :-1], phases["jerk"][:, :-1].astype(EXTENDED)
    a0, v0, p0 = (start[name].astype(EXTENDED) for name in ("acceleration", "velocity", "position"))
    ends = (
        p0 + t * (v0 + t * (a0 / 2 + t * jerk / 6)),
        v0 + t * (a0 + t * jerk / 2),
        a0 + t * jerk,
    )
    wrong = np.zeros(len(problems), dtype=bool)
    last = trajectories["count"]
    every = np.arange(len(problems))
    fields = ("position", "velocity", "acceleration")
    for name, end, scale in zip(fields, ends, _scales(problems, trajectories)):
        joint = np.abs(end - phases[name][:, 1:]) > ROUNDING * scale[:, None]
        wrong |= (joint & (t > 0)).any(axis=1)
        wrong |= np.abs(phases[name][every, last] - problems["target"][name]) > ROUNDING * scale
        wrong |= np.abs(phases[name][every, 0] - problems["start"][name]) > ROUNDING * scale
    return wrong


def breaks_limits(problems: Array, trajectories: Array) -> Array:
    """True where a limit that was held once, or could have been, is broken later.

    A velocity counts as held if it is within its limit and so is the one at which the acceleration
    would be gone; every extremum after that is checked. The jerk is checked throughout.
    """
    phases, t = _phases(trajectories)
    limits, scales = problems["limits"], _scales(problems, trajectories)
    forward = problems["target"]["position"] >= problems["start"]["position"]
    most = np.where(forward, limits["acceleration"], limits["deceleration"])
    least = -np.where(forward, limits["deceleration"], limits["acceleration"])
    v_grain, a_grain = ROUNDING * scales[1], ROUNDING * scales[2]
    top = limits["velocity"] + v_grain
    broken = (np.abs(phases["jerk"]) > limits["jerk"][:, None] * (1 + ROUNDING)).any(axis=1)
    held_v, held_a = np.zeros_like(broken), np.zeros_like(broken)
    for k in range(phases.shape[1]):
        v, a = phases["velocity"][:, k], phases["acceleration"][:, k]
        used = k <= trajectories["count"]
        jerk = phases["jerk"][:, k]
        within_a = (least - a_grain <= a) & (a <= most + a_grain)
        within_v = np.abs(v) <= top
        turns = (k < trajectories["count"]) & (a * jerk < 0)
        extremum = v - 0.5 * a * a / np.where(jerk == 0, 1, jerk)
        length = t[:, k] if k < t.shape[1] else np.zeros(len(problems))
        inside = turns & (-a / np.where(jerk == 0, 1, jerk) < length)
        broken |= used & ((held_v & ~within_v) | (held_a & ~within_a))
        broken |= held_v & inside & (np.abs(extremum) > top)
        gone = v + 0.5 * a * np.abs(a) / limits["jerk"]
        held_v |= used & within_v & (np.abs(gone) <= limits["velocity"])
        held_a |= used & within_a
    return broken
