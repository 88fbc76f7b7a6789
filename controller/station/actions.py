"""Actions: what a switch or a routine's step does, beyond moving an axis."""

from controller.shared.plan import Action, RoutineId
from controller.station.feeders import discard, home_stage
from controller.station.grippers import drop, lay, pick, release, set_aside, vacuum_off, vacuum_on
from controller.station.kernel import kernel
from controller.station.moves import master_of
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
from drivers.image import GRIPPER_COUNT, AxisId, Polarity
from motion.master import place_master

_TABLE_Z = int(AxisId.TABLE_Z)
_POLARITIES = len(Polarity)


@kernel
def act(state, station_index, inputs, outputs, plan, action, index):
    """Carry out one action of the plan."""
    station = state.stations[station_index]
    # a plan comes from another process: no index of it leads beyond a table
    polarity = index if 0 <= index < _POLARITIES else 0
    gripper = index if 0 <= index < GRIPPER_COUNT else 0
    if action == Action.TOUCH_DOWN:
        _touch_down(state, station_index, plan, polarity)
    elif action == Action.FOLD:
        swap_fold(station, plan)
    elif action == Action.TRIGGER_STACK_CAMERA:
        trigger_stack_camera(state, station_index)
    elif action == Action.WRAP:
        start_wrap(station)
    elif action == Action.CUT:
        cut_web(station)
    elif action == Action.TRAIL:
        trail_web(station)
    elif action == Action.THREAD:
        start_web(station, plan)
    elif action == Action.VACUUM_ON:
        vacuum_on(station, gripper)
    elif action == Action.VACUUM_OFF:
        vacuum_off(state, station_index, gripper)
    else:
        _handle_sheets(state, station_index, plan, action, polarity)
        _finish_cell(state, station_index, inputs, outputs, plan, action, index)


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
def _handle_sheets(state, station_index, plan, action, polarity):
    """The actions of one arm and its stage."""
    if action == Action.PICK:
        pick(state, station_index, plan, polarity)
    elif action == Action.RELEASE:
        release(state, station_index, polarity)
    elif action == Action.STAGE_HOME:
        home_stage(state, station_index, plan, polarity)
    elif action == Action.DISCARD:
        discard(state.stations[station_index], polarity)
    elif action == Action.SET_ASIDE:
        set_aside(state, station_index, plan, polarity)
    elif action == Action.DROP:
        drop(state, station_index, polarity)
    elif action == Action.LAY:
        lay(state, station_index, polarity)


@kernel
def _finish_cell(state, station_index, inputs, outputs, plan, action, index):
    """The actions that take a finished stack from the table to the conveyor."""
    station = state.stations[station_index]
    if action == Action.STACK_CLAMP:
        outputs.stack_clamp = index
    elif action == Action.HAND_OVER:
        hand_over(station)
        begin_routine(state, station, station.wrap_up, MoveClock.WRAP_UP, RoutineId.WRAP_UP)
    elif action == Action.HIPOT:
        outputs.hipot_test = 1
    elif action == Action.CONVEYOR:
        outputs.conveyor = index
    elif action == Action.UNLOAD:
        outputs.hipot_test = 0
        if index == 1:
            station.wrapped.hipot_resistance_ohm = inputs.hipot_resistance_ohm
            close_wrapped(state, station_index, plan, 0)
        else:
            station.record.hipot_resistance_ohm = inputs.hipot_resistance_ohm
            end_dry_cycle(state, station, plan)
            close_cell(state, station_index, plan, 0)


@kernel
def begin_routine(state, station, runner, clock, routine):
    """Put a runner before the first step of a routine; its master keeps its speed, all is at rest."""
    runner.routine = routine
    runner.clock = clock
    runner.step = 0
    runner.group = 0
    runner.step_since_ns = state.machine.time_ns
    runner.active = 1
    master = master_of(station, clock)
    place_master(master, 0.0, master.speed)
