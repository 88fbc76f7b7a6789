"""Input shapers: impulse trains that leave a lightly damped mode at rest, and what remains of it.

After Singer and Seering (ZV, ZVD) and Singhose (EI). Convolving a cam with one is exact: the cam's
pieces are added up, each delayed and weighted.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import exp, isfinite, pi, sqrt

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import fsolve

from motion.cam_table import CamTable, derivatives, shifted

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Shaper:
    """Impulses: `times_s` (n,) from 0 and `amplitudes` (n,) that add up to 1."""

    name: str
    times_s: Array
    amplitudes: Array

    @property
    def duration_s(self) -> float:
        """What the shaper adds to a move."""
        return float(self.times_s[-1])

    def then(self, other: Shaper) -> Shaper:
        """Both in a row, for two modes."""
        times = np.add.outer(self.times_s, other.times_s).ravel()
        amplitudes = np.outer(self.amplitudes, other.amplitudes).ravel()
        order = np.argsort(times, kind="stable")
        return Shaper(f"{self.name}+{other.name}", times[order], amplitudes[order])

    def residual(self, frequency_hz: ArrayLike, damping: float) -> Array:
        """Vibration left at `frequency_hz` (n,) as a share of the unshaped step's."""
        pole = _pole(np.atleast_1d(np.asarray(frequency_hz, dtype=np.float64)), damping)
        sums = np.exp(-np.outer(pole, self.times_s)) @ self.amplitudes
        return np.abs(sums * np.exp(pole * self.duration_s))


def zv(frequency_hz: float, damping: float) -> Shaper:
    """Zero vibration: two impulses half a damped period apart."""
    half, k = _half_period(frequency_hz, damping)
    return Shaper("ZV", np.array([0.0, half]), np.array([1.0, k]) / (1.0 + k))


def zvd(frequency_hz: float, damping: float) -> Shaper:
    """Zero vibration and zero slope over the frequency: three impulses, a damped period long."""
    half, k = _half_period(frequency_hz, damping)
    amplitudes = np.array([1.0, 2.0 * k, k * k]) / (1.0 + k) ** 2
    return Shaper("ZVD", half * np.arange(3.0), amplitudes)


def ei(frequency_hz: float, damping: float, tolerance: float = 0.05) -> Shaper:
    """Extra insensitive: `tolerance` of vibration at the frequency, none at one below and one
    above; solved from these conditions, so that damping is exact and not fitted.
    """
    half, k = _half_period(frequency_hz, damping)
    if not 0.0 < tolerance < 1.0:
        raise ValueError(f"shaper: tolerance = {tolerance:g}: must be within 0..1")
    start = np.array([1.0 + tolerance, 2.0 * k * (1.0 - tolerance), k * k * (1.0 + tolerance)])
    start /= start.sum()
    # without damping the band's zeros lie where cos(pi f / f0) = -(1 - V) / (1 + V)
    band = np.arccos((1.0 - tolerance) / (1.0 + tolerance)) / pi
    guess = [start[0], start[2], 1.0, 2.0, 1.0 - band, 1.0 + band]

    def conditions(unknown: Array) -> Array:
        train = _train(unknown, half)
        low, high = frequency_hz * unknown[4], frequency_hz * unknown[5]
        zeros = [_remainder(train, low, damping), _remainder(train, high, damping)]
        near = train.residual(frequency_hz * np.array([1.0, 1.0 - 1e-5, 1.0 + 1e-5]), damping)
        slope = (near[2] - near[1]) / 2e-5
        parts = [part for zero in zeros for part in (zero.real, zero.imag)]
        return np.array([*parts, near[0] - tolerance, slope])

    solution, _, found, message = fsolve(conditions, guess, full_output=True, xtol=1e-12)
    if found != 1 and np.abs(conditions(solution)).max() > 1e-9:
        raise ValueError(f"shaper: EI at damping = {damping:g}: {message}; use less damping")
    return _train(solution, half)


def _train(unknown: Array, half: float) -> Shaper:
    first, last = unknown[0], unknown[1]
    times = np.array([0.0, half * unknown[2], half * unknown[3]])
    return Shaper("EI", times, np.array([first, 1.0 - first - last, last]))


def _remainder(train: Shaper, frequency_hz: float, damping: float) -> complex:
    pole = _pole(np.array([frequency_hz]), damping)[0]
    return complex(np.exp(pole * (train.duration_s - train.times_s)) @ train.amplitudes)


def _pole(frequency_hz: Array, damping: float) -> NDArray[np.complex128]:
    """The pole, negated and mirrored so that exp(-pole t) grows as an impulse at t counts."""
    omega = 2.0 * pi * frequency_hz
    return np.asarray(omega * (-damping + 1j * sqrt(1.0 - damping * damping)))


def _half_period(frequency_hz: float, damping: float) -> tuple[float, float]:
    """Half the damped period and the share of an amplitude left after it."""
    if not (frequency_hz > 0.0 and isfinite(frequency_hz)):
        raise ValueError(f"shaper: frequency_hz = {frequency_hz:g}: must be finite and above 0")
    if not 0.0 <= damping < 1.0:
        raise ValueError(f"shaper: damping = {damping:g}: must be within 0..1")
    root = sqrt(1.0 - damping * damping)
    return 0.5 / (frequency_hz * root), exp(-pi * damping / root)


def shaped(cam: CamTable, shaper: Shaper) -> CamTable:
    """The cam convolved with a shaper, exactly; it takes duration_s longer and holds its end
    positions meanwhile. The cam must not be periodic.
    """
    if cam.periodic:
        raise ValueError("shaper: a periodic cam has no start; shape its moves instead")
    knots = np.unique(np.add.outer(shaper.times_s, cam.knots))
    # a knot that coincides with another but for rounding would make a segment of no length
    knots = knots[np.concatenate([np.diff(knots) > 1e-12 * cam.length, [True]])]
    total = np.zeros((knots.size - 1, 6))
    middles = 0.5 * (knots[1:] + knots[:-1])
    for delay, amplitude in zip(shaper.times_s, shaper.amplitudes, strict=True):
        total += amplitude * _delayed(cam, delay, knots[:-1], middles)
    return CamTable(knots, total)


def _delayed(cam: CamTable, delay: float, starts: Array, middles: Array) -> Array:
    rows = np.searchsorted(cam.knots, middles - delay, side="right") - 1
    inside = np.clip(rows, 0, cam.coefficients.shape[0] - 1)
    pieces = shifted(cam.coefficients[inside], starts - delay - cam.knots[inside])
    dwell = np.zeros_like(pieces)
    before, after = middles - delay < cam.start, middles - delay > cam.end
    dwell[before, 0] = cam.coefficients[0, 0]
    dwell[after, 0] = derivatives(cam.coefficients[-1:], cam.length_of(-1))[0, 0]
    return np.where((before | after)[:, None], dwell, pieces)
