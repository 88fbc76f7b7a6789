"""The simulator's memory: parameters of the plant and its true state, all in one record.

Every part sees what it needs of it; nothing is allocated after `make_context`.
"""

from enum import IntEnum

import numpy as np

from drivers.image import AXIS_COUNT, CAMERA_READING_DTYPE, GRIPPER_COUNT, STATIONS_MAX
from hal_sim.judge.layout import JUDGE_DTYPE, JUDGE_PARAMETERS_DTYPE
from hal_sim.noise import STREAM_COUNT

FAULTS_MAX = 256


class Control(IntEnum):
    """What a drive's loop is doing."""

    OFF = 0
    POSITION = 1  # CSP and CSV: a cubic from one target to the next
    PROFILE = 2  # the drive's own motion: homing, quick stop, fault reaction
    TORQUE = 3  # CST


class Place(IntEnum):
    """What a gripper touches."""

    AIR = 0
    STACK = 1
    STAGE = 2
    MAGAZINE = 3
    BIN = 4  # the discard position, arm up


class WebEnd(IntEnum):
    """Where the web's end is."""

    THREADED = 0  # on the table
    CUT = 1  # in the cutter's clamp
    BROKEN = 2
    TRAILING = 3  # on a stack that the changer turns away


AXIS_PLANT_DTYPE = np.dtype(
    [
        ("mass_kg", np.float64),
        ("friction_n", np.float64),
        ("stiffness_n_m", np.float64),  # of the position loop
        ("damping_n_s_m", np.float64),
        ("integral_n_m_s", np.float64),
        ("integral_limit_n", np.float64),
        ("force_peak_n", np.float64),
        ("force_rms_n", np.float64),
        ("thermal_time_s", np.float64),
        ("encoder_noise_m", np.float64),
        ("position_min_m", np.float64),  # hard stops
        ("position_max_m", np.float64),
        ("home_position_m", np.float64),
        ("home_scatter_m", np.float64),
        ("homing_velocity_m_s", np.float64),
        ("following_error_m", np.float64),
        ("quick_stop_m_s2", np.float64),
        ("homes_in_place", np.uint8),
        ("absolute_encoder", np.uint8),
    ],
    align=True,
)

AXIS_STATE_DTYPE = np.dtype(
    [
        ("position_m", np.float64),  # the truth
        ("velocity_m_s", np.float64),
        ("acceleration_m_s2", np.float64),
        ("force_n", np.float64),
        ("encoder_offset_m", np.float64),
        ("encoder_noise_m", np.float64),
        ("mass_kg", np.float64),  # what the motor moves now
        ("step_a_mass_s_kg", np.float64),  # one division a period instead of one a step
        ("reference_m", np.float64),  # at the end of this cycle
        ("reference_m_s", np.float64),
        ("force_offset_n", np.float64),
        ("cubic", np.float64, (4,)),
        ("velocity_start_m_s", np.float64),
        ("velocity_rise_m_s2", np.float64),
        ("force_start_n", np.float64),
        ("force_rise_n_s", np.float64),
        ("integral_n", np.float64),
        ("profile_goal_m", np.float64),
        ("heat", np.float64),
        ("force_square_n2", np.float64),
        ("power_state", np.int32),
        ("control", np.int32),
        ("controlword", np.uint16),  # of the cycle before
        ("error_code", np.uint16),
        ("statusword", np.uint16),
        ("mode", np.int8),
        ("homing", np.uint8),
        ("homed", np.uint8),
        ("homing_error", np.uint8),
        ("saturated", np.uint8),
        ("valve", np.uint8),  # of a pneumatic finger
        ("stroke_m_s", np.float64),
        ("jammed", np.uint8),  # by a fault: the homing mark is never found
    ],
    align=True,
)

