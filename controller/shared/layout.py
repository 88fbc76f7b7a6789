"""The shared memory's layout, once: what the core publishes, and what it takes from the others.

Every payload that crosses a process boundary is sealed: a sequence, a weighted sum and a xor of its
words travel with it, so that a reader certifies what it copied instead of trusting the other side.
"""

import hashlib
from enum import IntEnum
from functools import cache

import numpy as np

from controller.shared.commands import COMMAND_DTYPE, COMMAND_SLOT_COUNT
from controller.shared.events import EVENT_DTYPE, EVENT_RING_SIZE
from controller.shared.plan import PLAN_DTYPE
from controller.shared.records import CELL_RECORD_DTYPE, RECORDS_MAX
from controller.shared.retained import STATION_RETAINED_DTYPE
from controller.shared.status import MACHINE_STATUS_DTYPE, STATION_STATUS_DTYPE, STATISTICS_DTYPE
from drivers.image import CAMERA_READING_DTYPE, STATIONS_MAX

MAGIC = 0x464F4C444C494E45  # "FOLDLINE"
VERSION = 1
PLAN_SLOTS = 2


class ProcessId(IntEnum):
    """The processes of one machine; index of the header's tables and of the command lanes."""

    SUPERVISOR = 0
    CORE = 1
    GATEWAY = 2
    IO = 3
    PLANNER = 4
    ENGINEER = 5  # whoever commissions the machine: jogs, steps, identifies


class CorePhase(IntEnum):
    """How far the core has come."""

    NONE = 0
    COMPILING = 1
    READY = 2  # machine built, the loop not yet started
    RUNNING = 3
    ENDED = 4
    FAILED = 5
    DEAD = 6  # written by the supervisor: the process is gone


class ReadingChannel(IntEnum):
    """The readings a station takes from the io process.

    A scalar travels in `x_m`; the I/O block's anodes, cathodes and hipot resistance in x, y and theta.
    """

    SHEET_CAMERA_ANODE = 0
    SHEET_CAMERA_CATHODE = 1
    STACK_CAMERA = 2
    TENSION = 3
    DANCER = 4
    IO_BLOCK = 5


PROCESS_COUNT = len(ProcessId)
CHANNEL_COUNT = len(ReadingChannel)

# Command sources beside the processes: the loop itself asks for a stop after too many overruns.
SOURCE_OVERRUN = 100

# What a station asks of the io process: camera triggers and slow outputs.
REQUEST_DTYPE = np.dtype(
    [
        ("sheet_camera_trigger", np.uint32, (2,)),
        ("stack_camera_trigger", np.uint32),
        ("hipot_test", np.uint8),
        ("stack_light", np.uint8),
    ],
    align=True,
)


# One cycle of the axis that is looked at.
SCOPE_DTYPE = np.dtype(
    [
        ("time_ns", np.int64),
        ("target_m", np.float64),
        ("actual_m", np.float64),
        ("velocity_m_s", np.float64),
        ("force_n", np.float64),
    ],
    align=True,
)
SCOPE_RING_SIZE = 4096


def sealed(payload: np.dtype) -> np.dtype:
    """Return the dtype of a payload with its seal; the payload must be whole 64-bit words."""
    assert payload.itemsize % 8 == 0, payload
    return np.dtype(
        [("sequence", np.uint64), ("sum", np.uint64), ("xor", np.uint64), ("payload", payload)],
        align=True,
    )


def alternating(payload: np.dtype) -> np.dtype:
    """Return the dtype of two sealed slots, written in turn: sequence n lies in slot n % 2."""
    return np.dtype([("newest", np.uint64), ("slots", sealed(payload), (2,))], align=True)


def ring(payload: np.dtype, size: int) -> np.dtype:
    """Return the dtype of a ring of sealed slots: sequence n lies in slot n % size."""
    return np.dtype([("newest", np.uint64), ("slots", sealed(payload), (size,))], align=True)


HEADER_DTYPE = np.dtype(
    [
        ("magic", np.uint64),
        ("layout", np.uint8, (32,)),  # SHA-256 of MEMORY_DTYPE
        ("run", np.uint8, (16,)),  # UUID of this run: with the record's counter a cell's key
        ("version", np.int32),
        ("station_count", np.int32),
        ("period_ns", np.int64),
        ("core_phase", np.int64),
        ("pids", np.int64, (PROCESS_COUNT,)),
        ("heartbeats_ns", np.int64, (PROCESS_COUNT,)),  # CLOCK_MONOTONIC
    ],
    align=True,
)

# One lane a sender, since Python has no atomic exchange: sequence = number * PROCESS_COUNT + lane.
LANE_DTYPE = np.dtype(
    [
        ("taken", np.uint64),  # number of the newest command the core took
        ("answers", np.uint64, (COMMAND_SLOT_COUNT,)),  # number << 8 | CommandResult
        ("slots", COMMAND_DTYPE, (COMMAND_SLOT_COUNT,)),
    ],
    align=True,
)

STATION_MEMORY_DTYPE = np.dtype(
    [
        ("status", alternating(STATION_STATUS_DTYPE)),
        ("requests", alternating(REQUEST_DTYPE)),
        ("readings", alternating(CAMERA_READING_DTYPE), (CHANNEL_COUNT,)),
        ("retained", alternating(STATION_RETAINED_DTYPE)),  # as of the newest finished cell
        ("plans_loaded", np.uint64, (PLAN_SLOTS,)),  # sequence of the plan the core holds
        ("plans", sealed(PLAN_DTYPE), (PLAN_SLOTS,)),
    ],
    align=True,
)

MEMORY_DTYPE = np.dtype(
    [
        ("header", HEADER_DTYPE),
        ("machine", alternating(MACHINE_STATUS_DTYPE)),
        ("statistics", alternating(STATISTICS_DTYPE)),
        ("events", ring(EVENT_DTYPE, EVENT_RING_SIZE)),
        ("lanes", LANE_DTYPE, (PROCESS_COUNT,)),
        ("stations", STATION_MEMORY_DTYPE, (STATIONS_MAX,)),
        ("records", ring(CELL_RECORD_DTYPE, RECORDS_MAX)),
        ("scope", ring(SCOPE_DTYPE, SCOPE_RING_SIZE)),
    ],
    align=True,
)


@cache
def layout_hash() -> bytes:
    """Return the SHA-256 of the layout: two builds that disagree must not share a memory."""
    return hashlib.sha256(str(MEMORY_DTYPE).encode()).digest()
