"""Conditions: evaluated once a cycle from inputs and state; interlocks and start inhibits follow."""

from math import sqrt

import numpy as np

from controller.shared.alarms import AlarmId
from controller.shared.conditions import CONDITION_COUNT, INTERLOCKS, ConditionId
from controller.shared.packml import Mode, State
from controller.shared.plan import RunOn, SectionId
from controller.shared.records import RECORDS_MAX
from controller.shared.status import SequenceState
from controller.station.alarms import alarm_while
from controller.station.drives import all_enabled, all_homed
from controller.station.grippers import arm_picked, arm_released
from controller.station.kernel import kernel
from controller.station.moves import moves_done
from controller.station.routine import present_run_on
from controller.station.sheets import sheets_needed
from controller.station.state import MoveClock
from drivers.image import AxisId, BusState, Polarity

_CONDITION = np.array([row.condition for row in INTERLOCKS], np.int64)
_ALARM = np.array([row.alarm for row in INTERLOCKS], np.int64)
_INHIBITS = np.array([row.inhibits_start for row in INTERLOCKS], np.uint8)
_LEFT, _RIGHT = int(AxisId.FINGER_LEFT_FRONT_IN), int(AxisId.FINGER_RIGHT_FRONT_IN)
_ARM_Z = int(AxisId.ANODE_ARM_Z)
STANDS_M_S = 1e-6
READING_AGE_MAX_NS = 500_000_000


@kernel
def _fingers_at(station, plan, first, in_m, down_m, tolerance_m):
    for finger in range(2):
        reach = station.status.axes[first + 2 * finger].actual_position_m
        drop = station.status.axes[first + 2 * finger + 1].actual_position_m
        if abs(reach - in_m) > tolerance_m or abs(drop - down_m) > tolerance_m:
            return False
    return True


@kernel
def _table_in_position(station, plan):
    table = station.status.axes[AxisId.TABLE_X]
    near = plan.axes[AxisId.TABLE_X].in_position_m
    for end in range(2):
        if abs(table.actual_position_m - plan.table_end_m[end]) <= near:
            return True
    return False


@kernel
def _load_amplitude(station, plan):
    """Amplitude of the load's swing behind the encoder, as the believed mode predicts it."""
    if not plan.mode_omega_rad_s > 0.0:
        return 0.0
    rate = station.web.deflection_m_s / plan.mode_omega_rad_s
    return sqrt(station.web.deflection_m * station.web.deflection_m + rate * rate)


@kernel
def step_swing(station, plan):
    """Bound the load's swing from above, whatever its true mode: the largest deflection there was,
    dying away as slowly as the modes to be ready for.
    """
    fading = station.swing_m * plan.swing_decay
    station.swing_m = max(fading, _load_amplitude(station, plan))


@kernel
def _load_quiet(station, plan):
    """Only a table that stands can tell: one that moves pulls its load along."""
    stands = abs(station.axes[AxisId.TABLE_X].velocity_m_s) < STANDS_M_S
    return stands and station.swing_m <= plan.load_quiet_m


@kernel
def _sheets_available(station, inputs, plan, polarity):
    needed = station.feeders[polarity].fetched_count < sheets_needed(plan, polarity)
    return plan.dry or not needed or inputs.magazine_sheets[polarity] > 0


@kernel
def _sheet_ready(station, polarity):
    feeder = station.feeders[polarity]
    if feeder.releasing or feeder.owed or feeder.rejected:
        return False
    if station.recovery.active and station.recovery.polarity == polarity:
        return False
    return not feeder.staged.present or feeder.staged.corrected != 0


@kernel
def _arms_clear(station, plan):
    for arm in range(2):
        if station.status.axes[_ARM_Z + 2 * arm].actual_position_m < plan.arm_clear_m:
            return False
    return True


@kernel
def _tail_cut(station, plan):
    """False while the wrapping place is at the steps that nothing may stop: its cut."""
    return present_run_on(plan, station.wrap_up) == RunOn.NEVER


@kernel
def target_speed(state, station):
    """The target of a station's master: the override while the state lets it move, else 0.

    In Manual mode a station waits for each step to be asked for; a Reset runs through, and so does
    what is measured from Idle.
    """
    current = state.machine.state
    speed = state.machine.speed_override
    measuring = current == State.IDLE and station.status.sequence == SequenceState.ROUTINE
    if current == State.RESETTING or measuring:
        return speed
    stepping = state.machine.mode == Mode.MANUAL and not station.step_asked
    if current == State.EXECUTE or current == State.STARTING or current == State.COMPLETING:
        return 0.0 if stepping else speed
    return 0.0


