"""The derivatives of the web's length are those of its length, wherever table and arm stand."""

import numpy as np
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from motion.fold_geometry import fold_geometry, taut_length, web_length_derivatives

STEP_M = 1e-6

geometries = st.builds(
    fold_geometry,
    st.floats(0.05, 0.12),
    st.floats(0.13, 0.25),
    st.floats(0.04, 0.2),
    st.one_of(st.just(0.0), st.floats(0.001, 0.03)),
)
sides = st.sampled_from([1.0, -1.0])


def at(geometry, side, x, h):
    return np.array(web_length_derivatives(geometry[0], side, x, h))


def touches(geometry, side, x, h):
    return at(geometry, side, x, h)[2] != 0.0


@given(geometries, sides, st.floats(-1.0, 1.0), st.floats(0.001, 0.08))
@settings(max_examples=500)
def test_derivatives_match_differences(geometry, side, share, h) -> None:
    x = share * 0.51 * float(geometry["stroke_m"][0])
    low_x, high_x = at(geometry, side, x - STEP_M, h), at(geometry, side, x + STEP_M, h)
    low_h, high_h = at(geometry, side, x, h - STEP_M), at(geometry, side, x, h + STEP_M)
    here = at(geometry, side, x, h)
    slopes_x, slopes_h = (high_x - low_x) / (2 * STEP_M), (high_h - low_h) / (2 * STEP_M)
    assert abs(slopes_x[0] - here[1]) < 1e-3
    assert abs(slopes_h[0] - here[2]) < 1e-3
    # the second derivatives jump where the sheet meets the web
    assume(len({bool(p[2] != 0.0) for p in (low_x, high_x, low_h, high_h, here)}) == 1)
    scale = 1.0 + np.abs(here[3:]).max()
    assert abs(slopes_x[1] - here[3]) < 1e-3 * scale
    assert abs(slopes_h[1] - here[4]) < 1e-3 * scale
    assert abs(slopes_x[2] - here[4]) < 1e-3 * scale
    assert abs(slopes_h[2] - here[5]) < 1e-3 * scale


@given(geometries, st.floats(-1.0, 1.0), st.floats(0.0, 0.08), st.floats(0.0, 0.08))
@settings(max_examples=300)
def test_a_lower_arm_never_needs_less_web(geometry, share, one, other) -> None:
    x = share * 0.5 * float(geometry["stroke_m"][0])
    low, high = min(one, other), max(one, other)
    assert at(geometry, 1.0, x, low)[0] >= at(geometry, 1.0, x, high)[0] - 1e-15


@given(geometries, st.floats(0.001, 0.05))
@settings(max_examples=200)
def test_length_and_speed_are_continuous_where_the_sheet_meets_the_web(geometry, h) -> None:
    low = 0.5 * float(geometry["stroke_m"][0] - 2.0 * geometry["fold_pitch_m"][0])
    high = 0.5 * float(geometry["stroke_m"][0])
    assume(not touches(geometry, 1.0, low, h) and touches(geometry, 1.0, high, h))
    for _ in range(60):
        middle = 0.5 * (low + high)
        if touches(geometry, 1.0, middle, h):
            high = middle
        else:
            low = middle
    np.testing.assert_allclose(
        at(geometry, 1.0, low, h)[:3], at(geometry, 1.0, high, h)[:3], atol=1e-9
    )


@given(geometries, sides, st.floats(0.03, 0.08))
@settings(max_examples=100)
def test_length_speed_and_acceleration_are_continuous_beneath_the_roller(geometry, side, h) -> None:
    x = -side * 0.5 * float(geometry["fold_pitch_m"][0])
    left, right = at(geometry, side, x - 1e-12, h), at(geometry, side, x + 1e-12, h)
    assume(not touches(geometry, side, x, h))
    np.testing.assert_allclose(left, right, atol=1e-8)


def shortest_under(points: list[tuple[float, float]]) -> float:
    """Shortest path from the first to the last point that passes under all between, of which
    there are two at most: every choice of bends is tried.
    """
    first, *between, last = points
    best = np.inf
    for keep in range(1 << len(between)):
        bends = [point for k, point in enumerate(between) if keep >> k & 1]
        path = np.array([first, *bends, last])
        heights = np.interp([x for x, _ in between], path[:, 0], path[:, 1])
        if all(height <= z + 1e-12 for height, (_, z) in zip(heights, between, strict=True)):
            best = min(best, float(np.hypot(*np.diff(path, axis=0).T).sum()))
    return best


@given(st.floats(0.005, 0.2), st.floats(0.1, 0.99), st.floats(0.1, 0.99), st.floats(0.0, 0.059),
       st.floats(0.0, 0.059))  # fmt: skip
@settings(max_examples=500)
def test_a_finger_nearer_the_rollers_bends_the_web_too(fold_x, share, nearer, edge_z, finger_z):
    edge_x, geometry = share * fold_x, fold_geometry(0.1, 0.2, 0.06)
    finger_x = nearer * edge_x
    found = taut_length(geometry[0], fold_x, edge_x, edge_z, finger_x, finger_z)
    points = [(0.0, 0.06), (finger_x, finger_z), (edge_x, edge_z), (fold_x, 0.0)]
    assert abs(found - shortest_under(points)) < 1e-12
