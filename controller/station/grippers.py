"""Grippers: the two of each arm, PLACE and FETCH; picks made, missed and tried again, sheets lost."""

from controller.shared.alarms import AlarmId
from controller.shared.conditions import ConditionId
from controller.station.alarms import clear_alarm, raise_alarm, recovered
from controller.station.kernel import kernel
from controller.station.sheets import clear_sheet, pass_sheet, sheets_needed
from drivers.image import AxisId

_ARM_X = int(AxisId.ANODE_ARM_X)  # z follows; the cathode's are 2 further on
REPICK_NS = 60_000_000
STAGED_M = 0.003  # an arm this near its back position holds its sheets over stage and magazine


@kernel
def _ask(gripper, now):
    gripper.on = 1
    gripper.asked = 1
    gripper.attempts = 1
    gripper.trouble = 0
    gripper.since_ns = now


@kernel
def _ask_fetch(state, station_index, plan, polarity):
    station = state.stations[station_index]
    feeder = station.feeders[polarity]
    if feeder.fetched_count < sheets_needed(plan, polarity) and not feeder.fetched.present:
        _ask(station.grippers[2 * polarity + 1], state.machine.time_ns)


@kernel
def pick(state, station_index, plan, polarity):
    """Ask the arm's grippers for what they need: PLACE the staged sheet, FETCH the next one."""
    station = state.stations[station_index]
    feeder = station.feeders[polarity]
    if plan.dry:
        return
    if feeder.staged.present and feeder.staged.corrected:
        _ask(station.grippers[2 * polarity], state.machine.time_ns)
    _ask_fetch(state, station_index, plan, polarity)


@kernel
def set_aside(state, station_index, plan, polarity):
    """PLACE grips the sheet that cannot be used, FETCH the next one."""
    station = state.stations[station_index]
    if station.feeders[polarity].staged.present:
        _ask(station.grippers[2 * polarity], state.machine.time_ns)
    _ask_fetch(state, station_index, plan, polarity)


@kernel
def vacuum_on(station, gripper_index):
    """Grip whatever may lie there; nobody waits for it."""
    station.grippers[gripper_index].on = 1


@kernel
def vacuum_off(state, station_index, gripper_index):
    """Let go of one gripper."""
    gripper = state.stations[station_index].grippers[gripper_index]
    gripper.on = 0
    gripper.asked = 0
    gripper.holding = 0
    gripper.since_ns = state.machine.time_ns


@kernel
def lay(state, station_index, polarity):
    """FETCH lets go of its sheet over the stage."""
    vacuum_off(state, station_index, 2 * polarity + 1)
    feeder = state.stations[station_index].feeders[polarity]
    feeder.releasing = feeder.fetched.present


@kernel
def release(state, station_index, polarity):
    """Let go of what the arm holds: PLACE's sheet lies on the stack, FETCH's on the stage."""
    vacuum_off(state, station_index, 2 * polarity)
    clear_sheet(state.stations[station_index].feeders[polarity].placed)
    lay(state, station_index, polarity)


@kernel
def drop(state, station_index, polarity):
    """PLACE lets go of the sheet it put aside."""
    vacuum_off(state, station_index, 2 * polarity)
    feeder = state.stations[station_index].feeders[polarity]
    clear_sheet(feeder.placed)
    feeder.rejected = 0
    feeder.owed = 1


@kernel
def arm_picked(station, polarity):
    """True when every gripper of the arm that was asked to hold does."""
    return not station.grippers[2 * polarity].asked and not station.grippers[2 * polarity + 1].asked


@kernel
def arm_released(station, inputs, plan, polarity):
    """True when every gripper of the arm that is off has let go."""
    for index in range(2 * polarity, 2 * polarity + 2):
        if not station.grippers[index].on and inputs.vacuum_pa[index] > plan.vacuum.released_pa:
            return False
    return True


@kernel
def _gripped(state, station_index, polarity, fetch, thickness_m, plan):
    station = state.stations[station_index]
    feeder = station.feeders[polarity]
    gripper = station.grippers[2 * polarity + fetch]
    gripper.asked = 0
    gripper.holding = 1
    retries = gripper.attempts - 1
    if retries > 0:
        recovered(state, station_index, gripper.trouble)
        clear_alarm(state, station_index, AlarmId.PICK_MISSED)
        clear_alarm(state, station_index, AlarmId.DOUBLE_SHEET)
        station.record.retries += retries
    if fetch:
        clear_sheet(feeder.fetched)
        feeder.fetched.present = 1
        feeder.fetched.retries = retries
        feeder.fetched.thickness_m = thickness_m
        feeder.fetched_count += 1
    else:
        pass_sheet(feeder.staged, feeder.placed)


