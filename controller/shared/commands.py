"""Commands to the core: 64-byte slots, taken only if next in order and whole."""

from enum import IntEnum

import numpy as np

from controller.shared.packml import Command

OVERRIDE_MIN = 0.01  # of full speed


class CommandCode(IntEnum):
    """What can be asked of the core; PackML's commands by their own numbers."""

    NONE = 0
    RESET = Command.RESET
    START = Command.START
    STOP = Command.STOP
    HOLD = Command.HOLD
    UNHOLD = Command.UNHOLD
    SUSPEND = Command.SUSPEND
    UNSUSPEND = Command.UNSUSPEND
    ABORT = Command.ABORT
    CLEAR = Command.CLEAR
    COMPLETE = Command.COMPLETE
    SET_MODE = 20  # value: packml.Mode
    SET_SPEED_OVERRIDE = 21  # value: 0.01 to 1
    SET_CELLS = 22  # value: cells to make after Start, 0 without end
    ACTIVATE_PLAN = 23  # station; value: slot; at the next cell
    ACKNOWLEDGE_RECORDS = 24  # value: counter of the newest record durably stored
    JOG = 25  # station; index: axis; value: velocity; to be renewed, Manual mode
    JOG_STOP = 26  # station
    SET_TENSION_TRIM = 27  # station; value: N
    SET_OFFSET_TRIM = 28  # station; index: 0 x, 1 y, 2 theta; value: m or rad
    STEP = 29  # station; Manual mode: one step of a routine, or one sheet
    SHUT_DOWN = 30  # stop along the path, disable the drives, end the loop
    JOG_STEP = 31  # station; index: axis; value: distance, Manual mode
    IDENTIFY = 32  # station; Manual mode: excite the table so that its mode can be identified
    SCOPE = 33  # station; index: axis whose samples are published, -1 for none


class CommandResult(IntEnum):
    """The core's answer to the last command."""

    NONE = 0
    ACCEPTED = 1
    REFUSED_STATE = 2
    REFUSED_INHIBITED = 3
    REFUSED_VALUE = 4
    UNKNOWN = 5
    REFUSED_MODE = 6
    REFUSED_INTERLOCK = 7  # the machine status names the guard


COMMAND_SLOT_COUNT = 64

COMMAND_DTYPE = np.dtype(
    [
        ("sequence", np.uint64),
        ("code", np.int32),
        ("station", np.int32),
        ("index", np.int32),
        ("source", np.int32),
        ("value", np.float64),
        ("issued_ns", np.int64),
        ("spare", np.uint64, (2,)),
        ("check", np.uint64),
    ],
    align=True,
)
assert COMMAND_DTYPE.itemsize == 64
