"""The half fold in time: who waits for whom between two touch-downs, and the ideal bound beside it."""

from dataclasses import dataclass

import numpy as np

from controller.planning.profiles import (
    fastest_move,
    limits_of,
    load_window_times,
    time_to_cover,
    time_within,
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


@dataclass(frozen=True)
class _Rise:
    """The arriving arm's way up and down, and what the half fold waits for it."""

    apex_m: float
    time_s: float  # up, and down again
    web_meets_s: float  # before touch-down
    wait_s: float


def _rise(
    station: StationSettings,
    recipe: RecipeSettings,
    table: CamTable,
    touch_down: float,
    arrived: float,
) -> _Rise:
    """As high as the half fold waits least for: higher takes longer, lower meets the web sooner."""
    limits = limits_of(station.axes.arm_z.values)
    best = None
    for share in APEX_SHARES:
        apex = share * station.arm.stroke_m
        lower = fastest_move(apex, limits)
        meets = _web_meets_sheet(station, recipe, table, lower, time_to_cover(lower, CONTACT_M))
        wait = max(arrived - (touch_down - meets), 2.0 * (MOVE_GAP_S + lower.length) - touch_down)
        if best is None or (wait < best.wait_s - 1e-9 and best.wait_s > 0.0):
            best = _Rise(apex, lower.length, meets, max(wait, 0.0))
    assert best is not None
    return best


@dataclass(frozen=True)
class _Leave:
    """The leaving arm's way to stage and magazine."""

    transfer_s: float
    apex_m: float
    time_s: float  # up, and down again
    pick_s: float


def _leave(station: StationSettings, release: float, clear: float) -> _Leave:
    """As early as the arm's height lets it go, and down again beside the end of its transfer."""
    arm, x_limits = station.arm, limits_of(station.axes.arm_x.values)
    apex = LEAVE_APEX_SHARE * arm.stroke_m
    lower = fastest_move(apex, limits_of(station.axes.arm_z.values))
    creep = time_within(CREEP_M_S, x_limits)
    transfer = release + clear - creep
    still = transfer + fastest_move(arm.transfer_m, x_limits).length - creep
    pick = max(
        still + time_to_cover(lower, arm.clearance_m + CLEARANCE_RESERVE_M),
        release + MOVE_GAP_S + 2.0 * lower.length,
    )
    return _Leave(transfer, apex, lower.length, pick)


def timeline(station: StationSettings, recipe: RecipeSettings, table: CamTable) -> Timeline:
    """Lay out the half fold around the table's move (a cam from 0 to the stroke).

    The table may use the whole of its window while the arm is below its clearance height. The arriving
    arm leaves its magazine at touch-down already: it must stand still before the web reaches its sheet.
    Raises PlanRefused where that cannot be.
    """
    arm, x_limits = station.arm, limits_of(station.axes.arm_x.values)
    frequencies, damping = table_frequencies(station), station.table_mode.damping
    left, stays = load_window_times(table, arm.window_m, frequencies, damping)
    lower = fastest_move(arm.stroke_m, limits_of(station.axes.arm_z.values))
    clear = time_to_cover(lower, arm.clearance_m + CLEARANCE_RESERVE_M)
    contact = time_to_cover(lower, CONTACT_M)
    transfer = fastest_move(arm.transfer_m, x_limits)
    release = release_time(station)
    table_start = release + max(clear + WINDOW_RESERVE_S - left, contact)
    table_end = table_start + table.length
    touch_down = max(table_end + contact, table_end - stays + WINDOW_RESERVE_S + clear)
    arrive_transfer = MOVE_GAP_S + clear - time_within(CREEP_M_S, x_limits)
    arrived = arrive_transfer + transfer.length
    still = arrived - time_within(WEB_TOUCH_M_S, x_limits)
    rise = _rise(station, recipe, table, touch_down, still)
    period = touch_down + rise.wait_s
    leave = _leave(station, release, clear)
    if leave.pick_s > period:
        raise PlanRefused(
            f"arm_x: transfer = {transfer.length:.3f} s: the arm reaches its stage "
            f"{leave.pick_s - period:.3f} s too late; raise arm_x's limits or shorten the transfer"
        )
    return Timeline(
        release_s=release,
        table_start_s=table_start + rise.wait_s,
        table_end_s=table_end + rise.wait_s,
        period_s=period,
        transfer_time_s=transfer.length,
        arrive_lift_s=MOVE_GAP_S,
        arrive_transfer_s=arrive_transfer,
        arrived_s=arrived,
        apex_m=rise.apex_m,
        lower_time_s=rise.time_s,
        web_meets_s=period - rise.web_meets_s,
        leave_transfer_s=leave.transfer_s,
        leave_apex_m=leave.apex_m,
        leave_time_s=leave.time_s,
        pick_s=leave.pick_s,
        ready_s=leave.pick_s - leave.time_s,
        clear_gate_s=period - clear - 0.004,
        quiet_gate_s=period - contact - QUIET_LEAD_S,
        old_fingers_s=release + 0.003,
        critical=(
            ("release and clamp", release),
            ("arm clear of the window", table_start - release),
            ("table traverse", table.length),
            ("final descent after the traverse", touch_down - table_end),
            ("arriving arm before the web", rise.wait_s),
        ),
    )
