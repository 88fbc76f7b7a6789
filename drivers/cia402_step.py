"""CiA 402 compiled: decode a statusword, decode a controlword, take one step of the power state table."""

import numpy as np
from numba import njit

from drivers.cia402 import (
    CONTROLWORD_PATTERN,
    POWER_TRANSITIONS,
    STATUSWORD_PATTERN,
    Controlword,
    PowerCommand,
    PowerState,
)

_STATES = len(PowerState)
_MASK = np.array([STATUSWORD_PATTERN[state][0] for state in PowerState], np.int64)
_VALUE = np.array([STATUSWORD_PATTERN[state][1] for state in PowerState], np.int64)
_CONTROLWORD = np.array([CONTROLWORD_PATTERN[command] for command in PowerCommand], np.int64)
_NEXT = np.array(
    [[POWER_TRANSITIONS.get((s, c), s) for c in PowerCommand] for s in PowerState], np.int64
)

_ENABLE_VOLTAGE = int(Controlword.ENABLE_VOLTAGE)
_QUICK_STOP = int(Controlword.QUICK_STOP)
_SWITCH_ON = int(Controlword.SWITCH_ON)
_ENABLE_OPERATION = int(Controlword.ENABLE_OPERATION)

_COMMAND_FAULT_RESET = int(PowerCommand.FAULT_RESET)
_COMMAND_DISABLE_VOLTAGE = int(PowerCommand.DISABLE_VOLTAGE)
_COMMAND_QUICK_STOP = int(PowerCommand.QUICK_STOP)
_COMMAND_SHUTDOWN = int(PowerCommand.SHUTDOWN)
_COMMAND_SWITCH_ON = int(PowerCommand.SWITCH_ON)
_COMMAND_ENABLE_OPERATION = int(PowerCommand.ENABLE_OPERATION)

# The command that leads one step towards OPERATION_ENABLED from each state.
_TOWARDS_ENABLED = np.array(
    [
        PowerCommand.DISABLE_VOLTAGE,  # NOT_READY: wait
        PowerCommand.SHUTDOWN,
        PowerCommand.SWITCH_ON,
        PowerCommand.ENABLE_OPERATION,
        PowerCommand.ENABLE_OPERATION,
        PowerCommand.ENABLE_OPERATION,
        PowerCommand.DISABLE_VOLTAGE,  # FAULT_REACTION_ACTIVE: wait
        PowerCommand.DISABLE_VOLTAGE,  # FAULT: reset is asked for apart
    ],
    np.int64,
)


@njit(cache=True, nogil=True, error_model="numpy")
def power_state(statusword):
    """Return the PowerState that a statusword shows; NOT_READY where none fits."""
    word = np.int64(statusword)
    for state in range(_STATES):
        if word & _MASK[state] == _VALUE[state]:
            return state
    return 0


@njit(cache=True, nogil=True, error_model="numpy")
def statusword_of(state):
    """Return the statusword bits a drive in this PowerState shows, flags apart."""
    return _VALUE[state] if 0 <= state < _STATES else _VALUE[0]


@njit(cache=True, nogil=True, error_model="numpy")
def power_command(controlword, previous):
    """Return the PowerCommand a controlword gives (IEC 61800-7-201, table 8)."""
    word = np.int64(controlword)
    if word & 0x80 and not np.int64(previous) & 0x80:
        return _COMMAND_FAULT_RESET
    if not word & _ENABLE_VOLTAGE:
        return _COMMAND_DISABLE_VOLTAGE
    if not word & _QUICK_STOP:
        return _COMMAND_QUICK_STOP
    if not word & _SWITCH_ON:
        return _COMMAND_SHUTDOWN
    if not word & _ENABLE_OPERATION:
        return _COMMAND_SWITCH_ON
    return _COMMAND_ENABLE_OPERATION


@njit(cache=True, nogil=True, error_model="numpy")
def step_power(state, command):
    """Return the PowerState after a command; unknown numbers leave the state as it is.

    ENABLE_OPERATION in READY_TO_SWITCH_ON switches on first (transition 3 before 4).
    """
    if state < 0 or state >= _STATES or command < 0 or command >= _NEXT.shape[1]:
        return state
    if state == 2 and command == 3:
        return _NEXT[2, 2]
    return _NEXT[state, command]


@njit(cache=True, nogil=True, error_model="numpy")
def controlword_towards_enabled(state):
    """Return the controlword that brings a drive one step nearer to OPERATION_ENABLED."""
    if state < 0 or state >= _STATES:
        return 0
    return _CONTROLWORD[_TOWARDS_ENABLED[state]]
