"""The baseline's web: a feed cam from the machine's geometry, a PI controller of the dancer's place."""

from bench.baseline.kernel import kernel
from bench.baseline.layout import WebMode
from drivers.image import AxisId
from motion.fold_geometry import taut_length

_X, _FEED, _UNWIND = int(AxisId.TABLE_X), int(AxisId.FEED), int(AxisId.UNWIND)
_EDGE, _WRAP, _ARM_X = int(AxisId.EDGE), int(AxisId.WRAP), int(AxisId.ANODE_ARM_X)
_LEFT_FINGER, _RIGHT_FINGER = int(AxisId.FINGER_LEFT_FRONT_IN), int(AxisId.FINGER_RIGHT_FRONT_IN)
_STILL, _FOLDING, _WRAPPING = int(WebMode.STILL), int(WebMode.FOLDING), int(WebMode.WRAPPING)
_FINGER_OVER_M = 0.001
_DIFFERENCE_S = 0.0005
_PI = 3.141592653589793
_UNWIND_FILTER_1_S = 3.0
_UNWIND_RAD_S2 = 60.0


@kernel
def _ahead(move, dt):
    return move.position_m + dt * (move.velocity_m_s + 0.5 * dt * move.acceleration_m_s2)


@kernel
def _length(state, settings, dt):
    """Web between the rollers and the fold, dt from now, as drawn: nothing bends or swings."""
    right = state.web.side > 0.0
    arm = _ARM_X + 2 if right else _ARM_X
    finger = _LEFT_FINGER if right else _RIGHT_FINGER
    half_pitch = 0.5 * settings.geometry.fold_pitch_m
    half_sheet = settings.half_sheet_m[1 if right else 0]
    edge = 0.5 * settings.geometry.stroke_m - half_sheet - _ahead(state.axes[arm], dt)
    height = max(_ahead(state.axes[arm + 1], dt), 0.0)
    tip = settings.geometry.roller_height_m
    if state.axes[finger].position_m > _FINGER_OVER_M:
        tip = max(settings.finger_down_m - _ahead(state.axes[finger + 1], dt), 0.0)
    centre = state.web.side * _ahead(state.axes[_X], dt)
    return taut_length(
        settings.geometry, centre + half_pitch, edge, height, centre - half_pitch, tip
    )


@kernel
def follow(state, settings, mode):
    """Change what the feed follows; what is fed stays fed."""
    web = state.web
    feed = state.axes[_FEED].position_m - web.trim_m
    if mode == _FOLDING:
        web.side = -1.0
    elif mode == _WRAPPING:
        web.wrap_start_rad = state.axes[_WRAP].position_m
    by_mean = mode == _FOLDING and not settings.feed_cam
    web.base_m = feed
    if mode != _STILL and not by_mean:
        web.base_m = feed - _length(state, settings, 0.0)
    web.mode = mode


@kernel
def swap_fold(state, settings):
    """Fingers clamp the next fold at the stack's other edge."""
    web = state.web
    before = _length(state, settings, 0.0)
    web.side = -web.side
    if settings.feed_cam:
        web.base_m += before - _length(state, settings, 0.0)


@kernel
def _cam(state, settings):
    """Fed length, speed and acceleration that the cam asks for."""
    web = state.web
    if web.mode == _STILL:
        return web.base_m, 0.0, 0.0
    if not settings.feed_cam and web.mode == _FOLDING:
        web.base_m += settings.feed_mean_m_s * settings.period_s
        return web.base_m, settings.feed_mean_m_s, 0.0
    before = _length(state, settings, -_DIFFERENCE_S)
    length = _length(state, settings, 0.0)
    after = _length(state, settings, _DIFFERENCE_S)
    speed = (after - before) / (2.0 * _DIFFERENCE_S)
    acceleration = (after - 2.0 * length + before) / (_DIFFERENCE_S * _DIFFERENCE_S)
    length += web.base_m
    if web.mode == _WRAPPING:
        wrap = state.axes[_WRAP]
        length += settings.geometry.fold_pitch_m / _PI * (wrap.position_m - web.wrap_start_rad)
        speed += settings.geometry.fold_pitch_m / _PI * wrap.velocity_m_s
    return length, speed, acceleration


@kernel
def step_web(state, settings, inputs):
    """Feed, unwind and edge guide for the next period."""
    web, feed, period = state.web, state.axes[_FEED], settings.period_s
    error = inputs.dancer_position_m
    web.integral_m_s += settings.dancer_integral_1_s2 * error * period
    trim = -2.0 * (settings.dancer_gain_1_s * error + web.integral_m_s)
    web.trim_m += trim * period
    length, speed, acceleration = _cam(state, settings)
    lead = settings.feed_lead_s
    feed.position_m = length + web.trim_m + lead * speed
    feed.velocity_m_s = speed + lead * acceleration + trim
    feed.acceleration_m_s2 = acceleration
    web.speed_m_s += (speed + trim - web.speed_m_s) * _UNWIND_FILTER_1_S * period
    wanted = web.speed_m_s + settings.loop_gain_1_s * (settings.loop_m - inputs.loop_length_m)
    unwind = state.axes[_UNWIND]
    wanted /= max(inputs.roll_radius_m, settings.roll_radius_min_m)
    change = _UNWIND_RAD_S2 * period
    unwind.velocity_m_s += min(max(wanted - unwind.velocity_m_s, -change), change)
    unwind.position_m += unwind.velocity_m_s * period
    edge, reach = state.axes[_EDGE], settings.edge_range_m
    guide = edge.position_m - settings.edge_gain_1_s * inputs.web_edge_m * period
    edge.position_m = min(max(guide, -reach), reach)
