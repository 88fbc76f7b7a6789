"""The ten rules, looked at in every substep, on the load side, from truth alone.

Rules 6 (in part) and 9 are told where sheets change hands; the others stand here.
"""

from typing import Any

import numpy as np
from numba import njit

from drivers.cia402 import PowerState
from drivers.image import AXIS_COUNT, AxisId
from hal_sim.judge.layout import Rule
from hal_sim.judge.truth import add_residual, count_violation, observe
from hal_sim.layout import Place, WebEnd
from hal_sim.plant.web import swap_fold

_ARM_X, _Z = int(AxisId.ANODE_ARM_X), int(AxisId.TABLE_Z)
_FINGER = int(AxisId.FINGER_LEFT_FRONT_IN)
_DANCER = int(AxisId.DANCER)
_CHANGER = int(AxisId.CHANGER)
_THREADED, _TRAILING = int(WebEnd.THREADED), int(WebEnd.TRAILING)
_AIR = int(Place.AIR)
_ENABLED = int(PowerState.OPERATION_ENABLED)
_R1, _R2, _R3 = int(Rule.ARM_BELOW_CLEARANCE), int(Rule.TABLE_AT_PLACEMENT), 3
_R4, _R5, _R6 = int(Rule.FINGER_COLLISION), int(Rule.FOLD_EDGE_HELD), int(Rule.SHEET_DROPPED)
_R7, _R8 = int(Rule.WEB_TOUCHES_BEAM), int(Rule.BEAMS_APART)
_R10 = int(Rule.WEB_TENSION)
_CLAMPED_M = 0.0002  # a finger this near its end holds
_FOLDED_M = 0.00003  # and this near it presses the web no further
_SWEEP_M_S = 0.02
_WRAPPING_RAD = 0.05
_TURNING_RAD = 0.01
_AT_END_M = 0.001
_PI = 3.141592653589793


@njit(cache=True, nogil=True, error_model="numpy")
def _end_of(plant: Any, arm: int) -> float:
    """Where the table stands for an arm's placement."""
    return plant.table_end_m if arm == 1 else -plant.table_end_m


@njit(cache=True, nogil=True, error_model="numpy")
def _touch_down(plant: Any, station: Any, arm: int) -> None:
    """The arm has come into contact over the stack; the free fingers must be out of its way."""
    state = station.judge.arms[arm]
    state.touching = 1
    state.with_sheet = np.uint8(station.grippers[2 * arm].sheet.count > 0)
    state.done = 0
    state.clamped = 0
    state.touched_ns = station.judge.now_ns
    state.residual_max_m = 0.0
    free = 1 - arm
    low = 0.0
    for finger in range(2):
        low = max(low, station.axes[_FINGER + 4 * free + 2 * finger + 1].position_m)
    if station.judge.edges[free].inside or low > plant.judge.finger_margin_m:
        count_violation(station, _R5, free, low)
    if station.stack_clamped:
        count_violation(station, _R4, 2 + free, 0.0)


@njit(cache=True, nogil=True, error_model="numpy")
def _check_placement(plant: Any, station: Any, arm: int, away: float) -> None:
    """Rule 2: from touch-down to release the load stands still in its place."""
    limits, state = plant.judge, station.judge.arms[arm]
    released = station.grippers[2 * arm].sheet.count == 0
    if released if state.with_sheet else state.clamped:
        state.done = 1
        station.judge.active[_R2, arm] = 0
        if state.with_sheet:
            add_residual(station.judge, state.residual_max_m)
        return
    state.residual_max_m = max(state.residual_max_m, away)
    speed = abs(station.load_m_s)
    height = 0.0
    if state.with_sheet:
        layers = station.stack_count * plant.layer_thickness_m
        height = abs(station.axes[_Z].position_m + layers)
    moved = away > limits.residual_m or speed > limits.residual_m_s
    # a swinging load breaks the rule once a placement, not once a swing
    broken = moved or height > limits.height_m or station.judge.active[_R2, arm] == 1
    observe(station, _R2, arm, broken, away)


