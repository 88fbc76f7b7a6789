"""Events and alarms: emitted as numbers, first-out kept, the strongest reaction noted for the machine."""

import numpy as np

from controller.shared.alarms import ALARMS, AlarmId, Reaction, ResetRule
from controller.shared.events import EventKind
from controller.station.kernel import kernel
from controller.station.state import EVENTS_PER_CYCLE_MAX

_REACTION = np.array([ALARMS[alarm].reaction for alarm in AlarmId], np.int64)
_ON_COMMAND = np.array([ALARMS[alarm].reset == ResetRule.ON_COMMAND for alarm in AlarmId], np.uint8)
ALARM_COUNT = len(AlarmId)


@kernel
def emit(state, kind, code, station_index, index, value):
    """Add an event to this cycle's outbox; one too many is counted as lost."""
    if state.outbox.count >= EVENTS_PER_CYCLE_MAX:
        state.outbox.lost += 1
        return
    event = state.outbox.events[state.outbox.count]
    event.time_ns = state.machine.time_ns
    event.cycle = state.machine.cycle
    event.kind = kind
    event.code = code
    event.station = station_index
    event.index = index
    event.value = value
    state.outbox.count += 1


@kernel
def raise_alarm(state, station_index, alarm, axis):
    """Raise an alarm of a station; `axis` is the axis that caused it or -1.

    An active alarm is not raised again, but its reaction is asked for as long as its cause lasts.
    """
    if alarm == AlarmId.NONE:
        return
    if alarm < 0 or alarm >= ALARM_COUNT:
        alarm = np.int64(AlarmId.INTERNAL)
    status = state.stations[station_index].status
    if _REACTION[alarm] > state.reaction:
        state.reaction = _REACTION[alarm]
    if status.alarms[alarm]:
        return
    status.alarms[alarm] = 1
    status.alarm_axis[alarm] = axis
    status.alarm_since_ns[alarm] = state.machine.time_ns
    state.stations[station_index].record.alarms[alarm] = 1
    if _REACTION[alarm] >= Reaction.HOLD and status.first_out == 0:
        status.first_out = alarm
        if state.machine.stop_reason == 0:
            state.machine.stop_reason = alarm
    emit(state, EventKind.ALARM_RAISED, alarm, station_index, axis, 0.0)


@kernel
def clear_alarm(state, station_index, alarm):
    """Clear an alarm whose cause has gone."""
    status = state.stations[station_index].status
    if not status.alarms[alarm]:
        return
    status.alarms[alarm] = 0
    emit(state, EventKind.ALARM_CLEARED, alarm, station_index, -1, 0.0)


@kernel
def alarm_while(state, station_index, alarm, axis, present):
    """Keep an alarm of the AUTOMATIC rule equal to its cause; one ON_COMMAND is only raised here."""
    if present:
        raise_alarm(state, station_index, alarm, axis)
    elif not _ON_COMMAND[alarm]:
        clear_alarm(state, station_index, alarm)


@kernel
def reset_alarms(state):
    """Clear what waits for a command; a cause that lasts raises its alarm again in the same scan."""
    for index in range(state.machine.station_count):
        for alarm in range(1, ALARM_COUNT):
            if _ON_COMMAND[alarm]:
                clear_alarm(state, index, alarm)
        state.stations[index].status.first_out = 0
    state.machine.stop_reason = 0


@kernel
def recovered(state, station_index, alarm):
    """Count a recovery that kept the cell."""
    state.stations[station_index].status.recoveries[alarm] += 1
    emit(state, EventKind.RECOVERED, alarm, station_index, -1, 0.0)
