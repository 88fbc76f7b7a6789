"""The cycle plan: everything a station needs to run a recipe, as recorded bytes.

The planner writes a plan into an idle slot; the core activates it between cells; replay reads it and
never recomputes it. A plan is built from three things:

- sections: half a fold each, from touch-down at one end to touch-down at the other, both at rest; cams
  over path time (master seconds at 100 %), gates that hold the master, switches that act when it passes;
- routines: tables of point-to-point steps for what is not cyclic (lead-in, finish, clearing);
- parameters: limits, geometry and tolerances of the station and the recipe.
"""

from enum import IntEnum

import numpy as np

from controller.shared.learned import Learner
from drivers.image import AXIS_COUNT
from motion.layouts import CAM_DTYPE, SEGMENT_DTYPE

SEGMENTS_MAX = 4096
GATES_MAX = 32
SWITCHES_MAX = 64
STEPS_MAX = 512
LAYERS_MAX = 160
LEARNING_TAPS = 32  # of the filter from errors to what is learned
LEARNING_AFTER = 16  # of them later than the place that learns


class SectionId(IntEnum):
    """The sections; each is named after the end it leads to."""

    TO_LEFT = 0  # ends with the anode's touch-down
    TO_RIGHT = 1  # ends with the cathode's touch-down


class RoutineId(IntEnum):
    """Point-to-point sequences."""

    LEAD_IN = 0  # from idle to the right-hand touch-down pose
    FINISH = 1  # final wrap, cut, tape, unload; from the left-hand pose
    CLEAR = 2  # from anywhere: discard what is held, unload, park
    PARK = 3  # from the right-hand pose to idle
    WRAP_UP = 4  # beside the others: cut, wrap, tape, test, unload at the wrapping place
    IDENTIFY = 5  # from idle: moves of the empty table that make its mode swing
    # recoveries: one arm beside a master that stands at the end of a half fold; pairs, anode first
    REFETCH_ANODE = 6  # put the stage's sheet aside, fetch the next
    REFETCH_CATHODE = 7
    LAY_ANODE = 8  # lay the fetched sheet on the stage
    LAY_CATHODE = 9
    BRING_ANODE = 10  # pick up the corrected sheet and bring it to the stack
    BRING_CATHODE = 11


class GateKind(IntEnum):
    """REST stands where every cam is at rest and costs nothing; MOVING is braked for in time."""

    REST = 0
    MOVING = 1


class Action(IntEnum):
    """What a switch or a step does; `index` is a Polarity or a GripperId."""

    NONE = 0
    TOUCH_DOWN = 1  # polarity: the placed sheet lies on the stack
    FOLD = 14  # fingers clamp the next fold: the web's free end changes sides
    RELEASE = 2  # polarity: both grippers of the arm let go
    PICK = 3  # polarity: both grippers of the arm grip
    TRIGGER_STACK_CAMERA = 4  # polarity
    STAGE_HOME = 5  # polarity: the stage goes back to its centre
    VACUUM_OFF = 6  # gripper
    DISCARD = 7  # polarity: whatever the arm and stage hold is gone
    WRAP = 8  # the web follows the wrap axis from here
    CUT = 9  # the web is cut
    HIPOT = 10
    UNLOAD = 11  # the cell leaves the table, index 1: the wrapping place; its record is closed
    THREAD = 12  # the web's end is clamped for the next cell
    VACUUM_ON = 13  # gripper: grip whatever may lie there
    TRAIL = 15  # the web follows the stack on the turning changer
    HAND_OVER = 16  # the finished stack stands at the wrapping place: WRAP_UP begins
    STACK_CLAMP = 17  # index 1 closes, 0 opens
    CONVEYOR = 18  # index 1 runs, 0 stands
    SET_ASIDE = 19  # polarity: PLACE grips the stage's sheet, FETCH the next one
    DROP = 20  # polarity: PLACE lets its sheet go for good
    LAY = 21  # polarity: FETCH lets its sheet go on the stage


class StepKind(IntEnum):
    """A routine's step: MOVE and ACTION start at once, WAIT holds until its condition is true.

    A DWELL lets `timeout_ns` go by. A START is a move that nobody waits for.
    """

    MOVE = 0
    ACTION = 1
    WAIT = 2
    DWELL = 3
    START = 4


