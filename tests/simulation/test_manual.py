"""Manual mode: single axes inside their soft limits, guards that say why not, and single steps."""

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from controller.assembly import judge_figures
from controller.planning.cycle_plan import make_plan
from controller.settings.loader import load_machine, load_recipe, load_settings
from controller.settings.plant import PlantSettings
from controller.shared.commands import CommandCode as Code
from controller.shared.commands import CommandResult as Result
from controller.shared.events import EventKind
from controller.shared.jog import JOG_RULES, Guard
from controller.shared.packml import Mode, State
from controller.shared.status import SequenceState
from controller.simulate import Simulation
from drivers.image import AxisId
from hal_sim.judge.figures import first_violations

CONFIG = Path(__file__).resolve().parents[2] / "config"
MACHINE = load_machine(CONFIG / "machine.yaml")
PLANT = load_settings(CONFIG / "plant.yaml", PlantSettings)
RECIPE = load_recipe(CONFIG / "recipes" / "reference.yaml").model_copy(update={"cathodes": 2})
DEAD_MAN_S = MACHINE.manual.dead_man_s
DRIVE_LAG_M = 2e-6
X, UP, BACK = AxisId.TABLE_X, AxisId.ANODE_ARM_Z, AxisId.ANODE_ARM_X


@pytest.fixture(scope="module")
def idle() -> tuple[Simulation, list[object]]:
    plan = make_plan(MACHINE, RECIPE)
    simulation = Simulation(MACHINE, PLANT, RECIPE, seed=5, plan=plan)
    simulation.reset()
    return simulation, simulation.save()


@pytest.fixture
def machine(idle: tuple[Simulation, list[object]]) -> Iterator[Simulation]:
    """A machine in Manual mode, homed and idle; whatever a test does, the judge has no complaint."""
    simulation, kept = idle
    simulation.restore(kept)
    assert simulation.command(Code.SET_MODE, Mode.MANUAL) == Result.ACCEPTED
    yield simulation
    assert first_violations(simulation.machine.context) == []
    assert not any(simulation.station()["status"]["alarms"]), simulation.where()


def _position(simulation: Simulation, axis: AxisId) -> float:
    return float(simulation.station()["axes"][axis]["position_m"])


def _speed(simulation: Simulation, axis: AxisId) -> float:
    return float(simulation.station()["axes"][axis]["velocity_m_s"])


def _moving(simulation: Simulation) -> bool:
    return bool(simulation.station()["jog"]["active"])


def _hold_key(simulation: Simulation, axis: AxisId, velocity_m_s: float, seconds: float) -> None:
    """Press a jog key: the panel repeats the command all the while."""
    end = simulation.virtual_s + seconds
    while simulation.virtual_s < end:
        assert simulation.command(Code.JOG, velocity_m_s, index=axis) == Result.ACCEPTED
        simulation.run(0.05)


def _step(simulation: Simulation, axis: AxisId, distance_m: float) -> Result:
    result = simulation.command(Code.JOG_STEP, distance_m, index=axis)
    simulation.run_until(lambda: not _moving(simulation), 10.0)
    return result


def _guard(simulation: Simulation) -> Guard:
    return Guard(int(simulation.machine.state[0]["machine"]["last_guard"]))


def test_a_key_moves_an_axis_and_letting_it_go_stops_it(machine: Simulation) -> None:
    _hold_key(machine, X, -0.1, 0.5)
    assert _speed(machine, X) == pytest.approx(-0.1)
    assert machine.command(Code.JOG_STOP) == Result.ACCEPTED
    machine.run_until(lambda: not _moving(machine), 1.0)
    assert _speed(machine, X) == 0.0
    assert -0.1 < _position(machine, X) < 0.06


def test_a_key_that_is_no_longer_renewed_stops_by_itself(machine: Simulation) -> None:
    began = _position(machine, X)
    machine.command(Code.JOG, -0.1, index=X)
    machine.run(2.0 * DEAD_MAN_S)
    assert not _moving(machine)
    # what it went until the time was up, and what it needed to start and stop: once each
    assert began - _position(machine, X) == pytest.approx(0.1 * DEAD_MAN_S, abs=1e-3)


@pytest.mark.parametrize("velocity", [-0.2, -0.03, 0.15])
def test_a_jog_stops_exactly_at_the_soft_limit(machine: Simulation, velocity: float) -> None:
    table = MACHINE.stations[0].axes.table_x.values
    limit = table.position_max_m if velocity > 0.0 else table.position_min_m
    _hold_key(machine, X, velocity, 0.21 / abs(velocity) + 0.5)
    assert not _moving(machine)
    assert _position(machine, X) == limit
    machine.run(0.2)
    actual = float(machine.station()["status"]["axes"][X]["actual_position_m"])
    assert actual == pytest.approx(limit, abs=DRIVE_LAG_M)


