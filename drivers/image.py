"""The process image: the one layout that stands between the controller and any hardware.

Inputs are what the machine reports, outputs are what the controller asks for. Units are SI; a rotary
axis (stage theta, unwind, wrap) reads rad where a name says m. Scaling to counts belongs to the device files.
"""

from enum import IntEnum

import numpy as np

STATIONS_MAX = 8


class Polarity(IntEnum):
    """The two kinds of sheet; each has its own arm, stage, magazine and end of the table."""

    ANODE = 0
    CATHODE = 1


class AxisId(IntEnum):
    """The 28 axes of a station, in the order of every axis table."""

    TABLE_X = 0
    TABLE_Z = 1
    FINGER_LEFT_FRONT_IN = 2
    FINGER_LEFT_FRONT_DOWN = 3
    FINGER_LEFT_REAR_IN = 4
    FINGER_LEFT_REAR_DOWN = 5
    FINGER_RIGHT_FRONT_IN = 6
    FINGER_RIGHT_FRONT_DOWN = 7
    FINGER_RIGHT_REAR_IN = 8
    FINGER_RIGHT_REAR_DOWN = 9
    ANODE_ARM_X = 10
    ANODE_ARM_Z = 11
    CATHODE_ARM_X = 12
    CATHODE_ARM_Z = 13
    ANODE_STAGE_X = 14
    ANODE_STAGE_Y = 15
    ANODE_STAGE_THETA = 16
    CATHODE_STAGE_X = 17
    CATHODE_STAGE_Y = 18
    CATHODE_STAGE_THETA = 19
    FEED = 20
    UNWIND = 21
    DANCER = 22
    EDGE = 23
    CUT = 24
    WRAP = 25
    TAPE = 26
    CHANGER = 27  # swaps the two tables: 0 or pi


class AxisKind(IntEnum):
    """Axes of one kind share limits and drive settings in the configuration."""

    TABLE_X = 0
    TABLE_Z = 1
    FINGER_IN = 2
    FINGER_DOWN = 3
    ARM_X = 4
    ARM_Z = 5
    STAGE_XY = 6
    STAGE_THETA = 7
    FEED = 8
    UNWIND = 9
    DANCER = 10
    EDGE = 11
    CUT = 12
    WRAP = 13
    TAPE = 14
    CHANGER = 15


class GripperId(IntEnum):
    """Vacuum grippers: PLACE carries stage to stack, FETCH carries magazine to stage."""

    ANODE_PLACE = 0
    ANODE_FETCH = 1
    CATHODE_PLACE = 2
    CATHODE_FETCH = 3


AXIS_COUNT = len(AxisId)
GRIPPER_COUNT = len(GripperId)
_K = AxisKind
AXIS_KIND: tuple[AxisKind, ...] = (
    (_K.TABLE_X, _K.TABLE_Z)
    + (_K.FINGER_IN, _K.FINGER_DOWN) * 4
    + (_K.ARM_X, _K.ARM_Z) * 2
    + (_K.STAGE_XY, _K.STAGE_XY, _K.STAGE_THETA) * 2
    + (_K.FEED, _K.UNWIND, _K.DANCER, _K.EDGE, _K.CUT, _K.WRAP, _K.TAPE, _K.CHANGER)
)
ROTARY_KINDS = frozenset({AxisKind.STAGE_THETA, AxisKind.UNWIND, AxisKind.WRAP, AxisKind.CHANGER})


class BusState(IntEnum):
    """What the exchange says of the bus as a whole."""

    DOWN = 0
    DEGRADED = 1
    OPERATIONAL = 2


class ReadingQuality(IntEnum):
    """Whether a camera's or sensor's value may be used."""

    NONE = 0
    GOOD = 1
    FAILED = 2


AXIS_INPUT_DTYPE = np.dtype(
    [
        ("actual_position_m", np.float64),
        ("actual_velocity_m_s", np.float64),
        ("actual_force_n", np.float64),
        ("statusword", np.uint16),
        ("error_code", np.uint16),
        ("mode_display", np.int8),
    ],
    align=True,
)

AXIS_OUTPUT_DTYPE = np.dtype(
    [
        ("target_position_m", np.float64),
        ("velocity_offset_m_s", np.float64),
        ("force_offset_n", np.float64),
        ("controlword", np.uint16),
        ("mode", np.int8),
    ],
    align=True,
)

# A camera answers the trigger of the same sequence number; `captured_ns` is the exposure.
CAMERA_READING_DTYPE = np.dtype(
    [
        ("captured_ns", np.int64),
        ("x_m", np.float64),
        ("y_m", np.float64),
        ("theta_rad", np.float64),
        ("sequence", np.uint32),
        ("quality", np.uint8),
    ],
    align=True,
)

STATION_INPUT_DTYPE = np.dtype(
    [
        ("axes", AXIS_INPUT_DTYPE, (AXIS_COUNT,)),
        ("vacuum_pa", np.float64, (GRIPPER_COUNT,)),
        ("sheet_cameras", CAMERA_READING_DTYPE, (2,)),
        ("stack_camera", CAMERA_READING_DTYPE),
        ("sheet_thickness_m", np.float64, (2,)),
        ("magazine_sheets", np.int32, (2,)),
        ("magazine_stamp_ns", np.int64),
        ("tension_n", np.float64),
        ("tension_stamp_ns", np.int64),
        ("dancer_position_m", np.float64),
        ("dancer_stamp_ns", np.int64),
        ("loop_length_m", np.float64),
        ("roll_radius_m", np.float64),
        ("web_edge_m", np.float64),
        ("hipot_resistance_ohm", np.float64),
        ("emergency_stop_ok", np.uint8),
        ("safe_torque_off_ok", np.uint8),
        ("door_closed", np.uint8),
        ("air_pressure_ok", np.uint8),
        ("splice_detected", np.uint8),
    ],
    align=True,
)

STATION_OUTPUT_DTYPE = np.dtype(
    [
        ("axes", AXIS_OUTPUT_DTYPE, (AXIS_COUNT,)),
        ("vacuum_on", np.uint8, (GRIPPER_COUNT,)),
        ("sheet_camera_trigger", np.uint32, (2,)),
        ("stack_camera_trigger", np.uint32),
        ("hipot_test", np.uint8),
        ("stack_clamp", np.uint8),  # of the plate under the arms
        ("conveyor", np.uint8),  # takes what lies at the wrapping place
        ("stack_light", np.uint8),
    ],
    align=True,
)

BUS_INPUT_DTYPE = np.dtype(
    [
        ("state", np.uint8),
        ("latency_cycles", np.uint8),  # how much older than the last targets' answer inputs are
        ("working_counter", np.uint16),
        ("working_counter_expected", np.uint16),
        ("al_status", np.uint16),
        ("frames_lost", np.uint32),
        ("frames_late", np.uint32),
        ("misses_in_a_row", np.uint32),
        ("clock_offset_ns", np.int64),
    ],
    align=True,
)

INPUTS_DTYPE = np.dtype(
    [
        ("time_ns", np.int64),
        ("cycle", np.int64),
        ("period_ns", np.int64),
        ("station_count", np.int32),
        ("bus", BUS_INPUT_DTYPE),
        ("stations", STATION_INPUT_DTYPE, (STATIONS_MAX,)),
    ],
    align=True,
)

OUTPUTS_DTYPE = np.dtype([("stations", STATION_OUTPUT_DTYPE, (STATIONS_MAX,))], align=True)

IMAGE_DTYPE = np.dtype([("inputs", INPUTS_DTYPE), ("outputs", OUTPUTS_DTYPE)], align=True)
