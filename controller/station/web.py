"""The web: the feed follows the fold's geometry, the dancer trims it, the unwind keeps its loop."""

from controller.shared.alarms import AlarmId
from controller.shared.learned import Learner
from controller.shared.status import SequenceState
from controller.station.alarms import alarm_while, raise_alarm
from controller.station.kernel import kernel
from controller.station.learning import learn, learned_force
from controller.station.roll import step_unwind, supervise_roll
from controller.station.state import WebMode
from drivers.cia402 import PowerState
from drivers.image import AxisId
from motion.fold_geometry import taut_length

_X, _FEED = int(AxisId.TABLE_X), int(AxisId.FEED)
_DANCER, _EDGE, _WRAP = int(AxisId.DANCER), int(AxisId.EDGE), int(AxisId.WRAP)
_CHANGER = int(AxisId.CHANGER)
_ARM_X = int(AxisId.ANODE_ARM_X)  # z follows; the cathode's are 2 further on
_LEFT_FINGER = int(AxisId.FINGER_LEFT_FRONT_IN)  # down follows
_RIGHT_FINGER = int(AxisId.FINGER_RIGHT_FRONT_IN)
FINGER_OVER_M = 0.0065  # a finger this far in has the web under it for certain
DIFFERENCE_S = 0.0005
PI = 3.141592653589793
MEAN_AGE_MAX_NS = 100_000_000  # of a reading that the mean tension follows
MEAN_TRIM_SHARE = 0.1  # of the dancer's force, that load-cell feedback may use
SLACK_SHARE = 0.1  # of the set tension: less is none
SLACK_NS = 20_000_000
OFF_TARGET_NS = 200_000_000  # about a fold: what comes and goes inside of one is no warning

_LEARNER = int(Learner.TENSION)


@kernel
def _ahead(setpoint, dt):
    return setpoint.position_m + dt * (
        setpoint.velocity_m_s + 0.5 * dt * setpoint.acceleration_m_s2
    )


@kernel
def _pressing_tip(top, edge, height, beside, tip, over):
    """Height that a finger holds the web down to while it comes in over it.

    One that comes in lower than the web takes it down at once; the feed spreads that over its way in.
    """
    if over >= 1.0 or not 0.0 < beside < edge:
        return tip if over > 0.0 else top
    line = height + (top - height) * (edge - beside) / edge
    return line + over * (tip - line) if tip < line else top


@kernel
def _length_at(station, plan, dt):
    """Web between the rollers and the fold, dt from the setpoints' instant.

    The load swings behind the table's encoder, the arriving sheet's inner edge and the fingers that
    clamp the next fold push the web down.
    """
    web = station.web
    side = web.side
    right = side > 0.0
    arm = _ARM_X + 2 if right else _ARM_X
    finger = _LEFT_FINGER if right else _RIGHT_FINGER
    half_sheet = plan.quality.sheet_half_length_m[1 if right else 0]
    swing = web.deflection_m + dt * (web.deflection_m_s + 0.5 * dt * web.deflection_m_s2)
    load = _ahead(station.axes[_X], dt) + swing
    half_pitch = 0.5 * plan.web.fold_pitch_m
    edge = 0.5 * plan.web.stroke_m - half_sheet - _ahead(station.axes[arm], dt)
    height = max(_ahead(station.axes[arm + 1], dt), 0.0)
    tip = max(plan.finger_down_m - _ahead(station.axes[finger + 1], dt), 0.0)
    centre = side * load
    beside = centre - half_pitch
    reach = min(max(_ahead(station.axes[finger], dt) / FINGER_OVER_M, 0.0), 1.0)
    over = reach * (2.0 - reach)
    tip = _pressing_tip(plan.web.roller_height_m, edge, height, beside, tip, over)
    return taut_length(plan.web, centre + half_pitch, edge, height, beside, tip)


@kernel
def _free_length(station, plan):
    """Length, speed and acceleration of the free web, by central differences over the setpoints."""
    before = _length_at(station, plan, -DIFFERENCE_S)
    now = _length_at(station, plan, 0.0)
    after = _length_at(station, plan, DIFFERENCE_S)
    speed = (after - before) / (2.0 * DIFFERENCE_S)
    return now, speed, (after - 2.0 * now + before) / (DIFFERENCE_S * DIFFERENCE_S)


