"""Variants and disturbances of the plant: pneumatic fingers, drift, warmth, curl, safety and web faults."""

import numpy as np
import pytest

from drivers.cia402 import ErrorCode
from drivers.image import AxisId, Polarity
from hal_sim.context import context_record, make_context
from hal_sim.faults import RECOVERABLE, Fault, FaultKind, schedule_faults, seeded_faults
from hal_sim.plant.sheets import begin_sheets_cycle
from hal_sim.plant.web import begin_web_cycle
from tests.simulation.scripted_machine import PERIOD_NS, PERIOD_S, ScriptedStation, plant_settings

FINGER = AxisId.FINGER_LEFT_FRONT_IN


@pytest.fixture(scope="module")
def referenced() -> ScriptedStation:
    return ScriptedStation(13).start()


@pytest.fixture
def machine(referenced: ScriptedStation) -> ScriptedStation:
    return referenced.copy()


def strike(machine: ScriptedStation, kind: FaultKind, **more: float) -> None:
    """A fault that strikes now."""
    schedule_faults(machine.context, [Fault(kind, **more)])  # type: ignore[arg-type]


def test_a_pneumatic_finger_takes_its_time_and_scatters() -> None:
    machine = ScriptedStation(2, fingers__pneumatic_stroke_s=0.06, fingers__pneumatic_sigma_s=0.002)
    machine.power_up()
    machine.home()
    machine.station["judge"]["edges"]["inside"] = 1
    times = []
    row = machine.outputs["axes"][FINGER]
    for goal in (0.015, 0.0) * 20:
        row["target_position_m"] = goal
        cycles = 0
        while abs(float(machine.inputs["axes"][FINGER]["actual_position_m"]) - goal) > 1e-4:
            machine.cycle()
            cycles += 1
            assert cycles < 200
        times.append(cycles * PERIOD_S)
    assert np.mean(times) == pytest.approx(0.06, rel=0.03)
    assert 0.001 < np.std(times) < 0.004
    assert int(machine.inputs["axes"][FINGER]["error_code"]) == 0


def test_the_pick_drifts_five_micrometres_a_minute() -> None:
    record = context_record(make_context(plant_settings(), 1, PERIOD_NS, 1))
    for _ in range(600):
        begin_sheets_cycle(record["plant"], record["stations"][0], 0, 0.1)
    drift = np.abs(record["stations"][0]["feeders"][0]["drift"])
    assert drift[:2] == pytest.approx([5e-6, 5e-6], rel=0.01)


def placement_of_a_cathode(**overrides: float) -> np.ndarray:
    """Where the second sheet of a cell comes to lie, without any other scatter."""
    quiet = {
        f"scatter__{name}_m": 0.0 for name in ("pick", "table", "correction", "release", "cut")
    }
    quiet |= {f"scatter__{name}_rad": 0.0 for name in ("pick", "release", "web_drag")}
    quiet |= {"scatter__web_drag_m": 0.0, "scatter__drift_m_s": 0.0}
    quiet |= {"sheet_camera__sigma_m": 0.0, "sheet_camera__sigma_rad": 0.0}
    machine = ScriptedStation(3, **{**quiet, **overrides}).start()
    machine.settle_cycles = 20
    machine.stack(2)
    assert machine.told() == []
    pose: np.ndarray = machine.station["judge"]["layers"][1]["pose"].copy()
    return pose


def test_without_scatter_a_corrected_sheet_lies_true() -> None:
    assert np.abs(placement_of_a_cathode()[:2]).max() < 5e-6


def test_a_warm_machine_lays_beside_its_mark() -> None:
    cold = placement_of_a_cathode()
    warm = placement_of_a_cathode(scatter__thermal_drift_m=1e-4, scatter__thermal_time_s=1.0)
    assert warm[:2] - cold[:2] == pytest.approx([-1e-4, 1e-4], abs=3e-6)


def test_a_fast_arm_lets_its_sheet_curl() -> None:
    calm = placement_of_a_cathode(scatter__curl_s=0.0)
    curled = placement_of_a_cathode(scatter__curl_s=1e-3)
    assert np.abs(curled[:2] - calm[:2]).max() > 1e-5


