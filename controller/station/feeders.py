"""Feeders: per polarity the arm's two grippers, the alignment stage and its camera.

A sheet goes magazine -> FETCH gripper -> stage (camera, correction) -> PLACE gripper -> stack.
"""

from controller.shared.alarms import AlarmId
from controller.station.alarms import clear_alarm, raise_alarm, recovered
from controller.station.kernel import kernel
from controller.station.moves import plan_move
from drivers.image import AxisId, Polarity, ReadingQuality
from motion.polynomials import cosine, sine

_STAGE = int(AxisId.ANODE_STAGE_X)  # x, y, theta; the cathode's are 3 further on
REPICK_NS = 60_000_000


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
    if feeder.fetched_count < sheets_needed(plan, polarity) and not feeder.fetched.present:
        _ask(station.grippers[2 * polarity + 1], state.machine.time_ns)


@kernel
def release(station, polarity):
    """Let go of what the arm holds: PLACE's sheet lies on the stack, FETCH's on the stage."""
    feeder = station.feeders[polarity]
    for gripper_index in range(2 * polarity, 2 * polarity + 2):
        station.grippers[gripper_index].on = 0
        station.grippers[gripper_index].asked = 0
        station.grippers[gripper_index].holding = 0
    clear_sheet(feeder.placed)
    feeder.releasing = feeder.fetched.present


@kernel
def vacuum_off(station, gripper_index):
    """Let go of one gripper; what it held is no longer the cell's."""
    station.grippers[gripper_index].on = 0
    station.grippers[gripper_index].asked = 0
    station.grippers[gripper_index].holding = 0


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


@kernel
def _gripped(state, station_index, polarity, fetch, thickness_m, plan):
    station = state.stations[station_index]
    feeder = station.feeders[polarity]
    gripper = station.grippers[2 * polarity + fetch]
    gripper.asked = 0
    gripper.holding = 1
    retries = gripper.attempts - 1
    if retries > 0:
        recovered(state, station_index, AlarmId.PICK_MISSED)
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
    gripper.on = 0
    gripper.since_ns = state.machine.time_ns


@kernel
def step_grippers(state, station_index, inputs, plan):
    """Follow the picks: vacuum made, missed and tried again, double sheets, sheets lost on the way."""
    station = state.stations[station_index]
    now = state.machine.time_ns
    for index in range(station.grippers.size):
        gripper = station.grippers[index]
        polarity, fetch = index // 2, index % 2
        made = inputs.vacuum_pa[index] > plan.vacuum.made_pa
        thickness = inputs.sheet_thickness_m[polarity]
        if gripper.asked and gripper.on:
            double = fetch == 1 and thickness > plan.vacuum.double_sheet_m
            if made and double:
                _retry(state, station_index, gripper, plan, AlarmId.DOUBLE_SHEET)
            elif made:
                _gripped(state, station_index, polarity, fetch, thickness, plan)
            elif now - gripper.since_ns > plan.vacuum.timeout_ns:
                _retry(state, station_index, gripper, plan, AlarmId.PICK_MISSED)
        elif gripper.asked:
            # the grip is let go for a moment before it is tried again
            if inputs.vacuum_pa[index] < plan.vacuum.released_pa:
                if now - gripper.since_ns > REPICK_NS:
                    gripper.on = 1
                    gripper.since_ns = now
        elif gripper.holding and inputs.vacuum_pa[index] < 0.5 * plan.vacuum.made_pa:
            raise_alarm(state, station_index, AlarmId.VACUUM_LOST, -1)


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
    """Trigger once more, or give up and hold."""
    feeder = state.stations[station_index].feeders[polarity]
    if feeder.staged.retries >= plan.alignment.camera_retries:
        raise_alarm(state, station_index, AlarmId.SHEET_CAMERA_FAILED, -1)
        feeder.staged.retries = 0
    raise_alarm(state, station_index, alarm, -1)
    feeder.staged.retries += 1
    _trigger(state, station_index, polarity)


@kernel
def start_correction(state, station_index, plan, polarity):
    """Move the stage once so that the measured sheet, with the learned bias, lies at zero.

    A stage at (t, phi) takes a sheet at (p, theta) to (R(phi) p + t, theta + phi).
    """
    station = state.stations[station_index]
    feeder = station.feeders[polarity]
    sheet = feeder.staged
    turn = -sheet.pose_theta_rad - feeder.bias_rad + station.offset_trim_rad
    c, s = cosine(turn), sine(turn)
    wanted_x = station.offset_trim_m[0] - feeder.bias_m[0]
    wanted_y = station.offset_trim_m[1] - feeder.bias_m[1]
    shift_x = wanted_x - (c * sheet.pose_x_m - s * sheet.pose_y_m)
    shift_y = wanted_y - (s * sheet.pose_x_m + c * sheet.pose_y_m)
    limits = plan.alignment
    beyond = abs(shift_x) > limits.stage_range_m or abs(shift_y) > limits.stage_range_m
    if beyond or abs(turn) > limits.stage_range_rad:
        raise_alarm(state, station_index, AlarmId.SHEET_OUT_OF_RANGE, -1)
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
def _take_reading(state, station_index, reading, plan, polarity):
    station = state.stations[station_index]
    feeder = station.feeders[polarity]
    feeder.waiting = 0
    if feeder.late:
        recovered(state, station_index, AlarmId.SHEET_CAMERA_LATE)
        clear_alarm(state, station_index, AlarmId.SHEET_CAMERA_LATE)
        feeder.late = 0
    if reading.quality != ReadingQuality.GOOD:
        _try_again(state, station_index, plan, polarity, AlarmId.NONE)
        return
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
        # a reading far off is more often a false one than a sheet beyond the stage's range
        sheet.measured = 0
        _try_again(state, station_index, plan, polarity, AlarmId.NONE)


@kernel
def step_feeder(state, station_index, inputs, plan, polarity):
    """Take a sheet from the FETCH gripper's release to its finished correction."""
    station = state.stations[station_index]
    feeder = station.feeders[polarity]
    now = state.machine.time_ns
    fetch_vacuum = inputs.vacuum_pa[2 * polarity + 1]
    if feeder.releasing and fetch_vacuum < plan.vacuum.released_pa:
        feeder.releasing = 0
        pass_sheet(feeder.fetched, feeder.staged)
        _trigger(state, station_index, polarity)
    if feeder.waiting:
        reading = inputs.sheet_cameras[polarity]
        waited = now - feeder.triggered_ns
        if reading.sequence == feeder.trigger:
            _take_reading(state, station_index, reading, plan, polarity)
        elif waited > plan.alignment.camera_timeout_ns:
            _try_again(state, station_index, plan, polarity, AlarmId.SHEET_CAMERA_LATE)
        elif waited > plan.alignment.camera_late_ns and not feeder.late:
            feeder.late = 1
            raise_alarm(state, station_index, AlarmId.SHEET_CAMERA_LATE, -1)
    if feeder.correcting and _stage_in_position(station, plan, polarity):
        feeder.correcting = 0
        feeder.staged.corrected = 1
