"""The cell change: the finished cell is wrapped beside the next one's start, or before it."""

import random
from pathlib import Path
from typing import Any, Literal

import pytest

from controller.assembly import judge_figures
from controller.planning.cycle_plan import CyclePlan, make_plan
from controller.settings.loader import load_machine, load_recipe, load_settings
from controller.settings.machine import CellChangeSettings, MachineSettings
from controller.settings.plant import PlantSettings
from controller.settings.recipe import RecipeSettings
from controller.shared.commands import CommandCode
from controller.shared.conditions import ConditionId
from controller.shared.packml import State
from controller.shared.plan import RoutineId
from controller.shared.records import RejectReason, Verdict
from controller.shared.status import SequenceState
from controller.simulate import Simulation
from drivers.image import AxisId
from hal_sim.faults import Fault, FaultKind, schedule_faults
from hal_sim.judge.figures import first_violations, judge_cells
from hal_sim.judge.layout import Rule
from tests.simulation.scripted_machine import ScriptedStation
from tests.simulation.small_cells import abort, order, reach, small_machine

CONFIG = Path(__file__).resolve().parents[2] / "config"
MACHINE = load_machine(CONFIG / "machine.yaml")
PLANT = load_settings(CONFIG / "plant.yaml", PlantSettings)
REFERENCE = load_recipe(CONFIG / "recipes" / "reference.yaml")
SHORT = REFERENCE.model_copy(update={"cathodes": 3})
CHANGE_S_MAX = 2.0
CELLS = 3
INSTANTS = 45
SEED = 4

Mode = Literal["serial", "parallel"]


def _machine(mode: Mode, **change: float) -> MachineSettings:
    station = MACHINE.stations[0]
    settings = station.cell_change.model_dump() | {"mode": mode} | change
    changed = station.model_copy(update={"cell_change": CellChangeSettings(**settings)})
    return MACHINE.model_copy(update={"stations": (changed,)})


def _begin(
    mode: Mode, recipe: RecipeSettings, cells: int, plan: CyclePlan | None = None, **change: float
) -> Simulation:
    simulation = Simulation(_machine(mode, **change), PLANT, recipe, SEED, plan=plan)
    simulation.reset()
    simulation.command(CommandCode.SET_CELLS, value=float(cells))
    order(simulation, CommandCode.START)
    return simulation


def _complete(simulation: Simulation) -> dict[str, Any]:
    simulation.run_until(lambda: simulation.state == State.COMPLETE, 120.0)
    simulation.run(0.01)
    figures = judge_figures(simulation.machine)
    assert figures["violations"] == {}, first_violations(simulation.machine.context)
    return figures


def _status(simulation: Simulation) -> Any:
    return simulation.station()["status"]


def _in_finish(simulation: Simulation) -> bool:
    status = _status(simulation)
    routine = int(status["sequence"]) == SequenceState.ROUTINE
    return routine and int(status["routine"]) == RoutineId.FINISH


@pytest.fixture(scope="module")
def plan() -> CyclePlan:
    return make_plan(_machine("parallel"), SHORT)


@pytest.mark.parametrize("mode", ["serial", "parallel"])
def test_three_cells_are_changed_and_each_is_good(mode: Mode) -> None:
    simulation = _begin(mode, SHORT, CELLS)
    figures = _complete(simulation)
    assert figures["cells_unloaded"] == figures["cells_truly_good"] == CELLS
    assert [int(record["cell"]) for record in simulation.records] == [1, 2, 3]
    assert [int(record["counter"]) for record in simulation.records] == [1, 2, 3]
    assert all(int(record["verdict"]) == Verdict.GOOD for record in simulation.records)
    assert all(int(record["layer_count"]) == SHORT.sheets for record in simulation.records)
    cells = judge_cells(simulation.machine.context)
    assert [cell["cell"] for cell in cells] == [1, 2, 3]
    assert all(cell["wraps"] == pytest.approx(REFERENCE.wraps_final, abs=1e-3) for cell in cells)


def test_the_reference_cell_is_changed_in_two_seconds_as_planned() -> None:
    seconds, planned = {}, {}
    modes: tuple[Mode, ...] = ("parallel", "serial")
    for mode in modes:
        simulation = _begin(mode, REFERENCE, 2)
        seconds[mode] = _complete(simulation)["cell_change_s"]
        planned[mode] = simulation.plans[0].change.seconds
    assert seconds["parallel"] <= CHANGE_S_MAX
    assert seconds["parallel"] < seconds["serial"] - 2.0
    for mode in modes:
        assert seconds[mode] == pytest.approx(planned[mode], rel=0.05)