@njit(cache=True, nogil=True, error_model="numpy")
def _check_arm(plant: Any, station: Any, arm: int) -> None:
    """Rules 1, 2, 6, 7 and 8 of one arm."""
    limits, state = plant.judge, station.judge.arms[arm]
    x, z = station.axes[_ARM_X + 2 * arm], station.axes[_ARM_X + 2 * arm + 1]
    away = abs(station.load_m - _end_of(plant, arm))
    low = z.position_m < limits.clearance_m
    over = x.position_m > -0.6 * plant.transfer_m and away <= limits.near_m
    observe(station, _R1, arm, low and over and away > limits.window_m, away)
    observe(station, _R8, arm, low and abs(x.velocity_m_s) > _SWEEP_M_S, x.velocity_m_s)
    inner = plant.table_end_m - plant.sheet_half_length_m[arm] - x.position_m
    observe(station, _R8, 2 + arm, inner < plant.roller_radius_m + limits.beam_gap_m, inner)
    held = station.web.touches_beam and (station.web.side > 0.0) == (arm == 1)
    observe(station, _R7, arm, held and abs(x.velocity_m_s) > limits.touch_m_s, x.velocity_m_s)
    contact = z.position_m <= plant.contact_m
    touching = contact and over and abs(x.position_m) <= plant.reach_m
    if touching and not state.touching:
        _touch_down(plant, station, arm)
    if touching and not state.done:
        _check_placement(plant, station, arm, away)
    if state.touching and not contact:
        if state.with_sheet and state.done and not state.clamped and not station.judge.spoilt:
            count_violation(station, _R6, 2 * arm, z.position_m)
        state.touching = 0
        station.judge.active[_R2, arm] = 0