class RunOn(IntEnum):
    """What a routine does not stop for while it is at a step."""

    NEVER = 0
    STOP = 1  # it obeys an abort alone
    ABORT = 2  # a placement: neither stop nor abort leaves it half done


GATE_DTYPE = np.dtype(
    [
        ("master_s", np.float64),
        ("timeout_ns", np.int64),
        ("condition", np.int32),
        ("alarm", np.int32),
        ("kind", np.uint8),
    ],
    align=True,
)

SWITCH_DTYPE = np.dtype(
    [("master_s", np.float64), ("action", np.int32), ("index", np.int32)], align=True
)

SECTION_DTYPE = np.dtype(
    [
        ("length_s", np.float64),
        ("release_s", np.float64),  # the placement ends: clamped and released
        ("late_axis", np.int32),  # the leaving arm's z: it waits for its sheet at `late_from_s`
        ("late_from_s", np.float64),
        ("late_to_s", np.float64),  # and stands on its stage here
        ("ahead_axes", np.int32, (2,)),  # the arriving arm's x and z
        ("ahead_s", np.float64, (2,)),  # where each rests, over the stack's end and at its highest
        ("descend_s", np.float64),  # the arriving arm's last descent begins, from rest
        ("first_gate", np.int32),
        ("gate_count", np.int32),
        ("first_switch", np.int32),
        ("switch_count", np.int32),
        ("cams", CAM_DTYPE, (AXIS_COUNT,)),
        ("slow_table", CAM_DTYPE),  # table x's instead, for every speed up to `slow_speed_max`
    ],
    align=True,
)

STEP_DTYPE = np.dtype(
    [
        ("position_m", np.float64),
        ("timeout_ns", np.int64),
        ("kind", np.int32),
        ("axis", np.int32),
        ("action", np.int32),
        ("index", np.int32),
        ("condition", np.int32),
        ("run_on", np.int32),  # RunOn
    ],
    align=True,
)

ROUTINE_DTYPE = np.dtype([("first_step", np.int32), ("step_count", np.int32)], align=True)

AXIS_PARAMETERS_DTYPE = np.dtype(
    [
        ("position_min_m", np.float64),
        ("position_max_m", np.float64),
        ("velocity_max_m_s", np.float64),
        ("acceleration_max_m_s2", np.float64),
        ("jerk_max_m_s3", np.float64),
        ("mass_kg", np.float64),
        ("friction_n", np.float64),
        ("following_error_max_m", np.float64),
        ("in_position_m", np.float64),
        ("home_position_m", np.float64),
        ("move_speed", np.float64),  # share of the limits that a point-to-point move uses
        ("relative", np.uint8),  # its cams start where a section finds it
    ],
    align=True,
)

WEB_PARAMETERS_DTYPE = np.dtype(
    [
        ("tension_n", np.float64),
        ("tension_warning_n", np.float64),
        ("tension_min_n", np.float64),
        ("tension_max_n", np.float64),
        ("fold_pitch_m", np.float64),
        ("stroke_m", np.float64),
        ("roller_height_m", np.float64),
        ("roller_radius_m", np.float64),
        ("guide_mass_kg", np.float64),
        ("feed_lag_s", np.float64),
        ("dancer_gain_1_s", np.float64),
        ("tension_gain_1_s", np.float64),
        ("dancer_limit_m", np.float64),
        ("loop_length_m", np.float64),
        ("loop_gain_1_s", np.float64),
        ("edge_gain_1_s", np.float64),
        ("edge_warning_m", np.float64),
        ("roll_radius_min_m", np.float64),
        ("separator_thickness_m", np.float64),
        ("cell_m", np.float64),  # web that a whole cell takes
        ("tail_m", np.float64),  # web that half a turn of the changer draws
    ],
    align=True,
)

LEARNING_PARAMETERS_DTYPE = np.dtype(
    [
        ("filter", np.float64, (len(Learner), LEARNING_TAPS)),  # force an error, oldest first
        ("bin_s", np.float64),
        ("forgetting", np.float64, (len(Learner),)),  # share that a fold lets go
        ("force_max_n", np.float64, (len(Learner),)),
        ("error_max", np.float64, (len(Learner),)),  # N, m: more is a disturbance
    ],
    align=True,
)

