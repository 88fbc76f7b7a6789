"""Web and table obey hand calculations: span stiffness, dancer balance, fold geometry, modal frequency."""

from itertools import pairwise
from math import exp, log, pi, sqrt

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drivers.image import AxisId
from hal_sim.context import context_record, make_context
from hal_sim.faults import Fault, FaultKind, schedule_faults
from hal_sim.layout import WebEnd
from hal_sim.mathematics import arctangent, cosine, exponential, sine
from hal_sim.plant.fold import free_length
from hal_sim.plant.web import step_web
from tests.simulation.scripted_machine import PERIOD_NS, ScriptedStation, plant_settings

STEP_S = 2.5e-4


@pytest.fixture(scope="module")
def running() -> ScriptedStation:
    return ScriptedStation(4).start()


def test_own_functions_agree_with_mathematics() -> None:
    for value in np.linspace(-9.0, 9.0, 1001):
        assert sine(value) == pytest.approx(np.sin(value), abs=2e-8)
        assert cosine(value) == pytest.approx(np.cos(value), abs=2e-8)
        assert arctangent(value) == pytest.approx(np.arctan(value), abs=1e-8)
        assert exponential(value) == pytest.approx(exp(value), rel=1e-8)


def test_a_millimetre_of_feed_error_is_four_newtons() -> None:
    record = context_record(make_context(plant_settings(), 1, PERIOD_NS, 1))
    plant, station = record["plant"], record["stations"][0]
    plant["dancer_mass_kg"] = 1e9  # held
    station["web"]["base_m"] = 1e-3
    for _ in range(4000):
        step_web(plant, station, 6.0, STEP_S)
    area_stiffness_n = 0.9e9 * 12e-6 * 0.307
    assert float(station["web"]["tension_n"]) == pytest.approx(area_stiffness_n / 0.8e3, rel=0.01)
    assert 4.05 < float(station["web"]["tension_n"]) < 4.25


def test_six_newtons_at_the_dancer_hold_three_in_the_web(running: ScriptedStation) -> None:
    machine = running.copy()
    machine.cycle(3000)
    dancer = float(machine.inputs["dancer_position_m"])
    balance = (6.0 - 50.0 * dancer) / 2.0
    assert float(machine.station["web"]["tension_n"]) == pytest.approx(balance, abs=0.06)
    assert float(machine.inputs["tension_n"]) == pytest.approx(3.0, abs=0.3)


def test_the_nip_lags_its_roller_by_seven_milliseconds_known_to_three_per_cent() -> None:
    for seed in range(5):
        record = context_record(make_context(plant_settings(), 1, PERIOD_NS, seed))
        plant, station = record["plant"], record["stations"][0]
        station["axes"][AxisId.FEED]["position_m"] = 1.0
        steps = 0
        while float(station["web"]["nip_m"]) < 1.0 - exp(-1.0):
            step_web(plant, station, 0.0, STEP_S / 10)
            steps += 1
        assert steps * STEP_S / 10 == pytest.approx(0.007, rel=0.035)


def test_a_web_fed_too_far_is_slack_and_pulls_nothing(running: ScriptedStation) -> None:
    machine = running.copy()
    schedule_faults(machine.context, [Fault(FaultKind.WEB_SLACK, magnitude=0.2)])
    machine.cycle(100)
    assert float(machine.station["web"]["tension_n"]) == 0.0


def test_a_broken_web_stays_broken_until_it_is_threaded(running: ScriptedStation) -> None:
    machine = running.copy()
    schedule_faults(machine.context, [Fault(FaultKind.WEB_BREAK)])
    machine.move({AxisId.TABLE_X: 0.0})
    assert machine.station["web"]["end"] == WebEnd.BROKEN
    assert float(machine.station["web"]["tension_n"]) == 0.0
    machine.move({AxisId.TABLE_X: 0.1, AxisId.CUT: 0.04})
    assert machine.station["web"]["end"] == WebEnd.CUT
    machine.move({AxisId.CUT: 0.0})
    machine.cycle(10)
    assert machine.station["web"]["end"] == WebEnd.THREADED


def test_the_cutter_holds_the_web_and_its_tension(running: ScriptedStation) -> None:
    machine = running.copy()
    machine.cycle(2000)
    machine.move({AxisId.CUT: 0.04})
    assert machine.station["web"]["end"] == WebEnd.CUT
    machine.move({AxisId.TABLE_X: 0.0})
    machine.cycle(1000)
    assert float(machine.station["web"]["tension_n"]) == pytest.approx(3.0, abs=0.3)


