"""The loop: wait, exchange, scan, publish, in one compiled call that Python is not part of.

Wait, exchange and scan come in as first-class functions of fixed signatures, so that one cached loop
serves real time, virtual time and replay, hardware and simulator alike. Everything here is compiled
without numba's run time (`_nrt=False`): arrays are not reference-counted, and code that would allocate
does not compile.
"""

from enum import IntEnum
from typing import Any

from numba import from_dtype, njit, types

from controller.runtime import trace
from controller.runtime.call import call
from controller.runtime.clock import WAIT_SIGNATURE, monotonic_ns
from controller.runtime.intake import answer_command, load_plan_piece, merge_readings, take_command
from controller.runtime.loop_state import LOOP_DTYPE
from controller.runtime.publish import emit, publish, publish_all
from controller.runtime.timing import count_lateness, count_phases
from controller.shared.commands import COMMAND_DTYPE
from controller.shared.events import EventKind
from controller.shared.layout import MEMORY_DTYPE
from controller.shared.plan import PLAN_DTYPE
from controller.station.state import STATE_DTYPE
from drivers.ethercat.clock import steer
from drivers.image import INPUTS_DTYPE, OUTPUTS_DTYPE
from drivers.seam import CONTEXT_TYPE, EXCHANGE_TYPE, IMAGE_TYPE, ExchangeCode


class LoopCode(IntEnum):
    """Why the loop returned."""

    CYCLES_DONE = 0
    SHUT_DOWN = 1  # the scan has brought everything to rest and disabled the drives
    EXCHANGE_FAILED = 2


_STATE_TYPE: Any = from_dtype(STATE_DTYPE)
_LOOP_TYPE: Any = from_dtype(LOOP_DTYPE)
_MEMORY_TYPE: Any = from_dtype(MEMORY_DTYPE)
_PLANS_TYPE: Any = types.Array(from_dtype(PLAN_DTYPE), 1, "C")

SCAN_SIGNATURE: Any = types.void(
    from_dtype(INPUTS_DTYPE),
    from_dtype(COMMAND_DTYPE),
    _STATE_TYPE,
    from_dtype(OUTPUTS_DTYPE),
    _PLANS_TYPE,
)
RUN_SIGNATURE: Any = types.int64(
    types.FunctionType(WAIT_SIGNATURE),
    EXCHANGE_TYPE,
    types.FunctionType(SCAN_SIGNATURE),
    IMAGE_TYPE,
    CONTEXT_TYPE,
    _STATE_TYPE,
    _PLANS_TYPE,
    _MEMORY_TYPE,
    _LOOP_TYPE,
    types.int64,
)

_DONE, _SHUT_DOWN = int(LoopCode.CYCLES_DONE), int(LoopCode.SHUT_DOWN)
_EXCHANGE_FAILED = int(LoopCode.EXCHANGE_FAILED)
_OK, _FAILED = int(ExchangeCode.OK), int(ExchangeCode.FAILED)
_OVERRUN, _STOPPED = int(EventKind.OVERRUN), int(EventKind.CORE_STOPPED)


@njit(cache=True, nogil=True, error_model="numpy", _nrt=False)
def begin_cycle(inputs, memory, loop, woken_ns):
    """Tell the time by the deadline, never by the clock; skip the periods that were missed."""
    lateness_ns = max(woken_ns - loop.deadline_ns, 0)
    missed = lateness_ns // loop.period_ns
    loop.overrun_missed = missed
    if missed:
        loop.deadline_ns += missed * loop.period_ns
        emit(memory, loop, _OVERRUN, 0, missed)
    count_lateness(loop.statistics, lateness_ns, missed)
    inputs.time_ns = loop.deadline_ns
    inputs.cycle = loop.cycle


@njit(cache=True, nogil=True, error_model="numpy", _nrt=False)
def steering(bus, loop, code):
    """Return what to add to the period, so that frames keep their place before the drives' SYNC0."""
    return steer(loop.steering, bus.clock_offset_ns) if loop.steered and code == _OK else 0


@njit(cache=True, nogil=True, error_model="numpy", _nrt=False)
def end(state, memory, loop, code):
    """Publish the last words of a loop that does not go on; return `code`."""
    emit(memory, loop, _STOPPED, code, 0.0)
    publish_all(state, memory, loop)
    return code


@njit(RUN_SIGNATURE, cache=True, nogil=True, error_model="numpy", _nrt=False)
def run(wait, exchange, scan, image, context, state, plans, memory, loop, max_cycles):
    """Run at most `max_cycles` cycles and return the LoopCode that ended it.

    image, state, memory, loop: records of IMAGE_DTYPE, STATE_DTYPE, MEMORY_DTYPE and LOOP_DTYPE;
    context: the backend's own bytes; plans: PLAN_DTYPE array, two slots a station.
    """
    for _ in range(max_cycles):
        begin_cycle(image.inputs, memory, loop, call(wait, loop.deadline_ns))
        start_ns = monotonic_ns()
        code = call(exchange, image, context)
        merge_readings(image.inputs, memory, loop)
        take_command(memory, loop)
        load_plan_piece(state, plans, memory, loop)
        trace.record_inputs(image.inputs, loop)
        taken_ns = monotonic_ns()
        call(scan, image.inputs, loop.command, state, image.outputs, plans)
        scanned_ns = monotonic_ns()
        trace.record_outputs(image.outputs, loop)
        trace.fold_image(image, loop)
        answer_command(state, memory, loop)
        publish(image, state, memory, loop, start_ns)
        count_phases(loop.statistics, start_ns, taken_ns, scanned_ns, monotonic_ns())
        loop.deadline_ns += loop.period_ns + steering(image.inputs.bus, loop, code)
        loop.cycle += 1
        if code == _FAILED or state.shut_down_done:
            return end(state, memory, loop, _EXCHANGE_FAILED if code == _FAILED else _SHUT_DOWN)
    return _DONE
