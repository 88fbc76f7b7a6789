"""The cyclic kernels of cams, master and fold allocate nothing."""

import numpy as np
import pytest
from numba import njit

from motion import cam_bridge, cam_table, fold_geometry, master, polynomials
from motion.cam_laws import MODIFIED_SINE
from tests.unit.foreign_calls import foreign_calls

CAMS, SEGMENTS = cam_table.pack([cam_table.CamTable.from_law(MODIFIED_SINE)])
STATE = (0.0, 0.0, 0.0, 0.0)
GEOMETRY = fold_geometry.fold_geometry(0.107, 0.2, 0.06)[0]
LIMITS = cam_bridge.bridge_limits(1.0, 1.0, 1.0, 1.0)[0]
COUPLING = np.zeros(1, cam_bridge.COUPLING_DTYPE)[0]

CALLS = [
    (cam_table.evaluate_cam, (SEGMENTS, CAMS[0], 0.1)),
    (cam_bridge.evaluate_follower, (SEGMENTS, CAMS, cam_bridge.new_follower(0)[0], 0.1)),
    (
        cam_bridge.plan_bridge,
        (SEGMENTS, CAMS, cam_bridge.new_follower(0)[0], COUPLING, 0.1, LIMITS),
    ),
    (
        cam_bridge.slave_setpoint,
        (SEGMENTS, CAMS, cam_bridge.new_follower(0)[0], master.new_master(1.0, 1.0)[0], STATE),
    ),
    (master.step_master_towards, (master.new_master(1.0, 1.0)[0], 1.0, 1.0, 0.001)),
    (master.step_master, (master.new_master(1.0, 1.0)[0], 1.0, 0.001)),
    (master.stopping_distance, (master.new_master(1.0, 1.0)[0],)),
    (master.shift_master, (master.new_master(1.0, 1.0)[0], 1.0)),
    (fold_geometry.web_length, (GEOMETRY, 1.0, 0.0, 0.0)),
    (fold_geometry.web_motion, (GEOMETRY, 1.0, STATE[:3], STATE[:3])),
    (polynomials.exponential, (1.0,)),
]


@pytest.mark.parametrize(("function", "arguments"), CALLS, ids=[f.__name__ for f, _ in CALLS])
def test_a_kernel_allocates_nothing(function, arguments) -> None:
    assert not foreign_calls(function, arguments)


def test_the_search_finds_an_allocation() -> None:
    @njit
    def hungry(n):
        return np.zeros(n).sum()

    assert foreign_calls(hungry, (3,))
