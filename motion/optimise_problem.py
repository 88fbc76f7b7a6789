"""What a move to be optimised must keep, in the words of the machine."""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite

import numpy as np
from numpy.typing import NDArray

from motion.fold_geometry import web_length_derivatives
from motion.limits import MotionLimits

Array = NDArray[np.float64]
Records = NDArray[np.void]


def _require(name: str, value: float, above: float = 0.0, below: float = float("inf")) -> None:
    if not (isfinite(value) and above < value < below):
        raise ValueError(f"optimise: {name} = {value:g}: must be within {above:g} to {below:g}")


@dataclass(frozen=True)
class ModeBand:
    """A vibration mode and how well it is known: +-`spread` of its frequency; the load may be left
    vibrating by at most `residual_m`.
    """

    frequency_hz: float
    damping: float
    spread: float = 0.10
    residual_m: float = 10e-6

    def __post_init__(self) -> None:
        _require("mode.frequency_hz", self.frequency_hz)
        _require("mode.damping", self.damping, -1e-300, 1.0)
        _require("mode.spread", self.spread, 0.0, 1.0)
        _require("mode.residual_m", self.residual_m)

    def frequencies(self, count: int) -> Array:
        """`count` frequencies over the band, ends included."""
        return self.frequency_hz * np.linspace(1.0 - self.spread, 1.0 + self.spread, count)


@dataclass(frozen=True)
class ForceLimits:
    """The motor: moved mass, friction, peak force, and rms force over the move and
    the `rest_s` that follows it, friction included.
    """

    mass_kg: float
    peak_n: float
    rms_n: float
    friction_n: float = 0.0
    rest_s: float = 0.0

    def __post_init__(self) -> None:
        _require("force.mass_kg", self.mass_kg)
        _require("force.friction_n", self.friction_n, -1e-300)
        _require("force.peak_n", self.peak_n, self.friction_n)
        _require("force.rms_n", self.rms_n)
        _require("force.rest_s", self.rest_s, -1e-300)

    def square_max(self, duration_s: float) -> float:
        """Bound of the integral of acceleration squared over the move, m2/s3.

        Force is mass times acceleration plus friction; their product integrates to zero from rest
        to rest.
        """
        allowed = self.rms_n**2 * (duration_s + self.rest_s)
        return (allowed - self.friction_n**2 * duration_s) / self.mass_kg**2


@dataclass(frozen=True, eq=False)
class WebBound:
    """Bound of the second derivative of the web's length while the table moves from
    `start_m` towards the end `side`, the arm up.
    """

    geometry: Records
    acceleration_m_s2: float
    start_m: float
    side: float = 1.0

    def __post_init__(self) -> None:
        _require("web.acceleration_m_s2", self.acceleration_m_s2)
        if not (isfinite(self.start_m) and self.side in (-1.0, 1.0)):
            raise ValueError(
                f"optimise: web from {self.start_m:g} to side {self.side:g}: must be +-1"
            )

    def slopes(self, position: Array) -> Array:
        """First, second and third derivative (n, 3) of the web's length over the table's position,
        counted from the start of the move; the third by differences.
        """
        record, arm_up = self.geometry[0], float("inf")

        def derivative(x: float) -> tuple[float, float]:
            d = web_length_derivatives(record, self.side, self.start_m + x, arm_up)
            return d[1], d[3]

        step = 1e-6
        return np.array(
            [
                (*derivative(x), (derivative(x + step)[1] - derivative(x - step)[1]) / (2.0 * step))
                for x in position
            ]
        )


@dataclass(frozen=True)
class PlacementWindow:
    """The load stays within `width_m` of the start for the first `lead_s` and of the end for the
    last `trail_s`, at every mode of the band and rigid: what stands over the stack is not hit.
    """

    width_m: float
    lead_s: float
    trail_s: float

    def __post_init__(self) -> None:
        _require("window.width_m", self.width_m)
        _require("window.lead_s", self.lead_s, -1e-300)
        _require("window.trail_s", self.trail_s, -1e-300)


@dataclass(frozen=True)
class Checkpoint:
    """The move has gone no farther than `position_max_m` by `time_s`: what is in its way leaves then."""

    time_s: float
    position_max_m: float

    def __post_init__(self) -> None:
        _require("checkpoint.time_s", self.time_s)
        _require("checkpoint.position_max_m", self.position_max_m)


@dataclass(frozen=True)
class MoveProblem:
    """A rest-to-rest move of `distance_m` under limits; what is left out does not bind."""

    distance_m: float
    limits: MotionLimits
    mode: ModeBand | None = None
    force: ForceLimits | None = None
    web: WebBound | None = None
    window: PlacementWindow | None = None
    checkpoint: Checkpoint | None = None

    def __post_init__(self) -> None:
        _require("distance_m", self.distance_m)

    def accelerations(self) -> tuple[float, float]:
        """Largest acceleration and deceleration, the motor's peak force included."""
        forwards, backwards = self.limits.acceleration, self.limits.deceleration
        if self.force is not None:
            reserve, aid = self.force.peak_n, self.force.friction_n
            forwards = min(forwards, (reserve - aid) / self.force.mass_kg)
            backwards = min(backwards, (reserve + aid) / self.force.mass_kg)
        return forwards, backwards

    def shortest_s(self) -> float:
        """Duration without mode, rms or web: no move under the limits is faster."""
        v, j, d = self.limits.velocity, self.limits.jerk, self.distance_m
        a = max(self.accelerations())
        ramp = v / a + a / j if v * j > a * a else 2.0 * (v / j) ** 0.5
        if d > v * ramp:
            return ramp + d / v
        if d > 2.0 * a**3 / j**2:
            return a / j + ((a / j) ** 2 + 4.0 * d / a) ** 0.5
        return 4.0 * (d / (2.0 * j)) ** (1.0 / 3.0)
