"""Commands: what an operator or another process asks for, answered in the cycle it comes in."""

import numpy as np

from controller.shared.alarms import AlarmId
from controller.shared.commands import OVERRIDE_MIN, CommandCode, CommandResult
from controller.shared.conditions import ConditionId
from controller.shared.events import EventKind
from controller.shared.layout import SOURCE_OVERRUN
from controller.shared.packml import MODE_CHANGE_STATES, Mode, State
from controller.shared.plan import RoutineId
from controller.shared.status import SequenceState
from controller.station.alarms import emit, raise_alarm, reset_alarms
from controller.station.drives import FAULT_RESET_CYCLES, any_fault
from controller.station.jog import answer_jog
from controller.station.kernel import kernel
from controller.station.machine import all_at_rest, change_state
from controller.station.sequence import start_routine
from drivers.image import AXIS_COUNT

_MODE_CHANGES = np.array([s in MODE_CHANGE_STATES for s in range(max(State) + 1)], np.uint8)
# What must hold before drives may be powered: bits of the start inhibits.
_BEFORE_POWER = (
    ConditionId.EMERGENCY_STOP_OK,
    ConditionId.SAFE_TORQUE_OFF_OK,
    ConditionId.DOOR_CLOSED,
    ConditionId.AIR_PRESSURE_OK,
    ConditionId.BUS_OPERATIONAL,
    ConditionId.PLAN_VALID,
)
_RESET_BITS = np.uint64(sum(1 << condition for condition in _BEFORE_POWER))


@kernel
def _begin_clearing(state):
    """Reset faulted drives; what an alarm asked for in this very scan was before the reset."""
    state.reaction = 0  # a cause that lasts asks again in the next cycle
    for index in range(state.machine.station_count):
        state.stations[index].off_path = 0
        if any_fault(state.stations[index]):
            state.stations[index].fault_reset = FAULT_RESET_CYCLES


@kernel
def _mode_fits(state, plans):
    """Production is made in Production, a dry cycle never; by steps both may be run."""
    mode = state.machine.mode
    for index in range(state.machine.station_count):
        status = state.stations[index].status
        slot = status.next_plan_slot if status.next_plan_slot >= 0 else status.plan_slot
        dry = plans[slot].dry != 0
        if (mode == Mode.PRODUCTION and dry) or (mode == Mode.MAINTENANCE and not dry):
            return False
    return True


@kernel
def _packml_command(state, code, plans):
    """Answer one of PackML's commands."""
    inhibits = state.machine.start_inhibits
    if code == CommandCode.START and not _mode_fits(state, plans):
        return CommandResult.REFUSED_MODE
    if code == CommandCode.START and inhibits != 0:
        return CommandResult.REFUSED_INHIBITED
    if code == CommandCode.RESET and inhibits & _RESET_BITS != 0:
        return CommandResult.REFUSED_INHIBITED
    if not change_state(state, code):
        return CommandResult.REFUSED_STATE
    if code == CommandCode.CLEAR:
        _begin_clearing(state)
    if code == CommandCode.CLEAR or code == CommandCode.RESET or code == CommandCode.UNHOLD:
        reset_alarms(state)
    return CommandResult.ACCEPTED


@kernel
def _set_mode(state, value):
    if not (value == 1.0 or value == 2.0 or value == 3.0):
        return CommandResult.REFUSED_VALUE
    if not _MODE_CHANGES[state.machine.state] or not all_at_rest(state):
        return CommandResult.REFUSED_STATE
    for index in range(state.machine.station_count):
        state.stations[index].step_asked = 0
    state.machine.mode = int(value)
    emit(state, EventKind.MODE_CHANGED, int(value), 0, -1, 0.0)
    return CommandResult.ACCEPTED


@kernel
def _acknowledge_records(state, value):
    counter = np.uint64(max(value, 0.0))
    if counter > state.records_produced:
        return CommandResult.REFUSED_VALUE
    if counter > state.records_acknowledged:
        state.records_acknowledged = counter
    return CommandResult.ACCEPTED


@kernel
def _activate_plan(state, plans, index, value):
    slot = int(value)
    belongs = 0 <= index < state.machine.station_count and slot // 2 == index
    if not belongs or slot < 0 or slot >= plans.size or not plans[slot].valid:
        return CommandResult.REFUSED_VALUE
    state.stations[index].status.next_plan_slot = slot
    return CommandResult.ACCEPTED


@kernel
def _tell_setting(state, command):
    emit(
        state,
        EventKind.SETTING_CHANGED,
        command.code,
        command.station,
        command.index,
        command.value,
    )


