"""Physical access to a slave controller's memory, compiled: what reads and writes do besides copying."""

from numba import njit, types

from drivers.ethercat.little_endian import (
    get_i64,
    get_u16,
    get_u32,
    put_i64,
    put_u16,
)
from drivers.ethercat.protocol import SYNC_MANAGER_BYTES, AlState, Register
from hal_sim.ethercat.clocks import follow, latch_ports, system_time_ns
from hal_sim.ethercat.layout import (
    BYTES_TYPE,
    FMMUS,
    HOP_NS,
    SEGMENT_TYPE,
    SLAVE_TYPE,
    SYNC_MANAGERS,
)
from hal_sim.ethercat.mailbox import mailbox_full, post, serve
from hal_sim.ethercat.mapping import give_inputs, rebuild_mapping
from hal_sim.ethercat.states import al_state, check_sync, request_state

_RAM = 0x1000
_MANAGER, _SIZE = int(Register.SYNC_MANAGER), SYNC_MANAGER_BYTES
_MANAGERS_END = _MANAGER + SYNC_MANAGERS * _SIZE
_AL_CONTROL, _AL_STATUS = int(Register.AL_CONTROL), int(Register.AL_STATUS)
_DL_STATUS, _DL_CONTROL = int(Register.DL_STATUS), int(Register.DL_CONTROL)
_RX_ERRORS, _STATION = int(Register.RX_ERRORS), int(Register.STATION_ADDRESS)
_SII_CONTROL, _SII_ADDRESS = int(Register.SII_CONTROL), int(Register.SII_ADDRESS)
_SII_DATA, _SII_CONFIG = int(Register.SII_DATA), int(Register.SII_CONFIG)
_PORTS, _SYSTEM = int(Register.DC_PORT_TIME), int(Register.DC_SYSTEM_TIME)
_WATCHDOG_STATUS = int(Register.WATCHDOG_STATUS)
_INIT, _PREOP, _SAFEOP = int(AlState.INIT), int(AlState.PREOP), int(AlState.SAFEOP)
_DIVIDER, _TIME = int(Register.WATCHDOG_DIVIDER), int(Register.WATCHDOG_TIME)
_FULL = 0x08


@njit(cache=True, nogil=True, error_model="numpy")
def _touches(address, size, first, last):
    return address < last and address + size > first


@njit(cache=True, nogil=True, error_model="numpy")
def _manager_at(slave, address, size):
    """Return the sync manager whose area an access touches, -1 outside all of them."""
    for number in range(SYNC_MANAGERS):
        start = _MANAGER + number * _SIZE
        first = get_u16(slave.memory, start)
        length = get_u16(slave.memory, start + 2)
        if length > 0 and _touches(address, size, first, first + length):
            return number
    return -1


@njit(cache=True, nogil=True, error_model="numpy")
def _granted(slave, address, size, writing):
    """Return (allowed, sync manager): mailbox flags and direction gate an access to RAM."""
    if address < _RAM:
        return True, -1
    number = _manager_at(slave, address, size)
    if number < 0:
        return True, -1
    start = _MANAGER + number * _SIZE
    control = slave.memory[start + 4]
    if slave.memory[start + 6] & 1 == 0 or (control & 0x0C == 0x04) != writing:
        return False, number
    if control & 3 == 2 and mailbox_full(slave, number) == writing:
        return False, number
    return True, number


@njit(cache=True, nogil=True, error_model="numpy")
def _prepare_read(segment, slave, position, address, size, now_ns):
    """Bring the registers up to date that change by themselves."""
    if address >= _RAM:
        return
    if _touches(address, size, _SYSTEM, _SYSTEM + 8) and slave.has_clock:
        put_i64(slave.memory, _SYSTEM, system_time_ns(slave, now_ns))
    if _touches(address, size, _DL_STATUS, _DL_STATUS + 2):
        last = position == min(segment.slave_count, segment.cut_before) - 1
        put_u16(slave.memory, _DL_STATUS, 0x5611 if last else 0x5A31)


_I64 = types.int64


@njit(cache=True, nogil=True, error_model="numpy")
def _writable(address):
    """Registers a master may write; the rest keeps its value and the access still counts."""
    if address >= _RAM:
        return True
    if address < _STATION or _DL_STATUS <= address < _DL_STATUS + 2:
        return False
    if _AL_STATUS <= address < _AL_STATUS + 8 or _PORTS <= address < _SYSTEM + 16:
        return False
    if _MANAGER <= address < _MANAGERS_END:
        return (address - _MANAGER) % _SIZE not in (5, 7)
    return not _WATCHDOG_STATUS <= address < _WATCHDOG_STATUS + 2


@njit(cache=True, nogil=True, error_model="numpy")
def _close_area(segment, slave, number, address, size, now_ns):
    """The last byte of a sync manager's area hands it over to the slave."""
    start = _MANAGER + number * _SIZE
    last = get_u16(slave.memory, start) + get_u16(slave.memory, start + 2)
    if address + size < last:
        return
    if slave.memory[start + 4] & 3 == 2:
        slave.memory[start + 5] |= _FULL
        serve(slave)
    elif number == slave.output_manager:
        slave.outputs_ns = now_ns
        slave.outputs_seen = slave.outputs_fresh = 1
        check_sync(segment, slave, now_ns)


