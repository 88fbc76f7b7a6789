"""The controller's own state: everything the scan remembers from one cycle to the next."""

from enum import IntEnum

import numpy as np

from controller.shared.events import EVENT_DTYPE
from controller.shared.learned import LEARNED_DTYPE, Learner
from controller.shared.plan import LEARNING_TAPS
from controller.shared.records import CELL_RECORD_DTYPE
from controller.shared.status import MACHINE_STATUS_DTYPE, STATION_STATUS_DTYPE
from drivers.image import AXIS_COUNT, GRIPPER_COUNT, STATIONS_MAX
from motion.limits import LIMITS_DTYPE
from motion.master import MASTER_DTYPE
from motion.trajectory import STATE_DTYPE as STATE_DTYPE_OF_AXIS
from motion.trajectory import TRAJECTORY_DTYPE

EVENTS_PER_CYCLE_MAX = 64
STACK_TRIGGERS_MAX = 8


class HomingPhase(IntEnum):
    """One axis on its way to its reference."""

    NONE = 0
    STARTED = 1
    DONE = 2


class WebMode(IntEnum):
    """What the feed follows."""

    CUT = 0  # the cutter's clamp holds the web: no length is asked for
    FOLDING = 1
    WRAPPING = 2
    TRAILING = 3  # to the stack on the turning changer


class MoveClock(IntEnum):
    """The time that a move of a single axis runs over."""

    NONE = -1
    ROUTINE = 0  # path time of the station's routine
    WRAP_UP = 1  # path time of the wrapping place
    RECOVERY = 2  # path time of an arm's recovery
    STATION = 3  # real time


# What one cycle has to tell; publish moves it to the ring, the next scan starts it afresh.
OUTBOX_DTYPE = np.dtype(
    [
        ("count", np.int32),
        ("lost", np.int32),
        ("events", EVENT_DTYPE, (EVENTS_PER_CYCLE_MAX,)),
    ],
    align=True,
)

# A rest-to-rest move, and when it began on the clock that runs it.
MOVE_DTYPE = np.dtype(
    [
        ("start", STATE_DTYPE_OF_AXIS),
        ("target", STATE_DTYPE_OF_AXIS),
        ("limits", LIMITS_DTYPE),
        ("trajectory", TRAJECTORY_DTYPE),
        ("started_s", np.float64),
        ("clock", np.int32),  # MoveClock
        ("active", np.uint8),
    ],
    align=True,
)

# A jog: one axis at a time, on the station's clock.
JOG_DTYPE = np.dtype(
    [
        ("start", STATE_DTYPE_OF_AXIS),
        ("target", STATE_DTYPE_OF_AXIS),
        ("limits", LIMITS_DTYPE),
        ("trajectory", TRAJECTORY_DTYPE),
        ("end_m", np.float64),
        ("value", np.float64),  # velocity or distance, as commanded
        ("started_s", np.float64),
        ("renewed_ns", np.int64),
        ("axis", np.int32),
        ("active", np.uint8),
        ("stopping", np.uint8),
        ("by_step", np.uint8),
    ],
    align=True,
)

AXIS_STATE_DTYPE = np.dtype(
    [
        ("position_m", np.float64),  # the setpoint, with its derivatives over real time
        ("velocity_m_s", np.float64),
        ("acceleration_m_s2", np.float64),
        ("expected_m", np.float64),  # the setpoint the drive was given one cycle ago
        ("expected_before_m", np.float64),  # and the one before
        ("base_m", np.float64),  # of a relative cam
        ("cam_scale", np.float64),
        ("move", MOVE_DTYPE),
        ("homing", np.int32),
        ("homed", np.uint8),
        ("was_enabled", np.uint8),
    ],
    align=True,
)

# One sheet, wherever it is.
SHEET_DTYPE = np.dtype(
    [
        ("pose_x_m", np.float64),
        ("pose_y_m", np.float64),
        ("pose_theta_rad", np.float64),
        ("thickness_m", np.float64),
        ("present", np.uint8),
        ("measured", np.uint8),
        ("corrected", np.uint8),
        ("retries", np.int32),
    ],
    align=True,
)

