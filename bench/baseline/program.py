"""The baseline's program: one list of lines, as a step chain in a conventional PLC.

Each half fold is release, clear, traverse, settle, descend, one after the other. At the same time goes
what such chains start together: both arms, the old fingers, and the two alignment stages.
"""

from dataclasses import dataclass

from bench.baseline.layout import Op, WebMode
from bench.baseline.tuning import Tuning
from controller.settings.machine import StationSettings
from controller.settings.recipe import RecipeSettings
from drivers.image import AxisId, Polarity

Line = tuple[Op, int, float]
_LEFT_IN = (AxisId.FINGER_LEFT_FRONT_IN, AxisId.FINGER_LEFT_REAR_IN)
_LEFT_DOWN = (AxisId.FINGER_LEFT_FRONT_DOWN, AxisId.FINGER_LEFT_REAR_DOWN)
_RIGHT_IN = (AxisId.FINGER_RIGHT_FRONT_IN, AxisId.FINGER_RIGHT_REAR_IN)
_RIGHT_DOWN = (AxisId.FINGER_RIGHT_FRONT_DOWN, AxisId.FINGER_RIGHT_REAR_DOWN)
_ARM_X = (AxisId.ANODE_ARM_X, AxisId.CATHODE_ARM_X)
_ARM_Z = (AxisId.ANODE_ARM_Z, AxisId.CATHODE_ARM_Z)
_TABLE_X, _TABLE_Z = (AxisId.TABLE_X,), (AxisId.TABLE_Z,)
_CUT, _TAPE, _WRAP = (AxisId.CUT,), (AxisId.TAPE,), (AxisId.WRAP,)
_CUT_M, _TAPE_M, _TURN_RAD = 0.040, 0.030, 6.283185307179586
_CLEAR_RESERVE_M = 0.0005
Axes = tuple[AxisId, ...]


@dataclass(frozen=True)
class _Parts:
    """What the lines are written from."""

    station: StationSettings
    tuning: Tuning

    @property
    def end_m(self) -> float:
        return 0.5 * self.station.table.stroke_m

    def clamp(self, reach: Axes, drop: Axes) -> list[Line]:
        """Start fingers in, and down while they still go in."""
        fingers = self.station.fingers
        blend = (Op.DWELL, 0, self.tuning.finger_blend_s)
        return [*_move(reach, fingers.in_m), blend, *_move(drop, fingers.down_m)]


def build_program(station: StationSettings, recipe: RecipeSettings, tuning: Tuning) -> list[Line]:
    """Every line; a run begins at the first."""
    parts = _Parts(station, tuning)
    # the start wrap: nothing is placed while the first sheets come to the stages
    lines = _lead_in(parts)
    lines += _half(parts, Polarity.ANODE, placing=False, folded=False)
    lines += _half(parts, Polarity.CATHODE, placing=False)
    again = len(lines)
    to_left, to_right = _half(parts, Polarity.ANODE), _half(parts, Polarity.CATHODE)
    finish = again + len(to_left) + len(to_right) + 2
    lines += [*to_left, (Op.FULL, finish, recipe.sheets - 1.0)]
    lines += [*to_right, (Op.JUMP, again, 0.0)]
    lines += _finish(parts, recipe)
    return [*lines, (Op.CELL, 0, 0.0), (Op.MORE, 0, 0.0), (Op.END, 0, 0.0)]


def _move(axes: Axes, target: float) -> list[Line]:
    return [(Op.MOVE, int(axis), target) for axis in axes]


def _reached(*groups: Axes) -> list[Line]:
    return [(Op.REACHED, int(axis), 0.0) for axes in groups for axis in axes]


def _to(*moves: tuple[Axes, float]) -> list[Line]:
    """Moves that start together, and a wait for all of them."""
    started = [line for axes, target in moves for line in _move(axes, target)]
    return started + _reached(*(axes for axes, _ in moves))


def _release(arm: Polarity) -> list[Line]:
    """The arm over the stack lets go; what it lays on the stage is measured at once."""
    place, fetch = 2 * arm, 2 * arm + 1
    return [(Op.RELEASED, fetch, 0.0), (Op.ALIGN, int(arm), 0.0), (Op.RELEASED, place, 0.0)]


def _let_go(arm: Polarity) -> list[Line]:
    return [(Op.VACUUM_OFF, 2 * arm, 0.0), (Op.VACUUM_OFF, 2 * arm + 1, 0.0)]


