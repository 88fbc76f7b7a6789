"""The AL state machine (ETG.1000.6, clause 6.4.1), compiled: what a slave grants, refuses and leaves."""

import numpy as np
from numba import njit

from drivers.cia402 import ErrorCode
from drivers.ethercat.little_endian import get_u16, get_u32, put_u16
from drivers.ethercat.protocol import SYNC_MANAGER_BYTES, AlCode, AlState, AlStatus, Register
from hal_sim.ethercat.clocks import sync0_phase_ns

_INIT, _PREOP, _BOOT = int(AlState.INIT), int(AlState.PREOP), int(AlState.BOOT)
_SAFEOP, _OP = int(AlState.SAFEOP), int(AlState.OP)
_ERROR = int(AlStatus.ERROR)
_STATUS, _CODE = int(Register.AL_STATUS), int(Register.AL_STATUS_CODE)
_CONTROL, _MANAGER = int(Register.AL_CONTROL), int(Register.SYNC_MANAGER)
_DIVIDER, _TIME = int(Register.WATCHDOG_DIVIDER), int(Register.WATCHDOG_TIME)
_WATCHDOG_STATUS = int(Register.WATCHDOG_STATUS)
_SIZE = SYNC_MANAGER_BYTES
_ACTIVATION, _CYCLE = int(Register.DC_ACTIVATION), int(Register.DC_SYNC0_CYCLE)
_INVALID_CHANGE, _UNKNOWN = int(AlCode.INVALID_STATE_CHANGE), int(AlCode.UNKNOWN_STATE)
_NO_BOOT, _BAD_MAILBOX = int(AlCode.BOOT_NOT_SUPPORTED), int(AlCode.INVALID_MAILBOX_PREOP)
_BAD_OUTPUTS = int(AlCode.INVALID_OUTPUT_SYNC_MANAGER)
_BAD_INPUTS = int(AlCode.INVALID_INPUT_SYNC_MANAGER)
_BAD_CLOCK, _WATCHDOG = int(AlCode.INVALID_DC_CONFIGURATION), int(AlCode.PROCESS_DATA_WATCHDOG)
_SYNCHRONIZATION = int(AlCode.SYNCHRONIZATION_ERROR)
_SYNC_MARGIN_NS = 20_000
_MISSED_SYNC = 3
_WATCHDOG_FAULT = int(ErrorCode.COMMUNICATION_WATCHDOG)


@njit(cache=True, nogil=True, error_model="numpy")
def al_state(slave):
    """Return the AlState the slave is in."""
    return np.int64(slave.memory[_STATUS]) & 0x0F


@njit(cache=True, nogil=True, error_model="numpy")
def _enter(slave, state, code):
    slave.memory[_STATUS] = state | (_ERROR if code else 0)
    put_u16(slave.memory, _CODE, code)
    slave.outputs_seen = 0
    slave.sync_errors = 0


@njit(cache=True, nogil=True, error_model="numpy")
def manager_enabled(slave, number):
    """Return whether a sync manager is active."""
    return slave.memory[_MANAGER + number * _SIZE + 6] & 1 != 0


@njit(cache=True, nogil=True, error_model="numpy")
def _manager_holds(slave, number, size):
    if number < 0 or size == 0:
        return True
    start = _MANAGER + number * _SIZE
    return manager_enabled(slave, number) and get_u16(slave.memory, start + 2) == size


@njit(cache=True, nogil=True, error_model="numpy")
def _obstacle(slave, present, wanted):
    """Return the AL code that forbids a transition, 0 where it is granted."""
    if wanted == _BOOT:
        return _NO_BOOT
    if wanted not in (_INIT, _PREOP, _SAFEOP, _OP):
        return _UNKNOWN
    if wanted == slave.refuse_state:
        return slave.refuse_code
    if wanted <= present:
        return 0
    if wanted != present * 2:
        return _INVALID_CHANGE
    if wanted == _PREOP and slave.has_mailbox:
        if not (manager_enabled(slave, 0) and manager_enabled(slave, 1)):
            return _BAD_MAILBOX
    if wanted == _SAFEOP:
        if not _manager_holds(slave, slave.output_manager, slave.output_bytes):
            return _BAD_OUTPUTS
        if not _manager_holds(slave, slave.input_manager, slave.input_bytes):
            return _BAD_INPUTS
        if slave.memory[_ACTIVATION] & 2 and get_u32(slave.memory, _CYCLE) == 0:
            return _BAD_CLOCK
    return 0


