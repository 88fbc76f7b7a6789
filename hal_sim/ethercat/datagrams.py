"""The virtual segment, compiled: one pure function from frame to frame.

A frame passes every slave in order; each carries out every datagram that concerns it, on the fly.
"""

import numpy as np
from numba import njit, types

from drivers.ethercat.little_endian import get_u16, get_u32, put_u16
from drivers.ethercat.protocol import (
    DATAGRAM_HEADER_BYTES,
    DATAGRAM_TYPE,
    ETHERNET_HEADER_BYTES,
    FMMU_BYTES,
    FRAME_HEADER_BYTES,
    LENGTH_MASK,
    MORE_DATAGRAMS,
    WORKING_COUNTER_BYTES,
    Command,
    Register,
)
from hal_sim.ethercat.layout import (
    BYTES_TYPE,
    FMMUS,
    HOP_NS,
    RAM_START,
    SEGMENT_TYPE,
    SLAVE_TYPE,
    SLAVES_TYPE,
)
from hal_sim.ethercat.registers import read_memory, write_memory

_HEADER, _COUNTER = DATAGRAM_HEADER_BYTES, WORKING_COUNTER_BYTES
_FIRST = ETHERNET_HEADER_BYTES + FRAME_HEADER_BYTES
_STATION, _ALIAS = int(Register.STATION_ADDRESS), int(Register.STATION_ALIAS)
_FMMU = int(Register.FMMU)
_APRD, _APRW, _FPRD, _FPRW = (
    int(Command.APRD), int(Command.APRW), int(Command.FPRD), int(Command.FPRW),
)  # fmt: skip
_BRD, _BRW, _LRD, _LRW = int(Command.BRD), int(Command.BRW), int(Command.LRD), int(Command.LRW)
_ARMW, _FRMW = int(Command.ARMW), int(Command.FRMW)
_READ, _WRITE = 1, 2


@njit(cache=True, nogil=True, error_model="numpy")
def _physical(segment, slave, position, ways, address, size, frame, data, combine, now_ns):
    """Read, write or both; returns the working counter's increment (1, 1 or 1 + 2)."""
    counter = 0
    if ways == _READ | _WRITE:
        # The slave's answer must not overwrite what is still to be written: write goes first
        # in the shared buffer only where the memory was read aside.
        counter = _exchange_memory(
            segment, slave, position, address, size, frame, data, combine, now_ns
        )
    elif ways == _READ:
        counter = np.int64(
            read_memory(segment, slave, position, address, size, frame, data, combine, now_ns)
        )
    else:
        counter = np.int64(
            write_memory(segment, slave, position, address, size, frame, data, now_ns)
        )
    return counter


@njit(cache=True, nogil=True, error_model="numpy")
def _exchange_memory(segment, slave, position, address, size, frame, data, combine, now_ns):
    """Swap datagram and memory byte by byte, as a controller does on the fly."""
    if address + size > slave.memory.size:
        return 0
    counter = 0
    for n in range(size):
        old = frame[data + n]
        read = read_memory(
            segment, slave, position, address + n, 1, frame, data + n, combine, now_ns
        )
        new = frame[data + n]
        frame[data + n] = old
        wrote = write_memory(segment, slave, position, address + n, 1, frame, data + n, now_ns)
        frame[data + n] = new if read else old
        counter = np.int64(read) + 2 * np.int64(wrote)
    return counter


@njit(cache=True, nogil=True, error_model="numpy")
def _logical_bits(slave, row, address, size, frame, data, reading):
    """Move the bits of one FMMU that lie in the datagram; returns whether any did."""
    start, length = get_u32(slave.memory, row), get_u16(slave.memory, row + 4)
    start_bit = np.int64(slave.memory[row + 6]) & 7
    stop_bit = np.int64(slave.memory[row + 7]) & 7
    physical = get_u16(slave.memory, row + 8) * 8 + (np.int64(slave.memory[row + 10]) & 7)
    count = (length - 1) * 8 + stop_bit - start_bit + 1
    moved = False
    for k in range(count):
        logical = start * 8 + start_bit + k - address * 8
        target = physical + k
        if logical < 0 or logical >= size * 8 or target >> 3 >= slave.memory.size:
            continue
        if not reading and target >> 3 < RAM_START:
            continue
        moved = True
        byte, mask = data + (logical >> 3), 1 << (logical & 7)
        memory, place = target >> 3, 1 << (target & 7)
        if reading:
            high = mask if slave.memory[memory] & place else 0
            frame[byte] = (frame[byte] & (0xFF ^ mask)) | high
        else:
            high = place if frame[byte] & mask else 0
            slave.memory[memory] = (slave.memory[memory] & (0xFF ^ place)) | high
    return moved


@njit(cache=True, nogil=True, error_model="numpy")
def _logical_window(slave, row, address, size):
    """Return (physical address, offset in the datagram, bytes) of an FMMU's overlap."""
    start, length = get_u32(slave.memory, row), get_u16(slave.memory, row + 4)
    first, last = max(start, address), min(start + length, address + size)
    return get_u16(slave.memory, row + 8) + first - start, first - address, last - first


