"""Drives: power up and down through CiA 402, home, and watch what they report."""

from controller.shared.alarms import AlarmId
from controller.shared.status import SequenceState
from controller.station.alarms import raise_alarm
from controller.station.kernel import kernel
from controller.station.state import HomingPhase
from drivers.cia402 import Controlword, Mode, PowerState, Statusword
from drivers.cia402_step import controlword_towards_enabled, power_state
from drivers.image import AXIS_COUNT, AxisId

FAULT_RESET_CYCLES = 4
HOMING_BEGINS_NS = 100_000_000  # until then a drive may still show how its last attempt ended
_SHUTDOWN, _QUICK_STOP, _DISABLE_VOLTAGE = 0x06, 0x02, 0x00
_STANDING_M_S = 0.001
_FAULT_RESET = int(Controlword.FAULT_RESET)
_HOMING_START = int(Controlword.HOMING_START)
_ATTAINED = int(Statusword.HOMING_ATTAINED)
_HOMING_ERROR = int(Statusword.HOMING_ERROR)


@kernel
def read_drives(inputs, station, latency_cycles):
    """Show each drive's state; an axis that is not under control has its setpoint where it stands."""
    for axis in range(AXIS_COUNT):
        reported = inputs.axes[axis]
        shown = station.status.axes[axis]
        setpoint = station.axes[axis]
        shown.power_state = power_state(reported.statusword)
        shown.error_code = reported.error_code
        shown.actual_position_m = reported.actual_position_m
        shown.actual_velocity_m_s = reported.actual_velocity_m_s
        shown.actual_force_n = reported.actual_force_n
        shown.homed = setpoint.homed
        if shown.power_state != PowerState.OPERATION_ENABLED or not setpoint.homed:
            setpoint.position_m = reported.actual_position_m
            setpoint.expected_m = reported.actual_position_m
            setpoint.expected_before_m = reported.actual_position_m
            setpoint.velocity_m_s = 0.0
            setpoint.acceleration_m_s2 = 0.0
        expected_m = setpoint.expected_before_m if latency_cycles else setpoint.expected_m
        shown.following_error_m = expected_m - reported.actual_position_m
        shown.target_position_m = setpoint.position_m


@kernel
def supervise_drives(state, station_index, plan):
    """Raise alarms for faults, drives that dropped out, following errors and soft limits."""
    station = state.stations[station_index]
    for axis in range(AXIS_COUNT):
        shown = station.status.axes[axis]
        limits = plan.axes[axis]
        if shown.power_state >= PowerState.FAULT_REACTION_ACTIVE and station.fault_reset == 0:
            raise_alarm(state, station_index, AlarmId.DRIVE_FAULT, axis)
        elif station.enable and station.axes[axis].was_enabled:
            if shown.power_state != PowerState.OPERATION_ENABLED:
                raise_alarm(state, station_index, AlarmId.DRIVE_NOT_ENABLED, axis)
        enabled = shown.power_state == PowerState.OPERATION_ENABLED
        station.axes[axis].was_enabled = 1 if enabled and station.enable else 0
        if not enabled or not station.axes[axis].homed or axis == AxisId.DANCER:
            continue
        # a held position says nothing of how far the axis is from a target that moved on
        if state.inputs_fresh and abs(shown.following_error_m) > limits.following_error_max_m:
            raise_alarm(state, station_index, AlarmId.FOLLOWING_ERROR, axis)
        # an axis that was found beyond its limit may come back
        setpoint = station.axes[axis]
        below = setpoint.position_m < limits.position_min_m and setpoint.velocity_m_s < 0.0
        above = setpoint.position_m > limits.position_max_m and setpoint.velocity_m_s > 0.0
        if below or above:
            raise_alarm(state, station_index, AlarmId.SOFT_LIMIT, axis)


@kernel
def all_enabled(station):
    """True when every drive is in OPERATION ENABLED."""
    for axis in range(AXIS_COUNT):
        if station.status.axes[axis].power_state != PowerState.OPERATION_ENABLED:
            return False
    return True


@kernel
def all_disabled(station):
    """True when no drive is in OPERATION ENABLED or on its way out of it."""
    for axis in range(AXIS_COUNT):
        shown = station.status.axes[axis].power_state
        if shown == PowerState.OPERATION_ENABLED or shown == PowerState.QUICK_STOP_ACTIVE:
            return False
    return True


@kernel
def any_fault(station):
    """True while a drive is in FAULT or reacting to one."""
    for axis in range(AXIS_COUNT):
        if station.status.axes[axis].power_state >= PowerState.FAULT_REACTION_ACTIVE:
            return True
    return False


@kernel
def all_homed(station):
    """True when every axis has its reference."""
    for axis in range(AXIS_COUNT):
        if not station.axes[axis].homed:
            return False
    return True


@kernel
def step_homing(state, station_index, inputs):
    """Take each axis one step on its way to its reference; the dancer's force axis needs none."""
    station = state.stations[station_index]
    station.axes[AxisId.DANCER].homed = 1
    for axis in range(AXIS_COUNT):
        setpoint = station.axes[axis]
        if setpoint.homed:
            continue
        reported = inputs.axes[axis]
        in_mode = reported.mode_display == Mode.HOMING
        if setpoint.homing == HomingPhase.STARTED and in_mode:
            begun = state.machine.time_ns - station.state_since_ns > HOMING_BEGINS_NS
            if begun and reported.statusword & _HOMING_ERROR:
                raise_alarm(state, station_index, AlarmId.HOMING_FAILED, axis)
            elif reported.statusword & _ATTAINED:
                setpoint.homing = HomingPhase.DONE
                setpoint.homed = 1
        elif in_mode:
            setpoint.homing = HomingPhase.STARTED


@kernel
def _towards_disabled(station, shown):
    """The controlword that takes the torque: at a standstill, after the drive's own ramp off the path."""
    if shown.power_state == PowerState.QUICK_STOP_ACTIVE:
        return _DISABLE_VOLTAGE if abs(shown.actual_velocity_m_s) < _STANDING_M_S else _QUICK_STOP
    ramp = station.off_path and shown.power_state == PowerState.OPERATION_ENABLED
    return _QUICK_STOP if ramp else _SHUTDOWN


@kernel
def write_drives(station, outputs):
    """Write controlwords, modes and setpoints of every axis."""
    for axis in range(AXIS_COUNT):
        setpoint = station.axes[axis]
        shown = station.status.axes[axis]
        output = outputs.axes[axis]
        if station.fault_reset > 0:
            output.controlword = _FAULT_RESET if shown.power_state == PowerState.FAULT else 0
        elif station.enable:
            output.controlword = controlword_towards_enabled(shown.power_state)
        else:
            output.controlword = _towards_disabled(station, shown)
        output.mode = Mode.CYCLIC_SYNC_POSITION
        if axis == AxisId.DANCER:
            output.mode = Mode.CYCLIC_SYNC_TORQUE
        elif station.status.sequence == SequenceState.HOMING and not setpoint.homed:
            output.mode = Mode.HOMING
            if setpoint.homing == HomingPhase.STARTED:
                output.controlword = output.controlword | _HOMING_START
        setpoint.expected_before_m = setpoint.expected_m
        setpoint.expected_m = setpoint.position_m
        output.target_position_m = setpoint.position_m
        output.velocity_offset_m_s = setpoint.velocity_m_s
    if station.fault_reset > 0:
        station.fault_reset -= 1
