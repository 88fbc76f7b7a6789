"""The judge catches each of the ten rules when it is broken on purpose, and nothing when none is."""

import pytest

from drivers.image import AxisId
from hal_sim.faults import Fault, FaultKind, schedule_faults
from hal_sim.judge.figures import figures, first_violations, judge_cells
from hal_sim.judge.layout import Rule
from tests.simulation.scripted_machine import UP_M, ScriptedStation

ARM_X, ARM_Z = AxisId.ANODE_ARM_X, AxisId.ANODE_ARM_Z


@pytest.fixture(scope="module")
def stacking() -> ScriptedStation:
    """Two sheets laid, at the right-hand end, the cathode arm still down."""
    machine = ScriptedStation(7).start()
    machine.stack(2)
    assert machine.told() == []
    return machine


@pytest.fixture
def machine(stacking: ScriptedStation) -> ScriptedStation:
    return stacking.copy()


def broken(machine: ScriptedStation) -> set[int]:
    return set(machine.violations())


def test_a_careful_script_breaks_no_rule_and_makes_a_good_cell(machine: ScriptedStation) -> None:
    for number in range(2, 5):
        machine.half(number % 2)
    machine.finish()
    assert machine.told() == []
    cell = judge_cells(machine.context)[0]
    assert cell["good"]
    assert cell["sheets"] == 5
    assert min(cell["overhang_min_m"]) > 0.001
    truth = figures(machine.context)
    assert truth["cells_unloaded"] == truth["cells_truly_good"] == 1
    assert truth["violations"] == {}
    assert truth["s_per_sheet"] == pytest.approx(cell["seconds"] / 4)


def test_1_an_arm_below_clearance_while_the_table_leaves(machine: ScriptedStation) -> None:
    machine.move({ARM_Z + 2: 0.002})
    machine.move({AxisId.TABLE_X: 0.098})
    assert broken(machine) == {Rule.ARM_BELOW_CLEARANCE}


def test_2_a_table_that_stands_beside_its_place(machine: ScriptedStation) -> None:
    machine.half(0, away_m=3e-5)
    assert broken(machine) == {Rule.TABLE_AT_PLACEMENT}
    told = first_violations(machine.context)[0]
    assert told["value"] == pytest.approx(3e-5, abs=5e-6)
    assert told["name"] == "table_at_placement"


def test_3_fingers_that_come_before_the_sheet(machine: ScriptedStation) -> None:
    machine.move({ARM_Z: UP_M, ARM_Z + 2: UP_M})
    machine.fingers(1, True, False)
    assert broken(machine) == {Rule.FINGER_BEFORE_TOUCH_DOWN}


def test_4_a_finger_that_runs_into_the_sheets_edge(machine: ScriptedStation) -> None:
    machine.fingers(0, False, True)  # out but down
    machine.fingers(0, True, True)
    assert Rule.FINGER_COLLISION in broken(machine)


def test_5_a_fold_that_nobody_holds_on_the_way(machine: ScriptedStation) -> None:
    machine.move({ARM_Z: UP_M, ARM_Z + 2: UP_M})
    machine.move({AxisId.TABLE_X: 0.0})
    assert broken(machine) == set()
    machine.fingers(0, True, False)
    assert broken(machine) == {Rule.FOLD_EDGE_HELD}


def test_5_old_fingers_that_leave_too_early(machine: ScriptedStation) -> None:
    machine.record["plant"]["judge"]["finger_lead_ns"] = 10**9
    machine.half(0)
    assert broken(machine) == {Rule.FOLD_EDGE_HELD}


def test_6_vacuum_that_ends_in_the_air(machine: ScriptedStation) -> None:
    machine.move({ARM_Z: UP_M, ARM_Z + 2: UP_M})
    machine.vacuum(0, False)
    assert machine.violations() == {int(Rule.SHEET_DROPPED): 2}
    assert figures(machine.context)["dropped_sheets"] == 2


def test_6_an_arm_that_lifts_before_its_sheet_is_released(machine: ScriptedStation) -> None:
    machine.outputs["vacuum_on"][0] = 0
    machine.cycle(3)
    machine.move({ARM_Z: UP_M}, 0.05)
    assert Rule.SHEET_DROPPED in broken(machine)