@kernel
def evaluate_conditions(state, station_index, inputs, plan):
    """Fill `status.conditions` of one station."""
    station = state.stations[station_index]
    known = station.status.conditions
    reported = inputs.stations[station_index]
    known[ConditionId.ALWAYS] = 1
    known[ConditionId.EMERGENCY_STOP_OK] = reported.emergency_stop_ok
    known[ConditionId.SAFE_TORQUE_OFF_OK] = reported.safe_torque_off_ok
    known[ConditionId.DOOR_CLOSED] = reported.door_closed
    known[ConditionId.AIR_PRESSURE_OK] = reported.air_pressure_ok
    known[ConditionId.BUS_OPERATIONAL] = inputs.bus.state != BusState.DOWN
    known[ConditionId.DRIVES_ENABLED] = all_enabled(station)
    known[ConditionId.AXES_HOMED] = all_homed(station)
    known[ConditionId.PLAN_VALID] = plan.valid
    room = state.records_produced - state.records_acknowledged
    open_cells = 2 * state.machine.station_count  # on the table and at the wrapping place
    known[ConditionId.RECORDS_HAVE_ROOM] = room + open_cells <= RECORDS_MAX
    oldest_ns = min(reported.tension_stamp_ns, reported.dancer_stamp_ns, reported.magazine_stamp_ns)
    known[ConditionId.READINGS_FRESH] = inputs.time_ns - oldest_ns < READING_AGE_MAX_NS
    for polarity in range(2):
        available = _sheets_available(station, reported, plan, polarity)
        known[ConditionId.ANODES_AVAILABLE + polarity] = available
        known[ConditionId.ANODE_SHEET_READY + polarity] = _sheet_ready(station, polarity)
        known[ConditionId.ANODE_PICKED + polarity] = arm_picked(station, polarity)
        released = arm_released(station, reported, plan, polarity)
        known[ConditionId.ANODE_RELEASED + polarity] = released
    for pair in range(2):
        first = _LEFT if pair == Polarity.ANODE else _RIGHT
        near = plan.axes[first].in_position_m
        clamped = _fingers_at(station, plan, first, plan.finger_in_m, plan.finger_down_m, near)
        known[ConditionId.LEFT_FINGERS_CLAMPED + pair] = clamped
        clear = _fingers_at(station, plan, first, 0.0, 0.0, near)
        known[ConditionId.LEFT_FINGERS_CLEAR + pair] = clear
    step_swing(station, plan)
    known[ConditionId.TABLE_IN_POSITION] = _table_in_position(station, plan)
    section = plan.sections[station.status.section]
    known[ConditionId.PICK_BEGUN] = station.late.position >= section.late_to_s
    arriving = 0 if station.status.section == SectionId.TO_LEFT else 1
    known[ConditionId.SHEET_BROUGHT] = not station.feeders[arriving].bringing
    known[ConditionId.LOAD_QUIET] = station.smooth or _load_quiet(station, plan)
    known[ConditionId.RUNNING] = target_speed(state, station) > 0.0
    known[ConditionId.MOVES_DONE] = moves_done(station, MoveClock.ROUTINE)
    known[ConditionId.ARMS_CLEAR] = _arms_clear(station, plan)
    known[ConditionId.WRAPPING_PLACE_FREE] = station.wrap_up.active == 0
    known[ConditionId.TAIL_CUT] = _tail_cut(station, plan)
    known[ConditionId.TENSION_PRESENT] = reported.tension_n > 0.3 * plan.web.tension_n


@kernel
def watch_bus(state, station_index, bus):
    """Say when more cycles in a row are missed than is usual; `BUS_OPERATIONAL` is for the worse."""
    degraded = bus.state == BusState.DEGRADED
    alarm_while(state, station_index, AlarmId.BUS_DEGRADED, -1, degraded)


@kernel
def apply_interlocks(state, station_index):
    """Raise the alarm of each interlock that does not hold; returns the start inhibits as bits.

    Before the bus first came up inputs are unknown: that inhibits a start, but accuses nobody.
    """
    known = state.stations[station_index].status.conditions
    inhibits = np.uint64(0)
    for row in range(_CONDITION.size):
        condition = _CONDITION[row]
        if condition < 0 or condition >= CONDITION_COUNT:
            continue
        missing = not known[condition]
        if _ALARM[row] and state.inputs_known:
            alarm_while(state, station_index, _ALARM[row], -1, missing)
        if missing and _INHIBITS[row]:
            inhibits |= np.uint64(1) << np.uint64(condition)
    return inhibits
