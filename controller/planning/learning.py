"""How a force learns what repeats every fold: the filter from an error to its correction.

Tension answers the dancer's force as 2 K / (m s2 + b s + k + 4 K), K the free span's stiffness, behind
the drive's period and the load cell's lag; a table follows its motor's force as 1 / (m (s + w)2), w its
drive's bandwidth. The correction is that answer's inverse, a short filter since
it is a polynomial, under a zero-phase low-pass and a gain. Learning contracts where
|1 - forgetting| |1 - filter answer| < 1 at every frequency (Bristow, Tharayil and Alleyne, 2006).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from controller.planning.timeline import PlanRefused
from controller.settings.machine import LearningSettings, StationSettings
from controller.settings.recipe import RecipeSettings
from controller.shared.learned import LEARNED_BINS
from controller.shared.plan import LEARNING_AFTER, LEARNING_TAPS

# What may be: EA against the recipe's, the drive's bandwidth against its data sheet's, and a delay beyond
# the known, in periods.
STIFFNESS_SHARES = (0.55, 0.75, 1.0, 1.3, 1.67)
BANDWIDTH_SHARES = (0.8, 0.9, 1.0, 1.1, 1.25)
DELAYS = (-0.5, 0.0, 0.5)
_SIZE = 1024
_PLACES = np.arange(LEARNING_TAPS) - (LEARNING_TAPS - 1 - LEARNING_AFTER)

Response = NDArray[np.complex128]


def learning_bin_s(section_s: float, period_s: float) -> float:
    """Width of a table's bins: whole periods, as few as let the section fit."""
    periods = int(np.ceil((section_s / period_s + 1.0) / LEARNED_BINS))
    return max(periods, 1) * period_s


@dataclass(frozen=True)
class Answers:
    """How an error answers a force, at _SIZE / 2 + 1 frequencies up to half a bin's rate."""

    place: str  # of its settings
    settings: LearningSettings
    believed: Response
    possible: tuple[Response, ...]


def tension_answers(
    station: StationSettings, recipe: RecipeSettings, bin_s: float, period_s: float
) -> Answers:
    """Measured tension over the dancer's force, N a N."""
    web, s = station.web, _frequencies(bin_s)

    def answer(share: float, delay: float) -> Response:
        stiffness = share * recipe.web_stiffness_n / web.free_span_m
        dancer = (
            web.dancer.mass_kg * s * s + web.dancer.damping_n_s_m * s + web.dancer.stiffness_n_m
        )
        lag = np.exp(-s * period_s * (1.0 + delay)) / (1.0 + s * web.load_cell_lag_s)
        return np.asarray(2.0 * stiffness / (dancer + 4.0 * stiffness) * lag)

    possible = tuple(answer(share, delay) for share in STIFFNESS_SHARES for delay in DELAYS)
    return Answers("web.learning", web.learning, answer(1.0, 0.0), possible)


def table_answers(
    station: StationSettings, recipe: RecipeSettings, bin_s: float, period_s: float
) -> Answers:
    """Table X's following error over its motor's force, m a N."""
    table, s = station.table, _frequencies(bin_s)
    mass_kg = station.axes.table_x.values.mass_kg

    def answer(share: float, delay: float, mass_kg: float) -> Response:
        omega = 2.0 * np.pi * share * table.drive_bandwidth_hz
        return np.asarray(np.exp(-s * period_s * (1.0 + delay)) / (mass_kg * (s + omega) ** 2))

    masses = (mass_kg, mass_kg + recipe.stack_mass_kg)
    possible = tuple(
        answer(share, delay, mass)
        for share in BANDWIDTH_SHARES
        for delay in DELAYS
        for mass in masses
    )
    return Answers("table.learning", table.learning, answer(1.0, 0.0, 0.5 * sum(masses)), possible)


def _frequencies(bin_s: float) -> Response:
    return np.asarray(2j * np.pi * np.fft.rfftfreq(_SIZE, bin_s))


def learning_filter(answers: Answers, bin_s: float) -> NDArray[np.float64]:
    """The filter's taps, (LEARNING_TAPS,) in N an error: what the force at a bin gains from the errors
    LEARNING_TAPS - LEARNING_AFTER bins before it to LEARNING_AFTER after. PlanRefused where it could
    grow an error instead.
    """
    settings = answers.settings
    low_pass = 0.5 ** np.square(np.fft.rfftfreq(_SIZE, bin_s) / settings.bandwidth_hz)
    impulse = np.fft.irfft(np.conj(settings.gain * low_pass / answers.believed))
    taps = impulse[_PLACES] * np.hanning(LEARNING_TAPS + 2)[1:-1] ** 0.25
    worst = contraction(answers, taps, bin_s)
    if settings.gain != 0.0 and worst >= 1.0:
        raise PlanRefused(
            f"{answers.place}: gain = {settings.gain:g} with bandwidth_hz = "
            f"{settings.bandwidth_hz:g}: an error may grow {worst:.2f} times a fold; lower them"
        )
    return taps


def contraction(answers: Answers, taps: NDArray[np.float64], bin_s: float) -> float:
    """The most that a repeating error keeps from one fold to the next, over all frequencies and every
    possible answer; below 1 learning converges.
    """
    filtered = np.exp(np.outer(_frequencies(bin_s), _PLACES) * bin_s) @ taps
    kept = 1.0 - answers.settings.forgetting
    return max(float(np.abs(kept - filtered * answer).max()) for answer in answers.possible)