# One polarity: its arm's two grippers, its stage and its camera.
FEEDER_DTYPE = np.dtype(
    [
        ("placed", SHEET_DTYPE),  # in the PLACE gripper
        ("staged", SHEET_DTYPE),
        ("fetched", SHEET_DTYPE),  # in the FETCH gripper
        ("bias_m", np.float64, (2,)),  # learned placement error x, y
        ("bias_rad", np.float64),
        ("bias_variance_m2", np.float64),  # how well the learned error is known
        ("bias_variance_rad2", np.float64),
        ("trigger", np.uint32),
        ("triggered_ns", np.int64),
        ("waiting", np.uint8),  # for a reading
        ("correcting", np.uint8),
        ("releasing", np.uint8),
        ("late", np.uint8),
        ("fetched_count", np.int32),
        ("doubt_m", np.float64, (2,)),  # a pose too far off to believe without a second image
        ("doubt_rad", np.float64),
        ("doubted", np.uint8),
        ("tries", np.int32),  # images of the staged sheet after the first
        ("rejected", np.uint8),  # the staged sheet is to be put aside
        ("rejections", np.int32),  # in a row
        ("owed", np.uint8),  # the stage has no sheet and should
        ("bringing", np.uint8),  # PLACE lost its sheet: the arm waits over the stack
        ("trouble", np.int32),  # AlarmId of what is being recovered
    ],
    align=True,
)

GRIPPER_STATE_DTYPE = np.dtype(
    [
        ("on", np.uint8),
        ("asked", np.uint8),  # a pick is under way
        ("holding", np.uint8),
        ("slow", np.uint8),  # lets go late
        ("attempts", np.int32),
        ("trouble", np.int32),  # AlarmId of the last attempt
        ("since_ns", np.int64),
    ],
    align=True,
)

WEB_STATE_DTYPE = np.dtype(
    [
        ("mode", np.int32),
        ("side", np.float64),  # +1 while folding to the right, -1 to the left
        ("base_m", np.float64),  # fed so far beyond the free length
        ("trim_m", np.float64),  # dancer feedback
        ("feed_velocity_m_s", np.float64),  # slow average, for the unwind
        ("roll_mark_rad", np.float64),  # where the turn of the roll that is measured began
        ("roll_mark_m", np.float64),
        ("roll_marked", np.uint8),
        ("mean_trim_n", np.float64),  # load-cell feedback on the dancer's force
        ("tension_sum_n", np.float64),
        ("tension_count", np.int64),
        ("tension_min_n", np.float64),
        ("tension_max_n", np.float64),
        ("acceleration_m_s2", np.float64),  # of the free web, a cycle ago
        ("taut_ns", np.int64),  # last seen so
        ("on_target_ns", np.int64),
        ("wrap_start_rad", np.float64),
        ("turn_start_rad", np.float64),  # of the changer
        ("deflection_m", np.float64),  # of the load behind the table's encoder, predicted
        ("deflection_m_s", np.float64),
        ("deflection_m_s2", np.float64),
        ("table_acceleration_m_s2", np.float64),
        ("followed", np.uint8),  # the feed follows the web since the last cycle
    ],
    align=True,
)

# The last errors at full speed, oldest first, each with its place in the learned tables.
LEARNING_DTYPE = np.dtype(
    [
        ("errors", np.float64, (len(Learner), LEARNING_TAPS)),
        ("places", np.int32, (LEARNING_TAPS,)),
        ("count", np.int32),
    ],
    align=True,
)

# Who runs a routine: the station itself, the wrapping place beside it, or an arm's recovery.
RUNNER_DTYPE = np.dtype(
    [
        ("routine", np.int32),
        ("step", np.int32),
        ("group", np.int32),  # how many steps were started together, 0 before
        ("step_since_ns", np.int64),
        ("clock", np.int32),  # MoveClock
        ("active", np.uint8),
    ],
    align=True,
)

