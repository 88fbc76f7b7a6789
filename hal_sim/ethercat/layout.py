"""The virtual segment's state: one record a slave, one for the segment."""

from typing import Any

import numpy as np
from numba import from_dtype, types

from drivers.cia402 import ObjectIndex
from hal_sim.ethercat.sii import SII_BYTES

MEMORY_BYTES = 0x1800
RAM_START = 0x1000  # below lie the registers, which no buffer may cover
OBJECTS_MAX = 96
VALUES_BYTES = 512
MAPPINGS_MAX = 24
CHANNELS_MAX = 16
MAILBOX_BYTES = 256
SYNC_MANAGERS = 4
FMMUS = 4
HOP_NS = 500  # what a frame takes from one slave to the next

OBJECT_DTYPE = np.dtype(
    [
        ("index", np.uint16),
        ("subindex", np.uint8),
        ("access", np.uint8),
        ("length", np.uint16),
        ("offset", np.uint16),
    ],
    align=True,
)
MAPPING_DTYPE = np.dtype(
    [("frame_bit", np.int32), ("offset", np.int32), ("bits", np.int32)], align=True
)
CHANNEL_DTYPE = np.dtype(
    [
        ("unit_per_count", np.float64),
        ("signal", np.int32),
        ("element", np.int32),
        ("offset", np.int32),
        ("bits", np.int32),
    ],
    align=True,
)

# Where the drive profile's objects lie in `values`; filled by name.
DRIVE_OBJECTS: dict[str, int] = {
    "controlword": ObjectIndex.CONTROLWORD,
    "mode": ObjectIndex.MODES_OF_OPERATION,
    "target_position": ObjectIndex.TARGET_POSITION,
    "velocity_offset": ObjectIndex.VELOCITY_OFFSET,
    "torque_offset": ObjectIndex.TORQUE_OFFSET,
    "target_torque": ObjectIndex.TARGET_TORQUE,
    "statusword": ObjectIndex.STATUSWORD,
    "mode_display": ObjectIndex.MODES_OF_OPERATION_DISPLAY,
    "position": ObjectIndex.POSITION_ACTUAL,
    "velocity": ObjectIndex.VELOCITY_ACTUAL,
    "torque": ObjectIndex.TORQUE_ACTUAL,
    "error_code": ObjectIndex.ERROR_CODE,
}
DRIVE_DTYPE = np.dtype(
    [
        ("counts_per_unit", np.float64),
        ("velocity_counts_per_unit_s", np.float64),
        ("torque_counts_per_n", np.float64),
        ("position_counts", np.int64),
        ("velocity_change_m_s", np.float64),  # between the last two setpoints
        ("fault_code", np.int32),  # the drive's own fault, on top of the plant's
        ("previous_controlword", np.int32),
        ("setpoints_bridged", np.int32),
        ("setpoints_missed", np.int32),  # in a row
        ("axis", np.int32),
        *((name, np.int32) for name in DRIVE_OBJECTS),
    ],
    align=True,
)

SLAVE_DTYPE = np.dtype(
    [
        ("memory", np.uint8, (MEMORY_BYTES,)),
        ("sii", np.uint8, (SII_BYTES,)),
        ("values", np.uint8, (VALUES_BYTES,)),
        ("objects", OBJECT_DTYPE, (OBJECTS_MAX,)),
        ("object_count", np.int32),
        ("outputs", MAPPING_DTYPE, (MAPPINGS_MAX,)),
        ("output_count", np.int32),
        ("output_bytes", np.int32),
        ("inputs", MAPPING_DTYPE, (MAPPINGS_MAX,)),
        ("input_count", np.int32),
        ("input_bytes", np.int32),
        ("output_manager", np.int32),  # sync manager numbers
        ("input_manager", np.int32),
        ("has_mailbox", np.uint8),
        ("has_clock", np.uint8),
        ("powered", np.uint8),
        ("station", np.int32),
        ("is_drive", np.uint8),
        ("drive", DRIVE_DTYPE),
        ("channels", CHANNEL_DTYPE, (CHANNELS_MAX,)),
        ("channel_count", np.int32),
        # mailbox
        ("reply", np.uint8, (MAILBOX_BYTES,)),  # kept for a repeat request
        ("reply_length", np.int32),
        ("mailbox_counter", np.int32),
        ("request_counter", np.int32),  # of the last request: the same again is a repeat
        ("repeat", np.uint8),
        ("emergency_code", np.int32),
        ("emergency_pending", np.uint8),
        ("abort_next_sdo", np.int64),  # faults: the code to answer with, -1 for silence
        ("refuse_state", np.int32),
        ("refuse_code", np.int32),
        # clock
        ("clock_base_ns", np.int64),
        ("clock_epoch_ns", np.int64),
        ("clock_drift", np.float64),
        ("clock_adjust", np.float64),
        ("sync_errors", np.int32),  # as 0x10F1:02 limits them
        ("sync_error_limit", np.int32),  # where the objects lie in `values`, -1 without
        ("sync_events_missed", np.int32),
        # watchdog
        ("outputs_ns", np.int64),
        ("outputs_seen", np.uint8),
        ("outputs_fresh", np.uint8),  # since the last tick
    ],
    align=True,
)

SEGMENT_DTYPE = np.dtype(
    [
        ("slave_count", np.int32),
        ("cut_before", np.int32),  # slaves from here on are not reached
        ("sync_watched", np.uint8),  # 0: a master without real time is borne with
        ("sync_late_ns", np.int64),
        ("frames", np.int64),
        ("malformed", np.int64),
    ],
    align=True,
)

# Explicit signatures at the seams keep one compiled copy of each, whoever calls.
SEGMENT_TYPE: Any = from_dtype(SEGMENT_DTYPE)
SLAVE_TYPE: Any = from_dtype(SLAVE_DTYPE)
SLAVES_TYPE: Any = types.Array(SLAVE_TYPE, 1, "C")
BYTES_TYPE: Any = types.Array(types.uint8, 1, "C")
