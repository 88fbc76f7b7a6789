"""The player: runs sections, cams over the virtual master's path time.

So hold, stop, restart and override work everywhere alike, always along the path.
"""

from math import inf

from controller.shared.conditions import ConditionId
from controller.shared.plan import GateKind
from controller.station.alarms import raise_alarm
from controller.station.kernel import kernel
from drivers.image import AXIS_COUNT, AxisId
from motion.cam_table import evaluate_cam
from motion.master import place_master, step_master_towards, stopping_distance

_ANODE_ARM_Z = int(AxisId.ANODE_ARM_Z)
NOTHING = 0
PASSED_END = 1
FULL_SPEED = 0.9999
COMMIT_S = 0.01  # more than a few periods of deciding
STEP_UNDER_WAY = 2


@kernel
def skip_touch_down(station, plan, section_id):
    """Enter without the placement a section begins with: there was none, the fold is the web's end."""
    section = plan.sections[section_id]
    end = section.first_switch + section.switch_count
    moving_s = section.release_s
    while station.next_switch < end and plan.switches[station.next_switch].master_s <= moving_s:
        station.next_switch += 1


@kernel
def enter_section(station, plan, section_id, position_s):
    """Start a section at a master position; relative cams continue from where their axes stand."""
    section = plan.sections[section_id]
    station.status.section = section_id
    station.smooth = 1
    station.next_gate = section.first_gate
    station.next_switch = section.first_switch
    station.frozen = 0
    for axis in range(AXIS_COUNT):
        cam = section.cams[axis]
        if plan.axes[axis].relative and cam.segment_count > 0:
            start = evaluate_cam(plan.segments, cam, 0.0)[0]
            station.axes[axis].base_m = station.axes[axis].position_m - start
    place_master(station.master, position_s, station.master.speed)
    place_master(station.ahead, position_s, station.master.speed)
    place_master(station.late, position_s, station.master.speed)


@kernel
def _hold_position(station, plan, section):
    """The nearest gate ahead that the master must brake for."""
    end = section.first_gate + section.gate_count
    for index in range(station.next_gate, end):
        gate = plan.gates[index]
        if gate.kind == GateKind.MOVING and not station.status.conditions[gate.condition]:
            return gate.master_s
    return inf


@kernel
def _wait_at_gate(state, station_index, gate):
    """Note what the master waits for; too long a wait is an alarm."""
    station = state.stations[station_index]
    now = state.machine.time_ns
    if station.status.gate_condition != gate.condition:
        station.status.gate_condition = gate.condition
        station.gate_since_ns = now
    if station.recovery.active or not station.status.conditions[ConditionId.RUNNING]:
        station.gate_since_ns = now
    if gate.timeout_ns > 0 and now - station.gate_since_ns > gate.timeout_ns:
        raise_alarm(state, station_index, gate.alarm, -1)


@kernel
def _pass_gates(state, station_index, plan, section):
    """Pass every gate the master has reached whose condition holds; stand still at the first that not."""
    station = state.stations[station_index]
    end = section.first_gate + section.gate_count
    while station.next_gate < end:
        gate = plan.gates[station.next_gate]
        if gate.master_s > station.master.position:
            break
        if gate.condition == ConditionId.RUNNING and station.step_asked == STEP_UNDER_WAY:
            station.step_asked = 0
            station.status.conditions[gate.condition] = 0
        if not station.status.conditions[gate.condition]:
            if gate.kind == GateKind.REST:
                place_master(station.master, gate.master_s, 0.0)
                station.frozen = 1
            _wait_at_gate(state, station_index, gate)
            return
        if gate.condition == ConditionId.RUNNING and station.step_asked:
            station.step_asked = STEP_UNDER_WAY
        station.next_gate += 1
    if station.frozen:
        station.frozen = 0
    station.status.gate_condition = 0


@kernel
def step_ahead(station, section, target_speed, period_s):
    """Run the arriving arm on to its waiting point, also while the master stands at a gate.

    It starts with the master, goes at the same speed and never falls behind: where the master was
    not held both are equal.
    """
    ahead, master = station.ahead, station.master
    if station.frozen and master.position < section.release_s:
        # not gripped yet: the arm waits with the master
        place_master(ahead, master.position, master.speed)
    elif ahead.position < max(section.ahead_s[0], section.ahead_s[1]):
        step_master_towards(ahead, target_speed, inf, period_s)


@kernel
def step_late(station, section, target_speed, period_s):
    """Run the leaving arm's descent: with the master, or later, once its sheet is corrected."""
    late, master = station.late, station.master
    if master.position < section.late_from_s:
        place_master(late, master.position, master.speed)
    elif late.position <= section.late_from_s:
        place_master(late, section.late_from_s, 0.0)
        leaving = 0 if section.late_axis == _ANODE_ARM_Z else 1
        if station.status.conditions[ConditionId.ANODE_SHEET_READY + leaving]:
            in_time = master.position - section.late_from_s < 2.0 * period_s
            place_master(late, section.late_from_s, target_speed)
            step_master_towards(late, target_speed, inf, period_s)
            station.late_follows = 1 if in_time and not station.frozen else 0
            if station.late_follows:
                place_master(late, master.position, master.speed)
    elif late.position < section.late_to_s:
        if not station.late_follows:
            step_master_towards(late, target_speed, inf, period_s)
            # x goes with the master: lower than planned beside it would be a sweep
            station.late_follows = 1 if late.position >= master.position else 0
        if station.late_follows:
            place_master(late, master.position, master.speed)
            late.acceleration = master.acceleration


