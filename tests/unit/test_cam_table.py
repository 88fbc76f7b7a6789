"""Cam tables are built from laws, points, phases and moves, and evaluated by one kernel."""

import re

import numpy as np
import pytest

from motion.cam_laws import LAWS, MODIFIED_SINE, POLYNOMIAL_345, POLYNOMIAL_4567, CamLaw
from motion.cam_moves import Move, moves_to_cam
from motion.cam_table import CamTable, evaluate_cam, pack

SMOOTHNESS_WITH_DWELLS = {
    "3-4-5 polynomial": 2,
    "4-5-6-7 polynomial": 3,
    "5-6-7-8-9 polynomial": 3,
    "modified sine": 2,
    "modified trapezoid": 2,
    "cycloid (Bestehorn)": 2,
    "simple sine": 1,
}


@pytest.mark.parametrize("law", LAWS, ids=lambda law: law.name)
def test_the_table_of_a_law_is_the_law(law: CamLaw) -> None:
    table = CamTable.from_law(law, 0.15, -0.1, 0.1)
    u = np.linspace(0.0, 1.0, 501)
    scale = 0.2 / 0.15 ** np.arange(4.0)
    expected = law.evaluate(u) * scale + np.array([-0.1, 0.0, 0.0, 0.0])
    errors = np.abs(table.sample(0.15 * u) - expected).max(axis=0) / scale
    assert (errors < [4e-8, 5e-6, 6e-4, 0.15]).all()
    assert table.continuity() >= 3


@pytest.mark.parametrize("law", LAWS, ids=lambda law: law.name)
def test_a_law_between_dwells_is_as_smooth_as_it_can_be(law: CamLaw) -> None:
    cam = moves_to_cam(0.4, 0.0, [Move(0.1, 0.25, 0.2, law)])
    assert cam.continuity() == SMOOTHNESS_WITH_DWELLS[law.name]


def test_points_give_the_smoothness_their_derivatives_leave() -> None:
    t = np.linspace(0.0, 1.0, 21)
    wave = np.sin(2.0 * np.pi * t), 2.0 * np.pi * np.cos(2.0 * np.pi * t)
    acceleration = -4.0 * np.pi**2 * wave[0]
    assert CamTable.from_points(t, *wave, acceleration, periodic=True).continuity() == 2
    assert CamTable.from_points(t, *wave, periodic=True).continuity() == 3
    free = CamTable.from_points(t, wave[0], periodic=True)
    assert free.continuity() == 4
    x = np.linspace(0.0, 1.0, 300)
    np.testing.assert_allclose(free.sample(x)[:, 0], np.sin(2.0 * np.pi * x), atol=1e-6)


def test_points_of_a_quintic_give_it_back() -> None:
    t = np.array([0.0, 0.1, 0.35, 0.4, 0.8, 1.0])
    table = CamTable.from_points(t, POLYNOMIAL_345.evaluate(t)[:, 0])
    x = np.linspace(0.0, 1.0, 101)
    np.testing.assert_allclose(table.sample(x), POLYNOMIAL_345.evaluate(x), atol=1e-9)


def test_outside_its_range_a_cam_stands_at_its_ends() -> None:
    cam = CamTable.from_segments([0.0, 1.0], [[2.0, 3.0]])
    np.testing.assert_array_equal(cam.sample([-0.5, 1.5])[:, 1:], 0.0)
    np.testing.assert_array_equal(cam.sample([-0.5, 0.0, 1.0, 1.5])[:, 0], [2.0, 2.0, 5.0, 5.0])
    assert cam.sample([0.5])[0, 1] == 3.0


def test_a_periodic_cam_repeats_both_ways() -> None:
    cam = moves_to_cam(
        0.4, 0.0, [Move(0.0, 0.1, 0.2, MODIFIED_SINE), Move(0.2, 0.3, 0.0, MODIFIED_SINE)], True
    )
    x = np.linspace(0.0, 0.3999, 50)
    np.testing.assert_allclose(cam.sample(x - 4.0), cam.sample(x), atol=1e-6)
    np.testing.assert_allclose(cam.sample(x + 8.0), cam.sample(x), atol=1e-6)


def test_a_cam_of_no_segments_and_a_nan_master_do_no_harm() -> None:
    cams, segments = pack([CamTable.constant(1.0, 1.0)])
    assert evaluate_cam(segments, cams[0], float("nan")) == (1.0, 0.0, 0.0, 0.0)
    cams["segment_count"] = 0
    assert evaluate_cam(segments, cams[0], 0.5) == (0.0, 0.0, 0.0, 0.0)


def test_a_pool_of_cams_keeps_them_apart() -> None:
    tables = [CamTable.constant(float(k), 1.0 + k) for k in range(3)]
    tables.insert(1, CamTable.from_law(MODIFIED_SINE))
    cams, segments = pack(tables)
    found = [evaluate_cam(segments, cam, 0.5)[0] for cam in cams]
    np.testing.assert_allclose(found, [0.0, 0.5, 1.0, 2.0], atol=1e-12)


def test_phases_become_a_cam_exactly() -> None:
    times, jerks = [0.01, 0.02, 0.0, 0.01], [100.0, -50.0, 7.0, 0.0]
    cam = CamTable.from_phases(times, jerks, start=(1.0, -0.2, 3.0))
    t = np.array([0.005, 0.03, 0.04])
    a = np.array([3.5, 3.0, 3.0])
    np.testing.assert_allclose(cam.sample(t)[:, 2], a, rtol=1e-12)
    assert cam.coefficients.shape == (3, 6)
    assert cam.continuity() == 2


