"""The servo drives: CiA 402 power states and modes in front of a position loop with real limits.

A target is taken at the start of a period and reached at its end: the drive interpolates by a cubic
through positions and velocity offsets. The loop is position-proportional, velocity-proportional and
integral, fed forward by the offsets, sampled every substep, limited by the motor's peak force.
"""

from math import sqrt
from typing import Any

import numpy as np
from numba import njit

from drivers.cia402 import Controlword, ErrorCode, Mode, PowerCommand, PowerState, Statusword
from drivers.cia402_step import power_command, statusword_of, step_power
from hal_sim.layout import Control

_OFF, _POSITION = int(Control.OFF), int(Control.POSITION)
_PROFILE, _TORQUE = int(Control.PROFILE), int(Control.TORQUE)
_NOT_READY, _DISABLED = int(PowerState.NOT_READY), int(PowerState.SWITCH_ON_DISABLED)
_ENABLED, _QUICK_STOP = int(PowerState.OPERATION_ENABLED), int(PowerState.QUICK_STOP_ACTIVE)
_REACTION, _FAULT = int(PowerState.FAULT_REACTION_ACTIVE), int(PowerState.FAULT)
_HOMING, _CSP = int(Mode.HOMING), int(Mode.CYCLIC_SYNC_POSITION)
_CSV, _CST = int(Mode.CYCLIC_SYNC_VELOCITY), int(Mode.CYCLIC_SYNC_TORQUE)
_START = int(Controlword.HOMING_START)
_RESET = int(PowerCommand.FAULT_RESET)
_ALWAYS_SET = int(Statusword.REMOTE) | int(Statusword.VOLTAGE_ENABLED)
_BIT_10, _LIMIT = int(Statusword.TARGET_REACHED), int(Statusword.INTERNAL_LIMIT_ACTIVE)
_BIT_12, _BIT_13 = int(Statusword.HOMING_ATTAINED), int(Statusword.HOMING_ERROR)
_WARNING = int(Statusword.WARNING)
_NO_TORQUE = int(ErrorCode.SAFE_TORQUE_OFF)
_OVERLOAD, _FOLLOWING = int(ErrorCode.OVERLOAD_I2T), int(ErrorCode.FOLLOWING_ERROR)

_BRAKE_S = 0.02  # a motor without torque is shorted: its speed decays
_HOMED_M = 5e-6
_STANDING_M_S = 1e-3


@njit(cache=True, nogil=True, error_model="numpy")
def raise_drive_fault(axis: Any, code: int) -> None:
    """Send a drive into its fault reaction, unless it has one already or is not enabled."""
    state = axis.power_state
    if state == _REACTION or state == _FAULT:
        return
    axis.error_code = np.uint16(code)
    powered = state == _ENABLED or state == _QUICK_STOP
    axis.power_state = _REACTION if powered else _FAULT


@njit(cache=True, nogil=True, error_model="numpy")
def _step_power_state(axis: Any, controlword: int, torque_off: bool, booted: bool) -> None:
    """Obey the controlword as far as safe torque off and the state machine allow."""
    command = power_command(controlword, axis.controlword)
    axis.controlword = np.uint16(controlword)
    if axis.power_state == _NOT_READY:
        axis.power_state = _DISABLED if booted else _NOT_READY
        return
    if torque_off and axis.power_state != _FAULT:
        axis.power_state = _DISABLED
        axis.error_code = np.uint16(_NO_TORQUE)
        return
    was = axis.power_state
    axis.power_state = step_power(was, command)
    if (was == _FAULT and command == _RESET) or axis.error_code == _NO_TORQUE:
        axis.error_code = np.uint16(0)
        axis.heat = min(axis.heat, 0.5)


@njit(cache=True, nogil=True, error_model="numpy")
def _wanted_control(axis: Any) -> int:
    """The loop that power state and mode ask for."""
    if axis.power_state == _QUICK_STOP or axis.power_state == _REACTION:
        return _PROFILE
    if axis.power_state != _ENABLED:
        return _OFF
    if axis.mode == _CSP or axis.mode == _CSV:
        return _POSITION
    return _TORQUE if axis.mode == _CST else _PROFILE


