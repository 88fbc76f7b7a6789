"""The half fold in time: who waits for whom between two touch-downs, and the ideal bound beside it."""

from dataclasses import dataclass
from math import sqrt

import numpy as np

from controller.planning.profiles import (
    fastest_move,
    limits_of,
    load_window_times,
    time_to_cover,
)
from controller.settings.machine import StationSettings
from controller.settings.recipe import RecipeSettings
from motion.cam_table import CamTable
from motion.optimise_problem import PlacementWindow

# Sensors and drives show the end of a move one or two cycles late; gates at rest wait for them.
SENSOR_LAG_S = 0.0010
# The load's window is judged at the true mode; the planned arm keeps this distance from it.
WINDOW_RESERVE_S = 0.0001
CLEARANCE_RESERVE_M = 0.0001
CONTACT_M = 0.0001  # an arm this low touches: the load stands still by then
# The arriving arm lifts this long after touch-down; its grip was confirmed before.
MOVE_GAP_S = 1e-5  # before and between the moves of an axis
GRIP_GATE_S = 1e-6
# An arm slower than this may be low, one slower than that may be touched by the web.
CREEP_M_S = 0.012
WEB_TOUCH_M_S = 0.035
# The master waits for a quiet load this long before that: at a stand the arm must not touch yet, and
# what way the table has left then makes no swing.
QUIET_LEAD_S = 0.0005
APEX_SHARES = np.linspace(1.0, 0.7, 31)
SAMPLES = 4001
LEAVE_APEX_SHARE = 0.5  # of the arm's stroke: how high the leaving arm lifts on its way


class PlanRefused(ValueError):
    """A recipe that the machine cannot make: names what, value, limit and remedy."""


@dataclass(frozen=True)
class Bound:
    """MACHINE's ideal bound a sheet, from the limits alone, and its parts in seconds."""

    traverse_s: float
    window_s: float
    clearance_s: float
    finger_s: float
    vacuum_off_s: float

    @property
    def seconds(self) -> float:
        """(T - 2 w) + max(c, w) + max(finger in, vacuum off) + max(c, w)."""
        step = max(self.clearance_s, self.window_s)
        hold = max(self.finger_s, self.vacuum_off_s)
        return self.traverse_s - 2.0 * self.window_s + 2.0 * step + hold


def ideal_bound(station: StationSettings) -> Bound:
    """The bound of a station's limits: time-optimal third-order moves and no settling."""
    arm = station.arm
    table = fastest_move(station.table.stroke_m, limits_of(station.axes.table_x.values))
    reference = fastest_move(arm.reference_stroke_m, limits_of(station.axes.arm_z.values))
    return Bound(
        traverse_s=table.length,
        window_s=time_to_cover(table, arm.window_m),
        clearance_s=time_to_cover(reference, arm.clearance_m),
        finger_s=station.fingers.time_s,
        vacuum_off_s=station.vacuum.off_time_s,
    )


@dataclass(frozen=True)
class Timeline:
    """Instants of one half fold, seconds from its touch-down; the next one's is `period_s`."""

    release_s: float  # fingers clamped, vacuum gone: the leaving arm lifts
    table_start_s: float
    table_end_s: float
    period_s: float
    transfer_time_s: float  # of an arm's X
    arrive_lift_s: float  # the arriving arm has gripped and lifts
    arrive_transfer_s: float
    arrived_s: float  # it stands over the stack's end, still up
    apex_m: float  # its highest point
    lower_time_s: float  # its way up, and down again
    web_meets_s: float  # the web rises to its sheet's inner edge
    leave_transfer_s: float
    leave_apex_m: float
    leave_time_s: float  # up, and down again
    pick_s: float  # the leaving arm stands on stage and magazine
    ready_s: float  # it starts down when the sheet on that stage is corrected, planned for here
    clear_gate_s: float  # the old fingers must be away by here
    quiet_gate_s: float  # the table all but stands, the arm is about to touch
    old_fingers_s: float
    critical: tuple[tuple[str, float], ...]  # names and seconds of the critical path


def table_frequencies(station: StationSettings) -> np.ndarray:
    """Mode frequencies to be ready for: the tolerance and the fall over a growing stack."""
    mode = station.table_mode
    low = mode.frequency_hz * (1.0 - mode.tolerance)
    high = mode.frequency_hz * (1.0 + mode.tolerance)
    return np.linspace(low, high, 9)


def release_time(station: StationSettings) -> float:
    """From touch-down until the fingers are seen to hold and the vacuum to be gone."""
    return max(station.fingers.time_s, station.vacuum.off_time_s) + SENSOR_LAG_S


def table_rest(station: StationSettings) -> float:
    """How long the table stands in each half fold, at the least."""
    lower = fastest_move(station.arm.stroke_m, limits_of(station.axes.arm_z.values))
    return release_time(station) + 2.0 * time_to_cover(lower, CONTACT_M)


def placement_window(station: StationSettings) -> PlacementWindow:
    """What the table may do beside a lifting or lowering arm: move, but inside the window, from
    the moment the arm lets go of the stack until it touches again.
    """
    arm = station.arm
    lower = fastest_move(arm.stroke_m, limits_of(station.axes.arm_z.values))
    clear = time_to_cover(lower, arm.clearance_m + CLEARANCE_RESERVE_M)
    beside = clear + WINDOW_RESERVE_S - time_to_cover(lower, CONTACT_M)
    return PlacementWindow(arm.window_m, beside, beside)


