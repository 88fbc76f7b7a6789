"""The picture of an identified mode: the force with and without a load that swings, and its spectrum."""

from pathlib import Path

import matplotlib
import numpy as np

matplotlib.use("Agg")
from matplotlib import pyplot as plt
from matplotlib.axes import Axes

from controller.planning.identify import (
    IdentifiedMode,
    Response,
    apparent_mass,
    carriage_acceleration,
    load_acceleration,
)

_SHOWN_S = 0.6


def mode_response(mode: IdentifiedMode, hertz: np.ndarray) -> np.ndarray:
    """Apparent mass of the table over frequency, kg, as the fitted mode has it."""
    s, omega = 2j * np.pi * hertz, 2.0 * np.pi * mode.frequency_hz
    load = (2.0 * mode.damping * omega * s + omega**2) / (
        s**2 + 2.0 * mode.damping * omega * s + omega**2
    )
    return np.asarray(np.abs(mode.moved_mass_kg + mode.swinging_mass_kg * load))


def draw_mode(response: Response, mode: IdentifiedMode, believed_hz: float, path: Path) -> None:
    """Write a PNG: apparent mass over frequency above, force over time below."""
    figure, (spectrum, course) = plt.subplots(2, 1, figsize=(9.0, 7.0), layout="constrained")
    hertz, mass = apparent_mass(response)
    shown = (hertz > 8.0) & (hertz < 3.0 * mode.frequency_hz)
    spectrum.plot(hertz[shown], mass[shown], ".", color="#35b779", label="measured")
    spectrum.plot(hertz[shown], mode_response(mode, hertz[shown]), color="#31688e", label="fitted")
    spectrum.axvline(mode.frequency_hz, color="#31688e", lw=0.8)
    spectrum.axvline(believed_hz, color="#888888", lw=0.8, ls="--", label="believed before")
    spectrum.set(xlabel="Hz", ylabel="force over acceleration, kg", ylim=(0.0, None))
    spectrum.set_title(
        f"{mode.frequency_hz:.2f} +- {mode.frequency_sigma_hz:.2f} Hz, "
        f"damping {mode.damping:.3f} +- {mode.damping_sigma:.3f}"
    )
    spectrum.legend()
    _draw_course(course, response, mode)
    figure.savefig(path, dpi=110)
    plt.close(figure)


def _draw_course(axes: Axes, response: Response, mode: IdentifiedMode) -> None:
    count = int(_SHOWN_S / response.period_s)
    moving = np.flatnonzero(np.abs(np.diff(response.position_m)) > 1e-4)
    first = max(int(moving[0]) - 20 if moving.size else 0, 0)
    part = slice(first, first + count)
    acceleration = carriage_acceleration(response)
    load = load_acceleration(acceleration, response.period_s, mode.frequency_hz, mode.damping)
    rigid = (mode.moved_mass_kg + mode.swinging_mass_kg) * acceleration
    swing = mode.swinging_mass_kg * (load - acceleration)
    time_ms = 1e3 * response.period_s * np.arange(count)[: rigid[part].size]
    direction = np.sign(np.gradient(response.position_m)) * mode.friction_n
    axes.plot(time_ms, (response.force_n - rigid - direction)[part], color="#35b779", lw=0.8)
    axes.plot(time_ms, swing[part], color="#31688e", lw=1.2)
    axes.legend(["force that a rigid table leaves", "pull of the swinging load, fitted"])
    axes.set(xlabel="ms", ylabel="N")