@njit(cache=True, nogil=True, error_model="numpy")
def _enter_control(axis: Any, control: int) -> None:
    """Change the loop without a bump: the reference starts where the axis is."""
    if axis.control == _OFF or axis.control == _TORQUE:
        axis.integral_n = 0.0
    # a ramp of the drive's own begins where the axis is, not where a last target may have been
    if axis.control != _POSITION or control == _PROFILE:
        axis.reference_m_s = axis.velocity_m_s
        axis.reference_m = axis.position_m + axis.encoder_offset_m
    axis.profile_goal_m = axis.reference_m
    axis.homing = 0
    axis.control = control


@njit(cache=True, nogil=True, error_model="numpy")
def _step_homing(plant: Any, axis: Any, controlword: int) -> None:
    """Start, end or attain the search for the reference mark."""
    asked = controlword & _START
    if not asked:
        axis.homing = 0
        return
    if not axis.homing and not axis.homed:
        axis.homing = 1
        mark = axis.position_m if plant.homes_in_place else plant.home_position_m
        axis.profile_goal_m = mark + axis.encoder_offset_m
        axis.homing_error = axis.jammed
    if axis.jammed or not axis.homing:
        return
    gap = axis.profile_goal_m - axis.position_m - axis.encoder_offset_m
    if abs(gap) < _HOMED_M and abs(axis.velocity_m_s) < _STANDING_M_S:
        shift = plant.home_position_m - axis.profile_goal_m
        axis.encoder_offset_m += shift
        axis.reference_m += shift
        axis.profile_goal_m = axis.reference_m
        axis.homed = 1
        axis.homing = 0
        axis.homing_error = 0


@njit(cache=True, nogil=True, error_model="numpy")
def _plan_profile(plant: Any, axis: Any, period: float) -> tuple[float, float]:
    """The end of the next period of the drive's own motion: (position, velocity)."""
    rate = plant.quick_stop_m_s2
    wanted = 0.0
    gap = axis.profile_goal_m - axis.reference_m
    if axis.homing and not axis.jammed:
        rate = 20.0 * plant.homing_velocity_m_s
        wanted = min(plant.homing_velocity_m_s, 0.8 * sqrt(2.0 * rate * abs(gap)))
        wanted = min(wanted, abs(gap) / period)
        wanted = wanted if gap > 0.0 else -wanted
    change = min(max(wanted - axis.reference_m_s, -rate * period), rate * period)
    velocity = axis.reference_m_s + change
    return axis.reference_m + 0.5 * (axis.reference_m_s + velocity) * period, velocity


@njit(cache=True, nogil=True, error_model="numpy")
def _interpolate(axis: Any, position: float, velocity: float, period: float) -> None:
    """Lay the cubic from where the reference is to where it will be a period on."""
    rise = position - axis.reference_m
    v0 = axis.reference_m_s
    axis.cubic[0] = axis.reference_m
    axis.cubic[1] = v0
    axis.cubic[2] = (3.0 * rise / period - 2.0 * v0 - velocity) / period
    axis.cubic[3] = (v0 + velocity - 2.0 * rise / period) / (period * period)
    axis.velocity_start_m_s = v0
    axis.velocity_rise_m_s2 = (velocity - v0) / period
    axis.reference_m = position
    axis.reference_m_s = velocity


@njit(cache=True, nogil=True, error_model="numpy")
def _supervise(plant: Any, axis: Any, substeps: int, period: float) -> None:
    """Following error, I2t and the end of a stop."""
    mean_square = axis.force_square_n2 / substeps / (plant.force_rms_n * plant.force_rms_n)
    axis.force_square_n2 = 0.0
    axis.heat += (mean_square - axis.heat) * period / plant.thermal_time_s
    if axis.heat > 1.0:
        raise_drive_fault(axis, _OVERLOAD)
    if axis.control == _POSITION or axis.control == _PROFILE:
        error = axis.reference_m - axis.position_m - axis.encoder_offset_m
        if abs(error) > plant.following_error_m:
            raise_drive_fault(axis, _FOLLOWING)
    stopped = axis.control == _PROFILE and axis.reference_m_s == 0.0
    if axis.power_state == _REACTION and (stopped or abs(axis.velocity_m_s) < _STANDING_M_S):
        axis.power_state = _FAULT


@njit(cache=True, nogil=True, error_model="numpy")
def _compose_statusword(axis: Any) -> None:
    """The statusword of the cycle, mode-specific bits included."""
    word = statusword_of(axis.power_state) | _ALWAYS_SET
    if axis.mode == _HOMING:
        if axis.homed:
            word |= _BIT_12 | _BIT_10
        if axis.homing_error:
            word |= _BIT_13
    elif axis.power_state == _ENABLED:
        word |= _BIT_12
    if axis.saturated:
        word |= _LIMIT
    if axis.heat > 0.9:
        word |= _WARNING
    axis.statusword = np.uint16(word)
    axis.saturated = 0


