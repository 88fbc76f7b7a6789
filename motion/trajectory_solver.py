"""Time-optimal third-order moves, in units where the jerk limit is 1.

An acceleration is then a time, a velocity a time squared and a distance a time cubed. By
Pontryagin's principle the fastest move raises the acceleration to a peak, lowers it to a trough
and raises it again (or the mirror image), pausing at a limit of acceleration or velocity.

The first and the last ramp are extended to where their acceleration is zero: there the velocities
are u and e. Between these two the move is one of rest in acceleration, whose distance is

    leg(u, v, A) + leg(e, v, B),    leg(u, v, A) = (u + v)/2 · (duration from u to v within A),

v being the velocity where the falling ramp crosses zero acceleration. With peak p and trough q,
no limit touched and w = p - q, c = e - u = p² - q² and m = (u + e)/2 that distance is
w³/4 + 2 m w - c²/(4 w): a quartic. With one limit touched it is a quartic in the other extremum,
with both a quadratic in v.

The duration only grows along this chain of shapes, and the states reachable at a given instant
are a convex set whose upper end the chain is. So the fastest move is the first crossing of the
distance, on the chain whose start lies below it. Where the falling ramp crosses zero acceleration
the distance is convex over the time. Before that ("ahead of the crossing") it is concave, then
convex, and its hump has a closed form: each piece is bracketed, none can hide a root.
"""

from math import sqrt

from numba import njit

from motion.trajectory_roots import quartic_root

FOUND = 0
BELOW = 1
ROOT_3 = 1.7320508075688772


@njit(cache=True, nogil=True, error_model="numpy")
def leg(base, top, limit):
    """Distance from velocity `base` to `top` >= base, from and to zero acceleration."""
    rise = top - base
    if rise > limit * limit:
        return 0.5 * (base + top) * (limit + rise / limit)
    return (base + top) * sqrt(max(rise, 0.0))


@njit(cache=True, nogil=True, error_model="numpy")
def plateau_root(base, free, limit, distance, low, high):
    """The free extremum y in [low, high] if the other leg holds its acceleration limit.

    leg(base, v, limit) + 2·free·y + y³ = distance with v = free + y².
    """
    square = limit * limit
    constant = (base + free) * (square + free - base) - 2.0 * limit * distance
    return quartic_root(2.0 * limit, square + 2.0 * free, 4.0 * limit * free, constant, low, high)


@njit(cache=True, nogil=True, error_model="numpy")
def plateau_distance(base, free, limit, y):
    """The left side of `plateau_root`."""
    top = free + y * y
    return 0.5 * (base + top) * (limit + (top - base) / limit) + (2.0 * free + y * y) * y


@njit(cache=True, nogil=True, error_model="numpy")
def both_plateaus_top(u, e, distance, a, b):
    """The crossing velocity if both legs hold their acceleration limits; a quadratic."""
    half = u * (a - u / a) + e * (b - e / b) - 2.0 * distance
    product = a * b
    offset = product * half / (a + b)
    return -2.0 * offset / (product + sqrt(max(product * product - 4.0 * offset, 0.0)))


@njit(cache=True, nogil=True, error_model="numpy")
def shape_of_top(u, e, top, cruise, a, b):
    """Peak, its plateau, trough, its plateau and cruise of the shape crossing zero at `top`."""
    rise, fall = max(top - u, 0.0), max(top - e, 0.0)
    peak, peak_hold, trough, trough_hold = a, 0.0, -b, 0.0
    if rise > a * a:
        peak_hold = rise / a - a
    else:
        peak = sqrt(rise)
    if fall > b * b:
        trough_hold = fall / b - b
    else:
        trough = -sqrt(fall)
    return FOUND, peak, peak_hold, trough, trough_hold, cruise


@njit(cache=True, nogil=True, error_model="numpy")
def shape_of_width(c, width):
    """The shape without plateaus whose falling ramp lasts `width`."""
    skew = c / width if width > 0.0 else 0.0
    return FOUND, 0.5 * (skew + width), 0.0, 0.5 * (skew - width), 0.0, 0.0


@njit(cache=True, nogil=True, error_model="numpy")
def shape_from(u, e, top, first, last, a, b):
    """`shape_of_top` without cruise, whose extrema are never within the accelerations at the ends.

    Rounding of a velocity, of no account itself, is a considerable time near zero acceleration.
    """
    _, peak, peak_hold, trough, trough_hold, _ = shape_of_top(u, e, top, 0.0, a, b)
    if peak_hold == 0.0:
        peak = max(peak, first)
    if trough_hold == 0.0:
        trough = min(trough, last)
    return FOUND, peak, peak_hold, trough, trough_hold, 0.0


@njit(cache=True, nogil=True, error_model="numpy")
def distance_of(u, e, shape):
    """Distance of a shape without cruise between the zero accelerations of its extended ends."""
    _, peak, peak_hold, trough, trough_hold, _ = shape
    top_u = u + peak * (peak + peak_hold)
    top_e = e + trough * (trough - trough_hold)
    rising = 0.5 * (u + top_u) * (2.0 * peak + peak_hold)
    return rising + 0.5 * (e + top_e) * (trough_hold - 2.0 * trough)


