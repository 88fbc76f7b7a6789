"""From settings and recipe to a cycle plan: the records the core runs."""

import hashlib
from dataclasses import dataclass
from math import hypot

import numpy as np
from numpy.typing import NDArray
from scipy import linalg

from controller.planning.cams import ARMS, HALVES, Half, half_cams, table_cam
from controller.planning.change import CellChange, cell_change
from controller.planning.learning import (
    learning_bin_s,
    learning_filter,
    table_answers,
    tension_answers,
)
from controller.planning.routines import Step, routines
from controller.planning.table import (
    Progress,
    residual_amplitude,
    slow_table_move,
    swing_decay,
    table_move,
)
from controller.planning.timeline import (
    CLEARANCE_RESERVE_M,
    GRIP_GATE_S,
    Bound,
    PlanRefused,
    Timeline,
    ideal_bound,
    timeline,
)
from controller.settings.machine import MachineSettings, StationSettings
from controller.settings.recipe import RecipeSettings
from controller.shared.alarms import AlarmId
from controller.shared.conditions import ConditionId
from controller.shared.learned import Learner
from controller.shared.plan import (
    GATES_MAX,
    PLAN_DTYPE,
    SEGMENTS_MAX,
    STEPS_MAX,
    SWITCHES_MAX,
    Action,
    GateKind,
    RoutineId,
)
from drivers.image import AXIS_KIND, AxisId, AxisKind, Polarity
from motion.cam_table import CamTable, pack

GATE_TIMEOUT_S = 5.0
ARM_CLEAR_RESERVE_M = 0.001
TABLE_ERROR_MAX_M = 1e-4  # a following error beyond is nothing to learn from
RELEASE_LATE = 2.0  # times the expected one: a release that slow is told
AFTER_FOLD_S = 1e-6  # the switches of a release come before the gate that stops the machine there
_ALARM_OF_GATE = {
    ConditionId.LEFT_FINGERS_CLAMPED: AlarmId.FINGER_NOT_CLAMPED,
    ConditionId.RIGHT_FINGERS_CLAMPED: AlarmId.FINGER_NOT_CLAMPED,
}
# Sheets that scatter this much more than believed are not placed as they should be.
SCATTER_SHARE = 1.25
_RELATIVE = frozenset({AxisKind.TABLE_Z})


@dataclass(frozen=True)
class CyclePlan:
    """A plan's bytes and what a person wants to know of it."""

    record: NDArray[np.void]  # (1,) of PLAN_DTYPE
    bound: Bound
    times: Timeline
    table: CamTable
    cams: dict[Half, dict[AxisId, CamTable]]
    slow_tables: dict[Half, CamTable]  # table x's below full speed
    change: CellChange

    @property
    def ratio(self) -> float:
        """Planned seconds a sheet over the ideal bound."""
        return self.times.period_s / self.bound.seconds


def make_plan(
    machine: MachineSettings,
    recipe: RecipeSettings,
    station_index: int = 0,
    progress: Progress | None = None,
    dry: bool = False,
) -> CyclePlan:
    """Compute a station's cycle plan; PlanRefused where the recipe cannot be made on it.

    dry: a cycle without material, the web held by the cutter.
    """
    station = machine.stations[station_index]
    _check_recipe(station, recipe)
    bound = ideal_bound(station)
    table = table_move(station, recipe, progress)
    times = timeline(station, recipe, table)
    cams = {half: half_cams(station, recipe, times, table, half) for half in HALVES}
    slow, slow_speed_max = slow_table_move(station, recipe, table, times)
    slow_tables = {half: table_cam(station, times, slow, half) for half in HALVES}
    plan = np.zeros(1, PLAN_DTYPE)
    record = plan[0]
    _fill_parameters(record, machine, station, recipe)
    record["bound_s"] = bound.seconds
    record["slow_speed_max"] = slow_speed_max
    _fill_cams(record, cams, slow_tables, times)
    _fill_sections(record, times)
    _fill_learning(record, machine, station, recipe)
    _fill_routines(record, routines(station, recipe, dry))
    record["dry"] = dry
    record["valid"] = 1
    record["identity"] = np.frombuffer(hashlib.sha256(plan.tobytes()).digest(), np.uint8)
    change = cell_change(station, recipe, times.period_s)
    return CyclePlan(plan, bound, times, table, cams, slow_tables, change)