ALIGNMENT_PARAMETERS_DTYPE = np.dtype(
    [
        ("stage_range_m", np.float64),
        ("stage_range_rad", np.float64),
        ("camera_late_ns", np.int64),
        ("camera_timeout_ns", np.int64),
        ("camera_retries", np.int32),
        ("pick_retries", np.int32),
        ("discard_m", np.float64),  # of ARM_X: a sheet lost nearer than this may lie on the stack
        ("drift_gain", np.float64),
        ("outlier_m", np.float64),
        ("outlier_rad", np.float64),
        ("camera_sigma_m", np.float64),
        ("camera_sigma_rad", np.float64),
        ("placement_sigma_m", np.float64),
        ("placement_sigma_rad", np.float64),
    ],
    align=True,
)

VACUUM_PARAMETERS_DTYPE = np.dtype(
    [
        ("made_pa", np.float64),
        ("released_pa", np.float64),
        ("timeout_ns", np.int64),
        ("release_late_ns", np.int64),
        ("double_sheet_m", np.float64),
    ],
    align=True,
)

QUALITY_PARAMETERS_DTYPE = np.dtype(
    [
        ("overhang_m", np.float64),  # nominal, anode over cathode
        ("overhang_min_m", np.float64),
        ("overhang_guard_m", np.float64),  # above it, where sheets scatter more than
        ("scatter_max_m", np.float64),  # this, one sigma of what the stack camera sees
        ("hipot_min_ohm", np.float64),
        ("sheet_half_length_m", np.float64, (2,)),  # x, by polarity
        ("sheet_half_width_m", np.float64, (2,)),  # y, by polarity
    ],
    align=True,
)

PLAN_DTYPE = np.dtype(
    [
        ("identity", np.uint8, (32,)),  # SHA-256 of configuration, recipe and plan
        ("valid", np.uint8),
        ("sheets", np.int32),  # 2N + 1
        ("sheet_mass_kg", np.float64),  # with its share of the web
        ("dry", np.uint8),  # a cycle without material
        ("segment_count", np.int32),
        ("bound_s", np.float64),  # ideal bound, a sheet
        ("table_end_m", np.float64, (2,)),  # left, right
        ("finger_down_m", np.float64),
        ("finger_in_m", np.float64),
        ("table_window_m", np.float64),
        ("arm_clear_m", np.float64),  # an arm this high is out of the table's way
        ("mode_omega_rad_s", np.float64),
        ("swing_decay", np.float64),  # of a swing's amplitude over one period, the slowest
        ("load_quiet_m", np.float64),  # amplitude of the load that counts as standing
        # the table's mode over one period, empty and with a full stack: see step_deflection
        ("mode", np.float64, (2, 3, 4)),
        ("master_acceleration_1_s", np.float64),
        ("master_jerk_1_s2", np.float64),
        ("slow_speed_max", np.float64),  # of the master; between it and full speed there is none
        ("creep_speed", np.float64),  # of the master, to finish a placement before a stop
        ("jog_share", np.float64),  # of an axis's limits that a jog may use
        ("jog_dead_man_ns", np.int64),  # a jog that is not renewed for so long stops
        ("axes", AXIS_PARAMETERS_DTYPE, (AXIS_COUNT,)),
        ("web", WEB_PARAMETERS_DTYPE),
        ("learning", LEARNING_PARAMETERS_DTYPE),
        ("alignment", ALIGNMENT_PARAMETERS_DTYPE),
        ("vacuum", VACUUM_PARAMETERS_DTYPE),
        ("quality", QUALITY_PARAMETERS_DTYPE),
        ("sections", SECTION_DTYPE, (len(SectionId),)),
        ("routines", ROUTINE_DTYPE, (len(RoutineId),)),
        ("gates", GATE_DTYPE, (GATES_MAX,)),
        ("switches", SWITCH_DTYPE, (SWITCHES_MAX,)),
        ("steps", STEP_DTYPE, (STEPS_MAX,)),
        ("segments", SEGMENT_DTYPE, (SEGMENTS_MAX,)),
    ],
    align=True,
)