@njit(cache=True, nogil=True, error_model="numpy")
def request_state(slave):
    """Act on a write to AL control; an error stands until it is acknowledged."""
    control = np.int64(slave.memory[_CONTROL])
    status = np.int64(slave.memory[_STATUS])
    wanted = control & 0x0F
    if status & _ERROR and not control & _ERROR and wanted > _INIT:
        return
    present = status & 0x0F
    code = _obstacle(slave, present, wanted)
    if code == 0:
        _enter(slave, wanted, 0)
    else:
        _enter(slave, present, code)


@njit(cache=True, nogil=True, error_model="numpy")
def fall_back(slave, code):
    """Leave OP for SAFE-OP with an error; a drive faults and says so in an emergency."""
    _enter(slave, min(al_state(slave), _SAFEOP), code)
    if slave.is_drive and code == _WATCHDOG:
        slave.drive.fault_code = _WATCHDOG_FAULT
    if slave.has_mailbox:
        slave.emergency_code = _WATCHDOG_FAULT if code == _WATCHDOG else 0xA000 | code
        slave.emergency_pending = 1


@njit(cache=True, nogil=True, error_model="numpy")
def watchdog_ns(slave):
    """Return the process data watchdog's time, 0 where it is off."""
    tick_ns = (get_u16(slave.memory, _DIVIDER) + 2) * 40
    return get_u16(slave.memory, _TIME) * tick_ns


@njit(cache=True, nogil=True, error_model="numpy")
def watch(slave, now_ns):
    """Trip the process data watchdog where outputs have not come in time."""
    if al_state(slave) != _OP or slave.output_bytes == 0 or not slave.outputs_seen:
        return
    limit = watchdog_ns(slave)
    expired = limit > 0 and now_ns - slave.outputs_ns > limit
    slave.memory[_WATCHDOG_STATUS] = 0 if expired else 1
    if expired:
        fall_back(slave, _WATCHDOG)


@njit(cache=True, nogil=True, error_model="numpy")
def _count_sync(segment, slave, missed):
    """Count a SYNC0 with or without fresh outputs; at the limit of 0x10F1:02 (ETG.1020) OP ends."""
    if not segment.sync_watched or slave.sync_error_limit < 0 or al_state(slave) != _OP:
        return
    if not missed:
        slave.sync_errors = max(slave.sync_errors - 1, 0)
        return
    slave.sync_errors += _MISSED_SYNC
    count = get_u16(slave.values, slave.sync_events_missed)
    put_u16(slave.values, slave.sync_events_missed, count + 1)
    limit = get_u16(slave.values, slave.sync_error_limit)
    if 0 < limit <= slave.sync_errors:
        fall_back(slave, _SYNCHRONIZATION)


@njit(cache=True, nogil=True, error_model="numpy")
def miss_sync(segment, slave):
    """A SYNC0 has passed for which no outputs came at all."""
    if slave.outputs_seen and slave.memory[_ACTIVATION] & 3 == 3:
        _count_sync(segment, slave, True)


@njit(cache=True, nogil=True, error_model="numpy")
def check_sync(segment, slave, now_ns):
    """Judge outputs that came: too close to SYNC0, before or after, they are not taken in time."""
    phase = sync0_phase_ns(slave, now_ns)
    if phase < 0:
        return
    cycle = get_u32(slave.memory, _CYCLE)
    phase = (phase - segment.sync_late_ns) % cycle
    near = not _SYNC_MARGIN_NS < phase < cycle - _SYNC_MARGIN_NS
    _count_sync(segment, slave, near)
