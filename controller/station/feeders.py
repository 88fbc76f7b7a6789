"""Feeders: per polarity the arm's two grippers, the alignment stage and its camera.

A sheet goes magazine -> FETCH gripper -> stage (camera, correction) -> PLACE gripper -> stack.
"""

from controller.shared.alarms import AlarmId
from controller.shared.conditions import ConditionId
from controller.station.alarms import clear_alarm, raise_alarm, recovered
from controller.station.kernel import kernel
from controller.station.moves import plan_move
from drivers.image import AxisId, Polarity, ReadingQuality
from motion.polynomials import cosine, sine

_STAGE = int(AxisId.ANODE_STAGE_X)  # x, y, theta; the cathode's are 3 further on
_ARM_X = int(AxisId.ANODE_ARM_X)  # z follows; the cathode's are 2 further on
REPICK_NS = 60_000_000
STAGED_M = 0.003  # an arm this near its back position holds its sheets over stage and magazine
CORRECTION_TIMEOUTS = 4  # of the camera: a stage that takes longer is stuck
AGREE_SIGMAS = 8.5  # two images of one sheet differ by less: 6 sigma of their difference


@kernel
def clear_sheet(sheet):
    """No sheet here."""
    sheet.present = 0
    sheet.measured = 0
    sheet.corrected = 0
    sheet.retries = 0
    sheet.pose_x_m = 0.0
    sheet.pose_y_m = 0.0
    sheet.pose_theta_rad = 0.0
    sheet.thickness_m = 0.0


@kernel
def pass_sheet(source, target):
    """Hand a sheet on."""
    target.present = source.present
    target.measured = source.measured
    target.corrected = source.corrected
    target.retries = source.retries
    target.pose_x_m = source.pose_x_m
    target.pose_y_m = source.pose_y_m
    target.pose_theta_rad = source.pose_theta_rad
    target.thickness_m = source.thickness_m
    clear_sheet(source)


@kernel
def sheets_needed(plan, polarity):
    """Sheets of a polarity in one cell: the anode is outermost on both sides."""
    if polarity == Polarity.ANODE:
        return (plan.sheets + 1) // 2
    return plan.sheets // 2


@kernel
def _ask(gripper, now):
    gripper.on = 1
    gripper.asked = 1
    gripper.attempts = 1
    gripper.trouble = 0
    gripper.since_ns = now


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
def _ask_fetch(state, station_index, plan, polarity):
    station = state.stations[station_index]
    feeder = station.feeders[polarity]
    if feeder.fetched_count < sheets_needed(plan, polarity) and not feeder.fetched.present:
        _ask(station.grippers[2 * polarity + 1], state.machine.time_ns)


@kernel
def release(state, station_index, polarity):
    """Let go of what the arm holds: PLACE's sheet lies on the stack, FETCH's on the stage."""
    station = state.stations[station_index]
    for gripper in range(2 * polarity, 2 * polarity + 2):
        vacuum_off(state, station_index, gripper)
    feeder = station.feeders[polarity]
    clear_sheet(feeder.placed)
    feeder.releasing = feeder.fetched.present


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
def set_aside(state, station_index, plan, polarity):
    """PLACE grips the sheet that cannot be used, FETCH the next one."""
    station = state.stations[station_index]
    if station.feeders[polarity].staged.present:
        _ask(station.grippers[2 * polarity], state.machine.time_ns)
    _ask_fetch(state, station_index, plan, polarity)


@kernel
def drop(state, station_index, polarity):
    """PLACE lets go of the sheet it put aside."""
    vacuum_off(state, station_index, 2 * polarity)
    feeder = state.stations[station_index].feeders[polarity]
    clear_sheet(feeder.placed)
    feeder.rejected = 0
    feeder.owed = 1


@kernel
def discard(station, polarity):
    """Forget the sheets of a polarity after they were dropped in the bin."""
    feeder = station.feeders[polarity]
    clear_sheet(feeder.placed)
    clear_sheet(feeder.staged)
    clear_sheet(feeder.fetched)
    feeder.waiting = 0
    feeder.correcting = 0
    feeder.releasing = 0
    feeder.doubted = 0
    feeder.rejected = 0
    feeder.rejections = 0
    feeder.owed = 0
    feeder.bringing = 0
    feeder.trouble = 0


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
def _trigger(state, station_index, polarity):
    feeder = state.stations[station_index].feeders[polarity]
    feeder.trigger += 1
    feeder.triggered_ns = state.machine.time_ns
    feeder.waiting = 1


