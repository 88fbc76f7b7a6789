"""Random planning problems, the same for the benchmark and for the comparison with the oracle."""

from typing import Any

import numpy as np

from motion.limits import LIMITS_DTYPE
from motion.trajectory import STATE_DTYPE

CLASSES = ("rest_to_rest", "any_to_rest", "any_to_velocity", "any_to_state")
SCALES = ("machine", "wide", "uneven")
PROBLEM_DTYPE = np.dtype(
    [("start", STATE_DTYPE), ("target", STATE_DTYPE), ("limits", LIMITS_DTYPE)], align=True
)
OUTSIDE_SHARE = 0.2
TINY_SHARE = 0.1
SPECIAL_SHARE = 0.1

Array = np.ndarray[Any, Any]


def random_problems(name: str, scale: str, count: int, seed: int) -> Array:
    """`count` problems of a class as records of PROBLEM_DTYPE.

    Limits are those of machines, or range over six decades, or decelerate up to three times as
    much or as little as they accelerate. A fifth of the moving starts may be outside their limits,
    a tenth of the moves are tiny, and of each velocity and acceleration a tenth is 0 or a bound.
    """
    random = np.random.default_rng([seed, CLASSES.index(name), SCALES.index(scale)])
    problems = np.zeros(count, dtype=PROBLEM_DTYPE)
    limits = _limits(random, scale, count)
    problems["limits"]["velocity"], acceleration, problems["limits"]["jerk"] = limits
    problems["limits"]["acceleration"] = problems["limits"]["deceleration"] = acceleration
    if scale == "uneven":
        problems["limits"]["deceleration"] *= np.exp(random.uniform(-1.1, 1.1, count))
    if name != "rest_to_rest":
        factor = np.where(random.random(count) < OUTSIDE_SHARE, 2.0, 1.0)
        problems["start"]["velocity"] = factor * _spread(random, limits[0])
        problems["start"]["acceleration"] = factor * _spread(random, acceleration)
    if name in ("any_to_velocity", "any_to_state"):
        problems["target"]["velocity"] = _spread(random, limits[0])
    if name == "any_to_state":
        problems["target"]["acceleration"] = _approachable(
            _spread(random, np.minimum(acceleration, problems["limits"]["deceleration"])),
            problems["target"]["velocity"],
            limits,
        )
    problems["start"]["position"] = random.uniform(-1.0, 1.0, count)
    problems["target"]["position"] = problems["start"]["position"] + _distance(random, limits)
    return problems


def _limits(random: np.random.Generator, scale: str, count: int) -> tuple[Array, Array, Array]:
    if scale != "wide":
        bounds = ((0.05, 5.0), (1.0, 100.0), (100.0, 20_000.0))
    else:
        bounds = ((1e-3, 1e3), (1e-3, 1e3), (1e-3, 1e4))
    velocity, acceleration, jerk = (
        np.exp(random.uniform(np.log(low), np.log(high), count)) for low, high in bounds
    )
    return velocity, acceleration, jerk


def _spread(random: np.random.Generator, bound: Array) -> Array:
    """Within ±bound; a tenth exactly 0 or at a bound."""
    share = random.uniform(-1.0, 1.0, bound.size)
    special = random.random(bound.size) < SPECIAL_SHARE
    share[special] = random.choice((-1.0, 0.0, 1.0), int(special.sum()))
    return share * bound


def _approachable(
    acceleration: Array, velocity: Array, limits: tuple[Array, Array, Array]
) -> Array:
    """The accelerations lowered so that the velocity limit holds just before the target."""
    room = limits[0] + np.sign(acceleration) * velocity
    bound = np.sqrt(2.0 * limits[2] * np.maximum(room, 0.0)) * (1.0 - 1e-9)
    return np.clip(acceleration, -bound, bound)


def _distance(random: np.random.Generator, limits: tuple[Array, Array, Array]) -> Array:
    """From far shorter than a ramp to far longer than one, tiny moves included."""
    velocity, acceleration, jerk = limits
    ramp = velocity * (velocity / acceleration + acceleration / jerk)
    share = random.normal(0.0, 1.0, velocity.size) * np.exp(random.normal(0.0, 1.5, velocity.size))
    tiny = random.random(velocity.size) < TINY_SHARE
    share[tiny] *= 10.0 ** random.uniform(-9.0, -3.0, int(tiny.sum()))
    return ramp * share