@njit(cache=True, nogil=True, error_model="numpy")
def climb_crossing(u, e, start, distance, v, a, b):
    """The shape on the chain's convex part, from crossing velocity `start` on; distance above."""
    top_a, top_b = u + a * a, e + b * b
    low, high = v, v
    if max(top_a, top_b) < v:
        high = max(top_a, top_b)
        if distance >= leg(u, high, a) + leg(e, high, b) or start >= high:
            return shape_of_top(u, e, both_plateaus_top(u, e, distance, a, b), 0.0, a, b)
    if min(top_a, top_b) < v:
        low = min(top_a, top_b)
        if distance >= leg(u, low, a) + leg(e, low, b) or start >= low:
            low = max(low, start)
            if top_a <= top_b:
                y = plateau_root(u, e, a, distance, sqrt(max(low - e, 0.0)), sqrt(high - e))
                top = e + y * y
                return FOUND, a, (top - u) / a - a, -y, 0.0, 0.0
            y = plateau_root(e, u, b, distance, sqrt(max(low - u, 0.0)), sqrt(high - u))
            top = u + y * y
            return FOUND, y, 0.0, -b, (top - e) / b - b, 0.0
    c, m = e - u, 0.5 * (u + e)
    width_low = sqrt(max(start - u, 0.0)) + sqrt(max(start - e, 0.0))
    width_high = sqrt(max(low - u, 0.0)) + sqrt(max(low - e, 0.0))
    width = quartic_root(0.0, 8.0 * m, -4.0 * distance, -c * c, width_low, width_high)
    return shape_of_width(c, width)


@njit(cache=True, nogil=True, error_model="numpy")
def climb_plateau_ahead(u, e, distance, a, low, high):
    """First crossing for y = -trough in [low, high], still below 0, the peak held at its limit."""
    turn = min(max(-0.25 * a, low), high)
    hump = turn
    discriminant = a * a - 16.0 * e
    if discriminant > 0.0:
        hump = min(max(-0.25 * (a + sqrt(discriminant)), low), turn)
    if hump > low and plateau_distance(u, e, a, hump) >= distance:
        return FOUND, plateau_root(u, e, a, distance, low, hump)
    if high > turn and plateau_distance(u, e, a, high) >= distance:
        return FOUND, plateau_root(u, e, a, distance, turn, high)
    return BELOW, 0.0


@njit(cache=True, nogil=True, error_model="numpy")
def width_reaches(c, m, distance, width):
    """True if the shape without plateaus of this width goes at least the distance."""
    square = width * width
    return (square + 8.0 * m) * square - 4.0 * distance * width - c * c >= 0.0


@njit(cache=True, nogil=True, error_model="numpy")
def climb_width_ahead(c, m, distance, low, high):
    """First crossing for a falling ramp's width in [low, high], no limit touched."""
    turn = min(max(sqrt(c / ROOT_3), low), high)
    hump = turn
    discriminant = 16.0 * m * m - 3.0 * c * c
    if m < 0.0 and discriminant > 0.0:
        square = c * c / (sqrt(discriminant) - 4.0 * m)
        hump = min(max(sqrt(square), low), turn)
    quadratic, linear, constant = 8.0 * m, -4.0 * distance, -c * c
    if hump > low and width_reaches(c, m, distance, hump):
        return FOUND, quartic_root(0.0, quadratic, linear, constant, low, hump)
    if high > turn and width_reaches(c, m, distance, high):
        return FOUND, quartic_root(0.0, quadratic, linear, constant, turn, high)
    return BELOW, 0.0


@njit(cache=True, nogil=True, error_model="numpy")
def climb_ahead(u, e, last, gap, distance, a):
    """First crossing with the trough falling from `last` to `gap`, both >= 0."""
    c = e - u
    high = last
    if c + last * last > a * a:
        low = max(sqrt(max(a * a - c, 0.0)), gap)
        found, y = climb_plateau_ahead(u, e, distance, a, -last, -low)
        if found == FOUND:
            return FOUND, a, (e + y * y - u) / a - a, -y, 0.0, 0.0
        high = low
    if high > gap and 0.0 < c < a * a:
        width_low = c / (sqrt(c + high * high) + high)
        width_high = c / (sqrt(c + gap * gap) + gap)
        found, width = climb_width_ahead(c, 0.5 * (u + e), distance, width_low, width_high)
        if found == FOUND:
            return shape_of_width(c, width)
    return BELOW, 0.0, 0.0, 0.0, 0.0, 0.0


@njit(cache=True, nogil=True, error_model="numpy")
def shape_ahead(u, e, first, last, a):
    """Where the chain starts ahead of the crossing: falling straight from its peak to `last`."""
    rise, highest = e + last * last - u, max(first, last)
    if rise > a * a:
        return BELOW, a, rise / a - a, last, 0.0, 0.0
    return BELOW, max(sqrt(max(rise, 0.0)), highest), 0.0, last, 0.0, 0.0