def _check_recipe(station: StationSettings, recipe: RecipeSettings) -> None:
    reach = 0.5 * station.table.stroke_m
    x = station.axes.table_x.values
    if not (x.position_min_m <= -reach and reach <= x.position_max_m):
        raise PlanRefused(
            f"table.stroke_m = {station.table.stroke_m}: the ends +-{reach} lie outside table_x's "
            f"travel {x.position_min_m} to {x.position_max_m}; widen the travel"
        )
    if recipe.fold_pitch_m >= station.table.stroke_m:
        raise PlanRefused(
            f"recipe {recipe.name}: fold pitch = {recipe.fold_pitch_m:g} m: not below the table's "
            f"stroke {station.table.stroke_m:g}; the sheet cannot be folded on this machine"
        )
    room = reach - 0.5 * recipe.cathode.length_x_m - recipe.anode.overhang_m
    needed = station.web.roller_radius_m + station.arm.beam_gap_m + CLEARANCE_RESERVE_M
    if room < needed:
        raise PlanRefused(
            f"recipe {recipe.name}: cathode.length_x_m = {recipe.cathode.length_x_m:g} m: a placed "
            f"anode comes within {room:.4f} m of the rollers' middle, {needed:.4f} m are needed; use a "
            "shorter sheet or a longer table.stroke_m"
        )
    depth = recipe.sheets * recipe.layer_thickness_m
    room = -station.table.unload_position_m
    if depth >= room:
        raise PlanRefused(
            f"recipe {recipe.name}: stack = {depth:g} m: above the {room:g} m of table_z; "
            "use fewer or thinner layers"
        )


def _fill_axes(record: np.void, station: StationSettings) -> None:
    for axis in AxisId:
        kind = AXIS_KIND[axis]
        values = station.axes.of_kind(kind).values
        row = record["axes"][axis]
        for name in values._fields:
            if name in row.dtype.names:
                row[name] = getattr(values, name)
        row["relative"] = kind in _RELATIVE


def _fill_web(record: np.void, station: StationSettings, recipe: RecipeSettings) -> None:
    web, settings = record["web"], station.web
    values = {
        "tension_n": recipe.tension_n,
        "tension_warning_n": settings.tension_warning_share * recipe.tension_n,
        "tension_min_n": recipe.reject.tension_min_n,
        "tension_max_n": recipe.reject.tension_max_n,
        "fold_pitch_m": recipe.fold_pitch_m,
        "stroke_m": station.table.stroke_m,
        "roller_height_m": settings.roller_height_m,
        "roller_radius_m": settings.roller_radius_m,
        "guide_mass_kg": settings.guide_mass_kg,
        "feed_lag_s": settings.feed_lag_s,
        "dancer_gain_1_s": settings.dancer.gain_1_s,
        "tension_gain_1_s": settings.tension_gain_1_s,
        "dancer_limit_m": settings.dancer.limit_m,
        "loop_length_m": settings.loop.length_m,
        "loop_gain_1_s": settings.loop.gain_1_s,
        "edge_gain_1_s": settings.edge.gain_1_s,
        "edge_warning_m": settings.edge.warning_m,
        "roll_radius_min_m": settings.loop.roll_radius_min_m,
        "separator_thickness_m": recipe.separator.thickness_m,
        "cell_m": (recipe.sheets + 2 * (2 + recipe.wraps_final)) * recipe.fold_pitch_m,
        "tail_m": station.cell_change.tail_m,
    }
    for name, value in values.items():
        web[name] = value


def _fill_learning(
    record: np.void, machine: MachineSettings, station: StationSettings, recipe: RecipeSettings
) -> None:
    row, period_s = record["learning"], 1e-6 * machine.period_us
    bin_s = learning_bin_s(float(record["sections"]["length_s"].max()), period_s)
    row["bin_s"] = bin_s
    learners = (
        (Learner.TENSION, tension_answers, 2.0 * recipe.tension_n, 0.5 * recipe.tension_n),
        (Learner.TABLE, table_answers, station.axes.table_x.values.force_rms_n, TABLE_ERROR_MAX_M),
    )
    for learner, answers_of, force_n, error_max in learners:
        answers = answers_of(station, recipe, bin_s, period_s)
        row["filter"][learner] = learning_filter(answers, bin_s)
        row["forgetting"][learner] = answers.settings.forgetting
        row["force_max_n"][learner] = answers.settings.force_share_max * force_n
        row["error_max"][learner] = error_max


def _fill_alignment(record: np.void, station: StationSettings) -> None:
    row, camera, stage = record["alignment"], station.sheet_camera, station.stage
    values = {
        "stage_range_m": stage.range_m,
        "stage_range_rad": stage.range_rad,
        "camera_late_ns": int(camera.latency_late_s * 1e9),
        "camera_timeout_ns": int(camera.timeout_s * 1e9),
        "camera_retries": camera.retries,
        "pick_retries": station.vacuum.pick_retries,
        "discard_m": station.arm.discard_position_m,
        "drift_gain": station.stack_camera.drift_gain,
        "outlier_m": camera.outlier_m,
        "outlier_rad": camera.outlier_rad,
        "camera_sigma_m": camera.sigma_m,
        "camera_sigma_rad": camera.sigma_rad,
        "placement_sigma_m": station.placement.sigma_m,
        "placement_sigma_rad": station.placement.sigma_rad,
    }
    for name, value in values.items():
        row[name] = value