@njit(cache=True, nogil=True, error_model="numpy")
def begin_drive_cycle(
    plant: Any, axis: Any, output: Any, torque_off: bool, booted: bool, period: float
) -> None:
    """Take one output record: power state, mode, and the interpolation of this period."""
    controlword = np.int64(output.controlword)
    _step_power_state(axis, controlword, torque_off, booted)
    mode = np.int64(output.mode)
    if mode == _HOMING or mode == _CSP or mode == _CSV or mode == _CST:
        axis.mode = output.mode
    control = _wanted_control(axis)
    if control != axis.control:
        _enter_control(axis, control)
    if axis.mode == _HOMING and axis.power_state == _ENABLED:
        _step_homing(plant, axis, controlword)
    if control == _POSITION:
        position, velocity = output.target_position_m, output.velocity_offset_m_s
        if axis.mode == _CSV:
            position = axis.reference_m + 0.5 * (axis.reference_m_s + velocity) * period
        _interpolate(axis, position, velocity, period)
    elif control == _PROFILE:
        position, velocity = _plan_profile(plant, axis, period)
        _interpolate(axis, position, velocity, period)
    axis.force_start_n = axis.force_offset_n
    axis.force_offset_n = output.force_offset_n if control != _PROFILE else 0.0
    axis.force_rise_n_s = (axis.force_offset_n - axis.force_start_n) / period


@njit(cache=True, nogil=True, error_model="numpy")
def drive_force(plant: Any, axis: Any, t: float, step: float) -> float:
    """The motor's force at time t of the period."""
    if axis.control == _OFF:
        axis.force_n = 0.0
        return 0.0
    force = axis.force_start_n + axis.force_rise_n_s * t
    if axis.control != _TORQUE:
        cubic = axis.cubic
        reference = cubic[0] + t * (cubic[1] + t * (cubic[2] + t * cubic[3]))
        error = reference - axis.position_m - axis.encoder_offset_m - axis.encoder_noise_m
        slip = axis.velocity_start_m_s + axis.velocity_rise_m_s2 * t - axis.velocity_m_s
        bound = plant.integral_limit_n
        integral = axis.integral_n + error * plant.integral_n_m_s * step
        axis.integral_n = min(max(integral, -bound), bound)
        force += plant.stiffness_n_m * error + plant.damping_n_s_m * slip + axis.integral_n
    limited = min(max(force, -plant.force_peak_n), plant.force_peak_n)
    if limited != force:
        axis.saturated = 1
    axis.force_n = limited
    axis.force_square_n2 += limited * limited
    return limited


@njit(cache=True, nogil=True, error_model="numpy")
def move_mass(plant: Any, axis: Any, force: float, step: float, steps_a_second: float) -> None:
    """One step of a mass under a force, Coulomb friction and its hard stops."""
    was = axis.velocity_m_s
    velocity = was + force * axis.step_a_mass_s_kg
    if axis.control == _OFF:
        velocity -= was * step / _BRAKE_S
    grip = plant.friction_n * axis.step_a_mass_s_kg
    if abs(velocity) <= grip:
        velocity = 0.0
    else:
        velocity -= grip if velocity > 0.0 else -grip
    axis.acceleration_m_s2 = (velocity - was) * steps_a_second
    axis.velocity_m_s = velocity
    position = axis.position_m + 0.5 * (velocity + was) * step
    axis.position_m = position
    if position > plant.position_max_m or position < plant.position_min_m:
        axis.position_m = min(max(position, plant.position_min_m), plant.position_max_m)
        axis.velocity_m_s = 0.0


@njit(cache=True, nogil=True, error_model="numpy")
def end_drive_cycle(plant: Any, axis: Any, result: Any, substeps: int, period: float) -> None:
    """Supervise the period that has passed and report it into an axis input record."""
    _supervise(plant, axis, substeps, period)
    _compose_statusword(axis)
    result.actual_position_m = axis.position_m + axis.encoder_offset_m + axis.encoder_noise_m
    result.actual_velocity_m_s = axis.velocity_m_s + axis.encoder_noise_m / period
    result.actual_force_n = axis.force_n
    result.statusword = axis.statusword
    result.error_code = axis.error_code
    result.mode_display = axis.mode
