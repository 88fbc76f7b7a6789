"""The machine: PackML from its table, alarms' reactions obeyed."""

import numpy as np

from controller.shared.alarms import AlarmId, Reaction
from controller.shared.conditions import ConditionId
from controller.shared.events import EventKind
from controller.shared.packml import TRANSITIONS, Command, Mode, State
from controller.shared.status import SequenceState
from controller.station.alarms import emit
from controller.station.drives import all_disabled, any_fault
from controller.station.kernel import kernel
from controller.station.quality import close_cell, close_wrapped, reject_reason
from controller.station.sequence import lead_in_done
from drivers.image import BusState

_STATE_COUNT = max(State) + 1
_NEXT = np.array(
    [
        [TRANSITIONS.get((State(s), c), 0) if s in set(State) else 0 for c in Command]
        for s in range(_STATE_COUNT)
    ],
    np.int64,
)
_REACTIONS = np.zeros(len(Reaction), np.int64)
_REACTIONS[Reaction.SUSPEND] = Command.SUSPEND
_REACTIONS[Reaction.HOLD] = Command.HOLD
_REACTIONS[Reaction.STOP] = Command.STOP
_REACTIONS[Reaction.ABORT] = Command.ABORT


@kernel
def start_machine(state):
    """First cycle: the machine wakes in Stopped, Production, at full speed."""
    state.started = 1
    state.machine.state = State.STOPPED
    state.machine.mode = Mode.PRODUCTION
    state.machine.speed_override = 1.0
    state.scope_axis = -1
    state.machine.state_since_ns = state.machine.time_ns
    for index in range(state.machine.station_count):
        status = state.stations[index].status
        status.plan_slot = 2 * index
        status.next_plan_slot = -1


@kernel
def change_state(state, command):
    """Follow the table; False where it has no such transition."""
    old = state.machine.state
    if old <= 0 or old >= _STATE_COUNT or command < 0 or command >= _NEXT.shape[1]:
        return False
    new = _NEXT[old, command]
    if new == 0:
        return False
    state.machine.state = new
    state.machine.state_since_ns = state.machine.time_ns
    emit(state, EventKind.STATE_CHANGED, new, 0, -1, float(old))
    return True


@kernel
def all_at_rest(state):
    """True when every station rests."""
    for index in range(state.machine.station_count):
        if not state.stations[index].at_rest:
            return False
    return True


@kernel
def _every_station_idle(state):
    for index in range(state.machine.station_count):
        station = state.stations[index]
        if station.status.sequence != SequenceState.IDLE or station.wrap_up.active:
            return False
    return True


@kernel
def _close_cells(state, plans, aborting):
    for index in range(state.machine.station_count):
        plan = plans[state.stations[index].status.plan_slot]
        close_wrapped(state, index, plan, reject_reason(aborting))
        close_cell(state, index, plan, reject_reason(aborting))


@kernel
def _stand(station):
    """Stop the masters where they are, and watch no sheet: nothing follows the program any more."""
    station.master.speed = station.ahead.speed = station.late.speed = 0.0
    station.master.acceleration = station.ahead.acceleration = station.late.acceleration = 0.0
    for gripper in range(station.grippers.size):
        station.grippers[gripper].holding = 0


@kernel
def _disabled(state):
    """Remove the enable; True once every drive has followed."""
    done = True
    for index in range(state.machine.station_count):
        station = state.stations[index]
        station.enable = 0
        station.status.sequence = SequenceState.OFF
        _stand(station)
        done = done and all_disabled(station)
    return done


@kernel
def _torque_gone(state):
    """True when safety took the torque: waiting for a standstill on the path is vain."""
    for index in range(state.machine.station_count):
        if not state.stations[index].status.conditions[ConditionId.SAFE_TORQUE_OFF_OK]:
            return True
    return False


@kernel
def _off_path(state):
    """True when axes are not where the path is, or do not hear where it leads: braking along it is vain."""
    partly = state.machine.working_counter != 0
    whole = state.machine.working_counter == state.machine.working_counter_expected
    lost = state.machine.bus_state == BusState.DOWN and partly and not whole
    for index in range(state.machine.station_count):
        alarms = state.stations[index].status.alarms
        lost = lost or alarms[AlarmId.FOLLOWING_ERROR] or alarms[AlarmId.DRIVE_FAULT]
        lost = lost or alarms[AlarmId.DRIVE_NOT_ENABLED]
    for index in range(state.machine.station_count):
        if lost:
            state.stations[index].off_path = 1
    return lost


@kernel
def _cleared(state):
    for index in range(state.machine.station_count):
        station = state.stations[index]
        if station.fault_reset > 0 or any_fault(station):
            return False
    return True


@kernel
def _lead_in_done(state):
    for index in range(state.machine.station_count):
        if not lead_in_done(state, state.stations[index]):
            return False
    return True


@kernel
def _acting_done(state, plans):
    """Is what the present acting state is for accomplished?"""
    current = state.machine.state
    if current == State.RESETTING or current == State.COMPLETING:
        return _every_station_idle(state)
    if current == State.STARTING:
        return _lead_in_done(state)
    if current == State.EXECUTE:
        wanted = state.machine.cells_requested
        return wanted > 0 and state.machine.cells_done >= wanted and _every_station_idle(state)
    if current == State.HOLDING or current == State.SUSPENDING:
        return all_at_rest(state)
    if current == State.UNHOLDING or current == State.UNSUSPENDING:
        return True
    if current == State.STOPPING and all_at_rest(state):
        _close_cells(state, plans, False)
        return True
    if current == State.ABORTING and (
        all_at_rest(state) or _torque_gone(state) or _off_path(state)
    ):
        _close_cells(state, plans, True)
        return _disabled(state)
    if current == State.CLEARING:
        return _cleared(state)
    return False


@kernel
def _shut_down(state):
    """On the way out: stop along the path, then disable."""
    current = state.machine.state
    if current == State.STOPPED or current == State.ABORTED:
        if _disabled(state):
            state.shut_down_done = 1
        return
    change_state(state, Command.STOP)


@kernel
def step_machine(state, plans):
    """Obey the strongest reaction, then let an acting state end when its work is done."""
    if state.reaction > 0:
        change_state(state, _REACTIONS[state.reaction])
        state.reaction = 0  # what is raised after this is obeyed in the next cycle
    elif state.machine.state == State.SUSPENDED and state.machine.stop_reason == AlarmId.NONE:
        change_state(state, Command.UNSUSPEND)
    if _acting_done(state, plans):
        change_state(state, Command.STATE_COMPLETE)
    if state.shut_down_asked:
        _shut_down(state)
