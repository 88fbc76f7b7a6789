"""Sheets in the baseline: picking with retries, one look by the camera, one correction."""

import numpy as np

from bench.baseline.kernel import kernel
from bench.baseline.layout import Align
from bench.baseline.moves import start_move
from drivers.image import AxisId, ReadingQuality

_STAGE_X = int(AxisId.ANODE_STAGE_X)
_GOOD = int(ReadingQuality.GOOD)
_IDLE, _WAITING, _CORRECTING = int(Align.IDLE), int(Align.WAITING), int(Align.CORRECTING)
_READY, _HOMING = int(Align.READY), int(Align.HOMING)


@kernel
def pick(state, outputs, polarity, placing):
    """Suck what lies under the arm: the staged sheet if it is wanted, a new one if its place is free."""
    arm, staged = state.arms[polarity], state.stages[polarity].staged
    arm.placing = 1 if placing and staged else 0
    arm.fetching = 1 if arm.placing or not staged else 0
    arm.retrying = 0
    arm.since_s = state.time_s
    outputs.vacuum_on[2 * polarity] = arm.placing
    outputs.vacuum_on[2 * polarity + 1] = arm.fetching


@kernel
def picked(state, settings, inputs, outputs, polarity):
    """Whether the arm holds what it was to take; a miss or a double sheet is taken anew."""
    arm = state.arms[polarity]
    place, fetch = 2 * polarity, 2 * polarity + 1
    if arm.retrying:
        if inputs.vacuum_pa[fetch] < settings.released_pa:
            outputs.vacuum_on[fetch] = 1
            arm.retrying = 0
            arm.since_s = state.time_s
        return False
    have = not arm.fetching or inputs.vacuum_pa[fetch] > settings.made_pa
    double = arm.fetching and inputs.sheet_thickness_m[polarity] > settings.double_m[polarity]
    late = state.time_s - arm.since_s > settings.pick_timeout_s
    if (have and double) or (late and not have):
        outputs.vacuum_on[fetch] = 0
        arm.retrying = 1
        state.retries += 1
        return False
    if not have or (arm.placing and inputs.vacuum_pa[place] < settings.made_pa):
        return False
    if arm.placing:
        arm.holding = 1
        state.stages[polarity].staged = 0
        state.stages[polarity].state = _IDLE
    return True


@kernel
def _trigger(stage, outputs, polarity):
    stage.trigger += np.uint32(1)
    outputs.sheet_camera_trigger[polarity] = stage.trigger
    stage.state = _WAITING


@kernel
def align(state, outputs, polarity):
    """Measure what the arm has just laid on its stage."""
    if state.arms[polarity].fetching:
        state.arms[polarity].fetching = 0
        state.stages[polarity].staged = 1
        _trigger(state.stages[polarity], outputs, polarity)


@kernel
def home_stage(state, settings, polarity):
    """Bring an empty stage back to its centre."""
    if state.stages[polarity].staged:
        return
    for axis in range(3):
        start_move(state, settings, _STAGE_X + 3 * polarity + axis, 0.0)


@kernel
def _correct(state, settings, reading, polarity):
    """Move the stage so that the sheet lies where it should: once, and as measured."""
    turn = min(max(-reading.theta_rad, -settings.stage_range_rad), settings.stage_range_rad)
    x = -(reading.x_m - turn * reading.y_m)
    y = -(reading.y_m + turn * reading.x_m)
    reach = settings.stage_range_m
    first = _STAGE_X + 3 * polarity
    start_move(state, settings, first, min(max(x, -reach), reach))
    start_move(state, settings, first + 1, min(max(y, -reach), reach))
    start_move(state, settings, first + 2, turn)
    state.stages[polarity].state = _CORRECTING


@kernel
def _stage_stands(state, settings, inputs, polarity):
    for axis in range(_STAGE_X + 3 * polarity, _STAGE_X + 3 * polarity + 3):
        away = abs(inputs.axes[axis].actual_position_m - state.axes[axis].position_m)
        if state.axes[axis].moving or away > settings.in_position_m[axis]:
            return False
    return True


@kernel
def step_stages(state, settings, inputs, outputs):
    """Beside the chain: take the camera's reading, correct, be ready."""
    for polarity in range(2):
        stage, reading = state.stages[polarity], inputs.sheet_cameras[polarity]
        if stage.state == _WAITING and reading.sequence == stage.trigger:
            if reading.quality == _GOOD:
                _correct(state, settings, reading, polarity)
            else:
                _trigger(stage, outputs, polarity)
        elif stage.state == _CORRECTING and _stage_stands(state, settings, inputs, polarity):
            stage.state = _READY
