"""Shapers leave a mode at rest, and what they leave beside it is what theory says."""

import re
from math import exp, pi, sqrt

import numpy as np
import pytest

from motion.cam_table import CamTable
from motion.optimise_check import residual_vibration
from motion.shapers import ei, shaped, zv, zvd

DAMPINGS = [0.0, 0.03, 0.2]
BAND = np.linspace(50.0, 70.0, 11)


def s_curve() -> CamTable:
    cam = CamTable.from_phases([0.008, 0.06, 0.016, 0.06, 0.008], [5000, 0, -5000, 0, 5000])
    return cam.scaled(0.2 / cam.sample(cam.end)[0, 0])


@pytest.mark.parametrize("damping", DAMPINGS)
def test_impulses_of_zv_and_zvd_are_those_of_the_literature(damping: float) -> None:
    k = exp(-pi * damping / sqrt(1.0 - damping**2))
    half = 0.5 / (60.0 * sqrt(1.0 - damping**2))
    np.testing.assert_allclose(zv(60.0, damping).amplitudes, [1 / (1 + k), k / (1 + k)])
    expected = np.array([1.0, 2.0 * k, k * k]) / (1.0 + 2.0 * k + k * k)
    np.testing.assert_allclose(zvd(60.0, damping).amplitudes, expected)
    np.testing.assert_allclose(zvd(60.0, damping).times_s, [0.0, half, 2.0 * half])


def test_ei_without_damping_is_that_of_the_literature() -> None:
    train = ei(60.0, 0.0, 0.05)
    np.testing.assert_allclose(train.amplitudes, [0.2625, 0.475, 0.2625], atol=1e-9)
    np.testing.assert_allclose(train.times_s * 60.0, [0.0, 0.5, 1.0], atol=1e-9)


@pytest.mark.parametrize("damping", DAMPINGS)
@pytest.mark.parametrize("tolerance", [0.02, 0.05, 0.1])
def test_ei_touches_its_tolerance_at_the_mode_and_zero_on_both_sides(
    damping: float, tolerance: float
) -> None:
    train = ei(60.0, damping, tolerance)
    left = train.residual(60.0 * np.linspace(0.7, 1.3, 4001), damping)
    inner = np.flatnonzero((left[1:-1] < left[:-2]) & (left[1:-1] < left[2:]))
    assert train.residual(60.0, damping)[0] == pytest.approx(tolerance, rel=1e-6)
    assert inner.size == 2
    assert (left[1:-1][inner] < 1e-3).all()
    assert left[inner[0] : inner[1] + 2].max() == pytest.approx(tolerance, rel=1e-3)


@pytest.mark.parametrize("damping", DAMPINGS)
def test_amplitudes_add_up_to_one(damping: float) -> None:
    for train in (zv(60.0, damping), zvd(60.0, damping), ei(60.0, damping)):
        assert train.amplitudes.sum() == pytest.approx(1.0, abs=1e-12)
        assert (train.amplitudes > 0.0).all()


@pytest.mark.parametrize("shaper", [zv(60.0, 0.03), zvd(60.0, 0.03), ei(60.0, 0.03)])
def test_integration_of_the_shaped_move_finds_what_the_shaper_promises(shaper) -> None:
    bare, whole = s_curve(), shaped(s_curve(), shaper)
    promised = residual_vibration(bare, BAND, 0.03) * shaper.residual(BAND, 0.03)
    np.testing.assert_allclose(residual_vibration(whole, BAND, 0.03), promised, atol=1e-9)
    assert whole.length == pytest.approx(bare.length + shaper.duration_s, abs=1e-12)
    assert whole.sample(whole.end)[0, 0] == pytest.approx(0.2, abs=1e-12)
    assert whole.continuity() == 2


def test_two_shapers_in_a_row_quieten_two_modes() -> None:
    both = zv(60.0, 0.03).then(zv(95.0, 0.02))
    assert both.residual(60.0, 0.03)[0] < 1e-12
    assert both.residual(95.0, 0.02)[0] < 1e-12
    assert both.duration_s == pytest.approx(zv(60.0, 0.03).duration_s + zv(95.0, 0.02).duration_s)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: zv(0.0, 0.03), "shaper: frequency_hz = 0: must be finite and above 0"),
        (lambda: zvd(60.0, 1.0), "shaper: damping = 1: must be within 0..1"),
        (lambda: ei(60.0, 0.03, 0.0), "shaper: tolerance = 0: must be within 0..1"),
        (lambda: shaped(CamTable.constant(0, 1, True), zv(60, 0)), "a periodic cam has no start"),
    ],
)
def test_bad_input_is_refused(build, message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        build()
