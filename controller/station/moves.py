"""Rest-to-rest moves of single axes, over path time or a station's own clock."""

from math import sqrt

from controller.station.kernel import kernel


@kernel
def plan_move(move, start_m, target_m, limits, now_s):
    """Fill a MOVE_DTYPE record with the time-optimal symmetric move; `now_s` on its clock.

    Closed form of the seven-phase rest-to-rest profile (Biagiotti and Melchiorri, 3.4): the
    acceleration limit is reached when the distance allows it, then the velocity limit.
    """
    distance = abs(target_m - start_m)
    share = limits.move_speed
    velocity = limits.velocity_max_m_s * share
    acceleration = limits.acceleration_max_m_s2 * share
    jerk = limits.jerk_max_m_s3 * share
    move.start_m = start_m
    move.distance_m = target_m - start_m
    move.jerk_m_s3 = jerk
    move.started_s = now_s
    move.active = 1
    if not (velocity > 0.0 and acceleration > 0.0 and jerk > 0.0) or distance == 0.0:
        move.jerk_time_s = 0.0
        move.acceleration_time_s = 0.0
        move.cruise_time_s = 0.0
        move.duration_s = 0.0
        return
    jerk_time = acceleration / jerk
    if velocity * jerk < acceleration * acceleration:
        jerk_time = sqrt(velocity / jerk)
    ramp = velocity / (jerk * jerk_time) + jerk_time
    hold = ramp - 2.0 * jerk_time
    cruise = distance / velocity - ramp
    if cruise < 0.0:
        cruise = 0.0
        # the peak velocity v with v (v / a + a / j) = distance
        bias = 0.5 * acceleration * acceleration / jerk
        peak = sqrt(bias * bias + acceleration * distance) - bias
        jerk_time = acceleration / jerk
        hold = peak / acceleration - jerk_time
        if hold < 0.0:
            hold = 0.0
            jerk_time = _cube_root(0.5 * distance / jerk)
    move.jerk_time_s = jerk_time
    move.acceleration_time_s = hold
    move.cruise_time_s = cruise
    move.duration_s = 4.0 * jerk_time + 2.0 * hold + cruise
    # close the distance exactly: rounding of the durations goes into the jerk
    ramp = 2.0 * jerk_time + hold
    move.jerk_m_s3 = distance / (jerk_time * (jerk_time + hold) * (ramp + cruise))


@kernel
def _cube_root(value):
    x = sqrt(sqrt(value))
    for _ in range(60):
        x = (2.0 * x + value / (x * x)) / 3.0
    return x


@kernel
def _first_half(move, t):
    """Distance, velocity and acceleration at time t in the first half of the move."""
    jerk, tj, ta = move.jerk_m_s3, move.jerk_time_s, move.acceleration_time_s
    if t < tj:
        return jerk * t * t * t / 6.0, 0.5 * jerk * t * t, jerk * t
    p1, v1, a1 = jerk * tj * tj * tj / 6.0, 0.5 * jerk * tj * tj, jerk * tj
    t -= tj
    if t < ta:
        return p1 + t * (v1 + 0.5 * t * a1), v1 + a1 * t, a1
    p2, v2 = p1 + ta * (v1 + 0.5 * ta * a1), v1 + a1 * ta
    t -= ta
    if t < tj:
        position = p2 + t * (v2 + t * (0.5 * a1 - jerk * t / 6.0))
        return position, v2 + t * (a1 - 0.5 * jerk * t), a1 - jerk * t
    p3 = p2 + tj * (v2 + tj * (0.5 * a1 - jerk * tj / 6.0))
    v3 = v2 + 0.5 * a1 * tj
    return p3 + v3 * (t - tj), v3, 0.0


@kernel
def evaluate_move(move, now_s):
    """Return position, velocity and acceleration of a move at `now_s`; its ends outside."""
    t = now_s - move.started_s
    sign = 1.0 if move.distance_m >= 0.0 else -1.0
    if t <= 0.0:
        return move.start_m, 0.0, 0.0
    if t >= move.duration_s:
        return move.start_m + move.distance_m, 0.0, 0.0
    if t <= 0.5 * move.duration_s:
        p, v, a = _first_half(move, t)
        return move.start_m + sign * p, sign * v, sign * a
    p, v, a = _first_half(move, move.duration_s - t)
    return move.start_m + move.distance_m - sign * p, sign * v, -sign * a


@kernel
def move_ended(move, now_s):
    """True when the move has no way left at `now_s`."""
    return now_s - move.started_s >= move.duration_s
