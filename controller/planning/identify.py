"""The table's mode, fitted from what its drive reports while the empty table moves.

The encoder sits on the carriage; the load that swings behind it pulls at it, and the motor's force shows
the pull. With the carriage's acceleration a measured, the load's acceleration is a filtered by the mode,

    y'' = (2 z w s + w^2) / (s^2 + 2 z w s + w^2) a

and the force is m a + n y'' + friction. Mode and the force's delay are searched for, the masses and the
friction follow by linear regression (separable least squares; Golub and Pereyra, 1973). Only samples in
which the table slides count: standing, its friction hides the load.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import optimize, signal

Array = NDArray[np.float64]

SMOOTHING = signal.windows.hann(9, sym=True)[1:-1]
SLIDES_M_S = 0.01
EDGE_SAMPLES = 6
UNKNOWN_S = 0.3  # at the start: the load may have been swinging before
BLOCKS = 5
SAMPLES_MIN = 400
GRID = np.linspace(0.6, 1.5, 31)
DELAYS_S = (0.0, 1e-3, 2e-3, 3e-3)
DELAY_S_MAX = 0.005
# What a frequency may be off by and still be worth planning with.
TOLERANCE_MAX = 0.03
TOLERANCE_MIN = 0.005
GAIN_MIN = 0.2


class NotIdentified(ValueError):
    """The measurement does not show a mode well enough: says what was seen and what to do."""


@dataclass(frozen=True)
class Response:
    """Samples at equal intervals: carriage position and motor force."""

    period_s: float
    position_m: Array
    force_n: Array


@dataclass(frozen=True)
class IdentifiedMode:
    """A mode and how well it is known: one standard deviation each."""

    frequency_hz: float
    frequency_sigma_hz: float
    damping: float
    damping_sigma: float
    moved_mass_kg: float  # carriage alone
    swinging_mass_kg: float
    friction_n: float
    delay_s: float
    explained: float  # share of what a rigid table leaves unexplained

    @property
    def tolerance(self) -> float:
        """Share of the frequency that a planner should be ready for: three sigma, at least 0.5 %."""
        return max(TOLERANCE_MIN, 3.0 * self.frequency_sigma_hz / self.frequency_hz)


@dataclass(frozen=True)
class _Signals:
    """What the regression works on; `used` marks the samples in which the table slides."""

    period_s: float
    acceleration: Array
    direction: Array
    force: Array
    used: NDArray[np.bool_]


def _smooth(values: Array) -> Array:
    return np.convolve(values, SMOOTHING / SMOOTHING.sum(), mode="same")


def carriage_acceleration(response: Response) -> Array:
    """The carriage's acceleration by second differences, m/s2, in step with the samples."""
    x, acceleration = response.position_m, np.zeros_like(response.position_m)
    acceleration[1:-1] = (x[2:] - 2.0 * x[1:-1] + x[:-2]) / response.period_s**2
    return acceleration


def _signals(response: Response) -> _Signals:
    x, period = response.position_m, response.period_s
    velocity = _smooth(np.gradient(x, period))
    acceleration = carriage_acceleration(response)
    sliding = np.abs(velocity) > SLIDES_M_S
    used = np.convolve(~sliding, np.ones(2 * EDGE_SAMPLES + 1), mode="same") < 0.5
    used[: int(UNKNOWN_S / period)] = False
    return _Signals(period, acceleration, np.sign(velocity), response.force_n, used)


def load_acceleration(acceleration: Array, period_s: float, hertz: float, damping: float) -> Array:
    """The load's acceleration behind the mode, by a bilinear filter that is exact at its frequency."""
    omega = 2.0 * np.pi * hertz
    rate = omega / np.tan(0.5 * omega * period_s)
    b, a = signal.bilinear(
        [2.0 * damping * omega, omega * omega],
        [1.0, 2.0 * damping * omega, omega * omega],
        fs=0.5 * rate,
    )
    return np.asarray(signal.lfilter(b, a, acceleration))


def _regressors(signals: _Signals, hertz: float, damping: float) -> Array:
    load = load_acceleration(signals.acceleration, signals.period_s, hertz, damping)
    columns = (signals.acceleration, load, signals.direction, np.ones_like(load))
    return np.column_stack([_smooth(column) for column in columns])[signals.used]


def _measured(signals: _Signals, delay_s: float) -> Array:
    places = np.arange(signals.force.size)
    shifted = np.interp(places + delay_s / signals.period_s, places, signals.force)
    return _smooth(shifted)[signals.used]