SHEET_DTYPE = np.dtype(
    [
        ("identity", np.int64),
        ("pose", np.float64, (3,)),  # x m, y m, theta rad against nominal, where it lies or hangs
        ("cut_m", np.float64, (4,)),  # outward, left right front rear: unseen by the cameras
        ("scatter_m", np.float64, (2,)),  # what no controller can know of, so far
        ("scatter_rad", np.float64),
        ("camera_m", np.float64, (2,)),  # the last reading's noise
        ("camera_rad", np.float64),
        ("count", np.int32),  # 0 none, 2 a double
        ("measured", np.uint8),
        (
            "uncorrected",
            np.uint8,
        ),  # picked from the stage without the correction of this very sheet
    ],
    align=True,
)

GRIPPER_DTYPE = np.dtype(
    [
        ("sheet", SHEET_DTYPE),
        ("pressure_pa", np.float64),  # below ambient
        ("rate_1_s", np.float64),
        ("on", np.uint8),
        ("missed", np.uint8),
        ("at_magazine", np.uint8),
        ("flagged", np.uint8),  # this sheet's loss has been told
        ("lost", np.uint8),  # a fault took the vacuum
        ("place", np.int32),
    ],
    align=True,
)

CAMERA_DTYPE = np.dtype(
    [
        ("due_ns", np.int64),
        ("trigger", np.uint32),
        ("pending", np.uint8),
        ("moved", np.uint8),
        ("identity", np.int64),  # of the sheet exposed
        ("stage", np.float64, (3,)),  # stage at the exposure
        ("noise", np.float64, (3,)),
        ("reading", CAMERA_READING_DTYPE),  # to come
    ],
    align=True,
)

FEEDER_DTYPE = np.dtype(
    [
        ("staged", SHEET_DTYPE),  # its pose rides on the stage
        ("camera", CAMERA_DTYPE),
        ("drift", np.float64, (3,)),  # of the pick, m and rad
        ("drift_rate", np.float64, (3,)),
        ("calibration_m", np.float64, (2,)),  # arm against table, unseen by the sheet camera
        ("magazine", np.int32),
        ("sheets_drawn", np.int64),
        ("miss_next", np.uint8),
        ("double_next", np.uint8),
        ("magazine_blocked", np.uint8),
        ("flutter_m_s", np.float64),  # the arm's late speed
    ],
    align=True,
)

WEB_DTYPE = np.dtype(
    [
        ("fed_m", np.float64),  # delivered by the nip
        ("nip_m", np.float64),  # lagging the roller, before noise
        ("feed_noise_m", np.float64),
        ("feed_lag_s", np.float64),
        ("base_m", np.float64),
        ("guide_m", np.float64),  # web past the guide, with its velocity
        ("guide_m_s", np.float64),
        ("demand_m", np.float64),  # what lies beyond the guide
        ("laid_m", np.float64),
        ("wrap_start_rad", np.float64),
        ("wrapped_rad", np.float64),
        ("tension_n", np.float64),  # table end
        ("tension_dancer_n", np.float64),
        ("load_cell_n", np.float64),
        ("loop_m", np.float64),
        ("roll_m", np.float64),  # web left on the roll
        ("roll_radius_m", np.float64),
        ("roll_phase_rad", np.float64),
        ("edge_wander_m", np.float64),
        ("edge_m", np.float64),
        ("side", np.float64),  # +1 the fold lies at the right edge
        ("turn_start_rad", np.float64),  # of the changer, while the web trails
        ("tail_m", np.float64),  # drawn by its turn
        ("end", np.int32),
        ("clamped_by_fingers", np.uint8),
        ("touches_beam", np.uint8),
        ("slips", np.uint8),
        ("loop_blocked", np.uint8),
        ("cut_through", np.uint8),  # the blade has passed
        ("splice", np.uint8),
    ],
    align=True,
)

# The stack that left the table on the changer; count 0 while the place is free.
WRAPPING_DTYPE = np.dtype(
    [
        ("count", np.int32),
        ("tail_m", np.float64),  # of web that is left to wind
        ("wrap_start_rad", np.float64),
        ("wound_rad", np.float64),
        ("taped", np.uint8),
        ("hipot_bad", np.uint8),
        ("uncut", np.uint8),  # its tail still hangs on the table's web
        ("conveyed_s", np.float64),
    ],
    align=True,
)