@kernel
def _trim(state, plans, command):
    """Live trims, bounded by the stage's range and the tension's warning band."""
    index = command.station
    if index < 0 or index >= state.machine.station_count or not command.value == command.value:
        return CommandResult.REFUSED_VALUE
    station = state.stations[index]
    plan = plans[station.status.plan_slot]
    if command.code == CommandCode.SET_TENSION_TRIM:
        if abs(command.value) > plan.web.tension_warning_n:
            return CommandResult.REFUSED_VALUE
        station.status.tension_trim_n = command.value
        _tell_setting(state, command)
        return CommandResult.ACCEPTED
    limit = plan.alignment.stage_range_rad if command.index == 2 else plan.alignment.stage_range_m
    if command.index < 0 or command.index > 2 or abs(command.value) > 0.5 * limit:
        return CommandResult.REFUSED_VALUE
    if command.index == 2:
        station.status.offset_trim_rad = command.value
    else:
        station.status.offset_trim_m[command.index] = command.value
    _tell_setting(state, command)
    return CommandResult.ACCEPTED


@kernel
def _manual(state, plans, command):
    """STEP in a running machine, IDENTIFY in one that stands idle; both in Manual mode."""
    index, current = command.station, state.machine.state
    if index < 0 or index >= state.machine.station_count:
        return CommandResult.REFUSED_VALUE
    if state.machine.mode != Mode.MANUAL:
        return CommandResult.REFUSED_MODE
    station = state.stations[index]
    if command.code == CommandCode.STEP:
        if current != State.STARTING and current != State.EXECUTE and current != State.COMPLETING:
            return CommandResult.REFUSED_STATE
        if not station.step_asked:
            station.step_asked = 1
        return CommandResult.ACCEPTED
    if current != State.IDLE or station.status.sequence != SequenceState.IDLE:
        return CommandResult.REFUSED_STATE
    plan = plans[station.status.plan_slot]
    start_routine(state, index, plan, RoutineId.IDENTIFY)
    return CommandResult.ACCEPTED


@kernel
def _scope(state, command):
    index, axis = command.station, command.index
    if index < 0 or index >= state.machine.station_count or axis < -1 or axis >= AXIS_COUNT:
        return CommandResult.REFUSED_VALUE
    state.scope_station = index
    state.scope_axis = axis
    return CommandResult.ACCEPTED


@kernel
def _open_cells(state):
    """Cells in work, on the tables and at the wrapping places."""
    count = 0
    for index in range(state.machine.station_count):
        count += state.stations[index].cell_open + state.stations[index].wrapped_open
    return count


@kernel
def _answer(state, command, plans):
    code = command.code
    if CommandCode.RESET <= code <= CommandCode.COMPLETE:
        return _packml_command(state, code, plans)
    if code == CommandCode.SET_MODE:
        return _set_mode(state, command.value)
    if code == CommandCode.SET_SPEED_OVERRIDE:
        if not OVERRIDE_MIN <= command.value <= 1.0:
            return CommandResult.REFUSED_VALUE
        state.machine.speed_override = command.value
        _tell_setting(state, command)
        return CommandResult.ACCEPTED
    if code == CommandCode.SET_CELLS:
        if not 0.0 <= command.value < 1e9:
            return CommandResult.REFUSED_VALUE
        state.machine.cells_requested = int(command.value)
        state.cells_started = state.machine.cells_done + _open_cells(state)
        if state.machine.cells_requested > 0:
            state.machine.cells_requested += state.machine.cells_done
        return CommandResult.ACCEPTED
    if code == CommandCode.ACKNOWLEDGE_RECORDS:
        return _acknowledge_records(state, command.value)
    if code == CommandCode.ACTIVATE_PLAN:
        return _activate_plan(state, plans, command.station, command.value)
    if code == CommandCode.SET_TENSION_TRIM or code == CommandCode.SET_OFFSET_TRIM:
        return _trim(state, plans, command)
    if code == CommandCode.JOG or code == CommandCode.JOG_STEP or code == CommandCode.JOG_STOP:
        return answer_jog(state, plans, command)
    if code == CommandCode.STEP or code == CommandCode.IDENTIFY:
        return _manual(state, plans, command)
    if code == CommandCode.SCOPE:
        return _scope(state, command)
    if code == CommandCode.SHUT_DOWN:
        state.shut_down_asked = 1
        return CommandResult.ACCEPTED
    return CommandResult.UNKNOWN


@kernel
def take_command(state, command, plans):
    """Answer the command of this cycle, if there is one."""
    if command.sequence == 0 or command.sequence == state.machine.last_command_sequence:
        return
    result = _answer(state, command, plans)
    state.machine.last_command_sequence = command.sequence
    state.machine.last_command_result = result
    if command.source == SOURCE_OVERRUN and result == CommandResult.ACCEPTED:
        raise_alarm(state, 0, AlarmId.CYCLE_OVERRUN, -1)
    if command.code != CommandCode.ACKNOWLEDGE_RECORDS:
        emit(
            state,
            EventKind.COMMAND,
            command.code,
            command.station,
            command.source,
            float(state.machine.last_command_result),
        )