@kernel
def _try_again(state, station_index, plan, polarity, alarm):
    """Trigger once more; False when that was tried often enough."""
    feeder = state.stations[station_index].feeders[polarity]
    if feeder.tries >= plan.alignment.camera_retries:
        return False
    raise_alarm(state, station_index, alarm, -1)
    feeder.trouble = alarm
    feeder.tries += 1
    feeder.staged.retries += 1
    _trigger(state, station_index, polarity)
    return True


@kernel
def _camera_silent(state, station_index, plan, polarity):
    """No answer at all: try again, then wait for a person."""
    feeder = state.stations[station_index].feeders[polarity]
    if not _try_again(state, station_index, plan, polarity, AlarmId.SHEET_CAMERA_LATE):
        raise_alarm(state, station_index, AlarmId.SHEET_CAMERA_FAILED, -1)
        feeder.tries = 0
        _trigger(state, station_index, polarity)


@kernel
def reject_sheet(state, station_index, plan, polarity, alarm):
    """The staged sheet is not to be used: it will be put aside and replaced, but not for ever."""
    feeder = state.stations[station_index].feeders[polarity]
    raise_alarm(state, station_index, alarm, -1)
    feeder.trouble = alarm
    feeder.rejected = 1
    feeder.rejections += 1
    feeder.fetched_count -= 1
    if feeder.rejections > plan.alignment.pick_retries:
        raise_alarm(state, station_index, AlarmId.SHEETS_MISALIGNED, -1)
        feeder.rejections = 0


@kernel
def start_correction(state, station_index, plan, polarity):
    """Move the stage once so that the measured sheet, with the learned bias, lies at zero.

    A stage at (t, phi) takes a sheet at (p, theta) to (R(phi) p + t, theta + phi).
    """
    station = state.stations[station_index]
    feeder = station.feeders[polarity]
    sheet = feeder.staged
    turn = -sheet.pose_theta_rad - feeder.bias_rad + station.status.offset_trim_rad
    c, s = cosine(turn), sine(turn)
    wanted_x = station.status.offset_trim_m[0] - feeder.bias_m[0]
    wanted_y = station.status.offset_trim_m[1] - feeder.bias_m[1]
    shift_x = wanted_x - (c * sheet.pose_x_m - s * sheet.pose_y_m)
    shift_y = wanted_y - (s * sheet.pose_x_m + c * sheet.pose_y_m)
    limits = plan.alignment
    beyond = abs(shift_x) > limits.stage_range_m or abs(shift_y) > limits.stage_range_m
    if beyond or abs(turn) > limits.stage_range_rad:
        return False
    status = station.status
    status.correction_x_m[polarity] = shift_x
    status.correction_y_m[polarity] = shift_y
    status.correction_theta_rad[polarity] = turn
    for offset in range(3):
        axis = _STAGE + 3 * polarity + offset
        target = shift_x if offset == 0 else (shift_y if offset == 1 else turn)
        setpoint = station.axes[axis]
        plan_move(setpoint.move, setpoint.position_m, target, plan.axes[axis], station.clock_s)
    feeder.correcting = 1
    return True


@kernel
def home_stage(station, plan, polarity):
    """Send a stage back to its centre."""
    for offset in range(3):
        axis = _STAGE + 3 * polarity + offset
        setpoint = station.axes[axis]
        plan_move(setpoint.move, setpoint.position_m, 0.0, plan.axes[axis], station.clock_s)


@kernel
def _stage_in_position(station, plan, polarity):
    for offset in range(3):
        axis = _STAGE + 3 * polarity + offset
        if station.axes[axis].move.active:
            return False
        if abs(station.status.axes[axis].following_error_m) > plan.axes[axis].in_position_m:
            return False
    return True