@kernel
def _retry(state, station_index, gripper, plan, alarm):
    raise_alarm(state, station_index, alarm, -1)
    if gripper.attempts % (plan.alignment.pick_retries + 1) == 0:
        raise_alarm(state, station_index, AlarmId.PICK_FAILED, -1)
    gripper.attempts += 1
    gripper.trouble = alarm
    gripper.on = 0
    gripper.since_ns = state.machine.time_ns


@kernel
def _follow_pick(state, station_index, index, inputs, plan):
    """A pick under way: made, double, or missed."""
    gripper = state.stations[station_index].grippers[index]
    polarity, fetch = index // 2, index % 2
    now = state.machine.time_ns
    thickness = inputs.sheet_thickness_m[polarity]
    double = fetch == 1 and thickness > plan.vacuum.double_sheet_m
    made = inputs.vacuum_pa[index] > plan.vacuum.made_pa
    if made and double:
        _retry(state, station_index, gripper, plan, AlarmId.DOUBLE_SHEET)
    elif made:
        _gripped(state, station_index, polarity, fetch, thickness, plan)
    elif fetch and inputs.magazine_sheets[polarity] <= 0:
        gripper.since_ns = now  # an empty magazine has an alarm of its own
    elif now - gripper.since_ns > plan.vacuum.timeout_ns:
        _retry(state, station_index, gripper, plan, AlarmId.PICK_MISSED)


@kernel
def _follow_release(state, station_index, gripper, vacuum_pa, plan):
    """A gripper that is off: does its vacuum decay in time?"""
    if vacuum_pa > plan.vacuum.released_pa:
        if state.machine.time_ns - gripper.since_ns > plan.vacuum.release_late_ns:
            gripper.slow = 1
            raise_alarm(state, station_index, AlarmId.RELEASE_LATE, -1)
    elif gripper.slow:
        gripper.slow = 0
        recovered(state, station_index, AlarmId.RELEASE_LATE)
        clear_alarm(state, station_index, AlarmId.RELEASE_LATE)


@kernel
def _lose_fetched(feeder):
    """FETCH's sheet fell beside the stack: the stage will have none."""
    if feeder.fetched.present:
        clear_sheet(feeder.fetched)
        feeder.fetched_count -= 1
        feeder.owed = 1
        feeder.trouble = AlarmId.VACUUM_LOST


@kernel
def _lose_placed(feeder, staged):
    """PLACE's sheet fell beside the stack: another is brought. It may lie on its stage again."""
    if feeder.rejected:  # it was on its way to the bin
        clear_sheet(feeder.placed)
        return
    feeder.fetched_count -= 1
    feeder.trouble = AlarmId.VACUUM_LOST
    feeder.bringing = 1
    if staged:
        pass_sheet(feeder.placed, feeder.staged)
        feeder.rejected = 1
    clear_sheet(feeder.placed)


@kernel
def _lost(state, station_index, index, plan):
    """A gripper that held a sheet has no vacuum any more: what that means depends on where it is."""
    station = state.stations[station_index]
    polarity, fetch = index // 2, index % 2
    feeder = station.feeders[polarity]
    x_m = station.status.axes[_ARM_X + 2 * polarity].actual_position_m
    z_m = station.status.axes[_ARM_X + 2 * polarity + 1].actual_position_m
    vacuum_off(state, station_index, index)
    if not fetch and feeder.placed.present and x_m > plan.alignment.discard_m:
        clear_sheet(feeder.placed)
        raise_alarm(state, station_index, AlarmId.SHEET_OVER_STACK, -1)
        return
    raise_alarm(state, station_index, AlarmId.VACUUM_LOST, -1)
    if fetch:
        _lose_fetched(feeder)
    elif feeder.placed.present:
        back_m = 2.0 * plan.alignment.discard_m
        _lose_placed(feeder, z_m < STAGED_M and x_m < back_m + STAGED_M)


@kernel
def step_grippers(state, station_index, inputs, plan):
    """Follow the picks: vacuum made, missed and tried again, double sheets, sheets lost on the way."""
    station = state.stations[station_index]
    now = state.machine.time_ns
    for index in range(station.grippers.size):
        gripper = station.grippers[index]
        vacuum_pa = inputs.vacuum_pa[index]
        if gripper.asked and gripper.on:
            _follow_pick(state, station_index, index, inputs, plan)
        elif gripper.asked:
            # the grip is let go for a moment before it is tried again, and while the machine is held
            rested = now - gripper.since_ns > REPICK_NS and vacuum_pa < plan.vacuum.released_pa
            if rested and station.status.conditions[ConditionId.RUNNING]:
                gripper.on = 1
                gripper.since_ns = now
        elif not gripper.on:
            _follow_release(state, station_index, gripper, vacuum_pa, plan)
        elif gripper.holding and vacuum_pa < 0.5 * plan.vacuum.made_pa:
            _lost(state, station_index, index, plan)
