"""Durations of our moves beside those of Ruckig, and what a difference is made of."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import ruckig

from bench.trajectory_check import EXTENDED, breaks_limits, misses, plan_all
from motion.trajectory import TRAJECTORY_DTYPE

Array = np.ndarray[Any, Any]
TOLERANCE_S = 1e-9
CHUNK = 10_000
EXCESS_MAX = 1e-5


@dataclass
class Comparison:
    """Counts over all problems; durations agree to TOLERANCE_S, relative above 1 s.

    Where Ruckig fails in the problem's units it is asked again in natural ones; it is silent where
    it fails in both, and there our moves are only checked by themselves.
    """

    problems: int = 0
    refused: int = 0
    missed: int = 0
    limits_broken: int = 0
    slower: int = 0
    error_max_s: float = 0.0
    oracle_failed: int = 0
    oracle_silent: int = 0
    oracle_slower: int = 0
    oracle_inexact: int = 0

    @property
    def failures(self) -> int:
        """Problems we did not solve, solved wrongly, or solved more slowly than is possible."""
        return self.refused + self.missed + self.limits_broken + self.slower


def oracle_input(problem: Array) -> ruckig.InputParameter:
    """The problem of a PROBLEM_DTYPE record in Ruckig's terms; directional like our limits."""
    given = ruckig.InputParameter(1)
    start, target, limits = problem["start"], problem["target"], problem["limits"]
    given.current_position = [start["position"]]
    given.current_velocity = [start["velocity"]]
    given.current_acceleration = [start["acceleration"]]
    given.target_position = [target["position"]]
    given.target_velocity = [target["velocity"]]
    given.target_acceleration = [target["acceleration"]]
    forward = target["position"] >= start["position"]
    ends = (limits["acceleration"], limits["deceleration"])
    most, least = ends if forward else ends[::-1]
    given.max_velocity = [limits["velocity"]]
    given.max_acceleration = [most]
    given.min_acceleration = [-least]
    given.max_jerk = [limits["jerk"]]
    return given


def oracle_durations(problems: Array) -> Array:
    """Durations by Ruckig in seconds, NaN where it finds no solution."""
    otg, trajectory = ruckig.Ruckig(1), ruckig.Trajectory(1)
    durations = np.full(len(problems), np.nan)
    for i, problem in enumerate(problems):
        try:
            otg.calculate(oracle_input(problem), trajectory)
            durations[i] = trajectory.duration
        except ruckig.RuckigError:
            pass
    return durations


def in_natural_units(problems: Array) -> tuple[Array, Array]:
    """The problems in units where acceleration and jerk limit are 1, and their unit of time."""
    limits = problems["limits"]
    time_s = limits["acceleration"] / limits["jerk"]
    rate = limits["acceleration"].copy()
    natural = problems.copy()
    for end in ("start", "target"):
        moved = problems[end]["position"] - problems["start"]["position"]
        natural[end]["position"] = moved / (rate * time_s * time_s)
        natural[end]["velocity"] /= rate * time_s
        natural[end]["acceleration"] /= rate
    natural["limits"]["velocity"] /= rate * time_s
    natural["limits"]["acceleration"] = natural["limits"]["jerk"] = 1.0
    natural["limits"]["deceleration"] /= rate
    return natural, time_s


def compare(problems: Array) -> Comparison:
    """Solve all problems both ways, check ours by themselves, then the durations."""
    result = Comparison(problems=len(problems))
    for begin in range(0, len(problems), CHUNK):
        _compare_chunk(problems[begin : begin + CHUNK], result)
    return result


def _compare_chunk(problems: Array, result: Comparison) -> None:
    trajectories = np.zeros(len(problems), TRAJECTORY_DTYPE)
    codes = np.zeros(len(problems), np.int64)
    plan_all(trajectories, problems, codes)
    solved = codes == 0
    result.refused += int((~solved).sum())
    result.missed += int((misses(problems, trajectories) & solved).sum())
    result.limits_broken += int((breaks_limits(problems, trajectories) & solved).sum())
    ours, oracle = trajectories["duration_s"], oracle_durations(problems)
    failed = np.isnan(oracle)
    natural, time_s = in_natural_units(problems[failed])
    oracle[failed] = oracle_durations(natural) * time_s
    known = solved & np.isfinite(oracle)
    result.oracle_failed += int(failed.sum())
    result.oracle_silent += int(np.isnan(oracle).sum())
    tolerance = TOLERANCE_S * np.maximum(1.0, oracle)
    equal = known & (np.abs(ours - oracle) <= tolerance)
    if equal.any():
        errors = np.abs(ours - oracle) / np.maximum(1.0, oracle)
        result.error_max_s = max(result.error_max_s, float(errors[equal].max()))
    result.oracle_slower += int((known & (ours < oracle - tolerance)).sum())
    for i in np.flatnonzero(known & (ours > oracle + tolerance)):
        if not failed[i] and oracle_is_inexact(problems[i]):
            result.oracle_inexact += 1
        else:
            result.slower += 1


def oracle_is_inexact(problem: Array) -> bool:
    """True if what Ruckig truly does after its brake takes us no longer.

    That is the way to its true end, from the state its brake truly leaves, under the limits it
    truly uses: then its shorter duration is its tolerance, not a better move.
    """
    trajectory = ruckig.Trajectory(1)
    ruckig.Ruckig(1).calculate(oracle_input(problem), trajectory)
    profile = trajectory.profiles[0][0]
    used = np.array([problem])
    state = (0.0, float(problem["start"]["velocity"]), float(problem["start"]["acceleration"]))
    braked = list(_states(state, profile.brake.t, profile.brake.j))[-1]
    course = list(_states((0.0, *braked[1:]), profile.t, profile.j))
    used["start"][0] = (0.0, *(float(x) for x in braked[1:]))
    used["target"][0] = tuple(float(x) for x in course[-1])
    for index, name in ((1, "velocity"), (2, "acceleration"), (2, "deceleration")):
        limit, reached = used["limits"][name][0], float(max(abs(s[index]) for s in course))
        if limit < reached <= limit * (1.0 + EXCESS_MAX):
            used["limits"][name] = reached
    trajectories, codes = np.zeros(1, TRAJECTORY_DTYPE), np.zeros(1, np.int64)
    plan_all(trajectories, used, codes)
    bound = trajectory.duration - profile.brake.duration
    bound += TOLERANCE_S * max(1.0, trajectory.duration)
    return bool(codes[0] == 0 and trajectories["duration_s"][0] <= bound)


def _states(state: tuple[Any, ...], durations: Any, jerks: Any) -> Iterator[tuple[Any, ...]]:
    """A state and those at the ends of its phases, in extended precision."""
    p, v, a = (EXTENDED(x) for x in state)
    yield p, v, a
    for duration, jerk in zip(durations, jerks):
        t, j = EXTENDED(duration), EXTENDED(jerk)
        p += t * (v + t * (a / 2 + t * j / 6))
        v += t * (a + t * j / 2)
        a += t * j
        yield p, v, a