def _fill_quality(record: np.void, station: StationSettings, recipe: RecipeSettings) -> None:
    row, cathode = record["quality"], recipe.cathode
    anode_m = recipe.anode.overhang_m
    row["overhang_m"] = anode_m
    row["overhang_min_m"] = recipe.reject.overhang_min_m
    row["overhang_guard_m"] = recipe.reject.overhang_guard_m
    row["scatter_max_m"] = SCATTER_SHARE * hypot(
        station.placement.sigma_m, station.stack_camera.sigma_m
    )
    row["hipot_min_ohm"] = recipe.reject.hipot_min_ohm
    for polarity, extra in ((Polarity.ANODE, anode_m), (Polarity.CATHODE, 0.0)):
        row["sheet_half_length_m"][polarity] = 0.5 * cathode.length_x_m + extra
        row["sheet_half_width_m"][polarity] = 0.5 * cathode.width_y_m + extra


def _fill_parameters(
    record: np.void, machine: MachineSettings, station: StationSettings, recipe: RecipeSettings
) -> None:
    vacuum, thickest_m = record["vacuum"], max(recipe.anode.thickness_m, recipe.cathode.thickness_m)
    record["sheets"] = recipe.sheets
    record["sheet_mass_kg"] = recipe.stack_mass_kg / recipe.sheets
    record["table_end_m"] = (-0.5 * station.table.stroke_m, 0.5 * station.table.stroke_m)
    record["finger_down_m"] = station.fingers.down_m
    record["finger_in_m"] = station.fingers.in_m
    record["table_window_m"] = station.arm.window_m
    record["arm_clear_m"] = station.arm.clearance_m + ARM_CLEAR_RESERVE_M
    record["master_acceleration_1_s"] = machine.master.acceleration_1_s
    record["master_jerk_1_s2"] = machine.master.jerk_1_s2
    record["creep_speed"] = 0.25
    record["jog_share"] = machine.manual.jog_share
    record["jog_dead_man_ns"] = int(machine.manual.dead_man_s * 1e9)
    record["mode_omega_rad_s"] = 2.0 * np.pi * station.table_mode.frequency_hz
    record["swing_decay"] = swing_decay(station, 1e-6 * machine.period_us)
    record["load_quiet_m"] = residual_amplitude(station)
    for row, share in enumerate((0.0, 1.0)):
        record["mode"][row] = mode_over_period(station, share, 1e-6 * machine.period_us)
    vacuum["made_pa"] = station.vacuum.made_pa
    vacuum["released_pa"] = station.vacuum.released_pa
    vacuum["timeout_ns"] = int(station.vacuum.timeout_s * 1e9)
    vacuum["release_late_ns"] = int(RELEASE_LATE * station.vacuum.off_time_s * 1e9)
    vacuum["double_sheet_m"] = station.vacuum.double_sheet_ratio * thickest_m
    _fill_axes(record, station)
    _fill_web(record, station, recipe)
    _fill_alignment(record, station)
    _fill_quality(record, station, recipe)


def _fill_cams(
    record: np.void,
    cams: dict[Half, dict[AxisId, CamTable]],
    slow_tables: dict[Half, CamTable],
    times: Timeline,
) -> None:
    places = [(half.section, axis) for half in HALVES for axis in cams[half]]
    tables = [cams[half][axis] for half in HALVES for axis in cams[half]]
    rows, segments = pack([*tables, *(slow_tables[half] for half in HALVES)])
    if len(segments) > SEGMENTS_MAX:
        raise PlanRefused(
            f"plan: segments = {len(segments)}: above {SEGMENTS_MAX}; use coarser cams"
        )
    record["segments"][: len(segments)] = segments
    record["segment_count"] = len(segments)
    for (section, axis), row in zip(places, rows[: len(places)], strict=True):
        record["sections"][section]["cams"][axis] = row
    for half, row in zip(HALVES, rows[len(places) :], strict=True):
        record["sections"][half.section]["slow_table"] = row
        record["sections"][half.section]["length_s"] = times.period_s