def _fit(signals: _Signals, parameters: Array) -> tuple[Array, Array]:
    """Residual and coefficients for (frequency, damping, delay)."""
    hertz, damping, delay_s = parameters
    force, table = _measured(signals, delay_s), _regressors(signals, hertz, damping)
    coefficients = np.linalg.lstsq(table, force, rcond=None)[0]
    return np.asarray(force - table @ coefficients), np.asarray(coefficients)


def _rigid_residual(signals: _Signals) -> Array:
    force, table = _measured(signals, 0.0), _regressors(signals, 1.0, 0.5)
    rigid = table[:, (0, 2, 3)]
    return np.asarray(force - rigid @ np.linalg.lstsq(rigid, force, rcond=None)[0])


def _search(signals: _Signals, start: Array) -> Array:
    scale = np.array([start[0], 0.05, 1e-3])
    found = optimize.least_squares(
        lambda p: _fit(signals, p)[0],
        start,
        x_scale=scale,
        bounds=([0.5 * start[0], 1e-4, -DELAY_S_MAX], [2.0 * start[0], 0.5, DELAY_S_MAX]),
    )
    return np.asarray(found.x)


def _blocks(signals: _Signals) -> list[_Signals]:
    """The record with all but one of its parts counted, part by part."""
    places = np.flatnonzero(signals.used)
    without = []
    for part in np.array_split(places, BLOCKS):
        used = signals.used.copy()
        used[part] = False
        without.append(
            _Signals(signals.period_s, signals.acceleration, signals.direction, signals.force, used)
        )
    return without


def identify(response: Response, believed_hz: float) -> IdentifiedMode:
    """Fit the mode to a measurement; NotIdentified where it is not seen well enough.

    The spread comes from leaving out a part of the record at a time (jackknife).
    """
    signals = _signals(response)
    if int(signals.used.sum()) < SAMPLES_MIN:
        raise NotIdentified(
            f"{int(signals.used.sum())} samples of a moving table: fewer than {SAMPLES_MIN}; "
            "let the table move"
        )
    starts = [np.array([s * believed_hz, 0.03, delay]) for s in GRID for delay in DELAYS_S]
    costs = [float((_fit(signals, start)[0] ** 2).sum()) for start in starts]
    best = _search(signals, starts[int(np.argmin(costs))])
    residual, coefficients = _fit(signals, best)
    spread = np.array([_search(part, best) for part in _blocks(signals)])
    sigma = np.sqrt((BLOCKS - 1) / BLOCKS * ((spread - spread.mean(axis=0)) ** 2).sum(axis=0))
    explained = 1.0 - float((residual**2).sum() / (_rigid_residual(signals) ** 2).sum())
    mode = IdentifiedMode(
        frequency_hz=float(best[0]),
        frequency_sigma_hz=float(sigma[0]),
        damping=float(best[1]),
        damping_sigma=float(sigma[1]),
        moved_mass_kg=float(coefficients[0]),
        swinging_mass_kg=float(coefficients[1]),
        friction_n=float(coefficients[2]),
        delay_s=float(best[2]),
        explained=explained,
    )
    _check(mode, believed_hz)
    return mode


def _check(mode: IdentifiedMode, believed_hz: float) -> None:
    if mode.explained < GAIN_MIN or mode.swinging_mass_kg <= 0.0:
        raise NotIdentified(
            f"no mode near {believed_hz:g} Hz: a load that swings explains {mode.explained:.0%} of what "
            f"a rigid table leaves, less than {GAIN_MIN:.0%}; check the table's mounting or the "
            "frequency believed"
        )
    if mode.tolerance > TOLERANCE_MAX:
        raise NotIdentified(
            f"mode at {mode.frequency_hz:.1f} Hz is known to {mode.tolerance:.1%} only, above "
            f"{TOLERANCE_MAX:.0%}; measure again, with faster moves"
        )


def apparent_mass(response: Response) -> tuple[Array, Array]:
    """Frequencies and |force over acceleration| as measured, kg: for the picture."""
    signals = _signals(response)
    length = min(1024, signals.force.size)
    rate = 1.0 / signals.period_s
    sliding_force = signals.force * signals.used
    acceleration = signals.acceleration * signals.used
    hertz, cross = signal.csd(acceleration, sliding_force, fs=rate, nperseg=length)
    _, power = signal.welch(acceleration, fs=rate, nperseg=length)
    return np.asarray(hertz), np.asarray(np.abs(cross) / np.maximum(power, 1e-30))