def test_scale_offset_and_phase_act_on_every_derivative() -> None:
    cam = CamTable.from_law(POLYNOMIAL_4567)
    moved = cam.scaled(3.0, 0.5).offset(1.0).phased(0.2)
    x = np.linspace(0.0, 1.0, 11)
    expected = cam.sample(x) * 3.0 / 0.5 ** np.arange(4.0) + [1.0, 0.0, 0.0, 0.0]
    np.testing.assert_allclose(moved.sample(0.2 + 0.5 * x), expected, atol=1e-9)


def test_a_blend_from_speed_to_speed_has_the_given_ends() -> None:
    first, last = (0.0, 1.0, -2.0, 30.0), (0.4, -0.5, 1.0, -10.0)
    cam = CamTable.blend(first, last, 0.3)
    np.testing.assert_allclose(cam.sample([0.0, 0.3]), [first, last], atol=1e-9)
    assert cam.continuity() == 3
    quintic = CamTable.blend(first[:3], last[:3], 0.3)
    np.testing.assert_allclose(quintic.sample([0.0, 0.3])[:, :3], [first[:3], last[:3]], atol=1e-12)


def test_a_move_takes_over_a_profile_unchanged_if_it_fits() -> None:
    profile = CamTable.from_phases([0.02] * 4, [100.0, -100.0, -100.0, 100.0])
    rise = float(profile.sample(profile.end)[0, 0])
    cam = moves_to_cam(0.3, -0.1, [Move(0.1, 0.1 + profile.length, -0.1 + rise, profile)])
    t = np.linspace(0.0, profile.length, 97)
    np.testing.assert_allclose(cam.sample(0.1 + t)[1:-1, 2], profile.sample(t)[1:-1, 2], atol=1e-9)
    assert cam.sample(0.3)[0, 0] == pytest.approx(-0.1 + rise, abs=1e-15)


def test_a_periodic_move_may_run_over_the_end() -> None:
    moves = [Move(0.1, 0.2, 0.5, MODIFIED_SINE), Move(0.35, 0.45, 0.0, MODIFIED_SINE)]
    cam = moves_to_cam(0.4, 0.0, moves, periodic=True)
    assert (cam.start, cam.end, cam.continuity()) == (0.0, 0.4, 2)
    found = cam.sample([0.0, 0.05, 0.15, 0.3, 0.4])[:, 0]
    np.testing.assert_allclose(found, [0.25, 0.0, 0.25, 0.5, 0.25], atol=1e-12)


REFUSED = {
    "master[2] = 0.5: not above master[1] = 1": lambda: CamTable.from_points(
        [0.0, 1.0, 0.5], [0.0, 1.0, 2.0]
    ),
    "position[1] = nan: not finite": lambda: CamTable.from_points([0.0, 1.0], [0.0, np.nan]),
    "position has shape (3,): needs (2,)": lambda: CamTable.from_points([0.0, 1.0], [0, 1, 2]),
    "position[2] = 1: not position[0] = 0 of a periodic cam": lambda: CamTable.from_points(
        [0.0, 0.5, 1.0], [0.0, 2.0, 1.0], periodic=True
    ),
    "acceleration without velocity": lambda: CamTable.from_points(
        [0.0, 1.0], [0.0, 1.0], None, [0.0, 0.0]
    ),
    "needs 2 points or more": lambda: CamTable.from_points([0.0], [0.0]),
    "degree 6: above 5": lambda: CamTable.from_segments([0.0, 1.0], [[1.0] * 7]),
    "master_scale must be above 0": lambda: CamTable.constant(0.0, 1.0).scaled(1.0, -1.0),
    "positions 1 apart": lambda: CamTable.constant(0.0, 1.0).then(CamTable.constant(1.0, 1.0)),
    "blend length = 0": lambda: CamTable.blend((0.0, 0.0, 0.0), (1.0, 0.0, 0.0), 0.0),
    "moves[1].start = 0.1: before 0.2": lambda: moves_to_cam(
        1.0, 0.0, [Move(0.0, 0.2, 1.0, MODIFIED_SINE), Move(0.1, 0.3, 0.0, MODIFIED_SINE)]
    ),
    "moves[0].end = 0.1: not above start 0.2": lambda: moves_to_cam(
        1.0, 0.0, [Move(0.2, 0.1, 1.0, MODIFIED_SINE)]
    ),
    "last move's end = 1.1: beyond 1": lambda: moves_to_cam(
        1.0, 0.0, [Move(0.2, 1.1, 1.0, MODIFIED_SINE)]
    ),
    "a periodic cam must return to 0": lambda: moves_to_cam(
        1.0, 0.0, [Move(0.2, 0.4, 1.0, MODIFIED_SINE)], True
    ),
}


@pytest.mark.parametrize("message", REFUSED)
def test_bad_cams_are_refused_by_name_value_and_limit(message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        REFUSED[message]()


@pytest.mark.parametrize("jump", range(4))
def test_continuity_sees_a_planted_jump(jump: int) -> None:
    smooth = np.array([[0.0, 1.0, 2.0, 3.0, 0.0, 0.0]] * 2)
    table = CamTable(np.array([0.0, 1.0, 2.0]), smooth).divided([0.5])
    whole = CamTable(np.array([0.0, 1.0]), smooth[:1]).divided([0.5])
    broken = np.array(whole.coefficients)
    broken[1, jump] *= 1.001
    assert whole.continuity() == 5
    assert CamTable(whole.knots, broken).continuity() == jump - 1
    assert table.continuity() == -1
