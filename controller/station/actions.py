"""Actions: what a switch or a routine's step does, beyond moving an axis."""

from controller.shared.plan import Action, RoutineId
from controller.station.feeders import discard, home_stage, pick, release, vacuum_off
from controller.station.kernel import kernel
from controller.station.player import place_master
from controller.station.quality import (
    close_cell,
    close_wrapped,
    end_dry_cycle,
    hand_over,
    record_layer,
    trigger_stack_camera,
)
from controller.station.state import MoveClock
from controller.station.web import cut_web, start_web, start_wrap, swap_fold, trail_web
from drivers.image import AxisId

_TABLE_Z = int(AxisId.TABLE_Z)


@kernel
def _touch_down(state, station_index, plan, polarity):
    """The arm stands on the stack: the sheet it brought is laid."""
    station = state.stations[station_index]
    sheet = station.feeders[polarity].placed
    laid = sheet.present
    station.axes[_TABLE_Z].cam_scale = 1.0 if laid else 0.0
    if plan.dry:
        station.status.sheet += 1
    if laid and station.cell_open:
        record_layer(state, station_index, plan, polarity, sheet)


@kernel
def act(state, station_index, inputs, outputs, plan, action, index):
    """Carry out one action of the plan."""
    station = state.stations[station_index]
    polarity = index if 0 <= index < 2 else 0
    if action == Action.TOUCH_DOWN:
        _touch_down(state, station_index, plan, polarity)
    elif action == Action.FOLD:
        swap_fold(station, plan)
    elif action == Action.RELEASE:
        release(state, station_index, polarity)
    elif action == Action.PICK:
        pick(state, station_index, plan, polarity)
    elif action == Action.TRIGGER_STACK_CAMERA:
        trigger_stack_camera(state, station_index)
    elif action == Action.STAGE_HOME:
        home_stage(station, plan, polarity)
    elif action == Action.VACUUM_OFF:
        if 0 <= index < station.grippers.size:
            vacuum_off(state, station_index, index)
    elif action == Action.VACUUM_ON:
        if 0 <= index < station.grippers.size:
            station.grippers[index].on = 1
    elif action == Action.DISCARD:
        discard(station, polarity)
    elif action == Action.WRAP:
        start_wrap(station)
    elif action == Action.CUT:
        cut_web(station)
    elif action == Action.THREAD:
        start_web(station, plan)
    else:
        _change(state, station_index, inputs, outputs, plan, action, index)


@kernel
def _change(state, station_index, inputs, outputs, plan, action, index):
    """The actions that take a finished stack from the table to the conveyor."""
    station = state.stations[station_index]
    if action == Action.STACK_CLAMP:
        outputs.stack_clamp = index
    elif action == Action.TRAIL:
        trail_web(station)
    elif action == Action.HAND_OVER:
        hand_over(station)
        _start_wrap_up(state, station)
    elif action == Action.HIPOT:
        outputs.hipot_test = 1
    elif action == Action.CONVEYOR:
        outputs.conveyor = index
    elif action == Action.UNLOAD:
        record = station.record
        if index == 1:
            record = station.wrapped
        record.hipot_resistance_ohm = inputs.hipot_resistance_ohm
        outputs.hipot_test = 0
        if index == 1:
            close_wrapped(state, station_index, plan, 0)
        else:
            end_dry_cycle(state, station, plan)
            close_cell(state, station_index, plan, 0)


@kernel
def begin_runner(state, runner, master, routine):
    """Put a runner before the first step of a routine; its master keeps its speed, all is at rest."""
    runner.routine = routine
    runner.step = 0
    runner.step_started = 0
    runner.step_since_ns = state.machine.time_ns
    place_master(master, 0.0, master.speed)


@kernel
def _start_wrap_up(state, station):
    station.wrap_up.active = 1
    station.wrap_up.clock = MoveClock.WRAP_UP
    begin_runner(state, station.wrap_up, station.wrap_master, RoutineId.WRAP_UP)