@njit(cache=True, nogil=True, error_model="numpy")
def climb_ordered(u, e, first, last, distance, v, a, b):
    """`climb` for u <= e."""
    c = e - u
    gap, ahead, island = 0.0, last > 0.0, False
    if ahead and first > 0.0 and c < first * first:
        gap = sqrt(first * first - c)
        ahead = island = last > gap
    if ahead:
        shape = shape_ahead(u, e, first, last, a)
        if distance >= distance_of(u, e, shape):
            shape = climb_ahead(u, e, last, gap, distance, a)
            if shape[0] == FOUND:
                return shape
        elif not island:
            return shape
    start_u, start_e = max(first, 0.0), min(last, 0.0)
    start = min(max(u + start_u * start_u, e + start_e * start_e), v)
    shape = shape_from(u, e, start, first, last, a, b)
    excess = distance_of(u, e, shape) - distance
    if excess >= 0.0:
        found = FOUND if excess == 0.0 else BELOW
        return found, shape[1], shape[2], shape[3], shape[4], 0.0
    shape = shape_from(u, e, v, first, last, a, b)
    cruise = (distance - distance_of(u, e, shape)) / v
    if cruise >= 0.0:
        return FOUND, shape[1], shape[2], shape[3], shape[4], cruise
    return climb_crossing(u, e, start, distance, v, a, b)


@njit(cache=True, nogil=True, error_model="numpy")
def climb(u, e, first, last, distance, v, a, b):
    """First crossing of the distance on the chain of rising, falling, rising ramps.

    `first` and `last` are the accelerations at the ends, a bounds the peak, b the trough. If the
    chain starts beyond the distance the answer is BELOW and the chain's start. A move of u > e is
    solved backwards in time.
    """
    if u <= e:
        return climb_ordered(u, e, first, last, distance, v, a, b)
    found, peak, peak_hold, trough, trough_hold, cruise = climb_ordered(
        e, u, -last, -first, distance, v, b, a
    )
    return found, -trough, trough_hold, -peak, peak_hold, cruise


@njit(cache=True, nogil=True, error_model="numpy")
def chain(v0, a0, v1, a1, distance):
    """u, e and the distance between the zero accelerations of the extended first and last ramp."""
    u, e = v0 - 0.5 * a0 * a0, v1 - 0.5 * a1 * a1
    cubes = (a0 * a0 * a0 - a1 * a1 * a1) / 6.0
    return u, e, distance + u * a0 - e * a1 + cubes


@njit(cache=True, nogil=True, error_model="numpy")
def has_island(u, e, first, last):
    """True if some shapes ahead of the crossing are cut off from the rest of the chain."""
    if u > e:
        u, e, first, last = e, u, -last, -first
    c = e - u
    return first > 0.0 and last > 0.0 and c < first * first and c + last * last > first * first


@njit(cache=True, nogil=True, error_model="numpy")
def climb_island_ordered(u, e, first, last, distance, a):
    """`climb_island` for u <= e."""
    if distance < distance_of(u, e, shape_ahead(u, e, first, last, a)):
        return BELOW, 0.0, 0.0, 0.0, 0.0, 0.0
    return climb_ahead(u, e, last, sqrt(first * first - (e - u)), distance, a)


@njit(cache=True, nogil=True, error_model="numpy")
def climb_island(u, e, first, last, distance, a, b):
    """`climb` where the acceleration never crosses zero, which no velocity limit can forbid."""
    if not has_island(u, e, first, last):
        return BELOW, 0.0, 0.0, 0.0, 0.0, 0.0
    if u <= e:
        return climb_island_ordered(u, e, first, last, distance, a)
    found, peak, peak_hold, trough, trough_hold, cruise = climb_island_ordered(
        e, u, -last, -first, distance, b
    )
    return found, -trough, trough_hold, -peak, peak_hold, cruise


@njit(cache=True, nogil=True, error_model="numpy")
def shape_duration(first, last, shape):
    """Duration of a shape between two accelerations."""
    _, peak, peak_hold, trough, trough_hold, cruise = shape
    return 2.0 * (peak - trough) + last - first + peak_hold + trough_hold + cruise


@njit(cache=True, nogil=True, error_model="numpy")
def fastest(v0, a0, v1, a1, distance, v, a, b):
    """Direction and shape of the fastest move from a state the limits allow to another.

    Velocity within ±v, acceleration within -b to a. Direction -1 means the mirrored shape. If
    rounding leaves the distance between the starts of both chains the shape is marked BELOW.
    """
    u, e, span = chain(v0, a0, v1, a1, distance)
    up = climb(u, e, a0, a1, span, v, a, b)
    if up[0] == FOUND and not has_island(u, e, a0, a1):
        return 1.0, up
    u, e, span = chain(-v0, -a0, -v1, -a1, -distance)
    down = climb(u, e, -a0, -a1, span, v, b, a)
    if down[0] == FOUND and (
        up[0] != FOUND or shape_duration(-a0, -a1, down) < shape_duration(a0, a1, up)
    ):
        return -1.0, down
    return 1.0, up
