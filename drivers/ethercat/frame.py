"""The cyclic frame, compiled: stamp it, judge what comes back, settle the cycle.

A reply counts only if it is this cycle's own: 23 bits of sequence ride in the three datagram indices, and
every header, the working counter and the lengths must be what was sent.
"""

from enum import IntEnum

import numpy as np
from numba import njit

from drivers.ethercat.link import (
    INDEX_FIRST,
    LRW_DATA,
    OUTSTANDING,
    SEQUENCE_BITS,
)
from drivers.ethercat.little_endian import get_i64, get_u16
from drivers.ethercat.protocol import (
    DATAGRAM_HEADER_BYTES,
    ETHERNET_HEADER_BYTES,
    WORKING_COUNTER_BYTES,
    AlState,
)
from drivers.image import BusState
from drivers.seam import ExchangeCode


class Verdict(IntEnum):
    """What a received frame was."""

    GOOD = 0
    STRAY = 1  # not one of ours
    LATE = 2  # ours, after its deadline
    STALE = 3  # ours, seen before or too old
    MALFORMED = 4
    WORKING_COUNTER = 5


_GOOD, _STRAY, _LATE, _STALE, _MALFORMED, _WRONG_COUNTER = (int(v) for v in Verdict)
_HEADER, _COUNTER = DATAGRAM_HEADER_BYTES, WORKING_COUNTER_BYTES
_LRW = LRW_DATA - _HEADER
_MASK = (1 << SEQUENCE_BITS) - 1
_OP = int(AlState.OP)
_DOWN, _DEGRADED, _OPERATIONAL = (int(s) for s in BusState)
_OK, _MISSED = int(ExchangeCode.OK), int(ExchangeCode.MISSED)


@njit(cache=True, nogil=True, error_model="numpy")
def clock_header(data_bytes):
    """Return where the FRMW datagram starts."""
    return LRW_DATA + data_bytes + _COUNTER


@njit(cache=True, nogil=True, error_model="numpy")
def status_header(data_bytes):
    """Return where the BRD datagram starts."""
    return clock_header(data_bytes) + _HEADER + 8 + _COUNTER


@njit(cache=True, nogil=True, error_model="numpy")
def stamp(link):
    """Give every frame of this cycle its sequence and the current outputs."""
    for k in range(link.frame_count):
        sequence = (np.int64(link.sequence) + k) & _MASK
        slot = sequence % OUTSTANDING
        link.outstanding[slot] = 1
        frame = link.frames[k]
        frame.received = 0
        transmit, size = frame.transmit, frame.data_bytes
        transmit[_LRW + 1] = INDEX_FIRST | (sequence & 0x7F)
        transmit[clock_header(size) + 1] = (sequence >> 7) & 0xFF
        transmit[status_header(size) + 1] = (sequence >> 15) & 0xFF
        first = frame.first_byte
        outputs = min(max(link.output_bytes - first, 0), size)
        for n in range(outputs):
            transmit[LRW_DATA + n] = link.outputs[first + n]


@njit(cache=True, nogil=True, error_model="numpy")
def _same_header(sent, reply, offset, address_bytes, skip):
    """Command, index, address (the first `skip` bytes may change on the way) and length are as sent."""
    if reply[offset] != sent[offset] or reply[offset + 1] != sent[offset + 1]:
        return False
    for n in range(skip, address_bytes):
        if reply[offset + 2 + n] != sent[offset + 2 + n]:
            return False
    return reply[offset + 6] == sent[offset + 6] and reply[offset + 7] == sent[offset + 7]


@njit(cache=True, nogil=True, error_model="numpy")
def _sequence_of(reply, length, size):
    """Return the sequence in a reply shaped like a frame of `size` process bytes, -1 if it cannot be."""
    if length < status_header(size) + _HEADER + 2 + _COUNTER:
        return -1
    low = np.int64(reply[_LRW + 1]) & 0x7F
    middle = np.int64(reply[clock_header(size) + 1]) << 7
    return low | middle | np.int64(reply[status_header(size) + 1]) << 15


@njit(cache=True, nogil=True, error_model="numpy")
def _ours(reply, length):
    if length < _LRW + _HEADER:
        return False
    ethertype = np.int64(reply[12]) << 8 | np.int64(reply[13])
    return ethertype == 0x88A4 and reply[_LRW + 1] >= INDEX_FIRST


@njit(cache=True, nogil=True, error_model="numpy")
def _judge_past(link, reply, length):
    """Tell a late reply from a stale one, and a damaged one from both."""
    for k in range(link.frame_count):
        sequence = _sequence_of(reply, length, link.frames[k].data_bytes)
        if sequence < 0:
            continue
        age = (np.int64(link.sequence) - sequence) & _MASK
        slot = sequence % OUTSTANDING
        if 0 < age < OUTSTANDING - 16 and link.outstanding[slot] != 0:
            link.outstanding[slot] = 0
            link.frames_lost -= 1
            link.frames_late += 1
            return _LATE
        if age < 1 << 22:
            link.frames_stale += 1
            return _STALE
    link.frames_malformed += 1
    return _MALFORMED