@kernel
def _over_period(mode, full, row, e, v, old, new):
    """One row of the mode's transition, between the empty table's and that of a full stack."""
    empty, whole = mode[0, row], mode[1, row]
    light = empty[0] * e + empty[1] * v + empty[2] * old + empty[3] * new
    heavy = whole[0] * e + whole[1] * v + whole[2] * old + whole[3] * new
    return light + full * (heavy - light)


@kernel
def step_deflection(station, plan):
    """Predict the load behind the table's encoder: one period of the believed mode, exactly.

    e'' + 2 z w e' + w^2 e = -x'', the setpoint's acceleration going linearly over the period.
    """
    web = station.web
    full = station.status.sheet / plan.sheets if plan.sheets > 0 else 0.0
    new = station.axes[_X].acceleration_m_s2
    old = web.table_acceleration_m_s2
    e, v = web.deflection_m, web.deflection_m_s
    web.deflection_m = _over_period(plan.mode, full, 0, e, v, old, new)
    web.deflection_m_s = _over_period(plan.mode, full, 1, e, v, old, new)
    web.deflection_m_s2 = _over_period(plan.mode, full, 2, e, v, old, new)
    web.table_acceleration_m_s2 = new


@kernel
def start_web(station, plan):
    """Take up the web where the feed stands: its end is clamped for a new cell."""
    web = station.web
    web.mode = WebMode.FOLDING
    web.side = -1.0
    web.base_m = station.axes[_FEED].position_m - web.trim_m - _free_length(station, plan)[0]


@kernel
def swap_fold(station, plan):
    """Fingers clamp the next fold: it is at the stack's other edge, what lay before stays laid."""
    web = station.web
    if web.mode != WebMode.FOLDING:
        return
    before = _free_length(station, plan)[0]
    web.side = -web.side
    web.base_m += before - _free_length(station, plan)[0]


@kernel
def start_wrap(station):
    """From here the web also follows the wrap axis."""
    station.web.mode = WebMode.WRAPPING
    station.web.wrap_start_rad = station.axes[_WRAP].position_m


@kernel
def trail_web(station):
    """From here the web follows the stack that the changer is about to turn away."""
    web = station.web
    web.mode = WebMode.TRAILING
    web.base_m = station.axes[_FEED].position_m - web.trim_m
    web.turn_start_rad = station.axes[_CHANGER].position_m


@kernel
def cut_web(station):
    """The cutter's clamp holds the web: the feed stands still but for the dancer."""
    web = station.web
    web.mode = WebMode.CUT
    web.base_m = station.axes[_FEED].position_m - web.trim_m


@kernel
def _follow(station, plan):
    """Fed length, its speed and acceleration, that the geometry asks for."""
    web = station.web
    if web.mode == WebMode.CUT:
        return web.base_m, 0.0, 0.0
    if web.mode == WebMode.TRAILING:
        changer = station.axes[_CHANGER]
        web_a_radian = plan.web.tail_m / PI
        if web.turn_start_rad > 0.5 * PI:
            web_a_radian = -web_a_radian
        length = web.base_m + web_a_radian * (changer.position_m - web.turn_start_rad)
        return length, web_a_radian * changer.velocity_m_s, web_a_radian * changer.acceleration_m_s2
    length, speed, acceleration = _free_length(station, plan)
    length += web.base_m
    if web.mode == WebMode.WRAPPING:
        wrap = station.axes[_WRAP]
        web_a_radian = plan.web.fold_pitch_m / PI
        length += web_a_radian * (wrap.position_m - web.wrap_start_rad)
        speed += web_a_radian * wrap.velocity_m_s
        acceleration += web_a_radian * wrap.acceleration_m_s2
    return length, speed, acceleration


@kernel
def _feed_is_ours(station):
    enabled = station.status.axes[_FEED].power_state == PowerState.OPERATION_ENABLED
    return enabled and station.status.sequence >= SequenceState.ROUTINE


@kernel
def _wanted_tension(station, plan):
    return plan.web.tension_n + station.status.tension_trim_n


@kernel
def _follow_tension(station, inputs, plan, age_ns, period_s):
    """Load-cell feedback: a lasting error goes slowly, and what repeats is learned.

    A reading older than two periods came late by who knows how much: nothing is learned from it.
    """
    web = station.web
    late = age_ns > 2e9 * period_s
    if late:
        station.learning.count = 0
    if age_ns > MEAN_AGE_MAX_NS:
        return
    error = _wanted_tension(station, plan) - inputs.tension_n
    bound = 2.0 * MEAN_TRIM_SHARE * plan.web.tension_n
    trim = web.mean_trim_n + 2.0 * plan.web.tension_gain_1_s * error * period_s
    web.mean_trim_n = min(max(trim, -bound), bound)
    if not late:
        learn(station, plan, -error, -station.status.axes[_X].following_error_m)


