"""Sheets, vacuum and cameras: shares, scatter and latencies are those of the plant file."""

from math import sqrt
from typing import Any

import numpy as np
import pytest
from numba import njit

from drivers.image import AxisId, ReadingQuality
from hal_sim.context import context_record, make_context
from hal_sim.faults import Fault, FaultKind, schedule_faults
from hal_sim.judge.figures import figures
from hal_sim.noise import Stream, draw_cheap, draw_lognormal, draw_normal, draw_uniform
from hal_sim.plant.sheets import command_vacuum, step_gripper
from hal_sim.sensors.cameras import answer_sheet_camera, trigger_sheet_camera
from tests.simulation.scripted_machine import BACK_M, PERIOD_NS, UP_M, ScriptedStation
from tests.simulation.scripted_machine import plant_settings as settings_of

FETCH = 1
ARM_X, ARM_Z = AxisId.ANODE_ARM_X, AxisId.ANODE_ARM_Z
STEP_S = 2.5e-4


@pytest.fixture(scope="module")
def referenced() -> ScriptedStation:
    return ScriptedStation(11).start()


@pytest.fixture
def machine(referenced: ScriptedStation) -> ScriptedStation:
    return referenced.copy()


def bare_station(**overrides: Any) -> tuple[Any, Any]:
    """Plant and station records with the anode arm over its magazine, nothing else moving."""
    record = context_record(make_context(settings_of(**overrides), 1, PERIOD_NS, 2))
    station = record["stations"][0]
    station["axes"]["position_m"][ARM_X] = BACK_M
    station["axes"]["position_m"][ARM_Z] = 0.0
    return record["plant"], station


@njit(cache=True, nogil=True, error_model="numpy")
def pick_once(plant, station):
    """Switch the fetching gripper on; the time until its vacuum is made, 0 for a miss."""
    command_vacuum(plant, station, FETCH, 1)
    made = 0
    for number in range(1, 601):
        step_gripper(plant, station, FETCH, STEP_S)
        if made == 0 and station.grippers[FETCH].pressure_pa > 40e3:
            made = number
    return made * STEP_S


@njit(cache=True, nogil=True, error_model="numpy")
def let_go(plant, station):
    """Switch the gripper off; the time until the vacuum is gone."""
    command_vacuum(plant, station, FETCH, 0)
    number = 0
    while station.grippers[FETCH].pressure_pa > 5e3:
        step_gripper(plant, station, FETCH, STEP_S)
        number += 1
    for _ in range(80):
        step_gripper(plant, station, FETCH, STEP_S)
    return number * STEP_S


def test_noise_is_what_it_says() -> None:
    streams = context_record(make_context(settings_of(), 1, PERIOD_NS, 1))["stations"][0]["streams"]
    for draw, sigma in ((draw_cheap, 1.0), (draw_normal, 1.0), (draw_uniform, sqrt(1 / 12))):
        values = np.array([draw(streams, int(Stream.SENSOR)) for _ in range(20000)])
        assert np.std(values) == pytest.approx(sigma, rel=0.03)
    latencies = [draw_lognormal(streams, int(Stream.SENSOR), 0.04, 0.269) for _ in range(20000)]
    assert np.median(latencies) == pytest.approx(0.04, rel=0.02)


def test_one_stream_does_not_shift_another() -> None:
    first, second = (
        context_record(make_context(settings_of(), 1, PERIOD_NS, 1))["stations"][0]["streams"]
        for _ in range(2)
    )
    for _ in range(100):
        draw_normal(first, int(Stream.EDGE))
    assert draw_normal(first, int(Stream.FEED)) == draw_normal(second, int(Stream.FEED))


