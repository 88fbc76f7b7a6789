"""How the dancer's force learns what repeats every fold: the filter from tension error to correction.

Tension answers the dancer's force as 2 K / (m s2 + b s + k + 4 K), K the free span's stiffness, behind
the drive's period and the load cell's lag. The correction is that answer's inverse, a short filter since
it is a polynomial, under a zero-phase low-pass and a gain. Learning contracts where
|1 - forgetting| |1 - filter answer| < 1 at every frequency (Bristow, Tharayil and Alleyne, 2006).
"""

import numpy as np
from numpy.typing import NDArray

from controller.planning.timeline import PlanRefused
from controller.settings.machine import WebSettings
from controller.settings.recipe import RecipeSettings
from controller.shared.learned import LEARNED_BINS
from controller.shared.plan import LEARNING_AFTER, LEARNING_TAPS

# What the web may be: EA against the recipe's, and tension's own delay beyond the known, in periods.
STIFFNESS_SHARES = (0.55, 0.75, 1.0, 1.3, 1.67)
DELAYS = (-0.5, 0.0, 0.5)
_SIZE = 1024

Response = NDArray[np.complex128]


def learning_bin_s(section_s: float, period_s: float) -> float:
    """Width of a table's bins: whole periods, as few as let the section fit."""
    periods = int(np.ceil((section_s / period_s + 1.0) / LEARNED_BINS))
    return max(periods, 1) * period_s


def tension_response(
    web: WebSettings, stiffness_n_m: float, bin_s: float, delay_s: float
) -> Response:
    """Measured tension over the dancer's force, at _SIZE / 2 + 1 frequencies up to half a bin's rate."""
    s = 2j * np.pi * np.fft.rfftfreq(_SIZE, bin_s)
    dancer = web.dancer.mass_kg * s * s + web.dancer.damping_n_s_m * s + web.dancer.stiffness_n_m
    lag = np.exp(-s * delay_s) / (1.0 + s * web.load_cell_lag_s)
    answer: Response = 2.0 * stiffness_n_m / (dancer + 4.0 * stiffness_n_m) * lag
    return answer


def learning_filter(
    web: WebSettings, recipe: RecipeSettings, bin_s: float, period_s: float
) -> NDArray[np.float64]:
    """The filter's taps, (LEARNING_TAPS,) in N a N: what the force at a bin gains from the errors
    LEARNING_TAPS - LEARNING_AFTER bins before it to LEARNING_AFTER after. PlanRefused where it could
    grow an error instead.
    """
    stiffness = recipe.web_stiffness_n / web.free_span_m
    answer = tension_response(web, stiffness, bin_s, period_s)
    frequency = np.fft.rfftfreq(_SIZE, bin_s)
    low_pass = 0.5 ** np.square(frequency / web.learning.bandwidth_hz)
    impulse = np.fft.irfft(np.conj(web.learning.gain * low_pass / answer))
    places = np.arange(LEARNING_TAPS) - (LEARNING_TAPS - 1 - LEARNING_AFTER)
    taps = impulse[places] * np.hanning(LEARNING_TAPS + 2)[1:-1] ** 0.25
    worst = contraction(web, recipe, taps, bin_s, period_s)
    if web.learning.gain != 0.0 and worst >= 1.0:
        raise PlanRefused(
            f"web.learning: gain = {web.learning.gain:g} with bandwidth_hz = "
            f"{web.learning.bandwidth_hz:g}: an error may grow {worst:.2f} times a fold; lower them"
        )
    return taps


def contraction(
    web: WebSettings,
    recipe: RecipeSettings,
    taps: NDArray[np.float64],
    bin_s: float,
    period_s: float,
) -> float:
    """The most that a repeating error keeps from one fold to the next, over all frequencies and every
    web in STIFFNESS_SHARES and DELAYS; below 1 learning converges.
    """
    frequency = np.fft.rfftfreq(_SIZE, bin_s)
    places = np.arange(LEARNING_TAPS) - (LEARNING_TAPS - 1 - LEARNING_AFTER)
    filtered = np.exp(2j * np.pi * np.outer(frequency, places) * bin_s) @ taps
    worst = 0.0
    for share in STIFFNESS_SHARES:
        stiffness = share * recipe.web_stiffness_n / web.free_span_m
        for delay in DELAYS:
            answer = tension_response(web, stiffness, bin_s, period_s * (1.0 + delay))
            worst = max(
                worst, float(np.abs(1.0 - web.learning.forgetting - filtered * answer).max())
            )
    return worst