# One arm's recovery beside the standing master.
RECOVERY_DTYPE = np.dtype(
    [
        ("runner", RUNNER_DTYPE),  # active at a routine; else the recovery waits for a camera
        ("polarity", np.int32),
        ("active", np.uint8),
    ],
    align=True,
)

STACK_TRIGGER_DTYPE = np.dtype(
    [("sequence", np.uint32), ("layer", np.int32), ("triggered_ns", np.int64)], align=True
)

STATION_STATE_DTYPE = np.dtype(
    [
        ("status", STATION_STATUS_DTYPE),
        ("master", MASTER_DTYPE),
        ("late", MASTER_DTYPE),  # of the leaving arm's descent: it may wait for its sheet
        ("ahead", MASTER_DTYPE),  # of the arriving arm, while the master stands at a gate
        ("wrap_master", MASTER_DTYPE),  # of the wrapping place
        ("recovery_master", MASTER_DTYPE),
        ("runner", RUNNER_DTYPE),
        ("wrap_up", RUNNER_DTYPE),
        ("recovery", RECOVERY_DTYPE),
        ("axes", AXIS_STATE_DTYPE, (AXIS_COUNT,)),
        ("feeders", FEEDER_DTYPE, (2,)),
        ("grippers", GRIPPER_STATE_DTYPE, (GRIPPER_COUNT,)),
        ("web", WEB_STATE_DTYPE),
        ("learned", LEARNED_DTYPE),
        ("learning", LEARNING_DTYPE),
        ("stack_triggers", STACK_TRIGGER_DTYPE, (STACK_TRIGGERS_MAX,)),
        ("stack_sequence", np.uint32),
        ("stack_sequence_read", np.uint32),
        ("next_gate", np.int32),
        ("next_switch", np.int32),
        ("gate_since_ns", np.int64),
        ("state_since_ns", np.int64),
        ("layer_ns", np.int64),
        ("pair_ns", np.int64),
        ("swing_m", np.float64),  # of the load behind the table's encoder, at most
        ("late_follows", np.uint8),  # the leaving arm's descent goes with the master
        ("smooth", np.uint8),  # the table moved at one speed so far, as its cam is made for
        ("slow", np.uint8),  # the table goes by the cam for less than full speed
        ("frozen", np.uint8),  # the master stands at a gate, everything at rest
        ("enable", np.uint8),  # drives wanted in OPERATION ENABLED
        ("off_path", np.uint8),  # an axis is not where the path is: every drive stops by itself
        ("fault_reset", np.int32),  # cycles left of a fault reset pulse
        ("cell_open", np.uint8),
        ("at_rest", np.uint8),
        ("jog", JOG_DTYPE),
        ("step_asked", np.uint8),  # Manual mode: 1 asked for, 2 on its way to the next sheet
        ("parked", np.uint8),  # nothing was begun since the table was cleared
        ("clock_s", np.float64),  # real time of this station's scans, for corrections
        ("record", CELL_RECORD_DTYPE),
        ("record_ready", np.uint8),  # publish takes it in this very cycle
        ("wrapped", CELL_RECORD_DTYPE),  # of the cell at the wrapping place
        ("wrapped_open", np.uint8),
        ("wrapped_ready", np.uint8),
    ],
    align=True,
)

STATE_DTYPE = np.dtype(
    [
        ("machine", MACHINE_STATUS_DTYPE),
        ("outbox", OUTBOX_DTYPE),
        ("records_produced", np.uint64),
        ("records_acknowledged", np.uint64),
        ("cells_started", np.int64),
        ("reaction", np.int32),  # strongest Reaction an alarm asked for in this cycle
        ("started", np.uint8),
        ("inputs_known", np.uint8),  # the bus has been up once
        ("scope_station", np.int32),
        ("scope_axis", np.int32),  # published sample by sample; -1 for none
        ("inputs_fresh", np.uint8),  # of this cycle, not held over a miss
        ("shut_down_asked", np.uint8),
        ("shut_down_done", np.uint8),  # axes at rest, drives disabled: the loop may end
        ("stations", STATION_STATE_DTYPE, (STATIONS_MAX,)),
    ],
    align=True,
)
