"""Quality: each layer as the stack camera saw it, the cell's verdict, and the cell's record."""

from math import sqrt

import numpy as np

from controller.shared.alarms import AlarmId
from controller.shared.events import EventKind
from controller.shared.plan import LAYERS_MAX
from controller.shared.records import RejectReason, Verdict
from controller.station.alarms import alarm_while, emit, raise_alarm
from controller.station.kernel import kernel
from controller.station.state import STACK_TRIGGERS_MAX
from drivers.image import Polarity, ReadingQuality

_STOPPED = int(RejectReason.STOPPED)
_ABORTED = int(RejectReason.ABORTED)
_OVERHANG = int(RejectReason.OVERHANG)
_TENSION = int(RejectReason.TENSION)
_UNMEASURED = int(RejectReason.LAYER_UNMEASURED)
_HIPOT = int(RejectReason.HIPOT)
_SPLICE = int(RejectReason.SPLICE)
_MISSING = int(RejectReason.MISSING_SHEET)
NOT_MEASURED = np.float32(1e9)


@kernel
def open_cell(state, station_index, plan):
    """Start a new cell's record."""
    station = state.stations[station_index]
    record = station.record
    state.cells_started += 1
    station.status.cell = state.cells_started
    station.status.sheet = 0
    station.status.sheets = plan.sheets
    station.cell_open = 1
    station.pair_ns = 0
    record.cell = state.cells_started
    record.station = station_index
    record.verdict = Verdict.NONE
    record.reasons = 0
    record.layer_count = 0
    record.retries = 0
    record.started_ns = state.machine.time_ns
    record.hipot_resistance_ohm = 0.0
    for index in range(record.alarms.size):
        record.alarms[index] = station.status.alarms[index]
    for index in range(record.plan_identity.size):
        record.plan_identity[index] = plan.identity[index]
    for index in range(record.phase_time_s.size):
        record.phase_time_s[index] = 0.0
    station.web.tension_sum_n = 0.0
    station.web.tension_count = 0
    station.web.tension_min_n = 1e9
    station.web.tension_max_n = -1e9
    sigma_m, sigma_rad = plan.alignment.placement_sigma_m, plan.alignment.placement_sigma_rad
    for feeder in range(2):
        if station.feeders[feeder].bias_variance_m2 == 0.0:
            station.feeders[feeder].bias_variance_m2 = sigma_m * sigma_m
            station.feeders[feeder].bias_variance_rad2 = sigma_rad * sigma_rad
        station.feeders[feeder].fetched_count = 0
        if station.feeders[feeder].fetched.present:
            station.feeders[feeder].fetched_count += 1
        if station.feeders[feeder].staged.present:
            station.feeders[feeder].fetched_count += 1
    emit(state, EventKind.CELL_STARTED, 0, station_index, -1, float(state.cells_started))


@kernel
def begin_dry_cycle(state, station, plan):
    """Start a cycle without material: it is counted, but there is no cell to keep a record of."""
    state.cells_started += 1
    station.status.cell = state.cells_started
    station.status.sheet = 0
    station.status.sheets = plan.sheets


@kernel
def end_dry_cycle(state, station, plan):
    """Count a cycle without material; it is neither good nor rejected."""
    if plan.dry and station.status.cell > 0:
        state.machine.cells_done += 1
        station.status.cell = 0
        station.status.sheet = 0


@kernel
def _expected(bias_variance, placement_sigma, camera_sigma):
    """Sigma of a placement: the learned error's, the sheet camera's and what no correction removes."""
    return sqrt(bias_variance + placement_sigma * placement_sigma + camera_sigma * camera_sigma)


@kernel
def record_layer(state, station_index, plan, polarity, sheet):
    """Note a sheet that was just laid."""
    station = state.stations[station_index]
    limits = plan.alignment
    record = station.record
    now = state.machine.time_ns
    station.status.sheet += 1
    station.status.sheets_total += 1
    index = record.layer_count
    if index >= LAYERS_MAX:
        raise_alarm(state, station_index, AlarmId.INTERNAL, -1)
        return
    layer = record.layers[index]
    layer.polarity = polarity
    layer.retries = sheet.retries
    layer.before_m[0] = sheet.pose_x_m
    layer.before_m[1] = sheet.pose_y_m
    layer.before_rad = sheet.pose_theta_rad
    feeder = station.feeders[polarity]
    layer.sigma_m = _expected(
        feeder.bias_variance_m2, limits.placement_sigma_m, limits.camera_sigma_m
    )
    layer.sigma_rad = _expected(
        feeder.bias_variance_rad2, limits.placement_sigma_rad, limits.camera_sigma_rad
    )
    layer.after_m[0] = NOT_MEASURED
    layer.after_m[1] = NOT_MEASURED
    layer.after_rad = 0.0
    for edge in range(4):
        layer.overhang_m[edge] = NOT_MEASURED
    layer.time_s = 0.0 if index == 0 else (now - station.layer_ns) * 1e-9
    station.layer_ns = now
    if polarity == Polarity.ANODE:
        if station.pair_ns > 0:
            station.status.seconds_per_sheet = 0.5e-9 * (now - station.pair_ns)
        station.pair_ns = now
    record.layer_count = index + 1


