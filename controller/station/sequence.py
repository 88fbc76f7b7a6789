"""The cell's sequence: power, homing, routines and half folds, one station at a time.

PackML says whether a station may go on and where to; this says how it gets there.
"""

from math import inf

from controller.shared.alarms import AlarmId
from controller.shared.conditions import ConditionId
from controller.shared.events import EventKind
from controller.shared.packml import State
from controller.shared.plan import Action, RoutineId, SectionId
from controller.shared.status import SequenceState
from controller.station.actions import act, begin_routine
from controller.station.alarms import emit, raise_alarm
from controller.station.drives import all_enabled, all_homed, step_homing
from controller.station.grippers import arm_picked
from controller.station.jog import step_jog
from controller.station.kernel import kernel
from controller.station.learning import take_plan
from controller.station.moves import cancel_moves, move_setpoints
from controller.station.player import (
    NOTHING,
    arms_rest,
    enter_section,
    section_setpoints,
    section_speed,
    skip_touch_down,
    step_section,
)
from controller.station.quality import begin_dry_cycle, open_cell
from controller.station.recovery import step_recovery
from controller.station.routine import must_run_on, run_routine
from controller.station.state import HomingPhase, MoveClock
from drivers.image import AXIS_COUNT, AxisId, Polarity
from motion.master import place_master, step_master

POWER_TIMEOUT_NS = 5_000_000_000
HOMING_TIMEOUT_NS = 60_000_000_000
RUN_ON_S = 0.5
_TABLE_Z = int(AxisId.TABLE_Z)


@kernel
def start_routine(state, station_index, plan, routine):
    """Begin a routine at its first step; what the wrapping place does goes on, but for CLEAR."""
    station = state.stations[station_index]
    station.status.sequence = SequenceState.ROUTINE
    station.status.routine = routine
    station.status.step = 0
    station.status.gate_condition = 0
    station.recovery.active = 0
    begin_routine(state, station, station.runner, MoveClock.ROUTINE, routine)
    if routine == RoutineId.CLEAR:
        station.wrap_up.active = 0
    cancel_moves(station, MoveClock.WRAP_UP if station.wrap_up.active else MoveClock.NONE)


@kernel
def _begin_section(station, plan, section, position_s):
    station.status.sequence = SequenceState.SECTION
    enter_section(station, plan, section, position_s)


@kernel
def _station_must_run_on(state, station, plan):
    in_routine = station.status.sequence == SequenceState.ROUTINE
    return in_routine and must_run_on(state, station, plan, station.runner)


@kernel
def _run_routine(state, station_index, inputs, outputs, plan, speed, period_s):
    """Run the station's routine on; True when its last step is done."""
    station = state.stations[station_index]
    if _station_must_run_on(state, station, plan):
        speed = state.machine.speed_override
    step_master(station.master, speed, period_s)
    move_setpoints(station)
    ended = run_routine(state, station_index, inputs, outputs, plan, station.runner, speed)
    station.status.step = station.runner.step
    return ended


@kernel
def _run_wrap_up(state, station_index, inputs, outputs, plan, speed, period_s):
    """Run the wrapping place on beside whatever the station does; before the moves are evaluated."""
    station = state.stations[station_index]
    runner, master = station.wrap_up, station.wrap_master
    if not runner.active or station.status.sequence < SequenceState.ROUTINE:
        place_master(master, 0.0, 0.0)
        return
    if must_run_on(state, station, plan, runner):
        speed = state.machine.speed_override
    elif state.machine.state == State.RESETTING:
        speed = 0.0  # CLEAR is about to empty the place
    step_master(master, speed, period_s)
    if run_routine(state, station_index, inputs, outputs, plan, runner, speed):
        station.status.wrapping_cell = 0


@kernel
def _run_switches(state, station_index, inputs, outputs, plan):
    station = state.stations[station_index]
    section = plan.sections[station.status.section]
    end = section.first_switch + section.switch_count
    while station.next_switch < end:
        switch = plan.switches[station.next_switch]
        clock_s = station.late.position if switch.action == Action.PICK else station.master.position
        ahead = switch.master_s > clock_s
        # a gate where the master stands comes before the switches of the same instant
        if ahead or (station.frozen and switch.master_s >= station.master.position):
            return
        act(state, station_index, inputs, outputs, plan, switch.action, switch.index)
        station.next_switch += 1


@kernel
def _last_sheet_is_down(station, plan):
    """At the left-hand touch-down: is the sheet under the arm the cell's last one?"""
    if station.status.section != SectionId.TO_LEFT:
        return False
    laid = station.status.sheet
    brought = station.feeders[Polarity.ANODE].placed.present or plan.dry
    return laid + 1 >= plan.sheets and brought != 0


