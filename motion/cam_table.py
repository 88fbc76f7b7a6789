"""Cam tables: piecewise quintics over a master, evaluated in the cycle and built outside it.

Many cams share one pool of segments; a cam names its slice of the pool. The master's unit is
seconds of path time at 100 % override, so derivatives are velocity, acceleration and jerk.
The kernels are inlined: a call that hands arrays on costs more in reference counts than the cam.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import floor, isfinite
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import ArrayLike, NDArray

from motion.cam_fit import complete, hermite
from motion.cam_laws import CamLaw, blend_polynomial, through
from motion.layouts import CAM_DTYPE, SEGMENT_DTYPE

Array = NDArray[np.float64]
Records = NDArray[np.void]
# one record: its fields are beyond the type checker
Record = Any

# knots nearer than this share of a cam are one
_LEAST_LENGTH = 1e-12


@njit(cache=True, nogil=True, error_model="numpy", forceinline=True)
def find_segment(segments: Records, cam: Record, master: float) -> int:
    """Index in the pool of the segment at or before `master`, by bisection."""
    low = cam.first_segment
    high = low + cam.segment_count
    while high - low > 1:
        middle = (low + high) >> 1
        if segments[middle].master_start <= master:
            low = middle
        else:
            high = middle
    return low


@njit(cache=True, nogil=True, error_model="numpy", forceinline=True)
def evaluate_segment(segment: Record, master: float) -> tuple[float, float, float, float]:
    """Position and its first three derivatives of one segment at `master`."""
    c = segment.coefficients
    u = master - segment.master_start
    position = c[0] + u * (c[1] + u * (c[2] + u * (c[3] + u * (c[4] + u * c[5]))))
    d1 = c[1] + u * (2.0 * c[2] + u * (3.0 * c[3] + u * (4.0 * c[4] + u * (5.0 * c[5]))))
    d2 = 2.0 * c[2] + u * (6.0 * c[3] + u * (12.0 * c[4] + u * (20.0 * c[5])))
    d3 = 6.0 * c[3] + u * (24.0 * c[4] + u * (60.0 * c[5]))
    return position, d1, d2, d3


@njit(cache=True, nogil=True, error_model="numpy", forceinline=True)
def wrap_master(segments: Records, cam: Record, master: float) -> float:
    """`master` folded into the cam's one period; unchanged for a cam that is not periodic."""
    start = segments[cam.first_segment].master_start
    phase = master - start
    if cam.periodic and (phase < 0.0 or phase >= cam.length):
        phase -= cam.length * floor(phase / cam.length)
        return start + min(max(phase, 0.0), cam.length)
    return master


@njit(cache=True, nogil=True, error_model="numpy", forceinline=True)
def evaluate_cam(
    segments: Records, cam: Record, master: float
) -> tuple[float, float, float, float]:
    """Position and its first three derivatives with respect to the master.

    A periodic cam repeats; any other holds its end positions outside its range, at rest.
    A cam without segments answers zeros.
    """
    if cam.segment_count <= 0:
        return 0.0, 0.0, 0.0, 0.0
    start = segments[cam.first_segment].master_start
    u = wrap_master(segments, cam, master)
    held = cam.periodic == 0 and not (start <= u <= start + cam.length)
    if held:
        u = start if u < start else start + cam.length
    p, d1, d2, d3 = evaluate_segment(segments[find_segment(segments, cam, u)], u)
    if held:
        return p, 0.0, 0.0, 0.0
    return p, d1, d2, d3


@njit(cache=True, nogil=True, error_model="numpy")
def sample_cam(segments: Records, cam: Record, master: Array, out: Array) -> None:
    """Fill `out` (n, 4) with position and three derivatives at each of `master` (n,)."""
    for i in range(master.shape[0]):
        out[i, 0], out[i, 1], out[i, 2], out[i, 3] = evaluate_cam(segments, cam, master[i])


def _refuse(what: str, index: int, value: float, limit: str, remedy: str) -> ValueError:
    return ValueError(f"cam: {what}[{index}] = {value:g}: {limit}; {remedy}")


def _checked(name: str, values: ArrayLike, shape: tuple[int, ...] | None = None) -> Array:
    array = np.array(values, dtype=np.float64)
    if shape is not None and array.shape != shape:
        raise ValueError(f"cam: {name} has shape {array.shape}: needs {shape}; give one a knot")
    bad = np.flatnonzero(~np.isfinite(array))
    if bad.size:
        value = array.ravel()[bad[0]]
        raise _refuse(name, int(bad[0]), value, "not finite", "give finite numbers")
    array.setflags(write=False)
    return array


