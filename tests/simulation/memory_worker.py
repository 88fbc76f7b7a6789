"""The other process of the shared-memory tests: a core that stamps, or one that takes.

`python -m tests.simulation.memory_worker ROLE FD` runs until its standard input closes, then prints
what it counted as JSON. Roles: `stamp` publishes payloads whose every word is the cycle; `take` takes
commands, readings and plans whose every value must agree; `peek` does so without certifying.
"""

import json
import select
import sys
from typing import Any

import numpy as np
from numba import njit

from controller.assembly import Machine, new_plans
from controller.runtime.atomics import address_of, load_acquire, load_word
from controller.runtime.loop import SCAN_SIGNATURE
from controller.runtime.seal import PAYLOAD, WORD
from controller.runtime.virtual import CHUNK_CYCLES, run_virtual
from controller.shared.layout import ProcessId, ReadingChannel
from controller.shared.plan import PLAN_DTYPE, SEGMENTS_MAX
from controller.shared.view import SharedView
from motion.layouts import SEGMENT_DTYPE
from tests.machines import PERIOD_NS, loop_back

EVENTS_A_CYCLE = 4
CYCLES_A_RECORD = 20
LAYERS = 160
PEEKS = 20_000
PEEKED = ("commands", "readings", "plans")
PEEKED_SHOWN = slice(ProcessId.GATEWAY, ProcessId.GATEWAY + len(PEEKED))
# The first and the last segment's start within a plan.
_FIRST = np.uint64(PLAN_DTYPE.itemsize - SEGMENTS_MAX * SEGMENT_DTYPE.itemsize)
_LAST = np.uint64(PLAN_DTYPE.itemsize - SEGMENT_DTYPE.itemsize)
_THETA = np.uint64(3 * 8)  # behind captured_ns, x and y
_GATEWAY, _CAMERA = int(ProcessId.GATEWAY), int(ReadingChannel.STACK_CAMERA)


@njit(SCAN_SIGNATURE, cache=True, nogil=True, error_model="numpy")
def stamping_scan(inputs, command, state, outputs, plans):
    """Stamp this cycle's number all over the status, the events and a record now and then."""
    cycle = inputs.cycle
    state.machine.cycle = cycle
    state.machine.cells_done = cycle
    state.machine.frames_late = np.uint32(cycle)
    station = state.stations[0]
    for axis in station.status.axes:
        axis.actual_position_m = cycle
        axis.following_error_m = cycle
    station.status.sheets_total = cycle
    state.outbox.count = EVENTS_A_CYCLE
    for index in range(EVENTS_A_CYCLE):
        event = state.outbox.events[index]
        event.time_ns = event.cycle = cycle
        event.kind = event.code = event.station = event.index = np.int32(cycle)
        event.value = cycle
    station.record_ready = cycle % CYCLES_A_RECORD == 0
    if station.record_ready:
        state.records_produced += np.uint64(1)
        station.record.counter = state.records_produced
        for layer in range(LAYERS):
            station.record.layers[layer].time_s = np.float32(state.records_produced)
            station.record.layers[layer].retries = np.int32(state.records_produced)


@njit(SCAN_SIGNATURE, cache=True, nogil=True, error_model="numpy")
def agreeing_scan(inputs, command, state, outputs, plans):
    """Count commands (done), readings (good) and plans (requested) that came, and torn (rejected)."""
    machine = state.machine
    if command.sequence:
        machine.cells_done += 1
        wrong = command.station != command.index or command.value != command.station
        machine.cells_rejected += wrong or command.issued_ns == 0
        machine.last_command_sequence = command.sequence
    camera = inputs.stations[0].stack_camera
    if np.int64(camera.sequence) != machine.state_since_ns:
        machine.state_since_ns = np.int64(camera.sequence)
        machine.cells_good += 1
        machine.cells_rejected += camera.x_m != camera.sequence or camera.y_m != camera.x_m
        machine.cells_rejected += camera.theta_rad != camera.x_m or camera.captured_ns != camera.x_m
    plan = plans[1]
    if plan.valid and plan.sheets != machine.cells_requested:
        machine.cells_requested = plan.sheets
        for index in range(plan.segments.size):
            machine.cells_rejected += plan.segments[index].master_start != plan.sheets
    state.stations[0].status.plan_slot = 0
    state.stations[0].status.next_plan_slot = -1


@njit(cache=True, nogil=True)
def peek(memory, rounds):
    """Look at slots that are being written, taking a sequence for a seal; count what is torn."""
    torn = np.zeros(3, np.int64)
    station = memory.stations[0]
    shared = address_of(station.plans[1]) + PAYLOAD
    for _ in range(rounds):
        for slot in range(memory.lanes[_GATEWAY].slots.size):
            command = memory.lanes[_GATEWAY].slots[slot]
            if load_acquire(address_of(command)) != np.uint64(0):
                torn[0] += command.station != command.index or command.value != command.station
        for slot in range(2):
            payload = address_of(station.readings[_CAMERA].slots[slot].payload)
            torn[1] += load_acquire(payload + WORD) != load_acquire(payload + _THETA)
        torn[2] += load_word(shared + _FIRST) != load_word(shared + _LAST)
    return torn


def main() -> None:
    """Run one role until standard input closes."""
    role, fd = sys.argv[1], int(sys.argv[2])
    view = SharedView.attach(fd, ProcessId.CORE)
    counts = _peek(view) if role == "peek" else _loop(role, view)
    print(json.dumps(counts), flush=True)


def _loop(role: str, view: SharedView) -> dict[str, int]:
    scan = stamping_scan if role == "stamp" else agreeing_scan
    machine = Machine(loop_back, np.zeros(8, np.uint8), new_plans(1), 1, PERIOD_NS, scan)
    machine.memory = view.memory
    machine.loop[0]["snapshot_cycles"] = 1
    run_virtual(machine, 1)
    print("ready", flush=True)
    while not _closed():
        run_virtual(machine, CHUNK_CYCLES)
    return _counts(machine)


def _counts(machine: Machine) -> dict[str, int]:
    status = machine.state[0]["machine"]
    names = ("cells_done", "cells_good", "cells_requested", "cells_rejected")
    return {name: int(status[name]) for name in names}


def _peek(view: SharedView) -> dict[str, int]:
    """Show the counts while they grow, as heartbeats of processes that do not live in the test."""
    memory: Any = view.memory.reshape(1)[0]
    torn = peek(memory, 1) * 0
    print("ready", flush=True)
    while not _closed():
        torn += peek(memory, PEEKS)
        view.header["heartbeats_ns"][PEEKED_SHOWN] = torn
    return dict(zip(PEEKED, map(int, torn), strict=True))


def _closed() -> bool:
    return bool(select.select([sys.stdin], [], [], 0.0)[0])


if __name__ == "__main__":
    main()
