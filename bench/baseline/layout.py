"""The baseline's memory: its program, what it knows of the machine, and its state."""

from enum import IntEnum

import numpy as np

from drivers.image import AXIS_COUNT
from motion.fold_geometry import FOLD_GEOMETRY_DTYPE
from motion.layouts import CAM_DTYPE, SEGMENT_DTYPE

PROGRAM_MAX = 400
LAW_SEGMENTS_MAX = 128


class Op(IntEnum):
    """What one line of the program does; a line that waits is looked at again in the next cycle."""

    MOVE = 0  # start `index`'s axis towards `value`
    LAYER = 1  # start the table's height towards the next layer
    REACHED = 2  # wait until axis `index` stands where it was sent
    ABOVE = 3  # wait until axis `index` is above `value`
    DWELL = 4  # wait `value` seconds
    VACUUM_OFF = 5  # gripper `index`
    RELEASED = 6  # wait until gripper `index` holds nothing
    PICK = 7  # arm `index` sucks what it is over; `value` 0: not what is staged
    PICKED = 8  # wait until it holds what it sucks, trying again
    ALIGN = 9  # stage `index` measures and corrects its sheet, if it has one
    ALIGNED = 10  # wait for that
    STAGE_HOME = 11  # stage `index`, if it is empty
    FOLD = 12  # the web's fold changes sides
    WEB = 13  # what the feed follows from here on: `index` is a WebMode
    JUMP = 14  # go to line `index`
    FULL = 15  # go to line `index` if `value` sheets or more are laid
    CELL = 16  # a cell is done
    MORE = 17  # go to line `index` if more cells are wanted
    END = 18


class WebMode(IntEnum):
    """What the feed follows."""

    STILL = 0
    FOLDING = 1
    WRAPPING = 2


class Phase(IntEnum):
    """From power-on to production."""

    POWER = 0
    HOMING = 1
    RUNNING = 2
    DONE = 3


class Align(IntEnum):
    """What an alignment stage is doing."""

    IDLE = 0
    WAITING = 1  # for the camera
    CORRECTING = 2
    READY = 3
    HOMING = 4


LINE_DTYPE = np.dtype([("op", np.int32), ("index", np.int32), ("value", np.float64)], align=True)

MOVE_DTYPE = np.dtype(
    [
        ("start_m", np.float64),
        ("goal_m", np.float64),
        ("begin_s", np.float64),
        ("duration_s", np.float64),
        ("position_m", np.float64),
        ("velocity_m_s", np.float64),
        ("acceleration_m_s2", np.float64),
        ("moving", np.uint8),
    ],
    align=True,
)

STAGE_DTYPE = np.dtype(
    [("state", np.int32), ("trigger", np.uint32), ("staged", np.uint8)], align=True
)

ARM_DTYPE = np.dtype(
    [
        ("holding", np.uint8),  # place
        ("fetching", np.uint8),  # what the last pick was to take
        ("placing", np.uint8),
        ("retrying", np.uint8),
        ("since_s", np.float64),
    ],
    align=True,
)

WEB_STATE_DTYPE = np.dtype(
    [
        ("mode", np.int32),
        ("side", np.float64),
        ("base_m", np.float64),
        ("trim_m", np.float64),
        ("integral_m_s", np.float64),
        ("wrap_start_rad", np.float64),
        ("speed_m_s", np.float64),  # slow average, for the unwind
    ],
    align=True,
)

STATE_DTYPE = np.dtype(
    [
        ("cycle", np.int64),
        ("time_s", np.float64),
        ("phase", np.int32),
        ("line", np.int32),
        ("line_since_s", np.float64),
        ("axes", MOVE_DTYPE, (AXIS_COUNT,)),
        ("stages", STAGE_DTYPE, (2,)),
        ("arms", ARM_DTYPE, (2,)),
        ("web", WEB_STATE_DTYPE),
        ("sheets", np.int32),  # of this cell
        ("tension_min_n", np.float64),
        ("tension_max_n", np.float64),
        ("cells_done", np.int64),
        ("rejects", np.uint8, (4096,)),  # 1 where a cell was rejected
        ("retries", np.int64),
        ("failed_axis", np.int32),  # 1 + the axis whose drive gave up
    ],
    align=True,
)

SETTINGS_DTYPE = np.dtype(
    [
        ("period_s", np.float64),
        ("program", LINE_DTYPE, (PROGRAM_MAX,)),
        ("laws", CAM_DTYPE, (2,)),  # of every other axis, of the table's traverse
        ("law_segments", SEGMENT_DTYPE, (LAW_SEGMENTS_MAX,)),
        # the shortest move over a distance d that the law makes within the limits:
        # max(d * a, sqrt(d * b), cbrt(d * c)), stretched
        ("per_velocity_s_m", np.float64, (AXIS_COUNT,)),
        ("per_acceleration_s2_m", np.float64, (AXIS_COUNT,)),
        ("per_jerk_s3_m", np.float64, (AXIS_COUNT,)),
        ("stretch", np.float64, (AXIS_COUNT,)),
        ("mass_kg", np.float64, (AXIS_COUNT,)),
        ("in_position_m", np.float64, (AXIS_COUNT,)),
        ("made_pa", np.float64),
        ("released_pa", np.float64),
        ("pick_timeout_s", np.float64),
        ("double_m", np.float64, (2,)),
        ("stage_range_m", np.float64),
        ("stage_range_rad", np.float64),
        ("layer_m", np.float64),
        ("sheets", np.int32),
        ("cells", np.int64),
        ("geometry", FOLD_GEOMETRY_DTYPE),
        ("half_sheet_m", np.float64, (2,)),
        ("finger_down_m", np.float64),
        ("tension_n", np.float64),
        ("tension_min_n", np.float64),
        ("tension_max_n", np.float64),
        ("feed_lead_s", np.float64),
        ("feed_cam", np.uint8),  # 0: the feed runs at the mean speed of a fold
        ("feed_mean_m_s", np.float64),
        ("dancer_gain_1_s", np.float64),
        ("dancer_integral_1_s2", np.float64),
        ("loop_m", np.float64),
        ("loop_gain_1_s", np.float64),
        ("roll_radius_min_m", np.float64),
        ("edge_gain_1_s", np.float64),
        ("edge_range_m", np.float64),
    ],
    align=True,
)
