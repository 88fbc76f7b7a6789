"""The virtual master runs, stops and reverses on the path, and never passes a hold."""

import re

import numpy as np
import pytest

from motion.master import (
    MASTER_HELD,
    MASTER_HOLD_MISSED,
    MASTER_INPUT_INVALID,
    MASTER_RUNNING,
    new_master,
    shift_master,
    step_master,
    step_master_towards,
    stopping_distance,
)

PERIOD_S = 0.001


def run(master, target, hold=None, steps=2000):
    """Steps until the master stands or runs evenly; positions and the last code."""
    positions = []
    for _ in range(steps):
        if hold is None:
            code = step_master(master, target, PERIOD_S)
        else:
            code = step_master_towards(master, target, hold, PERIOD_S)
        positions.append(float(master["position"]))
    return np.array(positions), code


def test_it_reaches_the_override_exactly_and_in_the_shortest_time() -> None:
    master = new_master(acceleration_max=4.0, jerk_max=80.0)[0]
    run(master, 1.0, steps=299)
    assert master["speed"] < 1.0
    run(master, 1.0, steps=2)  # 1/4 s plus 4/80 s
    assert (master["speed"], master["acceleration"]) == (1.0, 0.0)


@pytest.mark.parametrize("side", [1.0, -1.0])
def test_the_stopping_distance_is_what_a_stop_takes(side: float) -> None:
    master = new_master(4.0, 80.0)[0]
    run(master, side, steps=130)
    promised = master["position"] + stopping_distance(master)
    run(master, 0.0)
    assert master["position"] == pytest.approx(promised, abs=1e-13)
    assert (master["speed"], master["acceleration"]) == (0.0, 0.0)


@pytest.mark.parametrize("side", [1.0, -1.0])
def test_it_stops_exactly_on_a_hold_and_resumes_when_it_is_lifted(side: float) -> None:
    master = new_master(4.0, 80.0)[0]
    positions, code = run(master, side, side * 0.5)
    assert (master["position"], code) == (side * 0.5, MASTER_HELD)
    assert (side * positions <= 0.5).all()
    _, code = run(master, side, side * 1.5, steps=400)
    assert code == MASTER_RUNNING
    assert master["speed"] == side


def test_a_hold_ahead_does_not_slow_it_before_it_must() -> None:
    free, held = new_master(4.0, 80.0)[0], new_master(4.0, 80.0)[0]
    for _ in range(2000):
        step_master(free, 1.0, PERIOD_S)
        step_master_towards(held, 1.0, 1.0, PERIOD_S)
        if 1.0 - free["position"] < stopping_distance(free):
            break
        assert held["position"] == pytest.approx(free["position"], abs=1e-13)
    assert free["position"] > 0.8


def test_a_hold_at_the_last_possible_point_is_still_met() -> None:
    master = new_master(4.0, 80.0)[0]
    run(master, 1.0, steps=700)
    hold = float(master["position"] + stopping_distance(master))
    _, code = run(master, 1.0, hold)
    assert (master["position"], code) == (hold, MASTER_HELD)


def test_a_hold_that_comes_too_late_is_reported_and_the_master_stops_at_once() -> None:
    master = new_master(4.0, 80.0)[0]
    run(master, 1.0, steps=700)
    stop = float(master["position"] + stopping_distance(master))
    _, code = run(master, 1.0, stop - 0.01)
    assert code == MASTER_HOLD_MISSED
    assert master["position"] == pytest.approx(stop, abs=1e-13)
    assert master["speed"] == 0.0


def test_shifting_the_origin_changes_nothing_else() -> None:
    one, other = new_master(4.0, 80.0)[0], new_master(4.0, 80.0)[0]
    for k in range(1500):
        step_master_towards(one, 1.0, 1.0, PERIOD_S)
        offset = 0.25 if k >= 300 else 0.0
        if k == 300:
            shift_master(other, -0.25)
        step_master_towards(other, 1.0, 1.0 - offset, PERIOD_S)
        assert other["position"] + offset == pytest.approx(one["position"], abs=1e-12)
    assert other["position"] == 0.75


@pytest.mark.parametrize(
    ("target", "hold", "period"),
    [(np.nan, 1.0, 0.001), (np.inf, 1.0, 0.001), (1.0, np.nan, 0.001), (1.0, 1.0, -0.001)],
)
def test_bad_input_does_not_move_it(target: float, hold: float, period: float) -> None:
    masters = new_master(4.0, 80.0)
    before = masters.tobytes()
    code = step_master_towards(masters[0], target, hold, period)
    assert (code, masters.tobytes()) == (MASTER_INPUT_INVALID, before)


def test_a_master_without_limits_does_not_move() -> None:
    masters = new_master(4.0, 80.0)
    masters["jerk_max"] = 0.0
    assert step_master(masters[0], 1.0, PERIOD_S) == MASTER_INPUT_INVALID


def test_limits_are_refused_by_name_and_value() -> None:
    with pytest.raises(ValueError, match=re.escape("master: jerk_max = -1: must be finite")):
        new_master(4.0, -1.0)