def test_an_eccentric_roll_makes_the_loop_breathe() -> None:
    def swing(eccentricity_m: float) -> float:
        settings = plant_settings(web__unwind__eccentricity_m=eccentricity_m)
        record = context_record(make_context(settings, 1, PERIOD_NS, 1))
        station = record["stations"][0]
        unwind, web = station["axes"][AxisId.UNWIND], station["web"]
        loops, nip = [], 0.0
        unwind["velocity_m_s"] = 10.0
        for _ in range(1000):
            unwind["position_m"] += 10.0 * PERIOD_S
            begin_web_cycle(record["plant"], station, nip, PERIOD_S)
            nip = float(web["nip_m"])
            web["nip_m"] += 10.0 * PERIOD_S * 0.12
            loops.append(float(web["loop_m"]))
        return float(np.ptp(loops))

    assert swing(0.0) < 1e-4
    assert swing(0.002) == pytest.approx(0.004, rel=0.1)


def test_an_open_door_removes_torque_at_once(machine: ScriptedStation) -> None:
    strike(machine, FaultKind.DOOR_OPEN, duration_s=0.1)
    machine.cycle(3)
    assert machine.inputs["door_closed"] == 0
    assert machine.inputs["safe_torque_off_ok"] == 0
    assert int(machine.inputs["axes"][0]["error_code"]) == ErrorCode.SAFE_TORQUE_OFF
    machine.cycle(120)
    assert machine.inputs["door_closed"] == 1


def test_without_air_there_is_no_vacuum(machine: ScriptedStation) -> None:
    machine.arm(0, z=0.0)
    machine.vacuum(0, True)
    strike(machine, FaultKind.AIR_LOW)
    machine.cycle(100)
    assert machine.inputs["air_pressure_ok"] == 0
    assert float(machine.inputs["vacuum_pa"][1]) < 20e3


def test_a_splice_and_the_rolls_end_are_seen(machine: ScriptedStation) -> None:
    strike(machine, FaultKind.SPLICE, duration_s=0.05)
    strike(machine, FaultKind.ROLL_END, magnitude=1.0)
    machine.cycle(10)
    assert machine.inputs["splice_detected"] == 1
    assert float(machine.inputs["roll_radius_m"]) == pytest.approx(0.045, abs=1e-3)
    machine.cycle(60)
    assert machine.inputs["splice_detected"] == 0


def test_a_frozen_load_cell_keeps_its_stamp(machine: ScriptedStation) -> None:
    strike(machine, FaultKind.TENSION_FROZEN)
    machine.cycle(2)
    stamp, value = int(machine.inputs["tension_stamp_ns"]), float(machine.inputs["tension_n"])
    machine.cycle(50)
    assert int(machine.inputs["tension_stamp_ns"]) == stamp
    assert float(machine.inputs["tension_n"]) == value


def test_a_bad_cell_fails_its_insulation_test(machine: ScriptedStation) -> None:
    machine.outputs["hipot_test"] = 1
    machine.cycle(5)
    assert float(machine.inputs["hipot_resistance_ohm"]) == pytest.approx(1e9, rel=0.3)
    machine.outputs["hipot_test"] = 0
    strike(machine, FaultKind.HIPOT_BAD)
    machine.cycle(5)
    machine.outputs["hipot_test"] = 1
    machine.cycle(5)
    assert float(machine.inputs["hipot_resistance_ohm"]) < 1e6


def test_a_fault_can_wait_for_a_sheet(machine: ScriptedStation) -> None:
    strike(machine, FaultKind.DOOR_OPEN, at_sheet=1)
    machine.cycle(100)
    assert machine.inputs["door_closed"] == 1
    machine.station["judge"]["sheets_laid"] = 1
    machine.cycle(2)
    assert machine.inputs["door_closed"] == 0


def test_seeded_faults_are_the_same_for_a_seed_and_cover_every_kind() -> None:
    faults = seeded_faults(5, 2000, 20)
    assert faults == seeded_faults(5, 2000, 20)
    assert faults != seeded_faults(6, 2000, 20)
    assert 60 < len(faults) < 140
    assert {fault.kind for fault in faults} == set(RECOVERABLE)
    assert {fault.index for fault in faults if fault.kind == FaultKind.PICK_MISS} == set(Polarity)
    context = make_context(plant_settings(), 1, PERIOD_NS, 1)
    schedule_faults(context, faults)
    assert int(context_record(context)["fault_count"]) == len(faults)


def test_more_faults_than_the_schedule_holds_are_refused() -> None:
    with pytest.raises(ValueError, match="at most 256"):
        seeded_faults(5, 5000, 1)
