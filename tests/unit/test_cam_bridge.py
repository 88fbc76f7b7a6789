"""A follower couples cam and gear, and changes over a bridge."""

import re

import numpy as np
import pytest

from motion.cam_bridge import (
    BRIDGE_IMPOSSIBLE,
    BRIDGE_INPUT_INVALID,
    BRIDGE_OK,
    COUPLING_DTYPE,
    bridge_limits,
    evaluate_coupling,
    evaluate_follower,
    new_follower,
    plan_bridge,
    slave_setpoint,
)
from motion.cam_laws import CYCLOID, MODIFIED_SINE
from motion.cam_moves import Move, moves_to_cam
from motion.cam_table import pack
from motion.master import new_master, step_master

CAM = moves_to_cam(
    0.4, -0.1, [Move(0.05, 0.2, 0.1, MODIFIED_SINE), Move(0.25, 0.4, -0.1, CYCLOID)], True
)
CAMS, SEGMENTS = pack([CAM])


def coupling(scale=1.0, phase=0.0, offset=0.0, ratio=0.0, cam=0) -> np.void:
    return np.array([(scale, phase, offset, ratio, cam)], COUPLING_DTYPE)[0]


def test_a_coupling_is_cam_and_gear_at_once() -> None:
    p, d1, d2, d3 = CAM.sample([0.07])[0]
    found = evaluate_coupling(SEGMENTS, CAMS, coupling(2.0, 0.03, 0.5, 0.25), 0.1)
    np.testing.assert_allclose(found, (0.5 + 0.025 + 2 * p, 0.25 + 2 * d1, 2 * d2, 2 * d3))


def test_a_gear_needs_no_cam() -> None:
    assert evaluate_coupling(SEGMENTS, CAMS, coupling(ratio=2.0, cam=-1), 3.0) == (
        6.0,
        2.0,
        0.0,
        0.0,
    )


def test_a_change_of_scale_and_phase_is_bridged_and_reversible() -> None:
    follower = new_follower(0)[0]
    target = coupling(scale=0.9, phase=0.01)
    limits = bridge_limits(5.0, 150.0, 12000.0, 0.4)[0]
    assert plan_bridge(SEGMENTS, CAMS, follower, target, 0.1, limits) == BRIDGE_OK
    end = 0.1 + follower["bridge_length"]
    for master, side in ((0.1, CAM.sample([0.1])[0]), (end, None)):
        exact = side if side is not None else evaluate_coupling(SEGMENTS, CAMS, target, end)
        for beside in (master - 1e-9, master + 1e-9):
            found = evaluate_follower(SEGMENTS, CAMS, follower, beside)
            np.testing.assert_allclose(found[:3], exact[:3], rtol=1e-4, atol=1e-5)
    assert evaluate_follower(SEGMENTS, CAMS, follower, 0.02)[0] == CAM.sample([0.02])[0, 0]


def test_a_bridge_that_does_not_fit_is_refused_and_changes_nothing() -> None:
    follower = new_follower(0)
    before = follower.tobytes()
    limits = bridge_limits(5.0, 150.0, 100.0, 0.4)[0]
    code = plan_bridge(SEGMENTS, CAMS, follower[0], coupling(0.5), 0.1, limits)
    assert (code, follower.tobytes()) == (BRIDGE_IMPOSSIBLE, before)


def test_a_bridge_within_a_bridge_or_at_no_time_is_refused() -> None:
    follower = new_follower(0)[0]
    limits = bridge_limits(5.0, 150.0, 12000.0, 0.4)[0]
    assert plan_bridge(SEGMENTS, CAMS, follower, coupling(0.9), 0.1, limits) == BRIDGE_OK
    for start in (0.1 + 0.5 * follower["bridge_length"], np.nan):
        code = plan_bridge(SEGMENTS, CAMS, follower, coupling(), start, limits)
        assert code == BRIDGE_INPUT_INVALID


def test_limits_of_a_bridge_are_checked() -> None:
    with pytest.raises(ValueError, match=re.escape("bridge: jerk = 0: must be finite and above 0")):
        bridge_limits(1.0, 1.0, 0.0, 1.0)


def test_a_setpoint_over_time_has_its_own_derivatives() -> None:
    """Cam, gear and superimposed move, while the master accelerates."""
    master, follower = new_master(4.0, 80.0, 0.06)[0], new_follower(0, ratio=0.3)[0]
    h, rows = 1e-5, []
    for k in range(20001):
        step_master(master, 1.0, h)
        t = k * h
        extra = (1e-3 * t * t * t, 3e-3 * t * t, 6e-3 * t, 6e-3)
        rows.append(slave_setpoint(SEGMENTS, CAMS, follower, master, extra))
    values = np.array(rows)
    slopes = (values[2:, :3] - values[:-2, :3]) / (2.0 * h)
    scale = np.abs(values[:, 1:]).max(axis=0)
    # where a jerk jumps, the difference over the jump is no slope
    smooth = np.abs(np.diff(values[:, 3], n=2)) < 1e-3 * scale[2]
    errors = np.abs(slopes - values[1:-1, 1:])[smooth] / scale
    assert smooth.sum() > 19000
    assert errors.max() < 1e-3
