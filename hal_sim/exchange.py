"""The simulator behind the seam: one exchange is one control period of the virtual machine."""

from typing import Any

import numpy as np
from numba import njit

from drivers.cia402 import ErrorCode
from drivers.image import AXIS_COUNT, AxisId, BusState
from drivers.seam import EXCHANGE_SIGNATURE, ExchangeCode
from hal_sim.faults import step_faults
from hal_sim.judge.rules import judge_power, judge_step
from hal_sim.judge.truth import sample_tension
from hal_sim.noise import Stream, draw_cheap
from hal_sim.plant.cell import step_cell
from hal_sim.plant.drives import (
    begin_drive_cycle,
    drive_force,
    end_drive_cycle,
    move_mass,
    raise_drive_fault,
)
from hal_sim.plant.fingers import move_pneumatic
from hal_sim.plant.sheets import begin_sheets_cycle, command_vacuum, step_gripper
from hal_sim.plant.table import step_table, weigh_table
from hal_sim.plant.web import begin_web_cycle, step_web
from hal_sim.sensors.cameras import (
    answer_sheet_camera,
    answer_stack_camera,
    trigger_sheet_camera,
    trigger_stack_camera,
)
from hal_sim.sensors.signals import sense_station
from hal_sim.view import context_of

_X, _DANCER = int(AxisId.TABLE_X), int(AxisId.DANCER)
_FIRST_FINGER, _LAST_FINGER = 2, 9
_WATCHDOG = int(ErrorCode.COMMUNICATION_WATCHDOG)
_ENCODER = int(Stream.ENCODER)
_OK = int(ExchangeCode.OK)
_OPERATIONAL = int(BusState.OPERATIONAL)
_COUNTER_PER_DRIVE = 3


@njit(cache=True, nogil=True, error_model="numpy")
def _begin_station(context: Any, station: Any, outputs: Any, time_ns: int) -> None:
    """Take a station's outputs."""
    plant = context.plant
    period = context.period_ns * 1e-9
    now = context.time_ns
    station.judge.now_ns = now
    delay = np.int64(plant.safe_stop_delay_s * 1e9)
    late = station.emergency_stop and now - station.stop_ns >= delay
    station.torque_off = np.uint8(late or station.door_open)
    booted = now >= np.int64(plant.boot_s * 1e9)
    for axis in range(AXIS_COUNT):
        row, drive = station.axes[axis], plant.axes[axis]
        row.step_a_mass_s_kg = context.step_s / row.mass_kg
        row.encoder_noise_m = drive.encoder_noise_m * draw_cheap(station.streams, _ENCODER)
        begin_drive_cycle(drive, row, outputs.axes[axis], station.torque_off == 1, booted, period)
    judge_power(station)
    weigh_table(plant, station, station.axes[_X])
    for gripper in range(4):
        command_vacuum(plant, station, gripper, outputs.vacuum_on[gripper])
    for polarity in range(2):
        begin_sheets_cycle(plant, station, polarity, period)
        trigger = outputs.sheet_camera_trigger[polarity]
        trigger_sheet_camera(plant, station, polarity, trigger, time_ns, now)
    trigger_stack_camera(plant, station, outputs.stack_camera_trigger, time_ns, now)


@njit(cache=True, nogil=True, error_model="numpy")
def _step_axes(plant: Any, station: Any, t: float, step: float) -> float:
    """Drives and masses; the dancer's force goes to the web."""
    dancer_force = 0.0
    pneumatic = plant.pneumatic_s > 0.0
    steps_a_second = 1.0 / step
    for axis in range(AXIS_COUNT):
        row, drive = station.axes[axis], plant.axes[axis]
        if pneumatic and _FIRST_FINGER <= axis <= _LAST_FINGER:
            move_pneumatic(plant, station, axis, step)
            continue
        force = drive_force(drive, row, t, step)
        if axis == _X:
            step_table(plant, station, row, force, step)
        elif axis == _DANCER:
            dancer_force = force
        else:
            move_mass(drive, row, force, step, steps_a_second)
    return dancer_force


@njit(cache=True, nogil=True, error_model="numpy")
def _step_station(context: Any, station: Any, outputs: Any) -> None:
    """One period of plant physics, judged in every substep."""
    plant, step = context.plant, context.step_s
    nip = station.web.nip_m
    for substep in range(context.substeps):
        station.judge.now_ns = context.time_ns + np.int64((substep + 1) * step * 1e9)
        dancer_force = _step_axes(plant, station, substep * step, step)
        step_web(plant, station, dancer_force, step)
        for gripper in range(4):
            step_gripper(plant, station, gripper, step)
        judge_step(plant, station)
    period = context.period_ns * 1e-9
    step_cell(plant, station, outputs, period)
    begin_web_cycle(plant, station, nip, period)
    sample_tension(plant, station)


@njit(cache=True, nogil=True, error_model="numpy")
def _end_station(context: Any, station: Any, outputs: Any, inputs: Any, time_ns: int) -> None:
    """Fill a station's inputs."""
    plant, now = context.plant, station.judge.now_ns
    period = context.period_ns * 1e-9
    for axis in range(AXIS_COUNT):
        end_drive_cycle(
            plant.axes[axis], station.axes[axis], inputs.axes[axis], context.substeps, period
        )
    for polarity in range(2):
        answer_sheet_camera(plant, station, polarity, inputs.sheet_cameras[polarity], now)
    answer_stack_camera(station, inputs.stack_camera, now)
    sense_station(plant, station, outputs, inputs, time_ns)


@njit(cache=True, nogil=True, error_model="numpy")
def _trip_watchdogs(context: Any) -> None:
    """No exchange for too long: every drive that is on stops by itself."""
    limit = np.int64(context.plant.watchdog_s * 1e9)
    if context.idle_ns < limit or context.idle_ns >= limit + context.period_ns:
        return
    for index in range(context.station_count):
        for axis in range(AXIS_COUNT):
            row = context.stations[index].axes[axis]
            if 2 <= row.power_state <= 5:
                raise_drive_fault(row, _WATCHDOG)


@njit(cache=True, nogil=True, error_model="numpy")
def _run_period(context: Any, image: Any) -> None:
    """One control period of every station."""
    step_faults(context)
    time_ns = image.inputs.time_ns
    for index in range(context.station_count):
        station = context.stations[index]
        outputs, inputs = image.outputs.stations[index], image.inputs.stations[index]
        _begin_station(context, station, outputs, time_ns)
        _step_station(context, station, outputs)
        _end_station(context, station, outputs, inputs, time_ns)
    context.time_ns += context.period_ns


@njit(EXCHANGE_SIGNATURE, cache=True, nogil=True, error_model="numpy")
def exchange(image, context):
    """One period of the machine: image (IMAGE_DTYPE record), context (CONTEXT_DTYPE bytes) -> OK."""
    record = context_of(context)
    record.idle_ns = 0
    _run_period(record, image)
    bus = image.inputs.bus
    bus.state = _OPERATIONAL
    bus.working_counter = np.uint16(_COUNTER_PER_DRIVE * AXIS_COUNT * record.station_count)
    bus.working_counter_expected = bus.working_counter
    return _OK


@njit(cache=True, nogil=True, error_model="numpy")
def advance_without_exchange(image, context, cycles):
    """Let the machine run on its last outputs while no frame arrives, for a number of periods.

    image: a copy of the last one (its inputs are overwritten); the drives trip their watchdogs.
    """
    record = context_of(context)
    for _ in range(cycles):
        record.idle_ns += record.period_ns
        _trip_watchdogs(record)
        _run_period(record, image)
