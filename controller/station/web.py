"""The web: the feed follows the fold's geometry, the dancer trims it, the unwind keeps its loop."""

from controller.shared.alarms import AlarmId
from controller.station.alarms import alarm_while, raise_alarm
from controller.station.kernel import kernel
from controller.station.state import SequenceState, WebMode
from drivers.cia402 import PowerState
from drivers.image import AxisId
from motion.fold_geometry import web_motion

_X, _FEED, _UNWIND = int(AxisId.TABLE_X), int(AxisId.FEED), int(AxisId.UNWIND)
_DANCER, _EDGE, _WRAP = int(AxisId.DANCER), int(AxisId.EDGE), int(AxisId.WRAP)
_ARM_X, _ARM_Z = int(AxisId.ANODE_ARM_X), int(AxisId.ANODE_ARM_Z)  # the cathode's are 2 further on
ARM_IN_PLACE_M = 0.010
PI = 3.141592653589793
UNWIND_FILTER_1_S = 3.0


@kernel
def _free_length(station, plan):
    """Length, speed and acceleration of the web between roller and fold, from the setpoints."""
    web = station.web
    table = station.axes[_X]
    offset = 2 if web.side > 0.0 else 0
    arm_x, arm_z = station.axes[_ARM_X + offset], station.axes[_ARM_Z + offset]
    height, rise, lift = plan.web.roller_height_m, 0.0, 0.0
    if abs(arm_x.position_m) < ARM_IN_PLACE_M:
        height, rise, lift = arm_z.position_m, arm_z.velocity_m_s, arm_z.acceleration_m_s2
    return web_motion(
        plan.web,
        web.side,
        (table.position_m, table.velocity_m_s, table.acceleration_m_s2),
        (height, rise, lift),
    )


@kernel
def start_web(station, plan):
    """Take up the web where the feed stands: its end is clamped for a new cell."""
    web = station.web
    web.mode = WebMode.FOLDING
    web.side = -1.0
    web.base_m = station.axes[_FEED].position_m - web.trim_m - _free_length(station, plan)[0]


@kernel
def swap_fold(station, plan):
    """A sheet was laid: the new fold is at its other edge, one pitch of web stays under it."""
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
def _step_unwind(station, inputs, plan, feed_velocity, period_s):
    """Keep the loop before the feed roller: a slow average of the feed and the loop's error."""
    web = station.web
    web.feed_velocity_m_s += (feed_velocity - web.feed_velocity_m_s) * UNWIND_FILTER_1_S * period_s
    error = plan.web.loop_length_m - inputs.loop_length_m
    velocity = web.feed_velocity_m_s + plan.web.loop_gain_1_s * error
    radius = inputs.roll_radius_m
    if radius < plan.web.roll_radius_min_m:
        radius = plan.web.roll_radius_min_m
    unwind = station.axes[_UNWIND]
    limits = plan.axes[_UNWIND]
    wanted = velocity / radius
    change = limits.acceleration_max_m_s2 * period_s
    step = min(max(wanted - unwind.velocity_m_s, -change), change)
    speed = min(max(unwind.velocity_m_s + step, -limits.velocity_max_m_s), limits.velocity_max_m_s)
    unwind.velocity_m_s = speed
    unwind.position_m += speed * period_s


@kernel
def _feed_is_ours(station):
    enabled = station.status.axes[_FEED].power_state == PowerState.OPERATION_ENABLED
    return enabled and station.status.sequence >= SequenceState.ROUTINE


@kernel
def step_web(state, station_index, inputs, outputs, plan, running, period_s):
    """Advance feed, unwind, dancer force and edge guide by one period."""
    station = state.stations[station_index]
    web, feed, edge = station.web, station.axes[_FEED], station.axes[_EDGE]
    force = 2.0 * (plan.web.tension_n + station.tension_trim_n)
    outputs.axes[_DANCER].force_offset_n = force if station.enable else 0.0
    if not _feed_is_ours(station) or not web.followed:
        # coordinates may change under a drive that homes: take up the web where it is found
        web.followed = _feed_is_ours(station)
        web.base_m += feed.position_m - web.trim_m - _follow(station, plan)[0]
        return
    # a full dancer holds more web than it should: feed less
    change = -plan.web.dancer_gain_1_s * inputs.dancer_position_m
    web.trim_m += 2.0 * change * period_s
    length, speed, acceleration = _follow(station, plan)
    lag = plan.web.feed_lag_s
    feed.position_m = length + web.trim_m + lag * speed
    feed.velocity_m_s = speed + lag * acceleration
    feed.acceleration_m_s2 = acceleration
    _step_unwind(station, inputs, plan, speed + 2.0 * change, period_s)
    limits = plan.axes[_EDGE]
    guide = edge.position_m - plan.web.edge_gain_1_s * inputs.web_edge_m * period_s
    edge.position_m = min(max(guide, limits.position_min_m), limits.position_max_m)


@kernel
def supervise_web(state, station_index, inputs, plan, stacking):
    """Watch tension, dancer, loop, edge and roll."""
    station = state.stations[station_index]
    web, tension = station.web, inputs.tension_n
    limits = plan.web
    ending = inputs.roll_radius_m < limits.roll_radius_min_m * 1.05
    alarm_while(state, station_index, AlarmId.ROLL_ENDING, -1, ending)
    alarm_while(state, station_index, AlarmId.SPLICE, -1, inputs.splice_detected != 0)
    off_edge = stacking and abs(inputs.web_edge_m) > limits.edge_warning_m
    alarm_while(state, station_index, AlarmId.WEB_EDGE, -1, off_edge)
    outside = tension < limits.tension_min_n or tension > limits.tension_max_n
    alarm_while(state, station_index, AlarmId.TENSION_OUT_OF_LIMITS, -1, stacking and outside)
    if not stacking:
        return
    at_stop = abs(inputs.dancer_position_m) > limits.dancer_limit_m
    if at_stop and tension < 0.1 * limits.tension_n:
        raise_alarm(state, station_index, AlarmId.WEB_BREAK, -1)
    elif at_stop:
        raise_alarm(state, station_index, AlarmId.DANCER_LIMIT, _DANCER)
    web.tension_sum_n += tension
    web.tension_count += 1
    web.tension_min_n = min(web.tension_min_n, tension)
    web.tension_max_n = max(web.tension_max_n, tension)
