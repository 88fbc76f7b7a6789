"""Times of our solves and of Ruckig's on the same random problems, and their durations compared."""

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import ruckig
from numba import njit

from bench.motion_parts import optimised_move, setpoints_12_axes_us
from bench.trajectory_check import plan_all
from bench.trajectory_oracle import Comparison, compare, oracle_input
from bench.trajectory_problems import CLASSES, SCALES, random_problems
from motion.rest_to_rest import plan_rest_to_rest
from motion.trajectory import TRAJECTORY_DTYPE

Array = np.ndarray[Any, Any]
SEED = 1
TIMED = 4_000
COMPARED = 40_000
REPEATS = 150


@njit(cache=True, nogil=True, error_model="numpy")
def plan_rests(trajectories, problems, codes):
    """`plan_rest_to_rest` for each PROBLEM_DTYPE record."""
    for i in range(len(problems)):
        problem = problems[i]
        codes[i] = plan_rest_to_rest(
            trajectories[0], problem.start.position, problem.target.position, problem.limits
        )


def best_us(run: Callable[[], object], solves: int) -> float:
    """Microseconds a solve, the best of REPEATS runs after a first one."""
    run()
    best = np.inf
    for _ in range(REPEATS):
        begin = time.perf_counter()
        run()
        best = min(best, time.perf_counter() - begin)
    return best / solves * 1e6


def ours_us(name: str) -> float:
    """Microseconds of one of our solves of a class."""
    problems = random_problems(name, "machine", TIMED, SEED)
    trajectory, codes = np.zeros(1, TRAJECTORY_DTYPE), np.zeros(TIMED, np.int64)
    plan = plan_rests if name == "rest_to_rest" else plan_all
    return best_us(lambda: plan(trajectory, problems, codes), TIMED)


def ruckig_us(name: str) -> float:
    """Microseconds of one of Ruckig's, the same problems."""
    problems = random_problems(name, "machine", TIMED, SEED)
    inputs = [oracle_input(problem) for problem in problems]
    otg, trajectory = ruckig.Ruckig(1), ruckig.Trajectory(1)

    def run() -> None:
        for given in inputs:
            otg.calculate(given, trajectory)

    return best_us(run, TIMED)


def compare_class(name: str) -> Comparison:
    """Durations of a class over all scales of limits."""
    return compare(
        np.concatenate([random_problems(name, scale, COMPARED, SEED) for scale in SCALES])
    )


def measure_class(name: str) -> dict[str, float]:
    """Both times of a class, and the comparison of durations."""
    found = compare_class(name)
    return {
        "ours_us": ours_us(name),
        "ruckig_us": ruckig_us(name),
        "problems": found.problems,
        "failures": found.failures,
        "duration_error_max_s": found.error_max_s,
        "ruckig_failures": found.oracle_failed,
        "ruckig_silent": found.oracle_silent,
        "ruckig_slower": found.oracle_slower,
        "ruckig_inexact": found.oracle_inexact,
    }


def measure() -> dict[str, Any]:
    """Everything, in the order of printing."""
    return {
        "classes": {name: measure_class(name) for name in CLASSES},
        "setpoints_12_axes_us": setpoints_12_axes_us(),
        "optimised_move": optimised_move(),
    }