def _lead_in(parts: _Parts) -> list[Line]:
    """From parked to the right-hand touch-down, without sheets."""
    station = parts.station
    back, up = -station.arm.transfer_m, parts.tuning.lift_m
    return [
        *_to((_ARM_Z, up), (_TABLE_X, parts.end_m), (_TABLE_Z, 0.0)),
        (Op.WEB, int(WebMode.FOLDING), 0.0),
        *_to((_ARM_X[:1], back), (_ARM_X[1:], 0.0)),
        *_to((_ARM_Z, 0.0)),
    ]


def _half(parts: _Parts, arm: Polarity, placing: bool = True, folded: bool = True) -> list[Line]:
    """From touch-down at the other end to touch-down at the end of `arm`."""
    station, tuning = parts.station, parts.tuning
    other = Polarity.CATHODE if arm == Polarity.ANODE else Polarity.ANODE
    left = arm == Polarity.ANODE
    new_in, new_down = (_LEFT_IN, _LEFT_DOWN) if left else (_RIGHT_IN, _RIGHT_DOWN)
    old_in, old_down = (_RIGHT_IN, _RIGHT_DOWN) if left else (_LEFT_IN, _LEFT_DOWN)
    clear = station.arm.clearance_m + _CLEAR_RESERVE_M
    fold: list[Line] = [(Op.FOLD, 0, 0.0)] if folded else []
    return [
        # release and clamp
        *_let_go(other),
        (Op.PICK, int(arm), float(placing)),
        *parts.clamp(new_in, new_down),
        *_release(other),
        *_reached(new_in, new_down),
        *fold,
        (Op.PICKED, int(arm), 0.0),
        # clear
        *_move(_ARM_Z, tuning.lift_m),
        *_move(old_in, 0.0),
        *((Op.ABOVE, int(axis), clear) for axis in _ARM_Z),
        # traverse
        *_move(_ARM_X[arm : arm + 1], 0.0),
        *_move(_ARM_X[other : other + 1], -station.arm.transfer_m),
        (Op.DWELL, 0, tuning.table_delay_s),
        *_move(_TABLE_X, -parts.end_m if left else parts.end_m),
        (Op.LAYER, 0, 0.0),
        (Op.STAGE_HOME, int(arm), 0.0),
        *_reached(old_in),
        *_move(old_down, 0.0),
        *_reached(_ARM_X),
        (Op.ALIGNED, int(other), 0.0),
        *_reached(_ARM_Z[other : other + 1]),
        *_move(_ARM_Z[other : other + 1], 0.0),
        *_reached(_TABLE_X, _TABLE_Z, old_down),
        # settle, descend
        (Op.DWELL, 0, tuning.settle_s),
        *_move(_ARM_Z[arm : arm + 1], 0.0),
        *_reached(_ARM_Z),
    ]


def _finish(parts: _Parts, recipe: RecipeSettings) -> list[Line]:
    """From the last touch-down, on the left: fold, wrap, cut, tape, unload, thread; one by one."""
    station, up = parts.station, parts.tuning.lift_m
    return [
        *_let_go(Polarity.ANODE),
        *parts.clamp(_RIGHT_IN, _RIGHT_DOWN),
        *_release(Polarity.ANODE),
        *_reached(_RIGHT_IN, _RIGHT_DOWN),
        (Op.FOLD, 0, 0.0),
        *_to((_ARM_Z, up)),
        *_to((_ARM_X, -station.arm.transfer_m), (_LEFT_IN, 0.0)),
        *_to((_LEFT_DOWN, 0.0), (_TABLE_X, parts.end_m)),
        (Op.WEB, int(WebMode.WRAPPING), 0.0),
        *_to((_WRAP, recipe.wraps_final * _TURN_RAD)),
        *_to((_CUT, _CUT_M)),
        (Op.WEB, int(WebMode.STILL), 0.0),
        *_to((_TAPE, _TAPE_M)),
        *_to((_TAPE, 0.0), (_RIGHT_IN, 0.0)),
        *_to((_RIGHT_DOWN, 0.0), (_WRAP, 0.0)),
        *_to((_TABLE_Z, station.table.unload_position_m)),
        *_to((_TABLE_Z, 0.0)),
        *_to((_CUT, 0.0)),
    ]
