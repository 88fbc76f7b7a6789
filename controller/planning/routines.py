"""The routines: what is not cyclic, as tables of steps."""

from dataclasses import dataclass, replace

from controller.planning.timeline import LEAVE_APEX_SHARE
from controller.settings.machine import StationSettings
from controller.settings.recipe import RecipeSettings
from controller.shared.conditions import ConditionId
from controller.shared.plan import Action, RoutineId, RunOn, StepKind
from drivers.image import AxisId, GripperId, Polarity

PI = 3.141592653589793
STEP_TIMEOUT_S = 10.0
CUT_M = 0.040
TAPE_M = 0.030
# Where the table goes to be identified, in half strokes; it ends where it parks.
IDENTIFY_PLACES = (0.6, -0.5, 0.3, -0.2, 0.5, 0.2, -0.6, 0.1, -0.3, 0.55, 0.0, 0.35, -0.45, 1.0)
IDENTIFY_DWELL_S = 0.3

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
    run_on: RunOn = RunOn.NEVER


def _together(*moves: tuple[tuple[AxisId, ...], float]) -> list[Step]:
    """Moves that run at the same time, up to the end of the slowest."""
    steps = [Step(StepKind.MOVE, axis, position) for axes, position in moves for axis in axes]
    return [*steps, _wait(ConditionId.MOVES_DONE)]


def _start(axes: tuple[AxisId, ...], position_m: float) -> list[Step]:
    """Moves that go on beside the steps after them."""
    return [Step(StepKind.START, axis, position_m) for axis in axes]


def _move(axes: tuple[AxisId, ...], position_m: float) -> list[Step]:
    """Moves that the next step waits for; others go on beside them."""
    return [Step(StepKind.MOVE, axis, position_m) for axis in axes]


def _act(action: Action, index: int = 0) -> Step:
    return Step(StepKind.ACTION, action=action, index=index)


def _wait(condition: ConditionId, timeout_s: float = STEP_TIMEOUT_S) -> Step:
    return Step(StepKind.WAIT, condition=condition, timeout_s=timeout_s)


def _running_on(through: RunOn, *steps: Step) -> list[Step]:
    return [replace(step, run_on=through) for step in steps]


def _dwell(seconds: float) -> Step:
    return Step(StepKind.DWELL, timeout_s=seconds)


def _released() -> list[Step]:
    return [_wait(ConditionId.ANODE_RELEASED), _wait(ConditionId.CATHODE_RELEASED)]


def _let_go() -> list[Step]:
    return [_act(Action.VACUUM_OFF, gripper) for gripper in GripperId] + _released()


def _web_first(station: StationSettings, dry: bool) -> list[Step]:
    """The web must be there; a dry cycle has the cutter hold it instead."""
    if not dry:
        return [_wait(ConditionId.TENSION_PRESENT)]
    return [
        *_together((_ARM_Z, station.arm.stroke_m)),
        *_together(((AxisId.CUT,), CUT_M)),
        _act(Action.CUT),
    ]


def lead_in(station: StationSettings, dry: bool = False) -> list[Step]:
    """From idle or a cell change to the right-hand touch-down pose, the anode arm gripping a sheet."""
    end, up, back = 0.5 * station.table.stroke_m, station.arm.stroke_m, -station.arm.transfer_m
    fingers = station.fingers
    return [
        *_web_first(station, dry),
        *_together((_ARM_Z, up), (_RIGHT_IN, fingers.in_m)),
        *_together(
            (_RIGHT_DOWN, fingers.down_m),
            ((AxisId.ANODE_ARM_X,), back),
            ((AxisId.CATHODE_ARM_X,), 0.0),
            ((AxisId.TABLE_X,), end),
        ),
        *_together((_ARM_Z, 0.0)),
        _act(Action.PICK, Polarity.ANODE),
        _wait(ConditionId.TAIL_CUT),
    ]


def _last_placement(station: StationSettings) -> list[Step]:
    """From the left-hand touch-down: released, clamped, the fold on the right; no stop in between."""
    fingers = station.fingers
    steps = [
        _act(Action.TOUCH_DOWN, Polarity.ANODE),
        _act(Action.RELEASE, Polarity.ANODE),
        *_start(_RIGHT_IN, fingers.in_m),
        *_move(_RIGHT_DOWN, fingers.down_m),
        _wait(ConditionId.ANODE_RELEASED),
        _wait(ConditionId.RIGHT_FINGERS_CLAMPED),
        _act(Action.FOLD),
    ]
    return [
        *_running_on(RunOn.ABORT, *steps),
        _act(Action.TRIGGER_STACK_CAMERA, Polarity.ANODE),
    ]