def lower_hull(plant: np.void, points: list[tuple[float, float]]) -> float:
    """The taut string by brute force: a roller of many corners, all points, the lower hull."""
    r, height = float(plant["roller_radius_m"]), float(plant["roller_height_m"])
    if r > 0.0:
        angles = np.linspace(0.0, 0.5 * pi, 4001)
        arc = [(r - r * np.cos(a), height + r - r * np.sin(a)) for a in angles]
        cloud = sorted([*points, *arc, (0.0, height + r)])
    else:
        cloud = sorted([*points, (0.0, height)])
    hull: list[tuple[float, float]] = []
    for point in cloud:
        while len(hull) > 1:
            (ax, az), (bx, bz) = hull[-2], hull[-1]
            if (bx - ax) * (point[1] - az) - (bz - az) * (point[0] - ax) <= 0.0:
                hull.pop()
            else:
                break
        hull.append(point)
    return sum(sqrt((b[0] - a[0]) ** 2 + (b[1] - a[1]) ** 2) for a, b in pairwise(hull))


@settings(max_examples=60, deadline=None, print_blob=True)
@given(
    fold=st.floats(0.03, 0.16),
    edge=st.floats(0.03, 0.2),
    edge_z=st.floats(0.0, 0.05),
    tip=st.floats(0.025, 0.1),
    tip_z=st.floats(0.0, 0.006),
    radius=st.sampled_from([0.0, 0.01]),
)
def test_the_webs_path_is_the_shortest(
    fold: float, edge: float, edge_z: float, tip: float, tip_z: float, radius: float
) -> None:
    plant = context_record(make_context(plant_settings(), 1, PERIOD_NS, 1))["plant"]
    plant["roller_radius_m"] = radius
    tip = min(tip, edge - 0.002)
    points = [(fold, 0.0)]
    points += [(edge, edge_z)] if edge < fold else []
    points += [(tip, tip_z)] if 0.0 < tip < fold else []
    length, _ = free_length(plant, fold, edge, edge_z, tip, tip_z)
    assert length == pytest.approx(lower_hull(plant, points), abs=3e-7)


def test_a_layer_takes_a_fold_pitch_of_web(running: ScriptedStation) -> None:
    machine = running.copy()
    machine.lead_in()
    machine.half(0)
    laid = float(machine.station["web"]["laid_m"])
    machine.half(1)
    machine.half(0)
    assert float(machine.station["web"]["laid_m"]) - laid == pytest.approx(0.214, abs=1e-4)


def free_decay(layers: int) -> tuple[float, float]:
    """Frequency and damping of the load after a nudge, the carriage held by its drive."""
    machine = ScriptedStation(2, table__layer_mass_kg=0.0)
    machine.power_up()
    machine.home()
    machine.station["stack_count"] = layers
    machine.record["plant"]["axes"][AxisId.TABLE_X]["stiffness_n_m"] *= 4.0
    machine.station["deflection_m"] = 1e-4
    trace = []
    for _ in range(400):
        machine.cycle()
        trace.append(float(machine.station["load_m"]) - 0.1)
    values = np.array(trace)
    crossings = np.flatnonzero((values[:-1] < 0) & (values[1:] >= 0))
    exact = crossings - values[crossings] / (values[crossings + 1] - values[crossings])
    period_s = float(np.mean(np.diff(exact[:8]))) * 1e-3
    peaks = [values[int(a) : int(b)].max() for a, b in pairwise(exact[:8])]
    decrement = log(peaks[0] / peaks[-1]) / (len(peaks) - 1)
    return 1.0 / period_s, decrement / (2.0 * pi)


def test_the_load_swings_at_its_mode_and_lower_under_a_stack() -> None:
    empty, damping = free_decay(0)
    full, _ = free_decay(107)
    assert empty == pytest.approx(45.0, rel=0.02)
    assert damping == pytest.approx(0.03, rel=0.25)
    assert full / empty == pytest.approx(0.96, abs=0.003)


def test_the_true_mode_is_drawn_only_where_the_plant_file_says_so() -> None:
    known = context_record(make_context(plant_settings(), 2, PERIOD_NS, 9))
    assert float(known["stations"][0]["mode_rad_s"]) == pytest.approx(2 * pi * 45.0)
    open_file = plant_settings(table__mode_uncertainty=0.1)
    draws = [
        float(
            context_record(make_context(open_file, 1, PERIOD_NS, seed))["stations"][0]["mode_rad_s"]
        )
        for seed in range(20)
    ]
    assert 40.5 <= min(draws) / (2 * pi) < 43.0
    assert 47.0 < max(draws) / (2 * pi) <= 49.5
