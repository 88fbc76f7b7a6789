"""Cams keep their smoothness through every operation, and bridges keep their limits."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from motion.cam_bridge import (
    BRIDGE_OK,
    COUPLING_DTYPE,
    bridge_limits,
    evaluate_coupling,
    evaluate_follower,
    new_follower,
    plan_bridge,
    quintic_peaks,
)
from motion.cam_laws import LAWS, SIMPLE_SINE, CamLaw
from motion.cam_moves import Move, moves_to_cam
from motion.cam_table import CamTable, evaluate_cam, pack

positions = st.floats(-1.0, 1.0)
spans = st.floats(0.02, 1.0)
laws = st.sampled_from([law for law in LAWS if law is not SIMPLE_SINE])


@st.composite
def cycles(draw) -> CamTable:
    """A periodic cam of one to four moves with dwells, home again at the end."""
    home, here, moves = draw(positions), 0.0, []
    count = draw(st.integers(1, 4))
    for k in range(count):
        start = here + draw(st.one_of(st.just(0.0), spans))
        here = start + draw(spans)
        target = home if k == count - 1 else draw(positions)
        moves.append(Move(start, here, target, draw(laws)))
    return moves_to_cam(here + draw(spans), home, moves, periodic=True)


@given(cycles())
@settings(max_examples=150)
def test_a_cycle_of_moves_and_dwells_is_c2_at_every_joint(cam) -> None:
    assert cam.continuity() >= 2
    assert cam.jumps()[0] < 1e-12


@given(cycles(), st.floats(-3.0, 3.0), st.floats(0.1, 5.0), st.floats(-2.0, 2.0))
@settings(max_examples=100)
def test_phasing_and_scaling_keep_curve_and_smoothness(cam, shift, stretch, scale) -> None:
    changed = cam.phased(shift).scaled(scale, stretch)
    assert changed.continuity() >= 2
    x = np.linspace(0.0, 1.0, 41) * cam.length
    found, expected = changed.sample(stretch * x), cam.sample(x - shift)
    np.testing.assert_allclose(found[:, 0], scale * expected[:, 0], atol=1e-9)


@given(cycles(), st.lists(st.floats(0.0, 4.0), max_size=5))
@settings(max_examples=50)
def test_further_knots_change_nothing(cam, masters) -> None:
    divided = cam.divided(masters)
    x = np.linspace(0.0, cam.length, 97)
    peaks = np.abs(cam.sample(x)).max(axis=0)
    errors = np.abs(divided.sample(x) - cam.sample(x)).max(axis=0)
    assert (errors[:3] < 1e-9 * (1.0 + peaks[:3])).all()


@given(
    st.lists(st.floats(0.05, 1.0), min_size=2, max_size=12),
    st.integers(0, 2**32 - 1),
    st.booleans(),
    st.integers(1, 3),
)
@settings(max_examples=200)
def test_points_are_met_and_the_rest_is_as_smooth_as_promised(gaps, seed, periodic, given_) -> None:
    knots = np.concatenate([[0.0], np.cumsum(gaps)])
    values = np.random.default_rng(seed).uniform(-1.0, 1.0, (given_, knots.size))
    if periodic:
        values[:, -1] = values[:, 0]
    cam = CamTable.from_points(knots, *values, periodic=periodic)
    assert cam.continuity(1e-6) >= {1: 4, 2: 3, 3: 2}[given_]
    np.testing.assert_allclose(
        cam.sample(knots[:-1])[:, :given_], values.T[:-1], rtol=1e-9, atol=1e-9
    )


@given(cycles(), st.lists(st.floats(-10.0, 10.0), min_size=1, max_size=20))
@settings(max_examples=50)
def test_the_kernel_finds_the_segment_a_search_finds(cam, masters) -> None:
    cams, segments = pack([CamTable.constant(7.0, 1.0), cam])
    for master in masters:
        inside = cam.start + (master - cam.start) % cam.length
        row = min(np.searchsorted(cam.knots, inside, side="right") - 1, len(cam.coefficients) - 1)
        powers = (inside - cam.knots[row]) ** np.arange(6.0)
        found = evaluate_cam(segments, cams[1], master)[0]
        assert abs(found - cam.coefficients[row] @ powers) < 1e-9


couplings = st.tuples(
    st.floats(0.5, 1.5),
    st.floats(-0.1, 0.1),
    st.floats(-0.05, 0.05),
    st.floats(-0.2, 0.2),
    st.integers(0, 1),
)
TABLE = moves_to_cam(
    0.4, -0.1, [Move(0.05, 0.2, 0.1, LAWS[3]), Move(0.25, 0.4, -0.1, LAWS[1])], periodic=True
)
OTHER = moves_to_cam(
    0.4, -0.1, [Move(0.03, 0.2, 0.05, LAWS[5]), Move(0.24, 0.39, -0.1, LAWS[0])], periodic=True
)
CAMS, SEGMENTS = pack([TABLE, OTHER])


def coupling(values) -> np.void:
    return np.array([values], COUPLING_DTYPE)[0]


@given(
    couplings,
    couplings,
    st.floats(0.0, 0.8),
    st.floats(1.0, 30.0),
    st.floats(20.0, 1000.0),
    st.floats(500.0, 1e5),
)
@settings(max_examples=400)
def test_bridges_never_break_a_limit_nor_the_path(old, new, start, v, a, j) -> None:
    follower = new_follower(0)[0]
    follower["source"] = follower["destination"] = old
    limits = bridge_limits(v, a, j, 1.0)[0]
    if plan_bridge(SEGMENTS, CAMS, follower, coupling(new), start, limits) != BRIDGE_OK:
        assert follower["bridge_length"] == 0.0
        return
    length = float(follower["bridge_length"])
    masters = start + length * np.linspace(0.0, 1.0, 401)[:-1]
    states = np.array([evaluate_follower(SEGMENTS, CAMS, follower, m) for m in masters])
    assert (np.abs(states[:, 1:]).max(axis=0) <= np.array([v, a, j]) * (1.0 + 1e-9)).all()
    before = evaluate_coupling(SEGMENTS, CAMS, coupling(old), start)
    after = evaluate_coupling(SEGMENTS, CAMS, coupling(new), start + length)
    last = evaluate_follower(SEGMENTS, CAMS, follower, start + length * (1.0 - 1e-12))
    tolerance = 1e-9 * np.array([1.0, v, a]) + 1e-9
    assert (np.abs(np.subtract(states[0, :3], before[:3])) <= tolerance).all()
    assert (np.abs(np.subtract(last[:3], after[:3])) <= tolerance).all()


@given(st.lists(st.floats(-100.0, 100.0), min_size=6, max_size=6), st.floats(0.01, 3.0))
@settings(max_examples=300)
def test_the_peaks_of_a_quintic_are_its_peaks(coefficients, length) -> None:
    curve = np.polynomial.Polynomial(coefficients)
    u = np.linspace(0.0, length, 2001)
    for order, peak in enumerate(quintic_peaks(tuple(coefficients), length), start=1):
        sampled = np.abs(curve.deriv(order)(u)).max()
        steepest = np.abs(curve.deriv(order + 1)(u)).max() * u[1]
        assert sampled * (1.0 - 1e-12) <= peak <= sampled + steepest + 1e-12 * peak


@given(cycles())
@settings(max_examples=20)
def test_the_same_cam_gives_the_same_bits(cam) -> None:
    x = np.linspace(-1.0, 5.0, 301)
    assert cam.sample(x).tobytes() == cam.sample(x).tobytes()


@pytest.mark.parametrize("law", LAWS, ids=lambda law: law.name)
def test_a_law_stays_within_its_coefficients(law: CamLaw) -> None:
    """The table of a law exceeds the law's peaks by no more than its own approximation."""
    c = law.coefficients
    peaks = np.abs(CamTable.from_law(law).sample(np.linspace(0.0, 1.0, 4001))).max(axis=0)
    assert (peaks[1:] <= np.array([c.velocity, c.acceleration, c.jerk]) * 1.002).all()