def test_vacuum_takes_its_time_and_sometimes_misses() -> None:
    plant, station = bare_station(vacuum__miss_share=0.1, vacuum__double_share=0.1)
    made, gone, misses, doubles = [], [], 0, 0
    for _ in range(250):
        time_s = pick_once(plant, station)
        if time_s:
            made.append(time_s)
            doubles += int(station["grippers"][FETCH]["sheet"]["count"]) == 2
        else:
            misses += 1
        gone.append(let_go(plant, station))
    assert np.median(made) == pytest.approx(0.030, rel=0.05)
    assert np.std(made) == pytest.approx(0.004, rel=0.25)
    assert np.median([time_s for time_s in gone if time_s > 0.012]) == pytest.approx(0.02, rel=0.1)
    assert 10 < misses < 45
    assert 10 < doubles < 45
    taken = 600 - int(station["feeders"][0]["magazine"])
    assert taken == 0  # every sheet went back


def test_a_fetched_sheet_scatters_as_the_plant_file_says() -> None:
    plant, station = bare_station()
    poses = []
    for _ in range(200):
        if pick_once(plant, station):
            poses.append(station["grippers"][FETCH]["sheet"]["pose"].copy())
        let_go(plant, station)
    spread = np.std(np.array(poses), axis=0)
    assert spread[:2] == pytest.approx([3e-4, 3e-4], rel=0.2)
    assert spread[2] == pytest.approx(np.radians(0.15), rel=0.2)


def staged_station(**overrides: Any) -> tuple[Any, Any, Any]:
    """A station with an anode on its stage, and a place for readings."""
    machine = ScriptedStation(1, **overrides)
    plant, station = machine.record["plant"], machine.station
    station["feeders"][0]["staged"]["count"] = 1
    station["axes"]["position_m"][AxisId.ANODE_STAGE_X : AxisId.ANODE_STAGE_X + 3] = 0.0
    return plant, station, machine.inputs["sheet_cameras"][0]


def shoot(plant: Any, station: Any, reading: Any, number: int) -> float:
    """One exposure at time 0 of the staged sheet; its latency in s."""
    trigger_sheet_camera(plant, station, 0, number, 12345, 0)
    due_ns = int(station["feeders"][0]["camera"]["due_ns"])
    answer_sheet_camera(plant, station, 0, reading, due_ns - 1)
    assert int(reading["sequence"]) == number - 1
    answer_sheet_camera(plant, station, 0, reading, due_ns)
    assert int(reading["sequence"]) == number
    return due_ns * 1e-9


def test_camera_latency_is_lognormal_with_a_tail() -> None:
    plant, station, reading = staged_station(sheet_camera__failure_share=0.0)
    latencies, values = [], []
    for number in range(1, 3001):
        latencies.append(shoot(plant, station, reading, number))
        values.append([float(reading["x_m"]), float(reading["y_m"]), float(reading["theta_rad"])])
    assert np.median(latencies) == pytest.approx(0.04, abs=0.0015)
    late = float(np.mean(np.array(latencies) > 0.08))
    assert 0.0015 < late < 0.011
    spread = np.std(np.array(values), axis=0)
    assert spread[:2] == pytest.approx([1e-5, 1e-5], rel=0.1)
    assert spread[2] == pytest.approx(np.radians(0.01), rel=0.1)
    assert int(reading["captured_ns"]) == 12345


def test_an_empty_stage_gives_a_failed_reading() -> None:
    plant, station, reading = staged_station()
    station["feeders"][0]["staged"]["count"] = 0
    shoot(plant, station, reading, 1)
    assert reading["quality"] == ReadingQuality.FAILED


def test_cameras_fail_as_the_schedule_says(machine: ScriptedStation) -> None:
    machine.station["feeders"][0]["staged"]["count"] = 1
    now = int(machine.record["time_ns"]) * 1e-9
    kinds = [
        Fault(FaultKind.CAMERA_FAILED, at_s=now, duration_s=0.3),
        Fault(FaultKind.CAMERA_SILENT, at_s=now + 0.5, duration_s=0.3),
        Fault(FaultKind.CAMERA_OUTLIER, at_s=now + 1.0, magnitude=0.003),
        Fault(FaultKind.CAMERA_LATE, at_s=now + 1.5, magnitude=0.2),
    ]
    schedule_faults(machine.context, kinds)
    camera, trigger = machine.inputs["sheet_cameras"][0], machine.outputs["sheet_camera_trigger"]
    told = []
    for _ in range(4):
        machine.cycle(5)
        trigger[0] += 1
        machine.cycle(195)
        told.append((int(camera["sequence"]), int(camera["quality"]), float(camera["x_m"])))
        machine.cycle(300)
    failed, silent, outlier, late = told
    assert failed[:2] == (1, ReadingQuality.FAILED)
    assert silent[0] == 1
    assert outlier[:2] == (3, ReadingQuality.GOOD)
    assert outlier[2] == pytest.approx(0.003, abs=1e-4)
    assert late[0] == 3
    assert int(camera["sequence"]) == 4


