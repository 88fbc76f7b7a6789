"""Single moves whose course is known: ties, tiny moves, brakes, stops, deadlines, refusals."""

import numpy as np
import pytest

from bench.trajectory_check import breaks_limits, misses
from bench.trajectory_problems import PROBLEM_DTYPE, random_problems
from motion.limits import REMEDIES, MotionError, MotionLimits, Result
from motion.move import plan_move, retarget
from motion.plan import move, sample, stop, timed_move
from motion.rest_to_rest import plan_rest_to_rest
from motion.timed_move import next_arrival, synchronise
from motion.trajectory import (
    PHASES_MAX,
    STATE_DTYPE,
    TRAJECTORY_DTYPE,
    evaluate,
    motion_state,
    new_trajectory,
)
from motion.trajectory_roots import cube_root, quartic_root
from motion.velocity_move import plan_velocity

TABLE = MotionLimits.symmetric(2.0, 25.0, 3000.0)
BITS = ["0x1.24614bc3d8d8dp-3", "0x1.bd0bd5039dc59p-4", "0x1.04146d02750cbp-5"]
NAN, INFINITE = float("nan"), float("inf")


def phases_of(trajectory):
    return trajectory["phases"][: int(trajectory["count"]) + 1]


def is_sound(trajectory, start, target, limits) -> bool:
    problem = np.zeros(1, PROBLEM_DTYPE)
    problem[0] = (start, target, limits.record())
    trajectories = np.array([trajectory])
    return not misses(problem, trajectories)[0] and not breaks_limits(problem, trajectories)[0]


@pytest.mark.parametrize(
    ("velocity", "distance", "limits", "duration_s"),
    [
        (0.25, -0.5, MotionLimits.symmetric(4.0, 2.0, 4.0), 2.0),
        (-0.5, -1.5, MotionLimits.symmetric(4.0, 1.0, 2.0), 2.0),
        (0.7, 0.0, MotionLimits.symmetric(4.0, 1.0, 2.0), 0.0),
    ],
)
def test_ties_between_shapes(velocity, distance, limits, duration_s) -> None:
    start, target = motion_state(0.0, velocity), motion_state(distance, velocity)
    trajectory = move(start, target, limits)
    assert trajectory["duration_s"] == pytest.approx(duration_s, abs=1e-12)
    assert is_sound(trajectory, start, target, limits)


@pytest.mark.parametrize("limits", [TABLE, MotionLimits(2.0, 25.0, 10.0, 3000.0)])
def test_start_equal_to_target_takes_no_time(limits) -> None:
    for state in (motion_state(0.3), motion_state(0.3, -1.0), motion_state(0.3, 1.0, 5.0)):
        assert move(state, state, limits)["duration_s"] == 0.0


def test_table_move_in_closed_form() -> None:
    """Jerk, acceleration and velocity limits all touched: d/v + v/a + a/j."""
    trajectory = move(motion_state(-0.1), motion_state(0.1), TABLE)
    assert trajectory["duration_s"] == pytest.approx(0.2 / 2.0 + 2.0 / 25.0 + 25.0 / 3000.0 + 0.0)
    assert trajectory["count"] == 7
    assert phases_of(trajectory)["jerk"].tolist() == [
        3000.0, 0.0, -3000.0, 0.0, -3000.0, 0.0, 3000.0, 0.0,
    ]  # fmt: skip


def test_short_move_touches_nothing_but_the_jerk() -> None:
    trajectory = move(motion_state(0.0), motion_state(2e-6), TABLE)
    assert trajectory["duration_s"] == pytest.approx(4.0 * np.cbrt(1e-6 / 3000.0), rel=1e-12)
    assert trajectory["count"] == 4


@pytest.mark.parametrize("exponent", range(-15, 3))
def test_tiny_and_long_moves_scale_without_a_gap(exponent) -> None:
    distance = 10.0**exponent
    start, target = motion_state(0.0), motion_state(-distance)
    trajectory = move(start, target, TABLE)
    assert trajectory["duration_s"] > 0.0
    assert is_sound(trajectory, start, target, TABLE)
    assert sample(trajectory, np.array([1e9]))[0].tolist() == [-distance, 0.0, 0.0, 0.0]


def test_closed_form_equals_the_general_solution() -> None:
    """A start velocity of no account sends the same move through the general solver."""
    nudge = 1e-300
    for problem in random_problems("rest_to_rest", "machine", 300, 5):
        limits = problem["limits"]
        closed, general = new_trajectory(), new_trajectory()
        position, target = problem["start"]["position"], problem["target"]["position"]
        assert plan_rest_to_rest(closed, position, target, limits) == Result.OK
        start = motion_state(position, nudge)
        assert plan_move(general, start, problem["target"], limits) == Result.OK
        assert general["duration_s"] == pytest.approx(closed["duration_s"], rel=1e-12)


