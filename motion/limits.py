"""What an axis may do at most, and how the kernels say that a move is refused."""

from dataclasses import dataclass, fields
from enum import IntEnum
from math import isfinite

import numpy as np
from numba import njit

LIMITS_DTYPE = np.dtype(
    [("velocity", "f8"), ("acceleration", "f8"), ("deceleration", "f8"), ("jerk", "f8")],
    align=True,
)


class Result(IntEnum):
    """What a motion kernel answers; its output is good only with OK."""

    OK = 0
    LIMITS_INVALID = 1
    START_NOT_FINITE = 2
    TARGET_NOT_FINITE = 3
    TARGET_VELOCITY_BEYOND_LIMIT = 4
    TARGET_ACCELERATION_BEYOND_LIMIT = 5
    TARGET_NOT_APPROACHABLE = 6
    DURATION_TOO_SHORT = 7
    DURATION_NOT_POSSIBLE = 8
    NO_SOLUTION = 9
    DURATION_INVALID = 10


REMEDIES = {
    Result.OK: "nothing to do",
    Result.LIMITS_INVALID: "a limit is not a finite number above 0; correct it",
    Result.START_NOT_FINITE: "the start state is not finite; check the feedback it came from",
    Result.TARGET_NOT_FINITE: "the target state is not finite; check the command it came from",
    Result.TARGET_VELOCITY_BEYOND_LIMIT: "lower the target velocity or raise limits.velocity",
    Result.TARGET_ACCELERATION_BEYOND_LIMIT: (
        "lower the target acceleration or raise limits.acceleration or limits.deceleration"
    ),
    Result.TARGET_NOT_APPROACHABLE: (
        "the velocity limit would be broken just before the target; lower its acceleration"
    ),
    Result.DURATION_TOO_SHORT: "allow more time or raise the limits",
    Result.DURATION_NOT_POSSIBLE: "arrive earlier or later: the target is out of reach just then",
    Result.DURATION_INVALID: "the duration is not a finite number of at least 0; correct it",
    Result.NO_SOLUTION: "the numbers are too far apart for double precision; scale the problem",
}


class MotionError(ValueError):
    """A refused motion input: names the thing, its value, the limit and what to do."""


@dataclass(frozen=True)
class MotionLimits:
    """Bounds of one axis in its own unit (m or rad) and seconds, all above 0.

    Seen along the direction of a move the velocity stays within ±velocity, the acceleration
    within -deceleration to +acceleration, and the jerk within ±jerk. The direction is that
    from the start position to the target position; a stop counts the velocity's sign.
    """

    velocity: float
    acceleration: float
    deceleration: float
    jerk: float

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if not (isfinite(value) and value > 0.0):
                raise MotionError(
                    f"limits.{field.name} = {value}: must be finite and above 0; correct it"
                )

    @classmethod
    def symmetric(cls, velocity: float, acceleration: float, jerk: float) -> "MotionLimits":
        """The usual case: as much deceleration as acceleration."""
        return cls(velocity, acceleration, acceleration, jerk)

    def record(self) -> np.void:
        """The same numbers as one record of LIMITS_DTYPE, for the kernels."""
        values = (self.velocity, self.acceleration, self.deceleration, self.jerk)
        return np.array([values], dtype=LIMITS_DTYPE)[0]


@njit(cache=True, nogil=True, error_model="numpy")
def is_positive_finite(value):
    """True for a finite number above 0; False for NaN."""
    return 0.0 < value < np.inf


@njit(cache=True, nogil=True, error_model="numpy")
def limits_valid(limits):
    """True if each bound of a LIMITS_DTYPE record is finite and above 0."""
    return (
        is_positive_finite(limits.velocity)
        and is_positive_finite(limits.acceleration)
        and is_positive_finite(limits.deceleration)
        and is_positive_finite(limits.jerk)
    )