STATION_DTYPE = np.dtype(
    [
        ("axes", AXIS_STATE_DTYPE, (AXIS_COUNT,)),
        ("deflection_m", np.float64),  # the table's load against its encoder
        ("deflection_m_s", np.float64),
        ("mode_rad_s", np.float64),
        ("load_m", np.float64),
        ("load_m_s", np.float64),
        ("web", WEB_DTYPE),
        ("grippers", GRIPPER_DTYPE, (GRIPPER_COUNT,)),
        ("feeders", FEEDER_DTYPE, (2,)),
        ("stack_camera", CAMERA_DTYPE),
        ("streams", np.uint64, (STREAM_COUNT,)),
        ("stack_top_pose", np.float64, (3,)),
        ("stack_count", np.int32),
        ("taped", np.uint8),
        ("plate", np.int32),  # which of the changer's two stands under the arms
        ("plate_still_s", np.float64),  # how long it has stood there
        ("stack_clamp_s", np.float64),  # how long the clamp has been closing
        ("stack_clamped", np.uint8),
        ("wrapping", WRAPPING_DTYPE),
        ("hipot_test", np.uint8),
        ("hipot_ohm", np.float64),
        ("stop_ns", np.int64),  # since when the emergency stop is pressed
        ("emergency_stop", np.uint8),
        ("torque_off", np.uint8),
        ("door_open", np.uint8),
        ("air_low", np.uint8),
        ("tension_frozen", np.uint8),
        ("camera_silent", np.uint8, (3,)),
        ("camera_failing", np.uint8, (3,)),
        ("camera_outlier_m", np.float64, (3,)),
        ("camera_delay_s", np.float64, (3,)),
        ("release_slow", np.float64, (GRIPPER_COUNT,)),
        ("hipot_bad", np.uint8),
        ("judge", JUDGE_DTYPE),
    ],
    align=True,
)

