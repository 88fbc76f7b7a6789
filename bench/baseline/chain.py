"""The baseline's scan: inputs, the step chain, moves, web, drives."""

import numpy as np

from bench.baseline.kernel import kernel
from bench.baseline.layout import Align, Op, Phase
from bench.baseline.moves import start_move, step_moves, step_power, write_drives
from bench.baseline.sheets import align, home_stage, pick, picked, step_stages
from bench.baseline.web import follow, step_web, swap_fold
from drivers.image import AxisId
from hal_sim.exchange import exchange

_TABLE_Z = int(AxisId.TABLE_Z)
_RUNNING, _DONE = int(Phase.RUNNING), int(Phase.DONE)
_READY = int(Align.READY)
_MOVE, _LAYER, _REACHED = int(Op.MOVE), int(Op.LAYER), int(Op.REACHED)
_ABOVE, _DWELL, _VACUUM_OFF = int(Op.ABOVE), int(Op.DWELL), int(Op.VACUUM_OFF)
_RELEASED, _PICK, _PICKED = int(Op.RELEASED), int(Op.PICK), int(Op.PICKED)
_ALIGN, _ALIGNED, _HOME = int(Op.ALIGN), int(Op.ALIGNED), int(Op.STAGE_HOME)
_FOLD, _WEB, _JUMP = int(Op.FOLD), int(Op.WEB), int(Op.JUMP)
_FULL, _CELL, _MORE, _END = int(Op.FULL), int(Op.CELL), int(Op.MORE), int(Op.END)


@kernel
def _released(state, settings, inputs, gripper):
    """Whether a gripper has let go; a sheet that was placed counts from here."""
    if inputs.vacuum_pa[gripper] > settings.released_pa:
        return False
    arm = state.arms[gripper // 2]
    if gripper % 2 == 0 and arm.holding:
        arm.holding = 0
        state.sheets += 1
    return True


@kernel
def _reached(state, settings, inputs, axis):
    away = abs(inputs.axes[axis].actual_position_m - state.axes[axis].position_m)
    return not state.axes[axis].moving and away <= settings.in_position_m[axis]


@kernel
def _aligned(state, polarity):
    stage = state.stages[polarity]
    return not stage.staged or stage.state == _READY


@kernel
def _holds(state, settings, inputs, outputs, line):
    """Whether a waiting line's condition holds."""
    op, index = line.op, line.index
    if op == _REACHED:
        return _reached(state, settings, inputs, index)
    if op == _ABOVE:
        return inputs.axes[index].actual_position_m > line.value
    if op == _DWELL:
        return state.time_s - state.line_since_s >= line.value
    if op == _RELEASED:
        return _released(state, settings, inputs, index)
    if op == _PICKED:
        return picked(state, settings, inputs, outputs, index)
    if op == _ALIGNED:
        return _aligned(state, index)
    return op != _END


@kernel
def _act(state, settings, outputs, line):
    """Do what a line says."""
    op, index = line.op, line.index
    if op == _MOVE:
        start_move(state, settings, index, line.value)
    elif op == _LAYER:
        start_move(state, settings, _TABLE_Z, -settings.layer_m * state.sheets)
    elif op == _VACUUM_OFF:
        outputs.vacuum_on[index] = 0
    elif op == _PICK:
        pick(state, outputs, index, line.value > 0.0)
    elif op == _ALIGN:
        align(state, outputs, index)
    elif op == _HOME:
        home_stage(state, settings, index)
    elif op == _FOLD:
        swap_fold(state, settings)
    elif op == _WEB:
        follow(state, settings, index)
    elif op == _CELL:
        _end_cell(state, settings)


@kernel
def _end_cell(state, settings):
    """The verdict of a conventional line: the tension, as the load cell saw it."""
    low = state.tension_min_n < settings.tension_min_n
    bad = low or state.tension_max_n > settings.tension_max_n
    state.rejects[state.cells_done % len(state.rejects)] = 1 if bad else 0
    state.cells_done += 1
    state.sheets = 0


@kernel
def _next_line(state, settings, line):
    if line.op == _JUMP:
        return line.index
    if line.op == _FULL and state.sheets >= line.value:
        return line.index
    if line.op == _MORE and state.cells_done < settings.cells:
        return line.index
    return state.line + 1


@kernel
def _step_chain(state, settings, inputs, outputs):
    """Run lines until one has to wait."""
    while True:
        line = settings.program[state.line]
        if line.op == _END:
            state.phase = _DONE
        if not _holds(state, settings, inputs, outputs, line):
            return
        _act(state, settings, outputs, line)
        state.line = _next_line(state, settings, line)
        state.line_since_s = state.time_s


@kernel
def _watch_tension(state, settings, inputs):
    if state.sheets == 0:
        state.tension_min_n = settings.tension_n
        state.tension_max_n = settings.tension_n
    elif state.sheets < settings.sheets:
        state.tension_min_n = min(state.tension_min_n, inputs.tension_n)
        state.tension_max_n = max(state.tension_max_n, inputs.tension_n)


@kernel
def scan(state, settings, inputs, outputs):
    """One period of the baseline."""
    state.cycle += 1
    state.time_s = state.cycle * settings.period_s
    step_power(state, inputs)
    if state.phase == _RUNNING:
        _watch_tension(state, settings, inputs)
        _step_chain(state, settings, inputs, outputs)
        step_stages(state, settings, inputs, outputs)
        step_moves(state, settings)
        step_web(state, settings, inputs)
    write_drives(state, settings, inputs, outputs)


@kernel
def run_cycles(image, context, state, settings, cycles):
    """Exchange and scan a number of times, or until the work is done or a drive has given up."""
    period_ns = np.int64(settings.period_s * 1e9 + 0.5)
    for _ in range(cycles):
        if state.phase == _DONE or state.failed_axis:
            return
        image.inputs.time_ns += period_ns
        exchange(image, context)
        scan(state, settings, image.inputs.stations[0], image.outputs.stations[0])
