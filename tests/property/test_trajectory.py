"""What every move keeps, whatever the states and the limits."""

import numpy as np
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from bench.trajectory_check import breaks_limits, misses
from bench.trajectory_problems import PROBLEM_DTYPE
from motion.limits import MotionLimits, Result
from motion.move import plan_move, retarget
from motion.plan import sample
from motion.timed_move import next_arrival, plan_timed_move
from motion.trajectory import evaluate, motion_state, new_trajectory
from motion.velocity_move import plan_stop

SHARES = st.floats(-1.0, 1.0) | st.sampled_from((-1.0, -0.5, 0.0, 0.5, 1.0))
OPEN_SHARES = st.floats(-2.5, 2.5)
LIMITS = st.builds(
    MotionLimits,
    velocity=st.floats(0.01, 5.0),
    acceleration=st.floats(0.5, 100.0),
    deceleration=st.floats(0.5, 100.0),
    jerk=st.floats(10.0, 20_000.0),
)
DISTANCES = st.floats(-30.0, 30.0) | st.floats(-1e-3, 1e-3) | st.just(0.0)
USUAL = MotionLimits.symmetric(2.0, 25.0, 3000.0)
EXAMPLES = settings(max_examples=200)


def ramp_of(limits):
    """A length that the limits make natural, in their own unit."""
    slowest = min(limits.acceleration, limits.deceleration)
    return limits.velocity * (limits.velocity / slowest + slowest / limits.jerk)


def allowed_state(limits, position, velocity_share, acceleration_share, backwards=False):
    """Within the limits, also when the acceleration is taken away, or (backwards) was built up."""
    bound = min(limits.acceleration, limits.deceleration)
    velocity, acceleration = velocity_share * limits.velocity, acceleration_share * bound
    side = np.sign(acceleration) * (-1.0 if backwards else 1.0)
    room = max(limits.velocity - side * velocity, 0.0)
    most = np.sqrt(2.0 * limits.jerk * room) * (1.0 - 1e-9)
    return motion_state(position, velocity, float(np.clip(acceleration, -most, most)))


@st.composite
def allowed_problems(draw):
    """A start and a target that the limits allow, and the limits."""
    limits = draw(LIMITS)
    start = allowed_state(limits, draw(st.floats(-1.0, 1.0)), draw(SHARES), draw(SHARES))
    position = start["position"] + draw(DISTANCES) * ramp_of(limits)
    return start, allowed_state(limits, position, draw(SHARES), draw(SHARES), True), limits


@st.composite
def open_problems(draw):
    """The same with a start that may be anywhere."""
    start, target, limits = draw(allowed_problems())
    velocity, acceleration = draw(OPEN_SHARES), draw(OPEN_SHARES)
    start["velocity"] = velocity * limits.velocity
    start["acceleration"] = acceleration * limits.acceleration
    return start, target, limits


def planned(start, target, limits):
    trajectory = new_trajectory()
    assert plan_move(trajectory, start, target, limits.record()) == Result.OK
    return trajectory


def is_sound(trajectory, start, target, limits):
    problem = np.zeros(1, PROBLEM_DTYPE)
    problem[0] = (start, target, limits.record())
    trajectories = np.array([trajectory])
    return not misses(problem, trajectories)[0] and not breaks_limits(problem, trajectories)[0]


def rounding_s(start, target, limits):
    """By how much the last bits of a state can change a duration: the cube root is steep at 0."""
    reach = abs(start["position"]) + abs(target["position"]) + 10.0 * ramp_of(limits)
    slowness = limits.velocity / limits.jerk
    return 20.0 * (np.cbrt(1e-15 * reach / limits.jerk) + np.sqrt(1e-15 * slowness))


@EXAMPLES
@given(open_problems())
def test_a_move_reaches_its_target_within_its_limits(problem) -> None:
    start, target, limits = problem
    assert is_sound(planned(start, target, limits), start, target, limits)


@EXAMPLES
@given(open_problems())
def test_the_mirrored_move_takes_as_long(problem) -> None:
    start, target, limits = problem
    assume(start["position"] != target["position"])
    mirrored = [motion_state(*(-x for x in state.tolist())) for state in (start, target)]
    ours = planned(start, target, limits)["duration_s"]
    assert np.isclose(planned(*mirrored, limits)["duration_s"], ours, rtol=1e-12, atol=1e-15)


@EXAMPLES
@given(allowed_problems())
def test_the_move_backwards_in_time_takes_as_long(problem) -> None:
    start, target, limits = problem
    distance = target["position"] - start["position"]
    first = motion_state(0.0, target["velocity"], -target["acceleration"])
    last = motion_state(distance, start["velocity"], -start["acceleration"])
    swapped = MotionLimits(limits.velocity, limits.deceleration, limits.acceleration, limits.jerk)
    origin = motion_state(0.0, start["velocity"], start["acceleration"])
    goal = motion_state(distance, target["velocity"], target["acceleration"])
    ours = planned(origin, goal, limits)["duration_s"]
    theirs = planned(first, last, swapped)["duration_s"]
    assert abs(theirs - ours) <= rounding_s(origin, goal, limits)