@njit(cache=True, nogil=True, error_model="numpy")
def _check_holding(plant: Any, station: Any, gripper: int) -> None:
    """Rule 6: acceleration beyond what the vacuum holds."""
    row = station.grippers[gripper]
    if row.sheet.count == 0 or row.place != _AIR:
        station.judge.active[_R6, gripper] = 0
        return
    first = _ARM_X + 2 * (gripper // 2)
    hardest = max(
        abs(station.axes[first].acceleration_m_s2), abs(station.axes[first + 1].acceleration_m_s2)
    )
    share = row.pressure_pa / plant.vacuum_level_pa
    broken = hardest > plant.hold_acceleration_m_s2 * share
    observe(station, _R6, gripper, broken and not row.lost and not station.air_low, hardest)


@njit(cache=True, nogil=True, error_model="numpy")
def _fold(plant: Any, station: Any, edge: int, gap: float) -> None:
    """Fingers that are wholly down, or down with the arm gone, make their edge the fold."""
    state = station.judge.edges[edge]
    if state.folded or (gap > _FOLDED_M and station.judge.arms[1 - edge].touching):
        return
    state.folded = 1
    web = station.web
    side = 1.0 if edge == 1 else -1.0
    if web.end != _THREADED:
        return
    if web.side == side:
        web.clamped_by_fingers = 1
    elif web.side * station.load_m > plant.half_pitch_m:  # the web runs over this edge
        swap_fold(plant, station, side)


@njit(cache=True, nogil=True, error_model="numpy")
def _unclamp(plant: Any, station: Any, edge: int) -> None:
    """Rule 5: fingers may leave only an edge that no longer is the fold, 2 ms after the new ones."""
    judge = station.judge
    judge.edges[edge].down = 0
    judge.edges[edge].folded = 0
    if station.web.end != _THREADED or station.web.wrapped_rad > _WRAPPING_RAD or judge.spoilt:
        return
    bare = station.stack_count == 0 and not station.web.clamped_by_fingers
    if station.stack_clamped or bare:
        return
    side = 1.0 if edge == 1 else -1.0
    new = judge.edges[1 - edge]
    early = not new.down or judge.now_ns - new.down_ns < plant.judge.finger_lead_ns
    if station.web.side == side or early:
        count_violation(station, _R5, 2 + edge, np.float64(judge.now_ns - new.down_ns) * 1e-9)


@njit(cache=True, nogil=True, error_model="numpy")
def _check_edge(plant: Any, station: Any, edge: int) -> None:
    """Rules 3, 4 and 5 of one edge's two fingers."""
    state, arm = station.judge.edges[edge], station.judge.arms[1 - edge]
    first = _FINGER + 4 * edge
    inmost = max(station.axes[first].position_m, station.axes[first + 2].position_m)
    outmost = min(station.axes[first].position_m, station.axes[first + 2].position_m)
    lowest = max(station.axes[first + 1].position_m, station.axes[first + 3].position_m)
    highest = min(station.axes[first + 1].position_m, station.axes[first + 3].position_m)
    inside = inmost > plant.finger_clear_m
    bare = station.stack_count == 0 and not station.web.clamped_by_fingers
    if inside and not state.inside and not bare:
        if not arm.touching:
            count_violation(station, _R3, edge, inmost)
        height = plant.finger_down_m - lowest
        if height < plant.judge.finger_margin_m:
            count_violation(station, _R4, edge, height)
    state.inside = inside
    down = highest > plant.finger_down_m - _CLAMPED_M and outmost > plant.finger_in_m - 0.001
    if state.down and not down:
        _unclamp(plant, station, edge)
    elif down:
        if not state.down:
            state.down = 1
            state.down_ns = station.judge.now_ns
        _fold(plant, station, edge, plant.finger_down_m - highest)
        if arm.touching:
            arm.clamped = 1


@njit(cache=True, nogil=True, error_model="numpy")
def _check_fold(plant: Any, station: Any) -> None:
    """Rule 5: outside the window the fold is held by its fingers."""
    web, judge = station.web, station.judge
    loose = web.end != _THREADED or not web.clamped_by_fingers or judge.spoilt
    loose = loose or station.stack_clamped
    if loose or web.wrapped_rad > _WRAPPING_RAD:
        judge.active[_R5, 0] = 0
        return
    edge = 1 if web.side > 0.0 else 0
    away = abs(abs(station.load_m) - plant.table_end_m)
    broken = away > plant.judge.window_m and not judge.edges[edge].down
    observe(station, _R5, 0, broken, away)


@njit(cache=True, nogil=True, error_model="numpy")
def _check_tension(plant: Any, station: Any) -> None:
    """Rule 10: while a cell is stacked the web is taut, the dancer free, the nip holds."""
    web, judge = station.web, station.judge
    working = judge.layer_count > 0 and web.end == _THREADED and web.wrapped_rad < _WRAPPING_RAD
    working = working or web.end == _TRAILING
    if not working or judge.spoilt or station.emergency_stop:
        for slot in range(4):
            judge.active[_R10, slot] = 0
        return
    observe(station, _R10, 0, web.tension_n <= 0.0, web.tension_n)
    dancer = station.axes[_DANCER].position_m
    observe(station, _R10, 1, abs(dancer) >= plant.dancer_stop_m, dancer)
    observe(station, _R10, 2, web.slips == 1, web.tension_dancer_n)
    observe(station, _R10, 3, web.loop_blocked == 1, web.loop_m)


@njit(cache=True, nogil=True, error_model="numpy")
def _check_changer(plant: Any, station: Any) -> None:
    """While the changer turns its stack is clamped (rule 5), and nothing is in its way (rule 8).

    The tail between old and new cell is cut before the table moves (rule 10).
    """
    judge = station.judge
    away = abs(station.load_m - plant.table_end_m) > _AT_END_M
    observe(station, _R10, 5, station.wrapping.uncut == 1 and away, station.load_m)
    turning = abs(station.axes[_CHANGER].position_m - _PI * station.plate) > _TURNING_RAD
    if not turning:
        judge.active[_R5, 4] = 0
        judge.active[_R8, 5] = 0
        judge.active[_R8, 6] = 0
        return
    loose = station.stack_count > 0 and not station.stack_clamped and not judge.spoilt
    observe(station, _R5, 4, loose, station.axes[_CHANGER].position_m)
    low = judge.edges[0].inside == 1 or judge.edges[1].inside == 1
    for arm in range(2):
        x, z = station.axes[_ARM_X + 2 * arm], station.axes[_ARM_X + 2 * arm + 1]
        over = x.position_m > -0.6 * plant.transfer_m
        low = low or (over and z.position_m < 0.5 * plant.arm_up_m)
    observe(station, _R8, 5, low, station.axes[_CHANGER].position_m)
    observe(station, _R8, 6, away, station.load_m)


@njit(cache=True, nogil=True, error_model="numpy")
def judge_power(station: Any) -> None:
    """Once a period: where a drive is without power, the cell in work is scrap.

    From then on it may be let go; colliding and dropping stay forbidden.
    """
    judge = station.judge
    if station.stack_count == 0 and not station.web.clamped_by_fingers:
        judge.spoilt = 0
        return
    for axis in range(AXIS_COUNT):
        if station.axes[axis].power_state != _ENABLED:
            judge.spoilt = 1


@njit(cache=True, nogil=True, error_model="numpy")
def judge_step(plant: Any, station: Any) -> None:
    """Look at one station after a substep of its plant."""
    for arm in range(2):
        _check_arm(plant, station, arm)
    for edge in range(2):
        _check_edge(plant, station, edge)
    for gripper in range(4):
        _check_holding(plant, station, gripper)
    _check_fold(plant, station)
    _check_tension(plant, station)
    _check_changer(plant, station)
    left = plant.table_end_m - plant.sheet_half_length_m[0] - station.axes[_ARM_X].position_m
    right = plant.table_end_m - plant.sheet_half_length_m[1] - station.axes[_ARM_X + 2].position_m
    gap = left + right
    observe(station, _R8, 4, gap < plant.judge.beam_gap_m, gap)