def _stages_home() -> list[Step]:
    return [_act(Action.STAGE_HOME, polarity) for polarity in Polarity]


def finish_serially(
    station: StationSettings, recipe: RecipeSettings, dry: bool = False
) -> list[Step]:
    """From the left-hand touch-down: fold the last layer, wrap, cut, tape, test, unload."""
    end, up, back = 0.5 * station.table.stroke_m, station.arm.stroke_m, -station.arm.transfer_m
    turns = 2.0 * PI * recipe.wraps_final
    return [
        *_last_placement(station),
        *_together((_ARM_Z, up)),
        *_stages_home(),
        *_together((_ARM_X, back), (_LEFT_IN, 0.0)),
        *_together((_LEFT_DOWN, 0.0)),
        *_together(((AxisId.TABLE_X,), end)),
        *([] if dry else [_act(Action.WRAP)]),
        *_together(((AxisId.WRAP,), turns)),
        *_together(((AxisId.CUT,), CUT_M)),
        _act(Action.CUT),
        *_together(((AxisId.TAPE,), TAPE_M)),
        *([] if dry else [_act(Action.HIPOT)]),
        *_together(((AxisId.TAPE,), 0.0), (_RIGHT_IN, 0.0)),
        *_together((_RIGHT_DOWN, 0.0), ((AxisId.WRAP,), 0.0)),
        *_unload(station),
    ]


def finish_in_parallel(station: StationSettings) -> list[Step]:
    """From the left-hand touch-down: fold the last layer, change tables, hand the stack over.

    Arms and fingers move as soon as nothing is in their way. From when the fingers leave until the web
    is held anew a stop lets the change come to its end.
    """
    end, up, back = 0.5 * station.table.stroke_m, station.arm.stroke_m, -station.arm.transfer_m
    clamp_s = station.cell_change.clamp_time_s
    turn = (Step(StepKind.MOVE, AxisId.CHANGER, PI, index=1), *_move((AxisId.TABLE_Z,), 0.0))
    return [
        *_last_placement(station),
        *_start(_ARM_Z, up),
        *_move(_LEFT_IN, 0.0),
        *_start(_LEFT_DOWN, 0.0),
        _wait(ConditionId.ARMS_CLEAR),
        *_stages_home(),
        *_start((AxisId.ANODE_ARM_X,), back),
        *_move((AxisId.TABLE_X,), end),
        _wait(ConditionId.WRAPPING_PLACE_FREE, timeout_s=0.0),
        _act(Action.STACK_CLAMP, 1),
        *_start((AxisId.CATHODE_ARM_X,), 0.0),
        _dwell(clamp_s),
        *_running_on(
            RunOn.STOP,
            *_move(_RIGHT_IN, 0.0),
            *_move(_RIGHT_DOWN, 0.0),
            _wait(ConditionId.RIGHT_FINGERS_CLEAR),
            _act(Action.TRAIL),
            *turn,
            _wait(ConditionId.MOVES_DONE),
            _act(Action.STACK_CLAMP, 0),
            _dwell(clamp_s),
            _act(Action.THREAD),
            _act(Action.HAND_OVER),
        ),
        _wait(ConditionId.RUNNING, timeout_s=0.0),
    ]


def wrap_up(station: StationSettings, recipe: RecipeSettings) -> list[Step]:
    """At the wrapping place, beside the next start: cut, wrap, tape, test, unload."""
    return [
        *_running_on(RunOn.STOP, *_move((AxisId.CUT,), CUT_M), _wait(ConditionId.MOVES_DONE)),
        *_together(((AxisId.CUT,), 0.0), ((AxisId.WRAP,), 2.0 * PI * recipe.wraps_final)),
        *_together(((AxisId.TAPE,), TAPE_M)),
        _act(Action.HIPOT),
        *_together(((AxisId.TAPE,), 0.0)),
        *_convey(station),
        *_together(((AxisId.WRAP,), 0.0)),
    ]


def _convey(station: StationSettings) -> list[Step]:
    """The conveyor takes what lies at the wrapping place."""
    return [
        _act(Action.CONVEYOR, 1),
        _dwell(station.cell_change.conveyor_time_s),
        _act(Action.UNLOAD, 1),
        _act(Action.CONVEYOR, 0),
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
        *_stages_home(),
        *_together((_ARM_X, back), ((AxisId.TABLE_X,), end), ((AxisId.TAPE,), 0.0)),
        *_together((_FINGERS_IN, 0.0)),
        *_together((_FINGERS_DOWN, 0.0)),
        *_clear_places(station),
        *_unload(station),
    ]