@EXAMPLES
@given(allowed_problems(), st.floats(0.0, 1.0))
def test_replanning_on_the_way_keeps_the_remaining_time(problem, share) -> None:
    start, target, limits = problem
    # past the target the move's direction, and with it uneven limits, would turn
    limits = MotionLimits.symmetric(
        limits.velocity, min(limits.acceleration, limits.deceleration), limits.jerk
    )
    trajectory = planned(start, target, limits)
    total = float(trajectory["duration_s"])
    assert retarget(trajectory, share * total, target, limits.record()) == Result.OK
    difference = trajectory["duration_s"] - (1.0 - share) * total
    assert abs(difference) <= rounding_s(start, target, limits)


@EXAMPLES
@given(allowed_problems(), st.integers(0, 3), st.floats(1.0, 3.0))
def test_more_of_a_limit_never_takes_longer(problem, index, factor) -> None:
    start, target, limits = problem
    values = [limits.velocity, limits.acceleration, limits.deceleration, limits.jerk]
    values[index] *= factor
    more = planned(start, target, MotionLimits(*values))["duration_s"]
    grain = 1e-9 * (1.0 + more)
    assert more <= planned(start, target, limits)["duration_s"] + grain


@EXAMPLES
@given(open_problems())
def test_the_same_problem_gives_the_same_bits(problem) -> None:
    start, target, limits = problem
    first = planned(start, target, limits)
    used = planned(motion_state(3.0, 1.0, -2.0), motion_state(1.0, -1.0, 1.0), USUAL)
    assert plan_move(used, start, target, limits.record()) == Result.OK
    count = int(first["count"]) + 1
    assert used["phases"][:count].tobytes() == first["phases"][:count].tobytes()
    assert used["duration_s"] == first["duration_s"]


@EXAMPLES
@given(open_problems(), st.floats(1.0, 8.0))
def test_a_timed_move_arrives_then_or_says_when_it_can(problem, factor) -> None:
    start, target, limits = problem
    trajectory, record = new_trajectory(), limits.record()
    fastest = planned(start, target, limits)["duration_s"]
    code, possible = next_arrival(trajectory, start, target, record, factor * fastest)
    assert code == Result.OK
    assert possible >= factor * fastest
    assert plan_timed_move(trajectory, start, target, record, possible) == Result.OK
    assert np.isclose(trajectory["duration_s"], possible, rtol=1e-12)
    assert is_sound(trajectory, start, target, limits)
    if possible > factor * fastest * (1.0 + 1e-9):
        between = 0.5 * (possible + factor * fastest)
        code = plan_timed_move(trajectory, start, target, record, between)
        assert code == Result.DURATION_NOT_POSSIBLE
    if fastest > 1e-6:
        code = plan_timed_move(trajectory, start, target, record, 0.9 * fastest)
        assert code == Result.DURATION_TOO_SHORT


@EXAMPLES
@given(allowed_problems(), st.floats(1.0, 20.0))
def test_an_axis_that_may_rest_can_always_arrive_later(problem, factor) -> None:
    start, target, limits = problem
    target["velocity"] = target["acceleration"] = 0.0
    trajectory = new_trajectory()
    duration = factor * planned(start, target, limits)["duration_s"]
    assert plan_timed_move(trajectory, start, target, limits.record(), duration) == Result.OK


@EXAMPLES
@given(open_problems())
def test_a_stop_ends_at_rest_and_nothing_stops_sooner(problem) -> None:
    start, _, limits = problem
    trajectory = new_trajectory()
    assert plan_stop(trajectory, start, limits.record()) == Result.OK
    end = trajectory["phases"][int(trajectory["count"])]
    assert (end["velocity"], end["acceleration"]) == (0.0, 0.0)
    # a move to where it stopped cannot be faster
    even = MotionLimits.symmetric(
        limits.velocity, min(limits.acceleration, limits.deceleration), limits.jerk
    )
    assert plan_stop(trajectory, start, even.record()) == Result.OK
    end = trajectory["phases"][int(trajectory["count"])]
    there = planned(start, motion_state(end["position"]), even)["duration_s"]
    assert there >= trajectory["duration_s"] - rounding_s(start, end, even)


@EXAMPLES
@given(open_problems(), st.floats(0.0, 1.2))
def test_evaluation_agrees_with_sampling_and_is_continuous(problem, share) -> None:
    trajectory = planned(*problem)
    time_s = share * float(trajectory["duration_s"])
    kernel = evaluate(trajectory, time_s)
    assert np.array_equal(kernel, sample(trajectory, np.array([time_s]))[0])
    after = np.array(evaluate(trajectory, time_s + 1e-9))[:3]
    start, _, limits = problem
    steepest = limits.jerk, limits.jerk + limits.acceleration + abs(start["acceleration"])
    assert abs(after[2] - kernel[2]) <= 1e-8 * max(steepest)
