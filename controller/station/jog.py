"""Manual mode: one axis moved by hand inside its soft limits, as long as nothing stands in its way.

A jog by velocity is the fastest move to the soft limit at that velocity, so it stops there exactly; when
it is let go, or not renewed in time, it brakes along its path.
"""

import numpy as np

from controller.shared.commands import CommandCode, CommandResult
from controller.shared.conditions import ConditionId
from controller.shared.events import EventKind
from controller.shared.jog import JOG_RULES, Guard
from controller.shared.packml import Mode, State
from controller.shared.status import SequenceState
from controller.station.alarms import emit
from controller.station.kernel import kernel
from controller.station.moves import cancel_moves
from controller.station.state import MoveClock, WebMode
from controller.station.web import cut_web
from drivers.cia402 import PowerState
from drivers.image import AXIS_COUNT, AxisId
from motion.limits import Result
from motion.master import place_master
from motion.move import plan_move
from motion.trajectory import evaluate
from motion.velocity_move import plan_stop

_ARM_X, _STAGE = int(AxisId.ANODE_ARM_X), int(AxisId.ANODE_STAGE_X)
_LEFT_FINGER, _RIGHT_FINGER = int(AxisId.FINGER_LEFT_FRONT_IN), int(AxisId.FINGER_RIGHT_FRONT_IN)
NEAR_M = 0.001
CUTS_M = 0.030
VALUE_MAX = 1e6

_RULE_GUARD = np.array([rule.guard for rule in JOG_RULES], np.int64)
_RULE_DIRECTION = np.array([rule.direction for rule in JOG_RULES], np.int64)
_RULE_APPLIES = np.array([[axis in rule.axes for axis in AxisId] for rule in JOG_RULES], np.uint8)

# What must hold before anything is moved by hand.
_BEFORE_JOG = np.uint64(
    sum(
        1 << condition
        for condition in (
            ConditionId.EMERGENCY_STOP_OK,
            ConditionId.SAFE_TORQUE_OFF_OK,
            ConditionId.DOOR_CLOSED,
            ConditionId.AIR_PRESSURE_OK,
            ConditionId.BUS_OPERATIONAL,
            ConditionId.DRIVES_ENABLED,
            ConditionId.AXES_HOMED,
            ConditionId.PLAN_VALID,
        )
    )
)


@kernel
def _arm_up(station, plan, polarity):
    axis = _ARM_X + 2 * polarity + 1
    return station.axes[axis].position_m > plan.axes[axis].home_position_m - NEAR_M


@kernel
def _arm_back(station, plan, polarity):
    axis = _ARM_X + 2 * polarity
    return station.axes[axis].position_m < plan.axes[axis].home_position_m + NEAR_M


@kernel
def _arm_lands(station, plan, polarity):
    """At its magazine; or forward, its end of the table below it, the free fingers out and up."""
    if _arm_back(station, plan, polarity):
        return True
    free = _RIGHT_FINGER if polarity == 0 else _LEFT_FINGER
    for offset in range(4):
        if station.axes[free + offset].position_m > NEAR_M:
            return False
    forward = abs(station.axes[_ARM_X + 2 * polarity].position_m) < NEAR_M
    away = station.axes[AxisId.TABLE_X].position_m - plan.table_end_m[polarity]
    return forward and abs(away) <= plan.table_window_m


@kernel
def _arm_away(station, plan, polarity):
    return _arm_up(station, plan, polarity) or _arm_back(station, plan, polarity)


@kernel
def _arm_of(axis):
    """Polarity of an arm's or a stage's axis."""
    if axis >= _STAGE:
        return 0 if axis < _STAGE + 3 else 1
    return 0 if axis < _ARM_X + 2 else 1