def _web_meets_sheet(
    station: StationSettings,
    recipe: RecipeSettings,
    table: CamTable,
    lower: CamTable,
    lead_s: float,
) -> float:
    """When the rising web reaches the sheet's inner edge, waiting or lowering, in seconds before touch-down.

    Table and arm end their moves `lead_s` apart. The web is the line from the fold to the rollers.
    """
    times = np.linspace(0.0, max(lower.length, lead_s + table.length), SAMPLES)
    lowered = np.minimum(times, lower.length)
    height = lower.sample(lower.start + lowered)[:, 0]  # a move and its mirror image cover alike
    before_end = np.clip(times - lead_s, 0.0, table.length)
    end = 0.5 * station.table.stroke_m
    moved = table.sample(table.end - before_end)[:, 0] - table.sample([table.start])[0, 0]
    fold = -end + moved + 0.5 * recipe.fold_pitch_m
    edge = end - 0.5 * recipe.cathode.length_x_m - recipe.anode.overhang_m  # the longer sheet's
    line = station.web.roller_height_m * np.where(
        fold > edge, 1.0 - edge / np.maximum(fold, edge), 0
    )
    touching = np.flatnonzero(line >= height)
    return float(times[touching[-1]]) if touching.size else 0.0


def _apex(
    station: StationSettings,
    recipe: RecipeSettings,
    table: CamTable,
    touch_down: float,
    arrived: float,
) -> tuple[float, CamTable, float, float]:
    """How high the arriving arm rises so that the half fold waits least for it.

    Higher takes longer both ways, lower meets the web sooner: (apex m, its move, when the web meets
    the sheet in seconds before touch-down, seconds to wait).
    """
    limits = limits_of(station.axes.arm_z.values)
    best = None
    for share in APEX_SHARES:
        apex = share * station.arm.stroke_m
        lower = fastest_move(apex, limits)
        meets = _web_meets_sheet(station, recipe, table, lower, time_to_cover(lower, CONTACT_M))
        wait = max(arrived - (touch_down - meets), 2.0 * (MOVE_GAP_S + lower.length) - touch_down)
        if best is None or (wait < best[3] - 1e-9 and best[3] > 0.0):
            best = apex, lower, meets, max(wait, 0.0)
    assert best is not None
    return best


def timeline(station: StationSettings, recipe: RecipeSettings, table: CamTable) -> Timeline:
    """Lay out the half fold around the table's move (a cam from 0 to the stroke).

    The table may use the whole of its window while the arm is below its clearance height. The arriving
    arm leaves its magazine at touch-down already: it must stand still before the web reaches its sheet.
    Raises PlanRefused where that cannot be.
    """
    arm, axes = station.arm, station.axes
    z_limits, x_limits = limits_of(axes.arm_z.values), limits_of(axes.arm_x.values)
    frequencies, damping = table_frequencies(station), station.table_mode.damping
    leave, stay = load_window_times(table, arm.window_m, frequencies, damping)
    clearance = arm.clearance_m + CLEARANCE_RESERVE_M
    lower = fastest_move(arm.stroke_m, z_limits)
    clear = time_to_cover(lower, clearance)
    contact = time_to_cover(lower, CONTACT_M)
    transfer = fastest_move(arm.transfer_m, x_limits)
    creep = sqrt(2.0 * CREEP_M_S / x_limits.jerk)
    web_creep = sqrt(2.0 * WEB_TOUCH_M_S / x_limits.jerk)
    release = release_time(station)
    table_start = release + max(clear + WINDOW_RESERVE_S - leave, contact)
    table_end = table_start + table.length
    touch_down = max(table_end + contact, table_end - stay + WINDOW_RESERVE_S + clear)
    arrive_transfer = MOVE_GAP_S + clear - creep
    arrived = arrive_transfer + transfer.length
    apex, rise, meets, wait = _apex(station, recipe, table, touch_down, arrived - web_creep)
    period, table_start, table_end = touch_down + wait, table_start + wait, table_end + wait
    leave_apex = LEAVE_APEX_SHARE * arm.stroke_m
    leave_time = fastest_move(leave_apex, z_limits).length
    leave_transfer = release + clear - creep
    still = leave_transfer + transfer.length - creep
    pick = max(
        still + time_to_cover(fastest_move(leave_apex, z_limits), clearance),
        release + MOVE_GAP_S + 2.0 * leave_time,
    )
    if pick > period:
        raise PlanRefused(
            f"arm_x: transfer = {transfer.length:.3f} s: the arm reaches its stage {pick - period:.3f} s "
            "too late; raise arm_x's limits or shorten the transfer"
        )
    return Timeline(
        release_s=release,
        table_start_s=table_start,
        table_end_s=table_end,
        period_s=period,
        transfer_time_s=transfer.length,
        arrive_lift_s=MOVE_GAP_S,
        arrive_transfer_s=arrive_transfer,
        arrived_s=arrived,
        apex_m=apex,
        lower_time_s=rise.length,
        web_meets_s=period - meets,
        leave_transfer_s=leave_transfer,
        leave_apex_m=leave_apex,
        leave_time_s=leave_time,
        pick_s=pick,
        ready_s=pick - leave_time,
        clear_gate_s=period - clear - 0.004,
        quiet_gate_s=period - contact - QUIET_LEAD_S,
        old_fingers_s=release + 0.003,
        critical=(
            ("release and clamp", release),
            ("arm clear of the window", table_start - wait - release),
            ("table traverse", table.length),
            ("final descent after the traverse", touch_down - table_end + wait),
            ("arriving arm before the web", wait),
        ),
    )
