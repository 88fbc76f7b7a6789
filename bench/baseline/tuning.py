"""How the baseline is tuned: cams scaled to the limits, and how long to wait for the table to settle."""

from dataclasses import dataclass
from math import pi

import numpy as np

from controller.settings.axes import AxisValues
from controller.settings.machine import StationSettings
from controller.settings.recipe import RecipeSettings
from motion.cam_laws import LAWS, MODIFIED_SINE, CamLaw
from motion.cam_table import CamTable
from motion.optimise_check import residual_vibration

LIFT_M = 0.020  # as high as the arm must go: the reference stroke of the machine's description
STRETCH_MAX, STRETCH_STEPS = 2.2, 61
RESIDUAL_M, RESIDUAL_M_S = 10e-6, 1e-3
RESIDUAL_SHARE = 0.9  # of what is allowed at touch-down: drives and friction need the rest
MODE_TOLERANCE = 0.02  # the mode is measured on the machine when it is commissioned
CONTACT_M = 1e-4
FINGER_BLEND_SHARE = 0.1
FINGER_M_S = 0.5  # a finger that meets the web faster jerks it slack
STANDING_M_S = 0.04  # the web may touch a sheet slower than 0.05 m/s
DELAY_RESERVE_S = 0.003


@dataclass(frozen=True)
class Tuning:
    """The baseline's numbers for a machine.

    table_law: of the table's traverse; table_stretch: of the fastest such cam; settle_s: from the table's
    arrival to the arm's descent; table_delay_s: from the arms' start to the table's, so that the arriving
    arm stands before the web reaches its sheet; finger_blend_s: from fingers in to fingers down, and
    finger_stretch of their way down, which pushes the web; feed_lead_s: how far the feed's cam runs ahead.
    """

    lift_m: float
    table_law: CamLaw
    table_stretch: float
    settle_s: float
    table_delay_s: float
    finger_blend_s: float
    finger_stretch: float
    feed_lead_s: float
    dancer_gain_1_s: float = 4.0
    dancer_integral_1_s2: float = 2.0


def law_factors(axis: AxisValues, law: CamLaw = MODIFIED_SINE) -> tuple[float, float, float]:
    """Seconds a metre, squared seconds a metre and cubed seconds a metre of a law at the limits."""
    c = law.coefficients
    force = (axis.force_peak_n - axis.friction_n) / axis.mass_kg
    return (
        c.velocity / axis.velocity_max_m_s,
        c.acceleration / min(axis.acceleration_max_m_s2, force),
        c.jerk / axis.jerk_max_m_s3,
    )


def move_time(axis: AxisValues, distance_m: float, law: CamLaw = MODIFIED_SINE) -> float:
    """Duration of a law's fastest move over a distance within velocity, acceleration and jerk."""
    a, b, c = law_factors(axis, law)
    return max(a * distance_m, (b * distance_m) ** 0.5, (c * distance_m) ** (1.0 / 3.0))


def tune(station: StationSettings, recipe: RecipeSettings, law: CamLaw = MODIFIED_SINE) -> Tuning:
    """Choose the table's cam time and the dwell that together are shortest, for a law of its cam."""
    axes = station.axes
    lift = min(LIFT_M, station.arm.stroke_m)
    fastest = move_time(axes.table_x.values, station.table.stroke_m, law)
    share = np.linspace(0.0, 1.0, 2001)
    lowered = MODIFIED_SINE.evaluate(share)[:, 0]
    descent = move_time(axes.arm_z.values, lift)
    contact = descent * float(np.interp(1.0 - CONTACT_M / lift, lowered, share))
    choices = []
    for stretch in np.linspace(1.0, STRETCH_MAX, STRETCH_STEPS):
        settle = max(settling_time(station, law, stretch * fastest) - contact, 0.0)
        choices.append((stretch * fastest + settle, float(stretch), settle))
    _, stretch, settle = min(choices)
    drop = move_time(axes.finger_down.values, station.fingers.down_m)
    push = MODIFIED_SINE.coefficients.velocity * station.fingers.down_m / FINGER_M_S
    blend = FINGER_BLEND_SHARE * station.fingers.time_s
    return Tuning(
        lift_m=lift,
        table_law=law,
        table_stretch=stretch,
        settle_s=settle,
        table_delay_s=_table_delay(station, recipe, law, stretch * fastest, lift),
        finger_blend_s=blend,
        finger_stretch=max(station.fingers.time_s - blend, push, drop) / drop,
        feed_lead_s=station.web.feed_lag_s,
    )


def _table_delay(
    station: StationSettings, recipe: RecipeSettings, law: CamLaw, table_s: float, lift_m: float
) -> float:
    """How much later than the arm the table must start.

    The straight web from the fold to the roller meets a sheet's inner edge at the arm's height when the
    fold is further out than the edge by the ratio of the roller's height to what is left above it.
    """
    end, half_pitch = 0.5 * station.table.stroke_m, 0.5 * recipe.fold_pitch_m
    edge = end - 0.5 * recipe.cathode.length_x_m - recipe.anode.overhang_m
    fold = edge / (1.0 - lift_m / station.web.roller_height_m)
    share = np.linspace(0.0, 1.0, 2001)
    moved = (fold - half_pitch + end) / station.table.stroke_m
    meets = table_s * float(np.interp(moved, law.evaluate(share)[:, 0], share))
    transfer = move_time(station.axes.arm_x.values, station.arm.transfer_m)
    speed = MODIFIED_SINE.evaluate(share)[:, 1] * station.arm.transfer_m / transfer
    stands = transfer * float(share[np.flatnonzero(speed > STANDING_M_S)[-1]])
    return max(stands + DELAY_RESERVE_S - meets, 0.0)


def best_law(station: StationSettings, recipe: RecipeSettings) -> CamLaw:
    """The law of VDI 2143 with which the table is in place and quiet soonest."""

    def seconds(law: CamLaw) -> float:
        tuning = tune(station, recipe, law)
        fastest = move_time(station.axes.table_x.values, station.table.stroke_m, law)
        return tuning.table_delay_s + tuning.table_stretch * fastest + tuning.settle_s

    return min(LAWS, key=seconds)


def settling_time(station: StationSettings, law: CamLaw, duration_s: float) -> float:
    """From the end of the table's cam until the load's swing is small enough, at its worst frequency."""
    mode = station.table_mode
    band = np.linspace((1.0 - MODE_TOLERANCE) * (1.0 - mode.fall), 1.0 + MODE_TOLERANCE, 41)
    band *= mode.frequency_hz
    cam = CamTable.from_law(law, duration_s, 0.0, station.table.stroke_m)
    left = residual_vibration(cam, band, mode.damping, step_s=5e-5)
    omega = 2.0 * pi * band
    allowed = RESIDUAL_SHARE * np.minimum(RESIDUAL_M, RESIDUAL_M_S / omega)
    waits = np.log(np.maximum(left / allowed, 1.0)) / (mode.damping * omega)
    return float(waits.max())