@pytest.mark.parametrize("name", ["c", "d"])
def test_quicker_machines_change_as_well(name: str) -> None:
    simulation = small_machine(f"classes/machine_{name}.yaml", f"classes/plant_{name}.yaml")
    simulation.reset()
    simulation.command(CommandCode.SET_CELLS, value=2.0)
    order(simulation, CommandCode.START)
    figures = _complete(simulation)
    assert figures["cells_truly_good"] == 2
    assert figures["cell_change_s"] <= CHANGE_S_MAX


def test_the_machine_is_complete_when_the_last_cell_is_unloaded(plan: CyclePlan) -> None:
    simulation = _begin("parallel", SHORT, 1, plan)
    status = _status(simulation)
    simulation.run_until(lambda: int(status["wrapping_cell"]) == 1, 60.0)
    simulation.run_until(lambda: int(status["sequence"]) == SequenceState.IDLE, 5.0)
    assert simulation.state == State.EXECUTE
    assert len(simulation.records) == 0
    assert _complete(simulation)["cells_unloaded"] == 1
    assert len(simulation.records) == 1
    assert int(status["wrapping_cell"]) == 0


def test_the_change_waits_while_the_wrapping_place_is_taken() -> None:
    simulation = _begin("parallel", SHORT, CELLS, conveyor_time_s=8.0)
    status = _status(simulation)
    waiting = ConditionId.WRAPPING_PLACE_FREE
    simulation.run_until(lambda: int(status["gate_condition"]) == waiting, 60.0)
    assert int(status["wrapping_cell"]) == 1
    assert _complete(simulation)["cells_truly_good"] == CELLS


def test_a_stop_while_a_change_waits_for_the_wrapping_place_is_obeyed() -> None:
    simulation = _begin("parallel", SHORT, CELLS, conveyor_time_s=8.0)
    status = _status(simulation)
    waiting = ConditionId.WRAPPING_PLACE_FREE
    simulation.run_until(lambda: int(status["gate_condition"]) == waiting, 60.0)
    order(simulation, CommandCode.STOP)
    reach(simulation, State.STOPPED)
    simulation.run(0.01)
    assert [int(record["cell"]) for record in simulation.records] == [1, 2]
    assert all(int(record["reasons"]) & RejectReason.STOPPED for record in simulation.records)
    order(simulation, CommandCode.RESET)
    reach(simulation, State.IDLE)
    assert judge_figures(simulation.machine)["violations"] == {}


def test_a_cell_takes_its_leak_to_the_wrapping_place(plan: CyclePlan) -> None:
    simulation = Simulation(_machine("parallel"), PLANT, SHORT, SEED, plan=plan)
    schedule_faults(simulation.machine.context, [Fault(FaultKind.HIPOT_BAD, at_sheet=5)])
    simulation.reset()
    simulation.command(CommandCode.SET_CELLS, value=2.0)
    order(simulation, CommandCode.START)
    _complete(simulation)
    assert [int(record["reasons"]) for record in simulation.records] == [RejectReason.HIPOT, 0]
    assert [cell["good"] for cell in judge_cells(simulation.machine.context)] == [False, True]


def _hold(simulation: Simulation) -> None:
    order(simulation, CommandCode.HOLD)
    reach(simulation, State.HELD)
    simulation.run(0.3)
    order(simulation, CommandCode.UNHOLD)


def _start_again(simulation: Simulation) -> None:
    order(simulation, CommandCode.RESET)
    reach(simulation, State.IDLE)
    place = simulation.station()["wrap_up"]
    assert not int(place["active"])
    order(simulation, CommandCode.START)


def _stop(simulation: Simulation) -> None:
    order(simulation, CommandCode.STOP)
    reach(simulation, State.STOPPED)
    _start_again(simulation)


def _abort(simulation: Simulation) -> None:
    abort(simulation)
    _start_again(simulation)


def test_interrupted_at_any_instant_of_a_change_nothing_is_lost_or_hit(plan: CyclePlan) -> None:
    simulation = _begin("parallel", SHORT, 0, plan)
    simulation.run_until(lambda: _in_finish(simulation), 60.0, step_s=0.001)
    draw = random.Random(SEED)
    begun = simulation.virtual_s
    for number, instant in enumerate(sorted(draw.uniform(0.0, 3.6) for _ in range(INSTANTS))):
        simulation.run(max(begun + instant - simulation.virtual_s, 1e-3))
        kept = simulation.save()
        interruption = (_hold, _stop, _abort)[number % 3]
        interruption(simulation)
        _stack_two_cells(simulation, kept_records=interruption is _hold)
        told = first_violations(simulation.machine.context)
        assert not told, (SEED, interruption.__name__, instant, told)
        simulation.restore(kept)


