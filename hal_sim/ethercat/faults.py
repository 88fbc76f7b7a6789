"""Faults on the wire, by configuration and seed: what goes wrong between the master and the slaves."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numba import njit

from drivers.ethercat.little_endian import get_u16, put_u16
from drivers.ethercat.protocol import LENGTH_MASK
from hal_sim.ethercat.clocks import local_time_ns
from hal_sim.ethercat.datagrams import process_frame
from hal_sim.ethercat.registers import power_on
from hal_sim.ethercat.states import fall_back

FAULTS_MAX = 32
REPLIES_MAX = 4
FRAME_BYTES = 1536
_INDEX_OFFSET, _CYCLIC = 17, 0x80
_FIRST_DATA = 26


class WireFault(IntEnum):
    """Kinds of fault; the magnitude's meaning stands beside each."""

    DROP = 0  # 0: lost on the way out, 1: on the way back
    LATE = 1  # by this many cyclic frames
    DUPLICATE = 2
    STALE = 3  # the reply before this one comes instead
    WORKING_COUNTER = 4  # added to the first datagram's
    CABLE_CUT = 5  # before `slave`
    SAFEOP_ERROR = 6  # the AL code; `slave` falls back, the working counter stays whole
    DRIVE_FAULT = 7  # the drive's error code
    POWER_CYCLE = 8  # off for the fault's duration
    SILENCE = 9  # the link is dead for the fault's duration
    CLOCK_DRIFT = 10  # ppm
    LATE_SYNC0 = 11  # ns
    SDO_ABORT = 12  # the abort code; the next SDO of `slave`
    SDO_TIMEOUT = 13  # the next SDO of `slave` is not answered
    REFUSE_STATE = 14  # AL state asked for in the low byte, AL code above it


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault, from the n-th cyclic frame on for `frames` frames (0: until the end)."""

    kind: WireFault
    first: int = 0
    frames: int = 1
    slave: int = 0
    magnitude: int = 0


FAULT_DTYPE = np.dtype(
    [
        ("magnitude", np.int64),
        ("first", np.int64),
        ("frames", np.int64),
        ("kind", np.int32),
        ("slave", np.int32),
        ("active", np.uint8),
    ],
    align=True,
)
WIRE_DTYPE = np.dtype(
    [
        ("faults", FAULT_DTYPE, (FAULTS_MAX,)),
        ("fault_count", np.int32),
        ("cyclic_frames", np.int64),
        ("drop_share", np.float64),  # of all frames, bring-up included
        ("random", np.uint64),
        ("reply_count", np.int32),
        ("lengths", np.int32, (REPLIES_MAX,)),
        ("replies", np.uint8, (REPLIES_MAX, FRAME_BYTES)),
        ("held", np.uint8, (FRAME_BYTES,)),
        ("held_length", np.int32),
        ("held_until", np.int64),
        ("previous", np.uint8, (FRAME_BYTES,)),
        ("previous_length", np.int32),
    ],
    align=True,
)

_DROP, _LATE, _DUPLICATE, _STALE = 0, 1, 2, 3
_COUNTER, _CUT, _SAFEOP, _DRIVE = 4, 5, 6, 7
_POWER, _SILENCE, _DRIFT, _SYNC0 = 8, 9, 10, 11
_SDO_ABORT, _SDO_TIMEOUT, _REFUSE = 12, 13, 14


def install_faults(
    wire: np.void, faults: Sequence[Fault], *, drop_share: float = 0.0, seed: int = 1
) -> None:
    """Load a schedule of faults, and a share of all frames to lose at random, into a WIRE_DTYPE record."""
    if len(faults) > FAULTS_MAX:
        raise ValueError(f"{len(faults)} wire faults: at most {FAULTS_MAX}")
    for n, fault in enumerate(faults):
        wire["faults"][n] = (fault.magnitude, fault.first, fault.frames, fault.kind, fault.slave, 0)
    wire["fault_count"] = len(faults)
    wire["drop_share"] = drop_share
    wire["random"] = seed * 2 + 1


@njit(cache=True, nogil=True, error_model="numpy")
def _uniform(wire):
    """xorshift64*, to a float in [0, 1)."""
    x = np.uint64(wire.random)
    x ^= x >> np.uint64(12)
    x ^= x << np.uint64(25)
    x ^= x >> np.uint64(27)
    wire.random = x
    return np.float64((x * np.uint64(0x2545F4914F6CDD1D)) >> np.uint64(11)) / 9007199254740992.0


@njit(cache=True, nogil=True, error_model="numpy")
def _begin(segment, slave, fault, now_ns):
    kind = fault.kind
    if kind == _CUT:
        segment.cut_before = fault.slave
    elif kind == _SAFEOP:
        fall_back(slave, fault.magnitude)
    elif kind == _DRIVE:
        slave.drive.fault_code = fault.magnitude
    elif kind == _POWER:
        slave.powered = 0
        slave.memory[0x130] = 1
    elif kind == _DRIFT:
        # what was counted so far stays: only from now on the crystal runs off
        slave.clock_base_ns = local_time_ns(slave, now_ns)
        slave.clock_epoch_ns = now_ns
        slave.clock_drift = fault.magnitude * 1e-6
    elif kind == _SYNC0:
        segment.sync_late_ns = fault.magnitude
        segment.sync_watched = 1
    elif kind == _SDO_ABORT:
        slave.abort_next_sdo = fault.magnitude
    elif kind == _SDO_TIMEOUT:
        slave.abort_next_sdo = -1
    elif kind == _REFUSE:
        slave.refuse_state = fault.magnitude & 0xFF
        slave.refuse_code = fault.magnitude >> 8


@njit(cache=True, nogil=True, error_model="numpy")
def _end(segment, slave, fault):
    if fault.kind == _CUT:
        segment.cut_before = segment.slave_count
    elif fault.kind == _POWER:
        power_on(slave)
    elif fault.kind == _SYNC0:
        segment.sync_late_ns = 0
    elif fault.kind == _REFUSE:
        slave.refuse_state = 0


@njit(cache=True, nogil=True, error_model="numpy")
def advance_faults(segment, slaves, wire, now_ns):
    """Begin and end the faults that are due at this cyclic frame."""
    now = wire.cyclic_frames
    for n in range(wire.fault_count):
        fault = wire.faults[n]
        due = now >= fault.first and (fault.frames == 0 or now < fault.first + fault.frames)
        if due and not fault.active:
            fault.active = 1
            _begin(segment, slaves[fault.slave], fault, now_ns)
        elif fault.active and not due:
            fault.active = 0
            _end(segment, slaves[fault.slave], fault)


@njit(cache=True, nogil=True, error_model="numpy")
def _active(wire, kind):
    """Return the magnitude of an active fault of a kind, -1 where there is none."""
    for n in range(wire.fault_count):
        if wire.faults[n].active and wire.faults[n].kind == kind:
            return wire.faults[n].magnitude
    return np.int64(-1)


@njit(cache=True, nogil=True, error_model="numpy")
def _copy(source, length, target):
    for n in range(length):
        target[n] = source[n]


@njit(cache=True, nogil=True, error_model="numpy")
def _reply(wire, source, length):
    k = wire.reply_count
    if k < REPLIES_MAX:
        _copy(source, length, wire.replies[k])
        wire.lengths[k] = length
        wire.reply_count = k + 1


@njit(cache=True, nogil=True, error_model="numpy")
def _spoil_counter(frame, change):
    place = _FIRST_DATA + (get_u16(frame, _FIRST_DATA - 4) & LENGTH_MASK)
    put_u16(frame, place, get_u16(frame, place) + change)


@njit(cache=True, nogil=True, error_model="numpy")
def _send_back(wire, frame, length):
    """Answer a cyclic frame under whatever fault is active."""
    if _active(wire, _DROP) == 1:
        return
    change = _active(wire, _COUNTER)
    if change != -1:
        _spoil_counter(frame, change)
    late = _active(wire, _LATE)
    if late >= 0:
        _copy(frame, length, wire.held)
        wire.held_length, wire.held_until = length, wire.cyclic_frames + 1 + max(late, 1)
        return
    if _active(wire, _STALE) >= 0 and wire.previous_length > 0:
        _reply(wire, wire.previous, wire.previous_length)
        return
    _reply(wire, frame, length)
    if _active(wire, _DUPLICATE) >= 0:
        _reply(wire, frame, length)


@njit(cache=True, nogil=True, error_model="numpy")
def _release_held(wire):
    if wire.held_length > 0 and wire.cyclic_frames >= wire.held_until:
        _reply(wire, wire.held, wire.held_length)
        wire.held_length = 0


@njit(cache=True, nogil=True, error_model="numpy")
def carry(segment, slaves, wire, frame, length, now_ns):
    """Carry a frame over the faulty wire and back; the answers are in `wire.replies`.

    segment, wire: SEGMENT_DTYPE and WIRE_DTYPE records; slaves: SLAVE_DTYPE array; frame: uint8[1536],
    changed in place. Returns how many replies there are.
    """
    wire.reply_count = 0
    cyclic = length > _INDEX_OFFSET and frame[_INDEX_OFFSET] >= _CYCLIC
    if cyclic:
        advance_faults(segment, slaves, wire, now_ns)
    lost = wire.drop_share > 0.0 and _uniform(wire) < wire.drop_share
    if not lost and _active(wire, _SILENCE) < 0 and not (cyclic and _active(wire, _DROP) == 0):
        if process_frame(segment, slaves, frame, length, now_ns) > 0:
            if cyclic:
                _send_back(wire, frame, length)
                _copy(frame, length, wire.previous)
                wire.previous_length = length
            else:
                _reply(wire, frame, length)
    if cyclic:
        wire.cyclic_frames += 1
        _release_held(wire)
    return wire.reply_count