PLANT_DTYPE = np.dtype(
    [
        ("axes", AXIS_PLANT_DTYPE, (AXIS_COUNT,)),
        ("watchdog_s", np.float64),
        ("boot_s", np.float64),
        ("safe_stop_delay_s", np.float64),
        # sheets and their places
        ("sheet_half_length_m", np.float64, (2,)),
        ("sheet_half_width_m", np.float64, (2,)),
        ("sheet_thickness_m", np.float64, (2,)),
        ("layer_thickness_m", np.float64),
        ("half_pitch_m", np.float64),
        ("table_end_m", np.float64),
        ("transfer_m", np.float64),
        ("arm_up_m", np.float64),
        ("contact_m", np.float64),
        ("reach_m", np.float64),  # how near an arm's x is to where it grips
        ("finger_in_m", np.float64),
        ("finger_down_m", np.float64),
        ("finger_clear_m", np.float64),
        ("unload_m", np.float64),
        ("cut_m", np.float64),
        ("tape_m", np.float64),
        ("tail_m", np.float64),  # web drawn by half a turn of the changer
        ("clamp_s", np.float64),  # a plate's clamps need to close
        ("conveyor_s", np.float64),  # and the conveyor to take a stack
        ("magazine_sheets", np.int32),
        ("magazine_refill", np.int32),
        # table
        ("mode_rad_s", np.float64),
        ("mode_damping", np.float64),
        ("mode_uncertainty", np.float64),
        ("mode_fall", np.float64),
        ("mode_mass_kg", np.float64),
        ("layer_mass_kg", np.float64),
        ("reference_layers", np.float64),
        # vacuum
        ("vacuum_level_pa", np.float64),
        ("vacuum_leak_pa", np.float64),
        ("vacuum_made_pa", np.float64),
        ("vacuum_released_pa", np.float64),
        ("vacuum_on_s", np.float64),
        ("vacuum_off_s", np.float64),
        ("vacuum_sigma_s", np.float64),
        ("hold_acceleration_m_s2", np.float64),
        ("miss_share", np.float64),
        ("double_share", np.float64),
        # scatter, sigma
        ("pick_m", np.float64),
        ("pick_rad", np.float64),
        ("drift_m_s", np.float64),
        ("table_m", np.float64),
        ("correction_m", np.float64),
        ("release_m", np.float64),
        ("release_rad", np.float64),
        ("drag_m", np.float64),
        ("drag_rad", np.float64),
        ("cut_scatter_m", np.float64),
        ("calibration_m", np.float64),
        ("thermal_m", np.float64),
        ("thermal_time_s", np.float64),
        ("curl_s", np.float64),
        # cameras: sheet, stack
        ("camera_median_s", np.float64, (2,)),
        ("camera_sigma_log", np.float64, (2,)),
        ("camera_m", np.float64, (2,)),
        ("camera_rad", np.float64, (2,)),
        ("camera_failure_share", np.float64, (2,)),
        ("camera_outlier_share", np.float64, (2,)),
        ("camera_outlier_m", np.float64),
        # web
        ("roller_height_m", np.float64),
        ("roller_radius_m", np.float64),
        ("stiffness_upstream_n_m", np.float64),
        ("stiffness_downstream_n_m", np.float64),
        ("web_damping_s", np.float64),
        ("guide_mass_kg", np.float64),
        ("feed_lag_s", np.float64),
        ("feed_lag_uncertainty", np.float64),
        ("feed_noise_m", np.float64),
        ("feed_noise_time_s", np.float64),
        ("slip_n", np.float64),
        ("dancer_mass_kg", np.float64),
        ("dancer_damping_n_s_m", np.float64),
        ("dancer_stiffness_n_m", np.float64),
        ("dancer_friction_n", np.float64),
        ("dancer_stop_m", np.float64),
        ("web_thickness_m", np.float64),
        ("core_radius_m", np.float64),
        ("roll_radius_m", np.float64),
        ("eccentricity_m", np.float64),
        ("loop_start_m", np.float64),
        ("loop_max_m", np.float64),
        ("edge_sigma_m", np.float64),
        ("edge_time_s", np.float64),
        ("edge_lag_s", np.float64),
        ("load_cell_lag_s", np.float64),
        ("load_cell_n", np.float64),
        ("radius_noise_m", np.float64),
        ("loop_noise_m", np.float64),
        ("thickness_noise_m", np.float64),
        # pneumatic fingers: a stroke's time and its scatter, 0 for servo fingers
        ("pneumatic_s", np.float64),
        ("pneumatic_sigma_s", np.float64),
        ("hipot_good_ohm", np.float64),
        ("judge", JUDGE_PARAMETERS_DTYPE),
    ],
    align=True,
)

FAULT_DTYPE = np.dtype(
    [
        ("at_ns", np.int64),  # plant time, or
        ("at_sheet", np.int64),  # sheets laid on the station; whichever is above 0
        ("duration_ns", np.int64),  # 0: once, or for good
        ("magnitude", np.float64),
        ("kind", np.int32),
        ("station", np.int32),
        ("index", np.int32),
        ("state", np.uint8),  # faults.FaultState
        ("until_ns", np.int64),
    ],
    align=True,
)

CONTEXT_DTYPE = np.dtype(
    [
        ("time_ns", np.int64),  # the plant's own clock
        ("period_ns", np.int64),
        ("idle_ns", np.int64),  # since the last exchange
        ("seed", np.int64),
        ("station_count", np.int32),
        ("substeps", np.int32),
        ("step_s", np.float64),
        ("fault_count", np.int32),
        ("faults", FAULT_DTYPE, (FAULTS_MAX,)),
        ("plant", PLANT_DTYPE),
        ("stations", STATION_DTYPE, (STATIONS_MAX,)),
    ],
    align=True,
)
