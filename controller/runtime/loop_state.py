"""What the loop keeps for itself between cycles; the scan sees nothing of it but the command."""

import numpy as np

from controller.shared.commands import COMMAND_DTYPE
from controller.shared.events import EVENT_DTYPE
from controller.shared.layout import (
    CHANNEL_COUNT,
    PLAN_SLOTS,
    PROCESS_COUNT,
    REQUEST_DTYPE,
    SCOPE_DTYPE,
)
from controller.shared.retained import STATION_RETAINED_DTYPE
from controller.shared.status import STATISTICS_DTYPE
from drivers.ethercat.clock import STEERING_DTYPE
from drivers.image import (
    CAMERA_READING_DTYPE,
    INPUTS_DTYPE,
    OUTPUTS_DTYPE,
    STATION_INPUT_DTYPE,
    STATION_OUTPUT_DTYPE,
    STATIONS_MAX,
)

DIGEST_LANES = 4
SNAPSHOT_PERIOD_NS = 15_000_000
OVERRUNS_IN_A_ROW_MAX = 10

# A copy of a mailbox: committed only when whole; merged into the inputs in every cycle since.
READING_COPY_DTYPE = np.dtype(
    [
        ("sequence", np.uint64),
        ("scratch", CAMERA_READING_DTYPE),
        ("committed", CAMERA_READING_DTYPE),
    ],
    align=True,
)

# The piecemeal copy of a plan out of its shared slot.
PLAN_COPY_DTYPE = np.dtype(
    [
        ("slot", np.int64),  # the one looked at: 2 * station + slot
        ("word", np.int64),  # next word to copy, 0 while none is under way
        ("sequence", np.uint64),
        ("sum", np.uint64),
        ("xor", np.uint64),
        ("weight", np.uint64),
        ("valid_word", np.uint64),  # withheld until the whole plan is certified
    ],
    align=True,
)

# When a plan's slot began to change, and when the new plan was whole: replay must do the same.
PLAN_LOG_SIZE = 64
PLAN_LOG_DTYPE = np.dtype(
    [("cycle", np.int64), ("slot", np.int32), ("whole", np.uint8)], align=True
)

LOOP_DTYPE = np.dtype(
    [
        ("period_ns", np.int64),
        ("deadline_ns", np.int64),
        ("cycle", np.int64),
        ("station_count", np.int64),
        ("snapshot_cycles", np.int64),
        ("overruns_in_a_row_max", np.int64),
        ("shut_down_asked", np.uint8),  # by the host, outside any lane
        ("shut_down_sent", np.uint8),
        ("overrun_missed", np.int64),  # periods missed in this cycle
        ("steered", np.uint8),  # the period follows the bus's reference clock
        ("steering", STEERING_DTYPE),
        ("command", COMMAND_DTYPE),
        ("command_number", np.uint64),  # of the loop's own commands
        ("next_lane", np.int64),
        ("taken", np.uint64, (PROCESS_COUNT,)),
        ("event", EVENT_DTYPE),
        ("event_sequence", np.uint64),
        ("retained", STATION_RETAINED_DTYPE),  # scratch
        ("retained_sequence", np.uint64),
        ("sample", SCOPE_DTYPE),
        ("sample_sequence", np.uint64),
        ("snapshot_sequence", np.uint64),
        ("requests", REQUEST_DTYPE, (STATIONS_MAX,)),
        ("request_sequence", np.uint64, (STATIONS_MAX,)),
        ("readings", READING_COPY_DTYPE, (STATIONS_MAX, CHANNEL_COUNT)),
        ("plan_copy", PLAN_COPY_DTYPE),
        ("plans_loaded", np.uint64, (STATIONS_MAX, PLAN_SLOTS)),
        ("statistics", STATISTICS_DTYPE),
        ("input_words", np.int64),
        ("output_words", np.int64),
        ("digest_wanted", np.uint8),
        ("digest", np.uint64, (DIGEST_LANES,)),
        ("plan_log_count", np.int64),
        ("plan_log", PLAN_LOG_DTYPE, (PLAN_LOG_SIZE,)),
        ("trace_address", np.uint64),  # rows of recorded cycles, owned by the host; 0 for none
        ("trace_rows", np.int64),
        ("trace_row_words", np.int64),
    ],
    align=True,
)


def new_loop(station_count: int, period_ns: int) -> np.ndarray:
    """Return a fresh (1,) array of LOOP_DTYPE."""
    loops = np.zeros(1, LOOP_DTYPE)
    loop = loops[0]
    loop["station_count"], loop["period_ns"] = station_count, period_ns
    loop["snapshot_cycles"] = max(1, SNAPSHOT_PERIOD_NS // period_ns)
    loop["overruns_in_a_row_max"] = OVERRUNS_IN_A_ROW_MAX
    loop["input_words"] = used_bytes(INPUTS_DTYPE, STATION_INPUT_DTYPE, station_count) // 8
    loop["output_words"] = used_bytes(OUTPUTS_DTYPE, STATION_OUTPUT_DTYPE, station_count) // 8
    loop["digest"] = np.arange(1, DIGEST_LANES + 1)
    return loops


def used_bytes(whole: np.dtype, station: np.dtype, station_count: int) -> int:
    """Return how much of an image record the stations present use: they stand last in it."""
    fields = whole.fields
    assert fields is not None
    return int(fields["stations"][1]) + station_count * station.itemsize