def _check_knots(knots: Array) -> None:
    if knots.ndim != 1 or knots.size < 2:
        raise ValueError(f"cam: master has shape {knots.shape}: needs 2 points or more; add points")
    bad = np.flatnonzero(np.diff(knots) <= 0.0)
    if bad.size:
        i = int(bad[0]) + 1
        limit = f"not above master[{i - 1}] = {knots[i - 1]:g}"
        raise _refuse("master", i, knots[i], limit, "put the points in order, each once")


def _check_closed(name: str, values: Array) -> None:
    if abs(values[-1] - values[0]) > 1e-9 * max(1.0, np.ptp(values)):
        limit = f"not {name}[0] = {values[0]:g} of a periodic cam"
        raise _refuse(name, values.size - 1, values[-1], limit, "end where it starts")


@dataclass(frozen=True, eq=False)
class CamTable:
    """A cam: `knots` (n+1,) over the master, `coefficients` (n, 6) ascending in master - knot."""

    knots: Array
    coefficients: Array
    periodic: bool = False

    def __post_init__(self) -> None:
        knots = _checked("master", self.knots)
        _check_knots(knots)
        coefficients = _checked("coefficients", self.coefficients, (knots.size - 1, 6))
        object.__setattr__(self, "knots", knots)
        object.__setattr__(self, "coefficients", coefficients)

    @classmethod
    def constant(cls, position: float, length: float, periodic: bool = False) -> CamTable:
        """A dwell at `position` over `length`."""
        return cls.from_segments([0.0, length], [[position]], periodic)

    @classmethod
    def from_segments(
        cls, knots: ArrayLike, polynomials: Sequence[ArrayLike], periodic: bool = False
    ) -> CamTable:
        """Join polynomials of degree 5 or less, ascending powers of master - knot."""
        coefficients = np.zeros((len(polynomials), 6))
        for row, polynomial in zip(coefficients, polynomials, strict=True):
            values = np.atleast_1d(np.asarray(polynomial, dtype=np.float64))
            if values.size > 6:
                raise ValueError(f"cam: degree {values.size - 1}: above 5; split the segment")
            row[: values.size] = values
        return cls(np.asarray(knots, dtype=np.float64), coefficients, periodic)

    @classmethod
    def from_points(
        cls,
        master: ArrayLike,
        position: ArrayLike,
        velocity: ArrayLike | None = None,
        acceleration: ArrayLike | None = None,
        periodic: bool = False,
    ) -> CamTable:
        """A cam through points (n,): C2 with all derivatives given, C3 without the accelerations,
        C4 from positions alone; derivatives left out start and end at rest unless periodic.
        """
        knots = _checked("master", master)
        _check_knots(knots)
        if velocity is None and acceleration is not None:
            raise ValueError("cam: acceleration without velocity: give velocity too")
        states = np.full((knots.size, 3), np.nan)
        given = [v for v in (position, velocity, acceleration) if v is not None]
        for column, values in enumerate(given):
            name = ("position", "velocity", "acceleration")[column]
            states[:, column] = _checked(name, values, knots.shape)
            if periodic:
                _check_closed(name, states[:, column])
        orders = (3, 4)[: 3 - len(given)]
        if orders and not periodic:
            states[[0, -1]] = np.where(np.isnan(states[[0, -1]]), 0.0, states[[0, -1]])
        if orders:
            states = complete(knots, states, orders, periodic)
        return cls(knots, hermite(knots, states), periodic)

    @classmethod
    def from_law(
        cls,
        law: CamLaw,
        length: float = 1.0,
        start_position: float = 0.0,
        end_position: float = 1.0,
        master_start: float = 0.0,
    ) -> CamTable:
        """One rise or return after a law; C3 inside, as smooth at the ends as the law itself."""
        knots, coefficients = law.quintics()
        unit = cls(knots, coefficients).scaled(end_position - start_position, length)
        return unit.offset(start_position).phased(master_start)

    @classmethod
    def blend(cls, start: Sequence[float], end: Sequence[float], length: float) -> CamTable:
        """Join two states over `length`: (position, velocity, acceleration) by a quintic, with the
        jerk too by a septic, which the table follows C3 with the exact states at both ends.

        Rest to rest and velocity to velocity (VDI 2143 R-R, G-G) are cases of it.
        """
        states = _checked("start", start), _checked("end", end)
        if not (length > 0.0 and isfinite(length)):
            raise ValueError(f"cam: blend length = {length:g}: must be finite and above 0")
        coefficients = blend_polynomial(*states, length)
        if coefficients.size == 6:
            return cls(np.array([0.0, length]), coefficients[None])
        knots = np.linspace(0.0, length, 9)
        septic = np.polynomial.Polynomial(coefficients)
        exact = np.stack([septic.deriv(k)(knots) if k else septic(knots) for k in range(4)], axis=1)
        exact[0], exact[-1] = states
        return cls(knots, through(knots, exact))

    @classmethod
    def from_phases(
        cls,
        durations: ArrayLike,
        jerks: ArrayLike,
        start: tuple[float, float, float] = (0.0, 0.0, 0.0),
        master_start: float = 0.0,
    ) -> CamTable:
        """The exact cam of a profile of constant-jerk phases from (position, velocity,
        acceleration); phases of zero duration are dropped.
        """
        times, rates = _checked("durations", durations), _checked("jerks", jerks)
        if times.shape != rates.shape or (times < 0.0).any() or not (times > 0.0).any():
            raise ValueError(f"cam: phases {times} with jerks {rates}: one jerk a duration >= 0")
        knots, rows, (p, v, a) = [master_start], [], start
        for t, j in zip(times[times > 0.0], rates[times > 0.0], strict=True):
            rows.append([p, v, a / 2.0, j / 6.0])
            p, v, a = (
                p + t * (v + t * (a / 2.0 + t * j / 6.0)),
                v + t * (a + t * j / 2.0),
                a + t * j,
            )
            knots.append(knots[-1] + t)
        return cls.from_segments(knots, rows)

    @property
    def start(self) -> float:
        """Master at the first knot."""
        return float(self.knots[0])

    @property
    def end(self) -> float:
        """Master at the last knot."""
        return float(self.knots[-1])

    @property
    def length(self) -> float:
        """Master range of the cam, one period of a periodic one."""
        return self.end - self.start

    def sample(self, master: ArrayLike) -> Array:
        """Position and three derivatives (n, 4) at `master` (n,), by the cyclic kernel."""
        points = np.atleast_1d(np.asarray(master, dtype=np.float64))
        cams, segments = pack([self])
        out = np.empty((points.size, 4))
        sample_cam(segments, cams[0], points, out)
        return out

    def edges(self) -> tuple[Array, Array]:
        """Position and five derivatives at each segment's start and at its end, each (n, 6)."""
        return derivatives(self.coefficients, 0.0), derivatives(
            self.coefficients, np.diff(self.knots)
        )

    def jumps(self) -> Array:
        """Largest jump at a joint of position and derivatives one to five (6,); a periodic cam's
        wrap counts as a joint.
        """
        starts, ends = self.edges()
        steps = np.abs(starts[1:] - ends[:-1])
        if self.periodic:
            steps = np.vstack([steps, np.abs(starts[:1] - ends[-1:])])
        return steps.max(axis=0, initial=0.0)

    def continuity(self, tolerance: float = 1e-7) -> int:
        """Highest derivative continuous at every joint, -1 if the position jumps, at most 5.

        A jump below `tolerance` of the largest value of that derivative is rounding.
        """
        inside = [derivatives(self.coefficients, k / 8.0 * np.diff(self.knots)) for k in range(9)]
        scale = np.abs(inside).max(axis=(0, 1))
        # a derivative that is zero but for rounding is measured against the one below it
        least = np.concatenate([[1e-12], scale[:-1] / self.length * 1e-6])
        broken = np.flatnonzero(self.jumps() > tolerance * np.maximum(scale, least))
        return int(broken[0]) - 1 if broken.size else 5

    def scaled(self, position_scale: float = 1.0, master_scale: float = 1.0) -> CamTable:
        """The cam with its positions and its master multiplied (PLCopen SlaveScaling,
        MasterScaling); `master_scale` must be above zero.
        """
        if not (np.isfinite(position_scale) and 0.0 < master_scale < np.inf):
            raise ValueError(
                f"cam: scale {position_scale:g}, {master_scale:g}: master_scale must be above 0"
            )
        factors = position_scale / master_scale ** np.arange(6.0)
        return replace(
            self, knots=self.knots * master_scale, coefficients=self.coefficients * factors
        )

    def offset(self, position: float) -> CamTable:
        """The cam with `position` added (PLCopen SlaveOffset)."""
        return replace(self, coefficients=self.coefficients + position * (np.arange(6) == 0))

    def phased(self, shift: float) -> CamTable:
        """The cam `shift` of master later; a periodic one keeps its range and is cut anew."""
        if not self.periodic:
            return replace(self, knots=self.knots + shift)
        cut = self.start + (-shift) % self.length
        nearest = float(self.knots[np.abs(self.knots - cut).argmin()])
        if abs(nearest - cut) < _LEAST_LENGTH * self.length:
            cut = nearest
        if not self.start < cut < self.end:
            return self
        split = self.divided([cut])
        first = int(np.searchsorted(split.knots, cut))
        late, early = split.knots[first:-1] - (cut - self.start), split.knots[:first]
        knots = np.concatenate([late, early + (self.end - cut), [self.end]])
        return CamTable(knots, np.roll(split.coefficients, -first, axis=0), True)

    def divided(self, masters: ArrayLike) -> CamTable:
        """The same curve with further knots at `masters`; those outside or on a knot are left
        out.
        """
        extra = np.unique(np.asarray(masters, dtype=np.float64))
        distance = np.abs(np.subtract.outer(extra, self.knots)).min(axis=1)
        apart = distance >= _LEAST_LENGTH * self.length
        knots = np.union1d(self.knots, extra[apart & (extra > self.start) & (extra < self.end)])
        rows = np.searchsorted(self.knots, knots[:-1], side="right") - 1
        return replace(
            self,
            knots=knots,
            coefficients=shifted(self.coefficients[rows], knots[:-1] - self.knots[rows]),
        )

    def then(self, following: CamTable, tolerance: float = 1e-9) -> CamTable:
        """This cam and, from its end on, `following`, wherever that one starts; the positions
        must meet.
        """
        here = derivatives(self.coefficients[-1:], self.length_of(-1))[0, 0]
        gap = float(following.coefficients[0, 0] - here)
        if abs(gap) > tolerance:
            raise ValueError(
                f"cam: join at master {self.end:g}: positions {gap:g} apart, above {tolerance:g}; "
                "offset the second cam"
            )
        knots = np.concatenate([self.knots, self.end + following.knots[1:] - following.start])
        return CamTable(knots, np.vstack([self.coefficients, following.coefficients]))

    def length_of(self, segment: int) -> float:
        """Master range of one segment."""
        return float(np.diff(self.knots)[segment])