def test_deceleration_of_its_own() -> None:
    """Accelerating with 20 and braking with 10 takes v/2 (1/20 + 1/10) more than no ramps."""
    limits = MotionLimits(1.0, 20.0, 10.0, 1e9)
    for sign in (1.0, -1.0):
        trajectory = move(motion_state(0.0), motion_state(sign * 1.0), limits)
        expected = 1.0 + 0.5 * (1.0 / 20.0 + 1.0 / 10.0)
        assert trajectory["duration_s"] == pytest.approx(expected, rel=1e-6)
        rates = np.abs(phases_of(trajectory)["acceleration"])
        assert {round(rate, 6) for rate in rates} == {0.0, 10.0, 20.0}


@pytest.mark.parametrize(
    ("velocity", "acceleration"),
    [(3.0, 0.0), (-3.0, 0.0), (0.0, 40.0), (1.99, 20.0), (0.0, -300.0), (5.0, 30.0)],
)
def test_a_start_outside_the_limits_is_brought_back_first(velocity, acceleration) -> None:
    start, target = motion_state(0.0, velocity, acceleration), motion_state(0.5)
    trajectory = move(start, target, TABLE)
    assert abs(phases_of(trajectory)["jerk"][0]) == 3000.0
    assert is_sound(trajectory, start, target, TABLE)


def test_a_velocity_reached_with_acceleration_left_is_approached_without_a_detour() -> None:
    """Between two states of rising velocity just below the limit a brake would be a detour."""
    start = motion_state(0.0, 1.90, 25.0)
    target = motion_state(0.0, 1.99, 25.0)
    target["position"] = (start["velocity"] + target["velocity"]) / 2.0 * (0.09 / 25.0)
    trajectory = move(start, target, TABLE)
    assert trajectory["duration_s"] == pytest.approx(0.09 / 25.0)
    assert is_sound(trajectory, start, target, TABLE)


def test_stop_from_the_middle_of_a_move() -> None:
    trajectory = move(motion_state(0.0), motion_state(0.2), TABLE)
    position, velocity, acceleration, _ = evaluate(trajectory, 0.04)
    halt = stop(motion_state(position, velocity, acceleration), TABLE)
    end = phases_of(halt)[-1]
    assert (end["velocity"], end["acceleration"]) == (0.0, 0.0)
    assert position < end["position"] < 0.2
    assert halt["duration_s"] < trajectory["duration_s"] - 0.04


def test_stop_brakes_with_the_deceleration_whichever_way_it_goes() -> None:
    limits = MotionLimits(2.0, 25.0, 5.0, 1e9)
    for sign in (1.0, -1.0):
        halt = stop(motion_state(0.0, sign * 1.0), limits)
        assert halt["duration_s"] == pytest.approx(0.2, rel=1e-6)
        assert phases_of(halt)[-1]["position"] == pytest.approx(sign * 0.1, rel=1e-6)


def test_change_of_velocity() -> None:
    trajectory = new_trajectory()
    code = plan_velocity(trajectory, motion_state(0.0, 1.0), -0.5, TABLE.record())
    assert code == Result.OK
    end = phases_of(trajectory)[-1]
    assert (end["velocity"], end["acceleration"]) == (-0.5, 0.0)
    assert trajectory["duration_s"] == pytest.approx(1.5 / 25.0 + 25.0 / 3000.0)


def test_a_timed_rest_to_rest_move_is_the_fastest_one_scaled_down() -> None:
    fastest = move(motion_state(0.0), motion_state(0.2), TABLE)
    slow = timed_move(motion_state(0.0), motion_state(0.2), TABLE, 0.5)
    assert slow["duration_s"] == 0.5
    assert np.abs(phases_of(slow)["jerk"]).max() < 0.5 * np.abs(phases_of(fastest)["jerk"]).max()
    assert is_sound(slow, motion_state(0.0), motion_state(0.2), TABLE)


def test_a_deadline_is_answered() -> None:
    start, target = motion_state(0.0, 1.0), motion_state(0.02, 1.0)
    with pytest.raises(MotionError, match=r"duration_s = 0\.001: the fastest move takes 0\.0"):
        timed_move(start, target, TABLE, 0.001)
    with pytest.raises(MotionError, match=r"duration_s = nan: .*correct it"):
        timed_move(start, target, TABLE, NAN)
    # standing still is out of the question: it must come back for a second pass
    with pytest.raises(MotionError, match=r"duration_s = 0\.07: .*out of reach just then"):
        timed_move(start, target, TABLE, 0.07)
    code, later_s = next_arrival(new_trajectory(), start, target, TABLE.record(), 0.07)
    assert code == Result.OK
    assert 0.07 < later_s < 0.5
    assert timed_move(start, target, TABLE, later_s)["duration_s"] == pytest.approx(later_s)