@kernel
def guard_holds(station, plan, axis, guard):
    """True while `guard` lets `axis` be moved by hand."""
    if guard == Guard.OWN_ARM_UP:
        return _arm_up(station, plan, _arm_of(axis))
    if guard == Guard.OWN_ARM_LANDS:
        return _arm_lands(station, plan, _arm_of(axis))
    if guard == Guard.ARMS_AWAY:
        return _arm_away(station, plan, 0) and _arm_away(station, plan, 1)
    if guard == Guard.OWN_FINGER_UP:
        return station.axes[axis + 1].position_m < NEAR_M
    if guard == Guard.OWN_FINGER_AT_END:
        reach = station.axes[axis - 1].position_m
        return reach < NEAR_M or reach > plan.finger_in_m - NEAR_M
    if guard == Guard.TABLE_CLEARED:
        return station.parked != 0 and not station.wrap_up.active
    if guard == Guard.CUTTER_AT_END:
        cut = station.axes[AxisId.CUT].position_m
        return cut < NEAR_M or cut > CUTS_M
    if guard == Guard.TAPE_HOME:
        return station.axes[AxisId.TAPE].position_m < NEAR_M
    if guard == Guard.WEB_CUT:
        return station.web.mode == WebMode.CUT
    if guard == Guard.WEB_NOT_CUT:
        return station.web.mode != WebMode.CUT
    return guard == Guard.NONE


@kernel
def blocking_guard(station, plan, axis, value):
    """The first guard that keeps `axis` from moving in the direction of `value`, NONE without."""
    for rule in range(_RULE_GUARD.size):
        direction = _RULE_DIRECTION[rule]
        if not _RULE_APPLIES[rule, axis] or direction * value < 0.0:
            continue
        if not guard_holds(station, plan, axis, _RULE_GUARD[rule]):
            return _RULE_GUARD[rule]
    return np.int64(Guard.NONE)


@kernel
def _start_here(jog, setpoint, limits, share):
    jog.limits.velocity = limits.velocity_max_m_s * share
    jog.limits.acceleration = limits.acceleration_max_m_s2 * share
    jog.limits.deceleration = jog.limits.acceleration
    jog.limits.jerk = limits.jerk_max_m_s3 * share
    jog.start.position = setpoint.position_m
    jog.start.velocity = setpoint.velocity_m_s
    jog.start.acceleration = setpoint.acceleration_m_s2


@kernel
def _go(station, plan, axis, target_m, velocity_m_s):
    """Move an axis to a position at rest, from whatever it does now; True if that can be."""
    jog = station.jog
    _start_here(jog, station.axes[axis], plan.axes[axis], plan.jog_share)
    jog.limits.velocity = velocity_m_s
    jog.target.position = target_m
    jog.target.velocity = 0.0
    jog.target.acceleration = 0.0
    if plan_move(jog.trajectory, jog.start, jog.target, jog.limits) != Result.OK:
        return False
    jog.end_m = target_m
    jog.started_s = station.clock_s
    jog.axis = axis
    jog.active = 1
    jog.stopping = 0
    return True


@kernel
def stop_jog(station, plan):
    """Brake along the path."""
    jog = station.jog
    if not jog.active or jog.stopping:
        return
    _start_here(jog, station.axes[jog.axis], plan.axes[jog.axis], plan.jog_share)
    plan_stop(jog.trajectory, jog.start, jog.limits)
    jog.end_m = jog.trajectory.phases[jog.trajectory.count].position
    jog.started_s = station.clock_s
    jog.stopping = 1


@kernel
def _by_hand(state):
    """Is this a state to move single axes in?"""
    current = state.machine.state
    waiting = current == State.STOPPED or current == State.IDLE
    return waiting and state.machine.mode == Mode.MANUAL


@kernel
def _station_waits(state, station):
    sequence = station.status.sequence
    if sequence == SequenceState.IDLE or sequence == SequenceState.MANUAL:
        return True
    stopped = state.machine.state == State.STOPPED and station.at_rest
    return stopped and (sequence == SequenceState.ROUTINE or sequence == SequenceState.SECTION)


@kernel
def _enter_manual(station):
    if station.status.sequence != SequenceState.MANUAL:
        station.status.sequence = SequenceState.MANUAL
        cancel_moves(station, MoveClock.WRAP_UP if station.wrap_up.active else MoveClock.NONE)
        place_master(station.master, 0.0, 0.0)


@kernel
def _renewed(state, jog, axis, value):
    same = jog.active and not jog.stopping and jog.axis == axis and jog.value == value
    if same and not jog.by_step:
        jog.renewed_ns = state.machine.time_ns
        return True
    return False