def test_a_sheet_that_is_not_wanted_goes_to_the_bin(machine: ScriptedStation) -> None:
    machine.arm(0, z=0.0)
    machine.vacuum(0, True)
    machine.arm(0, z=UP_M)
    machine.arm(0, x=-0.125)
    machine.vacuum(0, False)
    assert figures(machine.context)["discarded_sheets"] == 1
    assert machine.told() == []


def test_a_double_sheet_is_thick(machine: ScriptedStation) -> None:
    schedule_faults(machine.context, [Fault(FaultKind.DOUBLE_SHEET)])
    machine.arm(0, z=0.0)
    machine.vacuum(0, True)
    assert float(machine.inputs["sheet_thickness_m"][0]) == pytest.approx(2 * 238e-6, abs=2e-5)


def test_a_planned_miss_happens_and_the_next_try_holds(machine: ScriptedStation) -> None:
    schedule_faults(machine.context, [Fault(FaultKind.PICK_MISS)])
    machine.arm(0, z=0.0)
    machine.vacuum(0, True)
    assert float(machine.inputs["vacuum_pa"][FETCH]) < 15e3
    machine.vacuum(0, False)
    machine.vacuum(0, True)
    assert float(machine.inputs["vacuum_pa"][FETCH]) > 55e3


def test_a_vacuum_lost_by_a_fault_drops_the_sheet_without_blame(machine: ScriptedStation) -> None:
    machine.arm(0, z=0.0)
    machine.vacuum(0, True)
    machine.arm(0, z=UP_M)
    schedule_faults(machine.context, [Fault(FaultKind.VACUUM_LOSS, index=FETCH)])
    machine.cycle(200)
    assert float(machine.inputs["vacuum_pa"][FETCH]) < 5e3
    assert figures(machine.context)["dropped_sheets"] == 1
    assert machine.told() == []


def test_an_empty_magazine_is_seen_and_gives_nothing(machine: ScriptedStation) -> None:
    schedule_faults(machine.context, [Fault(FaultKind.MAGAZINE_EMPTY, duration_s=1.0)])
    machine.cycle(2)
    assert machine.inputs["magazine_sheets"][0] == 0
    machine.arm(0, z=0.0)
    machine.vacuum(0, True)
    assert float(machine.inputs["vacuum_pa"][FETCH]) < 15e3


def test_a_magazine_is_filled_up_again() -> None:
    machine = ScriptedStation(1, sheets__magazine_sheets=5, sheets__magazine_refill_below=5)
    machine.start()
    machine.arm(0, z=0.0)
    machine.vacuum(0, True)
    machine.cycle(2)
    assert machine.inputs["magazine_sheets"][0] == 5


def test_a_fault_that_cannot_be_is_refused_by_name(machine: ScriptedStation) -> None:
    with pytest.raises(ValueError, match=r"faults\[0\].index = 4: 0 to 3"):
        schedule_faults(machine.context, [Fault(FaultKind.VACUUM_LOSS, index=4)])


def test_overlay_is_at_its_floor_where_nothing_but_noise_is_left() -> None:
    machine = ScriptedStation(21).start()
    machine.stack(15)
    overlay = figures(machine.context)["overlay_mm"]
    assert overlay["irreducible_sigma"] == pytest.approx(0.0468, rel=0.35)
    assert overlay["sigma"] == pytest.approx(overlay["irreducible_sigma"], rel=0.2)
    assert machine.told() == []
