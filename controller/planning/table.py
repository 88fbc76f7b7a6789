"""The table's two moves: the fastest at full speed, and one whose load stays quiet at any lower speed."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from controller.planning.profiles import limits_of
from controller.planning.timeline import (
    PlanRefused,
    Timeline,
    placement_window,
    table_frequencies,
    table_rest,
)
from controller.settings.machine import StationSettings
from controller.settings.recipe import RecipeSettings
from motion.cam_table import CamTable
from motion.optimise import optimise_move, optimise_within
from motion.optimise_problem import (
    Checkpoint,
    ForceLimits,
    ModeBand,
    MoveProblem,
    PlacementWindow,
)

Progress = Callable[[float, str], None]
# Of the 1 mm/s that a placed load may have, and the 10 um: the rest is the drive's.
RESIDUAL_M_S = 0.45e-3
TABLE_SEGMENTS = 120
# Coarse pieces leave little to shake modes beyond the designed band with.
SLOW_SEGMENTS = 60
SLOW_BAND = 5.0  # times the highest frequency: quiet by design down to a fifth of full speed
SLOW_SPEEDS = (0.95, 0.92, 0.9, 0.85, 0.8, 0.7, 0.6, 0.5)


def residual_amplitude(station: StationSettings) -> float:
    """Amplitude the load may swing with at its placement, metres."""
    return RESIDUAL_M_S / (2.0 * np.pi * station.table_mode.frequency_hz)


def swing_decay(station: StationSettings, period_s: float) -> float:
    """What is left of a swing after a period, at the lowest frequency to be ready for."""
    lowest_hz = float(table_frequencies(station)[0])
    return float(np.exp(-2.0 * np.pi * lowest_hz * station.table_mode.damping * period_s))


def table_move(
    station: StationSettings, recipe: RecipeSettings, progress: Progress | None = None
) -> CamTable:
    """The table's optimised move over its stroke: limits, forces, a quiet load at the end, and the
    load within its window while an arm is low. The rms force is allowed over the whole half fold.
    """
    problem = _problem(station, recipe, 1.0, 1.0)
    return optimise_move(problem, progress, TABLE_SEGMENTS).cam


def slow_table_move(
    station: StationSettings, recipe: RecipeSettings, table: CamTable, times: Timeline
) -> tuple[CamTable, float]:
    """The table's move below full speed, as long as the fastest in path time, and the speed it is
    made for at the most.

    At a speed s a move leaves a mode of w swinging as it leaves one of w / s at full speed: with every
    mode above the lowest quiet, the load is quiet whatever the speed. That takes a few per cent longer
    than the fastest move, which a lower speed has to spare. It comes no sooner to where the web meets
    the arriving sheet. PlanRefused where half speed is too fast.
    """
    meets_s = times.web_meets_s - times.table_start_s
    gone_m = float(table.sample([meets_s])[0, 0])
    for speed in SLOW_SPEEDS:
        problem = _problem(station, recipe, speed, SLOW_BAND)
        if gone_m > 0.0:
            problem = replace(problem, checkpoint=Checkpoint(meets_s / speed, gone_m))
        move = optimise_within(problem, table.length / speed, SLOW_SEGMENTS)
        if move is not None:
            return move.cam.scaled(1.0, table.length / move.duration_s), speed
    raise PlanRefused(
        f"table_mode.frequency_hz = {station.table_mode.frequency_hz}: the load swings at every speed "
        f"below full one, down to {SLOW_SPEEDS[-1]:g}; stiffen the table or lower its limits"
    )


def _problem(
    station: StationSettings, recipe: RecipeSettings, speed: float, band: float
) -> MoveProblem:
    """What the move keeps at a speed of the master, quiet up to `band` times the highest mode."""
    axis, mode = station.axes.table_x.values, station.table_mode
    middle, spread = 1.0 - 0.5 * mode.fall, mode.tolerance + 0.5 * mode.fall
    low, high = middle * (1.0 - spread), band * middle * (1.0 + spread)
    window = placement_window(station)
    return MoveProblem(
        station.table.stroke_m,
        limits_of(axis),
        ModeBand(
            frequency_hz=0.5 * mode.frequency_hz * (low + high),
            damping=mode.damping,
            spread=(high - low) / (high + low),
            residual_m=residual_amplitude(station),
        ),
        ForceLimits(
            mass_kg=axis.mass_kg + recipe.stack_mass_kg,
            peak_n=axis.force_peak_n,
            rms_n=axis.force_rms_n,
            friction_n=axis.friction_n,
            rest_s=table_rest(station),
        ),
        window=PlacementWindow(window.width_m, window.lead_s / speed, window.trail_s / speed),
    )