@njit(cache=True, nogil=True, error_model="numpy")
def _act(segment, slave, position, address, size, data, offset, now_ns):
    if _touches(address, size, _AL_CONTROL, _AL_CONTROL + 1):
        if al_state(slave) == _PREOP:
            rebuild_mapping(slave)
        request_state(slave)
        if al_state(slave) == _SAFEOP:
            give_inputs(slave)
    elif _touches(address, size, _SII_CONTROL, _SII_CONTROL + 2):
        _read_sii(slave)
    elif _touches(address, size, _MANAGER, _MANAGERS_END):
        _managers_changed(slave)
    elif _PORTS <= address < _SYSTEM and slave.has_clock:
        behind = min(segment.slave_count, segment.cut_before) - 1 - position
        latch_ports(slave, now_ns, now_ns + 2 * HOP_NS * behind)
    elif address == _SYSTEM and size >= 4 and slave.has_clock:
        reference = get_i64(data, offset) if size >= 8 else get_u32(data, offset)
        follow(slave, reference, now_ns)
    elif _RX_ERRORS <= address < _RX_ERRORS + 0x14:
        for n in range(0x14):
            slave.memory[_RX_ERRORS + n] = 0


@njit(cache=True, nogil=True, error_model="numpy")
def _managers_changed(slave):
    """A disabled mailbox forgets its message; a toggled repeat request posts the last reply again."""
    for number in range(2):
        start = _MANAGER + number * _SIZE
        if slave.memory[start + 6] & 1 == 0:
            slave.memory[start + 5] &= 0xFF ^ _FULL
            slave.request_counter = 0
    wanted = slave.memory[_MANAGER + _SIZE + 6] & 2
    if wanted != slave.repeat:
        slave.repeat = wanted
        slave.memory[_MANAGER + _SIZE + 7] = wanted
        if slave.has_mailbox and slave.reply_length > 0:
            post(slave)


@njit(cache=True, nogil=True, error_model="numpy")
def _read_sii(slave):
    """Serve an EEPROM read at once: 8 bytes from a word address; other commands are refused."""
    command = get_u16(slave.memory, _SII_CONTROL) & 0x0700
    put_u16(slave.memory, _SII_CONTROL, 0x0040)
    if command == 0x0100:
        first = get_u32(slave.memory, _SII_ADDRESS) * 2
        for n in range(8):
            inside = first + n < slave.sii.size
            slave.memory[_SII_DATA + n] = slave.sii[first + n] if inside else 0xFF
    elif command != 0:
        put_u16(slave.memory, _SII_CONTROL, 0x2040)


@njit(cache=True, nogil=True, error_model="numpy")
def power_on(slave):
    """Put a slave as it is after power-on: INIT, no station address, nothing configured."""
    memory = slave.memory
    for n in range(memory.size):
        memory[n] = 0
    memory[0], memory[2] = 0x11, 2
    memory[4], memory[5], memory[6], memory[7] = FMMUS, SYNC_MANAGERS, 8, 0x0F
    memory[8] = 0x0C if slave.has_clock else 0
    memory[_AL_STATUS] = memory[_AL_CONTROL] = _INIT
    put_u16(memory, _DIVIDER, 2498)
    put_u16(memory, _TIME, 1000)
    put_u16(memory, _SII_CONTROL, 0x0040)
    slave.powered = 1
    slave.reply_length = slave.repeat = slave.emergency_pending = 0
    slave.request_counter = 0
    slave.outputs_seen = slave.outputs_fresh = slave.sync_errors = 0
    slave.drive.fault_code = slave.drive.previous_controlword = 0


@njit(
    types.boolean(
        SEGMENT_TYPE, SLAVE_TYPE, _I64, _I64, _I64, BYTES_TYPE, _I64, types.boolean, _I64
    ),
    cache=True,
    nogil=True,
    error_model="numpy",
)
def read_memory(segment, slave, position, address, size, data, offset, combine, now_ns):
    """Read a slave's memory into a datagram; returns whether it was granted.

    `combine` ORs instead of copying (broadcast). Reading a mailbox to its end empties it.
    """
    if address + size > slave.memory.size:
        return False
    allowed, number = _granted(slave, address, size, False)
    if not allowed:
        return False
    _prepare_read(segment, slave, position, address, size, now_ns)
    for n in range(size):
        value = slave.memory[address + n]
        data[offset + n] = data[offset + n] | value if combine else value
    if number >= 0:
        start = _MANAGER + number * _SIZE
        last = get_u16(slave.memory, start) + get_u16(slave.memory, start + 2)
        if slave.memory[start + 4] & 3 == 2 and address + size >= last:
            slave.memory[start + 5] &= 0xFF ^ _FULL
            serve(slave)
    return True


@njit(
    types.boolean(SEGMENT_TYPE, SLAVE_TYPE, _I64, _I64, _I64, BYTES_TYPE, _I64, _I64),
    cache=True,
    nogil=True,
    error_model="numpy",
)
def write_memory(segment, slave, position, address, size, data, offset, now_ns):
    """Write a datagram into a slave's memory and act on it; returns whether it was granted."""
    if address + size > slave.memory.size:
        return False
    allowed, number = _granted(slave, address, size, True)
    if not allowed:
        return False
    for n in range(size):
        if _writable(address + n):
            slave.memory[address + n] = data[offset + n]
    if address < _RAM:
        _act(segment, slave, position, address, size, data, offset, now_ns)
    elif number >= 0:
        _close_area(segment, slave, number, address, size, now_ns)
    return True
