"""Sine, cosine, arctangent and exponential from + - * / and floor: the same bits on every CPU.

The C library's versions differ by one unit in the last place between processors, which is enough
to break a replay; these do not, since nothing here is contracted, reordered or vectorised.
"""

from math import floor, sqrt

from numba import njit

# pi/2 and ln 2 in pieces whose products with a small integer are exact (Cody and Waite)
_HALF_PI_HIGH = 1.5707963267341256
_HALF_PI_MIDDLE = 6.077100506303966e-11
_HALF_PI_LOW = 2.0222662487959506e-21
_TWO_OVER_PI = 0.6366197723675814
_LN2_HIGH = 0.6931471803691238
_LN2_LOW = 1.9082149292705877e-10
_ONE_OVER_LN2 = 1.4426950408889634
_PI_4 = 0.7853981633974483
_PI_2 = 1.5707963267948966
_TAN_PI_8 = 0.41421356237309503


@njit(cache=True, nogil=True, error_model="numpy")
def _sine_near_zero(x: float) -> float:
    y = x * x
    s = -1.0 / 1307674368000.0
    s = s * y + 1.0 / 6227020800.0
    s = s * y - 1.0 / 39916800.0
    s = s * y + 1.0 / 362880.0
    s = s * y - 1.0 / 5040.0
    s = s * y + 1.0 / 120.0
    s = s * y - 1.0 / 6.0
    return x + x * y * s


@njit(cache=True, nogil=True, error_model="numpy")
def _cosine_near_zero(x: float) -> float:
    y = x * x
    c = 1.0 / 20922789888000.0
    c = c * y - 1.0 / 87178291200.0
    c = c * y + 1.0 / 479001600.0
    c = c * y - 1.0 / 3628800.0
    c = c * y + 1.0 / 40320.0
    c = c * y - 1.0 / 720.0
    c = c * y + 1.0 / 24.0
    return 1.0 - 0.5 * y + y * y * c


@njit(cache=True, nogil=True, error_model="numpy")
def _quarter_turns(x: float, shift: int) -> float:
    turns = floor(x * _TWO_OVER_PI + 0.5)
    r = ((x - turns * _HALF_PI_HIGH) - turns * _HALF_PI_MIDDLE) - turns * _HALF_PI_LOW
    quadrant = (turns + shift) - 4.0 * floor((turns + shift) * 0.25)
    if quadrant == 0.0:
        return _sine_near_zero(r)
    if quadrant == 1.0:
        return _cosine_near_zero(r)
    if quadrant == 2.0:
        return -_sine_near_zero(r)
    return -_cosine_near_zero(r)


@njit(cache=True, nogil=True, error_model="numpy")
def sine(x: float) -> float:
    """Sine of x in radians, within 3e-16 for |x| below 1e5."""
    return _quarter_turns(x, 0)


@njit(cache=True, nogil=True, error_model="numpy")
def cosine(x: float) -> float:
    """Cosine of x in radians, within 3e-16 for |x| below 1e5."""
    return _quarter_turns(x, 1)


@njit(cache=True, nogil=True, error_model="numpy")
def exponential(x: float) -> float:
    """e to the power x, relative error below 4e-16; 0 below -708 and e**709 above 709."""
    if x < -708.0:
        return 0.0
    x = min(x, 709.0)
    twos = floor(x * _ONE_OVER_LN2 + 0.5)
    r = (x - twos * _LN2_HIGH) - twos * _LN2_LOW
    e = 1.0 / 87178291200.0
    e = e * r + 1.0 / 6227020800.0
    e = e * r + 1.0 / 479001600.0
    e = e * r + 1.0 / 39916800.0
    e = e * r + 1.0 / 3628800.0
    e = e * r + 1.0 / 362880.0
    e = e * r + 1.0 / 40320.0
    e = e * r + 1.0 / 5040.0
    e = e * r + 1.0 / 720.0
    e = e * r + 1.0 / 120.0
    e = e * r + 1.0 / 24.0
    e = e * r + 1.0 / 6.0
    e = 1.0 + (r + r * r * (0.5 + r * e))
    return e * _power_of_two(int(twos))


@njit(cache=True, nogil=True, error_model="numpy")
def _power_of_two(exponent: int) -> float:
    base = 2.0 if exponent >= 0 else 0.5
    remaining = exponent if exponent >= 0 else -exponent
    result = 1.0
    while remaining > 0:
        if remaining & 1:
            result *= base
        base *= base
        remaining >>= 1
    return result


@njit(cache=True, nogil=True, error_model="numpy")
def arctangent(x: float) -> float:
    """Angle in radians within -pi/2..pi/2 whose tangent is x, within 3e-16."""
    t = -x if x < 0.0 else x
    offset = 0.0
    if t > 1.0 / _TAN_PI_8:
        offset, t = _PI_2, -1.0 / t
    elif t > _TAN_PI_8:
        offset, t = _PI_4, (t - 1.0) / (t + 1.0)
    # a second halving of the interval keeps the odd series short: |t| <= tan(pi/16)
    half = t / (1.0 + sqrt(1.0 + t * t))
    y = half * half
    s = 1.0 / 21.0
    s = 1.0 / 19.0 - y * s
    s = 1.0 / 17.0 - y * s
    s = 1.0 / 15.0 - y * s
    s = 1.0 / 13.0 - y * s
    s = 1.0 / 11.0 - y * s
    s = 1.0 / 9.0 - y * s
    s = 1.0 / 7.0 - y * s
    s = 1.0 / 5.0 - y * s
    s = 1.0 / 3.0 - y * s
    angle = offset + 2.0 * (half - half * y * s)
    return -angle if x < 0.0 else angle
