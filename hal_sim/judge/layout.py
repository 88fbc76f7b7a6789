"""The judge's memory: what is true of every layer and cell, and every broken rule."""

from enum import IntEnum

import numpy as np

LAYERS_MAX = 160
CELLS_MAX = 256
VIOLATIONS_MAX = 64
OVERLAY_BINS = 2000  # of 1 um
THETA_BINS = 2000  # of 1e-4 degrees
RESIDUAL_BINS = 2000  # of 0.1 um


class Rule(IntEnum):
    """The ten rules, numbered as the machine's description does."""

    ARM_BELOW_CLEARANCE = 1
    TABLE_AT_PLACEMENT = 2
    FINGER_BEFORE_TOUCH_DOWN = 3
    FINGER_COLLISION = 4
    FOLD_EDGE_HELD = 5
    SHEET_DROPPED = 6
    WEB_TOUCHES_BEAM = 7
    BEAMS_APART = 8
    UNCORRECTED_SHEET = 9
    WEB_TENSION = 10


RULE_COUNT = len(Rule) + 1
SLOTS = 8  # ways to break one rule at once

LAYER_DTYPE = np.dtype(
    [
        ("pose", np.float64, (3,)),  # on the stack, against nominal
        ("edge_m", np.float64, (4,)),  # outward shift: left, right, front, rear
        ("at_ns", np.int64),
        ("polarity", np.int32),
        ("count", np.int32),
    ],
    align=True,
)

# Sums over samples of a deviation from the set tension.
TENSION_DTYPE = np.dtype(
    [
        ("count", np.int64),
        ("square_n2", np.float64),
        ("peak_n", np.float64),
        ("min_n", np.float64),
        ("max_n", np.float64),
    ],
    align=True,
)

CELL_DTYPE = np.dtype(
    [
        ("cell", np.int64),
        ("sheets", np.int32),
        ("doubles", np.int32),
        ("first_ns", np.int64),
        ("last_ns", np.int64),
        ("overhang_min_m", np.float64, (4,)),
        ("wraps", np.float64),
        ("tension", TENSION_DTYPE),
        ("in_order", np.uint8),  # anode, cathode, ... anode
        ("taped", np.uint8),
        ("hipot_bad", np.uint8),
        ("splice", np.uint8),
        ("good", np.uint8),
    ],
    align=True,
)

VIOLATION_DTYPE = np.dtype(
    [
        ("time_ns", np.int64),
        ("cell", np.int64),
        ("rule", np.int32),
        ("sheet", np.int32),
        ("index", np.int32),  # arm, finger edge or gripper
        ("value", np.float64),
        ("load_m", np.float64),
    ],
    align=True,
)

JUDGE_PARAMETERS_DTYPE = np.dtype(
    [
        ("clearance_m", np.float64),
        ("window_m", np.float64),
        ("residual_m", np.float64),
        ("residual_m_s", np.float64),
        ("height_m", np.float64),
        ("near_m", np.float64),
        ("finger_margin_m", np.float64),
        ("finger_lead_ns", np.int64),
        ("touch_m_s", np.float64),
        ("beam_gap_m", np.float64),
        ("stage_motion_m", np.float64),
        ("stage_motion_rad", np.float64),
        ("pick_velocity_m_s", np.float64),
        ("correction_m", np.float64),
        ("overhang_m", np.float64),
        ("overhang_min_m", np.float64),
        ("tension_n", np.float64),
        ("tension_min_n", np.float64),
        ("tension_max_n", np.float64),
        ("recovery_factor", np.float64),
    ],
    align=True,
)

ARM_JUDGE_DTYPE = np.dtype(
    [
        ("now_ns", np.int64),
        ("touching", np.uint8),  # in contact, forward
        ("with_sheet", np.uint8),
        ("done", np.uint8),  # released or, without a sheet, clamped
        ("clamped", np.uint8),  # new edge's fingers down since the touch-down
        ("touched_ns", np.int64),
        ("residual_max_m", np.float64),
    ],
    align=True,
)

EDGE_JUDGE_DTYPE = np.dtype(
    [
        ("now_ns", np.int64),
        ("inside", np.uint8),
        ("down", np.uint8),
        ("folded", np.uint8),  # the web lies round them
        ("down_ns", np.int64),
    ],
    align=True,
)

JUDGE_DTYPE = np.dtype(
    [
        ("now_ns", np.int64),
        ("arms", ARM_JUDGE_DTYPE, (2,)),
        ("edges", EDGE_JUDGE_DTYPE, (2,)),
        ("active", np.uint8, (RULE_COUNT, SLOTS)),
        ("violation_counts", np.int64, (RULE_COUNT,)),
        ("violation_count", np.int64),
        ("violations", VIOLATION_DTYPE, (VIOLATIONS_MAX,)),
        ("cell", np.int64),
        ("layer_count", np.int32),
        ("layers", LAYER_DTYPE, (LAYERS_MAX,)),
        ("splice", np.uint8),
        ("spoilt", np.uint8),  # drives lost power over it: what is left is scrap
        ("doubles", np.int32),
        ("wraps", np.float64),
        ("overhang_min_m", np.float64, (4,)),
        ("in_order", np.uint8),
        ("first_ns", np.int64),
        ("last_ns", np.int64),
        ("shortest_ns", np.int64),  # between two placements of the run
        ("sample_ns", np.int64),
        ("tension_pending", TENSION_DTYPE),  # since the last placement
        ("tension_cell", TENSION_DTYPE),
        ("tension_first", TENSION_DTYPE),  # pooled: the first cell,
        ("tension_second", TENSION_DTYPE),  # the second, in which a controller may still learn,
        ("tension", TENSION_DTYPE),  # the others,
        ("tension_recovery", TENSION_DTYPE),  # and intervals with a recovery
        ("cells_unloaded", np.int64),
        ("cells_good", np.int64),
        ("cells", CELL_DTYPE, (CELLS_MAX,)),
        ("wrapping", CELL_DTYPE),  # the cell at the wrapping place
        ("unloading", CELL_DTYPE),  # the cell that leaves straight from the table
        ("sheets_laid", np.int64),
        ("interval_s", np.float64),  # sums over cells of (last - first) and of (sheets - 1)
        ("interval_count", np.int64),
        ("change_s", np.float64),  # sum over cell changes of (first sheet - last one before)
        ("change_count", np.int64),
        ("run_first_ns", np.int64),
        ("run_last_first_ns", np.int64),
        ("run_sheets_before", np.int64),
        ("dropped", np.int64),
        ("discarded", np.int64),
        ("overlay_square_m2", np.float64),
        ("overlay_sum_m", np.float64),
        ("overlay_count", np.int64),
        ("overlay_max_m", np.float64),
        ("overlay_bins", np.int64, (OVERLAY_BINS,)),
        ("pair_max_m", np.float64),
        ("pair_bins", np.int64, (OVERLAY_BINS,)),
        ("theta_max_rad", np.float64),
        ("theta_bins", np.int64, (THETA_BINS,)),
        ("residual_max_m", np.float64),
        ("residual_bins", np.int64, (RESIDUAL_BINS,)),
        ("irreducible_square_m2", np.float64),
        ("irreducible_count", np.int64),
    ],
    align=True,
)