def test_axes_arrive_together() -> None:
    limits = np.array([MotionLimits.symmetric(v, 10.0, 500.0).record() for v in (1.0, 0.5, 0.2)])
    starts = np.array([motion_state(0.0), motion_state(0.1, 0.1), motion_state(0.0)], STATE_DTYPE)
    targets = np.array([motion_state(x) for x in (0.01, -0.3, 0.002)], STATE_DTYPE)
    trajectories = np.zeros(3, TRAJECTORY_DTYPE)
    assert synchronise(trajectories, starts, targets, limits) == (Result.OK, 0)
    assert len(set(trajectories["duration_s"])) == 1
    slowest = move(starts[1], targets[1], MotionLimits.symmetric(0.5, 10.0, 500.0))
    assert trajectories["duration_s"][0] == slowest["duration_s"]
    starts["velocity"][2] = NAN
    assert synchronise(trajectories, starts, targets, limits) == (Result.START_NOT_FINITE, 2)


def test_retargeting_is_smooth_and_harmless_when_refused() -> None:
    trajectory = move(motion_state(0.0), motion_state(0.2), TABLE)
    before = trajectory.tobytes()
    nowhere = motion_state(INFINITE)
    assert retarget(trajectory, 0.05, nowhere, TABLE.record()) == Result.TARGET_NOT_FINITE
    scratch = TRAJECTORY_DTYPE.itemsize // (PHASES_MAX + 1)
    assert trajectory.tobytes()[:-scratch] == before[:-scratch]
    expected = evaluate(trajectory, 0.05)[:3]
    assert retarget(trajectory, 0.05, motion_state(-0.1), TABLE.record()) == Result.OK
    assert evaluate(trajectory, 0.0)[:3] == expected
    assert evaluate(trajectory, 10.0) == (-0.1, 0.0, 0.0, 0.0)


def test_evaluation_before_the_start_and_after_the_end() -> None:
    trajectory = move(motion_state(0.0), motion_state(0.1, 1.0, 5.0), TABLE)
    assert evaluate(trajectory, -1.0)[:3] == (0.0, 0.0, 0.0)
    position, velocity, acceleration, jerk = evaluate(trajectory, trajectory["duration_s"] + 0.01)
    assert (position, velocity) == (pytest.approx(0.1 + 0.01 + 2.5e-4), pytest.approx(1.05))
    assert (acceleration, jerk) == (5.0, 0.0)


@pytest.mark.parametrize("name", ["velocity", "acceleration", "deceleration", "jerk"])
@pytest.mark.parametrize("value", [0.0, -1.0, NAN, INFINITE])
def test_bad_limits_are_refused_by_name_and_value(name, value) -> None:
    values = {"velocity": 1.0, "acceleration": 1.0, "deceleration": 1.0, "jerk": 1.0, name: value}
    with pytest.raises(MotionError, match=rf"limits\.{name} = {value}: must be finite and above 0"):
        MotionLimits(**values)
    record = TABLE.record()
    record[name] = value
    for plan in (plan_move, plan_rest_to_rest, plan_velocity):
        ends = (motion_state(0.0), motion_state(1.0)) if plan is plan_move else (0.0, 1.0)
        ends = (motion_state(0.0), 1.0) if plan is plan_velocity else ends
        assert plan(new_trajectory(), *ends, record) == Result.LIMITS_INVALID


@pytest.mark.parametrize(
    ("start", "target", "message"),
    [
        ((NAN, 0.0, 0.0), (0.0, 0.0, 0.0), r"start = \(nan, 0\.0, 0\.0\): must be finite"),
        ((0.0, 0.0, 0.0), (0.0, INFINITE, 0.0), r"target = \(0\.0, inf, 0\.0\): must be finite"),
        ((0.0, 0.0, 0.0), (0.0, -2.5, 0.0), r"target\.velocity = -2\.5: beyond .*velocity 2\.0"),
        ((0.0, 0.0, 0.0), (1.0, 0.0, 26.0), r"target\.acceleration = 26\.0: outside -25.* 25"),
        ((0.0, 0.0, 0.0), (1.0, -2.0, 9.0), r"target\.velocity = -2\.0 with .*just before"),
    ],
)
def test_bad_states_are_refused_by_name_value_and_limit(start, target, message) -> None:
    with pytest.raises(MotionError, match=message):
        move(motion_state(*start), motion_state(*target), TABLE)


def test_every_result_has_a_remedy() -> None:
    assert set(REMEDIES) == set(Result)


def test_roots() -> None:
    for value in 10.0 ** np.linspace(-250.0, 250.0, 999):
        assert cube_root(value) == pytest.approx(np.cbrt(value), rel=5e-16)
    assert cube_root(0.0) == 0.0
    # (x - 1)(x + 2)(x² + 1): one change of sign in the bracket
    for high in (1.0, 1.5, 1e3, 1e9):
        assert quartic_root(1.0, -1.0, 1.0, -2.0, 0.0, high) == pytest.approx(1.0, rel=1e-15)


def test_bits_are_pinned() -> None:
    """A recorded plan replays on another machine only if these never change."""
    ends = [
        (motion_state(0.0, 0.3, -4.0), motion_state(0.11, -0.2, 7.0)),
        (motion_state(0.0, 1.7, -24.0), motion_state(0.05)),
        (motion_state(0.0), motion_state(0.003)),
    ]
    durations = [float(move(*pair, TABLE)["duration_s"]).hex() for pair in ends]
    assert durations == BITS