def test_a_step_goes_its_distance_and_none_beyond_the_limit(machine: Simulation) -> None:
    began = _position(machine, X)
    assert _step(machine, X, -0.012) == Result.ACCEPTED
    assert _position(machine, X) == pytest.approx(began - 0.012, abs=1e-12)
    assert _step(machine, X, -0.3) == Result.REFUSED_VALUE
    assert _position(machine, X) == pytest.approx(began - 0.012, abs=1e-12)


def test_a_key_may_change_its_mind(machine: Simulation) -> None:
    _hold_key(machine, X, -0.2, 0.3)
    _hold_key(machine, X, 0.1, 0.4)
    assert _speed(machine, X) == pytest.approx(0.1)
    assert machine.command(Code.JOG, 0.01, index=AxisId.TAPE) == Result.REFUSED_STATE


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 0.0, 5.0])
def test_a_velocity_that_cannot_be_is_refused(machine: Simulation, value: float) -> None:
    assert machine.command(Code.JOG, value, index=X) == Result.REFUSED_VALUE
    assert machine.command(Code.JOG, 0.1, index=99) == Result.REFUSED_VALUE
    assert machine.command(Code.JOG, 0.1, index=X, station=3) == Result.REFUSED_VALUE
    assert not _moving(machine)


def test_nothing_is_moved_by_hand_in_another_mode(machine: Simulation) -> None:
    machine.command(Code.SET_MODE, Mode.PRODUCTION)
    for code in (Code.JOG, Code.JOG_STEP, Code.STEP, Code.IDENTIFY):
        assert machine.command(code, 0.01, index=X) == Result.REFUSED_MODE


def test_the_mode_stays_while_an_axis_moves(machine: Simulation) -> None:
    _hold_key(machine, X, -0.1, 0.2)
    assert machine.command(Code.SET_MODE, Mode.PRODUCTION) == Result.REFUSED_STATE


def test_a_stop_brakes_a_jog(machine: Simulation) -> None:
    _hold_key(machine, X, -0.2, 0.2)
    assert machine.command(Code.STOP) == Result.ACCEPTED
    machine.run_until(lambda: machine.state == State.STOPPED, 2.0)
    assert not _moving(machine)
    assert _speed(machine, X) == 0.0


def _lower(machine: Simulation) -> None:
    assert _step(machine, UP, -0.020) == Result.ACCEPTED


def _half_in(machine: Simulation) -> None:
    assert _step(machine, AxisId.FINGER_LEFT_FRONT_IN, 0.006) == Result.ACCEPTED


def _cut(machine: Simulation) -> None:
    assert _step(machine, AxisId.CUT, 0.035) == Result.ACCEPTED


def _tape(machine: Simulation) -> None:
    assert _step(machine, AxisId.TAPE, 0.010) == Result.ACCEPTED


def _over_the_table(machine: Simulation) -> None:
    assert _step(machine, BACK, 0.125) == Result.ACCEPTED


def _half_cut(machine: Simulation) -> None:
    assert _step(machine, AxisId.CUT, 0.010) == Result.ACCEPTED


def _nothing(machine: Simulation) -> None:
    pass


REFUSALS = {
    Guard.NOT_BY_HAND: (_nothing, AxisId.FEED, 0.01),
    Guard.OWN_ARM_UP: (_lower, BACK, 0.01),
    Guard.OWN_ARM_LANDS: (_over_the_table, UP, -0.01),
    Guard.OWN_FINGER_AT_END: (_half_in, AxisId.FINGER_LEFT_FRONT_DOWN, 0.002),
    Guard.CUTTER_AT_END: (_half_cut, X, -0.01),
    Guard.TAPE_HOME: (_tape, X, -0.01),
    Guard.WEB_CUT: (_nothing, AxisId.WRAP, 0.1),
    Guard.WEB_NOT_CUT: (_cut, AxisId.CUT, -0.01),
}


@pytest.mark.parametrize("guard", REFUSALS, ids=lambda guard: guard.name)
def test_what_stands_in_the_way_refuses_by_name(machine: Simulation, guard: Guard) -> None:
    prepare, axis, distance = REFUSALS[guard]
    prepare(machine)
    before, _ = machine.view.drain_events(0)
    assert machine.command(Code.JOG_STEP, distance, index=axis) == Result.REFUSED_INTERLOCK
    assert _guard(machine) == guard
    _, events = machine.view.drain_events(before)
    told = [event for event in events if event["kind"] == EventKind.JOG_REFUSED]
    assert [(int(event["code"]), int(event["index"])) for event in told] == [(guard, axis)]


def test_a_finger_that_is_down_is_not_pushed_in(machine: Simulation) -> None:
    assert _step(machine, AxisId.FINGER_LEFT_FRONT_DOWN, 0.004) == Result.ACCEPTED
    assert _step(machine, AxisId.FINGER_LEFT_FRONT_IN, 0.010) == Result.REFUSED_INTERLOCK
    assert _guard(machine) == Guard.OWN_FINGER_UP