def mode_over_period(
    station: StationSettings, stack: float, period_s: float
) -> NDArray[np.float64]:
    """Transition of the table's mode over a period, under a share of the full stack, (3, 4).

    Deflection, its rate and the rate's change, each from deflection and rate a period ago and the
    carriage's acceleration then and now, which goes linearly between. One exponential of the system
    with its input and the input's slope as states (Van Loan, 1978).
    """
    mode = station.table_mode
    omega = 2.0 * np.pi * mode.frequency_hz * (1.0 - stack * mode.fall)
    spring = np.array([-omega * omega, -2.0 * mode.damping * omega])
    system = np.zeros((4, 4))
    system[0, 1], system[2, 3] = 1.0, 1.0
    system[1] = (*spring, -1.0, 0.0)
    over = linalg.expm(system * period_s)[:2]
    now = over[:, 3] / period_s
    moved = np.column_stack([over[:, 0], over[:, 1], over[:, 2] - now, now])
    change = spring @ moved - (0.0, 0.0, 0.0, 1.0)
    return np.vstack([moved, change])


def _gates(half: Half, times: Timeline) -> list[tuple[float, GateKind, ConditionId]]:
    """Gates of a half fold in order; those at rest cost nothing when their condition is in time."""
    new, old = ConditionId.LEFT_FINGERS_CLAMPED, ConditionId.RIGHT_FINGERS_CLEAR
    if half.leaving == Polarity.ANODE:
        new, old = ConditionId.RIGHT_FINGERS_CLAMPED, ConditionId.LEFT_FINGERS_CLEAR
    gates = [
        (times.release_s, GateKind.REST, ConditionId(ConditionId.ANODE_RELEASED + half.leaving)),
        (GRIP_GATE_S, GateKind.REST, ConditionId(ConditionId.ANODE_PICKED + half.arriving)),
        (times.release_s, GateKind.REST, new),
        (times.release_s + AFTER_FOLD_S, GateKind.REST, ConditionId.RUNNING),
        (times.clear_gate_s, GateKind.MOVING, old),
        (times.quiet_gate_s, GateKind.MOVING, ConditionId.LOAD_QUIET),
        (times.period_s, GateKind.REST, ConditionId.TABLE_IN_POSITION),
        (times.period_s, GateKind.REST, ConditionId.SHEET_BROUGHT),
        (times.period_s, GateKind.REST, ConditionId.PICK_BEGUN),
    ]
    return sorted(gates, key=lambda gate: gate[0])


def _switches(half: Half, times: Timeline) -> list[tuple[float, Action, Polarity]]:
    rows = [
        (0.0, Action.TOUCH_DOWN, half.leaving),
        (0.0, Action.RELEASE, half.leaving),
        (times.release_s, Action.FOLD, half.leaving),
        (times.release_s, Action.TRIGGER_STACK_CAMERA, half.leaving),
        (times.arrive_transfer_s, Action.STAGE_HOME, half.arriving),
        (times.pick_s, Action.PICK, half.leaving),
    ]
    return sorted(rows, key=lambda row: row[0])


def _fill_sections(record: np.void, times: Timeline) -> None:
    gate_row = switch_row = 0
    for half in HALVES:
        section = record["sections"][half.section]
        section["release_s"] = times.release_s
        section["ahead_s"] = (times.arrived_s, times.arrive_lift_s + times.lower_time_s)
        section["descend_s"] = times.period_s - times.lower_time_s
        section["late_axis"] = ARMS[half.leaving][1]
        section["late_from_s"] = times.pick_s - times.leave_time_s
        section["late_to_s"] = times.pick_s
        section["ahead_axes"] = ARMS[half.arriving]
        gates, switches = _gates(half, times), _switches(half, times)
        section["first_gate"], section["gate_count"] = gate_row, len(gates)
        section["first_switch"], section["switch_count"] = switch_row, len(switches)
        for master_s, kind, condition in gates:
            row = record["gates"][gate_row]
            row["master_s"], row["kind"], row["condition"] = master_s, kind, condition
            patience_s = 0.0 if condition == ConditionId.RUNNING else GATE_TIMEOUT_S
            row["timeout_ns"] = int(patience_s * 1e9)
            row["alarm"] = _ALARM_OF_GATE.get(condition, AlarmId.GATE_TIMEOUT)
            gate_row += 1
        for master_s, action, index in switches:
            record["switches"][switch_row] = (master_s, action, index)
            switch_row += 1
    assert gate_row <= GATES_MAX and switch_row <= SWITCHES_MAX


def _fill_routines(record: np.void, tables: dict[RoutineId, list[Step]]) -> None:
    row = 0
    for routine, steps in tables.items():
        record["routines"][routine] = (row, len(steps))
        if row + len(steps) > STEPS_MAX:
            raise PlanRefused(f"plan: steps = {row + len(steps)}: above {STEPS_MAX}")
        for step in steps:
            place = record["steps"][row]
            place["kind"], place["position_m"] = step.kind, step.position_m
            place["axis"] = step.axis if step.axis is not None else 0
            place["action"], place["index"] = step.action, step.index
            place["condition"], place["run_on"] = step.condition, step.run_on
            place["timeout_ns"] = int(step.timeout_s * 1e9)
            row += 1
