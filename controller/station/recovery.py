"""Recovery: one arm puts a sheet aside, fetches another or brings one, beside a master that stands.

At the end of a half fold everything rests, so the master waits there at no risk, for as long as it
takes. What to do next follows from where the sheets are, not from how it came to that. The arm's moves
run on a clock of their own, and so stop and go on along their path like everything else.
"""

from controller.shared.alarms import AlarmId
from controller.shared.conditions import ConditionId
from controller.shared.plan import RoutineId, SectionId
from controller.station.actions import begin_routine
from controller.station.alarms import recovered
from controller.station.kernel import kernel
from controller.station.routine import run_routine
from controller.station.state import MoveClock
from drivers.image import Polarity
from motion.master import place_master, step_master

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
    recovery = station.recovery
    arriving = _arriving(station)
    leaving = 1 - arriving
    gate = station.status.gate_condition
    if gate == ConditionId.SHEET_BROUGHT:
        recovery.polarity = arriving
    elif gate == ConditionId.PICK_BEGUN and (
        station.feeders[leaving].owed or station.feeders[leaving].rejected
    ):
        recovery.polarity = leaving
    else:
        return
    recovery.active = 1
    recovery.runner.active = 0
    place_master(station.recovery_master, 0.0, 0.0)


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
def step_recovery(state, station_index, inputs, outputs, plan, speed, period_s):
    """Advance a recovery by one period, before the moves are evaluated; `speed` 0 lets it stand."""
    station = state.stations[station_index]
    recovery, runner = station.recovery, station.recovery.runner
    if not recovery.active:
        _begin(station, plan)
        if not recovery.active:
            return
    step_master(station.recovery_master, speed, period_s)
    if runner.active:
        run_routine(state, station_index, inputs, outputs, plan, runner, speed)
        return
    if speed == 0.0:
        return
    wanted = _wanted(station, recovery.polarity, recovery.polarity == _arriving(station))
    if wanted == _DONE:
        _end(state, station_index, recovery.polarity)
    elif wanted != _WAIT:
        begin_routine(state, station, runner, MoveClock.RECOVERY, wanted)
