"""The table's X axis: motor and carriage, and the load that swings against them.

Two masses: the encoder sits on the first, the load (placement and fold anchor) rides on the mode.
"""

from typing import Any

from numba import njit


@njit(cache=True, nogil=True, error_model="numpy")
def weigh_table(plant: Any, station: Any, axis: Any) -> None:
    """Let the stack's mass act: the moved mass grows and the mode falls a little."""
    axis.mass_kg = plant.axes[0].mass_kg + plant.layer_mass_kg * station.stack_count


@njit(cache=True, nogil=True, error_model="numpy")
def step_table(plant: Any, station: Any, axis: Any, force: float, step: float) -> None:
    """One step under the motor's force; the mode pushes back on the carriage."""
    drive = plant.axes[0]
    layers = station.stack_count / plant.reference_layers
    omega = station.mode_rad_s * (1.0 - plant.mode_fall * layers)
    swinging = plant.mode_mass_kg + plant.layer_mass_kg * station.stack_count
    carriage = axis.mass_kg - swinging
    q, rate = station.deflection_m, station.deflection_m_s
    pull = omega * (omega * q + 2.0 * plant.mode_damping * rate)
    velocity = axis.velocity_m_s + (force + swinging * pull) / carriage * step
    if axis.control == 0:
        velocity -= axis.velocity_m_s * step / 0.02
    grip = drive.friction_n / carriage * step
    if abs(velocity) <= grip:
        velocity = 0.0
    else:
        velocity -= grip if velocity > 0.0 else -grip
    acceleration = (velocity - axis.velocity_m_s) / step
    axis.acceleration_m_s2 = acceleration
    axis.position_m += 0.5 * (velocity + axis.velocity_m_s) * step
    axis.velocity_m_s = velocity
    if axis.position_m > drive.position_max_m or axis.position_m < drive.position_min_m:
        axis.position_m = min(max(axis.position_m, drive.position_min_m), drive.position_max_m)
        axis.velocity_m_s = 0.0
    # rate first, then place: this order neither feeds nor drains a swinging load
    station.deflection_m_s = rate - (pull + acceleration) * step
    station.deflection_m = q + station.deflection_m_s * step
    station.load_m = axis.position_m + station.deflection_m
    station.load_m_s = axis.velocity_m_s + station.deflection_m_s
