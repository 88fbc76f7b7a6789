"""Process image <-> process data, compiled: SI to counts and back, with positions unwrapped to 64 bits."""

import math

import numpy as np
from numba import njit

from drivers.cia402 import Mode
from drivers.ethercat.little_endian import get_i16, get_i32, get_u16, put_u16, put_u32
from drivers.ethercat.signals import FIRST_OUTPUT, SignalId

_TORQUE_MODE = int(Mode.CYCLIC_SYNC_TORQUE)
_FIRST_OUTPUT = int(FIRST_OUTPUT)
_S = {signal.name: int(signal) for signal in SignalId}
_EMERGENCY_STOP_OK = _S["EMERGENCY_STOP_OK"]
_SAFE_TORQUE_OFF_OK = _S["SAFE_TORQUE_OFF_OK"]
_DOOR_CLOSED = _S["DOOR_CLOSED"]
_AIR_PRESSURE_OK = _S["AIR_PRESSURE_OK"]
_SPLICE_DETECTED = _S["SPLICE_DETECTED"]
_VACUUM = _S["VACUUM"]
_SHEET_THICKNESS = _S["SHEET_THICKNESS"]
_MAGAZINE_SHEETS = _S["MAGAZINE_SHEETS"]
_TENSION = _S["TENSION"]
_DANCER_POSITION = _S["DANCER_POSITION"]
_LOOP_LENGTH = _S["LOOP_LENGTH"]
_ROLL_RADIUS = _S["ROLL_RADIUS"]
_WEB_EDGE = _S["WEB_EDGE"]
_HIPOT_RESISTANCE = _S["HIPOT_RESISTANCE"]
_VACUUM_ON = _S["VACUUM_ON"]
_HIPOT_TEST = _S["HIPOT_TEST"]
_STACK_CLAMP = _S["STACK_CLAMP"]
_CONVEYOR = _S["CONVEYOR"]
_I16_MAX, _I32_MAX, _COUNTS_MAX = 32767, 2147483647, 4_000_000_000_000_000


@njit(cache=True, nogil=True, error_model="numpy")
def to_counts(value, counts_per_unit, limit):
    """Return the nearest count, saturated to +-limit; 0 where value is not a number."""
    scaled = value * counts_per_unit
    if scaled >= limit:
        return limit
    if scaled <= -limit:
        return -limit
    return np.int64(math.floor(scaled + 0.5)) if scaled == scaled else 0


@njit(cache=True, nogil=True, error_model="numpy")
def pack_axis(row, target, data):
    """Write one axis's targets; a position that is not a number leaves the last one standing."""
    put_u16(data, row.controlword, np.int64(target.controlword))
    if row.mode >= 0:
        data[row.mode] = np.int64(target.mode) & 0xFF
    if target.target_position_m == target.target_position_m:
        counts = to_counts(target.target_position_m, row.counts_per_unit, _COUNTS_MAX)
        put_u32(data, row.target_position, counts)
    if row.velocity_offset >= 0:
        scale = row.velocity_counts_per_unit_s
        put_u32(data, row.velocity_offset, to_counts(target.velocity_offset_m_s, scale, _I32_MAX))
    torque = to_counts(target.force_offset_n, row.torque_counts_per_n, _I16_MAX)
    in_target = row.target_torque >= 0 and target.mode == _TORQUE_MODE
    if row.target_torque >= 0:
        put_u16(data, row.target_torque, torque if in_target else 0)
    if row.torque_offset >= 0:
        put_u16(data, row.torque_offset, 0 if in_target else torque)


@njit(cache=True, nogil=True, error_model="numpy")
def unpack_axis(row, data, actual, elapsed_ns):
    """Read one axis's feedback; `elapsed_ns` is the time since the last good data.

    The drive's 32-bit position wraps (at 214 m with 0.1 um increments); differences modulo 2^32 carry it on.
    """
    raw = get_i32(data, row.position)
    if row.seen:
        step = (raw - row.position_counts) & 0xFFFFFFFF
        step -= (step & 0x80000000) << 1
        row.position_counts += step
    else:
        step = 0
        row.position_counts = raw
        row.seen = 1
    actual.actual_position_m = row.position_counts / row.counts_per_unit
    if row.velocity >= 0:
        actual.actual_velocity_m_s = get_i32(data, row.velocity) / row.velocity_counts_per_unit_s
    else:
        actual.actual_velocity_m_s = step * 1e9 / (row.counts_per_unit * elapsed_ns)
    actual.statusword = get_u16(data, row.statusword)
    if row.torque >= 0:
        actual.actual_force_n = get_i16(data, row.torque) / row.torque_counts_per_n
    if row.error_code >= 0:
        actual.error_code = get_u16(data, row.error_code)
    if row.mode_display >= 0:
        mode = np.int64(data[row.mode_display])
        actual.mode_display = mode - ((mode & 0x80) << 1)


