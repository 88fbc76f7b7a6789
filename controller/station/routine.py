"""Routines: tables of steps, each over the path time of a master. So hold, stop, restart and override
work in them as they do in a section.

A station has three runners: its own, its wrapping place's and that of an arm's recovery.
"""

from controller.shared.alarms import AlarmId
from controller.shared.conditions import ConditionId
from controller.shared.packml import State
from controller.shared.plan import RunOn, StepKind
from controller.station.actions import act
from controller.station.alarms import raise_alarm
from controller.station.drives import all_enabled
from controller.station.kernel import kernel
from controller.station.moves import moves_done, start_move
from controller.station.state import MoveClock
from drivers.image import AxisId

_NEVER = int(RunOn.NEVER)


@kernel
def present_run_on(plan, runner):
    """What the step that a runner is at does not stop for."""
    routine = plan.routines[runner.routine]
    if not runner.active or runner.step >= routine.step_count:
        return _NEVER
    return plan.steps[routine.first_step + runner.step].run_on


@kernel
def must_run_on(state, station, plan, runner):
    """True at a routine's step that a stop, or even an abort, lets come to its end.

    Without power there is nothing that could run on.
    """
    aborting = state.machine.state == State.ABORTING
    least = RunOn.ABORT if aborting else RunOn.STOP
    return all_enabled(station) and present_run_on(plan, runner) >= least


@kernel
def _target(step, position_m):
    """Where a step's move leads; the changer's: to its nearest end, with index 1 to the other one."""
    if step.axis != AxisId.CHANGER:
        return step.position_m
    far = position_m > 0.5 * step.position_m
    return step.position_m if far != (step.index == 1) else 0.0


@kernel
def _start_step(state, station_index, plan, step, clock):
    position_m = state.stations[station_index].axes[step.axis].position_m
    start_move(state, station_index, plan, step.axis, _target(step, position_m), clock)


@kernel
def _start_group(state, station_index, plan, first, count, clock):
    """Start a run of MOVEs, closed by another kind of step or the routine's end; how many they are."""
    for index in range(first, first + count):
        step = plan.steps[index]
        if step.kind != StepKind.MOVE:
            return index - first
        _start_step(state, station_index, plan, step, clock)
    return count


@kernel
def _group_done(station, plan, first, count):
    for index in range(first, first + count):
        if station.axes[plan.steps[index].axis].move.active:
            return False
    return True


@kernel
def _wait(state, station_index, runner, step):
    """Wait for a condition; too long a wait is an alarm."""
    station = state.stations[station_index]
    # conditions are as old as this cycle's beginning: an action of this cycle is not in them
    if state.machine.time_ns == runner.step_since_ns:
        return 0
    if step.condition == ConditionId.MOVES_DONE:
        held = moves_done(station, runner.clock)
    else:
        held = station.status.conditions[step.condition] != 0
    if runner.clock == MoveClock.ROUTINE:
        station.status.gate_condition = 0 if held else step.condition
    if not held and not station.status.conditions[ConditionId.RUNNING]:
        runner.step_since_ns = state.machine.time_ns
    waited = state.machine.time_ns - runner.step_since_ns
    if not held and step.timeout_ns > 0 and waited > step.timeout_ns:
        raise_alarm(state, station_index, AlarmId.GATE_TIMEOUT, -1)
    return 1 if held else 0


@kernel
def _run_step(state, station_index, inputs, outputs, plan, runner):
    """One routine step: starts what it does; returns how many steps are done with."""
    station = state.stations[station_index]
    routine = plan.routines[runner.routine]
    first = routine.first_step + runner.step
    step = plan.steps[first]
    if step.kind == StepKind.ACTION:
        act(state, station_index, inputs, outputs, plan, step.action, step.index)
        return 1
    if step.kind == StepKind.WAIT:
        return _wait(state, station_index, runner, step)
    if step.kind == StepKind.DWELL:
        return 1 if state.machine.time_ns - runner.step_since_ns >= step.timeout_ns else 0
    if step.kind == StepKind.START:
        _start_step(state, station_index, plan, step, runner.clock)
        return 1
    if not runner.group:
        remaining = routine.step_count - runner.step
        runner.group = _start_group(state, station_index, plan, first, remaining, runner.clock)
        return 0
    return runner.group if _group_done(station, plan, first, runner.group) else 0


@kernel
def run_routine(state, station_index, inputs, outputs, plan, runner, speed):
    """Run a routine's steps on, after its master; True when the last one is done."""
    station = state.stations[station_index]
    routine = plan.routines[runner.routine]
    if speed == 0.0 and not runner.group:
        return False
    # bounded: at most a routine's whole length of actions in one cycle
    for _ in range(routine.step_count + 1):
        if runner.step >= routine.step_count:
            runner.active = 0
            return True
        done = _run_step(state, station_index, inputs, outputs, plan, runner)
        if done == 0:
            return False
        waited = plan.steps[routine.first_step + runner.step].kind == StepKind.WAIT
        runner.step += done
        runner.group = 0
        runner.step_since_ns = state.machine.time_ns
        if waited and station.step_asked and runner.clock == MoveClock.ROUTINE:
            station.step_asked = 0
            return False
    return False
