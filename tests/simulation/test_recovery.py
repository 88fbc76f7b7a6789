"""Everything that goes wrong on a machine, by name: its alarm, the reaction, the outcome, the way back.

Two small cells each; the fault strikes in the first one, and the second shows that the machine is whole.
The operator does what the alarm's remedy says.
"""

from dataclasses import dataclass, field

import pytest

from controller.assembly import judge_figures
from controller.settings.faults import load_scenarios
from controller.shared.alarms import ALARMS, AlarmId, Reaction
from controller.shared.commands import CommandCode
from controller.shared.events import EventKind
from controller.shared.packml import State
from controller.shared.records import RejectReason, Verdict
from controller.simulate import Simulation, operate, verdicts
from hal_sim.faults import Fault, FaultKind
from hal_sim.judge.figures import first_violations
from tests.simulation.small_cells import CONFIG, order, small_machine

A, R = AlarmId, RejectReason
CELLS = 2
SECONDS_MAX = 150.0
SCENARIOS = load_scenarios(CONFIG / "faults.yaml")
_STATE = {Reaction.HOLD: State.HELD, Reaction.STOP: State.STOPPED, Reaction.ABORT: State.ABORTED}


@dataclass(frozen=True)
class Story:
    """What a scenario must come to; `kept`: the cell it struck is finished, and good without a reason."""

    alarm: AlarmId
    kept: bool = True
    recovered: AlarmId = A.NONE
    reasons: RejectReason = field(default=R(0))
    rules: frozenset[str] = frozenset()  # broken by the fault itself
    cathodes: int = 4


STORIES = {
    "pick_missed": Story(A.PICK_MISSED, recovered=A.PICK_MISSED),
    "pick_failed": Story(A.PICK_FAILED, recovered=A.PICK_MISSED),
    "double_sheet": Story(A.DOUBLE_SHEET, recovered=A.DOUBLE_SHEET),
    "vision_failed": Story(A.VISION_FAILED, recovered=A.VISION_FAILED),
    "vision_outlier": Story(A.VISION_FAILED, recovered=A.VISION_FAILED),
    "vision_late": Story(A.SHEET_CAMERA_LATE, recovered=A.SHEET_CAMERA_LATE),
    "sheet_put_aside": Story(A.SHEET_OUT_OF_RANGE, recovered=A.SHEET_OUT_OF_RANGE),
    "camera_silent": Story(A.SHEET_CAMERA_FAILED, recovered=A.SHEET_CAMERA_LATE),
    "release_late": Story(A.RELEASE_LATE, recovered=A.RELEASE_LATE),
    "sheet_lost_before_stage": Story(A.VACUUM_LOST, recovered=A.VACUUM_LOST),
    "sheet_lost_beside_stack": Story(A.VACUUM_LOST, recovered=A.VACUUM_LOST),
    "sheet_lost_over_stack": Story(A.SHEET_OVER_STACK, kept=False, reasons=R.STOPPED),
    "magazine_empty": Story(A.MAGAZINE_EMPTY),
    "web_slack": Story(A.WEB_SLACK, reasons=R.TENSION, rules=frozenset({"10"})),
    "web_break": Story(A.WEB_BREAK, kept=False, reasons=R.STOPPED),
    "splice": Story(A.SPLICE, reasons=R.SPLICE),
    "roll_ending": Story(A.ROLL_ENDING, cathodes=24),
    "load_cell_frozen": Story(A.READING_STALE),
    "drive_fault": Story(A.DRIVE_FAULT, kept=False, reasons=R.ABORTED),
    "air_low": Story(A.AIR_PRESSURE_LOW, recovered=A.VACUUM_LOST),
    "door_open": Story(A.DOOR_OPEN, kept=False, reasons=R.ABORTED),
    "emergency_stop": Story(A.EMERGENCY_STOP, kept=False, reasons=R.ABORTED),
    "insulation_bad": Story(A.HIPOT_FAILED, reasons=R.HIPOT),
    "homing_jammed": Story(A.HOMING_FAILED),
}


def _told(simulation: Simulation) -> tuple[set[AlarmId], set[AlarmId], set[State]]:
    """Alarms raised, recoveries told and states passed so far."""
    _, events = simulation.view.drain_events(0)
    codes: dict[int, set[int]] = {kind: set() for kind in EventKind}
    for event in events:
        codes[int(event["kind"])].add(int(event["code"]))
    return (
        {AlarmId(code) for code in codes[EventKind.ALARM_RAISED]},
        {AlarmId(code) for code in codes[EventKind.RECOVERED]},
        {State(code) for code in codes[EventKind.STATE_CHANGED]},
    )


def _live_through(simulation: Simulation) -> None:
    """From power-on to the last cell, an operator clearing, resetting and unholding."""
    order(simulation, CommandCode.SET_CELLS, float(CELLS))
    while simulation.state != State.COMPLETE:
        assert simulation.virtual_s < SECONDS_MAX, simulation.where()
        operate(simulation)
        simulation.run(0.1)
    simulation.judge()


def _faults(name: str) -> list[Fault]:
    return [
        Fault(**{**fault.model_dump(), "kind": FaultKind[fault.kind.upper()]})
        for fault in SCENARIOS[name]
    ]


def test_every_shipped_scenario_has_its_story() -> None:
    assert set(STORIES) == set(SCENARIOS)


@pytest.mark.parametrize("name", STORIES)
def test_a_fault_has_its_alarm_reaction_and_way_back(name: str) -> None:
    story = STORIES[name]
    simulation = small_machine(cathodes=story.cathodes, faults=_faults(name), quiet=True)
    _live_through(simulation)
    alarms, recovered, states = _told(simulation)
    reaction = ALARMS[story.alarm].reaction
    assert story.alarm in alarms
    assert reaction == Reaction.NONE or _STATE[reaction] in states
    assert (State.ABORTED in states) == (reaction == Reaction.ABORT)
    assert story.recovered == A.NONE or story.recovered in recovered
    broken = judge_figures(simulation.machine)["violations"]
    assert set(broken) == story.rules, first_violations(simulation.machine.context)[:3]
    first, second = simulation.records
    assert RejectReason(int(first["reasons"])) == story.reasons
    assert (int(first["layer_count"]) == 2 * story.cathodes + 1) == story.kept
    assert int(second["verdict"]) == Verdict.GOOD
    counts = verdicts(simulation.records, list(simulation.judged.values()))
    assert counts == {"false_rejects": 0, "escapes": 0}
