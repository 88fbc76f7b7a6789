"""The routines: what is not cyclic, as tables of steps."""

from dataclasses import dataclass

from controller.settings.machine import StationSettings
from controller.settings.recipe import RecipeSettings
from controller.shared.conditions import ConditionId
from controller.shared.plan import Action, RoutineId, StepKind
from drivers.image import AxisId, GripperId, Polarity

PI = 3.141592653589793
STEP_TIMEOUT_S = 10.0
CUT_M = 0.040
TAPE_M = 0.030

_ARM_X = (AxisId.ANODE_ARM_X, AxisId.CATHODE_ARM_X)
_ARM_Z = (AxisId.ANODE_ARM_Z, AxisId.CATHODE_ARM_Z)
_FINGERS_IN = tuple(
    axis for axis in AxisId if axis.name.startswith("FINGER") and "_IN" in axis.name
)
_FINGERS_DOWN = tuple(
    axis for axis in AxisId if axis.name.startswith("FINGER") and "_DOWN" in axis.name
)
_RIGHT_IN = (AxisId.FINGER_RIGHT_FRONT_IN, AxisId.FINGER_RIGHT_REAR_IN)
_RIGHT_DOWN = (AxisId.FINGER_RIGHT_FRONT_DOWN, AxisId.FINGER_RIGHT_REAR_DOWN)
_LEFT_IN = (AxisId.FINGER_LEFT_FRONT_IN, AxisId.FINGER_LEFT_REAR_IN)
_LEFT_DOWN = (AxisId.FINGER_LEFT_FRONT_DOWN, AxisId.FINGER_LEFT_REAR_DOWN)


@dataclass(frozen=True)
class Step:
    """One row of a routine."""

    kind: StepKind
    axis: AxisId | None = None
    position_m: float = 0.0
    action: Action = Action.NONE
    index: int = 0
    condition: ConditionId = ConditionId.ALWAYS
    timeout_s: float = STEP_TIMEOUT_S


def _together(*moves: tuple[tuple[AxisId, ...], float]) -> list[Step]:
    """Moves that run at the same time, up to the end of the slowest."""
    steps = [Step(StepKind.MOVE, axis, position) for axes, position in moves for axis in axes]
    return [*steps, _wait(ConditionId.MOVES_DONE)]


def _act(action: Action, index: int = 0) -> Step:
    return Step(StepKind.ACTION, action=action, index=index)


def _wait(condition: ConditionId) -> Step:
    return Step(StepKind.WAIT, condition=condition)


def _dwell(seconds: float) -> Step:
    return Step(StepKind.DWELL, timeout_s=seconds)


def _released() -> list[Step]:
    return [_wait(ConditionId.ANODE_RELEASED), _wait(ConditionId.CATHODE_RELEASED)]


def _let_go() -> list[Step]:
    return [_act(Action.VACUUM_OFF, gripper) for gripper in GripperId] + _released()


def lead_in(station: StationSettings) -> list[Step]:
    """From idle to the right-hand touch-down pose, the anode arm gripping its first sheet."""
    end, up, back = 0.5 * station.table.stroke_m, station.arm.stroke_m, -station.arm.transfer_m
    fingers = station.fingers
    return [
        _wait(ConditionId.TENSION_PRESENT),
        *_together((_ARM_Z, up), (_RIGHT_IN, fingers.in_m)),
        *_together(
            (_RIGHT_DOWN, fingers.down_m),
            ((AxisId.ANODE_ARM_X,), back),
            ((AxisId.CATHODE_ARM_X,), 0.0),
            ((AxisId.TABLE_X,), end),
        ),
        *_together((_ARM_Z, 0.0)),
        _act(Action.PICK, Polarity.ANODE),
    ]


