"""Small machines for tests of the runtime: a backend that loops back, and scans of a few lines."""

import numpy as np
from numba import njit

from controller.assembly import Machine, new_plans
from controller.runtime.clock import WAIT_SIGNATURE
from controller.runtime.loop import SCAN_SIGNATURE
from drivers.image import AXIS_COUNT
from drivers.seam import EXCHANGE_SIGNATURE, ExchangeCode

PERIOD_NS = 1_000_000
FAILS_AT_CYCLE = 25
LATE_EVERY_NS = 10_000_000
LATE_BY_NS = 2_300_000
_FAILED = int(ExchangeCode.FAILED)
_SHUT_DOWN = 30


@njit(EXCHANGE_SIGNATURE, cache=True, nogil=True, error_model="numpy")
def loop_back(image, context):
    """Every axis is at once where it should be; `context[0]` counts exchanges modulo 256."""
    context[0] += np.uint8(1)
    for station in range(image.inputs.station_count):
        inputs, outputs = image.inputs.stations[station], image.outputs.stations[station]
        for axis in range(AXIS_COUNT):
            inputs.axes[axis].actual_position_m = outputs.axes[axis].target_position_m
    return 0


@njit(EXCHANGE_SIGNATURE, cache=True, nogil=True, error_model="numpy")
def failing(image, context):
    """A backend that gives up."""
    return _FAILED if image.inputs.cycle == FAILS_AT_CYCLE else 0


@njit(EXCHANGE_SIGNATURE, cache=True, nogil=True, error_model="numpy")
def raising(image, context):
    """A backend with an error in it, such as a run with bounds checks finds."""
    if image.inputs.cycle == FAILS_AT_CYCLE:
        raise IndexError("an index out of range")
    return 0


@njit(WAIT_SIGNATURE, cache=True, nogil=True, error_model="numpy")
def wait_now_and_then_late(deadline_ns):
    """Wake in time, but 2.3 ms late whenever the deadline is a multiple of 10 ms."""
    return deadline_ns + LATE_BY_NS if deadline_ns % LATE_EVERY_NS == 0 else deadline_ns


@njit(WAIT_SIGNATURE, cache=True, nogil=True, error_model="numpy")
def wait_always_late(deadline_ns):
    """Miss a period at each wake-up."""
    return deadline_ns + PERIOD_NS + 1


@njit(SCAN_SIGNATURE, cache=True, nogil=True, error_model="numpy")
def counting_scan(inputs, command, state, outputs, plans):
    """Move axis 0 on by a step that commands set, note what came, and make an event of a command."""
    state.machine.time_ns = inputs.time_ns
    state.machine.cycle = inputs.cycle
    state.machine.station_count = inputs.station_count
    state.outbox.count = 0
    if command.sequence:
        state.machine.last_command_sequence = command.sequence
        state.machine.last_command_result = 1
        state.machine.speed_override = command.value
        state.machine.cells_done += 1
        state.machine.cells_requested = command.source
        event = state.outbox.events[0]
        event.time_ns = inputs.time_ns
        event.cycle = inputs.cycle
        event.code = command.code
        event.value = command.value
        state.outbox.count = 1
        if command.code == _SHUT_DOWN:
            state.shut_down_done = 1
    for index in range(inputs.station_count):
        own, axis = inputs.stations[index], outputs.stations[index].axes[0]
        step = state.machine.speed_override + plans[2 * index].bound_s * plans[2 * index].valid
        axis.target_position_m = own.axes[0].actual_position_m + 1e-3 * step + 1e-6 * own.tension_n
        status = state.stations[index].status
        status.tension_n = own.tension_n
        status.pose_x_m[0] = own.sheet_cameras[0].x_m
        status.sheets_total = inputs.cycle
        outputs.stations[index].sheet_camera_trigger[0] = np.uint32(inputs.cycle // 100)


def small_machine(station_count: int = 1, exchange: object = loop_back) -> Machine:
    """A machine whose backend loops back and whose scan only counts."""
    plans = new_plans(station_count)
    context = np.zeros(8, np.uint8)
    return Machine(exchange, context, plans, station_count, PERIOD_NS, counting_scan)
