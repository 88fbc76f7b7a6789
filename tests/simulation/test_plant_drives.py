"""The simulated drives behave as CiA 402 drives do: they refuse, lag, fault and stop by themselves."""

import numpy as np
import pytest

from drivers.cia402 import ErrorCode, Mode
from drivers.image import AXIS_COUNT, AxisId
from hal_sim.exchange import advance_without_exchange
from hal_sim.faults import Fault, FaultKind, schedule_faults
from tests.simulation.scripted_machine import PERIOD_S, ScriptedStation

X = AxisId.TABLE_X


def state_of(machine: ScriptedStation, axis: int = X) -> int:
    return int(machine.inputs["axes"][axis]["statusword"]) & 0x6F


def cruise(machine: ScriptedStation, velocity_m_s: float) -> None:
    """Bring the table to a speed without a jolt."""
    machine.outputs["axes"][X]["mode"] = Mode.CYCLIC_SYNC_VELOCITY
    for number in range(100):
        s = (number + 1) / 100
        machine.outputs["axes"][X]["velocity_offset_m_s"] = velocity_m_s * s * s * (3.0 - 2.0 * s)
        machine.cycle()


@pytest.fixture(scope="module")
def referenced() -> ScriptedStation:
    machine = ScriptedStation(3)
    machine.power_up()
    machine.home()
    return machine


@pytest.fixture
def machine(referenced: ScriptedStation) -> ScriptedStation:
    return referenced.copy()


def test_a_drive_boots_and_climbs_to_operation_enabled() -> None:
    machine = ScriptedStation(1)
    machine.cycle()
    assert state_of(machine) == 0x00
    machine.cycle(15)
    assert int(machine.inputs["axes"][X]["statusword"]) & 0x4F == 0x40
    seen = []
    for controlword in (0x06, 0x07, 0x0F):
        machine.outputs["axes"]["controlword"] = controlword
        machine.outputs["axes"]["target_position_m"] = machine.inputs["axes"]["actual_position_m"]
        machine.cycle()
        seen.append(state_of(machine))
    assert seen == [0x21, 0x23, 0x27]


def test_an_illegal_transition_is_refused() -> None:
    machine = ScriptedStation(1)
    machine.cycle(20)
    machine.outputs["axes"]["controlword"] = 0x0F
    machine.cycle(50)
    assert int(machine.inputs["axes"][X]["statusword"]) & 0x4F == 0x40


def test_an_unknown_mode_is_not_taken(machine: ScriptedStation) -> None:
    machine.outputs["axes"][X]["mode"] = 7
    machine.cycle(3)
    assert machine.inputs["axes"][X]["mode_display"] == Mode.CYCLIC_SYNC_POSITION


def test_positions_mean_nothing_before_homing_and_the_truth_after() -> None:
    machine = ScriptedStation(5)
    machine.power_up()
    truth = machine.station["axes"]["position_m"]
    told = machine.inputs["axes"]["actual_position_m"]
    movable = [axis for axis in AxisId if axis != AxisId.DANCER]
    assert np.all(np.abs(truth - told)[movable] > 1e-6)
    machine.home()
    resting = [axis for axis in movable if axis not in (AxisId.UNWIND, AxisId.WRAP)]
    assert np.all(np.abs(truth - told)[resting] < 1e-5)
    assert np.all(machine.inputs["axes"]["statusword"] & 0x6F == 0x27)


def test_a_jammed_axis_never_attains_its_reference() -> None:
    machine = ScriptedStation(5)
    jam = Fault(FaultKind.HOMING_JAMMED, index=AxisId.ANODE_ARM_X)
    schedule_faults(machine.context, [jam])
    machine.power_up()
    machine.outputs["axes"]["mode"] = Mode.HOMING
    machine.cycle()
    machine.outputs["axes"]["controlword"] = 0x1F
    machine.cycle(3000)
    words = machine.inputs["axes"]["statusword"]
    assert words[AxisId.ANODE_ARM_X] & 0x3000 == 0x2000
    assert words[AxisId.CATHODE_ARM_X] & 0x3000 == 0x1000


def test_a_fast_move_is_followed_within_the_loops_means(machine: ScriptedStation) -> None:
    machine.cycle(50)
    axis, worst = machine.station["axes"][X], 0.0
    start, goal, cycles = 0.1, -0.1, 220
    for number in range(1, cycles + 1):
        s = number / cycles
        duration = cycles * PERIOD_S
        row = machine.outputs["axes"][X]
        share = s * s * s * (10.0 + s * (6.0 * s - 15.0))
        row["target_position_m"] = start + share * (goal - start)
        row["velocity_offset_m_s"] = 30.0 * (s - s * s) ** 2 / duration * (goal - start)
        bend = 60.0 * s * (1.0 - s) * (1.0 - 2.0 * s) / duration**2 * (goal - start)
        row["force_offset_n"] = 15.0 * bend
        machine.cycle()
        worst = max(worst, abs(float(axis["position_m"]) - float(row["target_position_m"])))
    assert 1e-6 < worst < 5e-5
    row["velocity_offset_m_s"] = row["force_offset_n"] = 0.0
    machine.cycle(400)
    assert abs(float(axis["position_m"]) - goal) < 1e-6