@kernel
def trigger_stack_camera(state, station_index):
    """Ask for a picture of the topmost layer."""
    station = state.stations[station_index]
    if station.record.layer_count == 0 or not station.cell_open:
        return
    late = station.stack_sequence != station.stack_sequence_read
    alarm_while(state, station_index, AlarmId.STACK_CAMERA_LATE, -1, late)
    station.stack_sequence += 1
    slot = station.stack_triggers[station.stack_sequence % STACK_TRIGGERS_MAX]
    slot.sequence = station.stack_sequence
    slot.layer = station.record.layer_count - 1
    slot.triggered_ns = state.machine.time_ns


@kernel
def _learn_bias(station, plan, polarity, reading):
    """Run-to-run: the mean placement error, by an exponential average, for the next corrections."""
    feeder = station.feeders[polarity]
    gain = plan.alignment.drift_gain
    feeder.bias_m[0] += gain * (reading.x_m - station.status.offset_trim_m[0])
    feeder.bias_m[1] += gain * (reading.y_m - station.status.offset_trim_m[1])
    feeder.bias_rad += gain * (reading.theta_rad - station.status.offset_trim_rad)
    keep, limits = (1.0 - gain) * (1.0 - gain), plan.alignment
    seen_m = _expected(0.0, limits.placement_sigma_m, limits.camera_sigma_m)
    seen_rad = _expected(0.0, limits.placement_sigma_rad, limits.camera_sigma_rad)
    feeder.bias_variance_m2 = keep * feeder.bias_variance_m2 + gain * gain * seen_m * seen_m
    feeder.bias_variance_rad2 = keep * feeder.bias_variance_rad2 + gain * gain * seen_rad * seen_rad


@kernel
def _measure_overhang(record, index, plan):
    """Overhang of the anode over the cathode between a layer and the one below, edge by edge."""
    layer, below = record.layers[index], record.layers[index - 1]
    anode, cathode = layer, below
    if layer.polarity == Polarity.CATHODE:
        anode, cathode = below, layer
    if below.after_m[0] == NOT_MEASURED:
        return
    shift_x = anode.after_m[0] - cathode.after_m[0]
    shift_y = anode.after_m[1] - cathode.after_m[1]
    turn = abs(anode.after_rad - cathode.after_rad)
    half_x = plan.quality.sheet_half_length_m[Polarity.CATHODE]
    half_y = plan.quality.sheet_half_width_m[Polarity.CATHODE]
    nominal = plan.quality.overhang_m
    layer.overhang_m[0] = nominal - shift_x - turn * half_y
    layer.overhang_m[1] = nominal + shift_x - turn * half_y
    layer.overhang_m[2] = nominal - shift_y - turn * half_x
    layer.overhang_m[3] = nominal + shift_y - turn * half_x


@kernel
def read_stack_camera(state, station_index, inputs, plan):
    """Take a new picture into the layer it was triggered for."""
    station = state.stations[station_index]
    reading = inputs.stack_camera
    if reading.sequence == station.stack_sequence_read:
        return
    station.stack_sequence_read = reading.sequence
    slot = station.stack_triggers[reading.sequence % STACK_TRIGGERS_MAX]
    record = station.record
    known = slot.sequence == reading.sequence and station.cell_open
    if not known or slot.layer < 0 or slot.layer >= record.layer_count:
        return
    if reading.quality != ReadingQuality.GOOD:
        return
    layer = record.layers[slot.layer]
    layer.after_m[0] = reading.x_m
    layer.after_m[1] = reading.y_m
    layer.after_rad = reading.theta_rad
    station.status.overlay_x_m = reading.x_m
    station.status.overlay_y_m = reading.y_m
    station.status.overlay_theta_rad = reading.theta_rad
    beyond = abs(reading.x_m) > plan.alignment.outlier_m
    if not beyond and abs(reading.y_m) <= plan.alignment.outlier_m:
        _learn_bias(station, plan, layer.polarity, reading)
    if slot.layer > 0:
        _measure_overhang(record, slot.layer, plan)