@njit(cache=True, nogil=True, error_model="numpy")
def _intact(frame, reply, length):
    if length < frame.length:
        return False
    size, sent = frame.data_bytes, frame.transmit
    if get_u16(reply, ETHERNET_HEADER_BYTES) != get_u16(sent, ETHERNET_HEADER_BYTES):
        return False
    return (
        _same_header(sent, reply, _LRW, 4, 0)
        and _same_header(sent, reply, clock_header(size), 4, 0)
        and _same_header(sent, reply, status_header(size), 4, 2)
    )


@njit(cache=True, nogil=True, error_model="numpy")
def _read_tail(link, frame, reply):
    """Take the reference clock, the AL status and the number of slaves behind it."""
    clock, status = clock_header(frame.data_bytes), status_header(frame.data_bytes)
    if link.distributed_clock and get_u16(reply, clock + _HEADER + 8) > 0:
        link.reference_time_ns = get_i64(reply, clock + _HEADER)
    link.al_status = get_u16(reply, status + _HEADER)
    link.slaves_answering = get_u16(reply, status + _HEADER + 2)


@njit(cache=True, nogil=True, error_model="numpy")
def accept(link, reply, length):
    """Judge one received frame and take its inputs into the staging area; returns a Verdict."""
    if not _ours(reply, length):
        return _STRAY
    for k in range(link.frame_count):
        frame = link.frames[k]
        expected = (np.int64(link.sequence) + k) & _MASK
        if _sequence_of(reply, length, frame.data_bytes) != expected:
            continue
        slot = expected % OUTSTANDING
        if frame.received:
            link.frames_stale += 1
            return _STALE
        if not _intact(frame, reply, length):
            link.frames_malformed += 1
            return _MALFORMED
        frame.received = 1
        link.outstanding[slot] = 0
        frame.working_counter = get_u16(reply, LRW_DATA + frame.data_bytes)
        _read_tail(link, frame, reply)
        if frame.working_counter != frame.working_counter_expected:
            link.working_counter_errors += 1
            return _WRONG_COUNTER
        first = frame.first_byte
        for n in range(max(link.output_bytes - first, 0), frame.data_bytes):
            link.staging[first + n] = reply[LRW_DATA + n]
        return _GOOD
    return _judge_past(link, reply, length)


@njit(cache=True, nogil=True, error_model="numpy")
def missing(link):
    """Return how many of this cycle's frames have not come back."""
    count = 0
    for k in range(link.frame_count):
        count += 1 - np.int64(link.frames[k].received)
    return count


@njit(cache=True, nogil=True, error_model="numpy")
def _bus_state(link):
    """A slave that is gone or out of OP brings the bus down at once; silence does after `misses_stop`."""
    complete = link.al_status == _OP and link.slaves_answering == link.slave_count
    if link.good == 0 or not complete or link.misses_in_a_row >= link.misses_stop:
        return _DOWN
    return _DEGRADED if link.misses_in_a_row > link.misses_tolerated else _OPERATIONAL


@njit(cache=True, nogil=True, error_model="numpy")
def clock_offset(reference_ns, shift_ns, period_ns):
    """Return how far the cycle's frame is from its place before SYNC0, within +-period/2.

    SYNC0 fires where the reference clock is a multiple of the period; the frame belongs `shift_ns` before it.
    """
    if period_ns <= 0:
        return 0
    offset = (reference_ns + shift_ns) % period_ns
    return offset - period_ns if offset > period_ns // 2 else offset


@njit(cache=True, nogil=True, error_model="numpy")
def settle(link):
    """Close the cycle: publish whole inputs or count the miss; returns an ExchangeCode."""
    lost = missing(link)
    total, fresh = 0, lost == 0
    for k in range(link.frame_count):
        frame = link.frames[k]
        total += frame.working_counter if frame.received else 0
        if frame.working_counter != frame.working_counter_expected:
            fresh = False
    link.working_counter = total
    link.frames_lost += lost
    link.sequence = (np.int64(link.sequence) + link.frame_count) & _MASK
    link.cycles += 1
    if fresh:
        for n in range(link.output_bytes, link.process_bytes):
            link.inputs[n] = link.staging[n]
        link.good = 1
        link.misses_in_a_row = 0
        shift, period = link.sync0_shift_ns, link.period_ns
        if link.distributed_clock:
            link.clock_offset_ns = clock_offset(link.reference_time_ns, shift, period)
    else:
        link.misses_in_a_row += 1
        link.misses_in_a_row_max = max(link.misses_in_a_row, link.misses_in_a_row_max)
    link.bus_state = _bus_state(link)
    return _OK if fresh else _MISSED


@njit(cache=True, nogil=True, error_model="numpy")
def report(link, bus):
    """Fill the image's bus record (BUS_INPUT_DTYPE)."""
    bus.state = link.bus_state
    bus.latency_cycles = 1  # a frame fetches what the drives did with the one before
    bus.working_counter = link.working_counter
    bus.working_counter_expected = link.working_counter_expected
    bus.al_status = link.al_status
    bus.frames_lost = link.frames_lost
    bus.frames_late = link.frames_late
    bus.misses_in_a_row = link.misses_in_a_row
    bus.clock_offset_ns = link.clock_offset_ns