def test_without_feed_forward_the_axis_lags(machine: ScriptedStation) -> None:
    for number in range(100):
        machine.outputs["axes"][X]["target_position_m"] = 0.1 - 1e-3 * number
        machine.cycle()
    assert float(machine.station["axes"][X]["position_m"]) - 0.001 > 1e-3


def test_the_motor_gives_no_more_than_its_peak_force(machine: ScriptedStation) -> None:
    machine.outputs["axes"][X]["target_position_m"] = 0.095
    machine.cycle()
    assert abs(float(machine.inputs["axes"][X]["actual_force_n"])) <= 900.0
    assert int(machine.inputs["axes"][X]["statusword"]) & 0x0800


def test_a_target_out_of_reach_is_a_following_error(machine: ScriptedStation) -> None:
    machine.outputs["axes"][X]["target_position_m"] = 0.0
    machine.until(lambda: state_of(machine) in (0x08, 0x28), 500)
    assert machine.inputs["axes"][X]["error_code"] == ErrorCode.FOLLOWING_ERROR


def test_a_fault_is_reset_by_a_rising_edge_alone(machine: ScriptedStation) -> None:
    machine.outputs["axes"][X]["controlword"] = 0x80
    schedule_faults(machine.context, [Fault(FaultKind.DRIVE_FAULT, index=X)])
    machine.outputs["axes"][X]["controlword"] = 0x0F
    machine.cycle(100)
    assert machine.inputs["axes"][X]["error_code"] == ErrorCode.OVERCURRENT
    assert int(machine.inputs["axes"][X]["statusword"]) & 0x4F == 0x08
    machine.outputs["axes"][X]["controlword"] = 0x80
    machine.cycle()
    assert int(machine.inputs["axes"][X]["statusword"]) & 0x4F == 0x40
    assert machine.inputs["axes"][X]["error_code"] == 0


def test_too_much_current_for_too_long_overheats_the_motor(machine: ScriptedStation) -> None:
    machine.record["plant"]["axes"][X]["force_rms_n"] = 30.0
    machine.record["plant"]["axes"][X]["thermal_time_s"] = 0.5
    for _ in range(12):
        for goal in (-0.05, 0.05):
            machine.move({X: goal}, 0.12)
            if machine.inputs["axes"][X]["error_code"]:
                break
    assert machine.inputs["axes"][X]["error_code"] == ErrorCode.OVERLOAD_I2T


def test_a_quick_stop_brakes_and_holds(machine: ScriptedStation) -> None:
    cruise(machine, -0.5)
    before = float(machine.station["axes"][X]["position_m"])
    machine.outputs["axes"][X]["controlword"] = 0x0B
    machine.cycle(100)
    assert state_of(machine) == 0x07
    assert abs(float(machine.station["axes"][X]["velocity_m_s"])) < 1e-3
    assert before - float(machine.station["axes"][X]["position_m"]) == pytest.approx(
        0.5**2 / (2 * 25.0), abs=2e-3
    )


def test_drives_stop_by_themselves_when_no_frame_comes(machine: ScriptedStation) -> None:
    cruise(machine, -0.5)
    image = machine.image
    advance_without_exchange(image, machine.context, 99)
    assert abs(float(machine.station["axes"][X]["velocity_m_s"]) + 0.5) < 0.05
    advance_without_exchange(image, machine.context, 100)
    assert abs(float(machine.station["axes"][X]["velocity_m_s"])) < 1e-3
    codes = machine.inputs["axes"]["error_code"]
    assert np.all(codes == ErrorCode.COMMUNICATION_WATCHDOG)
    machine.cycle(5)
    assert np.all(machine.inputs["axes"]["statusword"] & 0x4F == 0x08)


def test_an_emergency_stop_removes_torque_after_its_delay(machine: ScriptedStation) -> None:
    now = int(machine.record["time_ns"]) * 1e-9
    stop = Fault(FaultKind.EMERGENCY_STOP, at_s=now, duration_s=1.0)
    schedule_faults(machine.context, [stop])
    machine.cycle(100)
    assert machine.inputs["emergency_stop_ok"] == 0
    assert machine.inputs["safe_torque_off_ok"] == 1
    assert state_of(machine) == 0x27
    machine.cycle(300)
    assert machine.inputs["safe_torque_off_ok"] == 0
    assert np.all(machine.inputs["axes"]["statusword"] & 0x4F == 0x40)
    machine.cycle(700)
    assert machine.inputs["emergency_stop_ok"] == 1
    machine.power_up()
    assert state_of(machine) == 0x27


def test_every_axis_reports(machine: ScriptedStation) -> None:
    axes = machine.inputs["axes"]
    assert len(axes) == AXIS_COUNT
    assert np.all(np.isfinite(axes["actual_position_m"]))
    assert machine.image["inputs"]["bus"]["working_counter"] == 3 * AXIS_COUNT
