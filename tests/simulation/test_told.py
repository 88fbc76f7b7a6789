"""What no scenario strikes and a machine still tells: why it stopped, what it was refused, what is new."""

import pytest

from controller.shared.alarms import AlarmId
from controller.shared.commands import CommandCode, CommandResult
from controller.shared.events import EventKind
from controller.shared.layout import SOURCE_OVERRUN
from controller.shared.packml import State
from controller.simulate import Simulation
from drivers.image import AxisId
from tests.simulation.small_cells import finish, order, produce, reach, small_machine

OTHER_ROLL_M = 0.06


@pytest.fixture
def simulation() -> Simulation:
    return small_machine(quiet=True)


def _codes(simulation: Simulation, kind: EventKind) -> list[int]:
    _, events = simulation.view.drain_events(0)
    return [int(event["code"]) for event in events if event["kind"] == kind]


def _overrun(simulation: Simulation) -> CommandResult:
    """The Stop that the loop gives itself after too many missed periods."""
    sequence = simulation.view.send(CommandCode.STOP, source=SOURCE_OVERRUN)
    simulation.run(0.01)
    answer = simulation.view.answer(sequence)
    assert answer is not None
    return answer


def test_a_machine_that_overruns_stopped_says_so_until_it_is_reset(simulation: Simulation) -> None:
    produce(simulation, 1)
    reach(simulation, State.EXECUTE)
    assert _overrun(simulation) == CommandResult.ACCEPTED
    reach(simulation, State.STOPPED)
    machine, alarms = (
        simulation.machine.state[0]["machine"],
        simulation.station()["status"]["alarms"],
    )
    assert int(machine["stop_reason"]) == AlarmId.CYCLE_OVERRUN
    order(simulation, CommandCode.RESET)
    reach(simulation, State.IDLE)
    assert not alarms[AlarmId.CYCLE_OVERRUN]
    order(simulation, CommandCode.STOP)
    reach(simulation, State.STOPPED)
    assert _overrun(simulation) == CommandResult.REFUSED_STATE
    assert not alarms[AlarmId.CYCLE_OVERRUN]


def test_a_move_without_a_solution_stops_the_machine_and_names_its_axis(
    simulation: Simulation,
) -> None:
    simulation.machine.plans[0]["axes"][AxisId.CUT]["jerk_max_m_s3"] = 0.0
    order(simulation, CommandCode.RESET)
    reach(simulation, State.STOPPED)
    status = simulation.station()["status"]
    assert status["alarms"][AlarmId.MOTION_REFUSED]
    assert int(status["alarm_axis"][AlarmId.MOTION_REFUSED]) == AxisId.CUT


def test_tension_that_stays_off_its_target_is_told_and_what_passes_is_not() -> None:
    told = []
    for warning_n in (None, 0.0):
        simulation = small_machine(quiet=True)
        if warning_n is not None:
            simulation.machine.plans[0]["web"]["tension_warning_n"] = warning_n
        produce(simulation, 1)
        finish(simulation, 1)
        told.append(AlarmId.TENSION_WARNING in _codes(simulation, EventKind.ALARM_RAISED))
        assert not simulation.station()["status"]["alarms"][AlarmId.TENSION_WARNING]
    assert told == [False, True]


def test_a_roll_that_is_not_the_measured_one_is_told_and_measured_anew(
    simulation: Simulation,
) -> None:
    simulation.reset()
    learned = simulation.station()["learned"]
    learned["roll_radius_m"] = OTHER_ROLL_M
    simulation.run(0.01)
    assert _codes(simulation, EventKind.ROLL_CHANGED) == [0]
    assert float(learned["roll_radius_m"]) == 0.0
