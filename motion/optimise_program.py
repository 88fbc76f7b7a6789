"""One linear program: the smallest residual vibration of a move of given duration.

The move has constant jerk in each of n equal segments. The program knows jerk (n), acceleration,
velocity, position and a bound of the squared acceleration (n+1 each), the complex residual at each
design frequency, the worst residual as a share of the allowed one, and an excess that keeps the
linearised bounds solvable.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, cos, factorial, pi, sqrt
from typing import Any

import numpy as np
import scipy.sparse as sparse
from numpy.typing import NDArray
from scipy.optimize import linprog

from motion.optimise_problem import Checkpoint, ModeBand, MoveProblem, PlacementWindow

Array = NDArray[np.float64]

_DIRECTIONS = 24
_TANGENTS = 9
_WINDOW_FREQUENCIES = 5
# a count, not a time: the result must not depend on how busy the computer is
_ITERATIONS_MAX = 6000
_COST = {"worst": 1.0, "excess": 100.0}
_STATES = ("acceleration", "velocity", "position")


@dataclass(frozen=True, eq=False)
class Profile:
    """A solution: jerk (n,) of equal segments; acceleration, velocity and position (n+1,)."""

    duration_s: float
    jerk: Array
    acceleration: Array
    velocity: Array
    position: Array
    residual_share: float
    excess: float

    def stretched(self, duration_s: float) -> Profile:
        """The same path in another time."""
        k = self.duration_s / duration_s
        jerk, acceleration, velocity = self.jerk * k**3, self.acceleration * k**2, self.velocity * k
        return Profile(duration_s, jerk, acceleration, velocity, self.position, 0.0, 0.0)


@dataclass(frozen=True, eq=False)
class Cut:
    """Linear bounds at the knots on named states: sum of matrix @ state <= right."""

    terms: dict[str, Any]
    right: Array


class Program:
    """The fixed part of the program for one duration; solved again for each set of cuts."""

    def __init__(self, problem: MoveProblem, duration_s: float, segments: int, margin: float):
        self.problem, self.duration_s, self.margin = problem, duration_s, margin
        self.residual = _residual_map(problem, duration_s, segments)
        n, step = segments, duration_s / segments
        jerk = problem.limits.jerk
        self.widths = {
            "jerk": n,
            "acceleration": n + 1,
            "velocity": n + 1,
            "position": n + 1,
            "square": n + 1,
            "residual": self.residual.shape[0],
            "worst": 1,
            "excess": 1,
        }
        # what one counts as: the recursion becomes free of the step
        self.units = {
            "jerk": jerk,
            "acceleration": jerk * step,
            "velocity": jerk * step**2,
            "position": jerk * step**3,
            "square": max(problem.accelerations()) ** 2,
        }
        self.equalities = self._recursion()
        self.cuts = [self._discs()]
        self.bounds = self._bounds()
        if problem.force:
            self.cuts += self._square_sum()
        if problem.window:
            self.cuts += self._window(problem.window)
        if problem.checkpoint:
            self.cuts.append(self._checkpoint(problem.checkpoint))

    def solve(self, cuts: list[Cut]) -> Profile | None:
        """The profile with the least residual, or None if the limits alone forbid the duration."""
        blocks = self.cuts + cuts
        arguments = {
            "c": np.concatenate(
                [np.full(width, _COST.get(name, 0.0)) for name, width in self.widths.items()]
            ),
            "A_ub": sparse.vstack([self._rows(cut.terms) for cut in blocks], format="csc"),
            "b_ub": np.concatenate([cut.right for cut in blocks]),
            "A_eq": self.equalities,
            "b_eq": np.zeros(self.equalities.shape[0]),
            "bounds": self.bounds,
        }
        answer = linprog(**arguments, method="highs-ds", options={"maxiter": _ITERATIONS_MAX})
        if answer.status in (1, 4):
            # the simplex stalls on a few degenerate programs that an interior point finds easy
            answer = linprog(**arguments, method="highs-ipm", options={"maxiter": _ITERATIONS_MAX})
        if answer.status != 0:
            return None
        parts = np.split(answer.x, np.cumsum(list(self.widths.values()))[:-1])
        named = dict(zip(self.widths, parts, strict=True))
        jerk, a, v, x = (named[name] * self.units[name] for name in ("jerk", *_STATES))
        worst, excess = float(named["worst"][0]), float(named["excess"][0])
        return Profile(self.duration_s, jerk, a, v, x, worst, excess)

    def _rows(self, terms: dict[str, Any]) -> sparse.csc_array:
        """Rows over all variables from blocks over some, given in physical units."""
        height = next(iter(terms.values())).shape[0]
        blocks = [
            sparse.csc_array(terms[name]) * self.units.get(name, 1.0)
            if name in terms
            else sparse.csc_array((height, width))
            for name, width in self.widths.items()
        ]
        return sparse.csc_array(sparse.hstack(blocks))

    def _recursion(self) -> sparse.csc_array:
        """Each state from the one before, and the residual from the jerk."""
        n, step = self.widths["jerk"], self.duration_s / self.widths["jerk"]
        one, here = sparse.eye_array(n), sparse.eye_array(n, n + 1)
        ahead = sparse.eye_array(n, n + 1, k=1) - here
        names = ("jerk", *_STATES)
        rows = []
        for order, state in enumerate(_STATES):
            terms = {state: ahead / self.units[state]}
            for k, name in enumerate(names[: order + 1]):
                power = order + 1 - k
                lower = one if name == "jerk" else here
                terms[name] = -lower * (step**power / factorial(power) / self.units[state])
            rows.append(self._rows(terms))
        pick = sparse.eye_array(self.widths["residual"])
        rows.append(self._rows({"jerk": self.residual, "residual": -pick}))
        return sparse.csc_array(sparse.vstack(rows))

    def _discs(self) -> Cut:
        """Each residual within a polygon inside the circle of the worst."""
        angles = 2.0 * pi * np.arange(_DIRECTIONS) / _DIRECTIONS
        corner = np.stack([np.cos(angles), np.sin(angles)], axis=1)
        discs = sparse.kron(sparse.eye_array(self.widths["residual"] // 2), corner)
        reach = np.full((discs.shape[0], 1), -self.margin * cos(pi / _DIRECTIONS))
        return Cut({"residual": discs, "worst": reach}, np.zeros(discs.shape[0]))

    def _square_sum(self) -> list[Cut]:
        """Rms force: the squares of the accelerations add up to no more than allowed, each above
        tangents of its parabola. The trapezoidal sum lies above the integral.
        """
        assert self.problem.force is not None
        n, step = self.widths["jerk"], self.duration_s / self.widths["jerk"]
        allowed = self.problem.force.square_max(self.duration_s) * (0.5 + 0.5 * self.margin)
        total = Cut({"square": np.full((1, n + 1), step / allowed)}, np.ones(1))
        a_max = max(self.problem.accelerations())
        levels = a_max * np.linspace(-1.0, 1.0, _TANGENTS)
        return [total] + [self.tangent(np.full(n + 1, level)) for level in levels]

    def _window(self, window: PlacementWindow) -> list[Cut]:
        """The load near its ends, at the knots inside the window and on its very border."""
        n, duration, distance = self.widths["jerk"], self.duration_s, self.problem.distance_m
        knots = np.linspace(0.0, duration, n + 1)
        lead, trail = window.lead_s, duration - window.trail_s
        first = np.append(knots[(knots > 0.0) & (knots < lead)][::-2], lead)
        last = np.append(trail, knots[(knots > trail) & (knots < duration)][::2])
        times = np.concatenate([first, last])
        ends = np.concatenate([np.zeros(first.size), np.full(last.size, distance)])
        width = window.width_m * (0.98 + 0.02 * self.margin)
        rigid = _position_map(knots, times)
        swings = _deflection_maps(self.problem, knots, times)
        return [
            Cut({"jerk": sign * (rigid + swing) / width}, 1.0 + sign * ends / width)
            for swing in [np.zeros_like(rigid), *swings]
            for sign in (1.0, -1.0)
        ]

    def _checkpoint(self, checkpoint: Checkpoint) -> Cut:
        knots = np.linspace(0.0, self.duration_s, self.widths["jerk"] + 1)
        gone = _position_map(knots, np.array([min(checkpoint.time_s, self.duration_s)]))
        return Cut({"jerk": gone / checkpoint.position_max_m}, np.ones(1))

    def tangent(self, acceleration: Array) -> Cut:
        """square >= 2 a0 a - a0 squared at each knot."""
        scale = self.units["square"]
        slope = sparse.diags_array(2.0 * acceleration / scale)
        below = -sparse.eye_array(acceleration.size) / scale
        return Cut({"acceleration": slope, "square": below}, acceleration**2 / scale)

    def _bounds(self) -> Array:
        forwards, backwards = self.problem.accelerations()
        # between knots the velocity may rise by an eighth of a jerk step
        v_max = self.problem.limits.velocity - 0.125 * self.units["velocity"]
        ranges = {
            "jerk": (-1.0, 1.0),
            "acceleration": (
                -backwards / self.units["acceleration"],
                forwards / self.units["acceleration"],
            ),
            "velocity": (-v_max / self.units["velocity"], v_max / self.units["velocity"]),
            "square": (0.0, np.inf),
            # less than half the allowed residual earns nothing and makes the program degenerate
            "worst": (0.5, np.inf),
            "excess": (0.0, np.inf),
        }
        bounds = {
            name: np.tile(ranges.get(name, (-np.inf, np.inf)), (width, 1))
            for name, width in self.widths.items()
        }
        for state in _STATES:
            bounds[state][[0, -1]] = 0.0
        bounds["position"][-1] = self.problem.distance_m / self.units["position"]
        return np.concatenate(list(bounds.values()))


def _residual_map(problem: MoveProblem, duration_s: float, segments: int) -> Array:
    """Rows (real, imaginary a frequency) from jerk to residual / allowed residual.

    A mode q'' + 2 d w q' + w2 q = -a is left with the amplitude |integral of a exp(p (t - T))| / wd,
    p its mirrored pole; by parts that is a sum over the jerks.
    """
    mode = problem.mode
    if mode is None:
        return np.zeros((0, segments))
    times = np.linspace(-duration_s, 0.0, segments + 1)
    omega = 2.0 * pi * mode.frequencies(design_count(mode, duration_s))[:, None]
    pole = omega * (mode.damping + 1j * sqrt(1.0 - mode.damping**2))
    weights = np.diff(np.exp(pole * times), axis=1) / (pole**2 * pole.imag)
    parts = np.stack([weights.real, weights.imag], axis=1).reshape(-1, segments)
    return parts / mode.residual_m


def _position_map(knots: Array, times: Array) -> Array:
    """Position at each time (m, n) from the jerks between the knots, from rest at zero."""
    since = np.maximum(times[:, None] - knots, 0.0) ** 3 / 6.0
    return np.asarray(since[:, :-1] - since[:, 1:])


def _deflection_maps(problem: MoveProblem, knots: Array, times: Array) -> list[Array]:
    """For each of a few frequencies of the band the map (m, n) from jerk to deflection at each time.

    The same integral as the residual's but up to that time, its imaginary part; by parts the
    acceleration there, itself a sum of jerks, comes in too.
    """
    mode = problem.mode
    if mode is None:
        return []
    reached = np.minimum(knots, times[:, None])
    maps = []
    for omega in 2.0 * pi * mode.frequencies(_WINDOW_FREQUENCIES):
        pole = omega * (mode.damping + 1j * sqrt(1.0 - mode.damping**2))
        until = np.diff(np.exp(pole * (reached - times[:, None])), axis=1)
        integral = np.diff(reached, axis=1) / pole - until / pole**2
        maps.append(integral.imag / pole.imag)
    return maps


def design_count(mode: ModeBand, duration_s: float) -> int:
    """Frequencies enough that the residual, whose detail over frequency is 1 / duration, rises by
    little between two of them.
    """
    return ceil(2.0 * mode.spread * mode.frequency_hz * duration_s / 0.1) + 2
