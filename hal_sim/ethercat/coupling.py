"""Slaves <-> process image, compiled: the one place where the virtual bus meets the plant.

A drive acts on its objects only in OP; outside it, or with a fault of its own, its axis gets a quick stop.
"""

import math

import numpy as np
from numba import njit

from drivers.cia402 import Controlword, Mode, Statusword
from drivers.ethercat.little_endian import get_i16, get_i32, get_u16, put_u16, put_u32
from drivers.ethercat.protocol import AlState
from drivers.ethercat.signals import FIRST_OUTPUT, SignalId
from hal_sim.ethercat.mapping import give_inputs, take_outputs
from hal_sim.ethercat.states import al_state

_OP = int(AlState.OP)
_QUICK_STOP_WORD = int(Controlword.ENABLE_VOLTAGE)
_FAULT_RESET = int(Controlword.FAULT_RESET)
_FAULT, _STATE_MASK = int(Statusword.FAULT), 0x6F
_TORQUE_MODE = int(Mode.CYCLIC_SYNC_TORQUE)
_FIRST_OUTPUT = int(FIRST_OUTPUT)
_SIGNAL = {signal.name: int(signal) for signal in SignalId}
_EMERGENCY_STOP_OK = _SIGNAL["EMERGENCY_STOP_OK"]
_SAFE_TORQUE_OFF_OK = _SIGNAL["SAFE_TORQUE_OFF_OK"]
_DOOR_CLOSED = _SIGNAL["DOOR_CLOSED"]
_AIR_PRESSURE_OK = _SIGNAL["AIR_PRESSURE_OK"]
_SPLICE_DETECTED = _SIGNAL["SPLICE_DETECTED"]
_VACUUM = _SIGNAL["VACUUM"]
_SHEET_THICKNESS = _SIGNAL["SHEET_THICKNESS"]
_MAGAZINE_SHEETS = _SIGNAL["MAGAZINE_SHEETS"]
_TENSION = _SIGNAL["TENSION"]
_DANCER_POSITION = _SIGNAL["DANCER_POSITION"]
_LOOP_LENGTH = _SIGNAL["LOOP_LENGTH"]
_ROLL_RADIUS = _SIGNAL["ROLL_RADIUS"]
_WEB_EDGE = _SIGNAL["WEB_EDGE"]
_HIPOT_RESISTANCE = _SIGNAL["HIPOT_RESISTANCE"]
_VACUUM_ON = _SIGNAL["VACUUM_ON"]
_HIPOT_TEST = _SIGNAL["HIPOT_TEST"]
_STACK_CLAMP = _SIGNAL["STACK_CLAMP"]
_CONVEYOR = _SIGNAL["CONVEYOR"]


@njit(cache=True, nogil=True, error_model="numpy")
def _counts(value, scale, limit):
    scaled = value * scale
    if not abs(scaled) < limit:
        return np.int64(limit) if scaled > 0 else np.int64(-limit)
    return np.int64(math.floor(scaled + 0.5))


@njit(cache=True, nogil=True, error_model="numpy")
def _near(counts_32, position_counts):
    """Carry a 32-bit count on to the 64-bit one nearest to where the drive stands."""
    step = (counts_32 - position_counts) & 0xFFFFFFFF
    return position_counts + step - ((step & 0x80000000) << 1)


@njit(cache=True, nogil=True, error_model="numpy")
def _bridge(drive, axis, period_s):
    """Go on as before where a setpoint is missing, so many times; then stop where it is."""
    drive.setpoints_missed += 1
    if drive.setpoints_missed > drive.setpoints_bridged:
        axis.velocity_offset_m_s = 0.0
        drive.velocity_change_m_s = 0.0
    velocity, change = axis.velocity_offset_m_s, drive.velocity_change_m_s
    axis.target_position_m += (velocity + 0.5 * change) * period_s
    axis.velocity_offset_m_s = velocity + change


@njit(cache=True, nogil=True, error_model="numpy")
def _drive_to_axis(slave, axis, period_s):
    """Hand a drive's targets to its axis (AXIS_OUTPUT_DTYPE record)."""
    drive, values = slave.drive, slave.values
    operational = slave.powered and al_state(slave) == _OP
    word = get_u16(values, drive.controlword)
    if operational and word & _FAULT_RESET and not drive.previous_controlword & _FAULT_RESET:
        drive.fault_code = 0
    drive.previous_controlword = word
    if not operational or drive.fault_code != 0:
        axis.controlword = _QUICK_STOP_WORD
        drive.setpoints_missed = drive.setpoints_bridged
        return
    axis.controlword = word
    if not slave.outputs_fresh:
        _bridge(drive, axis, period_s)
        return
    drive.setpoints_missed = 0
    mode = np.int64(values[drive.mode])
    axis.mode = mode - ((mode & 0x80) << 1)
    target = _near(get_i32(values, drive.target_position), drive.position_counts)
    axis.target_position_m = target / drive.counts_per_unit
    velocity = get_i32(values, drive.velocity_offset) / drive.velocity_counts_per_unit_s
    drive.velocity_change_m_s = velocity - axis.velocity_offset_m_s
    axis.velocity_offset_m_s = velocity
    torque = get_i16(values, drive.torque_offset)
    if mode == _TORQUE_MODE:
        torque += get_i16(values, drive.target_torque)
    axis.force_offset_n = torque / drive.torque_counts_per_n


