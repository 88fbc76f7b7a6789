"""Recovery: one arm puts a sheet aside, fetches another or brings one, beside a master that stands.

At the end of a half fold everything rests, so the master waits there at no risk, for as long as it
takes. What to do next follows from where the sheets are, not from how it came to that. The arm's moves
run on a clock of their own, and so stop and go on along their path like everything else.
"""

from controller.shared.alarms import AlarmId
from controller.shared.conditions import ConditionId
from controller.shared.plan import Action, RoutineId, SectionId, StepKind
from controller.station.alarms import recovered
from controller.station.feeders import drop, home_stage, lay, pick, set_aside
from controller.station.kernel import kernel
from controller.station.moves import plan_move
from controller.station.player import is_recovering, place_master
from drivers.image import AXIS_COUNT, Polarity
from motion.master import step_master

_ANODE, _CATHODE = int(Polarity.ANODE), int(Polarity.CATHODE)
_REFETCH, _LAY = int(RoutineId.REFETCH_ANODE), int(RoutineId.LAY_ANODE)
_BRING = int(RoutineId.BRING_ANODE)
_DONE = -1
_WAIT = -2


@kernel
def _arriving(station):
    """Polarity of the arm that comes to the stack in this half fold."""
    return _ANODE if station.status.section == SectionId.TO_LEFT else _CATHODE


@kernel
def _wanted(station, polarity, arriving):
    """The routine that an arm needs next, by where its sheets are."""
    feeder = station.feeders[polarity]
    if feeder.rejected:
        return _REFETCH + polarity
    if feeder.releasing:
        return _WAIT
    if feeder.placed.present:
        return _DONE
    if feeder.fetched.present and not feeder.staged.present:
        return _LAY + polarity
    if feeder.owed:
        return _REFETCH + polarity
    if not arriving:
        return _DONE
    if not feeder.staged.present:
        return _REFETCH + polarity
    return _BRING + polarity if feeder.staged.corrected else _WAIT


@kernel
def _begin(station, plan):
    """Start where an arm at the half fold's end needs it; its sheet cannot be waited for."""
    if not station.frozen:
        return
    run = station.recovery
    arriving = _arriving(station)
    leaving = 1 - arriving
    gate = station.status.gate_condition
    if gate == ConditionId.SHEET_BROUGHT:
        run.polarity = arriving
    elif gate == ConditionId.PICK_BEGUN and (
        station.feeders[leaving].owed or station.feeders[leaving].rejected
    ):
        run.polarity = leaving
    else:
        return
    run.active = 1
    run.running = 0
    run.moving = 0
    place_master(run.clock, 0.0, 0.0)


@kernel
def _end(state, station_index, polarity):
    """Give the arm back to its cams: it stands where they are."""
    station = state.stations[station_index]
    station.recovery.active = 0
    feeder = station.feeders[polarity]
    if feeder.bringing:
        feeder.bringing = 0
        recovered(state, station_index, feeder.trouble)
        feeder.trouble = AlarmId.NONE


@kernel
def _start_moves(station, plan, first, count):
    """Start a group of MOVEs on the recovery's clock; returns how many there are."""
    run = station.recovery
    place_master(run.clock, 0.0, run.clock.speed)
    for index in range(count):
        step = plan.steps[first + index]
        if step.kind != StepKind.MOVE:
            return index
        axis = station.axes[step.axis]
        plan_move(axis.move, axis.position_m, step.position_m, plan.axes[step.axis], 0.0)
    return count


@kernel
def _moves_done(station):
    for axis in range(AXIS_COUNT):
        if is_recovering(station, axis) and station.axes[axis].move.active:
            return False
    return True


@kernel
def _act(state, station_index, plan, action, polarity):
    if action == Action.SET_ASIDE:
        set_aside(state, station_index, plan, polarity)
    elif action == Action.DROP:
        drop(state, station_index, polarity)
    elif action == Action.LAY:
        lay(state, station_index, polarity)
    elif action == Action.STAGE_HOME:
        home_stage(state.stations[station_index], plan, polarity)
    elif action == Action.PICK:
        pick(state, station_index, plan, polarity)


@kernel
def _run_step(state, station_index, plan):
    """One step; returns how many are done with."""
    station = state.stations[station_index]
    run = station.recovery
    routine = plan.routines[run.routine]
    first = routine.first_step + run.step
    step = plan.steps[first]
    if step.kind == StepKind.ACTION:
        _act(state, station_index, plan, step.action, step.index)
        return 1
    if step.kind == StepKind.WAIT:
        # conditions are as old as this cycle's beginning: an action of this cycle is not in them
        if state.machine.time_ns == run.since_ns:
            return 0
        if step.condition == ConditionId.MOVES_DONE:
            return 1 if _moves_done(station) else 0
        return 1 if station.status.conditions[step.condition] else 0
    if not run.moving:
        run.moving = _start_moves(station, plan, first, routine.step_count - run.step)
        return 0
    return run.moving if _moves_done(station) else 0


@kernel
def _run_routine(state, station_index, plan):
    """Run on as far as it goes in this cycle."""
    run = state.stations[station_index].recovery
    count = plan.routines[run.routine].step_count
    for _ in range(count + 1):
        if run.step >= count:
            run.running = 0
            return
        done = _run_step(state, station_index, plan)
        if done == 0:
            return
        run.step += done
        run.moving = 0
        run.since_ns = state.machine.time_ns


@kernel
def step_recovery(state, station_index, plan, speed, period_s):
    """Advance a recovery by one period, before the moves are evaluated; `speed` 0 lets it stand."""
    station = state.stations[station_index]
    run = station.recovery
    if not run.active:
        _begin(station, plan)
        if not run.active:
            return
    run.clock.acceleration_max = station.master.acceleration_max
    run.clock.jerk_max = station.master.jerk_max
    step_master(run.clock, speed, period_s)
    if speed == 0.0 and not run.moving:
        return
    if run.running:
        _run_routine(state, station_index, plan)
        return
    wanted = _wanted(station, run.polarity, run.polarity == _arriving(station))
    if wanted == _DONE:
        _end(state, station_index, run.polarity)
    elif wanted != _WAIT:
        run.routine = wanted
        run.running = 1
        run.step = 0
        run.moving = 0
        run.since_ns = state.machine.time_ns
