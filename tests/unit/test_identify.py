"""The mode's fit, on responses made here: what it finds, how well it says it knows it, what it refuses."""

import numpy as np
import pytest
from scipy import signal

from controller.planning.identify import NotIdentified, Response, identify, load_acceleration

PERIOD_S = 1e-3
FINE = 10
CARRIAGE_KG, LOAD_KG, FRICTION_N = 13.0, 2.0, 15.0
PLACES_M = (0.06, -0.05, 0.03, -0.02, 0.05, 0.02, -0.06, 0.01, -0.03, 0.055)
BELIEVED_HZ = 45.0


def _motion() -> tuple[np.ndarray, np.ndarray]:
    """Position and acceleration at a tenth of the period: smooth moves with rests between them."""
    step = PERIOD_S / FINE
    rate, at = [], 0.0
    for place in PLACES_M:
        length = int((0.12 + 0.6 * abs(place - at)) / step)
        bell = signal.windows.hann(length + 1)
        rate += [(place - at) * bell / (bell.sum() * step), np.zeros(int(0.15 / step))]
        at = place
    velocity = np.concatenate(rate)
    return np.cumsum(velocity) * step, np.gradient(velocity, step)


def _response(
    hertz: float, damping: float, noise_m: float = 1e-7, load_kg: float = LOAD_KG, seed: int = 1
) -> Response:
    """Force of a table whose load swings, integrated exactly at a tenth of the period."""
    position, acceleration = _motion()
    omega = 2.0 * np.pi * hertz
    mode = signal.lti([2.0 * damping * omega, omega**2], [1.0, 2.0 * damping * omega, omega**2])
    times = np.arange(position.size) * PERIOD_S / FINE
    load = signal.lsim(mode, acceleration, times)[1]
    velocity = np.gradient(position, PERIOD_S / FINE)
    force = CARRIAGE_KG * acceleration + load_kg * load + FRICTION_N * np.sign(velocity)
    draw = np.random.default_rng(seed)
    noise = draw.normal(0.0, noise_m, position[::FINE].size)
    return Response(PERIOD_S, position[::FINE] + noise, force[::FINE])


@pytest.mark.parametrize("hertz", [38.0, 40.5, 45.0, 49.5, 54.0])
@pytest.mark.parametrize("damping", [0.01, 0.03, 0.06])
def test_frequency_and_damping_are_found(hertz: float, damping: float) -> None:
    mode = identify(_response(hertz, damping), BELIEVED_HZ)
    assert mode.frequency_hz == pytest.approx(hertz, rel=0.005)
    assert mode.damping == pytest.approx(damping, abs=0.006)
    assert mode.swinging_mass_kg == pytest.approx(LOAD_KG, rel=0.1)
    assert mode.friction_n == pytest.approx(FRICTION_N, abs=1.5)


def test_what_it_says_of_itself_covers_its_error() -> None:
    """The tolerance handed to the planner holds in every draw of the noise."""
    for seed in range(12):
        mode = identify(_response(44.0, 0.03, noise_m=4e-7, seed=seed), BELIEVED_HZ)
        assert abs(mode.frequency_hz / 44.0 - 1.0) < mode.tolerance


def test_more_noise_is_less_certain() -> None:
    sigmas = [
        identify(_response(44.0, 0.03, noise_m=noise), BELIEVED_HZ).frequency_sigma_hz
        for noise in (1e-8, 5e-7)
    ]
    assert sigmas[0] < sigmas[1]


def test_a_delayed_force_is_no_other_frequency() -> None:
    response = _response(47.0, 0.03)
    late = Response(PERIOD_S, response.position_m, np.roll(response.force_n, 2))
    mode = identify(late, BELIEVED_HZ)
    assert mode.delay_s == pytest.approx(2e-3, abs=2e-4)
    assert mode.frequency_hz == pytest.approx(47.0, rel=0.01)


def test_a_rigid_table_has_no_mode() -> None:
    with pytest.raises(NotIdentified, match=r"no mode|is known to"):
        identify(_response(45.0, 0.03, load_kg=0.0), BELIEVED_HZ)


def test_a_table_that_stands_tells_nothing() -> None:
    still = Response(PERIOD_S, np.zeros(3000), np.zeros(3000))
    with pytest.raises(NotIdentified, match="let the table move"):
        identify(still, BELIEVED_HZ)


def test_the_filter_is_exact_at_the_modes_frequency() -> None:
    hertz, damping = 45.0, 0.03
    times = np.arange(4000) * PERIOD_S
    wave = np.sin(2.0 * np.pi * hertz * times)
    settled = load_acceleration(wave, PERIOD_S, hertz, damping)[2000:]
    expected = np.sqrt(1.0 + 4.0 * damping**2) / (2.0 * damping)
    assert np.abs(settled).max() == pytest.approx(expected, rel=0.01)
