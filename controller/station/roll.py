"""The roll: its unwind keeps the loop, its radius is measured by what comes off it, its end is foreseen."""

from controller.shared.alarms import AlarmId
from controller.shared.events import EventKind
from controller.shared.status import SequenceState
from controller.station.alarms import alarm_while, emit
from controller.station.kernel import kernel
from controller.station.state import WebMode
from drivers.image import AxisId

_UNWIND = int(AxisId.UNWIND)
UNWIND_FILTER_1_S = 15.0
PI = 3.141592653589793
TURN_SHARE = 0.2  # of a turn's radius that the estimate takes
NEW_ROLL_SHARE = 0.1  # a sensor further than this from the estimate shows another roll
CELLS_AHEAD = 2.0  # of web left when the roll's end is announced
CELLS_HYSTERESIS = 0.5


@kernel
def _radius(station, inputs, plan):
    """The roll's radius: the estimate, or the coarse sensor while there is none."""
    known = station.learned.roll_radius_m
    return max(known if known > 0.0 else inputs.roll_radius_m, plan.web.roll_radius_min_m)


@kernel
def _watch_roll(state, station_index, seen_m):
    """A sensor far from the estimate shows another roll; one that shows nothing is not there yet."""
    station = state.stations[station_index]
    known_m = station.learned.roll_radius_m
    if seen_m > 0.0 and known_m > 0.0 and abs(seen_m - known_m) > NEW_ROLL_SHARE * known_m:
        station.learned.roll_radius_m = 0.0
        station.web.roll_marked = 0
        emit(state, EventKind.ROLL_CHANGED, 0, station_index, -1, seen_m)


@kernel
def _measure_radius(station, inputs, plan, fed_m):
    """Once a turn, so that its eccentricity cancels: web that came off over the angle."""
    web, learned = station.web, station.learned
    angle = inputs.axes[_UNWIND].actual_position_m
    came_off = fed_m + inputs.loop_length_m
    turned = angle - web.roll_mark_rad
    if web.roll_marked and 0.0 <= turned < 2.0 * PI:
        return
    if web.roll_marked and 0.0 < turned < 2.1 * PI:
        measured = (came_off - web.roll_mark_m) / turned
        if abs(measured - inputs.roll_radius_m) < NEW_ROLL_SHARE * measured:
            share = TURN_SHARE if learned.roll_radius_m > 0.0 else 1.0
            learned.roll_radius_m += share * (measured - learned.roll_radius_m)
    web.roll_marked = 1
    web.roll_mark_rad = angle
    web.roll_mark_m = came_off


@kernel
def _mean_feed(station, plan, feed_velocity):
    """Web that is used up, a second: a fold pitch a half fold, known before the loop shows it."""
    if station.status.sequence != SequenceState.SECTION:
        return feed_velocity
    section = plan.sections[station.status.section]
    return plan.web.fold_pitch_m / section.length_s * station.master.speed


@kernel
def step_unwind(station, inputs, plan, fed_m, feed_velocity, period_s):
    """Keep the loop before the feed roller: the mean of the feed and the loop's error."""
    web = station.web
    mean = _mean_feed(station, plan, feed_velocity)
    # folds come and go too fast for the roll; the one long draw of a cell change does not
    share = 1.0 if web.mode == WebMode.TRAILING else UNWIND_FILTER_1_S * period_s
    web.feed_velocity_m_s += (mean - web.feed_velocity_m_s) * share
    _measure_radius(station, inputs, plan, fed_m)
    error = plan.web.loop_length_m - inputs.loop_length_m
    velocity = web.feed_velocity_m_s + plan.web.loop_gain_1_s * error
    unwind, limits = station.axes[_UNWIND], plan.axes[_UNWIND]
    wanted = velocity / _radius(station, inputs, plan)
    change = limits.acceleration_max_m_s2 * period_s
    step = min(max(wanted - unwind.velocity_m_s, -change), change)
    speed = min(max(unwind.velocity_m_s + step, -limits.velocity_max_m_s), limits.velocity_max_m_s)
    unwind.velocity_m_s = speed
    unwind.position_m += speed * period_s


@kernel
def supervise_roll(state, station_index, inputs, plan):
    """Say how much web is left, in metres and cells, and announce its end in time."""
    station = state.stations[station_index]
    _watch_roll(state, station_index, inputs.roll_radius_m)
    radius, core = _radius(station, inputs, plan), plan.web.roll_radius_min_m
    left = PI * (radius * radius - core * core) / plan.web.separator_thickness_m
    station.status.roll_radius_m = radius
    station.status.roll_left_m = left
    station.status.roll_left_cells = left / plan.web.cell_m
    margin = CELLS_AHEAD + CELLS_HYSTERESIS * station.status.alarms[AlarmId.ROLL_ENDING]
    ending = left < margin * plan.web.cell_m
    alarm_while(state, station_index, AlarmId.ROLL_ENDING, -1, ending)
    alarm_while(state, station_index, AlarmId.SPLICE, -1, inputs.splice_detected != 0)
