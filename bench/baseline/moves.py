"""Moves from rest to rest after a fixed law of motion, and the drives behind them."""

from math import sqrt

import numpy as np

from bench.baseline.kernel import kernel
from bench.baseline.layout import Phase
from drivers.cia402 import Controlword, Mode, PowerState, Statusword
from drivers.cia402_step import controlword_towards_enabled, power_state
from drivers.image import AXIS_COUNT, AxisId
from motion.cam_table import evaluate_cam

_TABLE_X, _DANCER = int(AxisId.TABLE_X), int(AxisId.DANCER)
_ENABLED, _REACTION = int(PowerState.OPERATION_ENABLED), int(PowerState.FAULT_REACTION_ACTIVE)
_POWER, _HOMING, _RUNNING = int(Phase.POWER), int(Phase.HOMING), int(Phase.RUNNING)
_START, _ATTAINED = int(Controlword.HOMING_START), int(Statusword.HOMING_ATTAINED)
_CSP, _CST, _HOME = (
    int(Mode.CYCLIC_SYNC_POSITION),
    int(Mode.CYCLIC_SYNC_TORQUE),
    int(Mode.HOMING),
)
_LEAST_M = 1e-9


@kernel
def start_move(state, settings, axis, goal):
    """Send an axis to a place, in the law's time at the axis's limits."""
    move = state.axes[axis]
    move.start_m = move.position_m
    move.goal_m = goal
    move.begin_s = state.time_s
    distance = abs(goal - move.position_m)
    if distance < _LEAST_M:
        move.moving = 0
        return
    by_velocity = distance * settings.per_velocity_s_m[axis]
    by_acceleration = sqrt(distance * settings.per_acceleration_s2_m[axis])
    by_jerk = np.cbrt(distance * settings.per_jerk_s3_m[axis])
    longest = max(by_velocity, by_acceleration, by_jerk)
    move.duration_s = longest * settings.stretch[axis]
    move.moving = 1


@kernel
def step_moves(state, settings):
    """Every moving axis one period on."""
    for axis in range(AXIS_COUNT):
        move = state.axes[axis]
        if not move.moving:
            continue
        share = (state.time_s - move.begin_s) / move.duration_s
        law = settings.laws[1 if axis == _TABLE_X else 0]
        distance = move.goal_m - move.start_m
        if share >= 1.0:
            move.position_m = move.goal_m
            move.velocity_m_s = 0.0
            move.acceleration_m_s2 = 0.0
            move.moving = 0
            continue
        s, d1, d2, _ = evaluate_cam(settings.law_segments, law, share)
        move.position_m = move.start_m + distance * s
        move.velocity_m_s = distance * d1 / move.duration_s
        move.acceleration_m_s2 = distance * d2 / (move.duration_s * move.duration_s)


@kernel
def step_power(state, inputs):
    """Enable, then home every drive; a drive that gives up is remembered."""
    enabled, homed = True, True
    for axis in range(AXIS_COUNT):
        word = inputs.axes[axis].statusword
        shown = power_state(word)
        enabled = enabled and shown == _ENABLED
        homed = homed and (axis == _DANCER or (word & _ATTAINED) != 0)
        if shown >= _REACTION:
            state.failed_axis = axis + 1
        if state.phase < _RUNNING:
            state.axes[axis].position_m = inputs.axes[axis].actual_position_m
    if state.phase == _POWER and enabled:
        state.phase = _HOMING
        state.line_since_s = state.time_s
    elif state.phase == _HOMING and homed and state.time_s - state.line_since_s > 0.05:
        state.phase = _RUNNING
        state.line_since_s = state.time_s


@kernel
def write_drives(state, settings, inputs, outputs):
    """Controlwords, modes, setpoints and feed-forward of every axis."""
    for axis in range(AXIS_COUNT):
        move, output = state.axes[axis], outputs.axes[axis]
        shown = power_state(inputs.axes[axis].statusword)
        output.controlword = controlword_towards_enabled(shown)
        output.mode = _CSP
        output.target_position_m = move.position_m
        output.velocity_offset_m_s = move.velocity_m_s
        output.force_offset_n = settings.mass_kg[axis] * move.acceleration_m_s2
        if axis == _DANCER:
            output.mode = _CST
            output.force_offset_n = 2.0 * settings.tension_n
        elif state.phase == _HOMING:
            output.mode = _HOME
            if inputs.axes[axis].mode_display == _HOME:
                output.controlword = output.controlword | _START
