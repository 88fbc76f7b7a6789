"""Pneumatic press fingers: a valve instead of a servo, one stroke in a time that scatters."""

from typing import Any

from numba import njit

from hal_sim.layout import Control
from hal_sim.noise import Stream, draw_normal

_FINGER = int(Stream.FINGER)
_FIRST = 2
_MOVING_M = 1e-6  # a period
_NEAR_END = 0.05  # of the stroke: so near its end a target switches nothing
_POSITION = int(Control.POSITION)


@njit(cache=True, nogil=True, error_model="numpy")
def move_pneumatic(plant: Any, station: Any, axis: int, step: float) -> None:
    """One step towards the end that the valve is switched to: the way the target last moved.

    Each switching draws the stroke's time.
    """
    row = station.axes[axis]
    stroke = plant.finger_in_m if (axis - _FIRST) % 2 == 0 else plant.finger_down_m
    rise = row.reference_m - row.cubic[0] if row.control == _POSITION else 0.0
    wanted = row.valve
    share = (row.reference_m - plant.axes[axis].home_position_m) / stroke
    if rise > _MOVING_M and share > _NEAR_END:
        wanted = 1
    elif rise < -_MOVING_M and share < 1.0 - _NEAR_END:
        wanted = 0
    if wanted != row.valve or row.stroke_m_s == 0.0:
        row.valve = wanted
        time = plant.pneumatic_s + plant.pneumatic_sigma_s * draw_normal(station.streams, _FINGER)
        row.stroke_m_s = stroke / max(time, 0.2 * plant.pneumatic_s)
    goal = plant.axes[axis].home_position_m + wanted * stroke
    reach = row.stroke_m_s * step
    moved = min(max(goal - row.position_m, -reach), reach)
    row.acceleration_m_s2 = 0.0
    row.velocity_m_s = moved / step
    row.position_m += moved
