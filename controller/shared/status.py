"""What the machine shows: the status records that the scan keeps and the snapshot copies whole.

One record for the machine, one for each station. The gateway reads them by name; there is no second copy.
"""

from enum import IntEnum

import numpy as np

from controller.shared.alarms import AlarmId
from controller.shared.conditions import CONDITION_COUNT
from drivers.image import AXIS_COUNT, GRIPPER_COUNT

ALARM_COUNT = len(AlarmId)


class SequenceState(IntEnum):
    """Where a station stands; PackML says whether it may go on."""

    OFF = 0  # drives disabled
    POWERING = 1
    HOMING = 2
    ROUTINE = 3  # point-to-point steps
    SECTION = 4  # cams
    IDLE = 5  # parked, nothing on the table
    MANUAL = 6  # moved by hand: Reset or Start clears first


MACHINE_STATUS_DTYPE = np.dtype(
    [
        ("time_ns", np.int64),  # the cycle's monotonic time
        ("cycle", np.int64),
        ("state", np.int32),  # packml.State
        ("mode", np.int32),  # packml.Mode
        ("state_since_ns", np.int64),
        ("stop_reason", np.int32),  # AlarmId of the first-out
        ("last_command_sequence", np.uint64),
        ("last_command_result", np.int32),  # commands.CommandResult
        ("last_guard", np.int32),  # jog.Guard that refused the last jog
        ("station_count", np.int32),
        ("start_inhibits", np.uint64),  # bit per ConditionId, any station
        ("speed_override", np.float64),
        ("cells_done", np.int64),
        ("cells_good", np.int64),
        ("cells_rejected", np.int64),
        ("cells_requested", np.int64),
        ("bus_state", np.int32),
        ("frames_lost", np.uint32),
        ("frames_late", np.uint32),
        ("working_counter", np.uint32),
        ("working_counter_expected", np.uint32),
        ("al_status", np.uint32),
        ("misses_in_a_row", np.uint32),
        ("clock_offset_ns", np.int64),
    ],
    align=True,
)

AXIS_STATUS_DTYPE = np.dtype(
    [
        ("actual_position_m", np.float64),
        ("actual_velocity_m_s", np.float64),
        ("actual_force_n", np.float64),
        ("target_position_m", np.float64),
        ("following_error_m", np.float64),
        ("power_state", np.uint8),  # cia402.PowerState
        ("homed", np.uint8),
        ("error_code", np.uint16),
    ],
    align=True,
)

STATION_STATUS_DTYPE = np.dtype(
    [
        ("axes", AXIS_STATUS_DTYPE, (AXIS_COUNT,)),
        ("sequence", np.int32),  # SequenceState
        ("section", np.int32),
        ("routine", np.int32),
        ("step", np.int32),
        ("gate_condition", np.int32),  # ConditionId the master waits for, 0 when it does not
        ("master_s", np.float64),
        ("master_speed", np.float64),
        ("cell", np.int64),  # number of the cell in work, 0 without
        ("wrapping_cell", np.int64),  # number of the cell at the wrapping place
        ("sheet", np.int32),  # sheets laid in it
        ("sheets", np.int32),
        ("seconds_per_sheet", np.float64),  # of the last whole pair
        ("tension_n", np.float64),
        ("tension_trim_n", np.float64),  # trims: set by people, beside the recipe
        ("offset_trim_m", np.float64, (2,)),
        ("offset_trim_rad", np.float64),
        ("dancer_position_m", np.float64),
        ("loop_length_m", np.float64),
        ("roll_radius_m", np.float64),
        ("roll_left_m", np.float64),
        ("roll_left_cells", np.float64),
        ("web_edge_m", np.float64),
        ("vacuum_pa", np.float64, (GRIPPER_COUNT,)),
        ("magazine_sheets", np.int32, (2,)),
        ("pose_x_m", np.float64, (2,)),  # last measured, by polarity
        ("pose_y_m", np.float64, (2,)),
        ("pose_theta_rad", np.float64, (2,)),
        ("correction_x_m", np.float64, (2,)),
        ("correction_y_m", np.float64, (2,)),
        ("correction_theta_rad", np.float64, (2,)),
        ("overlay_x_m", np.float64),  # last layer seen by the stack camera, against the datum
        ("overlay_y_m", np.float64),
        ("overlay_theta_rad", np.float64),
        ("conditions", np.uint8, (CONDITION_COUNT,)),
        ("alarms", np.uint8, (ALARM_COUNT,)),  # 1 active
        ("alarm_axis", np.int16, (ALARM_COUNT,)),  # axis that raised it, -1 without
        ("alarm_since_ns", np.int64, (ALARM_COUNT,)),
        ("first_out", np.int32),
        ("recoveries", np.int64, (ALARM_COUNT,)),  # recovered without losing the cell
        ("plan_identity", np.uint8, (32,)),
        ("plan_slot", np.int32),
        ("next_plan_slot", np.int32),  # activated at the next cell, -1: none waits
        ("sheets_total", np.int64),
        ("feed_total_m", np.float64),
    ],
    align=True,
)

HISTOGRAM_BINS = 64  # quarter octaves of nanoseconds from 64 ns


class Phase:
    """The loop's phases, in order; the index of the phase histograms."""

    LATENESS = 0
    EXCHANGE = 1
    SCAN = 2
    PUBLISH = 3
    CYCLE = 4
    COUNT = 5


# Wall-clock statistics: never part of scan, digest or replay.
STATISTICS_DTYPE = np.dtype(
    [
        ("cycles", np.int64),
        ("overruns", np.int64),  # missed periods
        ("overruns_in_a_row", np.int64),
        ("histogram", np.int64, (Phase.COUNT, HISTOGRAM_BINS)),
        ("last_ns", np.int64, (Phase.COUNT,)),
        ("max_ns", np.int64, (Phase.COUNT,)),
        ("over_100_us", np.int64),
    ],
    align=True,
)