@kernel
def _jog(state, station_index, plan, axis, value, by_step):
    """Start, renew or change a jog that nothing forbids."""
    station = state.stations[station_index]
    jog, limits = station.jog, plan.axes[axis]
    fastest = plan.jog_share * limits.velocity_max_m_s
    if not by_step and _renewed(state, jog, axis, value):
        return CommandResult.ACCEPTED
    guard = blocking_guard(station, plan, axis, value)
    if guard != Guard.NONE:
        state.machine.last_guard = guard
        emit(state, EventKind.JOG_REFUSED, guard, station_index, axis, value)
        return CommandResult.REFUSED_INTERLOCK
    if by_step:
        target, velocity = station.axes[axis].position_m + value, fastest
    else:
        target = limits.position_max_m if value > 0.0 else limits.position_min_m
        velocity = abs(value)
    outside = target < limits.position_min_m or target > limits.position_max_m
    if outside or velocity > fastest or value == 0.0:
        return CommandResult.REFUSED_VALUE
    _enter_manual(station)
    if not _go(station, plan, axis, target, velocity):
        return CommandResult.REFUSED_VALUE
    jog.value = value
    jog.by_step = by_step
    jog.renewed_ns = state.machine.time_ns
    return CommandResult.ACCEPTED


@kernel
def answer_jog(state, plans, command):
    """Answer JOG, JOG_STEP and JOG_STOP."""
    index, axis, value = command.station, command.index, command.value
    if index < 0 or index >= state.machine.station_count:
        return CommandResult.REFUSED_VALUE
    station = state.stations[index]
    plan = plans[station.status.plan_slot]
    if command.code == CommandCode.JOG_STOP:
        stop_jog(station, plan)
        return CommandResult.ACCEPTED
    if axis < 0 or axis >= AXIS_COUNT or not abs(value) < VALUE_MAX:
        return CommandResult.REFUSED_VALUE
    if state.machine.mode != Mode.MANUAL:
        return CommandResult.REFUSED_MODE
    if state.machine.start_inhibits & _BEFORE_JOG != 0:
        return CommandResult.REFUSED_INHIBITED
    other = station.jog.active and station.jog.axis != axis
    if other or not _by_hand(state) or not _station_waits(state, station):
        return CommandResult.REFUSED_STATE
    by_step = 1 if command.code == CommandCode.JOG_STEP else 0
    return _jog(state, index, plan, axis, value, by_step)


@kernel
def _let_go(state, station, plan):
    """Is there a reason to stop: nobody renews it, the machine is asked otherwise, or a guard fell?"""
    jog = station.jog
    silent_ns = state.machine.time_ns - jog.renewed_ns
    if not jog.by_step and silent_ns > plan.jog_dead_man_ns:
        return True
    return not _by_hand(state) or blocking_guard(station, plan, jog.axis, jog.value) != Guard.NONE


@kernel
def step_jog(state, station, plan):
    """Move what is moved by hand on by one cycle."""
    jog = station.jog
    if not jog.active:
        return
    if station.status.axes[jog.axis].power_state != PowerState.OPERATION_ENABLED:
        jog.active = 0
        return
    if not jog.stopping and _let_go(state, station, plan):
        stop_jog(station, plan)
    setpoint, limits = station.axes[jog.axis], plan.axes[jog.axis]
    t = station.clock_s - jog.started_s
    position, velocity, acceleration, _ = evaluate(jog.trajectory, t)
    if t >= jog.trajectory.duration_s:
        position, velocity, acceleration = jog.end_m, 0.0, 0.0
        jog.active = 0
    # rounding must not carry it over a limit; an axis found beyond one may come back
    low = min(limits.position_min_m, setpoint.position_m)
    high = max(limits.position_max_m, setpoint.position_m)
    position = min(max(position, low), high)
    setpoint.position_m = position
    setpoint.velocity_m_s = velocity
    setpoint.acceleration_m_s2 = acceleration
    if jog.axis == AxisId.CUT and position >= CUTS_M and station.web.mode != WebMode.CUT:
        cut_web(station)