def finish(station: StationSettings, recipe: RecipeSettings) -> list[Step]:
    """From the left-hand touch-down: clamp, fold the last layer, wrap, cut, tape, test, unload."""
    end, up, back = 0.5 * station.table.stroke_m, station.arm.stroke_m, -station.arm.transfer_m
    fingers = station.fingers
    turns = 2.0 * PI * recipe.wraps_final
    return [
        _act(Action.TOUCH_DOWN, Polarity.ANODE),
        _act(Action.RELEASE, Polarity.ANODE),
        *_together((_RIGHT_IN, fingers.in_m)),
        *_together((_RIGHT_DOWN, fingers.down_m)),
        _wait(ConditionId.ANODE_RELEASED),
        _wait(ConditionId.RIGHT_FINGERS_CLAMPED),
        _act(Action.FOLD),
        _act(Action.TRIGGER_STACK_CAMERA, Polarity.ANODE),
        *_together((_ARM_Z, up)),
        _act(Action.STAGE_HOME, Polarity.ANODE),
        _act(Action.STAGE_HOME, Polarity.CATHODE),
        *_together((_ARM_X, back), (_LEFT_IN, 0.0)),
        *_together((_LEFT_DOWN, 0.0)),
        *_together(((AxisId.TABLE_X,), end)),
        _act(Action.WRAP),
        *_together(((AxisId.WRAP,), turns)),
        *_together(((AxisId.CUT,), CUT_M)),
        _act(Action.CUT),
        *_together(((AxisId.TAPE,), TAPE_M)),
        _act(Action.HIPOT),
        *_together(((AxisId.TAPE,), 0.0), (_RIGHT_IN, 0.0)),
        *_together((_RIGHT_DOWN, 0.0), ((AxisId.WRAP,), 0.0)),
        *_unload(station),
    ]


def _unload(station: StationSettings) -> list[Step]:
    """The stack leaves, the web's end is clamped for the next one; the table stands right."""
    return [
        *_together(((AxisId.TABLE_Z,), station.table.unload_position_m)),
        _act(Action.UNLOAD),
        *_together(((AxisId.TABLE_Z,), 0.0), ((AxisId.CUT,), 0.0)),
        _act(Action.THREAD),
    ]


def clear(station: StationSettings) -> list[Step]:
    """From anywhere: discard what arms and stages hold, cut, unload what was begun, thread anew."""
    end, up, back = 0.5 * station.table.stroke_m, station.arm.stroke_m, -station.arm.transfer_m
    bin_x = station.arm.discard_position_m
    return [
        *_together((_ARM_Z, up)),
        # the web goes first: from here on nothing the machine does pulls on it
        *_together((_ARM_X, bin_x), ((AxisId.CUT,), CUT_M)),
        _act(Action.CUT),
        *_let_go(),
        *_together((_ARM_X, back)),
        *_together((_ARM_Z, 0.0)),
        _act(Action.VACUUM_ON, GripperId.ANODE_PLACE),
        _act(Action.VACUUM_ON, GripperId.CATHODE_PLACE),
        _dwell(5.0 * station.vacuum.on_time_s),
        *_together((_ARM_Z, up)),
        *_together((_ARM_X, bin_x)),
        *_let_go(),
        _act(Action.DISCARD, Polarity.ANODE),
        _act(Action.DISCARD, Polarity.CATHODE),
        _act(Action.STAGE_HOME, Polarity.ANODE),
        _act(Action.STAGE_HOME, Polarity.CATHODE),
        *_together((_ARM_X, back), ((AxisId.TABLE_X,), end), ((AxisId.TAPE,), 0.0)),
        *_together((_FINGERS_IN, 0.0)),
        *_together((_FINGERS_DOWN, 0.0), ((AxisId.WRAP,), 0.0)),
        *_unload(station),
    ]


def park(station: StationSettings) -> list[Step]:
    """Arms up and back, the table right."""
    up, back = station.arm.stroke_m, -station.arm.transfer_m
    return [*_together((_ARM_Z, up)), *_together((_ARM_X, back))]


def routines(station: StationSettings, recipe: RecipeSettings) -> dict[RoutineId, list[Step]]:
    """Every routine of a station."""
    return {
        RoutineId.LEAD_IN: lead_in(station),
        RoutineId.FINISH: finish(station, recipe),
        RoutineId.CLEAR: clear(station),
        RoutineId.PARK: park(station),
    }