@njit(cache=True, nogil=True, error_model="numpy")
def _axis_to_drive(slave, axis):
    """Put an axis's feedback (AXIS_INPUT_DTYPE record) into the drive's objects."""
    drive, values = slave.drive, slave.values
    word, code = np.int64(axis.statusword), np.int64(axis.error_code)
    if drive.fault_code != 0:
        word = (word & ~_STATE_MASK) | _FAULT
        code = drive.fault_code
    put_u16(values, drive.statusword, word)
    put_u16(values, drive.error_code, code)
    values[drive.mode_display] = np.int64(axis.mode_display) & 0xFF
    drive.position_counts = _counts(axis.actual_position_m, drive.counts_per_unit, 4e15)
    put_u32(values, drive.position, drive.position_counts)
    scale = drive.velocity_counts_per_unit_s
    put_u32(values, drive.velocity, _counts(axis.actual_velocity_m_s, scale, 2147483647.0))
    force = _counts(axis.actual_force_n, drive.torque_counts_per_n, 32767.0)
    put_u16(values, drive.torque, force)


@njit(cache=True, nogil=True, error_model="numpy")
def _channel_to_station(slave, row, station):
    """Hand an output channel to its signal; outputs fall off outside OP."""
    on = 0
    if slave.powered and al_state(slave) == _OP:
        on = slave.values[row.offset] & 1
    if row.signal == _VACUUM_ON:
        station.vacuum_on[row.element] = on
    elif row.signal == _HIPOT_TEST:
        station.hipot_test = on
    elif row.signal == _STACK_CLAMP:
        station.stack_clamp = on
    elif row.signal == _CONVEYOR:
        station.conveyor = on
    else:
        mask = 1 << row.element
        station.stack_light = (station.stack_light & (0xFF ^ mask)) | (mask if on else 0)


@njit(cache=True, nogil=True, error_model="numpy")
def _signal_value(row, station):
    """Return what the machine says of a signal."""
    signal = row.signal
    if signal == _EMERGENCY_STOP_OK:
        return float(station.emergency_stop_ok)
    if signal == _SAFE_TORQUE_OFF_OK:
        return float(station.safe_torque_off_ok)
    if signal == _DOOR_CLOSED:
        return float(station.door_closed)
    if signal == _AIR_PRESSURE_OK:
        return float(station.air_pressure_ok)
    if signal == _SPLICE_DETECTED:
        return float(station.splice_detected)
    if signal == _VACUUM:
        return station.vacuum_pa[row.element]
    if signal == _SHEET_THICKNESS:
        return station.sheet_thickness_m[row.element]
    if signal == _MAGAZINE_SHEETS:
        return float(station.magazine_sheets[row.element])
    if signal == _TENSION:
        return station.tension_n
    if signal == _DANCER_POSITION:
        return station.dancer_position_m
    if signal == _LOOP_LENGTH:
        return station.loop_length_m
    if signal == _ROLL_RADIUS:
        return station.roll_radius_m
    if signal == _WEB_EDGE:
        return station.web_edge_m
    return station.hipot_resistance_ohm


@njit(cache=True, nogil=True, error_model="numpy")
def to_machine(slaves, outputs, period_s):
    """Hand what the bus asks for to the machine's image (OUTPUTS_DTYPE record), once a period."""
    for n in range(slaves.size):
        slave = slaves[n]
        station = outputs.stations[slave.station]
        if slave.output_bytes > 0 and slave.outputs_seen and al_state(slave) == _OP:
            take_outputs(slave)
        if slave.is_drive:
            _drive_to_axis(slave, station.axes[slave.drive.axis], period_s)
        for k in range(slave.channel_count):
            row = slave.channels[k]
            if row.signal >= _FIRST_OUTPUT:
                _channel_to_station(slave, row, station)
        slave.outputs_fresh = 0


@njit(cache=True, nogil=True, error_model="numpy")
def from_machine(slaves, inputs):
    """Put what the machine reports (INPUTS_DTYPE record) where the bus can read it."""
    for n in range(slaves.size):
        slave = slaves[n]
        if not slave.powered:
            continue
        station = inputs.stations[slave.station]
        if slave.is_drive:
            _axis_to_drive(slave, station.axes[slave.drive.axis])
        for k in range(slave.channel_count):
            row = slave.channels[k]
            if row.signal >= _FIRST_OUTPUT:
                continue
            value = _signal_value(row, station)
            if row.bits == 1:
                slave.values[row.offset] = 1 if value != 0.0 else 0
            else:
                put_u16(slave.values, row.offset, _counts(value, 1.0 / row.unit_per_count, 32767.0))
        give_inputs(slave)
