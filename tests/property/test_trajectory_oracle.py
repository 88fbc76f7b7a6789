"""Our moves take exactly as long as Ruckig's, over all classes of problems and scales of limits."""

from collections.abc import Iterator

import numpy as np
import pytest
import ruckig
from numba import njit

from bench.trajectory_check import breaks_limits, misses
from bench.trajectory_oracle import TOLERANCE_S, Comparison, compare, oracle_input
from bench.trajectory_problems import CLASSES, SCALES, random_problems
from motion.limits import LIMITS_DTYPE, Result
from motion.timed_move import next_arrival, plan_timed_move, synchronise
from motion.trajectory import STATE_DTYPE, TRAJECTORY_DTYPE
from motion.velocity_move import plan_velocity

CAMPAIGN = {"machine": 100_000, "wide": 100_000, "uneven": 50_000}
LONG = 8
MOVING = [(name, scale) for name in CLASSES[1:] for scale in SCALES]
BATCH = 3_000
AXES = 3


@njit(nogil=True, error_model="numpy")
def plan_later(trajectories, problems, factors, not_before_s, durations_s, codes):
    """The next arrival after a multiple of the shortest duration, and the move that makes it."""
    for i in range(len(problems)):
        start, target, limits = problems[i].start, problems[i].target, problems[i].limits
        not_before_s[i] = factors[i] * next_arrival(trajectories[i], start, target, limits, 0.0)[1]
        codes[i, 0], durations_s[i] = next_arrival(
            trajectories[i], start, target, limits, not_before_s[i]
        )
        codes[i, 1] = plan_timed_move(trajectories[i], start, target, limits, durations_s[i])


@njit(nogil=True, error_model="numpy")
def change_velocities(trajectory, problems, durations_s, codes):
    """`plan_velocity` to the target velocity of each problem."""
    for i in range(len(problems)):
        start, velocity = problems[i].start, problems[i].target.velocity
        codes[i] = plan_velocity(trajectory, start, velocity, problems[i].limits)
        durations_s[i] = trajectory.duration_s


def oracle(inputs: Iterator[ruckig.InputParameter], axes: int = 1) -> np.ndarray:
    """Durations by Ruckig in seconds, NaN where it finds none."""
    otg, trajectory, durations = ruckig.Ruckig(axes), ruckig.Trajectory(axes), []
    for given in inputs:
        try:
            otg.calculate(given, trajectory)
            durations.append(trajectory.duration)
        except (ruckig.RuckigError, ValueError):
            durations.append(np.nan)
    return np.array(durations)


def seed_of(request: pytest.FixtureRequest) -> int:
    return int(request.config.option.hypothesis_seed)


def is_sound(found: Comparison) -> bool:
    print(found)
    known = found.problems - found.oracle_silent
    enough = known > 0.95 * found.problems
    return found.failures == 0 and found.error_max_s < TOLERANCE_S and enough


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("name", CLASSES)
def test_durations_equal_the_oracle(name: str, scale: str, request: pytest.FixtureRequest) -> None:
    found = compare(random_problems(name, scale, CAMPAIGN[scale], seed_of(request)))
    assert is_sound(found), found


@pytest.mark.long
@pytest.mark.parametrize("part", range(LONG))
@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("name", CLASSES)
def test_durations_equal_the_oracle_a_million_times_a_class(
    name: str, scale: str, part: int, request: pytest.FixtureRequest
) -> None:
    seed = seed_of(request) + 1 + part
    found = compare(random_problems(name, scale, CAMPAIGN[scale], seed))
    assert is_sound(found), found


def test_the_comparison_sees_a_slow_and_a_wrong_move(monkeypatch: pytest.MonkeyPatch) -> None:
    """Half the acceleration given to us is slower; a shifted target is missed."""
    from bench import trajectory_oracle

    problems = random_problems("any_to_rest", "machine", 100, 1)
    plan = trajectory_oracle.plan_all

    def limp(trajectories, given, codes):
        weak = given.copy()
        weak["limits"]["jerk"] *= 0.5
        plan(trajectories, weak, codes)

    def stray(trajectories, given, codes):
        moved = given.copy()
        moved["target"]["position"] += 1e-9
        plan(trajectories, moved, codes)

    monkeypatch.setattr(trajectory_oracle, "plan_all", limp)
    monkeypatch.setattr(trajectory_oracle, "oracle_is_inexact", lambda problem: False)
    assert compare(problems).slower > 90
    monkeypatch.setattr(trajectory_oracle, "plan_all", stray)
    assert compare(problems).missed > 90