@kernel
def _scatter(record):
    """One sigma of where the stack camera saw the layers, x and y pooled about their means."""
    square, freedom = 0.0, 0
    for axis in range(2):
        count, total, total_square = 0, 0.0, 0.0
        for index in range(record.layer_count):
            seen = record.layers[index].after_m
            if seen[0] != NOT_MEASURED:
                count += 1
                total += seen[axis]
                total_square += seen[axis] * seen[axis]
        if count > 1:
            square += max(total_square - total * total / count, 0.0)
            freedom += count - 1
    return sqrt(square / freedom) if freedom > 0 else 0.0


@kernel
def _least_overhang(record, plan):
    """What a layer's overhang must measure.

    With sheets placed as they should be, no overhang is near its limit and one that measures as good is
    good. Where they scatter more, some are, and what camera and cut leave open decides: then a margin is
    kept to it (ISO 14253-1).
    """
    quality = plan.quality
    wild = _scatter(record) > quality.scatter_max_m
    return quality.overhang_min_m + (quality.overhang_guard_m if wild else 0.0)


@kernel
def _judge(record, plan):
    """Reasons to reject, from what was measured."""
    reasons = record.reasons
    least_m = _least_overhang(record, plan)
    unmeasured = 0
    for index in range(record.layer_count):
        layer = record.layers[index]
        if layer.after_m[0] == NOT_MEASURED:
            unmeasured += 1
        for edge in range(4):
            if layer.overhang_m[edge] < least_m:
                reasons |= _OVERHANG
    # one picture may be missing: its neighbours bound it; two may not
    if unmeasured > 1:
        reasons |= _UNMEASURED
    if record.layer_count != plan.sheets and not plan.dry:
        reasons |= _MISSING
    if (
        record.tension_min_n < plan.web.tension_min_n
        or record.tension_max_n > plan.web.tension_max_n
    ):
        reasons |= _TENSION
    if record.hipot_resistance_ohm < plan.quality.hipot_min_ohm:
        reasons |= _HIPOT
    if record.alarms[AlarmId.SPLICE]:
        reasons |= _SPLICE
    return reasons


@kernel
def _take_tension(station):
    """Note what the web's tension was while the cell was stacked."""
    record, web = station.record, station.web
    record.tension_min_n = web.tension_min_n
    record.tension_max_n = web.tension_max_n
    record.tension_mean_n = web.tension_sum_n / web.tension_count if web.tension_count > 0 else 0.0


@kernel
def _close_record(state, station_index, plan, record, reasons):
    """A cell's verdict, its counter, the machine's counts."""
    record.reasons |= reasons
    if reasons == 0:
        record.reasons = _judge(record, plan)
        failed = record.reasons & _HIPOT != 0
        alarm_while(state, station_index, AlarmId.HIPOT_FAILED, -1, failed)
    record.verdict = Verdict.GOOD if record.reasons == 0 else Verdict.REJECTED
    record.finished_ns = state.machine.time_ns
    state.records_produced += np.uint64(1)
    record.counter = state.records_produced
    state.machine.cells_done += 1
    if record.verdict == Verdict.GOOD:
        state.machine.cells_good += 1
    else:
        state.machine.cells_rejected += 1
    emit(
        state, EventKind.CELL_FINISHED, record.verdict, station_index, record.reasons,
        float(record.cell),
    )  # fmt: skip


@kernel
def close_cell(state, station_index, plan, reasons):
    """End the cell on the table: its verdict, its record for the outbox, the counts.

    reasons: RejectReason bits known beforehand (stopped, aborted), 0 for a cell that was finished.
    """
    station = state.stations[station_index]
    if not station.cell_open:
        return
    station.cell_open = 0
    _take_tension(station)
    _close_record(state, station_index, plan, station.record, reasons)
    station.record_ready = 1
    station.status.cell = 0
    station.status.sheet = 0


@kernel
def hand_over(station):
    """The finished stack leaves the table: its record goes with it to the wrapping place."""
    if not station.cell_open:
        return
    station.cell_open = 0
    _take_tension(station)
    station.wrapped = station.record
    station.wrapped_open = 1
    station.status.wrapping_cell = station.record.cell
    station.status.cell = 0
    station.status.sheet = 0


@kernel
def close_wrapped(state, station_index, plan, reasons):
    """End the cell at the wrapping place, as `close_cell` does the one on the table."""
    station = state.stations[station_index]
    if not station.wrapped_open:
        return
    station.wrapped_open = 0
    _close_record(state, station_index, plan, station.wrapped, reasons)
    station.wrapped_ready = 1
    station.status.wrapping_cell = 0


@kernel
def reject_reason(aborting):
    """The reason a cell in work is rejected for when the machine ends it."""
    return _ABORTED if aborting else _STOPPED