@njit(cache=True, nogil=True, error_model="numpy")
def _logical_way(segment, slave, position, way, address, size, frame, data, now_ns):
    """Carry one direction of a logical datagram through all FMMUs; returns whether any took part."""
    took = False
    for k in range(FMMUS):
        row = _FMMU + k * FMMU_BYTES
        if slave.memory[row + 12] & 1 == 0 or slave.memory[row + 11] & 3 != way:
            continue
        physical, offset, count = _logical_window(slave, row, address, size)
        if count <= 0:
            continue
        if (
            slave.memory[row + 6] == 0
            and slave.memory[row + 7] == 7
            and slave.memory[row + 10] == 0
        ):
            if way == _READ:
                took |= read_memory(
                    segment, slave, position, physical, count, frame, data + offset, False, now_ns
                )
            else:
                took |= write_memory(
                    segment, slave, position, physical, count, frame, data + offset, now_ns
                )
        else:
            took |= _logical_bits(slave, row, address, size, frame, data, way == _READ)
    return took


@njit(cache=True, nogil=True, error_model="numpy")
def _logical(segment, slave, position, command, address, size, frame, data, now_ns):
    """LRD, LWR or LRW in one slave: outputs are taken before inputs are put in; returns the increment."""
    counter = 0
    if command != _LRD:
        weight = 2 if command == _LRW else 1
        wrote = _logical_way(segment, slave, position, _WRITE, address, size, frame, data, now_ns)
        counter += weight if wrote else 0
    if command != _LRD + 1:
        read = _logical_way(segment, slave, position, _READ, address, size, frame, data, now_ns)
        counter += 1 if read else 0
    return counter


@njit(cache=True, nogil=True, error_model="numpy")
def _ways(command, addressed):
    """Return what a physical command does to a slave: bit 0 reads, bit 1 writes."""
    if command in (_ARMW, _FRMW):
        return _READ if addressed else _WRITE
    if not addressed:
        return 0
    kind = (command - 1) % 3
    return _READ if kind == 0 else (_WRITE if kind == 1 else _READ | _WRITE)


_I64 = types.int64


@njit(
    _I64(SEGMENT_TYPE, SLAVE_TYPE, _I64, _I64, BYTES_TYPE, _I64, _I64, _I64),
    cache=True,
    nogil=True,
    error_model="numpy",
)
def _one_slave(segment, slave, position, command, frame, header, size, now_ns):
    """Let one slave carry out one datagram; returns the working counter's increment."""
    data = header + _HEADER
    if _LRD <= command <= _LRW:
        address = get_u32(frame, header + 2)
        return _logical(segment, slave, position, command, address, size, frame, data, now_ns)
    target, offset = get_u16(frame, header + 2), get_u16(frame, header + 4)
    broadcast = _BRD <= command <= _BRW
    if _FPRD <= command <= _FPRW or command == _FRMW:
        addressed = target != 0 and target == get_u16(slave.memory, _STATION)
    else:
        addressed = broadcast or target == 0
        put_u16(frame, header + 2, target + 1)
    ways = _ways(command, addressed)
    if ways == 0:
        return 0
    return _physical(segment, slave, position, ways, offset, size, frame, data, broadcast, now_ns)


@njit(cache=True, nogil=True, error_model="numpy")
def _datagram_end(frame, header, length):
    """Return where a datagram ends, -1 where it does not fit into the frame."""
    if header + _HEADER + _COUNTER > length:
        return -1
    size = get_u16(frame, header + 6) & LENGTH_MASK
    end = header + _HEADER + size + _COUNTER
    return end if end <= length else -1


@njit(cache=True, nogil=True, error_model="numpy")
def _well_formed(frame, length):
    if length < _FIRST + _HEADER + _COUNTER or length > frame.size:
        return False
    if frame[12] != 0x88 or frame[13] != 0xA4:
        return False
    word = get_u16(frame, ETHERNET_HEADER_BYTES)
    if word >> 12 != DATAGRAM_TYPE or _FIRST + (word & LENGTH_MASK) > length:
        return False
    header, limit = _FIRST, _FIRST + (word & LENGTH_MASK)
    while True:
        end = _datagram_end(frame, header, limit)
        if end < 0:
            return False
        if get_u16(frame, header + 6) & MORE_DATAGRAMS == 0:
            return True
        header = end


@njit(
    _I64(SEGMENT_TYPE, SLAVES_TYPE, BYTES_TYPE, _I64, _I64),
    cache=True,
    nogil=True,
    error_model="numpy",
)
def process_frame(segment, slaves, frame, length, now_ns):
    """Pass a frame through the segment in place; returns its length, 0 where it is no EtherCAT.

    segment: SEGMENT_DTYPE record; slaves: SLAVE_DTYPE array; frame: uint8[>= length].
    """
    if not _well_formed(frame, length):
        segment.malformed += 1
        return 0
    segment.frames += 1
    reached = min(segment.cut_before, segment.slave_count)
    header, more = _FIRST, True
    while more:
        command, word = np.int64(frame[header]), get_u16(frame, header + 6)
        size = word & LENGTH_MASK
        end = header + _HEADER + size + _COUNTER
        counter = get_u16(frame, end - _COUNTER)
        if 0 < command <= _FRMW:
            for position in range(reached):
                if slaves[position].powered:
                    counter += _one_slave(
                        segment, slaves[position], position, command, frame, header, size,
                        now_ns + HOP_NS * position,
                    )  # fmt: skip
        put_u16(frame, end - _COUNTER, counter)
        more = word & MORE_DATAGRAMS != 0
        header = end
    frame[6] |= 0x02  # the first controller marks the source address
    return length