def test_6_a_jerk_that_the_vacuum_does_not_hold(machine: ScriptedStation) -> None:
    machine.record["plant"]["hold_acceleration_m_s2"] = 10.0
    machine.move({ARM_Z: UP_M, ARM_Z + 2: UP_M}, 0.3)
    machine.move({ARM_X: -0.2}, 0.1)
    assert Rule.SHEET_DROPPED in broken(machine)


def test_7_a_beam_that_sweeps_against_the_web(machine: ScriptedStation) -> None:
    machine.move({ARM_Z: UP_M, ARM_Z + 2: UP_M})
    machine.move({AxisId.TABLE_X: -0.1}, 0.4)
    machine.move({ARM_X: -0.03, ARM_X + 2: -0.25}, 0.4)
    machine.move({ARM_Z: 0.01})
    assert broken(machine) == set()
    machine.move({ARM_X: 0.0}, 0.1)
    assert broken(machine) == {Rule.WEB_TOUCHES_BEAM}


def test_8_an_arm_that_sweeps_over_the_stage_too_low(machine: ScriptedStation) -> None:
    machine.move({ARM_Z: 0.001})
    machine.move({ARM_X: -0.2})
    assert broken(machine) == {Rule.BEAMS_APART}


def test_9_a_sheet_that_is_laid_uncorrected(machine: ScriptedStation) -> None:
    """Picked it may be, to be put aside; on the stack it breaks the rule."""
    machine.half(0)
    machine.half(1, correcting=False)
    assert broken(machine) == set()
    machine.half(0)
    machine.half(1)
    assert broken(machine) == {Rule.UNCORRECTED_SHEET}


def test_9_a_stage_that_moves_while_its_image_is_awaited(machine: ScriptedStation) -> None:
    machine.move({ARM_Z: UP_M, ARM_Z + 2: UP_M})
    machine.outputs["sheet_camera_trigger"][1] += 1
    machine.cycle(2)
    machine.move({AxisId.CATHODE_STAGE_X: 0.0005}, 0.01)
    assert broken(machine) == {Rule.UNCORRECTED_SHEET}


def test_10_a_web_that_goes_slack(machine: ScriptedStation) -> None:
    schedule_faults(machine.context, [Fault(FaultKind.WEB_SLACK, magnitude=0.005)])
    machine.cycle(50)
    assert broken(machine) == {Rule.WEB_TENSION}


def test_10_a_dancer_at_its_stop(machine: ScriptedStation) -> None:
    machine.feeding = False
    feed = machine.outputs["axes"][AxisId.FEED]
    feed["velocity_offset_m_s"] = 0.0
    feed["target_position_m"] = machine.inputs["axes"][AxisId.FEED]["actual_position_m"]
    machine.cycle(50)
    machine.move({AxisId.FEED: float(feed["target_position_m"]) + 0.08}, 0.5)
    machine.cycle(500)
    assert Rule.WEB_TENSION in broken(machine)


def test_a_violation_counts_when_it_begins_not_in_every_step(machine: ScriptedStation) -> None:
    machine.move({ARM_Z + 2: 0.002})
    machine.move({AxisId.TABLE_X: 0.098})
    machine.cycle(500)
    assert machine.violations() == {int(Rule.ARM_BELOW_CLEARANCE): 1}
    machine.move({AxisId.TABLE_X: 0.1})
    machine.move({AxisId.TABLE_X: 0.098})
    assert machine.violations() == {int(Rule.ARM_BELOW_CLEARANCE): 2}


def test_a_cell_whose_drives_lost_power_is_scrap_and_may_be_let_go(
    machine: ScriptedStation,
) -> None:
    machine.move({ARM_Z: UP_M, ARM_Z + 2: UP_M})
    machine.move({AxisId.TABLE_X: 0.0})
    schedule_faults(machine.context, [Fault(FaultKind.DRIVE_FAULT, index=AxisId.FEED)])
    machine.cycle(10)
    machine.fingers(0, True, False)
    assert broken(machine) == set()
    machine.vacuum(0, False)
    assert broken(machine) == {Rule.SHEET_DROPPED}