@kernel
def arms_rest(station, plan):
    """True when the arms that run on clocks of their own stand, or wait where they rest."""
    section = plan.sections[station.status.section]
    ahead, late = station.ahead, station.late
    if station.recovery.active and station.recovery_master.speed != 0.0:
        return False
    arrived = ahead.speed == 0.0 or ahead.position >= max(section.ahead_s[0], section.ahead_s[1])
    down = late.speed == 0.0 or late.position >= section.late_to_s
    return arrived and (down or station.master.position < section.late_from_s)


@kernel
def _committed(station, plan, section):
    """True from where the master could no longer stop to let a load swing out, as long as it kept its
    speed: then the load will be quiet, but only if the speed stays.
    """
    master = station.master
    if not station.smooth or master.position <= section.release_s:
        return False
    for index in range(station.next_gate, section.first_gate + section.gate_count):
        gate = plan.gates[index]
        if gate.condition == ConditionId.LOAD_QUIET:
            way = gate.master_s - master.position
            return way <= stopping_distance(master) + COMMIT_S * master.speed
    return False


@kernel
def section_speed(plan, speed):
    """The speed that a half fold runs at: full speed, or one that the table's slow cam is made for."""
    return speed if speed >= FULL_SPEED else min(speed, plan.slow_speed_max)


@kernel
def _choose_table_cam(station, plan, section, target_speed):
    """Up to the release the table stands: there it is settled which of its cams it goes by."""
    if station.master.position <= section.release_s:
        fastest = max(station.master.speed, target_speed)
        station.slow = 1 if fastest <= plan.slow_speed_max else 0


@kernel
def step_section(state, station_index, plan, target_speed, hold_s, period_s):
    """Advance the master in a section; PASSED_END once it stands at or beyond the section's end.

    hold_s: a further position not to be passed (inf without).
    """
    station = state.stations[station_index]
    section = plan.sections[station.status.section]
    master = station.master
    _choose_table_cam(station, plan, section, target_speed)
    if station.slow:
        target_speed = min(target_speed, plan.slow_speed_max)
    if _committed(station, plan, section):
        target_speed = master.speed
    step_ahead(station, section, target_speed, period_s)
    step_late(station, section, target_speed, period_s)
    if station.frozen:
        _pass_gates(state, station_index, plan, section)
        if station.frozen:
            return NOTHING
        place_master(master, master.position, target_speed)
        if master.position < section.release_s:
            place_master(station.ahead, master.position, target_speed)
    hold = _hold_position(station, plan, section)
    if hold_s < hold:
        hold = hold_s
    # a hold behind the master is one it already passed
    if hold < master.position:
        hold = inf
    step_master_towards(master, target_speed, hold, period_s)
    if master.position > section.release_s and master.acceleration != 0.0:
        station.smooth = 0
    _pass_gates(state, station_index, plan, section)
    if not station.frozen and master.position >= section.length_s:
        return PASSED_END
    return NOTHING


@kernel
def is_recovering(station, axis):
    """The arm of a recovery moves by its routine, not by its cams."""
    first = _ANODE_ARM_Z - 1 + 2 * station.recovery.polarity
    return station.recovery.active != 0 and first <= axis <= first + 1


@kernel
def _cam_clock(station, section, axis):
    """Path time of a cam's axis, its speed and the speed's change: the master's, but for the arm that
    went ahead of a master standing at a gate; it waits where it rests. One that lost its sheet waits
    at its highest point.
    """
    master, ahead = station.master, station.ahead
    if axis == section.ahead_axes[1] and master.position >= section.descend_s:
        if station.feeders[(axis - _ANODE_ARM_Z) // 2].bringing:
            return section.descend_s, 0.0, 0.0
    for which in range(2):
        rest_s = section.ahead_s[which]
        early = master.position < ahead.position and master.position < rest_s
        if axis == section.ahead_axes[which] and early:
            return min(ahead.position, rest_s), ahead.speed, ahead.acceleration
    if axis == section.late_axis and master.position >= section.late_from_s:
        late = station.late
        return min(late.position, section.late_to_s), late.speed, late.acceleration
    return master.position, master.speed, master.acceleration


@kernel
def section_setpoints(station, plan):
    """Set every cam's axis from its clock: position and its derivatives over real time."""
    section = plan.sections[station.status.section]
    for axis in range(AXIS_COUNT):
        cam = section.cams[axis]
        if axis == AxisId.TABLE_X and station.slow:
            cam = section.slow_table
        if cam.segment_count == 0 or is_recovering(station, axis):
            continue
        clock_s, speed, change = _cam_clock(station, section, axis)
        setpoint = station.axes[axis]
        position, d1, d2, _ = evaluate_cam(plan.segments, cam, clock_s)
        base, scale = 0.0, 1.0
        if plan.axes[axis].relative:
            base, scale = setpoint.base_m, setpoint.cam_scale
        setpoint.position_m = base + scale * position
        setpoint.velocity_m_s = scale * d1 * speed
        setpoint.acceleration_m_s2 = scale * (d2 * speed * speed + d1 * change)