def derivatives(coefficients: Array, u: float | Array) -> Array:
    """Position and five derivatives (n, 6) of polynomials (n, 6) at `u` from their starts."""
    factorials = np.array([1.0, 1.0, 2.0, 6.0, 24.0, 120.0])
    return shifted(coefficients, np.broadcast_to(u, coefficients.shape[:1])) * factorials


def shifted(coefficients: Array, u: Array) -> Array:
    """Polynomials (n, 6) re-expanded about `u` (n,) from their starts (Taylor shift)."""
    out = np.array(coefficients, dtype=np.float64)
    for power in range(5):
        for k in range(4, power - 1, -1):
            out[:, k] += u * out[:, k + 1]
    return out


def pack(tables: Sequence[CamTable]) -> tuple[Records, Records]:
    """Pool cams for the cyclic kernels: records (m,) of CAM_DTYPE and (sum n,) of SEGMENT_DTYPE."""
    cams = np.zeros(len(tables), CAM_DTYPE)
    counts = np.array([len(t.coefficients) for t in tables], dtype=np.int64)
    segments = np.zeros(int(counts.sum()), SEGMENT_DTYPE)
    cams["segment_count"] = counts
    cams["first_segment"] = np.cumsum(counts) - counts
    for cam, table in zip(cams, tables, strict=True):
        cam["length"], cam["periodic"] = table.length, table.periodic
        own = slice(cam["first_segment"], cam["first_segment"] + cam["segment_count"])
        segments["master_start"][own] = table.knots[:-1]
        segments["coefficients"][own] = table.coefficients
    return cams, segments
