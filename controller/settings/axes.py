"""Axis settings: limits, load and drive of each kind of axis."""

from collections.abc import Callable
from typing import NamedTuple

from pydantic import ValidationInfo, field_validator
from pydantic_core import PydanticCustomError

from controller.settings.base import Settings, bounded
from drivers.image import AxisKind


class AxisValues(NamedTuple):
    """An axis's numbers under the plan's own names; a rotary axis reads rad for m, N m for N."""

    position_min_m: float
    position_max_m: float
    velocity_max_m_s: float
    acceleration_max_m_s2: float
    jerk_max_m_s3: float
    mass_kg: float
    friction_n: float
    following_error_max_m: float
    in_position_m: float
    home_position_m: float
    move_speed: float
    force_peak_n: float
    force_rms_n: float


class DriveSettings(Settings):
    """What motor and drive are rated for."""

    velocity_max_m_s: float = bounded(1e-3, 20.0)
    force_max_n: float = bounded(0.1, 20e3)


class RotaryDriveSettings(Settings):
    """What motor and drive of a rotary axis are rated for."""

    velocity_max_rad_s: float = bounded(1e-3, 2e3)
    torque_max_n_m: float = bounded(1e-3, 2e3)


Check = Callable[[float, ValidationInfo], float]


def _rated(key: str) -> Check:
    """A check that a value stays within what the drive's `key` allows."""

    def check(value: float, info: ValidationInfo) -> float:
        drive = info.data.get("drive")
        if drive is not None and value > (limit := getattr(drive, key)):
            message = "above the drive's {limit} (motor rating); lower it"
            raise PydanticCustomError("rating", message, {"limit": f"{limit:g}"})
        return value

    return check


def _between(low: str | None, high: str | None, remedy: str) -> Check:
    """A check that a value lies between its neighbours, each where it is itself valid."""

    def check(value: float, info: ValidationInfo) -> float:
        for key, sign, word in ((low, 1, "below"), (high, -1, "above")):
            limit = info.data.get(key) if key else None
            if limit is not None and sign * (value - limit) < 0:
                facts = {"word": word, "key": key, "limit": f"{limit:g}", "remedy": remedy}
                raise PydanticCustomError("order", "{word} {key} = {limit}; {remedy}", facts)
        return value

    return check


def _strong_enough(mass: str, acceleration: str, friction: str) -> Check:
    """A check that a peak force moves its own load at the acceleration that is asked for."""

    def check(value: float, info: ValidationInfo) -> float:
        if not {mass, acceleration, friction} <= info.data.keys():
            return value
        needed = info.data[mass] * info.data[acceleration] + info.data[friction]
        if value < needed:
            message = "below the {needed} that {mass} x {acceleration} + {friction} need; raise it"
            facts = {"mass": mass, "acceleration": acceleration, "friction": friction}
            raise PydanticCustomError("load", message, {"needed": f"{needed:g}", **facts})
        return value

    return check


class _Axis(Settings):
    """What linear and rotary axes have in common."""

    @property
    def values(self) -> AxisValues:
        """The numbers in the plan's order and names."""
        return AxisValues(*list(dict(self).values())[1:])


class AxisSettings(_Axis):
    """A linear axis: its travel, its limits and its load."""

    drive: DriveSettings
    position_min_m: float = bounded(-1e5, 1e5)
    position_max_m: float = bounded(-1e5, 1e5)
    velocity_max_m_s: float = bounded(1e-3, 20.0)
    acceleration_max_m_s2: float = bounded(1e-2, 2e3)
    jerk_max_m_s3: float = bounded(1.0, 1e7)
    mass_kg: float = bounded(1e-3, 500.0)
    friction_n: float = bounded(0.0, 1e3)
    following_error_max_m: float = bounded(1e-6, 0.5)
    in_position_m: float = bounded(1e-7, 0.01)
    home_position_m: float = bounded(-1e5, 1e5)
    move_speed: float = bounded(0.01, 1.0)
    force_peak_n: float = bounded(0.1, 20e3)
    force_rms_n: float = bounded(0.1, 20e3)

    _travel = field_validator("position_max_m")(_between("position_min_m", None, "raise it"))
    _home = field_validator("home_position_m")(
        _between("position_min_m", "position_max_m", "move it inside the travel")
    )
    _velocity = field_validator("velocity_max_m_s")(_rated("velocity_max_m_s"))
    _peak = field_validator("force_peak_n")(_rated("force_max_n"))
    _load = field_validator("force_peak_n")(
        _strong_enough("mass_kg", "acceleration_max_m_s2", "friction_n")
    )
    _rms = field_validator("force_rms_n")(_between(None, "force_peak_n", "lower it"))


class RotaryAxisSettings(_Axis):
    """A rotary axis: its travel, its limits and its load."""

    drive: RotaryDriveSettings
    position_min_rad: float = bounded(-1e6, 1e6)
    position_max_rad: float = bounded(-1e6, 1e6)
    velocity_max_rad_s: float = bounded(1e-3, 2e3)
    acceleration_max_rad_s2: float = bounded(1e-2, 1e5)
    jerk_max_rad_s3: float = bounded(1.0, 1e8)
    inertia_kg_m2: float = bounded(1e-7, 50.0)
    friction_n_m: float = bounded(0.0, 100.0)
    following_error_max_rad: float = bounded(1e-6, 10.0)
    in_position_rad: float = bounded(1e-7, 0.1)
    home_position_rad: float = bounded(-1e6, 1e6)
    move_speed: float = bounded(0.01, 1.0)
    torque_peak_n_m: float = bounded(1e-3, 2e3)
    torque_rms_n_m: float = bounded(1e-3, 2e3)

    _travel = field_validator("position_max_rad")(_between("position_min_rad", None, "raise it"))
    _home = field_validator("home_position_rad")(
        _between("position_min_rad", "position_max_rad", "move it inside the travel")
    )
    _velocity = field_validator("velocity_max_rad_s")(_rated("velocity_max_rad_s"))
    _peak = field_validator("torque_peak_n_m")(_rated("torque_max_n_m"))
    _load = field_validator("torque_peak_n_m")(
        _strong_enough("inertia_kg_m2", "acceleration_max_rad_s2", "friction_n_m")
    )
    _rms = field_validator("torque_rms_n_m")(_between(None, "torque_peak_n_m", "lower it"))


class AxesSettings(Settings):
    """One entry a kind of axis, under the kind's own name."""

    table_x: AxisSettings
    table_z: AxisSettings
    finger_in: AxisSettings
    finger_down: AxisSettings
    arm_x: AxisSettings
    arm_z: AxisSettings
    stage_xy: AxisSettings
    stage_theta: RotaryAxisSettings
    feed: AxisSettings
    unwind: RotaryAxisSettings
    dancer: AxisSettings
    edge: AxisSettings
    cut: AxisSettings
    wrap: RotaryAxisSettings
    tape: AxisSettings
    changer: RotaryAxisSettings

    def of_kind(self, kind: AxisKind) -> AxisSettings | RotaryAxisSettings:
        """The settings of one kind of axis."""
        axis: AxisSettings | RotaryAxisSettings = getattr(self, kind.name.lower())
        return axis
