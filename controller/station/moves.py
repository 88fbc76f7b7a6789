"""Moves of single axes: the time-optimal trajectories of `motion`, over a master's path time or real time."""

from controller.shared.alarms import AlarmId
from controller.station.alarms import raise_alarm
from controller.station.kernel import kernel
from controller.station.state import MoveClock
from drivers.image import AXIS_COUNT
from motion.limits import Result
from motion.move import plan_move
from motion.trajectory import evaluate


@kernel
def master_of(station, clock):
    """The master whose path time a MoveClock shows, STATION excepted."""
    if clock == MoveClock.WRAP_UP:
        return station.wrap_master
    if clock == MoveClock.RECOVERY:
        return station.recovery_master
    return station.master


@kernel
def limit_masters(station, plan):
    """Give every master of a station the limits of its plan."""
    for master in (
        station.master,
        station.ahead,
        station.late,
        station.wrap_master,
        station.recovery_master,
    ):
        master.acceleration_max = plan.master_acceleration_1_s
        master.jerk_max = plan.master_jerk_1_s2


@kernel
def start_move(state, station_index, plan, axis, target_m, clock):
    """Start the fastest move of an axis from rest to rest, now on the clock that it runs over."""
    station = state.stations[station_index]
    setpoint, limits = station.axes[axis], plan.axes[axis]
    move, share = setpoint.move, limits.move_speed
    move.limits.velocity = limits.velocity_max_m_s * share
    move.limits.acceleration = limits.acceleration_max_m_s2 * share
    move.limits.deceleration = move.limits.acceleration
    move.limits.jerk = limits.jerk_max_m_s3 * share
    move.start.position = setpoint.position_m
    move.start.velocity = 0.0
    move.start.acceleration = 0.0
    move.target.position = target_m
    move.target.velocity = 0.0
    move.target.acceleration = 0.0
    code = plan_move(move.trajectory, move.start, move.target, move.limits)
    in_real_time = clock == MoveClock.STATION
    move.started_s = station.clock_s if in_real_time else master_of(station, clock).position
    move.clock = clock
    move.active = 1 if code == Result.OK else 0
    if code != Result.OK:
        raise_alarm(state, station_index, AlarmId.MOTION_REFUSED, axis)


@kernel
def _evaluate(move, now_s):
    """Position, velocity and acceleration of a move; at rest at its ends outside."""
    t = now_s - move.started_s
    if t <= 0.0:
        return move.start.position, 0.0, 0.0
    if t >= move.trajectory.duration_s:
        return move.target.position, 0.0, 0.0
    position, velocity, acceleration, _ = evaluate(move.trajectory, t)
    return position, velocity, acceleration


@kernel
def move_setpoints(station):
    """Set every moving axis; a move that ended gives its axis back."""
    for axis in range(AXIS_COUNT):
        setpoint = station.axes[axis]
        move = setpoint.move
        if not move.active:
            continue
        now_s, speed, change = station.clock_s, 1.0, 0.0
        if move.clock != MoveClock.STATION:
            master = master_of(station, move.clock)
            now_s, speed, change = master.position, master.speed, master.acceleration
        position, d1, d2 = _evaluate(move, now_s)
        setpoint.position_m = position
        setpoint.velocity_m_s = d1 * speed
        setpoint.acceleration_m_s2 = d2 * speed * speed + d1 * change
        if now_s - move.started_s >= move.trajectory.duration_s:
            move.active = 0


@kernel
def moves_done(station, clock):
    """True when no move over a clock is under way."""
    for axis in range(AXIS_COUNT):
        move = station.axes[axis].move
        if move.active and move.clock == clock:
            return False
    return True


@kernel
def cancel_moves(station, but_clock):
    """Forget every move but those over one clock; setpoints stay where they are."""
    for axis in range(AXIS_COUNT):
        setpoint = station.axes[axis]
        if setpoint.move.active and setpoint.move.clock == but_clock:
            continue
        setpoint.move.active = 0
        setpoint.velocity_m_s = 0.0
        setpoint.acceleration_m_s2 = 0.0