def _stack_two_cells(simulation: Simulation, kept_records: bool) -> None:
    """Two more good cells; every cell begun has its record, in order."""
    before = len(simulation.records)
    good = Verdict.GOOD

    def stacked() -> bool:
        fresh = simulation.records[before:]
        return sum(int(record["verdict"]) == good for record in fresh) >= 2

    simulation.run_until(stacked, 60.0)
    counters = [int(record["counter"]) for record in simulation.records]
    cells = [int(record["cell"]) for record in simulation.records]
    assert counters == cells == list(range(1, len(cells) + 1))
    if kept_records:
        assert all(int(record["verdict"]) == good for record in simulation.records)


def test_an_emergency_stop_in_the_middle_of_the_turn(plan: CyclePlan) -> None:
    simulation = _begin("parallel", SHORT, 0, plan)
    changer = _status(simulation)["axes"][AxisId.CHANGER]
    simulation.run_until(lambda: float(changer["actual_position_m"]) > 1.0, 60.0, step_s=0.001)
    now_s = simulation.virtual_s
    stop = Fault(FaultKind.EMERGENCY_STOP, at_s=now_s, duration_s=2.0)
    schedule_faults(simulation.machine.context, [stop])
    reach(simulation, State.ABORTED)
    assert 0.5 < float(changer["actual_position_m"]) < 3.0
    simulation.run(2.5)
    assert int(simulation.records[-1]["reasons"]) & RejectReason.ABORTED
    order(simulation, CommandCode.CLEAR)
    reach(simulation, State.STOPPED)
    _start_again(simulation)
    _stack_two_cells(simulation, kept_records=False)
    assert judge_figures(simulation.machine)["violations"] == {}


# -- the judge, on a machine driven by hand -----------------------------------------------------------


@pytest.fixture(scope="module")
def three_laid() -> ScriptedStation:
    machine = ScriptedStation(7).start()
    machine.stack(3)
    assert machine.told() == []
    return machine


@pytest.fixture
def machine(three_laid: ScriptedStation) -> ScriptedStation:
    return three_laid.copy()


def _broken(machine: ScriptedStation) -> set[int]:
    return set(machine.violations())


def test_a_careful_change_breaks_no_rule(machine: ScriptedStation) -> None:
    machine.change()
    assert int(machine.station["wrapping"]["count"]) == 3
    assert int(machine.station["stack_count"]) == 0
    machine.wrap_up()
    assert machine.told() == []
    cell = judge_cells(machine.context)[0]
    assert cell["good"] and cell["sheets"] == 3
    assert cell["wraps"] == pytest.approx(1.0, abs=1e-3)


def test_no_more_is_wound_than_the_tail_has(machine: ScriptedStation) -> None:
    machine.record["plant"]["tail_m"] = 0.1
    machine.change()
    machine.wrap_up()
    assert judge_cells(machine.context)[0]["wraps"] == pytest.approx(0.1 / 0.214, abs=1e-3)
    assert not judge_cells(machine.context)[0]["good"]


def test_5_fingers_that_leave_a_stack_nobody_clamps(machine: ScriptedStation) -> None:
    machine.fold_last_layer()
    machine.outputs["stack_clamp"] = 0
    machine.cycle(5)
    machine.fingers(1, True, False)
    assert _broken(machine) == {Rule.FOLD_EDGE_HELD}


def test_8_a_changer_that_turns_against_the_fingers(machine: ScriptedStation) -> None:
    machine.fold_last_layer()
    machine.turn()
    assert Rule.BEAMS_APART in _broken(machine)


def test_8_a_changer_that_turns_against_an_arm(machine: ScriptedStation) -> None:
    machine.fold_last_layer()
    machine.fingers(1, True, False)
    machine.fingers(1, False, False)
    machine.arm(1, x=0.0)
    machine.arm(1, z=0.015)
    assert _broken(machine) == set()
    machine.turn()
    assert _broken(machine) == {Rule.BEAMS_APART}


def test_8_a_stack_turned_to_a_taken_wrapping_place(machine: ScriptedStation) -> None:
    machine.change()
    assert _broken(machine) == set()
    machine.turn(0.0)
    assert _broken(machine) == {Rule.BEAMS_APART}
    assert not judge_cells(machine.context)[0]["good"]


def test_10_a_cut_before_the_empty_table_holds_the_web(machine: ScriptedStation) -> None:
    machine.fold_last_layer()
    machine.fingers(1, True, False)
    machine.fingers(1, False, False)
    machine.move({AxisId.CHANGER: 2.5}, 1.0)
    machine.move({AxisId.CUT: 0.04})
    assert _broken(machine) == {Rule.WEB_TENSION}


def test_10_a_table_that_leaves_with_the_tail_uncut(machine: ScriptedStation) -> None:
    machine.fold_last_layer()
    machine.fingers(1, True, False)
    machine.fingers(1, False, False)
    machine.turn()
    machine.move({AxisId.TABLE_X: 0.05}, 0.4)
    assert _broken(machine) == {Rule.WEB_TENSION}