@njit(cache=True, nogil=True, error_model="numpy")
def _output_bit(row, station):
    if row.signal == _VACUUM_ON:
        return station.vacuum_on[row.element] != 0
    if row.signal == _HIPOT_TEST:
        return station.hipot_test != 0
    if row.signal == _STACK_CLAMP:
        return station.stack_clamp != 0
    if row.signal == _CONVEYOR:
        return station.conveyor != 0
    return (station.stack_light >> row.element) & 1 != 0


@njit(cache=True, nogil=True, error_model="numpy")
def pack_signal(row, station, data):
    """Write one output channel; outputs are bits."""
    byte, mask = row.bit >> 3, 1 << (row.bit & 7)
    if _output_bit(row, station):
        data[byte] |= mask
    else:
        data[byte] &= 0xFF ^ mask


@njit(cache=True, nogil=True, error_model="numpy")
def unpack_signal(row, data, station, time_ns):
    """Read one input channel into its place."""
    if row.bits == 1:
        value = float((data[row.bit >> 3] >> (row.bit & 7)) & 1)
    else:
        value = get_i16(data, row.bit >> 3) * row.unit_per_count
    signal = row.signal
    if signal == _EMERGENCY_STOP_OK:
        station.emergency_stop_ok = np.int64(value)
    elif signal == _SAFE_TORQUE_OFF_OK:
        station.safe_torque_off_ok = np.int64(value)
    elif signal == _DOOR_CLOSED:
        station.door_closed = np.int64(value)
    elif signal == _AIR_PRESSURE_OK:
        station.air_pressure_ok = np.int64(value)
    elif signal == _SPLICE_DETECTED:
        station.splice_detected = np.int64(value)
    elif signal == _VACUUM:
        station.vacuum_pa[row.element] = value
    elif signal == _SHEET_THICKNESS:
        station.sheet_thickness_m[row.element] = value
    elif signal == _MAGAZINE_SHEETS:
        station.magazine_sheets[row.element] = np.int64(value)
        station.magazine_stamp_ns = time_ns
    elif signal == _TENSION:
        station.tension_n = value
        station.tension_stamp_ns = time_ns
    elif signal == _DANCER_POSITION:
        station.dancer_position_m = value
        station.dancer_stamp_ns = time_ns
    elif signal == _LOOP_LENGTH:
        station.loop_length_m = value
    elif signal == _ROLL_RADIUS:
        station.roll_radius_m = value
    elif signal == _WEB_EDGE:
        station.web_edge_m = value
    elif signal == _HIPOT_RESISTANCE:
        station.hipot_resistance_ohm = value


@njit(cache=True, nogil=True, error_model="numpy")
def pack(link, outputs):
    """Write the image's outputs (OUTPUTS_DTYPE record) into the link's process data."""
    for n in range(link.axis_count):
        row = link.axes[n]
        pack_axis(row, outputs.stations[row.station].axes[row.axis], link.outputs)
    for n in range(link.signal_count):
        line = link.signals[n]
        if line.signal >= _FIRST_OUTPUT:
            pack_signal(line, outputs.stations[line.station], link.outputs)


@njit(cache=True, nogil=True, error_model="numpy")
def unpack(link, inputs, elapsed_ns):
    """Read fresh process data into the image's inputs (INPUTS_DTYPE record)."""
    for n in range(link.axis_count):
        row = link.axes[n]
        unpack_axis(row, link.inputs, inputs.stations[row.station].axes[row.axis], elapsed_ns)
    for n in range(link.signal_count):
        line = link.signals[n]
        if line.signal < _FIRST_OUTPUT:
            unpack_signal(line, link.inputs, inputs.stations[line.station], inputs.time_ns)