def _clear_places(station: StationSettings) -> list[Step]:
    """The changer at its nearest end, the wrapping place empty, the wrapping head at home."""
    home = _together(((AxisId.WRAP,), 0.0))
    if station.cell_change.mode == "serial":
        return home
    turn = Step(StepKind.MOVE, AxisId.CHANGER, PI)
    return [turn, _wait(ConditionId.MOVES_DONE), _act(Action.STACK_CLAMP), *_convey(station), *home]


def park(station: StationSettings) -> list[Step]:
    """Arms up and back, the table right."""
    up, back = station.arm.stroke_m, -station.arm.transfer_m
    return [*_together((_ARM_Z, up)), *_together((_ARM_X, back))]


def identify(station: StationSettings) -> list[Step]:
    """The empty table moves and stands, over different distances, so that no frequency is missed."""
    reach = 0.5 * station.table.stroke_m
    steps = [
        *_together((_ARM_Z, station.arm.stroke_m)),
        *_together((_ARM_X, -station.arm.transfer_m)),
    ]
    for place in IDENTIFY_PLACES:
        steps += [*_together(((AxisId.TABLE_X,), place * reach)), _dwell(IDENTIFY_DWELL_S)]
    return steps


def refetch(station: StationSettings, polarity: Polarity) -> list[Step]:
    """One arm: PLACE takes the stage's sheet to the bin, FETCH brings the next one along."""
    x, z = (_ARM_X[polarity],), (_ARM_Z[polarity],)
    up = station.arm.stroke_m
    return [
        *_together((z, up)),
        *_together((x, -station.arm.transfer_m)),
        *_together((z, 0.0)),
        _act(Action.SET_ASIDE, polarity),
        _wait(ConditionId(ConditionId.ANODE_PICKED + polarity)),
        *_together((z, up)),
        _act(Action.STAGE_HOME, polarity),
        *_together((x, station.arm.discard_position_m)),
        _act(Action.DROP, polarity),
        _wait(ConditionId(ConditionId.ANODE_RELEASED + polarity)),
    ]


def lay(station: StationSettings, polarity: Polarity) -> list[Step]:
    """One arm: FETCH lays its sheet on the stage; back, as high as the arm waits for a camera."""
    x, z = (_ARM_X[polarity],), (_ARM_Z[polarity],)
    up = station.arm.stroke_m
    return [
        *_together((z, up)),
        *_together((x, 0.0)),
        *_together((z, 0.0)),
        _act(Action.LAY, polarity),
        _wait(ConditionId(ConditionId.ANODE_RELEASED + polarity)),
        *_together((z, up)),
        *_together((x, -station.arm.transfer_m)),
        *_together((z, LEAVE_APEX_SHARE * up)),
    ]


def bring(station: StationSettings, polarity: Polarity) -> list[Step]:
    """One arm: pick up the corrected sheet and press it on the stack."""
    x, z = (_ARM_X[polarity],), (_ARM_Z[polarity],)
    up = station.arm.stroke_m
    return [
        *_together((z, 0.0)),
        _act(Action.PICK, polarity),
        _wait(ConditionId(ConditionId.ANODE_PICKED + polarity)),
        *_together((z, up)),
        _act(Action.STAGE_HOME, polarity),
        *_together((x, 0.0)),
        *_together((z, 0.0)),
    ]


def routines(
    station: StationSettings, recipe: RecipeSettings, dry: bool = False
) -> dict[RoutineId, list[Step]]:
    """Every routine of a station."""
    parallel = station.cell_change.mode == "parallel"
    return {
        RoutineId.LEAD_IN: lead_in(station, dry),
        RoutineId.FINISH: (
            finish_in_parallel(station)
            if parallel and not dry
            else finish_serially(station, recipe, dry)
        ),
        RoutineId.CLEAR: clear(station),
        RoutineId.PARK: park(station),
        RoutineId.WRAP_UP: wrap_up(station, recipe) if parallel else [],
        RoutineId.IDENTIFY: identify(station),
        RoutineId.REFETCH_ANODE: refetch(station, Polarity.ANODE),
        RoutineId.REFETCH_CATHODE: refetch(station, Polarity.CATHODE),
        RoutineId.LAY_ANODE: lay(station, Polarity.ANODE),
        RoutineId.LAY_CATHODE: lay(station, Polarity.CATHODE),
        RoutineId.BRING_ANODE: bring(station, Polarity.ANODE),
        RoutineId.BRING_CATHODE: bring(station, Polarity.CATHODE),
    }
