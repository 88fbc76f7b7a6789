"""The plant's own fold geometry: the web's shortest path from the fold to the guide rollers.

Seen from the side the fold lies on: u runs outward from between the rollers, z upward from the placing
plane. A lowered sheet's inner edge and a lowered finger push the web down; the path is the lower hull.
"""

from math import sqrt
from typing import Any

from numba import njit

from hal_sim.mathematics import arctangent


@njit(cache=True, nogil=True, error_model="numpy")
def _from_rollers(plant: Any, u: float, z: float) -> tuple[float, float]:
    """Web from between the rollers to a point: (length, rise of its straight part a metre inward).

    With lean the angle from the vertical: |u| = r (1 - cos) + s sin and drop = r sin + s cos, so
    tan(lean / 2) = |u| / (drop + s).
    """
    r = plant.roller_radius_m
    across = abs(u)
    drop = plant.roller_height_m + r - z
    straight = sqrt(max((across - r) * (across - r) + drop * drop - r * r, 1e-12))
    half_tangent = across / (drop + straight)
    length = straight
    if r > 0.0:
        length += 2.0 * r * arctangent(half_tangent)
    square = half_tangent * half_tangent
    rise = (1.0 - square) / max(2.0 * half_tangent, 1e-9)
    return length, rise if u > 0.0 else 1e9


@njit(cache=True, nogil=True, error_model="numpy")
def free_length(
    plant: Any, fold_u: float, edge_u: float, edge_z: float, tip_u: float, tip_z: float
) -> tuple[float, bool]:
    """Web from fold to rollers: (length, whether it touches the sheet's edge), in metres.

    fold_u: the fold at z 0; edge: inner edge of the sheet coming down on this side; tip: a finger
    pressing the other edge of the stack. A point outside 0 < u < fold_u does not act, nor does a finger
    that stands further out than the sheet's edge.
    """
    whole, rise = _from_rollers(plant, fold_u, 0.0)
    edge_acts = 0.0 < edge_u < fold_u and edge_z < plant.roller_height_m
    tip_acts = 0.0 < tip_u < fold_u and tip_z < plant.roller_height_m
    if edge_acts and tip_acts:
        tip_acts = tip_u < edge_u
        if tip_acts:
            edge_acts = edge_z * (fold_u - tip_u) < tip_z * (fold_u - edge_u)
    start_u, start_z, before, touches = fold_u, 0.0, 0.0, False
    if edge_acts and edge_z < rise * (fold_u - edge_u):
        before = sqrt((fold_u - edge_u) * (fold_u - edge_u) + edge_z * edge_z)
        start_u, start_z, touches = edge_u, edge_z, True
        whole, rise = _from_rollers(plant, edge_u, edge_z)
    if tip_acts and tip_u < start_u and tip_z < start_z + rise * (start_u - tip_u):
        run, fall = start_u - tip_u, start_z - tip_z
        before += sqrt(run * run + fall * fall)
        whole, _ = _from_rollers(plant, tip_u, tip_z)
    return before + whole, touches