@kernel
def _run_section(state, station_index, inputs, outputs, plan, speed, period_s):
    """Run the half fold on and change to what follows it."""
    station = state.stations[station_index]
    hold = inf
    step_recovery(state, station_index, inputs, outputs, plan, speed, period_s)
    if speed == 0.0:
        speed, hold = _stopping_speed(state, station, plan)
    speed = section_speed(plan, speed)
    result = step_section(state, station_index, plan, speed, hold, period_s)
    move_setpoints(station)
    if result == NOTHING:
        section_setpoints(station, plan)
        _run_switches(state, station_index, inputs, outputs, plan)
        return
    beyond = station.master.position - plan.sections[station.status.section].length_s
    if _last_sheet_is_down(station, plan):
        place_master(station.master, plan.sections[station.status.section].length_s, speed)
        section_setpoints(station, plan)
        start_routine(state, station_index, plan, RoutineId.FINISH)
        return
    following = SectionId.TO_RIGHT
    if station.status.section == SectionId.TO_RIGHT:
        following = SectionId.TO_LEFT
    # at a touch-down everything rests: whatever slowed the master is over
    place_master(station.master, plan.sections[station.status.section].length_s, speed)
    section_setpoints(station, plan)
    _begin_section(station, plan, following, beyond)
    section_setpoints(station, plan)
    _run_switches(state, station_index, inputs, outputs, plan)


@kernel
def _stopping_speed(state, station, plan):
    """Speed and hold of a master that is to stop: it runs on to where everything rests.

    That is the end of the next placement, clamped and released; its gate RUNNING holds the master
    there. Only at a low override, where that is too far, it brakes on the way, but never inside a
    placement.
    """
    section = plan.sections[station.status.section]
    way = section.release_s - station.master.position
    if way < 0.0:
        way += section.length_s
    override = state.machine.speed_override
    if way <= RUN_ON_S * override:
        return override, inf
    if 0.0 <= station.master.position < section.release_s and station.master.speed < 0.5:
        return plan.creep_speed, section.release_s
    return 0.0, inf


@kernel
def _may_start_cell(state, station):
    """True while cells are wanted and there is room for their records."""
    wanted = state.machine.cells_requested
    if wanted > 0 and state.cells_started >= wanted:
        return False
    if station.status.roll_left_cells < 1.0:
        return False  # it could not be finished; ROLL_ENDING says so
    if station.status.next_plan_slot >= 0 and station.wrap_up.active:
        return False  # the cell at the wrapping place ends by the plan it was made by
    return station.status.conditions[ConditionId.RECORDS_HAVE_ROOM] != 0


@kernel
def _start_cell(state, station_index, plans):
    """Activate a waiting plan, open the record, lead in."""
    station = state.stations[station_index]
    if station.status.next_plan_slot >= 0:
        station.status.plan_slot = station.status.next_plan_slot
        station.status.next_plan_slot = -1
        emit(state, EventKind.PLAN_ACTIVATED, station.status.plan_slot, station_index, -1, 0.0)
    plan = plans[station.status.plan_slot]
    take_plan(station, plan)
    station.parked = 0
    if plan.dry:
        begin_dry_cycle(state, station, plan)
    else:
        open_cell(state, station_index, plan)
    start_routine(state, station_index, plan, RoutineId.LEAD_IN)


@kernel
def _routine_ended(state, station_index, plan, plans):
    """What follows a routine."""
    station = state.stations[station_index]
    routine = station.status.routine
    if routine == RoutineId.LEAD_IN:
        # no sheet lies there yet: the table need not drop
        station.axes[_TABLE_Z].cam_scale = 0.0
        _begin_section(station, plan, SectionId.TO_LEFT, 0.0)
        skip_touch_down(station, plan, SectionId.TO_LEFT)
    elif routine == RoutineId.FINISH:
        if state.machine.state == State.EXECUTE and _may_start_cell(state, station):
            _start_cell(state, station_index, plans)
        else:
            start_routine(state, station_index, plan, RoutineId.PARK)
    else:
        station.status.sequence = SequenceState.IDLE
        place_master(station.master, 0.0, 0.0)
        station.parked = 1


@kernel
def _power_up(state, station_index, plan):
    station = state.stations[station_index]
    if all_enabled(station):
        station.status.sequence = SequenceState.HOMING
        station.state_since_ns = state.machine.time_ns
        for axis in range(AXIS_COUNT):
            if not station.axes[axis].homed:
                station.axes[axis].homing = HomingPhase.NONE
    elif state.machine.time_ns - station.state_since_ns > POWER_TIMEOUT_NS:
        raise_alarm(state, station_index, AlarmId.DRIVE_NOT_ENABLED, -1)


