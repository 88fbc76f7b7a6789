"""The cams of a half fold, one an axis, laid out after its timeline."""

from dataclasses import dataclass

from controller.planning.profiles import fastest_move, limits_of
from controller.planning.timeline import PlanRefused, Timeline
from controller.settings.machine import StationSettings
from controller.settings.recipe import RecipeSettings
from controller.shared.plan import SectionId
from drivers.image import AxisId, Polarity
from motion.cam_laws import POLYNOMIAL_345, POLYNOMIAL_3456
from motion.cam_moves import Move, moves_to_cam
from motion.cam_table import CamTable

_LEFT = (
    (AxisId.FINGER_LEFT_FRONT_IN, AxisId.FINGER_LEFT_FRONT_DOWN),
    (AxisId.FINGER_LEFT_REAR_IN, AxisId.FINGER_LEFT_REAR_DOWN),
)
_RIGHT = (
    (AxisId.FINGER_RIGHT_FRONT_IN, AxisId.FINGER_RIGHT_FRONT_DOWN),
    (AxisId.FINGER_RIGHT_REAR_IN, AxisId.FINGER_RIGHT_REAR_DOWN),
)
ARMS = (
    (AxisId.ANODE_ARM_X, AxisId.ANODE_ARM_Z),
    (AxisId.CATHODE_ARM_X, AxisId.CATHODE_ARM_Z),
)


@dataclass(frozen=True)
class Half:
    """Who does what in a half fold that leads to one end."""

    section: SectionId
    leaving: Polarity  # its arm stands on the stack at the start
    arriving: Polarity
    new_fingers: tuple[tuple[AxisId, AxisId], ...]
    old_fingers: tuple[tuple[AxisId, AxisId], ...]
    from_sign: float  # of the table's start position


HALVES = (
    Half(SectionId.TO_LEFT, Polarity.CATHODE, Polarity.ANODE, _LEFT, _RIGHT, 1.0),
    Half(SectionId.TO_RIGHT, Polarity.ANODE, Polarity.CATHODE, _RIGHT, _LEFT, -1.0),
)


def _finger_cams(station: StationSettings, times: Timeline, half: Half) -> dict[AxisId, CamTable]:
    """New fingers in and down from touch-down on; old ones out, then up, once the new are down."""
    fingers, period = station.fingers, times.period_s
    reach = fastest_move(fingers.in_m, limits_of(station.axes.finger_in.values))
    drop = fastest_move(fingers.down_m, limits_of(station.axes.finger_down.values))
    for name, move in (("finger_in", reach), ("finger_down", drop)):
        if move.length > fingers.time_s:
            raise PlanRefused(
                f"fingers.time_s = {fingers.time_s}: {name} needs {move.length:.4f} s at its limits; "
                "raise its limits or allow more time"
            )
    out = times.old_fingers_s
    away = out + reach.length + drop.length
    if away > times.clear_gate_s:
        raise PlanRefused(
            f"fingers: the old pair is away at {away:.3f} s, after {times.clear_gate_s:.3f} s when "
            "the next arm comes down; raise the finger limits"
        )
    cams: dict[AxisId, CamTable] = {}
    for reach_axis, drop_axis in half.new_fingers:
        moves = [Move(0.0, reach.length, fingers.in_m, reach)]
        cams[reach_axis] = moves_to_cam(period, 0.0, moves)
        # they push the web down with them, most of it at the end: no faster than the feed can follow
        moves = [Move(0.0, fingers.time_s, fingers.down_m, POLYNOMIAL_3456)]
        cams[drop_axis] = moves_to_cam(period, 0.0, moves)
    for reach_axis, drop_axis in half.old_fingers:
        moves = [Move(out, out + reach.length, 0.0, reach)]
        cams[reach_axis] = moves_to_cam(period, fingers.in_m, moves)
        moves = [Move(out + reach.length, away, 0.0, drop)]
        cams[drop_axis] = moves_to_cam(period, fingers.down_m, moves)
    return cams


def _arm_cams(station: StationSettings, times: Timeline, half: Half) -> dict[AxisId, CamTable]:
    """The arms change places: transfers above the clearance height, descents to touch and to pick."""
    arm, period = station.arm, times.period_s
    z_limits = limits_of(station.axes.arm_z.values)
    transfer = fastest_move(arm.transfer_m, limits_of(station.axes.arm_x.values))
    high, low = fastest_move(times.apex_m, z_limits), fastest_move(times.leave_apex_m, z_limits)
    arriving_x, arriving_z = ARMS[half.arriving]
    leaving_x, leaving_z = ARMS[half.leaving]

    def over(start: float, move: CamTable, target: float) -> Move:
        return Move(start, start + move.length, target, move)

    forward = over(times.arrive_transfer_s, transfer, 0.0)
    back = over(times.leave_transfer_s, transfer, -arm.transfer_m)
    rise, touch = (
        over(times.arrive_lift_s, high, times.apex_m),
        over(period - high.length, high, 0.0),
    )
    lift, pick = (
        over(times.release_s, low, times.leave_apex_m),
        over(times.pick_s - low.length, low, 0.0),
    )
    return {
        arriving_x: moves_to_cam(period, -arm.transfer_m, [forward]),
        leaving_x: moves_to_cam(period, 0.0, [back]),
        arriving_z: moves_to_cam(period, 0.0, [rise, touch]),
        leaving_z: moves_to_cam(period, 0.0, [lift, pick]),
    }


def table_cam(station: StationSettings, times: Timeline, move: CamTable, half: Half) -> CamTable:
    """Table x's cam of one half fold: a move from one end to the other."""
    start = half.from_sign * 0.5 * station.table.stroke_m
    traverse = Move(times.table_start_s, times.table_end_s, -start, move)
    return moves_to_cam(times.period_s, start, [traverse])


def half_cams(
    station: StationSettings,
    recipe: RecipeSettings,
    times: Timeline,
    table: CamTable,
    half: Half,
) -> dict[AxisId, CamTable]:
    """Every cam of one half fold by axis; axes without one are not cam-driven in it."""
    period = times.period_s
    middle = 0.5 * (times.table_start_s + times.table_end_s)
    drop = Move(times.table_start_s, middle, -recipe.layer_thickness_m, POLYNOMIAL_345)
    return {
        AxisId.TABLE_X: table_cam(station, times, table, half),
        AxisId.TABLE_Z: moves_to_cam(period, 0.0, [drop]),
        **_finger_cams(station, times, half),
        **_arm_cams(station, times, half),
    }
