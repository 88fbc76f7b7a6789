"""Events: what happened, as numbers in a ring; the gateway makes words of them."""

from enum import IntEnum

import numpy as np

EVENT_RING_SIZE = 4096


class EventKind(IntEnum):
    """What an event tells; `code` and `value` are read by kind."""

    NONE = 0
    STATE_CHANGED = 1  # code: new State; value: old State
    MODE_CHANGED = 2
    ALARM_RAISED = 3  # code: AlarmId; index: axis or -1
    ALARM_CLEARED = 4
    COMMAND = 5  # code: CommandCode; index: who asked; value: CommandResult
    CELL_STARTED = 6  # value: cell number
    CELL_FINISHED = 7  # code: records.Verdict; value: cell number
    RECOVERED = 8  # code: AlarmId
    PLAN_ACTIVATED = 9  # code: slot
    OVERRUN = 10  # value: periods missed
    CORE_STOPPED = 12
    ROLL_CHANGED = 13  # value: radius of the new roll, m
    SETTING_CHANGED = 14  # code: CommandCode; index: its index; value: the new value
    JOG_REFUSED = 15  # code: jog.Guard; index: axis


EVENT_DTYPE = np.dtype(
    [
        ("time_ns", np.int64),
        ("cycle", np.int64),
        ("kind", np.int32),
        ("code", np.int32),
        ("station", np.int32),
        ("index", np.int32),
        ("value", np.float64),
    ],
    align=True,
)
