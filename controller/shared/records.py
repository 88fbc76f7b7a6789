"""A cell's record: written by the core when the cell leaves the table, kept until durably stored."""

from enum import IntEnum, IntFlag

import numpy as np

from controller.shared.alarms import AlarmId
from controller.shared.plan import LAYERS_MAX

RECORDS_MAX = 256


class Verdict(IntEnum):
    """What became of a cell."""

    NONE = 0
    GOOD = 1
    REJECTED = 2


class RejectReason(IntFlag):
    """Why a cell was rejected; more than one may apply."""

    STOPPED = 1 << 0
    ABORTED = 1 << 1
    OVERHANG = 1 << 2
    TENSION = 1 << 3
    LAYER_UNMEASURED = 1 << 4
    HIPOT = 1 << 5
    SPLICE = 1 << 6
    MISSING_SHEET = 1 << 7
    DOUBLE_SHEET = 1 << 8


LAYER_RECORD_DTYPE = np.dtype(
    [
        ("polarity", np.int32),
        ("retries", np.int32),
        ("before_m", np.float32, (2,)),  # pose on the stage as measured: x, y
        ("before_rad", np.float32),
        ("sigma_m", np.float32),  # expected error of each edge, before it was laid
        ("sigma_rad", np.float32),
        ("after_m", np.float32, (2,)),  # pose on the stack as measured: x, y
        ("after_rad", np.float32),
        ("overhang_m", np.float32, (4,)),  # left, right, front, rear
        ("time_s", np.float32),  # from the layer before
    ],
    align=True,
)

CELL_RECORD_DTYPE = np.dtype(
    [
        ("counter", np.uint64),  # 1, 2, ... within a run of the core
        ("cell", np.int64),
        ("station", np.int32),
        ("verdict", np.int32),
        ("reasons", np.int32),
        ("layer_count", np.int32),
        ("started_ns", np.int64),
        ("finished_ns", np.int64),
        ("tension_min_n", np.float64),
        ("tension_mean_n", np.float64),
        ("tension_max_n", np.float64),
        ("phase_time_s", np.float64, (4,)),  # lead-in, stacking, finish, held
        ("retries", np.int32),
        ("hipot_resistance_ohm", np.float64),
        ("alarms", np.uint8, (len(AlarmId),)),
        ("plan_identity", np.uint8, (32,)),
        ("layers", LAYER_RECORD_DTYPE, (LAYERS_MAX,)),
    ],
    align=True,
)