def test_an_arm_forward_and_down_bars_the_table(machine: Simulation) -> None:
    """The cathode arm may land, the table stands at its end; then the table must not leave."""
    assert _step(machine, AxisId.CATHODE_ARM_X, 0.250) == Result.ACCEPTED
    assert _step(machine, AxisId.CATHODE_ARM_Z, -0.044) == Result.ACCEPTED
    assert _step(machine, X, -0.05) == Result.REFUSED_INTERLOCK
    assert _guard(machine) == Guard.ARMS_AWAY


def test_a_fold_in_work_is_not_let_go_by_hand(idle: tuple[Simulation, list[object]]) -> None:
    simulation, kept = idle
    simulation.restore(kept)
    simulation.command(Code.START)
    simulation.run_until(lambda: int(simulation.station()["status"]["sheet"]) > 2, 20.0)
    simulation.command(Code.STOP)
    simulation.run_until(lambda: simulation.state == State.STOPPED, 10.0)
    simulation.command(Code.SET_MODE, Mode.MANUAL)
    finger = AxisId.FINGER_RIGHT_FRONT_DOWN
    assert simulation.command(Code.JOG_STEP, -0.004, index=finger) == Result.REFUSED_INTERLOCK
    assert _guard(simulation) == Guard.TABLE_CLEARED
    simulation.command(Code.SET_MODE, Mode.PRODUCTION)
    simulation.reset()
    assert first_violations(simulation.machine.context) == []


def test_every_rule_names_a_guard_that_a_test_has_seen() -> None:
    seen = {*REFUSALS, Guard.OWN_FINGER_UP, Guard.ARMS_AWAY, Guard.TABLE_CLEARED}
    assert {rule.guard for rule in JOG_RULES} == seen


def test_what_was_moved_by_hand_is_cleared_before_the_next_cell(machine: Simulation) -> None:
    _step(machine, X, -0.05)
    _cut(machine)
    assert int(machine.station()["status"]["sequence"]) == SequenceState.MANUAL
    machine.command(Code.SET_MODE, Mode.PRODUCTION)
    machine.command(Code.SET_CELLS, 1.0)
    assert machine.command(Code.START) == Result.ACCEPTED
    machine.run_until(lambda: machine.state == State.COMPLETE, 60.0)
    assert judge_figures(machine.machine)["violations"] == {}
    assert int(machine.machine.state[0]["machine"]["cells_good"]) == 1


def test_a_cell_made_step_by_step_is_a_good_cell(machine: Simulation) -> None:
    machine.command(Code.SET_CELLS, 1.0)
    assert machine.command(Code.START) == Result.ACCEPTED
    machine.run(1.0)
    assert int(machine.station()["status"]["step"]) == 0
    sheets, steps = [0], 0
    while machine.state != State.COMPLETE:
        assert machine.command(Code.STEP) == Result.ACCEPTED
        steps += 1
        machine.run(1.2)
        sheets.append(int(machine.station()["status"]["sheet"]))
        assert steps < 80, machine.where()
    # a step lays one sheet at most, and the machine stands after it
    assert max(b - a for a, b in pairwise(sheets)) == 1
    assert int(machine.machine.state[0]["machine"]["cells_good"]) == 1


def test_between_steps_the_machine_stands(machine: Simulation) -> None:
    machine.command(Code.START)
    for _ in range(14):
        machine.command(Code.STEP)
        machine.run(1.2)
        machine.run_until(lambda: bool(machine.station()["at_rest"]), 1.0)
        at = machine.station()["axes"]["position_m"][: AxisId.FEED].copy()
        machine.run(0.5)
        assert (machine.station()["axes"]["position_m"][: AxisId.FEED] == at).all()


def test_a_dry_cycle_moves_everything_and_takes_nothing() -> None:
    plan = make_plan(MACHINE, RECIPE, dry=True)
    simulation = Simulation(MACHINE, PLANT, RECIPE, seed=5, plan=plan)
    simulation.reset()
    magazine = simulation.station()["status"]["magazine_sheets"].copy()
    fed = float(simulation.station()["status"]["feed_total_m"])
    assert simulation.command(Code.START) == Result.REFUSED_MODE
    simulation.command(Code.SET_MODE, Mode.MAINTENANCE)
    simulation.command(Code.SET_CELLS, 2.0)
    assert simulation.command(Code.START) == Result.ACCEPTED
    simulation.run_until(lambda: simulation.state == State.COMPLETE, 60.0)
    counted = simulation.machine.state[0]["machine"]
    assert (int(counted["cells_done"]), int(counted["cells_good"])) == (2, 0)
    assert simulation.records == []
    assert (simulation.station()["status"]["magazine_sheets"] == magazine).all()
    assert abs(float(simulation.station()["status"]["feed_total_m"]) - fed) < 0.5
    assert first_violations(simulation.machine.context) == []
    assert not any(simulation.station()["status"]["alarms"]), simulation.where()


def test_production_is_not_made_in_maintenance(machine: Simulation) -> None:
    machine.command(Code.SET_MODE, Mode.MAINTENANCE)
    assert machine.command(Code.START) == Result.REFUSED_MODE
