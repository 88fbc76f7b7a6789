"""The compiled trajectory functions allocate nothing and need no Python."""

import numpy as np
import pytest

from motion import move, rest_to_rest, timed_move, trajectory, velocity_move
from motion.limits import MotionLimits
from motion.trajectory import STATE_DTYPE, TRAJECTORY_DTYPE, motion_state, new_trajectory
from tests.unit.foreign_calls import foreign_calls

LIMITS = MotionLimits(1.0, 10.0, 8.0, 500.0).record()
EVEN = MotionLimits.symmetric(1.0, 10.0, 500.0).record()
START, TARGET = motion_state(0.0, 0.2, 1.0), motion_state(0.3, 0.1, -1.0)
PLAN = new_trajectory()
AXES = [np.zeros(2, TRAJECTORY_DTYPE), *(np.array([s, s], STATE_DTYPE) for s in (START, TARGET))]
CALLS = [
    (move.retarget, (PLAN, 0.01, TARGET, LIMITS)),
    (rest_to_rest.plan_rest_to_rest, (PLAN, 0.0, 1.0, EVEN)),
    (timed_move.synchronise, (*AXES, np.array([LIMITS, LIMITS]))),
    (trajectory.evaluate, (PLAN, 0.01)),
    (velocity_move.plan_stop, (PLAN, START, LIMITS)),
]


@pytest.mark.parametrize(("function", "arguments"), CALLS, ids=[f.__name__ for f, _ in CALLS])
def test_a_kernel_allocates_nothing(function, arguments) -> None:
    assert not foreign_calls(function, arguments)
