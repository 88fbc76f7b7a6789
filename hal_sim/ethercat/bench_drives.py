"""Drives on a bench, no machine: each follows CiA 402 and its target with a first-order lag, compiled.

What `foldline sim-bus` shows other masters when no plant is asked for.
"""

import numpy as np
from numba import njit

from drivers.cia402 import Mode, PowerState, Statusword
from drivers.cia402_step import power_command, statusword_of, step_power
from drivers.image import AXIS_COUNT, STATIONS_MAX
from drivers.seam import EXCHANGE_SIGNATURE

LAG_PER_CYCLE = 0.5
_HOMING, _TORQUE = int(Mode.HOMING), int(Mode.CYCLIC_SYNC_TORQUE)
_ENABLED, _NOT_READY = int(PowerState.OPERATION_ENABLED), int(PowerState.NOT_READY)
_FLAGS = int(Statusword.VOLTAGE_ENABLED | Statusword.REMOTE)
_ATTAINED = int(Statusword.HOMING_ATTAINED)

BENCH_DRIVE_DTYPE = np.dtype(
    [
        ("position_m", np.float64),
        ("state", np.int32),
        ("previous_controlword", np.int32),
        ("homed", np.uint8),
    ],
    align=True,
)
BENCH_DTYPE = np.dtype(
    [("period_ns", np.int64), ("drives", BENCH_DRIVE_DTYPE, (STATIONS_MAX, AXIS_COUNT))], align=True
)


@njit(cache=True, nogil=True, error_model="numpy")
def _step_drive(drive, target, actual, period_s):
    if drive.state == _NOT_READY:
        drive.state = 1
    command = power_command(target.controlword, drive.previous_controlword)
    drive.state = step_power(drive.state, command)
    started = target.controlword & 0x10 and target.mode == _HOMING
    drive.previous_controlword = target.controlword
    before = drive.position_m
    if drive.state == _ENABLED and started:
        drive.position_m, drive.homed, before = 0.0, 1, 0.0
    elif drive.state == _ENABLED and target.mode != _HOMING and target.mode != _TORQUE:
        drive.position_m += LAG_PER_CYCLE * (target.target_position_m - before)
    actual.actual_position_m = drive.position_m
    actual.actual_velocity_m_s = (drive.position_m - before) / period_s
    actual.actual_force_n = target.force_offset_n if drive.state == _ENABLED else 0.0
    actual.statusword = statusword_of(drive.state) | _FLAGS | (_ATTAINED if drive.homed else 0)
    actual.mode_display = target.mode
    actual.error_code = 0


@njit(EXCHANGE_SIGNATURE, cache=True, nogil=True, error_model="numpy")
def exchange(image, context):
    """Advance every drive by one period; context: uint8 view of a BENCH_DTYPE record."""
    bench = context.view(BENCH_DTYPE)[0]
    period_s = bench.period_ns * 1e-9
    for station in range(image.inputs.station_count):
        seen = image.inputs.stations[station]
        seen.emergency_stop_ok = seen.safe_torque_off_ok = 1
        seen.door_closed = seen.air_pressure_ok = 1
        wanted = image.outputs.stations[station]
        for axis in range(AXIS_COUNT):
            _step_drive(bench.drives[station, axis], wanted.axes[axis], seen.axes[axis], period_s)
    return 0
