"""Whatever is commanded, the master stays jerk-limited and never passes a hold."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from numba import njit

from motion.master import (
    MASTER_HELD,
    MASTER_HOLD_MISSED,
    new_master,
    step_master_towards,
    stopping_distance,
)

PERIOD_S = 0.001

commands = st.lists(
    st.tuples(
        st.sampled_from([1.0, 0.5, 0.01, 0.0, -0.3, -1.0, 1.3]),
        st.one_of(st.floats(0.0, 0.4), st.just(np.inf)),
        st.integers(1, 400),
    ),
    min_size=1,
    max_size=8,
)
limits = st.tuples(st.floats(0.5, 50.0), st.floats(5.0, 5000.0))


@njit(nogil=True, error_model="numpy")
def steps(master, target, hold, count, out):
    """Positions, speeds, accelerations and codes of `count` cycles."""
    for k in range(count):
        code = step_master_towards(master, target, hold, PERIOD_S)
        out[k, 0], out[k, 1] = master.position, master.speed
        out[k, 2], out[k, 3] = master.acceleration, code


def play(bounds, sequence):
    """All cycles of a sequence of (target, distance beyond the stop, cycles)."""
    master = new_master(*bounds)[0]
    parts, holds = [], []
    for target, beyond, count in sequence:
        side = -1.0 if target < 0.0 else 1.0
        reach = max(0.0, side * stopping_distance(master))
        hold = float(master["position"] + side * (reach + beyond))
        out = np.empty((count, 4))
        steps(master, target, hold, count, out)
        parts.append(out)
        holds.append((side, hold))
    return parts, holds


@given(limits, commands)
@settings(max_examples=300)
def test_speed_acceleration_and_jerk_stay_within_their_limits(bounds, sequence) -> None:
    a_max, j_max = bounds
    values = np.vstack([np.zeros((3, 4)), *play(bounds, sequence)[0]])
    jerk = np.diff(values[:, 0], n=3) / PERIOD_S**3
    noise = 1e-14 * (1.0 + np.abs(values[:, 0]).max()) / PERIOD_S**3
    assert np.abs(jerk).max() <= j_max * (1.0 + 1e-9) + noise
    assert np.abs(values[:, 2]).max() <= a_max * (1.0 + 1e-9)
    assert np.abs(values[:, 1]).max() <= 1.3 * (1.0 + 1e-9)


@given(limits, commands)
@settings(max_examples=300)
def test_a_hold_ahead_is_never_passed_and_met_exactly(bounds, sequence) -> None:
    sequence = [(target, beyond + 1e-6, count) for target, beyond, count in sequence]
    parts, holds = play(bounds, sequence)
    for part, (side, hold), (target, _, _) in zip(parts, holds, sequence, strict=True):
        if target == 0.0 or MASTER_HOLD_MISSED in part[:, 3]:
            continue
        assert (side * (part[:, 0] - hold) <= 1e-12).all()
        held = part[part[:, 3] == MASTER_HELD]
        assert (held[:, 0] == hold).all()
        assert (held[:, 1:3] == 0.0).all()


@given(limits, commands)
@settings(max_examples=200)
def test_a_hold_beyond_the_stopping_distance_is_never_missed_going_one_way(
    bounds, sequence
) -> None:
    forwards = [(abs(target), beyond, count) for target, beyond, count in sequence]
    for part in play(bounds, forwards)[0]:
        assert MASTER_HOLD_MISSED not in part[:, 3]
        assert (np.diff(part[:, 0]) >= -1e-15).all()


@given(limits, commands)
@settings(max_examples=100)
def test_backwards_is_the_mirror_of_forwards(bounds, sequence) -> None:
    sequence = [(t if t != 0.0 else 1e-9, b, c) for t, b, c in sequence]
    mirrored = [(-t, b, c) for t, b, c in sequence]
    there, back = play(bounds, sequence)[0], play(bounds, mirrored)[0]
    for one, other in zip(there, back, strict=True):
        np.testing.assert_allclose(one[:, :3], -other[:, :3], atol=1e-9)


@given(limits, commands)
@settings(max_examples=50)
def test_the_same_commands_give_the_same_bits(bounds, sequence) -> None:
    once, again = play(bounds, sequence)[0], play(bounds, sequence)[0]
    assert [part.tobytes() for part in once] == [part.tobytes() for part in again]