@kernel
def _home(state, station_index, inputs, plan):
    station = state.stations[station_index]
    step_homing(state, station_index, inputs)
    if all_homed(station):
        start_routine(state, station_index, plan, RoutineId.CLEAR)
    elif state.machine.time_ns - station.state_since_ns > HOMING_TIMEOUT_NS:
        raise_alarm(state, station_index, AlarmId.HOMING_FAILED, -1)


@kernel
def _waits_to_be_cleared(station):
    """Moved by hand, or idle beside a wrapping place that is not."""
    sequence = station.status.sequence
    by_hand = sequence == SequenceState.MANUAL and not station.jog.active
    return by_hand or (sequence == SequenceState.IDLE and station.wrap_up.active != 0)


@kernel
def _reset_station(state, station_index, plan):
    """In Resetting: power what is off, clear what is on the machine."""
    station = state.stations[station_index]
    sequence = station.status.sequence
    station.step_asked = 0
    if sequence == SequenceState.OFF:
        station.enable = 1
        station.status.sequence = SequenceState.POWERING
        station.state_since_ns = state.machine.time_ns
    elif sequence == SequenceState.SECTION:
        end = plan.sections[station.status.section].release_s
        if not 0.0 <= station.master.position < end:
            start_routine(state, station_index, plan, RoutineId.CLEAR)
        for gripper in range(station.grippers.size):
            station.grippers[gripper].asked = 0
    elif sequence == SequenceState.ROUTINE and station.status.routine != RoutineId.CLEAR:
        if not _station_must_run_on(state, station, plan):
            start_routine(state, station_index, plan, RoutineId.CLEAR)
    elif _waits_to_be_cleared(station):
        start_routine(state, station_index, plan, RoutineId.CLEAR)


@kernel
def _producing(state):
    return state.machine.state == State.STARTING or state.machine.state == State.EXECUTE


@kernel
def _rests(state, station, plan):
    """True when every master of a station stands and nothing has to run on."""
    # what is parked or off stands, whatever speed its master was left with
    sequence = station.status.sequence
    parked = sequence == SequenceState.IDLE or sequence == SequenceState.OFF
    master = station.master
    if station.jog.active:
        return False
    if not parked and (master.speed != 0.0 or master.acceleration != 0.0):
        return False
    if station.wrap_master.speed != 0.0 or station.wrap_master.acceleration != 0.0:
        return False
    if sequence == SequenceState.SECTION and not arms_rest(station, plan):
        return False
    running_on = _station_must_run_on(state, station, plan)
    return not (running_on or must_run_on(state, station, plan, station.wrap_up))


@kernel
def step_sequence(state, station_index, inputs, outputs, plans, speed, period_s):
    """Advance one station by one cycle; `speed` is the master's target, 0 to stand."""
    station = state.stations[station_index]
    plan = plans[station.status.plan_slot]
    station.clock_s += period_s
    if state.machine.state == State.RESETTING:
        _reset_station(state, station_index, plan)
    elif _producing(state) and station.status.sequence == SequenceState.MANUAL:
        start_routine(state, station_index, plan, RoutineId.CLEAR)
    elif _producing(state) and station.status.sequence == SequenceState.IDLE:
        if _may_start_cell(state, station):
            _start_cell(state, station_index, plans)
            plan = plans[station.status.plan_slot]
    starting_up = station.status.sequence == SequenceState.POWERING
    if station.status.sequence == SequenceState.HOMING or starting_up:
        if state.machine.state != State.RESETTING:
            station.status.sequence = SequenceState.OFF  # the next Reset begins anew
    _run_wrap_up(state, station_index, inputs, outputs, plan, speed, period_s)
    sequence = station.status.sequence
    if sequence == SequenceState.POWERING:
        _power_up(state, station_index, plan)
    elif sequence == SequenceState.HOMING:
        _home(state, station_index, inputs, plan)
    elif sequence == SequenceState.ROUTINE:
        if _run_routine(state, station_index, inputs, outputs, plan, speed, period_s):
            _routine_ended(state, station_index, plan, plans)
    elif sequence == SequenceState.SECTION:
        _run_section(state, station_index, inputs, outputs, plan, speed, period_s)
    elif sequence == SequenceState.OFF:
        cancel_moves(station, MoveClock.NONE)
    elif sequence == SequenceState.MANUAL:
        step_jog(state, station, plan)
    else:
        move_setpoints(station)
    station.at_rest = _rests(state, station, plan)
    master = station.master
    station.status.master_s = master.position
    station.status.master_speed = master.speed


@kernel
def lead_in_done(state, station):
    """True once the station stacks, or has nothing to stack."""
    sequence = station.status.sequence
    idle = sequence == SequenceState.IDLE and not _may_start_cell(state, station)
    return idle or (sequence == SequenceState.SECTION and arm_picked(station, Polarity.ANODE))
