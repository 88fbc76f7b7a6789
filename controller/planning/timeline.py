"""The half fold in time: who waits for whom between two touch-downs, and the ideal bound beside it."""

from dataclasses import dataclass

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

# Sensors and drives show the end of a move one or two cycles late; gates at rest wait for them.
SENSOR_LAG_S = 0.0012
# The load's window is judged at the true mode; the planned arm keeps this distance from it.
WINDOW_RESERVE_S = 0.0006
CLEARANCE_RESERVE_M = 0.0001


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

    release_s: float  # fingers clamped, vacuum gone: the arms lift
    table_start_s: float
    table_end_s: float
    period_s: float
    transfer_start_s: float  # of both arms' X
    transfer_time_s: float
    apex_m: float  # the arriving arm's highest point
    lift_time_s: float  # arriving arm, up
    lower_time_s: float
    retreat_apex_m: float  # the leaving arm's highest point
    retreat_time_s: float
    pick_s: float  # the leaving arm stands on stage and magazine
    ready_gate_s: float  # the sheet on that stage must be corrected by here
    clear_gate_s: float  # the old fingers must be away by here
    stage_home_s: float
    old_fingers_s: float
    critical: tuple[tuple[str, float], ...]  # names and seconds of the critical path


def table_frequencies(station: StationSettings) -> np.ndarray:
    """Mode frequencies to be ready for: the tolerance and the fall over a growing stack."""
    mode = station.table_mode
    low = mode.frequency_hz * (1.0 - mode.tolerance)
    high = mode.frequency_hz * (1.0 + mode.tolerance)
    return np.linspace(low, high, 9)


def _arm_apex(station: StationSettings, available_s: float) -> float:
    """Highest apex, up to the stroke, that up and down again reach in the time available."""
    limits = limits_of(station.axes.arm_z.values)
    low, high = 0.0, station.arm.stroke_m
    if 2.0 * fastest_move(high, limits).length <= available_s:
        return high
    for _ in range(40):
        middle = 0.5 * (low + high)
        if 2.0 * fastest_move(middle, limits).length <= available_s:
            low = middle
        else:
            high = middle
    return low


def timeline(station: StationSettings, recipe: RecipeSettings, table: CamTable) -> Timeline:
    """Lay out the half fold around the table's move (a cam from 0 to the stroke).

    The table may use the whole of its 0.5 mm window while the arm is below its clearance height;
    the arms' transfers lie inside the traverse. Raises PlanRefused where that cannot be.
    """
    arm, axes = station.arm, station.axes
    z_limits, x_limits = limits_of(axes.arm_z.values), limits_of(axes.arm_x.values)
    frequencies = table_frequencies(station)
    damping = station.table_mode.damping
    leave, stay = load_window_times(table, arm.window_m, frequencies, damping)
    clearance = arm.clearance_m + CLEARANCE_RESERVE_M
    final = time_to_cover(fastest_move(arm.reference_stroke_m, z_limits), clearance)
    release = max(station.fingers.time_s, station.vacuum.off_time_s) + SENSOR_LAG_S
    table_start = release + max(final + WINDOW_RESERVE_S - leave, 0.0)
    table_end = table_start + table.length
    touch_down = max(table_end, table_end - stay + WINDOW_RESERVE_S + final)
    transfer = fastest_move(arm.transfer_m, x_limits).length
    arm_needs = release + 2.0 * final + transfer
    period = max(touch_down, arm_needs)
    shift = period - touch_down
    apex = _arm_apex(station, period - release)
    if apex < 3.0 * arm.clearance_m:
        raise PlanRefused(
            f"arm_z: apex = {apex:.4f} m in {period - release:.3f} s: below three times the clearance "
            f"{arm.clearance_m} m; raise arm_z's limits or lower the table's"
        )
    rise = fastest_move(apex, z_limits)
    retreat_apex = min(apex, 0.5 * arm.stroke_m)
    retreat = fastest_move(retreat_apex, z_limits)
    rise_clear = time_to_cover(rise, clearance)
    transfer_start = release + rise_clear
    pick = max(transfer_start + transfer + rise_clear, release + 2.0 * retreat.length)
    if pick > period:
        raise PlanRefused(
            f"arm_x: transfer = {transfer:.3f} s: the arm reaches its stage {pick - period:.3f} s too "
            "late; raise arm_x's limits or shorten the transfer"
        )
    return Timeline(
        release_s=release,
        table_start_s=table_start,
        table_end_s=table_end,
        period_s=period,
        transfer_start_s=transfer_start,
        transfer_time_s=transfer,
        apex_m=apex,
        lift_time_s=rise.length,
        lower_time_s=rise.length,
        retreat_apex_m=retreat_apex,
        retreat_time_s=retreat.length,
        pick_s=pick,
        ready_gate_s=pick - rise_clear - 0.002,
        clear_gate_s=period - final - 0.004,
        stage_home_s=transfer_start,
        old_fingers_s=release + 0.003,
        critical=(
            ("release and clamp", release),
            ("arm clear of the window", table_start - release),
            ("table traverse", table.length),
            ("final descent after the traverse", touch_down - table_end),
            ("arms' transfer", shift),
        ),
    )