@kernel
def _believed(feeder, reading, limits):
    """Whether a pose may be used: near its place, or seen twice."""
    near = abs(reading.x_m) <= limits.outlier_m and abs(reading.y_m) <= limits.outlier_m
    if near and abs(reading.theta_rad) <= limits.outlier_rad:
        return True
    apart_m = max(abs(reading.x_m - feeder.doubt_m[0]), abs(reading.y_m - feeder.doubt_m[1]))
    apart_rad = abs(reading.theta_rad - feeder.doubt_rad)
    agree = apart_m <= AGREE_SIGMAS * limits.camera_sigma_m
    if feeder.doubted and agree and apart_rad <= AGREE_SIGMAS * limits.camera_sigma_rad:
        return True
    feeder.doubted = 1
    feeder.doubt_m[0] = reading.x_m
    feeder.doubt_m[1] = reading.y_m
    feeder.doubt_rad = reading.theta_rad
    return False


@kernel
def _take_reading(state, station_index, reading, plan, polarity):
    station = state.stations[station_index]
    feeder = station.feeders[polarity]
    feeder.waiting = 0
    if feeder.late:
        recovered(state, station_index, AlarmId.SHEET_CAMERA_LATE)
        clear_alarm(state, station_index, AlarmId.SHEET_CAMERA_LATE)
        feeder.late = 0
    good = reading.quality == ReadingQuality.GOOD
    if not good or not _believed(feeder, reading, plan.alignment):
        if not _try_again(state, station_index, plan, polarity, AlarmId.VISION_FAILED):
            reject_sheet(state, station_index, plan, polarity, AlarmId.SHEET_OUT_OF_RANGE)
        return
    feeder.doubted = 0
    sheet = feeder.staged
    sheet.pose_x_m = reading.x_m
    sheet.pose_y_m = reading.y_m
    sheet.pose_theta_rad = reading.theta_rad
    sheet.measured = 1
    status = station.status
    status.pose_x_m[polarity] = reading.x_m
    status.pose_y_m[polarity] = reading.y_m
    status.pose_theta_rad[polarity] = reading.theta_rad
    if not start_correction(state, station_index, plan, polarity):
        sheet.measured = 0
        reject_sheet(state, station_index, plan, polarity, AlarmId.SHEET_OUT_OF_RANGE)


@kernel
def _corrected(state, station_index, polarity):
    """The staged sheet lies true: whatever stood in its way is overcome."""
    feeder = state.stations[station_index].feeders[polarity]
    feeder.correcting = 0
    feeder.staged.corrected = 1
    feeder.rejections = 0
    clear_alarm(state, station_index, AlarmId.VISION_FAILED)
    clear_alarm(state, station_index, AlarmId.SHEET_OUT_OF_RANGE)
    if feeder.trouble and not feeder.bringing:
        if feeder.trouble != AlarmId.SHEET_CAMERA_LATE:
            recovered(state, station_index, feeder.trouble)
        feeder.trouble = 0


@kernel
def step_feeder(state, station_index, inputs, plan, polarity):
    """Take a sheet from the FETCH gripper's release to its finished correction."""
    station = state.stations[station_index]
    feeder = station.feeders[polarity]
    now = state.machine.time_ns
    fetch_vacuum = inputs.vacuum_pa[2 * polarity + 1]
    if feeder.releasing and fetch_vacuum < plan.vacuum.released_pa:
        feeder.releasing = 0
        feeder.owed = 0
        pass_sheet(feeder.fetched, feeder.staged)
        feeder.tries = 0
        feeder.doubted = 0
        _trigger(state, station_index, polarity)
    if feeder.waiting:
        reading = inputs.sheet_cameras[polarity]
        waited = now - feeder.triggered_ns
        if reading.sequence == feeder.trigger:
            _take_reading(state, station_index, reading, plan, polarity)
        elif waited > plan.alignment.camera_timeout_ns:
            _camera_silent(state, station_index, plan, polarity)
        elif waited > plan.alignment.camera_late_ns and not feeder.late:
            feeder.late = 1
            raise_alarm(state, station_index, AlarmId.SHEET_CAMERA_LATE, -1)
    if feeder.correcting and _stage_in_position(station, plan, polarity):
        _corrected(state, station_index, polarity)
    elif feeder.correcting and now - feeder.triggered_ns > CORRECTION_TIMEOUTS * (
        plan.alignment.camera_timeout_ns
    ):
        raise_alarm(state, station_index, AlarmId.ALIGNMENT_FAILED, -1)