@pytest.mark.parametrize(("name", "scale"), MOVING)
def test_the_next_possible_arrival_equals_the_oracle(
    name: str, scale: str, request: pytest.FixtureRequest
) -> None:
    problems = random_problems(name, scale, BATCH, seed_of(request))
    factors = 1.0 + np.random.default_rng(seed_of(request)).exponential(1.0, BATCH)
    trajectories = np.zeros(BATCH, TRAJECTORY_DTYPE)
    not_before, durations = np.zeros(BATCH), np.zeros(BATCH)
    codes = np.zeros((BATCH, 2), np.int64)
    plan_later(trajectories, problems, factors, not_before, durations, codes)

    def inputs() -> Iterator[ruckig.InputParameter]:
        for problem, earliest in zip(problems, not_before):
            given = oracle_input(problem)
            given.minimum_duration = earliest
            yield given

    expected = oracle(inputs())
    known = np.isfinite(expected)
    tolerance = TOLERANCE_S * np.maximum(1.0, expected)
    planned = codes[:, 1] == Result.OK
    late = np.abs(trajectories["duration_s"] - durations) > 1e-12 * durations
    for wrong in (
        codes[:, 0] != Result.OK,
        known & (durations > expected + tolerance),
        ~planned & (durations < 1e3),
        planned & late,
        planned & misses(problems, trajectories),
        planned & breaks_limits(problems, trajectories),
    ):
        assert problems[wrong].tolist() == [], (factors[wrong], codes[wrong])


@pytest.mark.parametrize("scale", SCALES)
def test_changes_of_velocity_equal_the_oracle(scale: str, request: pytest.FixtureRequest) -> None:
    problems = random_problems("any_to_velocity", scale, BATCH, seed_of(request))
    # the oracle's bounds follow the distance, ours the velocity: let them agree
    forward = np.where(
        problems["start"]["velocity"] != 0,
        problems["start"]["velocity"],
        problems["target"]["velocity"],
    )
    problems["start"]["position"], problems["target"]["position"] = 0.0, np.sign(forward)
    durations, codes = np.zeros(BATCH), np.zeros(BATCH, np.int64)
    change_velocities(np.zeros(1, TRAJECTORY_DTYPE)[0], problems, durations, codes)

    def inputs() -> Iterator[ruckig.InputParameter]:
        for problem in problems:
            given = oracle_input(problem)
            given.control_interface = ruckig.ControlInterface.Velocity
            yield given

    expected = oracle(inputs())
    known = np.isfinite(expected)
    assert not codes.any()
    assert np.allclose(durations[known], expected[known], rtol=TOLERANCE_S, atol=TOLERANCE_S)


def test_axes_arriving_together_equal_the_oracle(request: pytest.FixtureRequest) -> None:
    axes = [
        random_problems("any_to_state", "machine", BATCH, seed_of(request) + axis)
        for axis in range(AXES)
    ]
    ours, inputs = [], []
    trajectories = np.zeros(AXES, TRAJECTORY_DTYPE)
    for problems in zip(*axes):
        starts = np.array([problem["start"] for problem in problems], STATE_DTYPE)
        targets = np.array([problem["target"] for problem in problems], STATE_DTYPE)
        limits = np.array([problem["limits"] for problem in problems], LIMITS_DTYPE)
        code, _ = synchronise(trajectories, starts, targets, limits)
        assert code == Result.OK
        assert len(set(trajectories["duration_s"])) == 1
        ours.append(trajectories["duration_s"][0])
        singles = [oracle_input(problem) for problem in problems]
        given = ruckig.InputParameter(AXES)
        for name in (
            "current_position", "current_velocity", "current_acceleration", "target_position",
            "target_velocity", "target_acceleration", "max_velocity", "max_acceleration",
            "min_acceleration", "max_jerk",
        ):  # fmt: skip
            setattr(given, name, [getattr(single, name)[0] for single in singles])
        inputs.append(given)
    expected = oracle(iter(inputs), AXES)
    known = np.isfinite(expected)
    assert known.mean() > 0.9
    assert not (np.array(ours) > expected * (1.0 + TOLERANCE_S) + TOLERANCE_S)[known].any()
