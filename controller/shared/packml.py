"""PackML (ISA-TR88.00.02): the states, commands and modes, and the one table that relates them.

Numbers are the standard's own, so that OPC UA, records and logs show them unchanged.
"""

from enum import IntEnum


class State(IntEnum):
    """The 17 states (ISA-TR88.00.02, table 2)."""

    CLEARING = 1
    STOPPED = 2
    STARTING = 3
    IDLE = 4
    SUSPENDED = 5
    EXECUTE = 6
    STOPPING = 7
    ABORTING = 8
    ABORTED = 9
    HOLDING = 10
    HELD = 11
    UNHOLDING = 12
    SUSPENDING = 13
    UNSUSPENDING = 14
    RESETTING = 15
    COMPLETING = 16
    COMPLETE = 17


class Command(IntEnum):
    """The control commands; STATE_COMPLETE is the machine's own."""

    STATE_COMPLETE = 0
    RESET = 1
    START = 2
    STOP = 3
    HOLD = 4
    UNHOLD = 5
    SUSPEND = 6
    UNSUSPEND = 7
    ABORT = 8
    CLEAR = 9
    COMPLETE = 10


class Mode(IntEnum):
    """Unit modes."""

    PRODUCTION = 1
    MAINTENANCE = 2
    MANUAL = 3


S, C = State, Command

ACTING: frozenset[State] = frozenset(
    {
        S.CLEARING,
        S.STARTING,
        S.EXECUTE,
        S.STOPPING,
        S.ABORTING,
        S.HOLDING,
        S.UNHOLDING,
        S.SUSPENDING,
        S.UNSUSPENDING,
        S.RESETTING,
        S.COMPLETING,
    }
)
_STOP_REFUSED = {S.STOPPING, S.STOPPED, S.ABORTING, S.ABORTED, S.CLEARING}
_ABORT_REFUSED = {S.ABORTING, S.ABORTED}

TRANSITIONS: dict[tuple[State, Command], State] = {
    (S.STOPPED, C.RESET): S.RESETTING,
    (S.COMPLETE, C.RESET): S.RESETTING,
    (S.IDLE, C.START): S.STARTING,
    (S.EXECUTE, C.COMPLETE): S.COMPLETING,
    (S.ABORTED, C.CLEAR): S.CLEARING,
    **{(s, C.HOLD): S.HOLDING for s in (S.STARTING, S.EXECUTE, S.UNHOLDING)},
    **{(s, C.HOLD): S.HOLDING for s in (S.SUSPENDING, S.SUSPENDED, S.UNSUSPENDING)},
    (S.HELD, C.UNHOLD): S.UNHOLDING,
    **{(s, C.SUSPEND): S.SUSPENDING for s in (S.STARTING, S.EXECUTE)},
    **{(s, C.SUSPEND): S.SUSPENDING for s in (S.UNHOLDING, S.UNSUSPENDING)},
    (S.SUSPENDED, C.UNSUSPEND): S.UNSUSPENDING,
    **{(s, C.STOP): S.STOPPING for s in State if s not in _STOP_REFUSED},
    **{(s, C.ABORT): S.ABORTING for s in State if s not in _ABORT_REFUSED},
    (S.CLEARING, C.STATE_COMPLETE): S.STOPPED,
    (S.STARTING, C.STATE_COMPLETE): S.EXECUTE,
    (S.EXECUTE, C.STATE_COMPLETE): S.COMPLETING,
    (S.STOPPING, C.STATE_COMPLETE): S.STOPPED,
    (S.ABORTING, C.STATE_COMPLETE): S.ABORTED,
    (S.HOLDING, C.STATE_COMPLETE): S.HELD,
    (S.UNHOLDING, C.STATE_COMPLETE): S.EXECUTE,
    (S.SUSPENDING, C.STATE_COMPLETE): S.SUSPENDED,
    (S.UNSUSPENDING, C.STATE_COMPLETE): S.EXECUTE,
    (S.RESETTING, C.STATE_COMPLETE): S.IDLE,
    (S.COMPLETING, C.STATE_COMPLETE): S.COMPLETE,
}

# The mode may change only where nothing moves.
MODE_CHANGE_STATES: frozenset[State] = frozenset({S.STOPPED, S.IDLE, S.ABORTED, S.COMPLETE})


def next_state(state: State, command: Command) -> State | None:
    """Return the state a command leads to, None where the standard has no such transition."""
    return TRANSITIONS.get((state, command))
