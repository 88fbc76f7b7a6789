"""The laws of motion of VDI 2143: a rise from 0 to 1 while u goes from 0 to 1."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from math import factorial, pi

import numpy as np
from numpy.typing import ArrayLike, NDArray

from motion.cam_fit import complete, hermite

Array = NDArray[np.float64]


@dataclass(frozen=True)
class LawPiece:
    """A polynomial in u (ascending) plus amplitude * sin(frequency * u + phase), on start..end."""

    start: float
    end: float
    polynomial: tuple[float, ...]
    amplitude: float = 0.0
    frequency: float = 0.0
    phase: float = 0.0

    def derivative(self, u: ArrayLike, order: int) -> Array:
        """Derivative of the given order at u."""
        u = np.asarray(u, dtype=np.float64)
        value = np.polynomial.Polynomial(self.polynomial).deriv(order)(u)
        if self.amplitude == 0.0:
            return value
        turned = self.frequency * u + self.phase + order * pi / 2.0
        return value + self.amplitude * self.frequency**order * np.sin(turned)

    def extreme(self, order: int) -> float:
        """Largest magnitude of a derivative (1 to 3) on the piece."""
        candidates = [self.start, self.end, *self._turning_points(order + 1)]
        return float(np.abs(self.derivative(candidates, order)).max())

    def _turning_points(self, order: int) -> list[float]:
        if self.amplitude == 0.0:
            roots = np.polynomial.Polynomial(self.polynomial).deriv(order).roots()
            points = roots[np.abs(roots.imag) < 1e-6].real
        else:
            # from the second derivative on, a piece with a sine is that sine alone
            offset = self.phase + order * pi / 2.0
            first = np.ceil((self.frequency * self.start + offset) / pi)
            last = np.floor((self.frequency * self.end + offset) / pi)
            points = (np.arange(first, last + 1.0) * pi - offset) / self.frequency
        return [float(u) for u in points if self.start < u < self.end]


@dataclass(frozen=True)
class LawCoefficients:
    """Peak velocity, acceleration and jerk, and rms acceleration, of the unit rise."""

    velocity: float
    acceleration: float
    jerk: float
    acceleration_rms: float


@dataclass(frozen=True)
class CamLaw:
    """A normalised law of motion made of pieces."""

    name: str
    pieces: tuple[LawPiece, ...]

    def evaluate(self, u: ArrayLike) -> Array:
        """Position and three derivatives (n, 4) at u (n,), u within 0..1."""
        points = np.atleast_1d(np.asarray(u, dtype=np.float64))
        ends = np.array([piece.end for piece in self.pieces[:-1]])
        which = np.searchsorted(ends, points, side="right")
        out = np.empty((points.size, 4))
        for i, piece in enumerate(self.pieces):
            inside = which == i
            out[inside] = np.stack([piece.derivative(points[inside], k) for k in range(4)], axis=1)
        return out

    @property
    def coefficients(self) -> LawCoefficients:
        """Cv, Ca, Cj and the rms of the acceleration after VDI 2143, to rounding."""
        v, a, j = (max(piece.extreme(order) for piece in self.pieces) for order in (1, 2, 3))
        nodes, weights = np.polynomial.legendre.leggauss(40)
        square = 0.0
        for piece in self.pieces:
            half = 0.5 * (piece.end - piece.start)
            samples = piece.derivative(piece.start + half * (nodes + 1.0), 2)
            square += half * float(weights @ samples**2)
        return LawCoefficients(v, a, j, float(np.sqrt(square)))

    def quintics(self) -> tuple[Array, Array]:
        """Knots (n+1,) on 0..1 and quintic coefficients (n, 6) of the law: itself up to degree 5,
        else a C3 curve within 4e-8 that has the law's position at the knots and all its
        derivatives up to the jerk at both ends.
        """
        return _quintics(self)


@cache
def _quintics(law: CamLaw) -> tuple[Array, Array]:
    if len(law.pieces) == 1 and law.pieces[0].amplitude == 0.0:
        polynomial = law.pieces[0].polynomial
        if len(polynomial) <= 6:
            return np.array([0.0, 1.0]), np.pad([polynomial], ((0, 0), (0, 6 - len(polynomial))))
    counts = [max(2, round(32 * (piece.end - piece.start))) for piece in law.pieces]
    inner = [
        np.linspace(piece.start, piece.end, count + 1)[1:]
        for piece, count in zip(law.pieces, counts, strict=True)
    ]
    knots = np.concatenate([[0.0], *inner])
    exact = law.evaluate(knots)
    exact[-1] = [float(law.pieces[-1].derivative(1.0, k)) for k in range(4)]
    return knots, through(knots, exact)


def through(knots: Array, exact: Array) -> Array:
    """C3 quintics (n, 6), n >= 3, through positions and velocities of `exact` (n+1, 4), with its
    accelerations and jerks at both ends.

    The velocities beside the ends are left open in exchange for the jerks there.
    """
    states = np.array(exact[:, :3])
    states[1:-1, 2] = np.nan
    states[[1, -2], 1] = np.nan
    return hermite(knots, complete(knots, states, (3,), end_jerks=(exact[0, 3], exact[-1, 3])))


def _polynomial(name: str, coefficients: Sequence[float]) -> CamLaw:
    return CamLaw(name, (LawPiece(0.0, 1.0, tuple(float(c) for c in coefficients)),))


def _from_accelerations(
    name: str, pieces: Sequence[tuple[float, float, float, float, float, float]]
) -> CamLaw:
    """Integrate accelerations (start, end, constant, amplitude, frequency, phase) twice from rest
    and scale the rise to 1.
    """
    integrated, velocity, position = [], 0.0, 0.0
    for start, end, constant, amplitude, frequency, phase in pieces:
        sine = -amplitude / frequency**2 if frequency else 0.0
        bare = LawPiece(start, end, (0.0, 0.0, 0.5 * constant), sine, frequency, phase)
        slope = velocity - float(bare.derivative(start, 1))
        level = position - float(bare.derivative(start, 0)) - slope * start
        polynomial = (level, slope, 0.5 * constant) if constant else (level, slope)
        piece = LawPiece(start, end, polynomial, sine, frequency, phase)
        velocity, position = float(piece.derivative(end, 1)), float(piece.derivative(end, 0))
        integrated.append(piece)
    return CamLaw(name, tuple(_divided(piece, position) for piece in integrated))


def _divided(piece: LawPiece, rise: float) -> LawPiece:
    polynomial = tuple(c / rise for c in piece.polynomial)
    amplitude = piece.amplitude / rise
    return LawPiece(piece.start, piece.end, polynomial, amplitude, piece.frequency, piece.phase)


POLYNOMIAL_345 = _polynomial("3-4-5 polynomial", (0, 0, 0, 10, -15, 6))
POLYNOMIAL_4567 = _polynomial("4-5-6-7 polynomial", (0, 0, 0, 0, 35, -84, 70, -20))
# ends gently: its jerk vanishes there too
POLYNOMIAL_3456 = _polynomial("3-4-5-6 polynomial", (0, 0, 0, 20, -45, 36, -10))
POLYNOMIAL_56789 = _polynomial("5-6-7-8-9 polynomial", (0, 0, 0, 0, 0, 126, -420, 540, -315, 70))
SIMPLE_SINE = _from_accelerations("simple sine", [(0.0, 1.0, 0.0, 1.0, pi, pi / 2.0)])
CYCLOID = _from_accelerations("cycloid (Bestehorn)", [(0.0, 1.0, 0.0, 1.0, 2.0 * pi, 0.0)])
MODIFIED_SINE = _from_accelerations(
    "modified sine",
    [
        (0.0, 0.125, 0.0, 1.0, 4.0 * pi, 0.0),
        (0.125, 0.875, 0.0, 1.0, 4.0 * pi / 3.0, pi / 3.0),
        (0.875, 1.0, 0.0, 1.0, 4.0 * pi, 0.0),
    ],
)
MODIFIED_TRAPEZOID = _from_accelerations(
    "modified trapezoid",
    [
        (0.0, 0.125, 0.0, 1.0, 4.0 * pi, 0.0),
        (0.125, 0.375, 1.0, 0.0, 0.0, 0.0),
        (0.375, 0.625, 0.0, 1.0, 4.0 * pi, -pi),
        (0.625, 0.875, -1.0, 0.0, 0.0, 0.0),
        (0.875, 1.0, 0.0, 1.0, 4.0 * pi, 0.0),
    ],
)

LAWS = (
    POLYNOMIAL_345,
    POLYNOMIAL_4567,
    POLYNOMIAL_56789,
    MODIFIED_SINE,
    MODIFIED_TRAPEZOID,
    CYCLOID,
    SIMPLE_SINE,
)


def blend_polynomial(start: ArrayLike, end: ArrayLike, length: float) -> Array:
    """Ascending coefficients of the polynomial over 0..length from `start` to `end`, each
    (position, velocity, acceleration) for a quintic or with the jerk too for a septic.
    """
    first, last = np.asarray(start, dtype=np.float64), np.asarray(end, dtype=np.float64)
    order = first.size
    if last.size != order or order not in (3, 4):
        raise ValueError(f"blend: {order} and {last.size} end conditions: both need 3 or 4")
    powers = np.arange(2.0 * order)
    rows, right = [], []
    for u, state in ((0.0, first), (1.0, last)):
        for k, value in enumerate(state):
            falling = [factorial(n) // factorial(n - k) if n >= k else 0 for n in range(2 * order)]
            rows.append(
                np.array(falling) * np.where(powers >= k, u ** np.maximum(powers - k, 0), 0)
            )
            right.append(value * length**k)
    return np.linalg.solve(np.array(rows, dtype=np.float64), np.array(right)) / length**powers
