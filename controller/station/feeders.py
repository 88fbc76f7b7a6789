"""Feeders: per polarity the alignment stage and its camera, and what became of each sheet.

A sheet goes magazine -> FETCH gripper -> stage (camera, correction) -> PLACE gripper -> stack.
"""

from controller.shared.alarms import AlarmId
from controller.station.alarms import clear_alarm, raise_alarm, recovered
from controller.station.kernel import kernel
from controller.station.moves import start_move
from controller.station.sheets import clear_sheet, pass_sheet
from controller.station.state import MoveClock
from drivers.image import AxisId, ReadingQuality
from motion.polynomials import cosine, sine

_STAGE = int(AxisId.ANODE_STAGE_X)  # x, y, theta; the cathode's are 3 further on
CORRECTION_TIMEOUTS = 4  # of the camera: a stage that takes longer is stuck
AGREE_SIGMAS = 8.5  # two images of one sheet differ by less: 6 sigma of their difference


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
def _move_stage(state, station_index, plan, polarity, x_m, y_m, theta_rad):
    """A correction goes on while the master waits: the stage moves in real time."""
    first = _STAGE + 3 * polarity
    start_move(state, station_index, plan, first, x_m, MoveClock.STATION)
    start_move(state, station_index, plan, first + 1, y_m, MoveClock.STATION)
    start_move(state, station_index, plan, first + 2, theta_rad, MoveClock.STATION)


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
    _move_stage(state, station_index, plan, polarity, shift_x, shift_y, turn)
    feeder.correcting = 1
    return True


@kernel
def home_stage(state, station_index, plan, polarity):
    """Send a stage back to its centre."""
    _move_stage(state, station_index, plan, polarity, 0.0, 0.0, 0.0)


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