@kernel
def _dancer_force(station, plan, acceleration):
    """Twice the tension at the dancer: that at the table less what accelerates web and guides."""
    if not station.enable:
        return 0.0
    wanted = _wanted_tension(station, plan) - plan.web.guide_mass_kg * acceleration
    return 2.0 * wanted + station.web.mean_trim_n + learned_force(station, plan, _LEARNER)


@kernel
def step_web(state, station_index, inputs, outputs, plan, stacking, period_s):
    """Advance feed, unwind, dancer force and edge guide by one period."""
    station = state.stations[station_index]
    step_deflection(station, plan)
    web, feed, edge = station.web, station.axes[_FEED], station.axes[_EDGE]
    outputs.axes[_DANCER].force_offset_n = _dancer_force(station, plan, 0.0)
    if not _feed_is_ours(station) or not web.followed:
        # coordinates may change under a drive that homes: take up the web where it is found
        web.followed = _feed_is_ours(station)
        web.base_m += feed.position_m - web.trim_m - _follow(station, plan)[0]
        web.roll_marked = 0
        return
    # a full dancer holds more web than it should: feed less
    change = -plan.web.dancer_gain_1_s * inputs.dancer_position_m
    web.trim_m += 2.0 * change * period_s
    length, speed, acceleration = _follow(station, plan)
    lag = plan.web.feed_lag_s
    feed.position_m = length + web.trim_m + lag * speed
    feed.velocity_m_s = speed + lag * acceleration
    jerk = (acceleration - web.acceleration_m_s2) / period_s
    feed.acceleration_m_s2 = acceleration + lag * jerk
    web.acceleration_m_s2 = acceleration
    if stacking:
        age_ns = state.machine.time_ns - inputs.tension_stamp_ns
        _follow_tension(station, inputs, plan, age_ns, period_s)
    outputs.axes[_DANCER].force_offset_n = _dancer_force(station, plan, acceleration)
    step_unwind(station, inputs, plan, length + web.trim_m, speed + 2.0 * change, period_s)
    limits = plan.axes[_EDGE]
    guide = edge.position_m - plan.web.edge_gain_1_s * inputs.web_edge_m * period_s
    edge.position_m = min(max(guide, limits.position_min_m), limits.position_max_m)


@kernel
def supervise_web(state, station_index, inputs, plan, stacking):
    """Watch tension, dancer, loop, edge and roll."""
    station = state.stations[station_index]
    web, tension = station.web, inputs.tension_n
    limits = plan.web
    supervise_roll(state, station_index, inputs, plan)
    off_edge = stacking and abs(inputs.web_edge_m) > limits.edge_warning_m
    alarm_while(state, station_index, AlarmId.WEB_EDGE, -1, off_edge)
    outside = tension < limits.tension_min_n or tension > limits.tension_max_n
    alarm_while(state, station_index, AlarmId.TENSION_OUT_OF_LIMITS, -1, stacking and outside)
    now = state.machine.time_ns
    off_n = abs(tension - limits.tension_n - station.status.tension_trim_n)
    if not stacking or off_n <= limits.tension_warning_n:
        web.on_target_ns = now
    off_target = now - web.on_target_ns > OFF_TARGET_NS
    alarm_while(state, station_index, AlarmId.TENSION_WARNING, -1, off_target)
    if not stacking:
        return
    at_stop = abs(inputs.dancer_position_m) > limits.dancer_limit_m
    if at_stop and tension < SLACK_SHARE * limits.tension_n:
        raise_alarm(state, station_index, AlarmId.WEB_BREAK, -1)
    elif at_stop:
        raise_alarm(state, station_index, AlarmId.DANCER_LIMIT, _DANCER)
    if tension > SLACK_SHARE * limits.tension_n or web.tension_count == 0:
        web.taut_ns = now
    elif now - web.taut_ns > SLACK_NS:
        raise_alarm(state, station_index, AlarmId.WEB_SLACK, -1)
    web.tension_sum_n += tension
    web.tension_count += 1
    web.tension_min_n = min(web.tension_min_n, tension)
    web.tension_max_n = max(web.tension_max_n, tension)
