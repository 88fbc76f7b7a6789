"""The web's length follows from the fold, the sheet's edge and the roller."""

import re

import numpy as np
import pytest

from motion.fold_geometry import (
    fold_geometry,
    web_at_swap,
    web_length,
    web_length_derivatives,
    web_motion,
)

GEOMETRY = fold_geometry(fold_pitch_m=0.107, stroke_m=0.2, roller_height_m=0.06)
ARM_UP = 0.045


def length_mm(table_x: float, arm_height: float = ARM_UP) -> float:
    return 1e3 * web_length(GEOMETRY[0], 1.0, table_x, arm_height)[0]


def test_a_layer_gives_slack_then_asks_for_web_then_for_more_under_the_arm() -> None:
    left, beneath, right = (length_mm(x) for x in (-0.1, -0.0535, 0.1))
    pressed = length_mm(0.1, arm_height=0.0)
    assert left == pytest.approx(75.9, abs=0.05)
    assert beneath == pytest.approx(60.0)
    assert left - beneath == pytest.approx(16.0, abs=0.1)
    assert right - beneath == pytest.approx(104.8, abs=0.05)
    assert pressed - right == pytest.approx(18.1, abs=0.05)


def test_the_fold_changes_sides_without_a_jump() -> None:
    for radius in (0.0, 0.01):
        geometry = fold_geometry(0.107, 0.2, 0.06, radius)
        before = web_length(geometry[0], 1.0, 0.1, 0.0)
        after = web_length(geometry[0], -1.0, 0.1, ARM_UP)
        assert before[0] - after[0] == pytest.approx(0.107, abs=1e-15)
        assert web_at_swap(geometry) == pytest.approx(0.107, abs=1e-15)


def test_both_sides_mirror_each_other() -> None:
    for x, h in ((-0.03, 0.04), (0.08, 0.01), (0.1, 0.0)):
        right = web_length_derivatives(GEOMETRY[0], 1.0, x, h)
        left = web_length_derivatives(GEOMETRY[0], -1.0, -x, h)
        signs = np.array([1.0, -1.0, 1.0, 1.0, -1.0, 1.0])
        np.testing.assert_array_equal(np.array(left) * signs, right)


def shortest_by_search(geometry: np.void, x: float, h: float) -> float:
    """Web length by brute force: wrap angle on the roller and contact with the sheet's edge."""
    radius, height = geometry["roller_radius_m"], geometry["roller_height_m"]
    fold = np.array([x + 0.5 * geometry["fold_pitch_m"], 0.0])
    edge = np.array([0.5 * (geometry["stroke_m"] - geometry["fold_pitch_m"]), h])
    lean = np.linspace(0.0, np.pi / 2.0, 200001)
    side = 1.0 if fold[0] >= 0.0 else -1.0
    contact_x = side * radius * (1.0 - np.cos(lean))
    contact_z = height + radius - radius * np.sin(lean)

    def taut(point: np.ndarray) -> tuple[float, float]:
        paths = radius * lean + np.hypot(contact_x - point[0], contact_z - point[1])
        # the web cannot cut through the roller: it leaves it along its tangent
        along = np.sin(lean) * side * (point[0] - contact_x)
        along += np.cos(lean) * (contact_z - point[1])
        away = np.abs(
            np.cos(lean) * side * (point[0] - contact_x) - np.sin(lean) * (contact_z - point[1])
        )
        best = int(np.argmin(np.where(along > 0.0, away, np.inf)))
        return float(paths[best]), float(lean[best])

    straight, angle = taut(fold)
    reach = edge[0] - side * radius * (1.0 - np.cos(angle))
    line_height = height + radius - radius * np.sin(angle) - reach / np.tan(angle)
    if fold[0] > edge[0] and line_height > h:
        return taut(edge)[0] + float(np.hypot(*(fold - edge)))
    return straight


@pytest.mark.parametrize("radius", [0.0, 0.01, 0.03])
def test_the_length_is_that_of_the_shortest_path(radius: float) -> None:
    geometry = fold_geometry(0.107, 0.2, 0.06, radius)[0]
    for x in np.linspace(-0.1, 0.1, 9):
        for h in (0.0, 0.01, 0.03, ARM_UP):
            found = web_length(geometry, 1.0, x, h)[0]
            assert found == pytest.approx(shortest_by_search(geometry, x, h), abs=2e-6)


def test_the_feed_forward_is_the_chain_rule() -> None:
    """Speed and acceleration of the web while table and arm both move."""
    t, h = np.linspace(0.0, 0.01, 101), 1e-4
    tables = np.stack(
        [0.09 + 0.5 * t - 20.0 * t**2, 0.5 - 40.0 * t, np.full_like(t, -40.0)], axis=1
    )
    arms = np.stack([0.03 - 1.0 * t + 15.0 * t**2, -1.0 + 30.0 * t, np.full_like(t, 30.0)], axis=1)
    web = np.array(
        [
            web_motion(GEOMETRY[0], 1.0, tuple(x), tuple(a))
            for x, a in zip(tables, arms, strict=True)
        ]
    )
    slopes = (web[2:, :2] - web[:-2, :2]) / (2.0 * h)
    np.testing.assert_allclose(slopes, web[1:-1, 1:], rtol=1e-4)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("fold_pitch_m", 0.0),
        ("stroke_m", -1.0),
        ("roller_height_m", np.nan),
        ("roller_radius_m", -1),
    ],
)
def test_impossible_dimensions_are_refused_by_name(name: str, value: float) -> None:
    sizes = {"fold_pitch_m": 0.1, "stroke_m": 0.2, "roller_height_m": 0.06, "roller_radius_m": 0.0}
    with pytest.raises(ValueError, match=re.escape(f"fold geometry: {name} = {value:g}")):
        fold_geometry(**(sizes | {name: value}))
